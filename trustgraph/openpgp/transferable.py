"""Transferable public keys (RFC 9580 section 10.1) as keyservers pass them on: cut out of an answer, compared, armored.

Nothing is verified here.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import BinaryIO

from trustgraph.openpgp.crc24 import crc24
from trustgraph.openpgp.finding import COMPONENTS, CertificateFinder
from trustgraph.openpgp.framing import Packet, read_packets, serialise

_LINE_CHARACTERS = 64


class _AsItIs:
    """All packets of a certificate."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def add(self, packet: Packet) -> None:
        self.pieces.append(serialise(packet))


def find_certificate(blob: bytes, fingerprint: str) -> bytes | None:
    """The one certificate with this fingerprint (lower-case hex) in a keyserver's answer, armored or binary.

    Returns its packets with new-format headers, whatever stood before and after it left out, or None when the answer
    is whole and does not hold it. Of several copies the first that is whole. A packet longer than its kind may be is
    left out. ``blob`` is held in memory by the caller, who bounds it.

    Raises :class:`BadInput` when it may have been there but for damage: armor without its END line, with what is not
    base64 or with a wrong checksum (a missing one is fine, RFC 9580 section 6.1), packets cut off or garbage between
    them.
    """
    finder = CertificateFinder(fingerprint, _AsItIs)
    finder.feed(blob)
    found = finder.finish()
    return None if found is None else b"".join(found.pieces)


def statements(certificate: bytes) -> frozenset[tuple[bytes, bytes]]:
    """What a certificate from :func:`find_certificate` says, in no order: each packet beside what it stands on.

    A keyserver may sort User IDs and signatures anew, so that only sets can be compared.
    """
    return frozenset(_statements(io.BytesIO(certificate)))


def says_all(certificate: BinaryIO, wanted: frozenset[tuple[bytes, bytes]]) -> bool:
    """Whether a certificate, however long, says all of that."""
    missing = set(wanted)
    for one in _statements(certificate):
        missing.discard(one)
    return not missing


def _statements(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    on = b""
    for packet in read_packets(stream, lambda _problem: None, with_subkeys=True):
        serialised = serialise(packet)
        on = serialised if packet.tag in COMPONENTS else on
        yield on, serialised


def enarmor(certificate: bytes) -> bytes:
    """Public key block in ASCII armor (RFC 9580 section 6.2), with the checksum that older servers insist on."""
    text = base64.b64encode(certificate)
    lines = [text[at : at + _LINE_CHARACTERS] for at in range(0, len(text), _LINE_CHARACTERS)]
    checksum = b"=" + base64.b64encode(crc24(certificate).to_bytes(3))
    begin, end = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
    return b"\n".join([begin, b"", *lines, checksum, end, b""])
