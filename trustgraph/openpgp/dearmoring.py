"""ASCII armor off an answer as it arrives (RFC 9580 section 6.2), each block's checksum compared. Does no I/O.

The sibling of :mod:`.armor`, which reads files and forgives more: here a block counts only if it is whole, since what
is missing may be a revocation. Text around the blocks is passed over. Held are the beginning of a line and a block's
end.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Protocol

from trustgraph.openpgp.crc24 import Crc24

#: Header lines of a block, all together; nobody's software writes as much as 1 KiB.
MAX_HEADER_BYTES = 16 * 1024

#: From the last base64 character of a block to its END.
MAX_TAIL_BYTES = 1024

_BEGIN = re.compile(rb"^-----BEGIN PGP PUBLIC KEY BLOCK-----", re.MULTILINE)
_ANOTHER = re.compile(rb"^-----BEGIN PGP ", re.MULTILINE)
_END = b"-----END PGP "
_MARK_BYTES = 64
_BODY_ENDS = re.compile(rb"[=-]")
_TAIL = re.compile(rb"(={0,2})[ \t\r]*\n\s*(?:^=([A-Za-z0-9+/]{4})\s*)?^-----END PGP ", re.MULTILINE)
_WHITE = b" \t\r\n"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Blocks(Protocol):
    """Is told of the public key blocks of an answer, one after the other."""

    def begin(self) -> None:
        """A block begins."""
        ...

    def data(self, octets: bytes) -> None:
        """More of what is in it."""
        ...

    def end(self, damage: str) -> None:
        """It is over; ``damage`` says what is wrong with its armor, empty if nothing is."""
        ...


class Dearmorer:
    """Takes text in pieces of any size.

    ``began`` and ``ended`` say whether a mark was seen that begins or ends a block.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.began = False
        self.ended = False
        self._blocks = blocks
        self._step: Callable[[], bool] = self._outside
        self._inside = False
        self._text = b""
        self._header_bytes = 0
        self._quartet = b""
        self._after_newline = True
        self._crc = Crc24()

    def feed(self, text: bytes) -> None:
        """Take in the next piece."""
        self._text += text
        while self._step():
            pass

    def finish(self) -> None:
        """There is no more."""
        if self._inside:
            self._end("armored block without its END line: cut off")

    # Each step takes what it can from the text and says whether the next one has something to do.

    def _outside(self) -> bool:
        self.ended = self.ended or _END in self._text
        begin = _BEGIN.search(self._text)
        if begin is None:
            # the last line may go on, and is no mark once it is longer than one
            line_at = self._text.rfind(b"\n") + 1
            rest = self._text[max(0, line_at - 1) :]
            self._text = rest if len(rest) < _MARK_BYTES else b"x"
            return False
        self._text = self._text[begin.end() :]
        self._header_bytes, self._quartet, self._after_newline, self._crc = 0, b"", True, Crc24()
        self.began = self._inside = True
        self._step = self._begin_line
        self._blocks.begin()
        return True

    def _begin_line(self) -> bool:
        line = self._line()
        if line:
            self._step = self._header_line
            if line.strip():
                self._end("text behind the mark of an armored block")
        return bool(line)

    def _header_line(self) -> bool:
        line = self._line()
        if line and b":" not in line:
            self._step, self._text = self._body, line + self._text
        return bool(line)

    def _line(self) -> bytes:
        """The next whole line of the armor's header; empty if it is not there yet."""
        end = self._text.find(b"\n") + 1
        self._header_bytes += end
        if self._header_bytes + (0 if end else len(self._text)) > MAX_HEADER_BYTES:
            self._end("armor header without an end")
            return b""
        line, self._text = self._text[:end], self._text[end:]
        return line

    def _body(self) -> bool:
        if not self._text:
            return False
        ends = _BODY_ENDS.search(self._text)
        body = self._text[: ends.start()] if ends else self._text
        if body:
            self._after_newline = body.endswith(b"\n")
        characters = self._quartet + body.translate(None, _WHITE)
        if characters.translate(None, _BASE64):
            self._text = (b"\n" if self._after_newline else b"x") + self._text[len(body) :]
            self._end("what is not base64 in an armored block")
            return True
        whole = len(characters) - len(characters) % 4
        self._quartet = characters[whole:]
        self._decoded(characters[:whole])
        self._text = self._text[len(body) :]
        if ends:
            self._text = (b"\n" if self._after_newline else b"") + self._text
            self._step = self._tail
        return bool(ends)

    def _tail(self) -> bool:
        """Padding, which may be left out (RFC 4648 section 3.2), the checksum, which may be too, and the end."""
        tail = _TAIL.match(self._text)
        if tail is None:
            if len(self._text) <= MAX_TAIL_BYTES and not _ANOTHER.search(self._text):
                return False
            self._end("armored block without its END line: cut off")
            return True
        padding, checksum = tail[1], tail[2]
        self._text = b"x" + self._text[tail.end() :]
        self.ended = True
        if len(self._quartet) == 1 or (padding and len(self._quartet + padding) != 4):
            self._end("armored block that ends within an octet")
            return True
        self._decoded(self._quartet + b"=" * (-len(self._quartet) % 4))
        right = checksum is None or base64.b64decode(checksum) == self._crc.digest()
        self._end("" if right else "armor checksum does not match")
        return True

    def _decoded(self, characters: bytes) -> None:
        octets = binascii.a2b_base64(characters)
        self._crc.update(octets)
        if octets:
            self._blocks.data(octets)

    def _end(self, damage: str) -> None:
        self._inside = False
        self._step = self._outside
        self._blocks.end(damage)
