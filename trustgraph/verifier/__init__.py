"""4 decide: the gate at accept time.

    keys      a fingerprint          →  the host's certificate, or absent, or unreachable   (memory, store, keyservers)
    standing  identities, a host     →  ratings, and whether the host is known to sign      (memory, store)
    counters  signatures, newcomers  →  what was delivered to whom, who was let in today    (shared by all processes)
    verify    a message, its client  →  evidence, decision, findings
    results   findings               →  Authentication-Results
    spool     a decision             →  a line on disk before the reply, and from there into the store

Nothing here accepts by itself: :mod:`trustgraph.policy` decides, and whatever goes wrong on the way is an exception,
which the callers answer with a temporary failure.
"""
