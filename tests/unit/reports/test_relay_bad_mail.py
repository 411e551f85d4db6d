"""Endorsed with bad mail, and volume without standing: each beside its nearest honest case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.reports.small_world import ANCHORS, LIMITS, Mail, by_anchors, position, scene
from trustgraph.model import Identity
from trustgraph.reports.bad_mail import endorsed_with_bad_mail, volume_without_standing
from trustgraph.reports.evidence import gather
from trustgraph.reports.findings import FindingKind
from trustgraph.scoring.trustgraph import Trustgraph


def test_an_endorsed_host_with_bad_mail_is_found_with_its_numbers() -> None:
    evidence = scene([("a1", "relay"), *by_anchors("good")], [("relay", 9, 0, 1, 5, 0), ("good", 9, 0, 6, 0, 0)])
    (finding,) = endorsed_with_bad_mail(evidence, LIMITS)
    assert (finding.kind, finding.identity) == (FindingKind.ENDORSED_WITH_BAD_MAIL, "dkim:relay.example")
    assert (finding.facts["bad"], finding.facts["good"]) == (50, 10)
    assert "1 endorsement is in force, by 1 trusted operator" in finding.evidence
    assert "50 of 60 judged messages" in finding.evidence
    assert finding.action == "ask a1.example to revoke; refuse dkim:relay.example at your gateway until then"


@pytest.mark.parametrize(
    ("mail", "why"),
    [
        (("host", 30, 0, 100, 1, 0), "a large host lets one in a hundred through"),
        (("host", 9, 9, 0, 9, 0), "nine bad messages are too few to say"),
        (("host", 200, 100, 0, 9, 0), "it was bad long ago"),
        (("host", 9, 0, 0, 0, 50), "nobody has judged its mail"),
    ],
)
def test_an_endorsed_host_is_not_found_when(mail: Mail, why: str) -> None:
    assert not list(endorsed_with_bad_mail(scene(by_anchors("host"), [mail]), LIMITS)), why


def test_bad_mail_without_an_endorsement_is_not_this_kind() -> None:
    assert not list(endorsed_with_bad_mail(scene(by_anchors("good"), [("relay", 9, 0, 0, 9, 0)]), LIMITS))


def test_of_two_equally_bad_hosts_the_one_that_still_gets_through_is_worse() -> None:
    # The same recent mail, but one has a long good history and a quorum behind it.
    old = ("old", 200, 61, 9, 0, 0)
    evidence = scene([*by_anchors("old"), ("a1", "new")], [old, ("old", 3, 0, 0, 3, 0), ("new", 3, 0, 0, 3, 0)])
    worse, better = sorted(endorsed_with_bad_mail(evidence, LIMITS), key=lambda f: -f.severity)
    assert (worse.identity, better.identity) == ("dkim:old.example", "dkim:new.example")


def test_our_own_endorsement_is_named_first_with_the_command_that_revokes_it() -> None:
    evidence = scene(by_anchors("relay"), [("relay", 9, 0, 0, 5, 0)], own_host="a2.example")
    (finding,) = endorsed_with_bad_mail(evidence, LIMITS)
    assert finding.action.startswith("your own host endorses it: revoke that certification")
    assert "ask a1.example, a3.example to revoke" in finding.action


def test_an_anchor_with_bad_mail_is_to_be_taken_out_of_the_anchors() -> None:
    evidence = scene([("a1", "a2"), ("a3", "a2")], [("a2", 9, 0, 0, 5, 0)])
    (finding,) = endorsed_with_bad_mail(evidence, LIMITS)
    assert "take dkim:a2.example out of [anchors]" in finding.action


def test_much_bad_mail_without_standing_is_found() -> None:
    (finding,) = volume_without_standing(scene([], [("relay", 9, 0, 1, 9, 0)]), LIMITS)
    assert finding.kind is FindingKind.VOLUME_WITHOUT_STANDING
    assert finding.severity == pytest.approx(0.9 * (1 - 0.5**2))
    assert finding.action == "refuse dkim:relay.example at your gateway"


@pytest.mark.parametrize(
    ("mail", "why"),
    [
        (("host", 9, 0, 10, 0, 0), "a newcomer whose mail is good"),
        (("host", 9, 0, 0, 4, 0), "forty messages are not many"),
        (("host", 9, 0, 0, 0, 20), "not much, and nobody has judged it"),
    ],
)
def test_volume_is_no_finding_for(mail: Mail, why: str) -> None:
    assert not list(volume_without_standing(scene([], [mail]), LIMITS)), why


def test_a_flood_that_nobody_has_judged_asks_for_judgement_first() -> None:
    (finding,) = volume_without_standing(scene([], [("host", 9, 0, 0, 0, 60)]), LIMITS)
    assert "trustgraph ingest feedback" in finding.action
    assert finding.severity <= 0.5


def test_only_trusted_observers_count() -> None:
    evidence = scene([], [("relay", 9, 0, 1, 9, 0)])
    snapshot = evidence.snapshot
    liar = replace(snapshot, count_observer=snapshot.count_subject)
    problem = replace(evidence.problem, snapshot=liar)
    assert not list(volume_without_standing(gather(problem, Trustgraph(problem), LIMITS), LIMITS))


def test_standing_is_that_of_the_policy() -> None:
    evidence = scene(by_anchors("good"), [("good", 60, 0, 9, 0, 0), ("bad", 9, 0, 0, 9, 0)])
    assert [evidence.standing(position(evidence, h)) for h in ("good", "bad")] == ["accepted", "refused"]
    assert evidence.identity(position(evidence, ANCHORS[0])) == Identity("dkim:a1.example")
