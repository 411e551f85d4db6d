"""The field PGP-Header-Signature and its parts. Parsing is total: a field is well-formed or :class:`BadInput` says why.

v=1; d=mx.example.org; fp=0123…; t=1764000000; x=1764604800; n=…; bh=…; mf=…; rt=…; h=From:To:…; b=…
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache

from trustgraph.errors import BadInput
from trustgraph.headersig.coverage import FIELD
from trustgraph.headersig.message import MAX_FIELDS
from trustgraph.headersig.tags import parse_tags
from trustgraph.model import UnixSeconds, parse_domain

#: A longer field is not looked at.
MAX_FIELD_BYTES = 64 * 1024
#: Longer than any signature packet by an algorithm that counts.
MAX_SIGNATURE_BYTES = 4 * 1024
#: RFC 5321 section 4.5.3.1.3, twice over for SMTPUTF8.
MAX_PATH_BYTES = 512
NONCE_BYTES = 8

#: The null reverse-path in ``mf``.
NULL_PATH = b"<>"

_COLUMNS = 76
#: Longer lists of names are read anew each time.
_MAX_KEPT_BYTES = 1024
_FINGERPRINT = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
_SECONDS = re.compile(rb"[1-9][0-9]{0,11}")
_NONCE = re.compile(rb"[0-9a-f]{16}")
_NAMES = re.compile(rb"[\x21-\x39\x3c-\x7e]+(?:[ \t\r\n]*:[ \t\r\n]*[\x21-\x39\x3c-\x7e]+)*")
_NAME = re.compile(rb"[\x21-\x39\x3c-\x7e]+")


@dataclass(frozen=True, slots=True)
class HeaderSignature:
    """One header signature as it says of itself; nothing here is proved.

    ``names`` are the signed fields' names in lower case. ``body_hash`` is None in ``headers`` mode. ``mail_from`` and
    ``recipient`` are the bound envelope in its canonical form, None where it is not bound. ``signature`` is an OpenPGP
    signature packet.
    """

    domain: str
    fingerprint: str
    signed_at: UnixSeconds
    expires_at: UnixSeconds
    names: tuple[bytes, ...]
    nonce: bytes
    signature: bytes
    body_hash: bytes | None = None
    mail_from: bytes | None = None
    recipient: bytes | None = None


def parse_field(value: bytes) -> HeaderSignature:
    """A header signature from the value of its field. Unknown tags are left to the signature to cover.

    Raises :class:`BadInput` naming the tag that is missing or malformed.
    """
    if len(value) > MAX_FIELD_BYTES:
        raise BadInput(f"the field is {len(value):,} octets long: expected at most {MAX_FIELD_BYTES:,}")
    tags = parse_tags(value)
    if tags.get(b"v") != b"1":
        raise BadInput("tag v: expected 1")
    return HeaderSignature(
        domain=_domain(_required(tags, b"d")),
        fingerprint=_matching(tags, b"fp", _FINGERPRINT, "a full fingerprint in lower-case hex").decode(),
        signed_at=UnixSeconds(int(_matching(tags, b"t", _SECONDS, "Unix seconds"))),
        expires_at=UnixSeconds(int(_matching(tags, b"x", _SECONDS, "Unix seconds"))),
        names=_signed_names(_required(tags, b"h")),
        nonce=bytes.fromhex(_matching(tags, b"n", _NONCE, "16 hex digits").decode()),
        signature=_decoded(tags, b"b", MAX_SIGNATURE_BYTES),
        body_hash=_body_hash(tags) if b"bh" in tags else None,
        mail_from=_decoded(tags, b"mf", MAX_PATH_BYTES) if b"mf" in tags else None,
        recipient=_decoded(tags, b"rt", MAX_PATH_BYTES) if b"rt" in tags else None,
    )


def render_unsigned(parts: HeaderSignature, names: list[bytes]) -> bytes:
    """The value of the field, folded, up to and with ``b=``; ``names`` are written as given."""
    head = (
        f" v=1; d={parts.domain};",
        f"\tt={parts.signed_at}; x={parts.expires_at}; n={parts.nonce.hex()};",
        f"\tfp={parts.fingerprint};",
    )
    lines = [line.encode() for line in head]
    for tag, octets in ((b"bh", parts.body_hash), (b"mf", parts.mail_from), (b"rt", parts.recipient)):
        if octets is not None:
            lines += _folded(tag + b"=" + b64encode(octets) + b";")
    lines += _folded_names(names)
    return b"\r\n".join([*lines, b"\tb="])


def render_signed(unsigned: bytes, signature: bytes) -> bytes:
    """The value of :func:`render_unsigned` with the signature packet in it."""
    text = b64encode(signature)
    room = _COLUMNS - 2
    pieces = [text[at : at + room] for at in range(0, len(text), room)]
    return unsigned + b"\r\n\t".join(pieces)


def canonical_path(path: bytes) -> bytes:
    """A MAIL FROM or RCPT TO address, without its brackets, as it is bound: the domain in lower case, no more."""
    if not path:
        return NULL_PATH
    local, at, domain = path.rpartition(b"@")
    return local + at + domain.lower() if at else path


def _required(tags: dict[bytes, bytes], tag: bytes) -> bytes:
    if tag not in tags:
        raise BadInput(f"tag {tag.decode()} is missing")
    return tags[tag]


def _matching(tags: dict[bytes, bytes], tag: bytes, pattern: re.Pattern[bytes], expected: str) -> bytes:
    value = _required(tags, tag)
    if not pattern.fullmatch(value):
        raise BadInput(f"tag {tag.decode()}: expected {expected}")
    return value


@lru_cache(maxsize=4096)
def _domain(value: bytes) -> str:
    text = value.decode("ascii")  # tag values are ASCII
    if "." not in text or parse_domain(text) != text:
        raise BadInput("tag d: expected a host name in lower case")
    return text


def _signed_names(value: bytes) -> tuple[bytes, ...]:
    return _often_seen(value) if len(value) <= _MAX_KEPT_BYTES else _split_names(value)


def _split_names(value: bytes) -> tuple[bytes, ...]:
    if not _NAMES.fullmatch(value):
        raise BadInput("tag h: expected field names with colons between them")
    names = tuple(_NAME.findall(value.lower()))
    if len(names) > 2 * MAX_FIELDS:
        raise BadInput(f"tag h: more than {2 * MAX_FIELDS:,} names")
    if FIELD.lower() in names:
        raise BadInput("tag h: a header signature does not sign header signatures")
    return names


#: The same software gives the messages of a host the same fields.
_often_seen = lru_cache(maxsize=256)(_split_names)


def _decoded(tags: dict[bytes, bytes], tag: bytes, limit: int) -> bytes:
    text = b"".join(_required(tags, tag).split())  # of white space, tag values have only what folds
    try:
        octets = binascii.a2b_base64(text)
    except binascii.Error:
        octets = b""
    # One spelling, so that no two fields say the same.
    if not octets or len(octets) > limit or binascii.b2a_base64(octets, newline=False) != text:
        raise BadInput(f"tag {tag.decode()}: expected base64 of 1 to {limit:,} octets")
    return octets


def _body_hash(tags: dict[bytes, bytes]) -> bytes:
    octets = _decoded(tags, b"bh", 32)
    if len(octets) != 32:
        raise BadInput("tag bh: expected base64 of a SHA-256 hash")
    return octets


def _folded(text: bytes) -> list[bytes]:
    """Base64 may be cut anywhere (RFC 6376 section 3.2 allows folding white space in it)."""
    room = _COLUMNS - 1
    return [b"\t" + text[at : at + room] for at in range(0, len(text), room)]


def _folded_names(names: list[bytes]) -> list[bytes]:
    lines, line = [], b"\th="
    for number, name in enumerate(names, start=1):
        piece = name + (b":" if number < len(names) else b";")
        if len(line) + len(piece) > _COLUMNS and line != b"\th=":
            lines.append(line)
            line = b"\t"
        line += piece
    return [*lines, line]
