"""What an endorsement takes and what costs it, and how far a history is from either, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, sqrt

from trustgraph.endorsement.history import Mail
from trustgraph.endorsement.wilson import Z95


@dataclass(frozen=True, slots=True)
class Rules:
    """Earned: so many good mails on so many days, and a bad share of surely at most ``max_bad_share`` in the window.

    Lost: a bad share of surely more than that, in the window or its last ``revoke_window_days``, by at least
    ``revoke_bad_mails`` bad mails. Between the two nothing is taken back and nothing renewed, so that a misjudged
    message or two neither cost an endorsement nor make one flap. "Surely" is the 95 % Wilson bound.

    ``confirmed_hosts``: only a host that was seen to send from its own address with its key is certified as that host.
    """

    good_mails: int = 50
    days: int = 14
    max_bad_share: float = 0.01
    window_days: int = 180
    lifetime_seconds: int = 90 * 86_400
    renew_after_seconds: int = 60 * 86_400
    budget_per_week: int = 20
    revoke_bad_mails: int = 3
    revoke_window_days: int = 30
    confirmed_hosts: bool = True


@dataclass(frozen=True, slots=True)
class Shares:
    """95 % bounds: the most that the bad share may be in the window, the least that it is there and of late."""

    most: float
    least: float
    least_recent: float


def shortfalls(mail: Mail, shares: Shares, rules: Rules) -> Iterator[str]:
    """What is missing for an endorsement, in words; nothing if it is earned."""
    if mail.good < rules.good_mails:
        yield f"{mail.good} of {rules.good_mails} good mails"
    if mail.days < rules.days:
        yield f"{mail.days} of {rules.days} days with good mail"
    if shares.most > rules.max_bad_share:
        takes = good_mails_for(rules.max_bad_share, mail.bad)
        beside = f" beside {mail.bad} bad" if mail.bad else ""
        yield (
            f"{mail.good} of {takes} good mails that a bad share of at most {percent(rules.max_bad_share)} "
            f"takes{beside}"
        )


def is_lost(mail: Mail, shares: Shares, rules: Rules) -> bool:
    """Whether the bad mail costs an endorsement."""
    surely = mail.bad >= rules.revoke_bad_mails and shares.least > rules.max_bad_share
    surely_of_late = mail.recent_bad >= rules.revoke_bad_mails and shares.least_recent > rules.max_bad_share
    return surely or surely_of_late


def bad_in_words(mail: Mail, shares: Shares, rules: Rules) -> str:
    """``12 of 80 mails of the last 30 days are bad, at least 8.6 %``; of the whole window if that is worse."""
    bad, total, least = mail.recent_bad, mail.recent_good + mail.recent_bad, shares.least_recent
    days = rules.revoke_window_days
    if shares.least > least:
        bad, total, least, days = mail.bad, mail.good + mail.bad, shares.least, rules.window_days
    return f"{bad} of {total} mails of the last {days} days are bad, a share of at least {percent(least)}"


def good_mails_for(max_bad_share: float, bad: int) -> int:
    """The fewest good mails with which the upper bound of the bad share is not above ``max_bad_share``.

    Where the bound equals p, bad = p·n - z·√(p·(1-p)·n): a quadratic in √n.
    """
    p = max_bad_share
    half = Z95 * sqrt(p * (1 - p))
    root = (half + sqrt(half * half + 4 * p * bad)) / (2 * p)
    return ceil(root * root) - bad


def percent(share: float) -> str:
    """``1 %``, ``0.998 %``."""
    return f"{100 * share:.3g} %"
