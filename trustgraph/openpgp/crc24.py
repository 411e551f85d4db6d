"""The checksum of ASCII armor (RFC 9580 section 6.1.1), over octets as they come.

A flooded key has tens of millions of octets, and a loop over them takes a second. The checksum is linear, so lanes of
:data:`LANE_OCTETS` are computed side by side, an octet of each a step, with integers as wide as there are lanes; then
each is moved to its place and added.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

LANE_OCTETS = 64

_START = 0xB704CE
_POLYNOMIAL = 0x864CFB


class Crc24:
    """Takes octets in pieces of any size."""

    def __init__(self) -> None:
        self._crc = _START
        self._rest = b""

    def update(self, octets: bytes) -> None:
        """Take in more octets."""
        octets = self._rest + octets
        whole = len(octets) - len(octets) % LANE_OCTETS
        self._rest = octets[whole:]
        (high, middle, low), crc = _tables().after_lane, self._crc
        for lane in _lanes(octets[:whole]):
            crc = high[crc >> 16] ^ middle[crc >> 8 & 0xFF] ^ low[crc & 0xFF] ^ lane
        self._crc = crc

    def digest(self) -> bytes:
        """The checksum of what was taken in so far, in three octets."""
        return _plain(self._crc, self._rest).to_bytes(3)


def crc24(octets: bytes) -> int:
    """The checksum of all of them."""
    crc = Crc24()
    crc.update(octets)
    return int.from_bytes(crc.digest())


class _Tables(NamedTuple):
    """``octet``: the high, middle and low octet of what each octet comes to. ``after_lane``: what an octet at each of
    these places of a checksum becomes by a lane of zeros.
    """

    octet: tuple[bytes, ...]
    after_lane: tuple[tuple[int, ...], ...]


@cache
def _tables() -> _Tables:
    values = [_plain(0, bytes((octet,))) for octet in range(256)]
    zeros = bytes(LANE_OCTETS)
    return _Tables(
        tuple(bytes(value >> place & 0xFF for value in values) for place in (16, 8, 0)),
        tuple(tuple(_plain(octet << place, zeros) for octet in range(256)) for place in (16, 8, 0)),
    )


def _lanes(octets: bytes) -> list[int]:
    """The checksum of each lane, begun at 0."""
    count = len(octets) // LANE_OCTETS
    tables = _tables().octet
    high = middle = low = 0
    for place in range(LANE_OCTETS):
        index = (high ^ int.from_bytes(octets[place::LANE_OCTETS])).to_bytes(count)
        by_high, by_middle, by_low = (int.from_bytes(index.translate(table)) for table in tables)
        high, middle, low = middle ^ by_high, low ^ by_middle, by_low
    planes = (plane.to_bytes(count) for plane in (high, middle, low))
    return [h << 16 | m << 8 | w for h, m, w in zip(*planes, strict=True)]


def _plain(crc: int, octets: bytes) -> int:
    """As the RFC has it."""
    for octet in octets:
        crc ^= octet << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1000000 | _POLYNOMIAL
    return crc
