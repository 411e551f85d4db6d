"""What a filter answers, as packets. Every function refuses with ValueError what no MTA should be told.

Values of header fields are bytes, without the space that divides them from the colon: whether that space is to be sent
depends on what was negotiated. Lines of a folded value may end in CRLF or LF; the protocol wants LF.
"""

from __future__ import annotations

import re

from trustgraph.milter.protocol import encode

CONTINUE = encode(b"c")
ACCEPT = encode(b"a")
REJECT = encode(b"r")
TEMPFAIL = encode(b"t")
DISCARD = encode(b"d")
SKIP = encode(b"s")
PROGRESS = encode(b"p")

#: RFC 5321 section 4.5.3.1.5 gives a reply line 512 octets, CRLF included; the rest is left for what an MTA adds.
MAX_REPLY_BYTES = 480

#: RFC 3463: the class of the enhanced code is that of the reply; Postfix takes a differing one for a broken filter.
_REPLY = re.compile(r"(?P<kind>[45])\d\d (?P=kind)\.\d{1,3}\.\d{1,3} [ -~]+")

#: RFC 5322 section 3.6.8.
_NAME = re.compile(rb"[!-9;-~]+")

_MAX_INDEX = 2**31 - 1


def replycode(line: str) -> bytes:
    """An SMTP reply such as ``550 5.7.7 text``, one line of printable ASCII.

    ``%`` is doubled: Sendmail takes the text for a format, and Postfix halves it again.
    """
    if not _REPLY.fullmatch(line) or len(line) > MAX_REPLY_BYTES:
        raise ValueError(
            f"{line[:MAX_REPLY_BYTES]!r}: '550 5.x.y text' or '450 4.x.y text' in printable ASCII expected"
        )
    return encode(b"y", line.replace("%", "%%").encode() + b"\0")


def add_header(name: bytes, value: bytes, leading_space: bool) -> bytes:
    """Add a field below all others."""
    return encode(b"h", _field(name, value, leading_space))


def insert_header(index: int, name: bytes, value: bytes, leading_space: bool) -> bytes:
    """Insert a field; index 0 is above all others, 1 below the first one of the message as it will be delivered."""
    return encode(b"i", _index(index, 0) + _field(name, value, leading_space))


def change_header(index: int, name: bytes, value: bytes, leading_space: bool) -> bytes:
    """Replace the value of the ``index``-th field of this name, counted from 1 at the top; an empty one deletes it."""
    return encode(b"m", _index(index, 1) + _field(name, value, leading_space and bool(value)))


def delete_recipient(address: bytes) -> bytes:
    """Take a recipient out of the envelope, by the address that the client gave, without its angle brackets."""
    if not address or re.search(rb"[\x00-\x20<>]", address):
        raise ValueError(f"{address!r}: an address without angle brackets and white space expected")
    return encode(b"-", b"<" + address + b">\0")


def quarantine(reason: str) -> bytes:
    """Have the MTA hold the message. ``reason`` is shown to the operator."""
    if not re.fullmatch(r"[ -~]+", reason):
        raise ValueError(f"{reason!r}: a reason in printable ASCII expected")
    return encode(b"q", reason.encode() + b"\0")


def _index(index: int, least: int) -> bytes:
    if not least <= index <= _MAX_INDEX:
        raise ValueError(f"index {index}: {least} to {_MAX_INDEX:,} expected")
    return index.to_bytes(4)


def _field(name: bytes, value: bytes, leading_space: bool) -> bytes:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r}: a field name expected")
    lines = value.replace(b"\r", b"").split(b"\n")
    # A line that is not a continuation would be a field of its own, or end the header.
    if b"\0" in value or any(not line.strip() or line[:1] not in b" \t" for line in lines[1:]):
        raise ValueError(
            f"value of {name!r}: lines that begin with white space and are not empty expected, without NUL"
        )
    return name + b"\0" + (b" " if leading_space else b"") + b"\n".join(lines) + b"\0"
