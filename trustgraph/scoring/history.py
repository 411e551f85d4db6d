"""Good-mail history as evidence: capped, decayed, and weighed by how far its observers are trusted.

For a subject on one day, over observers u with trust t(u):

    r = min(weight * sum t(u) good(u), cap) * 2^(-age / half-life)
    s = penalty * sum t(u) max(0, bad(u) - tolerance * good(u)) * 2^(-age / half-life)

The cap makes trust slow (a day counts as a day, whatever the volume), the penalty makes its loss quick (invariant 8).
The tolerance is what classifiers get wrong: without it no large honest host could stand. More good mail never lowers r
or raises s, more bad mail never raises r or lowers s (invariant 1). Beta reputation: Josang & Ismail 2002.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from trustgraph.model import SECONDS_PER_DAY, day_of
from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.snapshot import Floats, Ints, Snapshot


@dataclass(frozen=True, slots=True)
class HistoryParameters:
    """``weight``: what one good mail weighs. ``cap``: what those of a day weigh at most. ``penalty``: what one bad mail
    weighs. ``tolerance``: bad mails forgiven for each good one, per observer and day. ``half_life_days``: after how
    many days evidence weighs half. ``unknown_weight``: how much of a good mail one of unknown outcome is.
    ``hearsay_good``, ``hearsay_bad``: what the reports of one operator weigh at most as either evidence
    (:mod:`hearsay`), ``hearsay_good_in_all``: of all of them.
    """

    weight: float = 1.5
    cap: float = 5.0
    penalty: float = 6.0
    tolerance: float = 0.01
    half_life_days: float = 30.0
    unknown_weight: float = 0.0
    hearsay_good: float = 16.0
    hearsay_good_in_all: float = 40.0
    hearsay_bad: float = 8.0


@dataclass(frozen=True, slots=True)
class History:
    """Evidence by (subject, day), sorted so, and its sums by subject.

    ``subject``, ``day``, ``good``, ``bad``: one a day that a trusted observer saw mail of the subject; good and bad are
    weights after cap, penalty and decay. ``good_of``, ``bad_of``: sums, one an identity. ``messages_of``: messages that
    trusted observers saw, one an identity.
    """

    subject: Ints
    day: Ints
    good: Floats
    bad: Floats
    good_of: Floats
    bad_of: Floats
    messages_of: Ints


def weigh_history(snapshot: Snapshot, observer_trust: Floats, parameters: HistoryParameters) -> History:
    """Evidence for every subject, given each identity's trust as an observer in [0, 1]."""
    size = len(snapshot.identity_number)
    days = evidence_by_day(snapshot, observer_trust, snapshot.count_subject, parameters)
    return History(
        *(days.group, days.day, days.good, days.bad),
        good_of=np.bincount(days.group, days.good, minlength=size).astype(np.float64),
        bad_of=np.bincount(days.group, days.bad, minlength=size).astype(np.float64),
        messages_of=np.bincount(days.group, days.messages, minlength=size).astype(np.int64),
    )


@dataclass(frozen=True, slots=True)
class Days:
    """One row a (group, day), sorted so: weights of evidence after cap, penalty and decay, and the messages behind."""

    group: Ints
    day: Ints
    good: Floats
    bad: Floats
    messages: Ints


def evidence_by_day(snapshot: Snapshot, observer_trust: Floats, group: Ints, parameters: HistoryParameters) -> Days:
    """r and s of each group and day; ``group`` has a number for each row of the daily counts."""
    trust = observer_trust[snapshot.count_observer]
    seen = trust > 0
    trust, group, day = trust[seen], group[seen], snapshot.count_day[seen]
    plain_good, bad, unknown = (c[seen] for c in (snapshot.count_good, snapshot.count_bad, snapshot.count_unknown))
    good = plain_good + parameters.unknown_weight * unknown
    order = np.lexsort((day, group))
    group, day = group[order], day[order]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = (group[1:] != group[:-1]) | (day[1:] != day[:-1])
    cell = np.cumsum(fresh) - 1
    cells = int(fresh.sum())
    decay = 0.5 ** ((day_of(snapshot.reference_time) - day[fresh]) / parameters.half_life_days)
    good_a_day = np.bincount(cell, (trust * good)[order], minlength=cells)
    excess = np.maximum(bad - parameters.tolerance * good, 0.0)
    bad_a_day = np.bincount(cell, (trust * excess)[order], minlength=cells)
    messages = np.bincount(cell, (plain_good + bad + unknown)[order], minlength=cells)
    return Days(
        *(group[fresh], day[fresh]),
        good=np.minimum(parameters.weight * good_a_day, parameters.cap) * decay,
        bad=parameters.penalty * bad_a_day * decay,
        messages=messages.astype(np.int64),
    )


def daily_contributions(history: History, position: int, base: float, weight: float) -> list[Contribution]:
    """What each day adds to a beta mean that would be ``base`` without evidence and has ``weight`` in all.

    mean = base + sum good (1 - base) / weight - sum bad base / weight, which is the mean itself rearranged.
    """
    first, last = np.searchsorted(history.subject, [position, position + 1])
    parts = []
    for i in range(first, last):
        day = datetime.fromtimestamp(int(history.day[i]) * SECONDS_PER_DAY, UTC).strftime("%Y-%m-%d")
        if history.good[i]:
            parts.append(Contribution("good-mail", day, float(history.good[i] * (1.0 - base) / weight)))
        if history.bad[i]:
            parts.append(Contribution("bad-mail", day, float(-history.bad[i] * base / weight)))
    return parts
