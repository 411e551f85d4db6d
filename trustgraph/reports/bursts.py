"""Endorsement bursts: many operators endorse one host within hours, where neither it nor others usually see that.

For each subject the window with most new operators is compared with what is usual, the larger of three rates: its own
at other times, that of all other subjects in the very same window (an adoption wave or a key signing party lifts
everybody), and a floor. The count is unusual when a Poisson variable of that rate reaches it so seldom that less than
``burst_false_alarms`` of all subjects would by chance.

A burst of trusted endorsers onto a host without bad mail is no finding: that is what a key rotation or a well-known
newcomer looks like. So this misses endorsements bought from trusted hosts all at once, until the first bad mail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import pdtrc

from trustgraph.model import SECONDS_PER_DAY, to_rfc3339
from trustgraph.reports.advice import counted, deny, listed
from trustgraph.reports.bad_mail import mail_facts
from trustgraph.reports.evidence import Evidence, either
from trustgraph.reports.findings import Finding, FindingKind
from trustgraph.reports.thresholds import Thresholds
from trustgraph.scoring.snapshot import Floats, Ints


@dataclass(frozen=True, slots=True)
class EndorsementTimes:
    """When each endorser first endorsed each subject (positions of identities; Unix seconds), in any order."""

    subject: Ints
    endorser: Ints
    made_at: Ints


@dataclass(frozen=True, slots=True)
class Everybody:
    """All endorsements of all subjects: their times, sorted, and how many subjects there are."""

    moments: Ints
    subjects: int


@dataclass(frozen=True, slots=True)
class Bursts:
    """The fullest window of each subject: ``operators`` rows of the times from row ``first`` on, ``usual`` in one."""

    subject: Ints
    first: Ints
    operators: Ints
    usual: Floats


def endorsement_burst(evidence: Evidence, times: EndorsementTimes, thresholds: Thresholds) -> Iterator[Finding]:
    """Subjects endorsed by unusually many operators within the window, mostly untrusted ones or for a bad sender.

    Severity: 1 - (1 - u / 2)(1 - b) with u the part of untrusted endorsers in the burst and b the lower bound of the
    subject's bad share.
    """
    since = int(evidence.snapshot.reference_time) - thresholds.burst_days * SECONDS_PER_DAY
    recent = np.bincount(times.subject[times.made_at >= since], minlength=evidence.network.size)
    often = (recent >= thresholds.burst_least)[times.subject]
    everybody = Everybody(np.sort(times.made_at), int(np.count_nonzero(np.bincount(times.subject))))
    kept = EndorsementTimes(times.subject[often], times.endorser[often], times.made_at[often])
    times = first_of_operators(evidence, kept)
    bursts = fullest_windows(times, everybody, since, int(evidence.snapshot.reference_time), thresholds)
    chance = pdtrc(bursts.operators - 1, bursts.usual) * everybody.subjects
    found = (bursts.operators >= thresholds.burst_least) & (chance < thresholds.burst_false_alarms)
    for i in map(int, np.flatnonzero(found)):
        rows = slice(int(bursts.first[i]), int(bursts.first[i] + bursts.operators[i]))
        finding = _finding(evidence, times, rows, float(bursts.usual[i]), thresholds)
        bad = evidence.bad_share_low[bursts.subject[i]] > thresholds.bad_share
        if bad or finding.facts["untrusted"] * 2 > finding.facts["operators"]:
            yield finding


def _finding(evidence: Evidence, times: EndorsementTimes, rows: slice, usual: float, thresholds: Thresholds) -> Finding:
    position, endorsers, made_at = int(times.subject[rows.start]), times.endorser[rows], times.made_at[rows]
    untrusted = endorsers[~evidence.trusted[endorsers]]
    names = sorted(evidence.name(int(u)) for u in endorsers)
    hours = (int(made_at[-1]) - int(made_at[0])) / 3600
    return Finding(
        kind=FindingKind.ENDORSEMENT_BURST,
        identity=evidence.identity(position),
        host=evidence.host(position),
        severity=either(len(untrusted) / len(endorsers) / 2, float(evidence.bad_share_low[position])),
        evidence=(
            f"{len(endorsers)} operators endorsed it within {hours:.1f} hours from {to_rfc3339(int(made_at[0]))}, "
            f"where {usual:.1f} in {thresholds.burst_hours} hours are usual; {len(untrusted)} of them have no trust "
            f"here; they are {listed(names)}"
        ),
        action=(
            f"do not endorse it on their word; {deny(evidence, position)} unless its operator can name the occasion; "
            f"look at {counted(len(untrusted), 'untrusted endorser')} among them for more of the kind"
        ),
        facts={
            "operators": len(endorsers),
            "untrusted": len(untrusted),
            "usual": round(usual, 6),
            "started_at": int(made_at[0]),
            "hours": round(hours, 3),
            **mail_facts(evidence, position),
        },
    )


def first_of_operators(evidence: Evidence, times: EndorsementTimes) -> EndorsementTimes:
    """Of each operator only its first endorsement of a subject, none of its own; sorted by (subject, time)."""
    operator = evidence.network.operator
    foreign = operator[times.endorser] != operator[times.subject]
    subject, endorser, made_at = times.subject[foreign], times.endorser[foreign], times.made_at[foreign]
    order = np.lexsort((endorser, made_at, operator[endorser], subject))
    by = subject[order], operator[endorser[order]]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = (by[0][1:] != by[0][:-1]) | (by[1][1:] != by[1][:-1])
    kept = order[fresh]
    kept = kept[np.lexsort((endorser[kept], made_at[kept], subject[kept]))]
    return EndorsementTimes(subject[kept], endorser[kept], made_at[kept])


def fullest_windows(
    times: EndorsementTimes, everybody: Everybody, since: int, now: int, thresholds: Thresholds
) -> Bursts:
    """For each subject the window with most rows that begins at ``since`` or later, of equals the earliest."""
    rows = len(times.subject)
    window = thresholds.burst_hours * 3600
    start = np.flatnonzero(np.diff(times.subject, prepend=-1))
    total = np.diff(start, append=rows)
    # Subjects laid end to end on one time axis, further apart than a window, so that one search serves all.
    axis = times.subject * (now + 2 * window) + times.made_at
    inside = np.searchsorted(axis, axis + window, "left") - np.arange(rows)
    inside[times.made_at < since] = 0
    first = np.lexsort((times.made_at, -inside, times.subject))[start] if rows else start
    operators = inside[first]
    own = (total - operators) * window / np.maximum(now - times.made_at[start], window)
    begins = times.made_at[first]
    upto, before = (np.searchsorted(everybody.moments, moment, "left") for moment in (begins + window, begins))
    others = np.maximum(upto - before - operators, 0) / max(everybody.subjects - 1, 1)
    usual = np.maximum(np.maximum(own, others), thresholds.burst_floor)
    return Bursts(times.subject[start], first, operators, usual)
