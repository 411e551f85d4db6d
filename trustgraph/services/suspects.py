"""Relay hunting: who is suspected and why, and what the rules in force did to their mail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from trustgraph.errors import NoInput
from trustgraph.model import Identity, to_rfc3339
from trustgraph.reports.courses import Course
from trustgraph.reports.endorsing import MAX_HOSTS, Endorsed, endorsed
from trustgraph.reports.findings import FindingKind, Group, grouped
from trustgraph.reports.neighbourhood import MAX_RING
from trustgraph.reports.pictures import Picture
from trustgraph.reports.shown import shown
from trustgraph.scoring.snapshot import Floats
from trustgraph.services.picture import neighbourhood_of
from trustgraph.services.relay_report import Investigation
from trustgraph.services.replay import DEFAULT_EVERY_SECONDS, Past, play, principal, rules_of
from trustgraph.services.scoring import explain
from trustgraph.services.tuning import kinds_of, untrusted
from trustgraph.settings import Settings
from trustgraph.store import Store


def suspects(found: Investigation) -> pd.DataFrame:
    """One row a host, worst first: what was found, its rating and mail lately, the worst evidence and what to do.

    ``rating``, ``good`` and ``bad`` are those of its identities that findings name: the best rating, the sum of mail.
    """
    evidence, rows = found.evidence, []
    for group in grouped(found.findings):
        positions = _positions(found, group)
        worst = group.findings[0]
        rows.append(
            {
                "host": shown(group.name),
                "severity": group.severity,
                "found": ", ".join(dict.fromkeys(finding.kind.value for finding in group.findings)),
                "rating": max(float(evidence.rating[p]) for p in positions),
                "good": sum(int(evidence.good[p]) for p in positions),
                "bad": sum(int(evidence.bad[p]) for p in positions),
                "evidence": worst.evidence,
                "action": worst.action,
            }
        )
    return pd.DataFrame(rows, columns=["host", "severity", "found", "rating", "good", "bad", "evidence", "action"])


def findings_of(found: Investigation, kind: str) -> pd.DataFrame:
    """All findings of one kind, worst first, with the numbers behind them. Raises ValueError for an unknown kind."""
    wanted = FindingKind(kind)
    rows = [
        {"host": shown(f.host or f.identity), "severity": f.severity, "evidence": f.evidence, **f.facts}
        for f in found.findings
        if f.kind is wanted
    ]
    return pd.DataFrame(rows)


def gate_courses(
    past: Past,
    settings: Settings,
    found: Investigation,
    spam: Sequence[bool] | None = None,
    *,
    every_seconds: int = DEFAULT_EVERY_SECONDS,
) -> list[Course]:
    """What the rules in force would have done to each suspect's mail, worst first; without those that sent none.

    ``spam`` is as in :mod:`trustgraph.services.tuning`.
    """
    steps: list[tuple[int, Floats]] = []
    played = play(
        past, rules_of(settings), every_seconds=every_seconds, watch=lambda at, s: steps.append((at, s.rating))
    )
    kinds = kinds_of(past, spam)
    at = np.array([int(one.message.at) for one in played], dtype=np.int64)
    let_in = np.array([one.let_in for one in played], dtype=np.bool_)
    tagged = np.array([untrusted(one.last) for one in played], dtype=np.bool_)
    mail: dict[int, list[int]] = defaultdict(list)
    for place, one in enumerate(played):
        mail[principal(one.message)].append(place)
    names, courses = past.record.identity_name, []
    for group in grouped(found.findings):
        identities = [int(np.searchsorted(names, name)) for name in _identities(found, group)]
        rows = np.array(sorted(row for identity in identities for row in mail.get(identity, ())), dtype=np.int64)
        if len(rows):
            rating = np.array([ratings[identities].max() for _, ratings in steps])
            moments = np.array([moment for moment, _ in steps], dtype=np.int64)
            flags = kinds[rows] == "spam", let_in[rows], tagged[rows]
            courses.append(Course(group.name, at[rows], *flags, moments, rating))
    return courses


def course_table(courses: Sequence[Course]) -> pd.DataFrame:
    """One row a suspect: its messages, its spam, how much of that got in, and since when it spams and is kept out."""
    return pd.DataFrame(
        [
            {
                "host": shown(course.name),
                "messages": len(course.at),
                "spam": int(course.spam.sum()),
                "spam let in": course.spam_let_in,
                "of it untagged": course.spam_untagged,
                "first spam": "" if course.first_spam is None else to_rfc3339(course.first_spam),
                "kept out since": "" if course.kept_out_since is None else to_rfc3339(course.kept_out_since),
            }
            for course in courses
        ]
    )


def worst_course(courses: Sequence[Course]) -> Course:
    """That of the suspect that got most spam in; raises :class:`NoInput` when none of them sent anything."""
    if not courses:
        raise NoInput("no suspect sent this site mail in that time")
    return max(courses, key=lambda course: course.spam_let_in)


def endorsed_suspects(found: Investigation) -> list[Endorsed]:
    """The few suspects with a burst of endorsements, else those with most endorsements; with when these came."""
    evidence = found.evidence
    bursts = [f.identity for f in found.findings if f.kind is FindingKind.ENDORSEMENT_BURST]
    named = list(dict.fromkeys([*bursts, *(f.identity for f in found.findings)]))
    positions = [int(p) for p in np.searchsorted(evidence.snapshot.identity_name, named)]
    number = np.bincount(found.times.subject, minlength=evidence.network.size)
    rest = sorted(positions[len(bursts) :], key=lambda p: -int(number[p]))
    return endorsed(evidence, found.times, [*positions[: len(bursts)], *rest][:MAX_HOSTS])


def most_endorsed(found: Investigation) -> Identity:
    """Of the suspects the identity with most endorsements in force; of equals the worst.

    Raises :class:`NoInput` when there is no suspect.
    """
    if not found.findings:
        raise NoInput("no host is suspected")
    network, names = found.evidence.network, found.evidence.snapshot.identity_name
    place = {f.identity: int(np.searchsorted(names, f.identity)) for f in found.findings}
    return max(place, key=lambda identity: len(network.into(place[identity])))


def neighbourhood(store: Store, settings: Settings, identity: Identity) -> Picture:
    """The endorsements that carry an identity's rating, or would; raises what :func:`explain` raises."""
    explanation = explain(store, settings, identity)
    parts = sorted(explanation.contributions, key=lambda part: -abs(part.amount))[:3]
    told = ", ".join(f"{part.kind} {part.amount:+.2f}" for part in parts)
    name = explanation.host or str(identity)
    reading = (
        f"{name} rates {explanation.rating:.2f} and is {explanation.standing}; the largest parts of that are {told}. "
        f"At most {MAX_RING} endorsers are drawn."
    )
    return Picture(f"What carries {name}", reading, neighbourhood_of(store, settings, explanation))


def _identities(found: Investigation, group: Group) -> list[str]:
    """Those of the group's own host; of a ring told under it, its own membership alone."""
    names = {str(f.identity) for f in group.findings if group.name in (f.host, str(f.identity))}
    names |= {str(m.identity) for f in group.findings for m in f.members if group.name in (m.host, str(m.identity))}
    return sorted(names)


def _positions(found: Investigation, group: Group) -> list[int]:
    return [int(p) for p in np.searchsorted(found.evidence.snapshot.identity_name, _identities(found, group))]
