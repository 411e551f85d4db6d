"""The algorithms that the default is compared with, on networks small enough to do on paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.scoring.worlds import TODAY, Cert, Count, Key, Member, World, key, member, ratings
from trustgraph.model import Identity
from trustgraph.scoring.algorithms import Parameters, Scores
from trustgraph.scoring.distance import distances
from trustgraph.scoring.eigentrust import EigenTrust
from trustgraph.scoring.flow import MaxFlow, capacities, good_hosts, maximum_flow
from trustgraph.scoring.registry import ALGORITHMS
from trustgraph.scoring.shares import divide, median_over_mass
from trustgraph.scoring.sybilrank import SybilRank

# A → B, A → C, B → C; A is the anchor.
A, B, C, D = (key(i) for i in range(4))
TRIANGLE = World(tuple(member(i) for i in range(3)), (Cert(A, B), Cert(A, C), Cert(B, C)), (), {A: 1.0})
# A has had mail, or its host has.
PAIR = World(tuple(member(i) for i in range(4)), (Cert(A, B),), (), {A: 1.0})
# Half of all trust is passed on at each step.
HALF = Parameters(damping=0.5, mass_floor=0.01)


def trust(world: World) -> list[float]:
    return EigenTrust(world.problem(HALF)).trust.tolist()


def test_eigentrust_passes_trust_on_and_what_nobody_passes_on_goes_back_to_the_anchor() -> None:
    # t_A = 1/2 + t_C / 2, t_B = t_A / 4, t_C = t_A / 4 + t_B / 2.
    assert trust(TRIANGLE) == pytest.approx([8 / 13, 2 / 13, 3 / 13])
    # C is the typical one; a hundredth of what it has rates one half.
    assert list(ratings("eigentrust", TRIANGLE, HALF).values()) == pytest.approx([8 / 8.03, 2 / 2.03, 3 / 3.03])


@pytest.mark.parametrize(
    ("count", "worth"),
    [
        (Count(C, A, good=2), 3.0),
        (Count(C, A, good=9), 5.0),  # the cap of a day
        (Count(C, A, TODAY - 30, good=2), 1.5),  # the half-life
        (Count(C, A, good=5, bad=1), 0.0),  # 5 - 6 * 0.95 is less than nothing
        (Count(C, A, good=500, bad=5), 5.0),  # tolerated
        (Count(C, Identity.helo("mx0.op0.example"), good=2), 3.0),  # A speaks for its host
        (Count(C, Identity.helo("mx9.op9.example"), good=3), 0.0),
        (Count(A, B, good=3), 0.0),
    ],
)
def test_eigentrust_weighs_an_endorsement_as_one_satisfactory_mail(count: Count, worth: float) -> None:
    observer = Member(count.observer, count.observer.value)
    known = [m.name for m in PAIR.members]
    world = PAIR.plus(counts=[count], members=[observer] if observer.name not in known else [])
    found = dict(zip(sorted({*known, observer.name}), trust(world), strict=True))
    assert found[C] == pytest.approx(worth * found[B])
    assert found[B] > 0


def test_eigentrust_does_not_count_an_endorsement_that_the_endorsers_own_mail_speaks_against() -> None:
    spam = Count(B, A, good=5, bad=1)
    assert trust(PAIR.plus(counts=[spam])) == pytest.approx([1, 0, 0, 0])
    assert trust(PAIR.plus(counts=[replace(spam, bad=0)])) == pytest.approx([2 / 3, 1 / 3, 0, 0])
    # Good and bad days add up, and what others saw is not one's own dealing.
    good_days = [Count(B, A, TODAY - age, good=5) for age in (1, 2)]
    assert trust(PAIR.plus(counts=[spam, *good_days]))[1] == pytest.approx(1 / 3)
    assert trust(PAIR.plus(counts=[replace(spam, observer=C)]))[1] == pytest.approx(1 / 3)
    helo = Identity.helo("mx0.op0.example")
    seen = PAIR.plus(members=[Member(helo, helo.value, "op0.example")], counts=[replace(spam, observer=helo)])
    assert max(ratings("eigentrust", seen)[name] for name in (B, C, D, helo)) == 0.0


@pytest.mark.parametrize(
    "subject", [member(1, operator="op0.example"), member(1, dead=Key(revoked_at=0))], ids=["own operator", "dead key"]
)
def test_eigentrust_counts_no_mail_of_ones_own_hosts_or_of_a_dead_key(subject: Member) -> None:
    world = World((member(0), subject), (), (Count(B, A, good=5),), {A: 1.0})
    assert trust(world) == [1.0, 0.0]
    assert EigenTrust(world.problem()).scores().sample_size.tolist() == [0, 0]


def test_eigentrust_names_the_observers_and_counts_the_messages_that_trusted_ones_saw() -> None:
    solved = EigenTrust(PAIR.plus(counts=[Count(C, A, good=7, bad=1, unknown=2), Count(C, D, good=9)]).problem())
    assert solved.scores().sample_size.tolist() == [0, 0, 10, 0]
    assert solved.scores().endorsers.tolist() == [0, 1, 0, 0]
    solved = EigenTrust(PAIR.plus(counts=[Count(C, A, good=7)], certs=[Cert(B, C)]).problem(HALF))
    kinds = {(part.kind, part.name): part.mass_share for part in solved.contributions(2)}
    # A hands on 5 of its 6 parts to C, 1 to B, who hands on all that it has: 5/12 t_A and t_B / 2 = t_A / 24.
    assert kinds == pytest.approx({("endorser", B): 1 / 11, ("good-mail", A): 10 / 11})


def test_sybilrank_walks_a_few_rounds_and_looks_at_what_the_endorsements_carry() -> None:
    # Two rounds. t_1 = 1/2, 1/4, 1/4; t_2 = 3/8, 1/4, 3/8, that of C being 1/4 from A and 1/8 from B.
    solved = SybilRank(TRIANGLE.problem())
    assert solved.rounds == 2
    assert solved.trust.tolist() == pytest.approx([3 / 8, 1 / 4, 3 / 8])
    assert solved.strength.tolist() == pytest.approx([3 / 8, 1 / 4, (1 / 16 + 1 / 64) * 8 / 3])
    # C is the typical one: it rates 2/3.
    assert solved.rating.tolist() == pytest.approx([18 / 23, 12 / 17, 2 / 3])
    shares = {part.name: (part.mass_share, part.amount) for part in solved.contributions(2)}
    assert shares[A] == pytest.approx((2 / 3, 2 / 3 * 4 / 5))
    assert shares[B] == pytest.approx((1 / 3, 2 / 3 * 1 / 5))


def test_sybilrank_goes_no_further_than_it_has_rounds() -> None:
    people = tuple(member(i) for i in range(9))
    chain = World(people, tuple(Cert(key(i), key(i + 1)) for i in range(8)), (), {A: 1.0})
    rating = list(ratings("sybilrank", chain).values())  # nine hosts: four rounds
    assert min(rating[:5]) > 0
    assert rating[5:] == [0.0] * 4


# A → B, C, D; B → 4, 5, 6; 4 → 7: C and D endorse nobody.
TREE = World(
    tuple(member(i) for i in range(9)),
    tuple(Cert(key(u), key(v)) for u, v in [(0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (1, 6), (4, 7)]),
    (),
    {A: 1.0},
)


def test_max_flow_shares_its_capacity_among_those_at_a_distance_who_endorse_anybody() -> None:
    problem = TREE.plus(certs=[Cert(D, key(4))]).problem()
    level = distances(problem.network, problem.anchors)
    assert level.tolist() == [0, 1, 1, 1, 2, 2, 2, 3, -1]
    assert capacities(problem, level, 7).tolist() == [7, 4, 4, 4, 4, 4, 4, 4, 0]
    anchors = replace(TREE, anchors={A: 0.5, key(4): 0.2}).problem()
    level = distances(anchors.network, anchors.anchors)
    assert capacities(anchors, level, 8)[[0, 1, 4, 7]].tolist() == [8, 8, 4, 8]


@pytest.mark.parametrize(("supply", "accepted"), [(1, 1), (2, 2), (4, 4), (5, 5), (8, 8), (99, 8)])
def test_max_flow_reaches_as_many_hosts_as_the_anchor_has_units_the_near_ones_first(supply: int, accepted: int) -> None:
    problem = TREE.problem()
    level = distances(problem.network, problem.anchors)
    reached = maximum_flow(problem, capacities(problem, level, supply)).through > 0
    assert reached.sum() == accepted
    assert max(level[reached]) <= min(level[~reached & (level >= 0)], default=3)


def test_max_flow_counts_as_good_hosts_those_with_trust_mass_worth_counting() -> None:
    # Outside the anchor: 1/12 for B, C and D each, 1/72 for 4, 5 and 6, 1/144 for 7; the typical mass is 1/12.
    assert good_hosts(TREE.problem(HALF)) == 8
    assert good_hosts(TREE.problem(replace(HALF, mass_floor=1.0))) == 1 + 4  # 3 + 3/6 + 1/12, rounded up
    assert good_hosts(World((member(0),), (), (), {A: 1.0}).problem()) == 1


@pytest.mark.parametrize("accept", [0.1, 0.5, 0.7])
def test_max_flow_rates_by_the_units_that_pass_and_whom_they_do_not_reach_by_its_endorsers(accept: float) -> None:
    # With a floor of ten times the typical mass C is 2: the anchor reaches itself and one of B, C and D.
    solved = MaxFlow(TREE.problem(replace(HALF, mass_floor=10.0, accept=accept)))
    rating = solved.rating
    assert solved.flow.through.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0]
    assert rating[0] == pytest.approx(accept + (1 - accept) / 2)
    assert rating[1] == accept
    assert rating[2:4].tolist() == pytest.approx([accept / 2] * 2)
    assert rating[4:].tolist() == pytest.approx([accept / 2] * 3 + [0, 0])
    assert solved.scores().endorsers.tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 0]
    assert [(p.kind, p.mass_share) for p in solved.contributions(0)] == [("anchor", 1.0)]


@pytest.mark.parametrize("algorithm", ["eigentrust", "sybilrank", "max-flow"])
def test_what_nothing_is_known_of_rates_0(algorithm: str) -> None:
    # The last one is known only to somebody of whom nothing is known.
    world = TRIANGLE.plus(members=[member(8), member(9)], certs=[Cert(key(8), key(9))])
    world = world.plus(counts=[Count(key(9), key(8), good=5)])
    scores: Scores = ALGORITHMS[algorithm](world.problem()).scores()
    assert scores.rating[3:].tolist() == [0.0, 0.0]
    assert scores.sample_size[3:].tolist() == [0, 0]
    assert scores.endorsers[3:].tolist() == [0, 0]


def test_the_median_over_mass_and_a_tie() -> None:
    value, mass = np.array([3.0, 1.0, 2.0]), np.array([0.1, 0.1, 0.2])
    assert median_over_mass(value, mass) == 2.0
    # One and three have half each, whatever rounding makes of it: the lower one.
    assert median_over_mass(value, np.array([0.3, 0.1 + 0.2, 0.0])) == 1.0
    assert median_over_mass(value, np.zeros(3)) == 0.0


def test_a_rating_is_divided_by_powers_of_the_flows_and_trust_by_the_flows() -> None:
    parts = divide(0.5, [("endorser", "a", 1.0), ("endorser", "b", 3.0)], power=2)
    assert [p.amount for p in parts] == pytest.approx([0.05, 0.45])
    assert [p.mass_share for p in parts] == [0.25, 0.75]
    assert [p.amount for p in divide(0.0, [("endorser", "a", 0.0)])] == [0.0]
