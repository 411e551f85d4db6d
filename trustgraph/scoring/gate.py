"""Who is vouched for by enough of those who are, beginning with the anchors.

A host is gated when its trust mass reaches the floor and at least ``quorum`` operators endorse it, each with a host
that has a voice. A voice have the core and those next to it, given mass. The core grows from the anchors: those whom an
anchor endorses itself have a voice, whoever has a quorum of voices joins, until nobody is added. Next to it is who is
one endorsement short: ``quorum - 1`` operators of the core endorse it. Such a host's voice counts for others at the
gate, but makes no further voices.

This is not the largest set that supports itself: that one would let the members of a ring be each other's quorum as
soon as one careless signature gives them mass. Here every voice inside a ring has an endorsement of its own from
outside, so with fewer than ``quorum`` endorsements into the ring, whoever made them, no member has a quorum (invariant
2): it has at most those made to itself and one voice for each made to another. With more, the mass bounds how many pass
(invariants 3 and 4). An operator has one vote however many hosts it has (invariant 5).

Cost: a few passes over the edges, and a light one for each step of distance from the anchors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from trustgraph.scoring.gather import Each, in_threads, row_blocks
from trustgraph.scoring.network import Network
from trustgraph.scoring.snapshot import Flags, Ints


@dataclass(frozen=True, slots=True)
class Gate:
    """One value an identity.

    ``gated``: vouched for, anchors included. ``voices``: whose endorsements count. ``endorsers``: operators with one.
    """

    gated: Flags
    voices: Flags
    endorsers: Ints


@dataclass(frozen=True, slots=True)
class Votes:
    """Edges grouped by (subject, endorser's operator): ``group`` of each edge, ``subject`` of each group."""

    group: Ints
    subject: Ints


def group_votes(network: Network) -> Votes:
    """One operator, one vote: number the distinct (subject, operator of the endorser), by both."""
    order = np.empty(len(network.endorser), dtype=np.int32)  # of the edges, by subject and operator
    fresh = np.empty(len(order), dtype=np.bool_)

    def one(rows: slice) -> None:
        first, last = network.start[rows.start], network.start[rows.stop]
        operator = network.operator[network.endorser[first:last]]
        start = network.start[rows.start : rows.stop + 1] - first
        parts = (np.arange(first, last, dtype=np.int32), operator, start)
        edges = sparse.csr_array(parts, shape=(rows.stop - rows.start, int(operator.max(initial=0)) + 1))
        edges.sort_indices()
        order[first:last] = edges.data
        fresh[first + 1 : last] = edges.indices[1:] != edges.indices[:-1]
        fresh[first + start[:-1][np.diff(start) > 0]] = True

    with in_threads(row_blocks(network)) as each:
        each(one)
    group = np.empty(len(order), dtype=np.int32)
    group[order] = np.cumsum(fresh, dtype=np.int32) - 1
    return Votes(group, network.subject[fresh])


def count_votes(network: Network, votes: Votes, trusted: Flags) -> Ints:
    """Operators with a trusted host among each identity's endorsers."""
    voted = np.zeros(len(votes.subject), dtype=np.bool_)
    voted[votes.group[trusted[network.endorser]]] = True
    return np.bincount(votes.subject[voted], minlength=network.size)


class Tally:
    """Votes of voices that only ever become more: each is counted when it comes."""

    def __init__(self, network: Network, votes: Votes, each: Each[slice]) -> None:
        self._network, self._votes, self._each = network, votes, each
        self._heard = np.zeros(network.size, dtype=np.bool_)
        self._voted = np.zeros(len(votes.subject), dtype=np.bool_)
        self._endorsers: Ints = np.zeros(network.size, dtype=np.int64)

    def with_voices(self, voices: Flags) -> Ints:
        """What :func:`count_votes` gives for ``voices``, who include all that were given before."""
        new = voices & ~self._heard
        self._heard = voices.copy()
        network, subject = self._network, self._votes.subject

        def one(rows: slice) -> None:
            edges = slice(network.start[rows.start], network.start[rows.stop])
            groups = slice(*np.searchsorted(subject, np.array([rows.start, rows.stop], dtype=subject.dtype)))
            voting = np.zeros(groups.stop - groups.start, dtype=np.bool_)
            voting[self._votes.group[edges][new[network.endorser[edges]]] - groups.start] = True
            voting &= ~self._voted[groups]
            self._voted[groups] |= voting
            more = np.bincount(subject[groups][voting] - rows.start, minlength=rows.stop - rows.start)
            self._endorsers[rows] += more

        self._each(one)
        return self._endorsers.copy()


def grow_gate(
    network: Network,
    votes: Votes,
    anchors: Flags,
    quorum: int,
    *,
    able: Flags | None = None,
    barred: Flags | None = None,
) -> Gate:
    """The live anchors and every live, able host with a quorum of voices.

    ``able``: who may be gated at all, and have a voice without being of the core; by default everybody may, and only
    the core has one. ``barred``: whose endorsements do not count.
    """
    anchors = anchors & network.live
    may = network.live if able is None else able & network.live
    heard = anchors if able is None else anchors | (may & _endorsed_by(network, anchors))
    silent = np.zeros(network.size, dtype=np.bool_) if barred is None else barred
    with in_threads(row_blocks(network)) as each:
        core, tally = anchors, Tally(network, votes, each)
        while True:
            voices = (core | heard) & ~silent
            endorsers = tally.with_voices(voices)
            grown = core | (may & (endorsers >= quorum))
            if np.array_equal(grown, core):
                break
            core = grown
        if able is None:
            return Gate(core, voices, endorsers)
        near = may & (count_votes(network, votes, core & ~silent) >= max(quorum - 1, 1))
        voices |= near & ~silent
        endorsers = tally.with_voices(voices)
        return Gate(core | (may & (endorsers >= quorum)), voices, endorsers)


def _endorsed_by(network: Network, endorsers: Flags) -> Flags:
    found = np.zeros(network.size, dtype=np.bool_)
    found[network.subject[endorsers[network.endorser]]] = True
    return found
