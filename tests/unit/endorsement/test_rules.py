"""What an endorsement takes: sums over the window, the bounds, and how what is missing is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.endorsement.history import Mail, sum_up
from trustgraph.endorsement.plan import Self, make_plan
from trustgraph.endorsement.rules import Rules, Shares, good_mails_for, is_lost, shortfalls
from trustgraph.endorsement.subject import Subject
from trustgraph.endorsement.wilson import bounds
from trustgraph.model import DailyCount, Day, Identity, UnixSeconds

OBSERVER, SUBJECT = Identity.helo("mx.example.net"), Identity.openpgp("ab" * 20)
TODAY = Day(20_000)


def day(age: int, good: int = 0, bad: int = 0, unknown: int = 0) -> DailyCount:
    return DailyCount(OBSERVER, SUBJECT, Day(TODAY - age), good, bad, unknown)


def shares_of(mail: Mail) -> Shares:
    (entry,) = make_plan([Subject("ab" * 20, mail=mail)], Self("", ""), Rules(), UnixSeconds(0)).entries
    return entry.shares


def test_the_window_ends_today_and_its_last_part_is_recent() -> None:
    counts = [day(-1, 100), day(0, 1, 2, 4), day(29, 8, 16), day(30, 32, 64), day(179, 128, 256), day(180, 512, 1024)]
    mail = sum_up(counts, TODAY, window_days=180, recent_days=30)
    assert mail == Mail(
        good=1 + 8 + 32 + 128,
        bad=2 + 16 + 64 + 256,
        unknown=4,
        days=4,
        first_day=Day(TODAY - 179),
        recent_good=1 + 8,
        recent_bad=2 + 16,
    )


def test_days_of_two_keys_are_one_day_and_days_without_good_mail_none() -> None:
    mail = sum_up([day(3, 1), day(3, 1), day(4, 0, 5), day(5, 0, 0, 5)], TODAY, window_days=180, recent_days=30)
    assert (mail.good, mail.bad, mail.unknown, mail.days, mail.first_day) == (2, 5, 5, 1, TODAY - 3)


def test_after_a_revocation_good_mail_counts_anew_and_bad_mail_stays() -> None:
    counts = [day(20, 100, 7), day(10, 50, 3), day(9, 4)]
    mail = sum_up(counts, TODAY, window_days=180, recent_days=30, good_after=Day(TODAY - 10))
    assert (mail.good, mail.bad, mail.days, mail.first_day) == (4, 10, 1, TODAY - 9)
    assert (mail.recent_good, mail.recent_bad) == (4, 10)


@pytest.mark.parametrize(
    ("good", "bad", "days", "missing"),
    [
        (381, 0, 14, []),
        (380, 0, 14, ["380 of 381 good mails that a bad share of at most 1 % takes"]),
        (381, 0, 13, ["13 of 14 days with good mail"]),
        (562, 1, 30, []),
        (400, 1, 30, ["400 of 562 good mails that a bad share of at most 1 % takes beside 1 bad"]),
        (
            *(12, 0, 3),
            [
                "12 of 50 good mails",
                "3 of 14 days with good mail",
                "12 of 381 good mails that a bad share of at most 1 % takes",
            ],
        ),
    ],
)
def test_what_is_missing_is_said_with_its_figures(good: int, bad: int, days: int, missing: list[str]) -> None:
    mail = Mail(good=good, bad=bad, days=days)
    assert list(shortfalls(mail, shares_of(mail), Rules())) == missing


@given(st.integers(0, 500), st.floats(0.001, 0.5))
def test_the_number_that_is_asked_for_is_the_fewest_that_meet_the_bound(bad: int, share: float) -> None:
    fewest = good_mails_for(share, bad)
    goods = np.array([fewest, max(fewest - 1, 0)])
    _, (meets, fails) = bounds(np.full(2, bad), goods + bad)
    assert meets <= share + 1e-12
    assert fails > share - 1e-12


@pytest.mark.parametrize(
    ("mail", "lost"),
    [
        # One misjudged message costs nothing, however little else there was of late.
        (Mail(good=400, bad=1, recent_good=0, recent_bad=1), False),
        (Mail(good=400, bad=2, recent_good=0, recent_bad=2), False),
        (Mail(good=400, bad=3, recent_good=0, recent_bad=3), True),
        # The lower bound of 3 in 101 lies just above one in a hundred, of 3 in 103 just below.
        (Mail(good=1_000, bad=3, recent_good=98, recent_bad=3), True),
        (Mail(good=1_000, bad=3, recent_good=100, recent_bad=3), False),
        # Long ago counts as well, if it is surely too much of the whole window.
        (Mail(good=400, bad=20, recent_good=300, recent_bad=0), True),
        (Mail(good=4_000, bad=20, recent_good=300, recent_bad=0), False),
    ],
)
def test_what_costs_an_endorsement(mail: Mail, lost: bool) -> None:
    assert is_lost(mail, shares_of(mail), Rules()) is lost
