"""Transferable public keys (RFC 9580 section 10.1) as keyservers pass them on: cut out of an answer, compared, armored.

Nothing is verified here. A certificate is its primary key, User IDs, public subkeys and the signatures on them; user
attributes and everything else is left out, and so are the signatures that stand on what is left out.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator

from trustgraph.errors import BadInput
from trustgraph.openpgp.armor import open_blocks
from trustgraph.openpgp.framing import Packet, Tag, read_packets, serialise
from trustgraph.openpgp.publickey import parse_public_key

_COMPONENTS = frozenset({Tag.PUBLIC_KEY, Tag.USER_ID, Tag.PUBLIC_SUBKEY})
_BLOCK_START = re.compile(rb"^(?=-----BEGIN PGP )", re.MULTILINE)
_CHECKSUM = re.compile(rb"^=(\S*)\s*^-----END PGP ", re.MULTILINE)

#: RFC 9580 section 6.1.1.
_CRC24_START = 0xB704CE
_CRC24_POLYNOMIAL = 0x864CFB

_LINE_CHARACTERS = 64


def find_certificate(blob: bytes, fingerprint: str) -> bytes | None:
    """The one certificate with this fingerprint (lower-case hex) in a keyserver's answer, armored or binary.

    Returns its packets with new-format headers, whatever stood before and after it left out, or None when the answer
    is whole and does not hold it. Of several copies the first that is whole. A packet longer than its kind may be is
    left out. ``blob`` is held in memory by the caller, who bounds it.

    Raises :class:`BadInput` when it may have been there but for damage: armor without its END line, with lines that
    are not base64 or with a wrong checksum (a missing one is fine, RFC 9580 section 6.1), packets cut off or garbage
    between them.
    """
    damage = ""
    for block in _blocks(blob):
        problems: list[str] = []
        octets = b"".join(stream.read() for stream in open_blocks(io.BytesIO(block), problems.append))
        checksum = _CHECKSUM.search(block) if block[:1] == b"-" else None
        if checksum and checksum[1] != base64.b64encode(crc24(octets).to_bytes(3)):
            problems.append("armor checksum does not match")
        if not problems:
            found = _cut_out(octets, fingerprint, problems)
            if found is not None:
                return found
        damage = damage or "; ".join(problems[:3])
    if damage:
        raise BadInput(damage)
    return None


def statements(certificate: bytes) -> frozenset[tuple[bytes, bytes]]:
    """What a certificate from :func:`find_certificate` says, in no order: each packet beside what it stands on.

    A keyserver may sort User IDs and signatures anew, so that only sets can be compared.
    """
    found = set()
    on = b""
    for packet in _packets(certificate, []):
        serialised = serialise(packet)
        on = serialised if packet.tag in _COMPONENTS else on
        found.add((on, serialised))
    return frozenset(found)


def enarmor(certificate: bytes) -> bytes:
    """Public key block in ASCII armor (RFC 9580 section 6.2), with the checksum that older servers insist on."""
    text = base64.b64encode(certificate)
    lines = [text[at : at + _LINE_CHARACTERS] for at in range(0, len(text), _LINE_CHARACTERS)]
    checksum = b"=" + base64.b64encode(crc24(certificate).to_bytes(3))
    begin, end = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
    return b"\n".join([begin, b"", *lines, checksum, end, b""])


def crc24(octets: bytes) -> int:
    """The armor checksum (RFC 9580 section 6.1.1)."""
    crc = _CRC24_START
    for octet in octets:
        crc = (crc << 8 & 0xFFFFFF) ^ _CRC24_TABLE[crc >> 16 ^ octet]
    return crc


def _crc24_of_octet(octet: int) -> int:
    crc = octet << 16
    for _ in range(8):
        crc <<= 1
        if crc & 0x1000000:
            crc ^= 0x1000000 | _CRC24_POLYNOMIAL
    return crc


_CRC24_TABLE = tuple(map(_crc24_of_octet, range(256)))


def _blocks(blob: bytes) -> list[bytes]:
    """A binary answer whole, else each armored block from its BEGIN line to the next one, so that each is judged alone.

    Every packet starts with a byte of 0x80 and above (RFC 9580 section 4.2), text with one below.
    """
    if blob[:1] >= b"\x80":
        return [blob]
    return [piece for piece in _BLOCK_START.split(blob) if piece.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")]


def _packets(octets: bytes, problems: list[str]) -> Iterator[Packet]:
    """Packets; ``problems`` grows with what could not be read, but not for a packet that is merely too long."""
    said: list[str] = []
    for packet in read_packets(io.BytesIO(octets), said.append, with_subkeys=True):
        # a packet skipped for its length is announced by one line and then given without its body
        skipped = packet.body is None and packet.tag in _COMPONENTS | {Tag.SIGNATURE}
        problems += said[:-1] if skipped else said
        said.clear()
        yield packet
    problems += said


def _cut_out(octets: bytes, fingerprint: str, problems: list[str]) -> bytes | None:
    """The first whole copy of the certificate; ``problems`` grows with damage that can have hidden it or a part."""
    pieces: list[bytes] = []
    damage_before = 0
    kept = False
    for tag, body in _packets(octets, problems):
        if tag in (Tag.PUBLIC_KEY, Tag.SECRET_KEY):
            if pieces and len(problems) == damage_before:
                break
            pieces = []
            kept = tag is Tag.PUBLIC_KEY and body is not None and _is_key(body, fingerprint)
            damage_before = len(problems)
        elif tag is not Tag.SIGNATURE:
            kept = bool(pieces) and tag in _COMPONENTS and body is not None
        if kept and body is not None:
            pieces.append(serialise(Packet(tag, body)))
    return b"".join(pieces) if pieces and len(problems) == damage_before else None


def _is_key(body: bytes, fingerprint: str) -> bool:
    try:
        return parse_public_key(body).fingerprint == fingerprint
    except BadInput:
        return False
