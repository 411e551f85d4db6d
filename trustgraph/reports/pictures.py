"""Which of the evidence goes into which plot, and in one line what to read off it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from trustgraph.model import day_of
from trustgraph.reports import plots
from trustgraph.reports.evidence import Evidence
from trustgraph.reports.findings import Finding, FindingKind
from trustgraph.reports.shown import shown
from trustgraph.scoring.snapshot import Flags, Floats, Ints, Texts

#: Characters of a caption in a notebook.
MAX_CAPTION = 1_000
#: Bounds of what is drawn.
MAX_DAYS, MAX_SERIES, MAX_NODES, MAX_FOUND_NODES, MAX_NAMED = 60, 6, 150, 70, 16


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG, its title and how to read it. A notebook shows it with its caption beneath."""

    title: str
    caption: str
    png: bytes = field(repr=False)

    def _repr_html_(self) -> str:
        """As IPython shows it; captions may hold outside text."""
        title, caption = (escape(shown(text, MAX_CAPTION)) for text in (self.title, self.caption))
        image = base64.b64encode(self.png).decode("ascii")
        return (
            f'<figure><img alt="{title}" style="max-width: 100%; width: 860px" src="data:image/png;base64,{image}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )


def pictures(evidence: Evidence, findings: Sequence[Finding]) -> list[Picture]:
    """The report's plots, in the order of the page."""
    found = _found(evidence, findings)
    p = evidence.parameters
    rated = (evidence.sample_size > 0) | (evidence.endorsers > 0)
    return [
        Picture(
            "Ratings",
            f"Right of {p.accept:g} mail is accepted, left of {p.refuse:g} it is refused: narrow bars on the right "
            "are relays that still get through. Identities without mail and endorsers are left out.",
            plots.rating_histogram(evidence.rating[rated], found[rated], accept=p.accept, refuse=p.refuse),
        ),
        Picture(
            "Good and bad mail",
            "Honest hosts lie along the bottom, relays along the left edge and above: a ringed point in the lower "
            "right would be a false alarm, an unringed one in the upper left a relay that was missed.",
            plots.mail_scatter(evidence.good, evidence.bad, _standings(evidence), found),
        ),
        Picture(
            "Daily bad mail",
            "One scale for all. Bars that begin on one day: a host that turned, or is new. Even rows: a relay.",
            plots.daily_bad_mail(*_daily(evidence, findings)),
        ),
        Picture(
            "The endorsements around the findings",
            f"At most {MAX_NODES} identities. Ringed clusters without arrows from the rest are rings; an arrow from an "
            "accepted host to a ringed one is an endorsement to withdraw.",
            _graph(evidence, findings, found),
        ),
    ]


def _found(evidence: Evidence, findings: Sequence[Finding]) -> Flags:
    """Who is named by a finding, ring members included."""
    names = {member.identity for finding in findings for member in finding.members}
    names |= {finding.identity for finding in findings}
    found = np.zeros(evidence.network.size, dtype=np.bool_)
    found[np.searchsorted(evidence.snapshot.identity_name, sorted(names))] = True
    return found


def _standings(evidence: Evidence) -> Texts:
    """Of those that sent anything; empty for the rest, who are not drawn."""
    standings = np.full(evidence.network.size, "", dtype=object)
    for position in np.flatnonzero(evidence.good + evidence.bad > 0):
        standings[position] = evidence.standing(int(position))
    return standings


def _daily(evidence: Evidence, findings: Sequence[Finding]) -> tuple[Ints, list[tuple[str, Ints]]]:
    """The recent days, and the bad mail on each of the hosts found that sent most of it, any that turned first."""
    names = evidence.snapshot.identity_name
    worst: dict[str, int] = {}
    for position in np.searchsorted(names, sorted({str(finding.identity) for finding in findings})):
        name = evidence.name(int(position))
        if name not in worst or evidence.bad[position] > evidence.bad[worst[name]]:
            worst[name] = int(position)
    turned = {finding.host or finding.identity for finding in findings if finding.kind is FindingKind.SUDDEN_TURN}
    order = sorted(worst.items(), key=lambda item: (item[0] not in turned, -int(evidence.bad[item[1]]), item[0]))
    mail = evidence.mail
    last = int(mail.day.max()) if len(mail.day) else int(day_of(evidence.snapshot.reference_time))
    first = int(mail.day.min()) if len(mail.day) else last
    days = np.arange(max(first, last - MAX_DAYS + 1), last + 1)
    series: list[tuple[str, Ints]] = []
    for name, position in order[:MAX_SERIES]:
        rows = (mail.subject == position) & (mail.day >= days[0])
        series.append(
            (name, np.bincount(mail.day[rows] - days[0], mail.bad[rows], minlength=len(days)).astype(np.int64))
        )
    return days, series


def _graph(evidence: Evidence, findings: Sequence[Finding], found: Flags) -> bytes:
    """The worst found, their neighbours, the anchors, and then whoever has most trust."""
    network, mass, anchors = evidence.network, evidence.algorithm.mass.mass, evidence.problem.anchors
    endorsed = np.diff(network.start) + network.out_degree > 0
    chosen = _most(found & endorsed, evidence.bad, MAX_FOUND_NODES)
    near = np.zeros(network.size, dtype=np.bool_)
    touched = np.isin(network.subject, chosen) | np.isin(network.endorser, chosen)
    near[network.endorser[touched]] = near[network.subject[touched]] = True
    for candidates in (anchors & endorsed, near, evidence.trusted & endorsed):
        left = candidates.copy()
        left[chosen] = False
        room = (MAX_NODES - len(chosen)) // (2 if candidates is near else 1)
        chosen = np.append(chosen, _most(left, mass, room))
    among = np.isin(network.endorser, chosen) & np.isin(network.subject, chosen)
    named = [int(np.searchsorted(evidence.snapshot.identity_name, str(f.identity))) for f in findings]
    labels = [int(v) for v in chosen[anchors[chosen]]]
    labels += [*dict.fromkeys(n for n in named if n in set(chosen.tolist()))][:MAX_NAMED]
    return plots.trust_graph(
        [int(v) for v in chosen],
        list(zip(network.endorser[among].tolist(), network.subject[among].tolist(), strict=True)),
        {int(v): evidence.standing(int(v)) for v in chosen},
        {v: evidence.name(v) for v in labels},
        found=frozenset(np.flatnonzero(found).tolist()),
        anchors=frozenset(np.flatnonzero(anchors).tolist()),
    )


def _most(candidates: Flags, amount: Ints | Floats, number: int) -> Ints:
    """Of the candidates the ``number`` with the largest amount."""
    positions = np.flatnonzero(candidates)
    return positions[np.argsort(-amount[positions], kind="stable")][:number]
