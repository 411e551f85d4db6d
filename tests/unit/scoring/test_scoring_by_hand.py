"""Every step of scoring with numbers that can be checked on paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.scoring.worlds import TODAY, Cert, Count, Key, Member, World, key, member, ratings, snapshot_of
from trustgraph.model import Identity
from trustgraph.scoring.algorithms import observer_trust
from trustgraph.scoring.gate import Gate, group_votes, grow_gate
from trustgraph.scoring.history import History, HistoryParameters, weigh_history
from trustgraph.scoring.mass import trust_mass, typical_mass
from trustgraph.scoring.network import Network, network_of
from trustgraph.scoring.trustgraph import Trustgraph

# A → B, A → C, B → C: an anchor, a host that passes on, and one that both vouch for.
A, B, C = (key(i) for i in range(3))
TRIANGLE = World((member(0), member(1), member(2)), (Cert(A, B), Cert(A, C), Cert(B, C)), (), {A: 1.0})


def flags(size: int, *true: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.isin(np.arange(size), true)


def test_mass_halves_at_each_step_and_is_shared_among_the_endorsed() -> None:
    problem = TRIANGLE.problem()
    found = trust_mass(problem.network, problem.preference, 0.5)
    np.testing.assert_allclose(found.mass, [0.5, 0.125, 0.125 + 0.0625], rtol=1e-12)
    assert found.residual < 1e-11


def test_what_a_disqualified_host_would_have_passed_on_is_lost() -> None:
    problem = TRIANGLE.problem()
    found = trust_mass(problem.network, problem.preference, 0.5, disqualified=flags(3, 1))
    np.testing.assert_allclose(found.mass, [0.5, 0.125, 0.125], rtol=1e-12)


def test_anchors_share_the_preference_by_weight() -> None:
    problem = replace(TRIANGLE, anchors={A: 1.0, B: 0.5, Identity.dkim("unknown.example"): 1.0}).problem()
    np.testing.assert_allclose(problem.preference, [2 / 3, 1 / 3, 0.0])
    # B: 1/2 * 1/3 of its own and 1/2 * 1/3 * 1/2 from A.
    mass = trust_mass(problem.network, problem.preference, 0.5).mass
    np.testing.assert_allclose(mass, [1 / 3, 1 / 4, 1 / 12 + 1 / 8], rtol=1e-10)


@pytest.mark.parametrize(
    ("mass", "anchors", "typical"),
    [
        ([0.1, 0.2, 0.3, 0.5], (), 0.3),  # 0.1 + 0.2 is less than half of 1.1, with 0.3 it is more
        ([0.3, 0.5, 0.2, 0.1], (), 0.3),
        ([0.1, 0.2, 0.3, 0.5], (3,), 0.2),  # of 0.6
        ([0.1, 0.0, 0.0, 0.0], (), 0.1),  # any number of hosts without mass
        ([0.4, 0.0, 0.0, 0.0], (0,), 0.0),
    ],
)
def test_the_typical_mass_is_the_median_over_mass(mass: list[float], anchors: tuple[int, ...], typical: float) -> None:
    assert typical_mass(np.array(mass), flags(4, *anchors)) == typical


def network(size: int, *edges: tuple[int, int], operator: list[int] | None = None, dead: int = -1) -> Network:
    """Endorsements (endorser, subject) among hosts of operators of their own."""
    ordered = sorted(edges, key=lambda edge: (edge[1], edge[0]))
    start = np.searchsorted([subject for _, subject in ordered], np.arange(size + 1))
    codes = np.arange(size) if operator is None else np.array(operator)
    return network_of(np.array([u for u, _ in ordered], dtype=np.int64), start, codes, ~flags(size, dead))


# 0 and 1 are anchors. 2 has both, 3 has 0 and 2, 4 has only 3, 5 has 3 and 4; 6 and 7 have each other and 5.
STAIRS = ((0, 2), (1, 2), (0, 3), (2, 3), (3, 4), (3, 5), (4, 5), (6, 7), (7, 6), (5, 6), (5, 7))
EVERYBODY = np.ones(8, dtype=np.bool_)


def stairs_gate(*more: tuple[int, int], quorum: int = 2, **options: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Gate:
    stairs = network(8, *STAIRS, *more)
    return grow_gate(stairs, group_votes(stairs), flags(8, 0, 1), quorum, **options)


def test_the_gate_grows_from_the_anchors_a_quorum_at_a_time() -> None:
    gate = stairs_gate()
    # 4 lacks a second voice, so 5 does, so 6 and 7 do, although they have each other.
    assert np.flatnonzero(gate.gated).tolist() == [0, 1, 2, 3]
    assert gate.endorsers.tolist() == [0, 0, 2, 2, 1, 1, 0, 0]


def test_who_is_one_endorsement_short_of_the_core_has_a_voice_that_makes_no_further_voices() -> None:
    gate = stairs_gate(able=EVERYBODY)
    # 3 of the core endorses 4 and 5: with 4's voice 5 passes. 6 and 7 have only 5's, since 5 is not of the core.
    assert np.flatnonzero(gate.voices).tolist() == [0, 1, 2, 3, 4, 5]
    assert np.flatnonzero(gate.gated).tolist() == [0, 1, 2, 3, 5]
    assert gate.endorsers.tolist() == [0, 0, 2, 2, 1, 2, 1, 1]
    # One short of three is two: 2 and 3 have both anchors, so they let 4 pass, but only anchors are of the core.
    steps = network(6, (0, 2), (1, 2), (0, 3), (1, 3), (1, 4), (2, 4), (3, 4), (2, 5), (3, 5), (4, 5))
    gate = grow_gate(steps, group_votes(steps), flags(6, 0, 1), 3, able=~flags(6))
    assert gate.endorsers.tolist() == [0, 0, 2, 2, 3, 3]
    without = grow_gate(steps, group_votes(steps), flags(6, 0, 1), 3)
    assert without.endorsers.tolist() == [0, 0, 2, 2, 1, 0]


def test_nobody_is_next_to_the_core_without_a_voice_of_it() -> None:
    # With a quorum of one, one short is still one: 2 and 3 know each other only.
    pairs = network(4, (0, 1), (2, 3), (3, 2))
    gate = grow_gate(pairs, group_votes(pairs), flags(4, 0), 1, able=~flags(4))
    assert np.flatnonzero(gate.voices).tolist() == [0, 1]
    # 2 is of the core and disqualified: 3, which it alone endorses, is next to nobody.
    pairs = network(4, (0, 2), (1, 2), (2, 3))
    gate = grow_gate(pairs, group_votes(pairs), flags(4, 0, 1), 2, able=~flags(4), barred=flags(4, 2))
    assert np.flatnonzero(gate.voices).tolist() == [0, 1]


def test_whom_an_anchor_endorses_itself_has_a_voice_before_it_has_a_quorum() -> None:
    with_voice = stairs_gate((0, 4), able=EVERYBODY)  # 4 has 3 and an anchor now; 5 has 3 and 4
    assert np.flatnonzero(with_voice.gated).tolist() == [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
    ]  # 5 is of the core: 6 and 7 have voices
    alone = network(5, (0, 1), (0, 2), (1, 3), (2, 3), (3, 4))
    gate = grow_gate(alone, group_votes(alone), flags(5, 0), 2, able=np.ones(5, dtype=np.bool_))
    assert np.flatnonzero(gate.gated).tolist() == [0, 3]
    assert np.flatnonzero(gate.voices).tolist() == [0, 1, 2, 3, 4]  # 4 is next to 3


def test_the_gate_asks_for_mass_as_well() -> None:
    able = ~flags(8, 2)
    # Without 2, whose voice is gone too, nobody has a quorum.
    assert np.flatnonzero(stairs_gate(able=able).gated).tolist() == [0, 1]
    assert np.flatnonzero(stairs_gate(able=able).voices).tolist() == [0, 1, 3]


def test_a_disqualified_host_has_no_voice_and_a_dead_anchor_no_place() -> None:
    gate = stairs_gate(able=EVERYBODY, barred=flags(8, 2))
    assert np.flatnonzero(gate.gated).tolist() == [0, 1, 2]
    dead = network(3, (0, 2), dead=1)
    for able in (None, np.ones(3, dtype=np.bool_)):
        assert grow_gate(dead, group_votes(dead), flags(3, 0, 1), 1, able=able).gated.tolist() == [True, False, True]


def test_the_plain_gate_gives_nobody_a_voice_before_a_quorum() -> None:
    gate = stairs_gate((0, 4), (4, 6), (4, 7))
    assert np.flatnonzero(gate.gated).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    gate = stairs_gate((4, 6), (4, 7))
    assert np.flatnonzero(gate.gated).tolist() == [0, 1, 2, 3]
    assert gate.endorsers.tolist() == [0, 0, 2, 2, 1, 1, 0, 0]


def test_two_hosts_of_one_operator_have_one_vote() -> None:
    twins = network(4, (0, 3), (1, 3), (2, 3), operator=[5, 5, 6, 7])
    votes = group_votes(twins)
    assert votes.group.tolist() == [0, 0, 1]
    assert grow_gate(twins, votes, flags(4, 0, 1, 2), 2).endorsers.tolist() == [0, 0, 0, 2]
    assert not grow_gate(twins, votes, flags(4, 0, 1), 2).gated[3]


def weigh(*counts: Count, trust: tuple[float, ...] = (1.0, 0.5, 0.0, 0.0), **changed: float) -> History:
    """Evidence on host 3 as hosts 0, 1 and 2 saw it."""
    snapshot = snapshot_of(World(tuple(member(i) for i in range(4)), (), counts))
    return weigh_history(snapshot, np.array(trust), replace(HistoryParameters(), **changed))


def seen(observer: int, age: int = 0, *, good: int = 0, bad: int = 0, unknown: int = 0) -> Count:
    return Count(key(3), key(observer), TODAY - age, good, bad, unknown)


@pytest.mark.parametrize(
    ("counts", "good", "bad", "messages"),
    [
        ((seen(0, good=3),), 4.5, 0.0, 3),
        ((seen(1, good=3),), 2.25, 0.0, 3),  # half trusted
        ((seen(2, good=3, bad=9),), 0.0, 0.0, 0),  # not trusted
        ((seen(0, good=4),), 5.0, 0.0, 4),  # the cap of a day
        ((seen(0, good=4), seen(1, good=4)), 5.0, 0.0, 8),  # for all observers together
        ((seen(0, good=7), seen(0, 1, good=7)), 5.0 * (1 + 0.5 ** (1 / 30)), 0.0, 14),  # days apart
        ((seen(0, 30, good=2),), 1.5, 0.0, 2),  # half-life
        ((seen(0, bad=2),), 0.0, 12.0, 2),  # the penalty
        ((seen(1, 60, bad=2),), 0.0, 1.5, 2),  # half trusted, a quarter left
        ((seen(0, good=100, bad=1),), 5.0, 0.0, 101),  # tolerated
        ((seen(0, good=100, bad=3),), 5.0, 12.0, 103),
        ((seen(0, good=1000), seen(1, bad=2)), 5.0, 6.0, 1002),  # one observer's good forgives nothing to another
        ((seen(0, good=1000), seen(0, 1, bad=2)), 5.0, 12.0 * 0.5 ** (1 / 30), 1002),  # nor one day's to another
        ((seen(0, unknown=4),), 0.0, 0.0, 4),
    ],
)
def test_evidence(counts: tuple[Count, ...], good: float, bad: float, messages: int) -> None:
    history = weigh(*counts)
    assert history.good_of[3] == pytest.approx(good, rel=1e-12)
    assert history.bad_of[3] == pytest.approx(bad, rel=1e-12)
    assert history.messages_of.tolist() == [0, 0, 0, messages]


def test_mail_of_unknown_outcome_counts_as_good_by_its_weight() -> None:
    history = weigh(seen(0, good=1, bad=1, unknown=8), unknown_weight=0.25)
    assert (history.good_of[3], history.bad_of[3]) == pytest.approx((4.5, 6.0 * 0.97))


def test_an_observer_named_by_its_host_speaks_with_the_best_of_that_hosts_keys() -> None:
    shared = "mx.example.org"
    helo, stranger = Identity.helo(shared), Identity.helo("mx.example.net")
    people = (
        *(Member(Identity.dkim("example.org"), shared), Member(helo, shared), Member(stranger, "mx.example.net")),
        *(member(1, host=shared), member(2, host=shared), member(3, host="")),
    )
    counts = tuple(Count(key(9), observer) for observer in (helo, stranger, key(3)))
    problem = World((*people, member(9)), (), counts, {key(1): 1.0}).problem()
    names = list(problem.snapshot.identity_name)
    trust = np.zeros(len(names))
    trust[[names.index(key(1)), names.index(key(2)), names.index(key(3))]] = 0.4, 0.7, 0.9
    spoken = observer_trust(problem, trust)
    assert spoken[names.index(helo)] == 0.7
    assert spoken[names.index(stranger)] == 0.0
    assert spoken[names.index(key(3))] == 0.9
    assert spoken[names.index(Identity.dkim("example.org"))] == 0.0
    trust[names.index(helo)] = 0.8
    assert observer_trust(problem, trust)[names.index(helo)] == 0.8


# Three anchors vouch for host 3, which vouches for host 4.
TRUSTED = World(
    tuple(member(i) for i in range(6)),
    (*(Cert(key(i), key(3)) for i in range(3)), Cert(key(3), key(4))),
    (),
    {key(0): 1.0, key(1): 0.5, key(2): 0.25},
)


def solve(*counts: Count, world: World = TRUSTED) -> Trustgraph:
    return Trustgraph(world.plus(counts=counts).problem())


def test_the_rating_of_an_endorsed_host() -> None:
    solved = solve()
    # E = 44 (1 + 1/2 + 1/4) = 77; mean = (12 + 77) / 137 = 0.649635; less 1.28 sqrt(0.227609 / 138).
    # An anchor's weight is the operator's own word for it: 80 times that.
    assert solved.endorsement.tolist() == [80.0, 40.0, 20.0, 77.0, 0, 0]
    assert solved.scores().rating[3] == pytest.approx(0.649635 - 1.28 * 0.0406122, abs=1e-6)
    assert solved.scores().confidence[3] == pytest.approx(77 / 137)
    assert solved.scores().endorsers.tolist() == [0, 0, 0, 3, 1, 0]
    # Nobody knows the last one: 0.2 less 1.28 sqrt(0.16 / 61).
    assert solved.scores().rating[5] == pytest.approx(0.2 - 1.28 * 0.0512148, abs=1e-6)


def test_all_endorsements_together_weigh_the_limit_at_most() -> None:
    world = replace(TRUSTED, anchors={key(i): 1.0 for i in (0, 1, 2, 5)}).plus(certs=[Cert(key(5), key(3))])
    assert solve(world=world).endorsement[3] == 80.0


def test_of_one_operators_hosts_the_weightiest_counts() -> None:
    twin = Member(key(5), "mx5.op0.example", "op0.example", Key())
    world = replace(TRUSTED, members=(*TRUSTED.members[:5], twin), anchors=dict(TRUSTED.anchors) | {key(5): 0.7})
    solved = solve(world=world.plus(certs=[Cert(key(5), key(3))]))
    assert solved.endorsement[3] == 77.0
    assert solved.gate.endorsers[3] == 3


def test_an_anchor_without_a_quorum_of_its_own_gets_nothing_from_its_endorsers() -> None:
    world = TRUSTED.plus(certs=[Cert(key(0), key(1)), Cert(key(2), key(1))])
    assert solve(world=world).endorsement[1] == 40.0


def test_an_anchor_stands_by_the_operators_word_until_its_mail_speaks_against_it() -> None:
    assert solve().scores().rating[0] == pytest.approx(0.657143 - 1.28 * 0.0399739, abs=1e-6)  # 92 / 140
    assert solve(Count(key(0), key(1), bad=60)).scores().rating[0] < 0.5


@pytest.mark.parametrize(("spam", "blame"), [(0, 0.0), (10, 3.0), (40, 5.0)])
def test_an_endorser_bears_part_of_the_spam_of_whom_it_endorsed(spam: int, blame: float) -> None:
    solved = solve(Count(key(4), key(0), bad=spam))
    assert solved.blame.tolist() == pytest.approx([0, 0, 0, blame, 0, 0])


def test_four_spam_messages_to_an_anchor_disqualify_a_host_without_good_mail() -> None:
    # 12 / 84 = 0.1429 less 1.28 * 0.0380 is 0.0943; with three it is 0.1019, above 0.1.
    assert not solve(Count(key(3), key(0), bad=3)).disqualified.any()
    solved = solve(Count(key(3), key(0), bad=4))
    assert np.flatnonzero(solved.disqualified).tolist() == [3]
    assert solved.mass.mass[4] == 0.0
    assert solved.gate.endorsers[4] == 0
    assert solved.weight[3] == 0.0


@pytest.mark.parametrize("sender", [0, 3])
def test_neither_an_anchor_nor_a_host_that_only_others_accuse_is_disqualified(sender: int) -> None:
    accuser = key(0) if sender == 0 else key(4)
    assert not solve(Count(key(sender), accuser, bad=400)).disqualified.any()


def test_a_disqualified_host_is_no_witness() -> None:
    praise = Count(key(5), key(3), good=5)
    assert solve(praise).good[5] == 5.0
    assert solve(praise, Count(key(3), key(0), bad=4)).good[5] == 0.0


def test_a_dead_key_is_neither_endorsed_nor_a_witness() -> None:
    dead = replace(TRUSTED, members=(*TRUSTED.members[:3], member(3, dead=Key(revoked_at=0)), *TRUSTED.members[4:]))
    solved = solve(Count(key(5), key(3), good=5), world=dead)
    assert solved.endorsement[3] == 0.0
    assert solved.history.good_of[5] == 0.0


def test_a_dead_anchor_is_no_witness() -> None:
    people = (member(0, dead=Key(revoked_at=0)), *TRUSTED.members[1:])
    praise = Count(key(5), key(0), good=5)
    assert solve(praise, world=replace(TRUSTED, members=people)).history.good_of[5] == 0.0


def test_the_plain_algorithms() -> None:
    history = Count(key(5), key(0), good=5, bad=1)
    world = TRUSTED.plus(counts=[history])
    assert ratings("endorsement-count", world)[key(3)] == 3 / 6
    assert ratings("endorsement-count", world)[key(4)] == 1 / 4
    # Good 12 + 5; in all 60 + 5 and 6 times the spam less what is tolerated.
    assert ratings("history", world)[key(5)] == pytest.approx(17 / 70.7)
    # Host 3 holds what the anchors pass on, host 4 seven tenths of that: the typical host is 3, the floor 3 % of it.
    assert ratings("pagerank", world)[key(3)] == pytest.approx(100 / 103)
    assert ratings("pagerank", world)[key(4)] == pytest.approx(70 / 73)


def test_critical_endorsers_are_those_without_whom_the_rating_would_not_stand() -> None:
    assert solve().critical(3) == [0, 1, 2]  # a quorum of three, and no more
    assert solve().critical(4) == []  # below anyway
    full = {key(i): 1.0 for i in (0, 1, 2, 5)}
    spare = replace(TRUSTED, anchors=full).plus(certs=[Cert(key(5), key(3))])
    assert solve(world=spare).critical(3) == []
    # Two of the four are one operator: without it only two votes are left.
    twins = replace(
        spare, members=tuple(replace(m, operator="op0.example") if m.name == key(1) else m for m in spare.members)
    )
    assert solve(world=twins).critical(3) == [0, 1, 2, 5]
