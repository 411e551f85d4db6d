"""Invariants 2 to 5: what few signatures, rings, bought signatures and many keys of one operator can gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import Cert, Count, Member, World, checked, key, member, parameters, ratings, worlds
from trustgraph.lab.grafting import Attack, Placement, graft
from trustgraph.lab.realgraphs import Graph
from trustgraph.model import Identity
from trustgraph.scoring.algorithms import Parameters, pose
from trustgraph.scoring.mass import typical_mass
from trustgraph.scoring.registry import ALGORITHMS
from trustgraph.scoring.trustgraph import Trustgraph

ACCEPT = Parameters().accept
RELAY = key(900)


def clique(names: list[Identity]) -> list[Cert]:
    return [Cert(u, v) for u in names for v in names if u != v]


def village(hosts: int) -> World:
    """An anchor that endorses ``hosts`` hosts of as many operators, who all endorse each other: all are accepted."""
    people = tuple(member(i) for i in range(hosts + 1))
    names = [m.name for m in people]
    certs = [Cert(names[0], v) for v in names[1:]] + clique(names[1:])
    return World(people, tuple(certs), (), {names[0]: 1.0})


def test_the_village_stands() -> None:
    assert min(list(ratings("trustgraph", village(5)).values())[1:]) >= ACCEPT


@pytest.mark.parametrize("algorithm", ["trustgraph", "endorsement-count"])
@checked(40)
@given(worlds(), st.integers(1, 5), st.data())
def test_invariant_2_fewer_than_quorum_endorsers_do_not_lift_a_relay(
    algorithm: str, world: World, quorum: int, data: st.DataObject
) -> None:
    # Any world endorses a new key, but no more than quorum - 1 of its operators do.
    certs: list[Cert] = []
    operators: set[str] = set()
    for m in data.draw(st.permutations(world.members)):
        operator = m.operator or m.name
        if operator in operators or len(operators) < quorum - 1:
            operators.add(operator)
            certs.append(Cert(m.name, RELAY))
    after = world.plus(members=[member(900)], certs=certs)
    assert ratings(algorithm, after, Parameters(quorum=quorum))[RELAY] < ACCEPT


@pytest.mark.parametrize("signers", [[key(0)], [key(1), key(2)]], ids=["the anchor", "two villagers"])
def test_invariant_2_a_ring_behind_it_does_not_make_up_for_missing_signatures(signers: list[Identity]) -> None:
    # The relay and three more new keys endorse each other: none of them is an independent endorser of another.
    people = [member(900 + i) for i in range(4)]
    names = [m.name for m in people]
    certs = [Cert(signer, RELAY) for signer in signers] + clique(names)
    after = ratings("trustgraph", village(10).plus(members=people, certs=certs))
    assert max(after[name] for name in names) < ACCEPT


@st.composite
def rings(draw: st.DrawFn, world: World) -> tuple[list[Member], list[Cert], list[Count]]:
    """New keys, under operators of their own or claiming those of others, that endorse each other and outsiders.

    They send mail to outsiders and claim to have seen mail of them.
    """
    claimed = [m.operator for m in world.members] + ["ring.example"]
    people = []
    for number in range(draw(st.integers(1, 6))):
        operator = draw(st.sampled_from([f"op{900 + number}.example", f"op{900 + number}.example", *claimed]))
        host = draw(st.sampled_from([m.host for m in world.members]))
        people.append(replace(member(900 + number, operator=operator), host=host))
    inside, outside = [m.name for m in people], [m.name for m in world.members]
    pairs = [(u, v) for u in inside for v in [*inside, *outside] if u != v]
    bits = draw(st.binary(min_size=len(pairs), max_size=len(pairs)))
    certs = [Cert(u, v) for (u, v), byte in zip(pairs, bits, strict=True) if byte & 1]
    slander = [Count(draw(st.sampled_from(outside)), u, good=draw(st.integers(0, 9)), bad=9) for u in inside[:2]]
    return people, certs, slander


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@checked(50)
@given(worlds(), parameters(), st.data())
def test_invariant_3_a_ring_changes_no_rating_outside_and_lifts_none_inside(
    algorithm: str, world: World, p: Parameters, data: st.DataObject
) -> None:
    people, certs, slander = data.draw(rings(world))
    before = ratings(algorithm, world, p)
    after = ratings(algorithm, world.plus(members=people, certs=certs, counts=slander), p)
    assert {name: after[name] for name in before} == pytest.approx(before, rel=0, abs=1e-12)
    assert max(after[m.name] for m in people) < ACCEPT


@checked(60)
@given(worlds(), parameters(), st.data())
def test_invariant_2_with_fewer_than_quorum_endorsements_into_a_ring_nobody_in_it_passes_the_gate(
    world: World, p: Parameters, data: st.DataObject
) -> None:
    # Whoever made them, anchors as well, and whichever members got them; behind them is a clique.
    people = [member(900 + i) for i in range(5)]
    names = [m.name for m in people]
    bought = st.tuples(st.sampled_from([m.name for m in world.members]), st.sampled_from(names))
    certs = [Cert(*pair) for pair in data.draw(st.lists(bought, max_size=p.quorum - 1))]
    problem = world.plus(members=people, certs=certs + clique(names)).problem(replace(p, mass_floor=0.0))
    gated = Trustgraph(problem).gate.gated
    assert not gated[np.isin(problem.snapshot.identity_name, names)].any()


#: A village as in :func:`village`, host 0 being the one that endorses most.
_PAIRS = np.array([(u, v) for u in range(12) for v in range(1, 12) if u != v])
VILLAGE = Graph(12, _PAIRS[:, 0], _PAIRS[:, 1])


def ring_in_village(size: int, edges: int) -> tuple[int, int, float]:
    """Ring members that pass the gate, and that are accepted; and c: how many one endorsement can feed at most."""
    attack = Attack(edges, sybils=size, reach=4, camouflage=0, placement=Placement.CONCENTRATED, each=4)
    attacked = graft(VILLAGE, attack, seed=1, anchors=1)
    problem = pose(attacked.snapshot, attacked.anchors, Parameters())
    solved, p = Trustgraph(problem), problem.parameters
    honest = ~attacked.sybil
    carried = (solved.mass.mass / np.maximum(problem.network.out_degree, 1))[honest].max()
    c = p.damping / (1.0 - p.damping) * carried / (p.mass_floor * typical_mass(solved.mass.mass, problem.anchors))
    gated = int(solved.gate.gated[attacked.sybil].sum())
    return gated, int((solved.scores().rating[attacked.sybil] >= p.accept).sum()), float(c)


@pytest.mark.parametrize("edges", [1, 2, 4, 8])
def test_invariant_4_bought_endorsements_feed_a_bounded_number_however_large_the_ring(edges: int) -> None:
    # Mass is never made: what enters stays for 1 / (1 - a) steps, and every gated member holds the floor of it.
    found = {size: ring_in_village(size, edges) for size in (10, 100, 1_000, 10_000, 100_000)}
    assert all(accepted <= gated <= c * edges for gated, accepted, c in found.values())
    assert len({(gated, accepted) for size, (gated, accepted, _) in found.items() if size > 10}) == 1
    gated, accepted, c = found[100_000]
    assert c < 100
    assert (gated > 0) == (edges >= Parameters().quorum)
    assert accepted <= gated


@checked(60)
@given(st.integers(1, 6), st.integers(0, 2), parameters())
def test_invariant_5_one_operator_one_vote(hosts: int, others: int, p: Parameters) -> None:
    # A gated operator has 1 + hosts hosts; all of them endorse the subject, and so do some others, one host each.
    world = village(4)
    operator = world.members[1].operator
    clones = [member(100 + i, operator=operator) for i in range(hosts)]
    certs = [Cert(u.name, v.name) for u in world.members if u.operator != operator for v in clones]
    certs += [Cert(key(2 + i), RELAY) for i in range(others)] + [Cert(key(1), RELAY)]
    one = world.plus(members=[*clones, member(900)], certs=certs)
    all_of_them = one.plus(certs=[Cert(m.name, RELAY) for m in clones])
    for world_now in (one, all_of_them):
        for algorithm in ("trustgraph", "endorsement-count"):
            problem = world_now.problem(p)
            position = list(problem.snapshot.identity_name).index(RELAY)
            scores = ALGORITHMS[algorithm](problem).scores()
            assert scores.endorsers[position] <= 1 + others
            assert (scores.rating[position] < ACCEPT) or others + 1 >= p.quorum
