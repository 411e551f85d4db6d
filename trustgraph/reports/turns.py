"""Hosts that were good for long and then turned: bought, broken into, or waiting for it from the beginning.

For each identity every day with mail is tried as the day of the turn, and the one taken that splits its judged mail
best: the largest log-likelihood ratio G of two bad shares against one (Wilks 1938; for sparse counts Dunning 1993).

Cost: a few passes over the daily counts. It finds one turn an identity: who turned, reformed and turned again shows
the split that separates best.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from trustgraph.model import SECONDS_PER_DAY, day_of, to_rfc3339
from trustgraph.reports.advice import withdraw
from trustgraph.reports.bad_mail import mail_facts
from trustgraph.reports.evidence import Evidence, Mail, either, wilson_low
from trustgraph.reports.findings import Finding, FindingKind
from trustgraph.reports.thresholds import Thresholds
from trustgraph.scoring.snapshot import Floats, Ints


@dataclass(frozen=True, slots=True)
class Turns:
    """The best split of each identity with mail: one value an identity. ``day`` is the first day of the worse part."""

    subject: Ints
    day: Ints
    last_day: Ints
    ratio: Floats
    good_days_before: Ints
    good_before: Ints
    bad_before: Ints
    good_after: Ints
    bad_after: Ints


def sudden_turn(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Identities with a good history and then a bad share far above it that goes on until recently.

    Severity: 1 - (1 - lower bound of the bad share since the turn)(1 - rating).
    """
    turns = best_splits(evidence.mail)
    low = wilson_low(turns.bad_after, turns.good_after + turns.bad_after)
    judged_before = turns.good_before + turns.bad_before
    found = (
        (turns.ratio >= thresholds.turn_ratio)
        & (turns.good_days_before >= thresholds.turn_good_days)
        & (turns.good_before >= thresholds.turn_good)
        & (turns.bad_before <= thresholds.turn_share_before * judged_before)
        & (turns.bad_after >= thresholds.least_bad)
        & (low >= thresholds.turn_share_after)
        & (turns.last_day > day_of(evidence.snapshot.reference_time) - thresholds.recent_days)
    )
    for i in map(int, np.flatnonzero(found)):
        yield _finding(evidence, turns, i, float(low[i]))


def _finding(evidence: Evidence, turns: Turns, i: int, low: float) -> Finding:
    position = int(turns.subject[i])
    before, after = int(turns.good_before[i] + turns.bad_before[i]), int(turns.good_after[i] + turns.bad_after[i])
    bad_before, bad_after = int(turns.bad_before[i]), int(turns.bad_after[i])
    day = to_rfc3339(int(turns.day[i]) * SECONDS_PER_DAY)[:10]
    return Finding(
        kind=FindingKind.SUDDEN_TURN,
        identity=evidence.identity(position),
        host=evidence.host(position),
        severity=either(low, float(evidence.rating[position])),
        evidence=(
            f"turned on {day}: before, {bad_before} of {before} judged messages were bad ({bad_before / before:.1%}, "
            f"good mail on {int(turns.good_days_before[i])} days); since then {bad_after} of {after} "
            f"({bad_after / after:.0%}, G = {turns.ratio[i]:.0f}); rating {evidence.rating[position]:.2f}, "
            f"{evidence.standing(position)}"
        ),
        action=f"tell its operator that it may be broken into since {day}; {withdraw(evidence, position)}",
        facts={
            "turn_day": int(turns.day[i]),
            "log_likelihood_ratio": round(float(turns.ratio[i]), 3),
            "good_days_before": int(turns.good_days_before[i]),
            "good_before": int(turns.good_before[i]),
            "bad_before": bad_before,
            "good_after": int(turns.good_after[i]),
            "bad_after": bad_after,
            **mail_facts(evidence, position),
        },
    )


def best_splits(mail: Mail) -> Turns:
    """The split with the largest ratio of each identity; of equals the earliest, ratio 0 if there is none."""
    rows = len(mail.subject)
    first = np.flatnonzero(np.diff(mail.subject, prepend=-1))
    length = np.diff(first, append=rows)
    own_first, own_last = np.repeat(first, length), np.repeat(first + length - 1, length)
    before_good, after_good = _around(mail.good, own_first, own_last)
    before_bad, after_bad = _around(mail.bad, own_first, own_last)
    good_days, _ = _around((mail.good > 0).astype(np.int64), own_first, own_last)
    ratio = _log_likelihood_ratio(before_good, before_bad, after_good, after_bad)
    best = np.lexsort((mail.day, -ratio, mail.subject))[first] if rows else first
    return Turns(
        *(mail.subject[best], mail.day[best], mail.day[own_last[best]], ratio[best]),
        *(good_days[best], before_good[best], before_bad[best], after_good[best], after_bad[best]),
    )


def _around(amount: Ints, first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """For each row the sum of its identity's earlier rows, and of itself and the later ones."""
    upto = np.append(0, np.cumsum(amount))
    here = np.arange(len(amount))
    return upto[here] - upto[first], upto[last + 1] - upto[here]


def _log_likelihood_ratio(good: Ints, bad: Ints, later_good: Ints, later_bad: Ints) -> Floats:
    """G = 2 (log L of two shares - log L of one); 0 where one side is empty."""
    both = _log_likelihood(good, bad) + _log_likelihood(later_good, later_bad)
    return np.asarray(2.0 * np.maximum(both - _log_likelihood(good + later_good, bad + later_bad), 0.0))


def _log_likelihood(good: Ints, bad: Ints) -> Floats:
    """Of a binomial at its own share, without the constant; xlogy(0, 0) is 0."""
    total = good + bad
    return np.asarray(xlogy(good, good) + xlogy(bad, bad) - xlogy(total, total))
