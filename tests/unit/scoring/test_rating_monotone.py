"""Invariant 1: more is not less. What holds exactly, and under which condition.

Mail: for ``history`` always; for ``trustgraph`` for everybody as long as it disqualifies nobody and reinstates nobody,
and for the evidence on the sender always. A host found to send spam stops speaking, and what it said against others
goes with it.

Endorsements: ``endorsement-count`` promises it for everybody. Trust mass is a budget, so an endorsement takes from
those whom its endorser endorsed before, though never from its subject. While the masses stay the gate only grows, and
an endorser that has not endorsed anybody yet takes from nobody. ``pagerank`` rates relative to the typical host, which
an endorsement moves: it promises nothing. Neither do ``eigentrust``, ``sybilrank`` and ``max-flow``, for the same
reason or because units of flow are scarce.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import (
    NOW,
    TODAY,
    Cert,
    Count,
    Member,
    World,
    checked,
    key,
    member,
    parameters,
    ratings,
    snapshot_of,
    worlds,
)
from trustgraph.model import Identity
from trustgraph.scoring.algorithms import Parameters, Problem
from trustgraph.scoring.gate import group_votes, grow_gate
from trustgraph.scoring.history import HistoryParameters, weigh_history
from trustgraph.scoring.mass import trust_mass
from trustgraph.scoring.trustgraph import Trustgraph

NOTHING_LOST = 1e-12
AMOUNTS = st.sampled_from([1, 2, 7, 60, 500])


def somebody(data: st.DataObject, world: World) -> Identity:
    return Identity(data.draw(st.sampled_from([m.name for m in world.members])))


def more_mail(data: st.DataObject, world: World, kind: str) -> Count:
    """Some more mail of one kind, of anybody, seen by anybody (an anchor every other time), on some day."""
    observer = data.draw(st.sampled_from([*sorted(world.anchors), somebody(data, world)]))
    count = Count(somebody(data, world), observer, TODAY - data.draw(st.sampled_from([0, 1, 30])))
    more = data.draw(AMOUNTS)
    return replace(count, good=more) if kind == "good" else replace(count, bad=more)


def endorsement(data: st.DataObject, world: World, endorsers: list[Identity]) -> Cert:
    return Cert(data.draw(st.sampled_from(endorsers)), somebody(data, world), user_id=9, made_at=NOW)


def changes(algorithm: str, before: World, after: World, p: Parameters) -> list[float]:
    """How much each rating rose."""
    old, new = ratings(algorithm, before, p), ratings(algorithm, after, p)
    return [new[name] - old[name] for name in old]


@pytest.mark.parametrize(("kind", "sign"), [("good", 1), ("bad", -1)])
@checked(40)
@given(worlds(), st.data())
def test_invariant_1_more_good_mail_never_lowers_and_more_spam_never_raises_a_history(
    kind: str, sign: int, world: World, data: st.DataObject
) -> None:
    after = world.plus(counts=[more_mail(data, world, kind)])
    assert min(sign * rise for rise in changes("history", world, after, Parameters())) >= -NOTHING_LOST


@pytest.mark.parametrize(("kind", "sign"), [("good", 1), ("bad", -1)])
@checked(50)
@given(worlds(), parameters(), st.data())
def test_invariant_1_more_good_mail_never_lowers_and_more_spam_never_raises_any_rating_among_the_same_witnesses(
    kind: str, sign: int, world: World, p: Parameters, data: st.DataObject
) -> None:
    after = world.plus(counts=[more_mail(data, world, kind)])
    old, new = Trustgraph(world.problem(p)), Trustgraph(after.problem(p))
    assume(np.array_equal(old.disqualified, new.disqualified))
    assert (sign * (new.scores().rating - old.scores().rating)).min() >= -NOTHING_LOST


# A village in which reports count: anchors 0 to 2 (2 hardly trusted), reporters 3 to 5 whom they endorse, 4 and 5 of
# one operator; 6 and 7 endorsed by the reporters, 8 by nobody. 9 has the host name of an anchor, 10 of a reporter, so
# what these hosts' logs say is what an anchor saw, and the report of the better of two keys.
_PAIRS = [*((a, r) for a in range(3) for r in range(3, 6)), *((r, v) for r in range(3, 6) for v in (6, 7)), (6, 3)]
_HOSTS = {4: "mx4.op4.example", 5: "mx5.op4.example", 9: "mx0.op0.example", 10: "mx3.op3.example"}
_HELOS = [Identity.helo(host) for host in ("mx0.op0.example", "mx3.op3.example", "mx5.op4.example")]
VILLAGE = World(
    (
        *(member(i, operator="op4.example" if i in (4, 5) else None, host=_HOSTS.get(i)) for i in range(11)),
        *(Member(name, name.value) for name in _HELOS),
    ),
    tuple(Cert(key(u), key(v)) for u, v in (*_PAIRS, (0, 9), (1, 10))),
    (),
    {key(0): 1.0, key(1): 1.0, key(2): 0.3},
)
_REPORTS = st.builds(
    Count,
    st.sampled_from([key(i) for i in range(3, 9)]),
    st.sampled_from([*(key(i) for i in range(11)), *_HELOS]),
    st.sampled_from([TODAY, TODAY - 1, TODAY - 30]),
    good=st.sampled_from([0, 1, 3, 200]),
    bad=st.sampled_from([0, 0, 1, 4, 30]),
)


@pytest.mark.parametrize(("kind", "sign"), [("good", 1), ("bad", -1)])
@checked(150)
@given(st.lists(_REPORTS, max_size=12), _REPORTS, AMOUNTS)
def test_invariant_1_holds_for_reports_and_nobody_whom_its_own_mail_fells_or_frees_is_better_or_worse_than_refused(
    kind: str, sign: int, told: list[Count], more: Count, amount: int
) -> None:
    before = VILLAGE.plus(counts=told)
    more = replace(more, **{"good": 0, "bad": 0} | {kind: amount})
    old, new = (Trustgraph(world.problem()) for world in (before, before.plus(counts=[more])))
    then, now = old.scores().rating, new.scores().rating
    if np.array_equal(old.disqualified, new.disqualified):
        assert (sign * (now - then)).min() >= -NOTHING_LOST
    else:
        # One host is felled by its spam, or freed by its good mail; those whom it speaks of may gain and lose.
        (changed,) = np.flatnonzero(old.disqualified != new.disqualified)
        assert before.problem().snapshot.identity_name[changed] == more.subject
        assert (now if kind == "bad" else then)[changed] < Parameters().refuse


@checked(45)
@given(worlds(), st.data())
def test_invariant_1_more_mail_moves_the_evidence_its_own_way_whoever_is_trusted(
    world: World, data: st.DataObject
) -> None:
    snapshot = snapshot_of(world)
    bits = data.draw(st.binary(min_size=len(world.members), max_size=len(world.members)))
    trust = np.array([byte / 255 for byte in bits])
    old = weigh_history(snapshot, trust, HistoryParameters())
    good = weigh_history(snapshot_of(world.plus(counts=[more_mail(data, world, "good")])), trust, HistoryParameters())
    bad = weigh_history(snapshot_of(world.plus(counts=[more_mail(data, world, "bad")])), trust, HistoryParameters())
    assert (good.good_of >= old.good_of - NOTHING_LOST).all()
    assert (good.bad_of <= old.bad_of + NOTHING_LOST).all()
    assert (bad.bad_of >= old.bad_of - NOTHING_LOST).all()
    assert (bad.good_of == old.good_of).all()


@checked(50)
@given(worlds(), parameters(), st.data())
def test_invariant_1_one_more_endorsement_never_lowers_an_endorsement_count(
    world: World, p: Parameters, data: st.DataObject
) -> None:
    cert = endorsement(data, world, [m.name for m in world.members])
    assert min(changes("endorsement-count", world, world.plus(certs=[cert]), p)) >= 0.0


@checked(45)
@given(worlds(), parameters(), st.data())
def test_invariant_1_one_more_endorsement_never_lowers_the_trust_mass_of_its_subject(
    world: World, p: Parameters, data: st.DataObject
) -> None:
    cert = endorsement(data, world, [m.name for m in world.members])
    old, new = world.problem(p), world.plus(certs=[cert]).problem(p)
    assert mass_of(new, cert.subject) >= mass_of(old, cert.subject) - NOTHING_LOST


def mass_of(problem: Problem, name: Identity) -> float:
    position = list(problem.snapshot.identity_name).index(name)
    mass = trust_mass(problem.network, problem.preference, problem.parameters.damping, tolerance=1e-15)
    return float(mass.mass[position])


@checked(45)
@given(worlds(), parameters(), st.data())
def test_invariant_1_one_more_endorsement_takes_nobody_out_of_the_gate_while_the_masses_stay(
    world: World, p: Parameters, data: st.DataObject
) -> None:
    old = world.problem(p)
    new = world.plus(certs=[endorsement(data, world, [m.name for m in world.members])]).problem(p)
    mass = trust_mass(old.network, old.preference, p.damping).mass
    floor = data.draw(st.sampled_from(sorted(mass)))
    before, after = (
        grow_gate(problem.network, group_votes(problem.network), old.anchors, p.quorum, able=mass >= floor)
        for problem in (old, new)
    )
    assert (after.gated >= before.gated).all()
    assert (after.endorsers >= before.endorsers).all()


@checked(45)
@given(worlds(), parameters(), st.data())
def test_invariant_1_a_first_endorsement_lowers_no_rating_while_the_yardstick_stays(
    world: World, p: Parameters, data: st.DataObject
) -> None:
    # Both yardsticks (floor and full mass) follow the typical mass; 0 sets them to 0 and 1. Without mail no blame.
    fixed = replace(p, mass_floor=0.0, full_mass=0.0)
    world = replace(world, counts=())
    network = world.problem(fixed).network
    names = world.problem(fixed).snapshot.identity_name
    silent = [Identity(name) for name in names[network.out_degree == 0]]
    assume(silent)
    after = world.plus(certs=[endorsement(data, world, silent)])
    assert min(changes("trustgraph", world, after, fixed)) >= -1e-9


def test_invariant_1_the_message_that_disqualifies_a_host_does_not_raise_it() -> None:
    # Host 1 feeds host 2, which is the typical one; three barely trusted hosts (20 to 22) endorse host 1. When host 1
    # stops feeding host 2, that must not make the three look better than they are.
    weak = {key(10 + i): 0.03 for i in range(3)}
    certs = [Cert(key(0), key(1)), Cert(key(0), key(2)), Cert(key(1), key(2))]
    certs += [Cert(u, key(20 + i)) for u in weak for i in range(3)] + [Cert(key(20 + i), key(1)) for i in range(3)]
    people = tuple(member(i) for i in (0, 1, 2, 10, 11, 12, 20, 21, 22))
    found = []
    for spam in range(6):
        world = World(people, tuple(certs), (Count(key(1), key(0), bad=spam),), {key(0): 1.0} | weak)
        found.append(ratings("trustgraph", world)[key(1)])
    assert found == sorted(found, reverse=True)
