"""What a detector says: a finding, with its evidence in words and numbers and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trustgraph.model import Identity


class FindingKind(StrEnum):
    """In what way a host behaves like a spam relay."""

    ENDORSED_WITH_BAD_MAIL = "endorsed-with-bad-mail"
    RING = "ring"
    SUDDEN_TURN = "sudden-turn"
    ENDORSEMENT_BURST = "endorsement-burst"
    SEVERAL_KEYS = "several-keys"
    VOLUME_WITHOUT_STANDING = "volume-without-standing"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a ring."""

    identity: Identity
    host: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason to look at a host. ``severity`` is in [0, 1], by the formula of its detector.

    ``evidence`` and ``action`` are sentences for a mail operator; ``facts`` are the numbers behind them. ``members``
    is a bounded part of a ring's members, empty for other kinds. ``host`` is outside text: show it escaped.
    """

    kind: FindingKind
    identity: Identity
    host: str
    severity: float
    evidence: str
    action: str
    facts: Mapping[str, float] = field(default_factory=dict)
    members: tuple[Member, ...] = ()

    def as_object(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "kind": self.kind.value,
            "identity": str(self.identity),
            "host": self.host,
            "severity": round(self.severity, 4),
            "evidence": self.evidence,
            "action": self.action,
            "facts": dict(self.facts),
            "members": [{"identity": str(member.identity), "host": member.host} for member in self.members],
        }


@dataclass(frozen=True, slots=True)
class Group:
    """All that was found about one host, worst first.

    ``name`` is the host; or, where several keys claim that, the identity, and ``claims`` is what it claims to be.
    """

    name: str
    findings: tuple[Finding, ...]
    claims: str = ""

    @property
    def severity(self) -> float:
        """That of its worst finding."""
        return self.findings[0].severity


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first; equals by kind and identity, so that the order depends on nothing else."""
    return sorted(findings, key=lambda f: (-f.severity, f.kind, f.identity))


def grouped(findings: Sequence[Finding]) -> list[Group]:
    """One group a host, worst first; a ring is in the group of each member listed.

    A key that claims another's host name is a group of its own, or what it did would stand under the victim's name.
    """
    contested = {f.host for f in findings if f.kind is FindingKind.SEVERAL_KEYS}
    groups: dict[str, list[Finding]] = {}
    claims: dict[str, str] = {}
    for finding in ranked(findings):
        for member in finding.members or (Member(finding.identity, finding.host),):
            name = member.identity if member.host in contested else member.host or member.identity
            claims[str(name)] = member.host if member.host in contested else ""
            rows = groups.setdefault(str(name), [])
            if finding not in rows:
                rows.append(finding)
    ordered = [Group(name, tuple(rows), claims[name]) for name, rows in groups.items()]
    return sorted(ordered, key=lambda group: (-group.severity, -len(group.findings), group.name))
