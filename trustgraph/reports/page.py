"""The report as one HTML file: summary, findings and what to do, plots, how to read it. Nothing loaded, no script.

Host names and User IDs come from whoever sent the mail: the template escapes everything, and what is invisible or
reorders text is shown as its code (:mod:`shown`). The page's own Content-Security-Policy forbids all but its pictures.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from trustgraph.model import UnixSeconds, to_rfc3339
from trustgraph.reports.evidence import Evidence
from trustgraph.reports.findings import Finding, FindingKind, Group, grouped
from trustgraph.reports.pictures import Picture
from trustgraph.reports.shown import shown

#: Hosts on the page; CSV and JSON have all.
MAX_GROUPS = 300
#: Hosts named in the summary.
MAX_TOP = 5

TITLES = {
    FindingKind.ENDORSED_WITH_BAD_MAIL: "Endorsed, but with bad mail",
    FindingKind.RING: "Ring: endorsed mainly by each other",
    FindingKind.SUDDEN_TURN: "Sudden turn after a good history",
    FindingKind.ENDORSEMENT_BURST: "Burst of endorsements",
    FindingKind.SEVERAL_KEYS: "Several keys for one host",
    FindingKind.VOLUME_WITHOUT_STANDING: "High volume and no standing",
}
MEANINGS = {
    FindingKind.ENDORSED_WITH_BAD_MAIL: "Somebody vouches for it, and what trusted observers received from it was bad.",
    FindingKind.RING: "Hosts that densely certify each other, while hardly any trust enters and no good mail leaves.",
    FindingKind.SUDDEN_TURN: "Good for weeks, then bad from one day on: sold, broken into, or waiting for it.",
    FindingKind.ENDORSEMENT_BURST: "More operators endorsed it within a day than chance and custom explain.",
    FindingKind.SEVERAL_KEYS: "Two live keys claim one host name; one of them may be an impostor's.",
    FindingKind.VOLUME_WITHOUT_STANDING: "It sends much, is not accepted, and its mail is not known to be good.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One finding as the table shows it."""

    title: str
    severity: float
    evidence: str
    action: str
    identity: str


def relay_page(findings: Sequence[Finding], images: Sequence[Picture], evidence: Evidence, now: UnixSeconds) -> str:
    """The whole page."""
    groups = grouped(findings)
    kinds = Counter(finding.kind for finding in findings)
    return (
        _environment()
        .get_template("relays.html")
        .render(
            generated_at=to_rfc3339(now),
            reference_time=to_rfc3339(evidence.snapshot.reference_time),
            identities=evidence.network.size,
            endorsements=len(evidence.network.endorser),
            anchors=int(evidence.problem.anchors.sum()),
            findings=len(findings),
            hosts=len(groups),
            kinds=[(TITLES[kind], MEANINGS[kind], kinds[kind]) for kind in FindingKind],
            top=[(group, [TITLES[kind] for kind in _kinds(group)]) for group in groups[:MAX_TOP]],
            groups=[(group, [_row(finding, group) for finding in group.findings]) for group in groups[:MAX_GROUPS]],
            omitted=max(len(groups) - MAX_GROUPS, 0),
            pictures=[(image.title, image.caption, base64.b64encode(image.png).decode("ascii")) for image in images],
        )
    )


def _kinds(group: Group) -> list[FindingKind]:
    return list(dict.fromkeys(finding.kind for finding in group.findings))


def _row(finding: Finding, group: Group) -> Row:
    """A finding in its group; a ring is told in full once, under the host that leads it."""
    text, action = finding.evidence, finding.action
    if group.name not in (finding.host, str(finding.identity)):
        text = f"member of the ring of {finding.facts['members']:.0f} hosts told under {shown(finding.host)}"
        action = "as there"
    return Row(TITLES[finding.kind], finding.severity, text, action, str(finding.identity))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("trustgraph.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    return environment
