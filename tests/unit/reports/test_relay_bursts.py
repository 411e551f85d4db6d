"""Endorsement bursts: against the subject's custom, everybody's, and chance."""

from __future__ import annotations

import numpy as np

from tests.unit.reports.small_world import LIMITS, by_anchors, moment, position, scene
from trustgraph.model import UnixSeconds
from trustgraph.reports.bursts import EndorsementTimes, endorsement_burst
from trustgraph.reports.evidence import Evidence
from trustgraph.reports.findings import Finding, FindingKind

CROWD = [f"c{i}" for i in range(8)]


def found(pairs: list[tuple[str, str, UnixSeconds]], mail: list[tuple[str, int, int, int, int, int]]) -> list[Finding]:
    evidence = scene([(u, v) for u, v, _ in pairs], mail)
    return list(endorsement_burst(evidence, times(evidence, pairs), LIMITS))


def times(evidence: Evidence, pairs: list[tuple[str, str, UnixSeconds]]) -> EndorsementTimes:
    rows = [(position(evidence, v), position(evidence, u), at) for u, v, at in pairs]
    subject, endorser, made_at = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return EndorsementTimes(subject, endorser, made_at)


def spread(subject: str, first_day: int) -> list[tuple[str, str, UnixSeconds]]:
    """The crowd endorses a subject one a week."""
    return [(u, subject, moment(first_day - 7 * i)) for i, u in enumerate(CROWD)]


def at_once(subject: str, day: int = 10) -> list[tuple[str, str, UnixSeconds]]:
    """The whole crowd endorses a subject on one day, an hour apart."""
    return [(u, subject, moment(day, hour)) for hour, u in enumerate(CROWD)]


def test_a_burst_by_hosts_without_trust_is_found() -> None:
    (finding,) = found([*at_once("relay"), *spread("other", 100)], [("relay", 9, 0, 0, 5, 0)])
    assert (finding.kind, finding.identity) == (FindingKind.ENDORSEMENT_BURST, "dkim:relay.example")
    assert (finding.facts["operators"], finding.facts["untrusted"]) == (8, 8)
    assert finding.facts["started_at"] == moment(10)
    assert "8 operators endorsed it within 7.0 hours from 2026-10-22T00:00:00Z" in finding.evidence
    assert "c0.example" in finding.evidence


def test_the_same_endorsements_over_weeks_are_none() -> None:
    assert not found(spread("relay", 80), [("relay", 9, 0, 0, 5, 0)])


def test_a_day_on_which_everybody_is_endorsed_is_none() -> None:
    assert not found([row for i in range(20) for row in at_once(f"h{i}")], [])


def test_a_burst_long_ago_is_none() -> None:
    assert not found([*at_once("relay", 200), *spread("other", 100)], [("relay", 9, 0, 0, 5, 0)])


def test_a_fuller_burst_long_ago_does_not_hide_a_recent_one() -> None:
    more = [(f"m{i}", "relay", moment(300, i)) for i in range(12)]
    (finding,) = found([*at_once("relay"), *more, *spread("other", 100)], [("relay", 9, 0, 0, 5, 0)])
    assert finding.facts["started_at"] == moment(10)


def test_one_operator_is_one_however_many_hosts_it_has() -> None:
    hosts = {f"helo:mx{i}.crowd.example": f"mx{i}.crowd.example" for i in range(8)}
    pairs = [(name, "relay", moment(10, i)) for i, name in enumerate(hosts)]
    evidence = scene([(u, v) for u, v, _ in pairs], [("relay", 9, 0, 0, 5, 0)], hosts=hosts)
    assert not list(endorsement_burst(evidence, times(evidence, pairs), LIMITS))


def rotation(mail: tuple[str, int, int, int, int, int]) -> list[Finding]:
    """All trusted hosts endorse the new key of a known host within a day."""
    evidence = scene([*by_anchors(*CROWD), *((u, "host") for u in CROWD)], [mail])
    return list(endorsement_burst(evidence, times(evidence, [*at_once("host"), *spread("other_a1", 90)][:8]), LIMITS))


def test_a_burst_by_trusted_hosts_onto_a_good_one_is_a_rotation() -> None:
    assert not rotation(("host", 9, 0, 5, 0, 0))


def test_a_burst_by_trusted_hosts_onto_a_bad_one_is_found() -> None:
    (finding,) = rotation(("host", 9, 0, 0, 5, 0))
    assert finding.facts["untrusted"] == 0


def test_nothing_from_nothing() -> None:
    assert not found([], [])
