"""What one host received from another, summed up from its daily counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trustgraph.model import DailyCount, Day


@dataclass(frozen=True, slots=True)
class Mail:
    """Messages within the window; ``days`` are days with good mail, ``first_day`` the first of them, None without.

    The ``recent`` part is that of the last days, by which an endorsement is taken back.
    """

    good: int = 0
    bad: int = 0
    unknown: int = 0
    days: int = 0
    first_day: Day | None = None
    recent_good: int = 0
    recent_bad: int = 0


def sum_up(
    counts: Iterable[DailyCount], today: Day, *, window_days: int, recent_days: int, good_after: Day | None = None
) -> Mail:
    """The last ``window_days`` days, today included, of one or more keys of one host, in any order.

    ``good_after``: good mail counts only from the day after; what was taken back has to be earned anew, while bad mail
    is not forgotten.
    """
    good = bad = unknown = recent_good = recent_bad = 0
    days: set[Day] = set()
    for count in counts:
        if not today - window_days < count.day <= today:
            continue
        earned = count.good if good_after is None or count.day > good_after else 0
        good, bad, unknown = good + earned, bad + count.spam, unknown + count.unknown
        if earned:
            days.add(count.day)
        if count.day > today - recent_days:
            recent_good, recent_bad = recent_good + earned, recent_bad + count.spam
    return Mail(good, bad, unknown, len(days), min(days, default=None), recent_good, recent_bad)
