"""Invariants 8 to 10: a traitor falls fast, every rating adds up, and what does not converge raises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import TODAY, Cert, Count, World, checked, key, member, parameters, ratings, worlds
from trustgraph.errors import NoAnchors, NotConverged
from trustgraph.model import Identity
from trustgraph.scoring.algorithms import Parameters
from trustgraph.scoring.explanation import total
from trustgraph.scoring.history import HistoryParameters
from trustgraph.scoring.mass import trust_mass
from trustgraph.scoring.registry import ALGORITHMS
from trustgraph.scoring.trustgraph import Trustgraph, traitor_bound

TRAITOR = key(0)
WITNESS = key(1)


def best_possible_past(spam: int, p: Parameters) -> float:
    """The rating of a host with the highest endorsement, three years of as much good mail as counts, and praise."""
    h = p.history
    friends, admirers = [member(i) for i in range(2, 30)], [member(i) for i in range(30, 33)]
    observers = [WITNESS, *(m.name for m in admirers)]
    days = [Count(TRAITOR, o, TODAY - age, good=int(h.cap)) for o in observers for age in range(1, 1_100)]
    world = World(
        members=(member(0), member(1), *friends, *admirers),
        certs=tuple(Cert(m.name, subject) for m in friends for subject in (TRAITOR, *observers[1:])),
        counts=(*days, Count(TRAITOR, WITNESS, TODAY, good=int(h.cap), bad=spam)),
        anchors={m.name: 1.0 for m in friends} | {WITNESS: 1.0},
    )
    return ratings("trustgraph", world, p)[TRAITOR]


def test_invariant_8_a_traitor_falls_after_forty_six_spam_messages_at_most() -> None:
    p = Parameters()
    assert traitor_bound(p) == 46
    assert best_possible_past(0, p) > 0.8
    assert best_possible_past(45, p) >= p.accept > best_possible_past(46, p)


def test_invariant_8_trust_comes_slowly() -> None:
    # Whatever the volume: without endorsers it takes twelve days of good mail, and one spam message undoes one of them.
    def after(days: int, spam: int = 0) -> float:
        good = [Count(TRAITOR, WITNESS, TODAY - 1 - age, good=1_000) for age in range(days)]
        today = Count(TRAITOR, WITNESS, TODAY, bad=spam)
        return ratings("trustgraph", World((member(0), member(1)), (), (*good, today), {WITNESS: 1.0}))[TRAITOR]

    assert after(11) < Parameters().accept <= after(12)
    assert after(12, spam=1) < after(11)


@checked(40)
@given(
    st.sampled_from([0.4, 0.5, 0.7]),
    st.sampled_from([20.0, 80.0, 300.0]),
    st.sampled_from([1.0, 5.0, 20.0]),
    st.sampled_from([1.0, 6.0]),
    st.sampled_from([7.0, 30.0]),
    st.sampled_from([0.0, 0.05]),
)
def test_invariant_8_the_bound_holds_under_any_policy(
    accept: float, limit: float, cap: float, penalty: float, half_life: float, tolerance: float
) -> None:
    history = HistoryParameters(cap=cap, penalty=penalty, half_life_days=half_life, tolerance=tolerance)
    p = Parameters(accept=accept, endorsement_limit=limit, history=history)
    assert best_possible_past(traitor_bound(p), p) < accept


@checked(40)
@given(worlds(), parameters(), st.data())
def test_invariant_8_the_bound_holds_in_any_world(world: World, p: Parameters, data: st.DataObject) -> None:
    world = replace(world, anchors=dict(world.anchors) | {WITNESS: 1.0})
    if WITNESS not in [m.name for m in world.members]:
        world = world.plus(members=[member(1)])
    traitor = Identity(data.draw(st.sampled_from([m.name for m in world.members])))
    # More than the cap of good mail from the traitor on the same day would forgive a share of it (see the next test).
    quiet = tuple(replace(c, good=min(c.good, 5)) if c.day == TODAY else c for c in world.counts)
    fallen = replace(world, counts=quiet).plus(counts=[Count(traitor, WITNESS, TODAY, bad=traitor_bound(p))])
    assert ratings("trustgraph", fallen, p)[traitor] < p.accept


def test_invariant_8_a_busy_host_is_forgiven_one_spam_in_a_hundred_more() -> None:
    p = Parameters()
    busy = [Count(TRAITOR, WITNESS, TODAY, good=10_000, bad=spam) for spam in (100, 100 + traitor_bound(p))]
    worlds_ = [World((member(0), member(1)), (), (count,), {WITNESS: 1.0}) for count in busy]
    forgiven, caught = (Trustgraph(world.problem(p)).history.bad_of[0] for world in worlds_)
    assert (forgiven, caught) == (0.0, 6.0 * 46)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@checked(35)
@given(worlds(), parameters())
def test_invariant_9_the_contributions_add_up_to_the_rating(algorithm: str, world: World, p: Parameters) -> None:
    solved = ALGORITHMS[algorithm](world.problem(p))
    for position, rating in enumerate(solved.scores().rating):
        parts = solved.contributions(position)
        assert total(parts) == pytest.approx(rating, rel=0, abs=1e-12)
        # Endorsers and good mail only ever add, spam and blame only ever take away.
        assert all(part.amount >= 0 for part in parts if part.kind in ("prior", "anchor", "endorser", "good-mail"))
        assert all(part.amount <= 0 for part in parts if part.kind in ("bad-mail", "blame", "caution"))


def test_invariant_9_a_rating_is_never_below_nothing_and_still_adds_up() -> None:
    # With so small a prior the caution alone is more than the mean: 1 / 120 less 1.28 * 0.0083.
    world = World((member(0), member(1)), (), (Count(TRAITOR, WITNESS, bad=10),), {WITNESS: 1.0})
    solved = Trustgraph(world.problem(Parameters(prior_good=1.0, prior_bad=59.0)))
    assert solved.scores().rating[0] == 0.0
    assert total(solved.contributions(0)) == pytest.approx(0.0, abs=1e-12)


@checked(40)
@given(worlds(), parameters())
def test_invariant_9_mass_shares_and_the_anchors_own_share_make_one(world: World, p: Parameters) -> None:
    problem = world.problem(p)
    solved = Trustgraph(problem)
    for position, mass in enumerate(solved.mass.mass):
        shares = sum(solved.mass_shares(position).values())
        if mass:
            own = (1.0 - p.damping) * problem.preference[position]
            # The shares come from the last iterate but one: they are as exact as the iteration is.
            assert shares + own / mass == pytest.approx(1.0, rel=0, abs=1e-12 + solved.mass.residual / mass)
        else:
            assert shares == 0.0


def two_hosts(*certs: Cert) -> World:
    return World((member(0), member(1)), certs, (), {key(0): 1.0})


@pytest.mark.parametrize("damping", [1.0, 1.5, 2.0, float("nan")])
@pytest.mark.parametrize("certs", [(Cert(key(0), key(1)),), (Cert(key(0), key(1)), Cert(key(1), key(0)))])
def test_invariant_10_no_damping_no_mass(damping: float, certs: tuple[Cert, ...]) -> None:
    problem = two_hosts(*certs).problem()
    with pytest.raises(NotConverged):
        trust_mass(problem.network, problem.preference, damping)


@pytest.mark.parametrize("algorithm", ["trustgraph", "pagerank", "eigentrust", "max-flow"])
def test_invariant_10_no_algorithm_hides_it(algorithm: str) -> None:
    world = two_hosts(Cert(key(0), key(1)), Cert(key(1), key(0)))
    with pytest.raises(NotConverged):
        ratings(algorithm, world, Parameters(damping=1.01))


def test_invariant_10_an_impossible_tolerance_raises_and_says_what_is_left() -> None:
    problem = two_hosts(Cert(key(0), key(1))).problem()
    with pytest.raises(NotConverged, match=r"residual is .*, not -1"):
        trust_mass(problem.network, problem.preference, 0.5, tolerance=-1.0)


def test_slow_convergence_within_the_bound_is_convergence() -> None:
    problem = two_hosts(Cert(key(0), key(1)), Cert(key(1), key(0))).problem()
    slow = trust_mass(problem.network, problem.preference, 0.95)
    assert slow.residual < 1e-11
    np.testing.assert_allclose(slow.mass, [1 / 1.95, 0.95 / 1.95], atol=1e-9)


@pytest.mark.parametrize("anchors", [{}, {Identity.dkim("unknown.example"): 1.0}])
def test_without_an_anchor_there_is_no_rating(anchors: dict[Identity, float]) -> None:
    with pytest.raises(NoAnchors):
        replace(two_hosts(), anchors=anchors).problem()
