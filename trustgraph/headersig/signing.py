"""Make a header signature: choose the fields, build the text, have it signed, write the field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trustgraph.errors import BadInput
from trustgraph.headersig.coverage import FIELD, signed_names
from trustgraph.headersig.field import HeaderSignature, canonical_path, parse_field, render_signed, render_unsigned
from trustgraph.headersig.message import Field, is_field_name
from trustgraph.headersig.text import Header
from trustgraph.model import UnixSeconds

#: Longer than a sender's queue keeps a message (5 days in Postfix and Exim), and how long a signature may hold at most.
DEFAULT_LIFETIME_SECONDS = 7 * 86_400
MAX_LIFETIME_SECONDS = 14 * 86_400

#: Signed text in, OpenPGP signature packet out.
Signer: TypeAlias = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Envelope:
    """MAIL FROM and RCPT TO of a transaction, without brackets; ``mail_from`` is None when it is not known."""

    mail_from: bytes | None = None
    recipients: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs and when. ``nonce`` is 8 random octets, ``lifetime_seconds`` at most :data:`MAX_LIFETIME_SECONDS`."""

    domain: str
    fingerprint: str
    signed_at: UnixSeconds
    nonce: bytes
    lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS


def sign(
    fields: Sequence[Field], body_hash: bytes | None, envelope: Envelope, signing: Signing, signer: Signer
) -> Field:
    """The field to insert above all others; ``body_hash`` None signs the header alone.

    Raises :class:`BadInput` for a header that nobody should vouch for: no From, a field that may occur once occurring
    twice, or a name that is none; and for anything that would make a field which no verifier reads.
    """
    header = Header(fields)
    _require_sound(header)
    names = signed_names(fields)
    parts = HeaderSignature(
        domain=signing.domain,
        fingerprint=signing.fingerprint,
        signed_at=signing.signed_at,
        expires_at=UnixSeconds(signing.signed_at + min(signing.lifetime_seconds, MAX_LIFETIME_SECONDS)),
        names=tuple(name.lower() for name in names),
        nonce=signing.nonce,
        signature=b"",
        body_hash=body_hash,
        mail_from=None if envelope.mail_from is None else canonical_path(envelope.mail_from),
        recipient=canonical_path(envelope.recipients[0]) if len(envelope.recipients) == 1 else None,
    )
    unsigned = render_unsigned(parts, names)
    text = header.signed_text(parts.names, unsigned)
    value = render_signed(unsigned, signer(text))
    parse_field(value)
    return FIELD, value


def _require_sound(header: Header) -> None:
    if not any(name.lower() == b"from" for name, _ in header.fields):
        raise BadInput("the message has no From field")
    if repeated := header.repeated_singletons():
        raise BadInput(f"field {repeated[0].decode()} occurs more than once")
    for name, _ in header.fields:
        if not is_field_name(name.lower()):
            raise BadInput(f"{name[:60]!r} is no header field name")
