"""ASCII armor off (RFC 9580 section 6.2): a file in, binary OpenPGP streams out, one a block.

Forgiving where the RFC is and no further: text around and between blocks is passed over (keyservers wrap theirs in
HTML), the checksum line is optional and not compared (section 6.1), header lines are ignored. Nothing is held but one
line and one chunk.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

#: The longest line looked at; RFC 9580 section 6.3 writes 76. What is longer is read in pieces of this size.
MAX_LINE_BYTES = 4096

#: How much of a file is looked at to tell armor from binary.
SNIFFED_BYTES = 64 * 1024

_BEGIN = re.compile(rb"-----BEGIN PGP ([A-Z ]{1,40})-----\s*")
_BEGIN_ANYWHERE = re.compile(rb"^-----BEGIN PGP ", re.MULTILINE)
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_KEY_BLOCK = b"PUBLIC KEY BLOCK"

Report = Callable[[str], None]


def open_blocks(stream: BinaryIO, report: Report) -> Iterator[BinaryIO]:
    """Binary OpenPGP streams in a file: the file itself if it is binary, else each public key block, dearmored.

    ``stream`` stands at its beginning. Read each to its end before asking for the next. ``report`` gets one line for
    every block that is not what it should be. Reading raises whatever reading ``stream`` raises.
    """
    head = stream.read(SNIFFED_BYTES)
    if stream.seekable():
        stream.seek(0)
        whole = stream
    else:
        whole = io.BufferedReader(_Rejoined(head, stream), SNIFFED_BYTES)
    if _is_armored(head):
        yield from _armored_blocks(_Lines(whole), report)
    elif head:
        yield whole


def _is_armored(head: bytes) -> bool:
    """Every packet starts with a byte of 0x80 and above (RFC 9580 section 4.2), text with one below."""
    if not head or head[0] >= 0x80:
        return False
    return bool(_BEGIN_ANYWHERE.search(head)) or (head.isascii() and b"\0" not in head)


class _Rejoined(io.RawIOBase):
    """What was read off to look at it, followed by the rest of the stream."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the caller is BufferedReader
        piece = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


class _Lines:
    """Lines of bounded length, the last of which can be put back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._returned = b""

    def read(self) -> bytes:
        line, self._returned = self._returned, b""
        return line or self._stream.readline(MAX_LINE_BYTES)

    def put_back(self, line: bytes) -> None:
        self._returned = line


def _armored_blocks(lines: _Lines, report: Report) -> Iterator[BinaryIO]:
    found = False
    while line := lines.read():
        begin = _BEGIN.fullmatch(line)
        if begin is None:
            continue
        found = True
        if begin[1] != _KEY_BLOCK:
            report(f"armored {begin[1].decode().lower()} is not read: expected a public key block")
            continue
        block = _Block(lines)
        yield io.BufferedReader(block, SNIFFED_BYTES)
        block.finish(report)
    if not found:
        report("text without an armored OpenPGP block")


class _Block(io.RawIOBase):
    """The body of one armored block, from the line after BEGIN to END."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._in_headers = True
        self._undecoded = b""
        self._decoded = b""
        self._bad_lines = 0
        self._ended = False
        self._cut_off = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the caller is BufferedReader
        while not self._decoded and not self._ended:
            self._read_line()
        piece, self._decoded = self._decoded[: len(buffer)], self._decoded[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def finish(self, report: Report) -> None:
        """Pass over what was not read, and say what was wrong."""
        while not self._ended:
            self._read_line()
        if self._cut_off:
            report("armored block without its END line: cut off")
        if self._bad_lines:
            report(f"{self._bad_lines:,} lines of an armored block are not base64: left out")

    def _read_line(self) -> None:
        raw = self._lines.read()
        line = raw.strip()
        if not raw or line.startswith(b"-----"):
            self._end(raw)
        elif self._in_headers and b":" in line:
            return
        elif _BASE64_LINE.fullmatch(line):
            self._decode(self._undecoded + line)
        elif line and not line.startswith(b"="):  # "=" starts the checksum, RFC 9580 section 6.1
            self._bad_lines += 1
        self._in_headers = False

    def _end(self, raw: bytes) -> None:
        self._ended = True
        self._cut_off = not raw.startswith(b"-----END PGP ")
        if _BEGIN.fullmatch(raw):
            self._lines.put_back(raw)
        # RFC 4648 section 3.2 lets padding be left out; a single character is no whole byte
        self._decode(self._undecoded + b"=" * (-len(self._undecoded) % 4))

    def _decode(self, text: bytes) -> None:
        whole = len(text) - len(text) % 4
        self._undecoded = text[whole:]
        try:
            self._decoded = base64.b64decode(text[:whole])
        except binascii.Error:
            self._bad_lines += 1
