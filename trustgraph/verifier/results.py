"""The Authentication-Results field that the verifier writes (RFC 8601), and the forged ones that it takes out.

mx1.example.org; x-pgp-header=pass header.d=mx.peer.example header.fp=0123…;
    x-trustgraph=accepted policy.rating=0.871
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trustgraph.headersig.message import Field
from trustgraph.ingest.formats.auth_results_field import authserv_id_of
from trustgraph.model import Result
from trustgraph.policy.decision import Decision
from trustgraph.policy.evidence import Evidence
from trustgraph.verifier.examine import Checked

FIELD = b"Authentication-Results"


def render_results(authserv_id: str, checked: Sequence[Checked], evidence: Evidence, decision: Decision) -> bytes:
    """The value of the field, folded before each method, without the space behind the colon."""
    methods = [_signature_result(one) for one in checked] or ["x-pgp-header=none"]
    if decision.standing is not None:
        rating = evidence.responsible.rating if evidence.responsible else None
        shown = "" if rating is None else f" policy.rating={rating:.3f}"
        methods.append(f'x-trustgraph={decision.standing} reason="{decision.reason}"{shown}')
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
        if name.lower() != FIELD.lower():
            continue
        count += 1
        claimed = authserv_id_of(value)
        if claimed == ours or (not claimed and ours.encode() in value.lower()):
            found.append(count)
    return found[::-1]


def _signature_result(checked: Checked) -> str:
    finding, signature = checked.finding, checked.presented.signature
    said = f"x-pgp-header={finding.result}"
    if finding.result is not Result.PASS and finding.reason:
        said += f' reason="{finding.reason}"'
    if signature is None:
        return said
    return f"{said} header.d={signature.domain}\r\n\t header.fp={signature.fingerprint}"
