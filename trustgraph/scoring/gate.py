"""Who is vouched for by enough of those who are, beginning with the anchors.

A host is gated when its trust mass reaches the floor and at least ``quorum`` operators endorse it, each with a host
that has a voice. Those who have a voice are the anchors, whom an anchor endorses itself, and whoever is gated. The set
is grown from the anchors until nobody is added. It is not the largest set that supports itself: that one would let the
members of a ring be each other's quorum as soon as one careless signature gives them mass (invariant 2). The quorum
keeps out whom one endorser fed, the mass keeps out what a few of them can feed (invariants 3 and 4), and an operator
has one vote however many hosts it has (invariant 5).

Cost: a pass over the edges a round; a round for each step of distance from the anchors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

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
    """One operator, one vote: number the distinct (subject, operator of the endorser)."""
    operator = network.operator[network.endorser]
    width = int(operator.max()) + 1 if len(operator) else 1
    edges = sparse.csr_array((np.arange(len(operator)), operator, network.start), shape=(network.size, width))
    edges.sort_indices()
    fresh = np.ones(len(operator), dtype=np.bool_)
    fresh[1:] = (network.subject[1:] != network.subject[:-1]) | (edges.indices[1:] != edges.indices[:-1])
    group = np.empty(len(operator), dtype=np.int64)
    group[edges.data] = np.cumsum(fresh) - 1
    return Votes(group, network.subject[fresh])


def count_votes(network: Network, votes: Votes, trusted: Flags) -> Ints:
    """Operators with a trusted host among each identity's endorsers."""
    voted = np.zeros(len(votes.subject), dtype=np.bool_)
    voted[votes.group[trusted[network.endorser]]] = True
    return np.bincount(votes.subject[voted], minlength=network.size)


def grow_gate(
    network: Network,
    votes: Votes,
    anchors: Flags,
    quorum: int,
    *,
    able: Flags | None = None,
    barred: Flags | None = None,
) -> Gate:
    """The smallest set that has the live anchors and every live, able host with a quorum of voices.

    ``able``: who may be gated at all, and whom an anchor's own endorsement gives a voice; by default everybody may, and
    only gated hosts have one. ``barred``: whose endorsements do not count.
    """
    anchors = anchors & network.live
    may = network.live if able is None else able & network.live
    heard = anchors if able is None else anchors | (may & _endorsed_by(network, anchors))
    silent = np.zeros(network.size, dtype=np.bool_) if barred is None else barred
    gated = anchors
    while True:
        voices = (gated | heard) & ~silent
        endorsers = count_votes(network, votes, voices)
        grown = gated | (may & (endorsers >= quorum))
        if np.array_equal(grown, gated):
            return Gate(gated, voices, endorsers)
        gated = grown


def _endorsed_by(network: Network, endorsers: Flags) -> Flags:
    found = np.zeros(network.size, dtype=np.bool_)
    found[network.subject[endorsers[network.endorser]]] = True
    return found
