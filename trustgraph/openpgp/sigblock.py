"""A detached signature as mail carries it: binary or in armor (RFC 9580 section 6.2), one packet or several. Strict."""

from __future__ import annotations

import base64
import binascii

from trustgraph.errors import BadInput
from trustgraph.openpgp.crc24 import crc24
from trustgraph.openpgp.framing import Tag, parse_header

MAX_BLOCK_BYTES = 64 * 1024
MAX_PACKETS = 8
_MAX_HEADER_LINES = 20

_BEGIN = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"


def signature_packets(octets: bytes) -> list[bytes]:
    """The signature packets of a block, each with its header; at least one, at most :data:`MAX_PACKETS`.

    Raises :class:`BadInput` for anything else in it, however well the rest may verify.
    """
    if len(octets) > MAX_BLOCK_BYTES:
        raise BadInput(f"a signature of {len(octets):,} octets: expected at most {MAX_BLOCK_BYTES:,}")
    binary = octets if octets[:1] >= b"\x80" else _dearmored(octets)
    packets: list[bytes] = []
    at = 0
    while at < len(binary):
        header = parse_header(binary[at : at + 6])
        if header is None or header[0] != Tag.SIGNATURE or at + header[1] + header[2] > len(binary):
            raise BadInput(f"octet {at:,} of a signature begins no whole signature packet")
        end = at + header[1] + header[2]
        packets.append(binary[at:end])
        at = end
    if not 0 < len(packets) <= MAX_PACKETS:
        raise BadInput(f"{len(packets)} signature packets: expected 1 to {MAX_PACKETS}")
    return packets


def _dearmored(octets: bytes) -> bytes:
    lines = [line.rstrip(b" \t\r") for line in octets.strip(b" \t\r\n").split(b"\n")]
    if lines[0] != _BEGIN or lines[-1] != _END or b"" not in lines[: _MAX_HEADER_LINES + 2]:
        raise BadInput("expected one armored signature and nothing else")
    empty = lines.index(b"")
    if not all(b":" in line for line in lines[1:empty]):
        raise BadInput("a header line of a signature's armor is none")
    body = lines[empty + 1 : -1]
    checksum = body.pop() if body and body[-1].startswith(b"=") else None
    try:
        binary = base64.b64decode(b"".join(body), validate=True)
        right = checksum is None or base64.b64decode(checksum[1:], validate=True) == crc24(binary).to_bytes(3)
    except binascii.Error:
        raise BadInput("a signature's armor is not base64") from None
    if not right:
        raise BadInput("a signature's armor does not match its checksum")
    return binary
