"""Several keys for one host: the impostor's is named, a rotation is not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.reports.small_world import LIMITS, by_anchors, position, scene
from trustgraph.model import Identity
from trustgraph.reports.evidence import Evidence
from trustgraph.reports.findings import Finding, grouped
from trustgraph.reports.host_keys import HostClaims, several_keys

KNOWN, SECOND = Identity.openpgp("a" * 40), Identity.openpgp("b" * 40)
HOSTS = {KNOWN: "mx.victim.example", SECOND: "mx.victim.example"}
GOOD_MAIL = (KNOWN, 40, 0, 5, 0, 0)
SPAM = (SECOND, 9, 0, 0, 5, 0)


def found(evidence: Evidence, claims: dict[Identity, str] | None = None) -> list[Finding]:
    rows = [(position(evidence, identity), host) for identity, host in (claims or HOSTS).items()]
    identity, host = zip(*rows, strict=True)
    return list(several_keys(evidence, HostClaims(np.array(identity), np.array(host, dtype=object)), LIMITS))


def test_the_key_without_standing_is_named_and_the_one_with_standing_is_not() -> None:
    (finding,) = found(scene(by_anchors(KNOWN), [GOOD_MAIL, SPAM], hosts=HOSTS))
    assert finding.identity == SECOND
    assert f"of these {KNOWN} has standing, and has not certified this one" in finding.evidence
    assert "ask the operator of mx.victim.example by telephone" in finding.action
    assert finding.severity > 0.9


def test_it_is_found_before_its_first_mail() -> None:
    (finding,) = found(scene(by_anchors(KNOWN), [GOOD_MAIL], hosts=HOSTS))
    assert finding.severity == pytest.approx(0.5)


def test_a_new_key_that_the_known_one_certified_is_a_rotation() -> None:
    assert not found(scene([*by_anchors(KNOWN), (KNOWN, SECOND)], [GOOD_MAIL], hosts=HOSTS))


def test_that_the_impostor_certified_the_known_key_helps_it_nothing() -> None:
    assert found(scene([*by_anchors(KNOWN), (SECOND, KNOWN)], [GOOD_MAIL], hosts=HOSTS))


def test_an_expired_key_is_no_second_one() -> None:
    assert not found(scene(by_anchors(KNOWN), [GOOD_MAIL], hosts=HOSTS, dead={SECOND}))


def test_where_none_has_standing_both_are_named() -> None:
    findings = found(scene([], [], hosts=HOSTS))
    assert [(f.identity, f.severity) for f in findings] == [(KNOWN, pytest.approx(0.25)), (SECOND, pytest.approx(0.25))]


def test_two_hosts_with_a_key_each_are_none() -> None:
    evidence = scene(by_anchors(KNOWN), [GOOD_MAIL], hosts=HOSTS)
    assert not found(evidence, {KNOWN: "mx.victim.example", SECOND: "mx.other.example"})


def test_the_impostor_is_not_shown_under_the_name_of_its_victim() -> None:
    findings = found(scene(by_anchors(KNOWN), [GOOD_MAIL, SPAM], hosts=HOSTS))
    assert [group.name for group in grouped(findings)] == [SECOND]
