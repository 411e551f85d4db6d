"""One message signed or judged, as `trustgraph sign` and `trustgraph verify` do it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from trustgraph.headersig.canonical import BodyHash, body_hash
from trustgraph.headersig.field import NONCE_BYTES
from trustgraph.headersig.message import Field, join_message, split_message, with_network_line_ends
from trustgraph.headersig.signing import Envelope, Signing, sign
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.signer import MessageSigner
from trustgraph.services.gate import Gate, others_in
from trustgraph.settings import Settings
from trustgraph.verifier.examine import Checked, Client, Incoming, Judged

#: RFC 5322 section 2.1.1: a longer line is folded or refused on the way.
MAX_LINE_OCTETS = 998


@dataclass(frozen=True, slots=True)
class Signed:
    """Fields to put on top of a message, from the top. ``without_body`` says why the body was left out, if it was."""

    fields: tuple[Field, ...]
    without_body: str = ""


class BodyShape:
    """Whether a body goes through transit as it is: ASCII, no NUL, whole lines, none too long. Fed piece by piece."""

    def __init__(self) -> None:
        self._is_ascii = True
        self._nul = False
        self._line_octets = 0
        self._longest = 0
        self._bare = False
        self._after_cr = False

    def update(self, piece: bytes) -> None:
        """Feed the next octets."""
        if not piece:
            return
        self._is_ascii = self._is_ascii and piece.isascii()
        self._nul = self._nul or b"\0" in piece
        text = b"\r" + piece if self._after_cr else piece
        self._after_cr = piece.endswith(b"\r")
        ends = text.count(b"\r\n")
        self._bare |= text.count(b"\n") != ends or text.count(b"\r") - self._after_cr != ends
        lines = piece.split(b"\n")
        lengths = [len(line) for line in lines]
        lengths[0] += self._line_octets
        self._line_octets = lengths[-1]
        self._longest = max(self._longest, *lengths)

    def objection(self) -> str:
        """Why transit may change it, empty if it will not."""
        if self._bare or self._after_cr:
            return "bare-line-end"
        # The CR of a line end was counted, but the last line may have none.
        if self._longest > MAX_LINE_OCTETS + 1 or self._line_octets > MAX_LINE_OCTETS:
            return "long-line"
        if self._nul:
            return "nul-octet"
        return "" if self._is_ascii else "8bit-body"


def missing_fields(fields: Sequence[Field], hostname: str, now: UnixSeconds) -> list[Field]:
    """Date and Message-ID for a message without them: the MTA would add them after signing (RFC 6409 section 8)."""
    names = {name.lower() for name, _ in fields}
    missing: list[Field] = []
    if b"date" not in names:
        missing.append((b"Date", b" " + format_datetime(datetime.fromtimestamp(now, UTC)).encode("ascii")))
    if b"message-id" not in names:
        missing.append((b"Message-ID", f" <{now}.{secrets.token_hex(10)}@{hostname}>".encode("ascii")))
    return missing


def signing_of(settings: Settings, signer: MessageSigner, now: UnixSeconds) -> Signing:
    """Who signs, by the settings, with a new nonce."""
    return Signing(
        domain=settings.site.hostname,
        fingerprint=signer.certificate.fingerprint,
        signed_at=now,
        nonce=secrets.token_bytes(NONCE_BYTES),
        lifetime_seconds=int(settings.milter.signature_lifetime_seconds),
    )


def sign_fields(
    fields: Sequence[Field],
    body: tuple[BodyHash, BodyShape] | None,
    envelope: Envelope,
    settings: Settings,
    signer: MessageSigner,
    now: UnixSeconds,
) -> Signed:
    """The signature and the fields that were missing. ``body`` None signs the header alone.

    Raises :class:`BadInput` for a header that cannot be signed.
    """
    missing = missing_fields(fields, settings.site.hostname, now)
    objection = body[1].objection() if body else ""
    digest = body[0].digest() if body and not objection else None
    field = sign([*missing, *fields], digest, envelope, signing_of(settings, signer, now), signer)
    return Signed((field, *missing), objection)


def sign_message(
    octets: bytes, envelope: Envelope, settings: Settings, signer: MessageSigner, now: UnixSeconds, *, headers: bool
) -> tuple[bytes, str]:
    """A whole message with its signature on top, with the line ends it came with, and why its body was left out.

    Raises :class:`BadInput` naming what is no message.
    """
    network = with_network_line_ends(octets)
    fields, body = split_message(network)
    fed = None
    if not headers:
        fed = BodyHash(), BodyShape()
        for each in fed:
            each.update(body)
    signed = sign_fields(fields, fed, envelope, settings, signer, now)
    whole = join_message([*signed.fields, *fields], body)
    return (whole if network is octets or network == octets else whole.replace(b"\r\n", b"\n")), signed.without_body


async def judge_message(gate: Gate, octets: bytes, envelope: Envelope, client: Client, queue_id: str) -> Judged:
    """The verdict on a whole message; recorded if the gate records. Raises :class:`BadInput` for what is no message."""
    fields, body = split_message(with_network_line_ends(octets))
    incoming = Incoming(fields, envelope, client, others_in(fields, gate.settings.milter.trusted_results))
    examined = await gate.verifier.examine(incoming)
    judged = await gate.verifier.conclude(examined, body_hash(body) if examined.needs_body else None)
    gate.record(judged, incoming, queue_id)
    return judged


def judged_json(judged: Judged) -> dict[str, Any]:
    """What `verify --json` prints."""
    evidence, decision = judged.evidence, judged.decision
    responsible = evidence.responsible
    reply = decision.reply
    return {
        "verdict": decision.verdict,
        "reason": decision.reason,
        "result": evidence.result,
        "result_reason": evidence.reason,
        "standing": decision.standing,
        "would_be": decision.would_be,
        "note": decision.note,
        "reply": f"{reply.code} {reply.enhanced} {reply.rule}" if reply else None,
        "responsible": responsible
        and {
            "identity": str(responsible.identity),
            "host": responsible.host,
            "rating": responsible.rating,
            "confidence": responsible.confidence,
            "by_client": evidence.by_client,
        },
        "seen_to_sign": evidence.seen_to_sign,
        "others": [{"identity": str(one.identity), "rating": one.rating} for one in evidence.others],
        "signatures": [_signature_json(one) for one in judged.checked],
    }


def _signature_json(checked: Checked) -> dict[str, Any]:
    signature = checked.presented.signature
    about = {"result": checked.finding.result, "reason": checked.finding.reason, "by_client": checked.by_client}
    if signature is None:
        return about | {"problem": checked.presented.problem}
    return about | {
        "host": signature.domain,
        "fingerprint": signature.fingerprint,
        "signed_at": signature.signed_at,
        "expires_at": signature.expires_at,
        "mode": "headers" if signature.body_hash is None else "message",
        "envelope": {True: "holds", False: "differs", None: "not bound or not known"}[checked.envelope],
    }
