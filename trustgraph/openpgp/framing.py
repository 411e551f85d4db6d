"""Packets out of a binary stream (RFC 9580 section 4.2), none held that is longer than its kind may be.

A length that cannot be trusted is the one thing that makes everything after it unreadable. So whenever what follows a
packet cannot be a packet, the last length was wrong or garbage was put in, and reading resumes at the next whole
public-key packet after that packet's own header. Damage costs the certificate it is in; more only where garbage itself
reads like a chain of packets, since going back further than one would cost a hostile file nothing and us a square.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import BinaryIO, NamedTuple

from trustgraph.errors import BadInput
from trustgraph.openpgp.publickey import MAX_KEY_BYTES, parse_public_key

CHUNK_BYTES = 256 * 1024
MAX_SIGNATURE_BYTES = 64 * 1024
MAX_USER_ID_BYTES = 4 * 1024

#: Bodies up to this length are held until what follows them proves to be a packet, wanted or not.
_HELD_BYTES = MAX_SIGNATURE_BYTES

#: How often a length beyond the end may send us back to look for what it hid: each costs reading to the end.
MAX_RETURNS = 8


class Tag(IntEnum):
    """Packet types of a certificate (RFC 9580 section 5), and of what a keyring holds beside it."""

    SIGNATURE = 2
    SECRET_KEY = 5
    PUBLIC_KEY = 6
    SECRET_SUBKEY = 7
    MARKER = 10
    TRUST = 12
    USER_ID = 13
    PUBLIC_SUBKEY = 14
    USER_ATTRIBUTE = 17
    PADDING = 21


class Packet(NamedTuple):
    """One packet. ``body`` is None where only the packet's presence matters or it is longer than its kind may be."""

    tag: Tag
    body: bytes | None


#: The longest body read of each kind; of every other kind nothing is read.
_BODY_LIMITS = {
    Tag.SIGNATURE: MAX_SIGNATURE_BYTES,
    Tag.PUBLIC_KEY: MAX_KEY_BYTES,
    Tag.USER_ID: MAX_USER_ID_BYTES,
}
_UNREAD = frozenset({Tag.SECRET_KEY, Tag.SECRET_SUBKEY, Tag.PUBLIC_SUBKEY, Tag.USER_ATTRIBUTE})
ALL_TAGS = frozenset(_BODY_LIMITS) | _UNREAD

#: Section 4.3: types 40 to 63 may be ignored when unknown; all others are an error here, hence garbage.
_TAGS = frozenset(Tag)
_KNOWN_TAGS = _TAGS | frozenset(range(40, 64))

#: Sizes of old-format headers by length type; 0: indeterminate length (section 4.2.2).
_OLD_SIZES = (2, 3, 5, 0)

#: A header of a public-key packet followed by version 4 or 6, a time and a signing algorithm.
KEY_START = re.compile(
    rb"(?:\x99..|\x98.|\x9a....|\xc6(?:[\x00-\xbf]|[\xc0-\xdf].|\xff....))[\x04\x06]....[\x01\x03\x11\x13\x16\x1b\x1c]",
    re.DOTALL,
)
LONGEST_KEY_START = 12

Report = Callable[[str], None]


def read_packets(
    stream: BinaryIO, report: Report, wanted: frozenset[Tag] = ALL_TAGS, *, with_subkeys: bool = False
) -> Iterator[Packet]:
    """The ``wanted`` packets of a stream in order. ``report`` gets one line for each place that could not be read.

    ``with_subkeys`` gives the bodies of public subkeys too, for handing a certificate on whole. Never raises on what
    it reads; whatever ``stream.read`` raises goes through.
    """
    window = _Window(stream)
    unread = _UNREAD - {Tag.PUBLIC_SUBKEY} if with_subkeys else _UNREAD
    body_limits = _BODY_LIMITS | {Tag.PUBLIC_SUBKEY: MAX_KEY_BYTES} if with_subkeys else _BODY_LIMITS
    limits = {int(tag): (tag, body_limits.get(tag, 0)) for tag in wanted}
    last = b""
    returns = 0
    while head := window.peek(6):
        header = parse_header(head)
        if header is None:
            if not _resume_at_next_key(window, last, report):
                return
            last = b""
            continue
        number, size, length = header
        tag, limit = limits.get(number, (None, 0))
        start = window.offset
        window.skip(size)
        last = window.take(length) if length <= max(limit, _HELD_BYTES) else b""
        if len(last) < length and window.skip(length - len(last)) < length - len(last):
            report(f"byte {start:,}: packet of {length:,} bytes goes beyond the end: cut off or damaged")
            window.unread(last)
            last = b""
            returns += 1
            if returns > MAX_RETURNS or not window.go_to(start + size) or not window.find_key():
                return
        elif tag is not None:
            if limit < length and tag not in unread:
                report(f"byte {start:,}: {_name(tag)} of {length:,} bytes skipped: at most {limit:,} are read")
            yield Packet(tag, last if length <= limit and tag not in unread else None)


