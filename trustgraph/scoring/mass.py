"""Trust mass: personalised PageRank from the anchors, in which every endorser has one fixed budget.

    x = (1 - a) p + a P^T x,    P[u, v] = 1 / out_degree(u) for each endorsement u -> v

Source: Page et al. 1999; as a trust metric, Gyoengyi et al. 2004 (TrustRank). p is the anchors' weights, a the damping.
A host without endorsements of its own keeps its mass; a disqualified host's endorsements carry none, and what they
would have carried is lost rather than handed to others, so that nobody gains from somebody else's misbehaviour.

Cost: a pass over the edges an iteration, ceil(log(tolerance) / log(a)) iterations at most. Guarantee: what enters a
set of hosts by endorsements from outside is amplified inside it by at most 1 / (1 - a^2) (a ring of two), 1 / (1 - a)
along any walk; mass is never made, so ``x.sum() <= 1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from trustgraph.errors import NotConverged
from trustgraph.scoring.network import Network
from trustgraph.scoring.snapshot import Flags, Floats

#: Above this an iteration is wrong, not slow: at damping 0.9 a tolerance of 1e-12 takes 263.
MAX_ITERATIONS = 1_000


@dataclass(frozen=True, slots=True)
class Mass:
    """``mass``: trust mass of each identity. ``residual``: L1 distance of the last two iterates."""

    mass: Floats
    iterations: int
    residual: float


def trust_mass(
    network: Network, preference: Floats, damping: float, *, disqualified: Flags | None = None, tolerance: float = 1e-14
) -> Mass:
    """Iterate to an L1 change below ``tolerance``; ``preference`` sums to 1.

    Raises :class:`NotConverged` instead of returning what it has.
    """
    if not 0.0 <= damping < 1.0:
        raise NotConverged(f"trust mass has no limit at damping {damping:g}: expected 0 or more and below 1")
    budget = _budgets(network, disqualified)
    ones = np.ones(len(network.endorser))
    edges = sparse.csr_array((ones, network.endorser, network.start), shape=(network.size, network.size))
    constant = (1.0 - damping) * preference
    x = constant
    for iteration in range(1, MAX_ITERATIONS + 1):
        following = constant + damping * (edges @ (x * budget))
        residual = float(np.abs(following - x).sum())
        x = following
        if residual < tolerance:
            return Mass(x, iteration, residual)
    raise NotConverged(f"trust mass: after {MAX_ITERATIONS} iterations the residual is {residual:g}, not {tolerance:g}")


def _budgets(network: Network, disqualified: Flags | None) -> Floats:
    """What share of its mass one endorsement of each host carries."""
    budget = 1.0 / np.maximum(network.out_degree, 1)
    if disqualified is not None:
        budget[disqualified] = 0.0
    return budget


def typical_mass(mass: Floats, anchors: Flags) -> float:
    """The median of trust mass over mass: half of all trust outside the anchors lies with hosts above it.

    A median over hosts could be moved by anybody who makes many keys; this one only by who holds the mass. 0 if there
    is no mass outside the anchors.
    """
    held = np.sort(mass[~anchors & (mass > 0)])
    if not len(held):
        return 0.0
    return float(held[np.searchsorted(np.cumsum(held), held.sum() / 2)])
