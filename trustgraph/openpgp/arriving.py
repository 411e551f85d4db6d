"""Packets out of octets as they arrive (RFC 9580 section 4.2): what :mod:`.framing` does with files. Does no I/O.

Held are at most two packets of the longest kind and the last piece. Where what follows a packet cannot be a packet, the
last length was wrong or garbage was put in, and reading resumes at the next whole public-key packet after that packet's
header. What is cut off at the end is damage and is not looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trustgraph.errors import BadInput
from trustgraph.openpgp.framing import (
    KEY_START,
    LONGEST_KEY_START,
    MAX_SIGNATURE_BYTES,
    MAX_USER_ID_BYTES,
    Packet,
    Tag,
    parse_header,
)
from trustgraph.openpgp.publickey import MAX_KEY_BYTES, parse_public_key

#: The longest body given of each kind; of every other kind none is.
_NONE = -1
_LIMITS = {
    Tag.SIGNATURE: MAX_SIGNATURE_BYTES,
    Tag.PUBLIC_KEY: MAX_KEY_BYTES,
    Tag.PUBLIC_SUBKEY: MAX_KEY_BYTES,
    Tag.USER_ID: MAX_USER_ID_BYTES,
    Tag.SECRET_KEY: _NONE,
    Tag.SECRET_SUBKEY: _NONE,
    Tag.USER_ATTRIBUTE: _NONE,
}
_BY_NUMBER = {int(tag): (tag, limit) for tag, limit in _LIMITS.items()}

#: Bodies up to this length are held until what follows them proves to be a packet.
_HELD_BYTES = MAX_SIGNATURE_BYTES

#: How often reading resumes after damage. Each time may cost a search through all that is held.
MAX_RESUMPTIONS = 256

_HEADER_BYTES = 6
_FOR_EVER = 1 << 62

Report = Callable[[str], None]


class ArrivingPackets:
    """Takes octets in pieces of any size. ``report`` gets one line for each place that could not be read."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._held = b""
        self._at = 0  # in what is held; before it lies the body of the last packet
        self._back = 0  # where that body begins
        self._skipping = 0
        self._lost = False
        self._resumptions = 0

    def feed(self, octets: bytes) -> Iterator[Packet]:
        """The packets that are whole now; a body is None where it is longer than its kind may be, or of no use here.

        Take all of them before the next call. Never raises on what it reads.
        """
        self._held += octets
        while self._skip() and self._find() and (packets := self._next()) is not None:
            yield from packets
        self._held, self._at, self._back = self._held[self._back :], self._at - self._back, 0

    def finish(self) -> None:
        """There is no more."""
        if not self._lost and (self._skipping or self._at < len(self._held)):
            self._report("packet goes beyond the end: cut off or damaged")

    def _skip(self) -> bool:
        """Go past what is left of a long packet; False if that has not all come."""
        if self._skipping:
            step = min(self._skipping, len(self._held) - self._at)
            self._skipping -= step
            self._at += step
            self._back = self._at
        return not self._skipping

    def _find(self) -> bool:
        """When lost, go to the next whole public-key packet; False if none has come yet."""
        while self._lost:
            found = KEY_START.search(self._held, self._at)
            # nearer to the end, what comes next may show that a key begins before the one that was found
            decided = len(self._held) - LONGEST_KEY_START
            if found is None or found.start() > decided:
                self._at = self._back = max(self._at, decided + 1)
                return False
            self._at = self._back = found.start()
            whole = self._is_key()
            if whole is None:
                return False
            self._lost = not whole
            self._at += self._lost
        return True

    def _is_key(self) -> bool | None:
        """Whether a whole public key begins here; None if that cannot be said yet."""
        header = parse_header(self._held[self._at : self._at + _HEADER_BYTES])
        if header is None or header[2] > MAX_KEY_BYTES:
            return False
        start = self._at + header[1]
        if start + header[2] > len(self._held):
            return None
        try:
            parse_public_key(self._held[start : start + header[2]])
        except BadInput:
            return False
        return True

    def _next(self) -> tuple[Packet, ...] | None:
        """Go past the next packet, which is given if it is of a certificate; None if it has not all come."""
        held, at = self._held, self._at
        head = held[at : at + _HEADER_BYTES]
        header = parse_header(head) if head else None
        if header is None:
            if not head or (len(head) < _HEADER_BYTES and head[0] >= 0x80):
                return None
            self._lose()
            return ()
        number, size, length = header
        start = at + size
        tag, limit = _BY_NUMBER.get(number, (None, _NONE))
        if length > max(limit, _HELD_BYTES):
            self._at = self._back = start
            self._skipping = length
        elif start + length > len(held):
            return None
        else:
            self._back, self._at = start, start + length
        if tag is None:
            return ()
        return (Packet(tag, held[start : start + length] if length <= limit else None),)

    def _lose(self) -> None:
        self._report("not an OpenPGP packet of a keyring")
        self._at, self._lost = self._back, True
        self._resumptions += 1
        if self._resumptions > MAX_RESUMPTIONS:
            self._skipping = _FOR_EVER
