"""Signature packets (RFC 9580 section 5.2.3): who says what and when. Pure and bounded; verifies nothing.

Reading goes in two steps, because most signatures of a flooded key are by nobody known: :func:`parse_signature` cuts a
packet into its parts and finds the issuer, :func:`parse_statement` reads what the hashed area says. The unhashed area
proves nothing: it is asked for the issuer and for embedded signatures, which verification then confirms.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.scoring.scope import SEPARATOR

#: More subpackets than this are no signature that anybody's software made.
MAX_SUBPACKETS = 128
MAX_REGEX_BYTES = 512
MAX_NOTATIONS = 16
MAX_NOTATION_BYTES = 1024

#: Salt length by hash algorithm for version 6 (RFC 9580 table 23).
SALT_BYTES = {8: 16, 9: 24, 10: 32, 11: 16, 12: 16, 14: 32}


class SignatureType(IntEnum):
    """Signature types over a document, a key and its User IDs (section 5.2.1)."""

    GENERIC = 0x10
    PERSONA = 0x11
    CASUAL = 0x12
    POSITIVE = 0x13
    APPROVAL = 0x16
    BINARY = 0x00
    SUBKEY_BINDING = 0x18
    PRIMARY_KEY_BINDING = 0x19
    DIRECT_KEY = 0x1F
    KEY_REVOCATION = 0x20
    SUBKEY_REVOCATION = 0x28
    CERTIFICATION_REVOCATION = 0x30


CERTIFICATION_TYPES = frozenset(range(0x10, 0x14))


class Subpacket(IntEnum):
    """The subpacket types that are acted on (section 5.2.3.7)."""

    CREATION_TIME = 2
    EXPIRATION_TIME = 3
    EXPORTABLE = 4
    TRUST = 5
    REGEX = 6
    KEY_EXPIRATION_TIME = 9
    ISSUER_KEY_ID = 16
    NOTATION = 20
    KEY_FLAGS = 27
    REVOCATION_REASON = 29
    EMBEDDED_SIGNATURE = 32
    ISSUER_FINGERPRINT = 33
    APPROVED_CERTIFICATIONS = 37


#: Types that may be critical without stopping us: those acted on, and those that speak to other uses of the key than
#: certification (preferences, features, flags, policy URI, keyserver hints, embedded signatures).
_UNDERSTOOD = frozenset(Subpacket) | {7, 11, 12, 21, 22, 23, 24, 25, 26, 28, 30, 34, 35, 39}

_RawSubpacket = tuple[int, bool, bytes]


class Signature(NamedTuple):
    """A version 4 or 6 signature packet, cut but not interpreted.

    ``hashed`` runs from the version to the end of the hashed area: what the trailer covers (section 5.2.4).
    ``material`` is the signature itself. ``subpackets`` are the hashed ones. ``issuer_fingerprint`` and
    ``issuer_key_id`` are lower-case hex as claimed, empty when absent; at least one is there.
    """

    version: int
    type: int
    key_algorithm: int
    hash_algorithm: int
    hashed: bytes
    digest_prefix: bytes
    salt: bytes
    material: bytes
    subpackets: tuple[_RawSubpacket, ...]
    unhashed: tuple[_RawSubpacket, ...]
    issuer_fingerprint: str
    issuer_key_id: str


class Statement(NamedTuple):
    """What the hashed area of a signature says. Durations are seconds, None when they do not end.

    ``not_understood`` names the critical subpacket or notation for whose sake the signature does not count (RFC 9580
    section 5.2.3.7), empty if there is none. ``revocation_reason`` and ``key_flags`` (the first octet, section
    5.2.3.29) are None when the subpacket is absent.
    """

    made_at: UnixSeconds
    expires_in: int | None = None
    exportable: bool = True
    depth: int = 0
    amount: int = 120
    regex: str = ""
    key_expires_in: int | None = None
    revocation_reason: int | None = None
    key_flags: int | None = None
    notations: tuple[tuple[str, str], ...] = ()
    not_understood: str = ""


def parse_signature(packet: bytes) -> Signature:
    """Cut the body of a signature packet. Raises :class:`BadInput` naming what was expected."""
    version = packet[0] if packet else None
    if version not in (4, 6):
        raise BadInput(f"signature of version {version}: expected 4 or 6")
    width = 2 if version == 4 else 4
    hashed_end, hashed_area = _area(packet, 4, width)
    unhashed_end, unhashed_area = _area(packet, hashed_end, width)
    subpackets = _subpackets(hashed_area)
    salt, material_at = _salt(packet, version, unhashed_end + 2)
    unhashed = _subpackets(unhashed_area)
    fingerprint, key_id = _issuer(version, subpackets, unhashed)
    return Signature(
        version=version,
        type=packet[1],
        key_algorithm=packet[2],
        hash_algorithm=packet[3],
        hashed=packet[:hashed_end],
        digest_prefix=packet[unhashed_end : unhashed_end + 2],
        salt=salt,
        material=packet[material_at:],
        subpackets=tuple(subpackets),
        unhashed=tuple(unhashed),
        issuer_fingerprint=fingerprint,
        issuer_key_id=key_id,
    )


def parse_statement(signature: Signature) -> Statement:
    """Read the hashed area. Of repeated subpackets the last counts (section 5.2.3.9), of regular expressions each does.

    Raises :class:`BadInput` when the creation time is missing or a subpacket that is acted on has the wrong form.
    """
    last = {kind: body for kind, _critical, body in signature.subpackets}
    if Subpacket.CREATION_TIME not in last:
        raise BadInput("signature without a hashed creation time")
    trust = last.get(Subpacket.TRUST)
    if trust is not None and len(trust) != 2:
        raise BadInput("trust subpacket is not 2 bytes long")
    reason = last.get(Subpacket.REVOCATION_REASON)
    flags = last.get(Subpacket.KEY_FLAGS)
    # Without a trust subpacket there is nothing that they could confine.
    regexes = _regexes(signature.subpackets) if Subpacket.REGEX in last else ""
    return Statement(
        made_at=UnixSeconds(_number(last, Subpacket.CREATION_TIME, 4)),
        expires_in=_number(last, Subpacket.EXPIRATION_TIME, 4) or None,
        exportable=_number(last, Subpacket.EXPORTABLE, 1, default=1) != 0,
        depth=trust[0] if trust else 0,
        amount=trust[1] if trust else 120,
        regex=regexes if trust else "",
        key_expires_in=_number(last, Subpacket.KEY_EXPIRATION_TIME, 4) or None,
        revocation_reason=reason[0] if reason else None,
        key_flags=None if flags is None else int.from_bytes(flags[:1]),
        notations=_notations(signature.subpackets),
        not_understood=_not_understood(signature.subpackets),
    )


def _area(packet: bytes, at: int, width: int) -> tuple[int, bytes]:
    """End and content of a subpacket area that starts with its length at ``at``."""
    start = at + width
    end = start + int.from_bytes(packet[at:start])
    # two bytes of digest follow both areas, so the comparison also holds for the hashed one
    if end + 2 > len(packet):
        raise BadInput("signature is cut off in a subpacket area")
    return end, packet[start:end]


def _salt(packet: bytes, version: int, at: int) -> tuple[bytes, int]:
    """The salt of a version 6 signature (section 5.2.3) and where the material starts."""
    if version == 4:
        return b"", at
    expected = SALT_BYTES.get(packet[3])
    size = packet[at] if at < len(packet) else None
    if expected is None or size != expected:
        raise BadInput(f"version 6 signature with hash {packet[3]} and a salt of {size} bytes: expected {expected}")
    return packet[at + 1 : at + 1 + size], at + 1 + size


def _subpackets(area: bytes) -> list[_RawSubpacket]:
    """Type, critical bit and body of each subpacket (section 5.2.3.7)."""
    found: list[_RawSubpacket] = []
    at, end = 0, len(area)
    while at < end:
        length = area[at]
        at += 1
        if length >= 192:
            extra = 4 if length == 255 else 1
            octets = area[at : at + extra]
            length = int.from_bytes(octets) if extra == 4 else (length - 192 << 8) + (octets[0] if octets else 0) + 192
            at += extra
        if not 0 < length <= end - at:
            raise BadInput("subpacket is longer than its area")
        kind = area[at]
        found.append((kind & 0x7F, kind > 0x7F, area[at + 1 : at + length]))
        at += length
        if len(found) > MAX_SUBPACKETS:
            raise BadInput(f"more than {MAX_SUBPACKETS} subpackets")
    return found


def _issuer(version: int, hashed: list[_RawSubpacket], unhashed: list[_RawSubpacket]) -> tuple[str, str]:
    """Fingerprint and key ID of the claimed issuer; the hashed area goes before the unhashed one.

    A version 4 signature is made by a version 4 key, 6 by 6 (section 5.2.3.35).
    """
    fingerprint = key_id = ""
    size = 20 if version == 4 else 32
    for kind, _critical, body in (*unhashed, *hashed):
        if kind == Subpacket.ISSUER_FINGERPRINT:
            if len(body) != size + 1 or body[0] != version:
                raise BadInput("issuer fingerprint is not of the signature's version")
            fingerprint = body[1:].hex()
        elif kind == Subpacket.ISSUER_KEY_ID and len(body) == 8:
            key_id = body.hex()
    if not fingerprint and not key_id:
        raise BadInput("signature without an issuer")
    return fingerprint, key_id


def _number(last: dict[int, bytes], kind: Subpacket, size: int, default: int = 0) -> int:
    body = last.get(kind)
    if body is None:
        return default
    if len(body) != size:
        raise BadInput(f"{kind.name.lower()} subpacket of {len(body)} bytes: expected {size}")
    return int.from_bytes(body)


def _regexes(subpackets: tuple[_RawSubpacket, ...]) -> str:
    """All of them (section 5.2.3.22), each without the NUL that ends it, as :func:`in_scope` takes them.

    Cut short they could allow more, so what cannot be kept whole is refused.
    """
    bodies = [body for kind, _critical, body in subpackets if kind == Subpacket.REGEX]
    try:
        texts = [body.decode() for body in bodies]
    except UnicodeDecodeError:
        raise BadInput("regular expression that is not UTF-8") from None
    if any(text.find("\0") != len(text) - 1 or not text or SEPARATOR in text for text in texts):
        raise BadInput("regular expression with a newline, or without a NUL at its end and only there")
    if sum(map(len, bodies)) > MAX_REGEX_BYTES:
        raise BadInput(f"regular expressions of more than {MAX_REGEX_BYTES} bytes")
    return SEPARATOR.join(text[:-1] for text in texts)


def _notations(subpackets: tuple[_RawSubpacket, ...]) -> tuple[tuple[str, str], ...]:
    """Human-readable notations (section 5.2.3.24), the first few; malformed and overlong ones are left out."""
    found: list[tuple[str, str]] = []
    for kind, _critical, body in subpackets:
        if kind != Subpacket.NOTATION or not 8 <= len(body) <= MAX_NOTATION_BYTES or not body[0] & 0x80:
            continue
        name_end = 8 + int.from_bytes(body[4:6])
        if name_end + int.from_bytes(body[6:8]) == len(body):
            name, value = body[8:name_end], body[name_end:]
            found.append((name.decode(errors="backslashreplace"), value.decode(errors="backslashreplace")))
    return tuple(found[:MAX_NOTATIONS])


def _not_understood(subpackets: tuple[_RawSubpacket, ...]) -> str:
    for kind, critical, _body in subpackets:
        if critical and kind == Subpacket.NOTATION:
            return "critical notation"
        if critical and kind not in _UNDERSTOOD:
            return f"critical subpacket {kind}"
    return ""
