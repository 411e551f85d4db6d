"""The Authentication-Results field that the verifier writes (RFC 8601), and the forged ones that it takes out.

mx1.example.org; x-pgp-header=pass header.d=mx.peer.example header.fp=0123…;
    x-trustgraph=accepted reason="accepted" policy.rating=0.871

``x-trustgraph`` is the standing (none where the signature or the operator decided) with the reason of the decision, and
under ``monitor`` what another profile would have done (``policy.would-be``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from trustgraph.headersig.message import Field
from trustgraph.ingest.formats.auth_results_field import authserv_id_of
from trustgraph.model import Result
from trustgraph.policy.decision import Decision
from trustgraph.policy.evidence import Evidence
from trustgraph.verifier.examine import Checked

FIELD = b"Authentication-Results"
_FIELD = FIELD.lower()

#: An authserv-id that needs no quotation marks (RFC 8601 section 2.2, RFC 2045 section 5.1).
AUTHSERV_ID = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")


def render_results(authserv_id: str, checked: Sequence[Checked], evidence: Evidence, decision: Decision) -> bytes:
    """The value of the field, folded before each method, without the space behind the colon."""
    methods = [_signature_result(one) for one in checked] or ["x-pgp-header=none"]
    rating = evidence.responsible.rating if evidence.responsible else None
    shown = "" if rating is None else f" policy.rating={rating:.3f}"
    if decision.would_be not in (None, decision.verdict):
        shown += f" policy.would-be={decision.would_be}"
    methods.append(f'x-trustgraph={decision.standing or "none"} reason="{decision.reason}"{shown}')
    return ";\r\n\t".join([authserv_id, *methods]).encode("ascii")


def forged_results(fields: Iterable[Field], authserv_id: str, trusted: Iterable[str] = ()) -> list[int]:
    """Which of a message's Authentication-Results fields (counted from 1, the top) claim to be ours, bottom first.

    ``trusted`` are the authserv-ids of filters that ran before and take out forged ones themselves. One that cannot be
    read and has our name somewhere in it is taken for forged: others may read it (section 5).
    """
    ours, found, count = authserv_id.lower(), [], 0
    if ours in {name.lower() for name in trusted}:
        return []
    for name, value in fields:
        if name.strip().lower() != _FIELD:
            continue
        count += 1
        claimed = authserv_id_of(value).rstrip(".")
        if claimed == ours or (
            not AUTHSERV_ID.fullmatch(claimed) and _may_name(claimed.encode() if claimed else value, ours.encode())
        ):
            found.append(count)
    return found[::-1]


_MARK = re.compile(rb"(\\.|[()])")
_PADDING = re.compile(rb"[\s\"\\\0]+")


def _may_name(value: bytes, name: bytes) -> bool:
    """Whether the name is in there, as it is or without what a reader may read over: comments, marks, white space."""
    outside, depth = [], 0
    for piece in _MARK.split(value.lower()):
        depth += (piece == b"(") - (piece == b")" and depth > 0)
        if not depth and piece != b")":
            outside.append(piece)
    return name in value.lower() or name in _PADDING.sub(b"", b"".join(outside))


def _signature_result(checked: Checked) -> str:
    finding, signature = checked.finding, checked.presented.signature
    said = f"x-pgp-header={finding.result}"
    if finding.result is not Result.PASS and finding.reason:
        said += f' reason="{finding.reason}"'
    if signature is None:
        return said
    return f"{said} header.d={signature.domain}\r\n\t header.fp={signature.fingerprint}"
