"""The endorsements that count at the reference time, as a graph on CSR arrays.

A certification counts when it is the newest of its (endorser, subject, User ID), live, not self-made, not within one
operator, and both keys are live (invariant 6). The last two kinds of rejection belong here rather than in the database
because they depend on two identities at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from trustgraph.scoring.snapshot import Flags, Ints, Snapshot
from trustgraph.scoring.splice import rows_of, spliced
from trustgraph.scoring.texts import numbered

#: Certifications looked at together: what is worked out on the way stays in a processor's cache.
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Network:
    """Distinct endorsements among ``size`` identities, sorted by (subject, endorser).

    ``endorser`` and ``subject``: one an edge, positions of identities (int32). ``start[v]:start[v + 1]`` are the edges
    into v. ``operator``: one an identity, a code that equals another's if one operator runs both. ``out_degree``:
    endorsements handed out, one an identity. ``live``: whether the identity's key is live; true for what has no key.
    """

    size: int
    endorser: Ints
    subject: Ints
    start: Ints
    operator: Ints
    out_degree: Ints
    live: Flags

    def into(self, position: int) -> Ints:
        """Endorsers of one identity."""
        return self.endorser[self.start[position] : self.start[position + 1]]


def build_network(snapshot: Snapshot) -> Network:
    """Keep of a snapshot what counts."""
    live, operator = live_keys(snapshot), operator_codes(snapshot)
    return network_from(*distinct_endorsements(snapshot, live, operator), operator, live)


def distinct_endorsements(snapshot: Snapshot, live: Flags, operator: Ints) -> tuple[Ints, Ints]:
    """(subject, endorser) of the certifications that count, each pair once, sorted."""
    counts = counting(snapshot, live, operator)
    subject, endorser = snapshot.certification_subject[counts], snapshot.certification_endorser[counts]
    later, same = subject[1:] > subject[:-1], subject[1:] == subject[:-1]
    if bool(np.all(later | (same & (endorser[1:] >= endorser[:-1])))):
        fresh = np.ones(len(subject), dtype=np.bool_)
        fresh[1:] = later | (endorser[1:] != endorser[:-1])
        return subject[fresh], endorser[fresh]
    size = len(live)
    edges = sparse.csr_array((np.ones(len(subject), dtype=np.int8), (subject, endorser)), shape=(size, size))
    edges.sum_duplicates()
    return np.repeat(np.arange(size, dtype=np.int32), np.diff(edges.indptr)), edges.indices


def counting(snapshot: Snapshot, live: Flags, operator: Ints) -> Flags:
    """Which certifications count, given which keys are live and who runs them."""
    counts: Flags = _newest(snapshot)
    for start in range(0, len(counts), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        endorser, subject = snapshot.certification_endorser[chunk], snapshot.certification_subject[chunk]
        counts[chunk] &= (snapshot.certification_live[chunk] == 1) & live[endorser] & live[subject]
        counts[chunk] &= operator[endorser] != operator[subject]
    return counts


def network_of(endorser: Ints, start: Ints, operator: Ints, live: Flags | None = None) -> Network:
    """A network from CSR parts: row v of ``start`` delimits the endorsers of v in ``endorser``."""
    size = len(start) - 1
    subject = np.repeat(np.arange(size, dtype=np.int32), np.diff(start))
    return network_from(subject, endorser, operator, np.ones(size, dtype=np.bool_) if live is None else live)


def network_from(subject: Ints, endorser: Ints, operator: Ints, live: Flags) -> Network:
    """A network from its distinct edges, sorted by (subject, endorser)."""
    size = len(live)
    start = np.concatenate([[0], np.cumsum(np.bincount(subject, minlength=size))])
    out_degree = np.bincount(endorser, minlength=size)
    endorser, subject = endorser.astype(np.int32, copy=False), subject.astype(np.int32, copy=False)
    return Network(size, endorser, subject, start, operator, out_degree, live)


def with_endorsers(network: Network, changed: Ints, subject: Ints, endorser: Ints) -> Network:
    """The network with other endorsers of some: those of ``changed``, sorted, are now the edges given, sorted too.

    Only what these edges touch is counted again: counting ten million takes longer than copying them.
    """
    gone = network.endorser[rows_of(network.subject, changed)]
    subjects, endorsers = spliced((network.subject, network.endorser), changed, (subject, endorser))
    into = np.diff(network.start)
    into[changed] = np.bincount(subject, minlength=network.size)[changed]
    out_degree = network.out_degree.copy()
    np.subtract.at(out_degree, gone, 1)
    np.add.at(out_degree, endorser, 1)
    return replace(
        network,
        subject=subjects,
        endorser=endorsers,
        start=np.concatenate([[0], np.cumsum(into)]),
        out_degree=out_degree,
    )


def live_keys(snapshot: Snapshot) -> Flags:
    """Which identities' keys are made, unexpired and unrevoked at the reference time; true for what has no key."""
    live = np.ones(len(snapshot.identity_number), dtype=np.bool_)
    now = snapshot.reference_time
    live[snapshot.key_identity] = (
        (snapshot.key_created_at <= now) & (snapshot.key_expires_at > now) & (snapshot.key_revoked_at > now)
    )
    return live


def operator_codes(snapshot: Snapshot) -> Ints:
    """Equal numbers for identities of one operator; what has no known operator is its own."""
    codes = numbered(snapshot.identity_operator)
    alone: Flags = np.asarray(snapshot.identity_operator == "", dtype=np.bool_)
    codes[alone] = len(codes) + np.flatnonzero(alone)
    return codes


def _newest(snapshot: Snapshot) -> Flags:
    """Of the certifications by one endorser over one User ID of one subject, the last."""
    last = np.ones(len(snapshot.certification_subject), dtype=np.bool_)
    last[:-1] = (
        (snapshot.certification_subject[1:] != snapshot.certification_subject[:-1])
        | (snapshot.certification_endorser[1:] != snapshot.certification_endorser[:-1])
        | (snapshot.certification_user_id[1:] != snapshot.certification_user_id[:-1])
    )
    return last
