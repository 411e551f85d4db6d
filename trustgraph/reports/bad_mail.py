"""Endorsed hosts with bad mail, and identities with high volume and no standing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trustgraph.reports.advice import counted, deny, withdraw
from trustgraph.reports.evidence import Evidence, either
from trustgraph.reports.findings import Finding, FindingKind
from trustgraph.reports.thresholds import Thresholds


def endorsed_with_bad_mail(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Identities with an endorsement in force, whose recent mail is surely worse than honest hosts' mail is.

    Severity: 1 - (1 - lower bound of the bad share)(1 - rating), so that what still gets through comes first.
    """
    endorsements = np.diff(evidence.network.start)
    found = (
        (endorsements > 0) & (evidence.bad >= thresholds.least_bad) & (evidence.bad_share_low > thresholds.bad_share)
    )
    for position in map(int, np.flatnonzero(found)):
        operators, in_force = int(evidence.endorsers[position]), int(endorsements[position])
        yield Finding(
            kind=FindingKind.ENDORSED_WITH_BAD_MAIL,
            identity=evidence.identity(position),
            host=evidence.host(position),
            severity=either(float(evidence.bad_share_low[position]), float(evidence.rating[position])),
            evidence=(
                f"{counted(in_force, 'endorsement is', 'endorsements are')} in force, by "
                f"{counted(operators, 'trusted operator')}, yet {_bad_part(evidence, position, thresholds)}; "
                f"rating {evidence.rating[position]:.2f}, {evidence.standing(position)}"
            ),
            action=withdraw(evidence, position),
            facts={"endorsements": in_force, "trusted_operators": operators, **mail_facts(evidence, position)},
        )


def volume_without_standing(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Identities that are not accepted, send much, and whose mail is not mostly known to be good.

    Severity: (bad + unknown / 2) / messages * (1 - 2^(-messages / volume_messages)).
    """
    messages = evidence.good + evidence.bad + evidence.unknown
    found = (
        ~evidence.accepted
        & ~evidence.problem.anchors
        & (messages >= thresholds.volume_messages)
        & (evidence.good <= thresholds.volume_good_share * messages)
        & ((evidence.bad >= thresholds.least_bad) | (evidence.unknown >= thresholds.volume_unjudged))
    )
    for position in map(int, np.flatnonzero(found)):
        number, bad, unknown = (int(a[position]) for a in (messages, evidence.bad, evidence.unknown))
        yield Finding(
            kind=FindingKind.VOLUME_WITHOUT_STANDING,
            identity=evidence.identity(position),
            host=evidence.host(position),
            severity=(bad + unknown / 2) / number * (1.0 - 0.5 ** (number / thresholds.volume_messages)),
            evidence=(
                f"{number} authenticated messages in the last {thresholds.recent_days} days ({bad} bad, "
                f"{int(evidence.good[position])} good, {unknown} of unknown outcome), and it is "
                f"{evidence.standing(position)} with rating {evidence.rating[position]:.2f}"
            ),
            action=deny(evidence, position) if bad else _judge_first(evidence, position),
            facts=mail_facts(evidence, position),
        )


def mail_facts(evidence: Evidence, position: int) -> dict[str, float]:
    """The recent counts of an identity and its rating, as numbers."""
    return {
        "good": int(evidence.good[position]),
        "bad": int(evidence.bad[position]),
        "unknown": int(evidence.unknown[position]),
        "bad_share_low": round(float(evidence.bad_share_low[position]), 6),
        "rating": round(float(evidence.rating[position]), 6),
    }


def _judge_first(evidence: Evidence, position: int) -> str:
    return f"nobody has judged this mail: add outcomes with `trustgraph ingest feedback`, or {deny(evidence, position)}"


def _bad_part(evidence: Evidence, position: int, thresholds: Thresholds) -> str:
    good, bad = int(evidence.good[position]), int(evidence.bad[position])
    return (
        f"{bad} of {good + bad} judged messages in the last {thresholds.recent_days} days were spam or malware "
        f"({bad / (good + bad):.0%}, at least {evidence.bad_share_low[position]:.0%} with 95% confidence)"
    )
