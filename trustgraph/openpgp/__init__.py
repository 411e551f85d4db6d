"""OpenPGP: reading keyrings from strangers, and making our own keys and signatures. All importers of OpenPGP libraries.

Reading is a pipeline of streams, each stage bounded, so that a keyserver dump of any size needs little memory::

    armor         a file                          →  binary streams, one a block of armor
    framing       a binary stream                 →  packets, each no longer than its kind may be
    publickey     a public-key packet             →  version, fingerprint, key ID (RFC 9580 section 5.5)
    signature     a signature packet              →  who, when, what it says (section 5.2)
    issuers       every primary key there is      →  an index by fingerprint and key ID, spilling to disk
    sections      packets                         →  the signatures over one User ID, with what each must verify against
    verification  key, digest, signature          →  good, bad, weak or unsupported (section 5.2.4)
    parallel      many of those                   →  the same on every processor
    certificate   verified signatures             →  the model's HostKey and Certification

The packets are cut by our own small parser and not by pysequoia, which reads a whole file into memory (295 MB for a
28 MB keyring), and tells neither the hashed area from the unhashed one nor a trust signature's depth, amount and
regular expression, a revocation's reason or a subpacket's critical bit: everything a third-party certification is
judged by. Sequoia's policy stays the judge of a single certificate on the accept path.
"""

import os

# For Sequoia errors are ordinary: some are made and dropped in every verification. Where RUST_BACKTRACE is set for the
# sake of other programs, each would record a stack trace, which together takes as long as verifying.
os.environ.setdefault("RUST_LIB_BACKTRACE", "0")
