"""What others report of a host: it counts, but never as much as what was seen here.

For a subject, with r and s of :mod:`history` over the observers of one operator o that are trusted but no anchors:

    R = min(good in all, sum over o of min(good of one, sum of r over days))
    S = sum over o of min(bad of one, sum of s over days)

Reports cannot be checked. The limits see to it that no report lifts a host alone or together with others, that a single
operator, or two, cannot have anybody refused, and that a quorum of operators can. More good reports never lower R and
more bad ones never lower S (invariant 1); one operator has one voice here too (invariant 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.history import HistoryParameters, evidence_by_day
from trustgraph.scoring.snapshot import Floats, Ints, Snapshot, Texts


@dataclass(frozen=True, slots=True)
class Hearsay:
    """Evidence by (subject, operator that reports), sorted so, and its sums by subject.

    ``reporter``: an observer of that operator, to name it by. ``good``, ``bad``: weights that count, all limits
    applied. ``good_of``, ``bad_of``, ``messages_of``: sums, one an identity.
    """

    subject: Ints
    reporter: Ints
    good: Floats
    bad: Floats
    good_of: Floats
    bad_of: Floats
    messages_of: Ints


def weigh_hearsay(
    snapshot: Snapshot, observer_trust: Floats, observer_operator: Ints, parameters: HistoryParameters
) -> Hearsay:
    """What the observers with trust report; of both arguments one value an identity, anchors' trust being 0."""
    size = len(snapshot.identity_number)
    speaking = observer_operator[snapshot.count_observer]
    width = int(speaking.max(initial=0)) + 1
    pair = snapshot.count_subject.astype(np.int64) * width + speaking
    days = evidence_by_day(snapshot, observer_trust, pair, parameters)
    pairs, place = np.unique(days.group, return_inverse=True)
    subject = pairs // width
    good = np.minimum(np.bincount(place, days.good, minlength=len(pairs)), parameters.hearsay_good)
    bad = np.minimum(np.bincount(place, days.bad, minlength=len(pairs)), parameters.hearsay_bad)
    told = np.bincount(subject, good, minlength=size).astype(np.float64)
    good_of = np.minimum(told, parameters.hearsay_good_in_all)
    share = good_of / np.where(told > 0, told, 1.0)
    return Hearsay(
        *(subject, _named(snapshot, observer_trust, pair, pairs), good * share[subject], bad),
        good_of=good_of,
        bad_of=np.bincount(subject, bad, minlength=size).astype(np.float64),
        messages_of=np.bincount(days.group // width, days.messages, minlength=size).astype(np.int64),
    )


def _named(snapshot: Snapshot, observer_trust: Floats, pair: Ints, pairs: Ints) -> Ints:
    """For each pair the first of its observers that are heard."""
    heard = np.flatnonzero(observer_trust[snapshot.count_observer] > 0)
    first = np.full(len(pairs), len(snapshot.identity_number), dtype=np.int64)
    np.minimum.at(first, np.searchsorted(pairs, pair[heard]), snapshot.count_observer[heard])
    return first


def hearsay_contributions(
    hearsay: Hearsay, names: Texts, position: int, base: float, weight: float
) -> list[Contribution]:
    """What each operator's reports add to a beta mean, as :func:`history.daily_contributions` has it for days."""
    first, last = np.searchsorted(hearsay.subject, [position, position + 1])
    return [
        Contribution(
            *("hearsay", str(names[hearsay.reporter[i]])),
            amount=float((hearsay.good[i] * (1.0 - base) - hearsay.bad[i] * base) / weight),
        )
        for i in range(first, last)
    ]
