"""The spam-relay report's findings: every detector over one solved problem. No I/O and no clock.

What all of them miss: relays whose mail no trusted observer has judged, and spam that classifiers took for good mail.
"""

from __future__ import annotations

from trustgraph.reports.bad_mail import endorsed_with_bad_mail, volume_without_standing
from trustgraph.reports.bursts import EndorsementTimes, endorsement_burst
from trustgraph.reports.evidence import Evidence
from trustgraph.reports.findings import Finding, ranked
from trustgraph.reports.host_keys import HostClaims, several_keys
from trustgraph.reports.rings import ring
from trustgraph.reports.thresholds import Thresholds
from trustgraph.reports.turns import sudden_turn


def find_relays(
    evidence: Evidence, times: EndorsementTimes, claims: HostClaims, thresholds: Thresholds
) -> list[Finding]:
    """All findings, worst first."""
    return ranked(
        [
            *endorsed_with_bad_mail(evidence, thresholds),
            *ring(evidence, thresholds),
            *sudden_turn(evidence, thresholds),
            *endorsement_burst(evidence, times, thresholds),
            *several_keys(evidence, claims, thresholds),
            *volume_without_standing(evidence, thresholds),
        ]
    )
