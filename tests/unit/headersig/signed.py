"""Messages signed by the rules of the design with the maker's packets; the code under test makes none of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from tests.conftest import GOLDEN as ALL_GOLDEN
from tests.unit.headersig.reference import Field, relaxed_body, signed_text
from tests.unit.openpgp.openpgp_maker import BORN, Key, certify, ed25519_key, key_flags, sign_document, user_id
from trustgraph.headersig.canonical import body_hash
from trustgraph.headersig.checking import Finding, check_signature, presented_signatures
from trustgraph.headersig.message import split_message
from trustgraph.headersig.text import Header
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate

GOLDEN = ALL_GOLDEN / "headersig"

DAY = 86_400
#: 2026-09-01, when everything is signed, and ten minutes later, when it is looked at.
AT = UnixSeconds(1_788_220_800)
NOW = UnixSeconds(AT + 600)

HOST = "mx.example.org"
SMTP = f"smtp://{HOST}"
KEY = ed25519_key(HOST)
NAME = b"PGP-Header-Signature"

OVERSIGNED = [
    *("From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "Sender", "In-Reply-To", "References"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
]

MESSAGE_FIELDS: list[Field] = [
    (b"Received", b" from client.example.org by mx.example.org; Tue, 1 Sep 2026 00:00:00 +0000"),
    (b"From", b" Anna <anna@example.org>"),
    (b"To", b" bert@example.net"),
    (b"Subject", b" Minutes of the\r\n meeting  in\tSeptember"),
    (b"Date", b" Tue, 1 Sep 2026 00:00:00 +0000"),
    (b"Message-ID", b" <minutes.1@example.org>"),
    (b"MIME-Version", b" 1.0"),
    (b"Content-Type", b" text/plain; charset=us-ascii"),
    (b"Keywords", b" first"),
    (b"Keywords", b" second"),
    (b"X-Mailer", b" Pigeon"),
]
MESSAGE_BODY = b"Dear Bert,\r\n\r\nwe  met.\t \r\nAnna\r\n\r\n"


def message(fields: list[Field], body: bytes) -> bytes:
    return b"".join(name + b":" + value + b"\r\n" for name, value in fields) + b"\r\n" + body


def host_packets(key: Key = KEY, *user_ids: str, at: int = BORN, flags: int = 3, extra: bytes = b"") -> bytes:
    """A certificate that certifies and signs."""
    parts = [key.packet]
    for text in user_ids or (SMTP,):
        parts += [user_id(text), certify(key, key, text, type=0x13, at=at, extra=key_flags(flags) + extra)]
    return b"".join(parts)


def host_certificate(packets: bytes = b"", key: Key = KEY, now: int = NOW) -> HostCertificate:
    return read_host_certificate([packets or host_packets(key)], key.fingerprint, UnixSeconds(now))


def names_to_sign(fields: list[Field]) -> str:
    transit = {"received", "return-path", "pgp-header-signature"}
    present = [name.decode() for name, _ in fields if name.decode().lower() not in transit]
    return ":".join(present + OVERSIGNED)


def default_tags(fields: list[Field], body: bytes, key: Key = KEY, at: int = AT) -> dict[str, str]:
    digest = hashlib.sha256(relaxed_body(body)).digest()
    return {
        "v": "1",
        "d": HOST,
        "fp": key.fingerprint,
        "t": str(at),
        "x": str(at + 7 * DAY),
        "n": "0123456789abcdef",
        "bh": base64.b64encode(digest).decode(),
        "h": names_to_sign(fields),
        "b": "",
    }


def write_tags(tags: Mapping[str, str]) -> bytes:
    return (" " + ";\r\n\t".join(f"{tag}={value}" for tag, value in tags.items())).encode("latin-1")


def sign_value(fields: list[Field], unsigned: bytes, names: str, key: Key = KEY, at: int = AT, **packet: Any) -> bytes:
    """The signature packet over a field that ends in ``b=``."""
    text = signed_text(fields, names.encode("latin-1").split(b":"), NAME, unsigned)
    return sign_document(key, text, at=at, **packet)


def sign_fields(
    fields: list[Field],
    body: bytes,
    *,
    key: Key = KEY,
    at: int = AT,
    tags: Mapping[str, str | None] | None = None,
    **packet: Any,
) -> bytes:
    """The whole message with a signature on top; ``tags`` replace those by the rules, None takes one out."""
    changed = default_tags(fields, body, key, at) | dict(tags or {})
    changed["b"] = changed.pop("b")  # the last
    written = {tag: value for tag, value in changed.items() if value is not None}
    unsigned = write_tags(written)
    made = sign_value(fields, unsigned, written.get("h", ""), key, packet.pop("packet_at", at), **packet)
    return message([(NAME, unsigned + base64.b64encode(made)), *fields], body)


def judged(octets: bytes, host: HostCertificate, now: int = NOW, which: int = 0) -> Finding:
    """What the code under test says of one of a message's signatures."""
    fields, body = split_message(octets)
    header = Header(fields)
    presented = presented_signatures(header)[which]
    return check_signature(presented, header, body_hash(body), host, UnixSeconds(now))


def said(finding: Finding) -> str:
    return f"{finding.result.value} {finding.reason}".rstrip()
