"""Opening what is to be read: plain or compressed files, standard input, growing logs; lines of bounded size."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from trustgraph.errors import NoInput
from trustgraph.ingest.formats.base import MAX_LINE_BYTES, NumberedLine

#: What damaged or truncated compressed data raise while being read.
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError)

STDIN = Path("-")

#: Lines of a followed log handed on at once.
_MOST_LINES = 100_000

#: Larger windows than this would let a small file claim a gigabyte of memory.
_ZSTD_WINDOW_BYTES = 1 << 27


def _zstd(raw: BinaryIO) -> BinaryIO:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    return cast(BinaryIO, decompressor.stream_reader(raw, read_across_frames=True))


_MAGIC: tuple[tuple[bytes, Callable[[BinaryIO], BinaryIO]], ...] = (
    (b"\x1f\x8b", lambda raw: cast(BinaryIO, gzip.GzipFile(fileobj=raw))),
    (b"\xfd7zXZ\x00", lambda raw: cast(BinaryIO, lzma.LZMAFile(raw))),  # noqa: SIM115 - closed by _Unpacked
    (b"\x28\xb5\x2f\xfd", _zstd),
    (b"BZh", lambda raw: cast(BinaryIO, bz2.BZ2File(raw))),
)


class _Unpacked(io.RawIOBase):
    """A decompressed stream that gives what it has before it fails, and closes the file below it."""

    def __init__(self, stream: BinaryIO, below: BinaryIO) -> None:
        self._stream, self._below = stream, below

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """At most one step of the decompressor, so that an error further on loses nothing read before it."""
        data = cast(Any, self._stream).read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close both."""
        if not self.closed:
            self._stream.close()
            self._below.close()
        super().close()


def open_bytes(path: Path) -> BinaryIO:
    """The content of a file (``-``: standard input), decompressed as its first bytes demand, whatever its name.

    Raises :class:`NoInput` when it is absent, unreadable or a directory.
    """
    try:
        raw = sys.stdin.buffer if path == STDIN else path.open("rb")
    except OSError as error:
        raise NoInput(f"{path}: {error.strerror or error}") from None
    buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
    try:
        head = buffered.peek(8)
    except OSError as error:
        buffered.close()
        raise NoInput(f"{path}: {error.strerror or error}") from None
    for magic, opener in _MAGIC:
        if head.startswith(magic):
            return io.BufferedReader(_Unpacked(opener(buffered), buffered), 1 << 18)
    return buffered


def bounded_lines(stream: BinaryIO) -> Iterator[NumberedLine]:
    """Numbered lines without their ends. One longer than ``MAX_LINE_BYTES`` is cut there, its rest passed over."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        yield number, line.rstrip(b"\r\n")


def written_at(path: Path) -> int:
    """The modification time of a file in Unix seconds; now for standard input and for what is not there yet."""
    return int(time.time()) if path == STDIN or not path.exists() else int(path.stat().st_mtime)


class Follower:
    """A log that grows and is rotated: what was added since the last call, whole lines only.

    Rotation by renaming (a new file of the name appears: the old one is read to its end first) and by truncation (the
    file is shorter than what was read: it is read from its start) are both noticed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: BinaryIO | None = None
        self._partial = b""
        self._number = 0

    def read(self) -> list[NumberedLine]:
        """Lines that are new since the last call; empty if there are none or the file is not there."""
        lines = self._drain() if self._stream else []
        if len(lines) < _MOST_LINES and self._replaced():
            if self._stream:
                self._stream.close()
            self._stream, self._partial, self._number = self._open(), b"", 0
            lines += self._drain() if self._stream else []
        return lines

    def close(self) -> None:
        """Let go of the file."""
        if self._stream:
            self._stream.close()

    def _open(self) -> BinaryIO | None:
        try:
            return self._path.open("rb")
        except OSError:  # not there yet, or not ours to read yet
            return None

    def _replaced(self) -> bool:
        if self._stream is None:
            return True
        try:
            now = self._path.stat()
        except OSError:
            return False
        mine = os.fstat(self._stream.fileno())
        return (now.st_ino, now.st_dev) != (mine.st_ino, mine.st_dev) or now.st_size < self._stream.tell()

    def _drain(self) -> list[NumberedLine]:
        assert self._stream is not None  # noqa: S101 - callers checked
        lines: list[NumberedLine] = []
        while len(lines) < _MOST_LINES and (part := self._stream.readline(MAX_LINE_BYTES)):
            if part.endswith(b"\n") or len(self._partial) + len(part) >= MAX_LINE_BYTES:
                self._number += 1
                lines.append((self._number, (self._partial + part).rstrip(b"\r\n")))
                self._partial = b""
            else:
                self._partial += part
        return lines
