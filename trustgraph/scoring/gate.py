"""Who is vouched for by enough of those who are: the largest set that closes over itself.

A host is gated when its trust mass reaches the floor and at least ``quorum`` operators, each with a gated host or an
anchor, endorse it. The set is found by starting from all who have the mass and taking away whom the rest does not
carry, until nobody has to go. The mass keeps rings out (they may close over themselves, but trust does not reach them);
the quorum keeps out whom a single careless endorser fed (invariants 2, 3, 5).

Cost: a pass over the edges a round; each round removes somebody, in practice few are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from trustgraph.scoring.network import Network
from trustgraph.scoring.snapshot import Flags, Floats, Ints


@dataclass(frozen=True, slots=True)
class Gate:
    """``gated``: one flag an identity, anchors included. ``endorsers``: operators whose endorsement counts."""

    gated: Flags
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


def close_gate(
    network: Network,
    votes: Votes,
    mass: Floats,
    anchors: Flags,
    floor: float,
    quorum: int,
    disqualified: Flags | None = None,
) -> Gate:
    """The largest self-supporting set above the floor, and each identity's endorsers within it."""
    barred = np.zeros(network.size, dtype=np.bool_) if disqualified is None else disqualified
    gated = (anchors | ((mass >= floor) & (mass > 0))) & network.live
    while True:
        endorsers = count_votes(network, votes, gated & ~barred)
        remaining = gated & (anchors | (endorsers >= quorum))
        if np.array_equal(remaining, gated):
            return Gate(gated, endorsers)
        gated = remaining


def grow_gate(network: Network, anchors: Flags, quorum: int) -> Gate:
    """The smallest set instead: start from the anchors and add whoever has a quorum of those already in."""
    votes = group_votes(network)
    gated = anchors & network.live
    while True:
        endorsers = count_votes(network, votes, gated)
        grown = (gated | (endorsers >= quorum)) & network.live
        if np.array_equal(grown, gated):
            return Gate(gated, endorsers)
        gated = grown
