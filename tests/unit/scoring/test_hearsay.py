"""What others report counts for something, but neither lifts a host nor gets it refused on one operator's word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.scoring.worlds import TODAY, Cert, Count, Key, Member, World, key, member
from trustgraph.model import Identity
from trustgraph.scoring.algorithms import Parameters
from trustgraph.scoring.explanation import total
from trustgraph.scoring.trustgraph import Trustgraph

#: Anchors 0 to 2 endorse the reporters 3 to 8; 9 is known to nobody, 10 is endorsed as the reporters are.
ANCHORS, REPORTERS, STRANGER, PEER = range(3), range(3, 9), 9, 10
VILLAGE = World(
    tuple(member(i) for i in range(11)),
    tuple(Cert(key(a), key(b)) for a in ANCHORS for b in (*REPORTERS, PEER)),
    (),
    {key(a): 1.0 for a in ANCHORS},
)
P = Parameters()


def reports(subject: int, reporters: int, *, days: int = 40, good: int = 0, bad: int = 0) -> list[Count]:
    """The same every day by so many reporters."""
    return [
        Count(key(subject), key(3 + r), day=TODAY - age, good=good, bad=bad)
        for r in range(reporters)
        for age in range(days)
    ]


def solve(*counts: Count, world: World = VILLAGE) -> Trustgraph:
    return Trustgraph(world.plus(counts=counts).problem())


def rating(solved: Trustgraph, position: int) -> float:
    return float(solved.scores().rating[position])


def test_one_operators_reports_weigh_the_limits_at_most() -> None:
    assert solve(*reports(STRANGER, 1, good=50)).good[STRANGER] == P.history.hearsay_good
    assert solve(*reports(STRANGER, 1, bad=50)).bad[STRANGER] == P.history.hearsay_bad
    assert solve(*reports(STRANGER, 1, days=2, good=2)).good[STRANGER] == pytest.approx(3 + 3 * 0.5 ** (1 / 30))


@pytest.mark.parametrize(("reporters", "refused"), [(1, False), (2, False), (3, True)])
def test_it_takes_a_quorum_of_operators_to_have_a_stranger_refused(reporters: int, refused: bool) -> None:
    assert (rating(solve(*reports(STRANGER, reporters, bad=500)), STRANGER) < P.refuse) is refused


def test_no_number_of_slanderers_here_gets_a_host_that_is_vouched_for_refused() -> None:
    assert P.refuse < rating(solve(*reports(PEER, 6, bad=500)), PEER) < rating(solve(), PEER)


def test_no_number_of_praisers_lifts_a_host_alone() -> None:
    solved = solve(*reports(STRANGER, 6, good=500))
    assert solved.good[STRANGER] == pytest.approx(P.history.hearsay_good_in_all)
    assert rating(solved, STRANGER) < P.accept
    # Many more than there are here could not either: the limit for all is what counts.
    assert (P.prior_good + P.history.hearsay_good_in_all) / (
        P.prior_good + P.prior_bad + P.history.hearsay_good_in_all
    ) < 0.53


def test_what_an_anchor_saw_is_no_hearsay() -> None:
    seen = [Count(key(STRANGER), key(0), day=TODAY - age, good=9) for age in range(30)]
    assert solve(*seen).good[STRANGER] > P.history.hearsay_good_in_all
    assert solve(*seen).hearsay.good_of[STRANGER] == 0


def test_one_operator_has_one_voice_by_whatever_name_it_reports() -> None:
    twin = Member(key(4), "mx4.op3.example", "op3.example", Key())
    world = replace(VILLAGE, members=(*VILLAGE.members[:4], twin, *VILLAGE.members[5:]))
    helo = Identity.helo("mx3.op3.example")
    named, stranger = world.plus(members=[Member(helo)]), STRANGER + 1  # which sorts before the keys
    by_name = [Count(key(STRANGER), helo, bad=500)]
    for counts in (reports(STRANGER, 2, bad=500), [*reports(STRANGER, 2, bad=500), *by_name], by_name):
        assert solve(*counts, world=named).bad[stranger] == P.history.hearsay_bad
    assert solve(*reports(STRANGER, 3, bad=500), world=named).bad[stranger] == 2 * P.history.hearsay_bad


def test_a_host_without_a_voice_is_not_heard() -> None:
    assert solve(Count(key(PEER), key(STRANGER), bad=500)).bad[PEER] == 0


def test_whose_own_mail_is_bad_is_rated_by_that_alone() -> None:
    """Whoever vouches for it and however it is praised: four spam messages and nothing good."""
    spam = Count(key(PEER), key(0), bad=4)
    praised = solve(spam, *reports(PEER, 6, good=50))
    alone = solve(Count(key(STRANGER), key(0), bad=4))
    assert rating(praised, PEER) == pytest.approx(rating(alone, STRANGER))
    assert rating(praised, PEER) < P.refuse
    parts = praised.contributions(PEER)
    assert total(parts) == pytest.approx(rating(praised, PEER), abs=1e-12)
    assert [part.kind for part in parts if part.amount < -0.1] == ["own-mail"]


def test_three_spam_messages_are_outweighed_by_those_who_vouch() -> None:
    assert rating(solve(Count(key(PEER), key(0), bad=3)), PEER) > P.accept


def test_reports_are_named_in_the_explanation() -> None:
    solved = solve(*reports(STRANGER, 2, good=5), *reports(STRANGER, 1, bad=1))
    parts = {part.name: part.amount for part in solved.contributions(STRANGER) if part.kind == "hearsay"}
    assert set(parts) == {key(3), key(4)}
    assert parts[key(4)] > parts[key(3)] > 0
    assert total(solved.contributions(STRANGER)) == pytest.approx(rating(solved, STRANGER), abs=1e-12)