def sole_packet(octets: bytes) -> Packet | None:
    """The packet that these octets are, no more and no less; None if they are not one."""
    header = parse_header(octets) if octets else None
    if header is None or header[0] not in _TAGS or header[1] + header[2] != len(octets):
        return None
    return Packet(Tag(header[0]), octets[header[1] :])


def serialise(packet: Packet) -> bytes:
    """A packet with a new-format header of the shortest length (section 4.2.1)."""
    body = packet.body or b""
    size = len(body)
    if size < 192:
        length = bytes((size,))
    elif size < 8384:
        length = ((size - 192) + (192 << 8)).to_bytes(2)
    else:
        length = b"\xff" + size.to_bytes(4)
    return bytes((0xC0 | packet.tag,)) + length + body


def _name(tag: Tag) -> str:
    return tag.name.lower().replace("_", " ")


def parse_header(head: bytes) -> tuple[int, int, int] | None:
    """Tag, header size and body length, or None: no packet of a keyring, or of partial or indeterminate length.

    Those lengths are for data packets only (section 4.2.1.4).
    """
    first = head[0]
    if first < 0x80:
        return None
    if first & 0x40:
        return _parse_new_header(first & 0x3F, head)
    tag, size = first >> 2 & 0x0F, _OLD_SIZES[first & 3]
    if not 0 < size <= len(head) or tag not in _KNOWN_TAGS:
        return None
    return tag, size, int.from_bytes(head[1:size])


def _parse_new_header(tag: int, head: bytes) -> tuple[int, int, int] | None:
    octet = head[1] if len(head) > 1 else 224
    if tag not in _KNOWN_TAGS or 224 <= octet < 255:
        return None
    if octet < 192:
        return tag, 2, octet
    size = 3 if octet < 224 else 6
    if len(head) < size:
        return None
    return tag, size, (octet - 192 << 8) + head[2] + 192 if size == 3 else int.from_bytes(head[2:6])


def _resume_at_next_key(window: _Window, last: bytes, report: Report) -> bool:
    start = window.offset
    window.unread(last)
    found = window.find_key()
    resumed = f"reading resumes at byte {window.offset:,}" if found else "no further public key in it"
    report(f"byte {start:,}: not an OpenPGP packet of a keyring; {resumed}")
    return found


class _Window:
    """A stream read ahead by chunks, with a place in it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._data = b""
        self._at = 0
        self._end_offset = 0

    @property
    def offset(self) -> int:
        """Bytes from the start of the stream to here."""
        return self._end_offset - len(self._data) + self._at

    def peek(self, count: int) -> bytes:
        """The next bytes, fewer only at the end."""
        if len(self._data) - self._at < count:
            self._fill(count)
        return self._data[self._at : self._at + count]

    def take(self, count: int) -> bytes:
        """The next bytes, fewer only at the end, and go past them."""
        piece = self.peek(count)
        self._at += len(piece)
        return piece

    def skip(self, count: int) -> int:
        """Go past so many bytes without holding them; returns how many there were."""
        left = count
        while left:
            piece = min(left, len(self._data) - self._at)
            self._at += piece
            left -= piece
            if left and not self.peek(1):
                break
        return count - left

    def unread(self, piece: bytes) -> None:
        """Go back over bytes just taken."""
        if self._at >= len(piece):
            self._at -= len(piece)
        else:
            self._data, self._at = piece + self._data[self._at :], 0

    def go_to(self, offset: int) -> bool:
        """Go back to an offset; False if it is no longer held and the stream cannot seek."""
        held = offset - (self._end_offset - len(self._data))
        if 0 <= held <= len(self._data):
            self._at = held
            return True
        if not self._stream.seekable():
            return False
        self._stream.seek(offset)
        self._data, self._at, self._end_offset = b"", 0, offset
        return True

    def find_key(self) -> bool:
        """Go forward to the next whole public-key packet; False, and to the end, if there is none."""
        while True:
            found = KEY_START.search(self._data, self._at)
            if found is None:
                self._at = max(self._at, len(self._data) - LONGEST_KEY_START)
                if not self._fill(LONGEST_KEY_START + 1):
                    self._at = len(self._data)
                    return False
                continue
            self._at = found.start()
            if self._is_key():
                return True
            self._at += 1

    def _is_key(self) -> bool:
        header = parse_header(self.peek(6))
        if header is None or header[2] > MAX_KEY_BYTES:
            return False
        _tag, size, length = header
        packet = self.peek(size + length)
        if len(packet) < size + length:
            return False
        try:
            parse_public_key(packet[size:])
        except BadInput:
            return False
        return True

    def _fill(self, count: int) -> bool:
        """Read on until ``count`` bytes are ahead; False if the stream ends first."""
        held = self._data[self._at :]
        pieces, size = [held], len(held)
        while size < count and (piece := self._stream.read(CHUNK_BYTES)):
            pieces.append(piece)
            size += len(piece)
            self._end_offset += len(piece)
        self._data, self._at = b"".join(pieces), 0
        return size >= count
