"""What to do about a finding, in words a mail operator can act on."""

from __future__ import annotations

from collections.abc import Sequence

from trustgraph.reports.evidence import Evidence
from trustgraph.reports.shown import shown

#: Names in one sentence; more are counted.
MAX_NAMES = 5


def deny(evidence: Evidence, position: int) -> str:
    """Refuse it here, or, for an anchor, stop trusting it first."""
    identity = evidence.identity(position)
    if evidence.problem.anchors[position]:
        return f"take {identity} out of [anchors] until its operator has answered"
    return f"refuse {identity} at your gateway"


def withdraw(evidence: Evidence, position: int) -> str:
    """Have the endorsements that count withdrawn, our own first; deny it where nobody trusted has endorsed it."""
    endorsers = evidence.network.into(position)
    trusted = [int(u) for u in endorsers[evidence.trusted[endorsers]]]
    own = [u for u in trusted if evidence.own_host and evidence.host(u) == evidence.own_host]
    others = sorted(evidence.name(u) for u in trusted if u not in own)
    steps = []
    if own:
        steps.append("your own host endorses it: revoke that certification")
    if others:
        steps.append(f"ask {listed(others)} to revoke")
    steps.append(deny(evidence, position) + (" until then" if steps else ""))
    return "; ".join(steps)


def listed(names: Sequence[str]) -> str:
    """``a, b, c and 4 more``."""
    text = ", ".join(shown(name) for name in names[:MAX_NAMES])
    return text + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")


def counted(number: int, one: str, many: str = "") -> str:
    """``1 message``, ``2 messages``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
