"""Sudden turns: the day is found, and what is not a turn is left alone."""

from __future__ import annotations

import pytest

from tests.unit.reports.small_world import LIMITS, TODAY, Mail, by_anchors, scene
from trustgraph.reports.findings import FindingKind
from trustgraph.reports.turns import sudden_turn


def test_the_day_of_the_turn_is_named() -> None:
    evidence = scene(by_anchors("host"), [("host", 60, 10, 3, 0, 0), ("host", 9, 0, 1, 8, 0)])
    (finding,) = sudden_turn(evidence, LIMITS)
    assert finding.kind is FindingKind.SUDDEN_TURN
    assert finding.facts["turn_day"] == TODAY - 9
    assert finding.facts["good_days_before"] == 51
    assert "turned on 2026-10-23" in finding.evidence
    assert "80 of 90" in finding.evidence
    assert "broken into since 2026-10-23" in finding.action


@pytest.mark.parametrize(
    ("mail", "why"),
    [
        ([("host", 60, 0, 20, 1, 0)], "one in twenty all the time is bad, but no turn"),
        ([("host", 60, 0, 0, 8, 0)], "a relay from its first day"),
        ([("host", 9, 8, 5, 0, 0), ("host", 7, 0, 0, 8, 0)], "two good days are no history"),
        ([("host", 60, 10, 3, 0, 0), ("host", 9, 0, 30, 3, 0)], "a bad week of a host that is good on the whole"),
        ([("host", 60, 10, 3, 0, 0), ("host", 9, 9, 0, 9, 0)], "nine bad messages are too few to say"),
        ([("host", 300, 200, 3, 0, 0), ("host", 199, 190, 0, 8, 0)], "it fell silent half a year ago"),
        ([("host", 60, 10, 0, 8, 0), ("host", 9, 0, 9, 0, 0)], "it turned for the better"),
    ],
)
def test_no_turn(mail: list[Mail], why: str) -> None:
    assert not list(sudden_turn(scene(by_anchors("host"), mail), LIMITS)), why


def test_each_host_is_judged_by_its_own_days() -> None:
    # Sorted beside each other, so that sums which ran over from one to the next would show.
    mail = [("h1", 60, 0, 3, 0, 0), ("h2", 60, 10, 3, 0, 0), ("h2", 9, 0, 0, 8, 0), ("h3", 60, 0, 3, 0, 0)]
    findings = list(sudden_turn(scene(by_anchors("h1", "h2", "h3"), mail), LIMITS))
    assert [f.identity for f in findings] == ["dkim:h2.example"]


def test_nothing_from_nothing() -> None:
    assert not list(sudden_turn(scene([]), LIMITS))
