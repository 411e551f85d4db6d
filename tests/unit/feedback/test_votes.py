"""One recipient one vote, whatever the order, and who outweighs whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.feedback.votes import Source, Vote, combined, latest
from trustgraph.model import Outcome, UnixSeconds

GOOD, SPAM, MALWARE, UNKNOWN = Outcome.GOOD, Outcome.SPAM, Outcome.MALWARE, Outcome.UNKNOWN


def vote(source: Source, outcome: Outcome, voter: int = 0, at: int = 0) -> Vote:
    return Vote(source, voter, outcome, UnixSeconds(at))


def user(outcome: Outcome, voter: int = 1, at: int = 0) -> Vote:
    return vote(Source.USER, outcome, voter, at)


INGESTED_GOOD = vote(Source.INGESTED, GOOD)
TRAP = vote(Source.TRAP, SPAM, 9)


@pytest.mark.parametrize(
    ("votes", "outcome"),
    [
        ([], UNKNOWN),
        ([INGESTED_GOOD], GOOD),
        ([vote(Source.INGESTED, SPAM), vote(Source.CLASSIFIER, GOOD)], GOOD),
        ([vote(Source.CLASSIFIER, GOOD), user(SPAM)], SPAM),
        ([vote(Source.CLASSIFIER, SPAM), user(GOOD)], GOOD),
        ([user(GOOD, 1), user(SPAM, 2)], SPAM),
        ([user(GOOD, 1), user(GOOD, 2), user(SPAM, 3)], GOOD),
        ([user(GOOD, 1), user(GOOD, 2), user(MALWARE, 3)], GOOD),
        ([user(SPAM, 1), user(MALWARE, 2)], SPAM),
        ([user(SPAM, 1), user(MALWARE, 2), user(MALWARE, 3)], MALWARE),
        ([TRAP, user(GOOD, 1), user(GOOD, 2)], SPAM),
        ([TRAP, vote(Source.CLASSIFIER, MALWARE)], MALWARE),
        ([vote(Source.INGESTED, MALWARE), user(GOOD, 1), user(GOOD, 2)], MALWARE),
        ([INGESTED_GOOD, user(UNKNOWN)], GOOD),
        ([INGESTED_GOOD, user(SPAM, 1, 5), user(UNKNOWN, 1, 6)], GOOD),
        ([INGESTED_GOOD, user(SPAM, 1, 5), user(UNKNOWN, 1, 4)], SPAM),
    ],
)
def test_who_outweighs_whom(votes: list[Vote], outcome: Outcome) -> None:
    assert combined(votes) is outcome


def test_one_voter_has_one_vote_and_the_latest_counts() -> None:
    often = [user(SPAM, 1, at) for at in range(9)]
    assert combined([*often, user(GOOD, 2), user(GOOD, 3)]) is GOOD
    assert combined([user(SPAM, 1, 5), user(GOOD, 1, 6)]) is GOOD
    assert combined([user(SPAM, 1, 6), user(GOOD, 1, 5)]) is SPAM
    assert combined([user(GOOD, 1, 5), user(SPAM, 1, 5)]) is SPAM


VOTES = st.lists(
    st.builds(
        Vote,
        st.sampled_from(Source),
        st.integers(0, 3),
        st.sampled_from(Outcome),
        st.integers(0, 3).map(UnixSeconds),
    ),
    max_size=12,
)


@given(VOTES, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(votes: list[Vote], chance: object) -> None:
    again = [*votes, *votes[: len(votes) // 2]]
    chance.shuffle(again)  # type: ignore[attr-defined]
    assert combined(again) is combined(votes)
    assert latest(again) == latest(votes)
    assert combined(latest(votes).values()) is combined(votes)


@given(VOTES, st.integers(0, 3))
def test_one_more_complaint_never_makes_a_message_better(votes: list[Vote], voter: int) -> None:
    bad = {GOOD: 0, UNKNOWN: 0, SPAM: 1, MALWARE: 1}
    after = combined([*votes, user(SPAM, voter, 99)])
    assert bad[after] >= bad[combined(votes)]
    assert after is not UNKNOWN
