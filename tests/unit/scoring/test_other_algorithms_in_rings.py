"""What a ring gains from the algorithms that the default is compared with: the bound that each one states."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.scoring.test_rating_rings import village
from tests.unit.scoring.worlds import Cert, World, key, member, ratings
from trustgraph.model import Identity
from trustgraph.scoring.algorithms import Parameters, Problem
from trustgraph.scoring.eigentrust import EigenTrust
from trustgraph.scoring.flow import MaxFlow
from trustgraph.scoring.snapshot import Flags, Ints
from trustgraph.scoring.sybilrank import SybilRank

ACCEPT = Parameters().accept
ATTACKS = pytest.mark.parametrize("attacks", [1, 3, 8])
SIZES = (10, 100, 1_000, 4_000)


def ring(size: int) -> list[Identity]:
    return [key(1_000 + i) for i in range(size)]


def attacked(size: int, attacks: int) -> World:
    """A village of eight, and a ring that ``attacks`` of the villagers endorse into.

    Each member endorses the next four: a clique would not fit in memory.
    """
    names = ring(size)
    certs = [Cert(u, names[(i + step) % size]) for i, u in enumerate(names) for step in range(1, 5)]
    bought = [Cert(key(1 + i), names[i]) for i in range(attacks)]
    return village(8).plus(members=[member(1_000 + i) for i in range(size)], certs=certs + bought)


def members_of_ring(problem: Problem) -> Flags:
    return np.asarray(problem.snapshot.identity_name >= key(1_000), dtype=np.bool_)


def endorsements_into(problem: Problem, inside: Flags) -> Ints:
    """The endorser of each endorsement into the ring."""
    network = problem.network
    return network.endorser[inside[network.subject] & ~inside[network.endorser]]


@ATTACKS
def test_max_flow_gives_a_ring_what_passes_those_who_endorse_into_it_and_no_more_for_its_size(attacks: int) -> None:
    found = []
    for size in SIZES:
        problem = attacked(size, attacks).problem()
        solved, inside = MaxFlow(problem), members_of_ring(problem)
        found.append(int(solved.accepted[inside].sum()))
        assert found[-1] <= (solved.flow.capacity[endorsements_into(problem, inside)] - 1).sum()
        assert solved.accepted[~inside].all()
    assert found[1:] == [found[1]] * 3


@ATTACKS
def test_sybilrank_lifts_of_a_ring_what_the_trust_that_entered_lets_it(attacks: int) -> None:
    for size in SIZES:
        problem = attacked(size, attacks).problem()
        solved, inside = SybilRank(problem), members_of_ring(problem)
        lifted = int((inside & (solved.rating >= ACCEPT)).sum())
        assert lifted <= solved.trust[inside].sum() / (solved.typical / 2)
        assert lifted <= 2 * attacks
        assert (solved.rating[~inside & ~problem.anchors] >= ACCEPT).all()


def test_sybilrank_lets_a_ring_with_one_signature_talk_nobody_down() -> None:
    world, villagers = attacked(40, 1), [m.name for m in village(8).members]
    slander = [Cert(u, v) for u in ring(40) for v in villagers]
    before, after = ratings("sybilrank", world), ratings("sybilrank", world.plus(certs=slander))
    assert min(after[v] for v in villagers) > min(before[v] for v in villagers) - 0.02


@ATTACKS
def test_eigentrust_bounds_what_a_ring_holds_by_what_enters_it(attacks: int) -> None:
    for size in SIZES:
        problem = attacked(size, attacks).problem()
        solved, inside, damping = EigenTrust(problem), members_of_ring(problem), problem.parameters.damping
        payers = endorsements_into(problem, inside)
        entered = damping * (solved.trust[payers] / solved.local.total[payers]).sum()
        assert solved.trust[inside].sum() <= entered / (1.0 - damping) + 1e-12
