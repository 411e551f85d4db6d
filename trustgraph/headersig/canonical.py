"""Relaxed canonical forms of header fields and body (RFC 6376 sections 3.4.2 and 3.4.4), over octets.

White space is space and tab, a line ends with CRLF. In a field a bare LF is a line end too, since milters are handed
folds that way; in a body, CR and LF on their own are ordinary octets.
"""

from __future__ import annotations

import re
from hashlib import sha256

from trustgraph.errors import BadInput

_RUN = re.compile(rb"[ \t]+")
_NOT_A_FOLD = re.compile(rb"\n(?![ \t])")


def relaxed_value(value: bytes) -> bytes:
    """The value of a field unfolded, each run of white space one space, none at either end.

    Raises as :func:`require_folds` does.
    """
    if b"\n" in value:
        require_folds(value)
        value = value.replace(b"\r\n", b"\n")
    # What ``bytes.split`` takes for white space and the RFC does not.
    if b"\r" in value or b"\x0b" in value or b"\x0c" in value:
        return _RUN.sub(b" ", value.replace(b"\n", b"")).strip(b" ")
    return b" ".join(value.split())


def require_folds(value: bytes) -> None:
    """Raises :class:`BadInput` for a line end that is no fold: what follows it would be read as another field."""
    if _NOT_A_FOLD.search(value):
        raise BadInput("a header field has a line end that is not a fold")


def relaxed_field(name: bytes, value: bytes) -> bytes:
    """``name:value`` without the line end."""
    return name.lower() + b":" + relaxed_value(value)


class BodyHash:
    """SHA-256 of a body's relaxed canonical form, fed piece by piece; any cut into pieces gives the same."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._is_empty = True
        # What may yet turn out to be the end of the body: whole line ends, then white space and perhaps a CR.
        self._line_ends = 0
        self._tail = b""

    def update(self, piece: bytes) -> None:
        """Feed the next octets of the body."""
        data = self._tail + piece
        end = len(data.rstrip(b" \t\r\n"))
        # CR or LF on its own is content, and so is what stands before it; of a CR at the end nobody knows yet.
        singles = data[end:].replace(b"\r\n", b"  ")
        end += max(singles.rfind(b"\n"), singles.rfind(b"\r", 0, -1)) + 1
        if end:
            self._feed(data[:end])
        rest = data[end:]
        last = rest.rfind(b"\r\n")
        if last >= 0:
            self._line_ends += rest.count(b"\r\n")
            rest = rest[last + 2 :]
        self._tail = _RUN.sub(b" ", rest)

    def digest(self) -> bytes:
        """The hash of all that was fed, as a whole body. Nothing may be fed afterwards."""
        if self._tail.endswith(b"\r"):
            self._feed(self._tail)
        if not self._is_empty:
            self._hash.update(b"\r\n")
        return self._hash.digest()

    def _feed(self, content: bytes) -> None:
        self._is_empty = False
        if self._line_ends:
            self._hash.update(b"\r\n" * self._line_ends)
            self._line_ends = 0
        if b"\t" in content or b"  " in content:
            content = _RUN.sub(b" ", content)
        self._hash.update(content.replace(b" \r\n", b"\r\n"))


def body_hash(body: bytes) -> bytes:
    """SHA-256 of a whole body's relaxed canonical form."""
    whole = BodyHash()
    whole.update(body)
    return whole.digest()
