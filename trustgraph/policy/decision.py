"""A verdict with exactly one reason, and what the peer is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trustgraph.model import Standing


class Verdict(StrEnum):
    """What to do with a message."""

    ACCEPT = "accept"
    QUARANTINE = "quarantine"
    TEMPFAIL = "tempfail"
    REJECT = "reject"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply (RFC 5321 section 4.2, RFC 3463). ``rule`` is for the peer: what was broken, nothing internal."""

    code: int
    enhanced: str
    rule: str

    def line(self, hostname: str) -> str:
        """The whole reply, and where there is help."""
        return f"{self.code} {self.enhanced} {self.rule}; help: postmaster@{hostname}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a message and why.

    ``reason`` is one word with hyphens out of :data:`trustgraph.policy.decide.REASONS`. ``reply`` is there for reject
    and tempfail. ``tagged``: accepted, and marked for filters that come after. ``would_be`` is the verdict that another
    profile than ``monitor`` would have given; the same as ``verdict`` elsewhere. ``note`` is the operator's own, of the
    override that decided.
    """

    verdict: Verdict
    reason: str
    standing: Standing | None = None
    reply: Reply | None = None
    tagged: bool = False
    would_be: Verdict | None = None
    note: str = ""
