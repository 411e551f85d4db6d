"""Rings: found whole, without the honest hosts they cling to, and unlike honest communities."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tests.unit.reports.small_world import LIMITS, by_anchors, everybody, scene
from trustgraph.reports.findings import Finding, FindingKind
from trustgraph.reports.rings import dense_sets, ring

RING = [f"r{i}" for i in range(5)]
TOWN = [f"t{i}" for i in range(6)]
HOSTS_OF_RING = {f"{name}.example" for name in RING}
SPAM = [(name, 9, 0, 0, 3, 0) for name in RING]


def members(finding: Finding) -> set[str]:
    return {member.host for member in finding.members}


def test_a_ring_is_one_finding_with_all_its_members() -> None:
    (finding,) = ring(scene([*everybody(RING), *by_anchors(*TOWN)], SPAM), LIMITS)
    assert finding.kind is FindingKind.RING
    assert members(finding) == HOSTS_OF_RING
    assert finding.facts["density"] == 1.0
    assert "5 hosts endorse each other 20 times (100% of what is possible)" in finding.evidence
    assert finding.severity > 0.9


def test_bought_endorsements_do_not_hide_it_and_their_sellers_are_asked() -> None:
    crowd = [*by_anchors(*TOWN), *everybody(TOWN)]
    (finding,) = ring(scene([*crowd, *everybody(RING), ("t0", "r0"), ("t1", "r0")], SPAM), LIMITS)
    assert members(finding) == HOSTS_OF_RING
    assert finding.facts["trusted_from_outside"] == 2
    assert finding.action.startswith("ask t0.example, t1.example to revoke")


def test_an_honest_host_that_the_ring_endorses_and_that_endorsed_one_member_is_no_member() -> None:
    bait = [*((name, "honest") for name in RING), ("honest", "r0")]
    (finding,) = ring(scene([*everybody(RING), *bait], SPAM), LIMITS)
    assert members(finding) == HOSTS_OF_RING


def test_an_honest_community_that_nobody_far_away_knows_is_none() -> None:
    village = [(name, 40, 0, 2, 0, 0) for name in RING]
    assert not list(ring(scene([*everybody(RING), *by_anchors(*TOWN)], village), LIMITS))


def test_a_community_into_which_trust_comes_is_none() -> None:
    # Three newcomers, one of whom two anchors know: no quorum for any, no mail yet, but trust enters.
    three = everybody(RING[:3])
    assert list(ring(scene([*three, *by_anchors(*TOWN)]), LIMITS))
    assert not list(ring(scene([*three, ("a1", "r0"), ("a2", "r0"), *by_anchors(*TOWN)]), LIMITS))


def test_gated_hosts_are_none() -> None:
    assert not list(ring(scene([*by_anchors(*TOWN), *everybody(TOWN)]), LIMITS))


def test_a_chain_and_a_pair_are_none() -> None:
    chain = list(pairwise(RING))
    assert not list(ring(scene([*chain, ("x", "y"), ("y", "x")], SPAM), LIMITS))


def test_two_rings_joined_by_one_endorsement_each_way_are_found_together() -> None:
    other = [f"s{i}" for i in range(5)]
    pairs = [*everybody(RING), *everybody(other), ("r0", "s0"), ("s0", "r0")]
    (finding,) = ring(scene(pairs, SPAM), LIMITS)
    assert len(members(finding)) == 10


def test_rings_apart_are_findings_apart() -> None:
    other = [f"s{i}" for i in range(5)]
    findings = list(ring(scene([*everybody(RING), *everybody(other)], SPAM), LIMITS))
    assert [len(members(finding)) for finding in findings] == [5, 5]


def test_a_dense_core_is_found_within_a_sparse_community() -> None:
    # Forty hosts in two interleaved cycles, of which the first six form a clique.
    size = 40
    pairs = {(i, (i + step) % size) for i in range(size) for step in (1, 3, -1, -3)}
    pairs |= {(u, v) for u in range(6) for v in range(6) if u != v}
    subject, endorser = np.array(sorted((v, u) for u, v in pairs)).T.copy()
    (found,) = dense_sets(endorser, subject, size, LIMITS)
    assert set(map(int, found.members)) == set(range(6))
