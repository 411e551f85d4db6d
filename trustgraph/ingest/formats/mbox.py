"""The headers of the messages in an mbox file, or of a single message, line by line; bodies are passed over.

The format is RFC 4155's, with body lines that begin with ``From `` quoted as ``>From `` (mboxo, mboxrd). A writer that
does not quote them and counts the body's bytes instead (mboxcl2) lets a sender put a whole message of his own into a
body: do not feed such files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from trustgraph.ingest.formats.base import NumberedLine
from trustgraph.model import UnixSeconds

#: A longer header is no mail that a server accepted.
MAX_HEADER_BYTES = 256 * 1024

#: ``From <sender> <asctime>`` (RFC 4155 appendix A: UTC).
SEPARATOR = re.compile(rb"From \S+ +([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})\s*")


class MboxHeader(NamedTuple):
    """A message's raw header, the line it begins at, when it was filed if that is known, and what is wrong with it."""

    header: bytes
    line_number: int
    filed_at: UnixSeconds | None
    fault: str = ""


def headers_in(lines: Iterable[NumberedLine]) -> Iterator[MboxHeader]:
    """The header of each message of an mbox file."""
    collector: _Collector | None = None
    after_blank = True
    for number, line in lines:
        separator = SEPARATOR.fullmatch(line) if after_blank else None
        after_blank = not line.strip()
        if separator:
            if collector is not None:
                yield from collector.finish()
            collector = _Collector(number + 1, _asctime(separator[1]))
        elif collector is not None:
            yield from collector.add(line)
    if collector is not None:
        yield from collector.finish()


def only_header(lines: Iterable[NumberedLine]) -> Iterator[MboxHeader]:
    """The header of the one message that the lines are; the rest is not read."""
    collector = _Collector(1, None)
    for _, line in lines:
        yield from collector.add(line)
        if collector.done:
            return
    yield from collector.finish()


class _Collector:
    """The lines of one header up to its blank line, at most ``MAX_HEADER_BYTES`` of them."""

    def __init__(self, line_number: int, filed_at: UnixSeconds | None) -> None:
        self.done = False
        self._line_number, self._filed_at = line_number, filed_at
        self._lines: list[bytes] = []
        self._size = 0

    def add(self, line: bytes) -> Iterator[MboxHeader]:
        if self.done:
            return
        if not line.strip(b"\r\n"):
            yield from self.finish()
            return
        self._size += len(line) + 1
        if self._size > MAX_HEADER_BYTES:
            yield from self.finish(f"a header of more than {MAX_HEADER_BYTES} bytes")
            return
        self._lines.append(line.rstrip(b"\r"))

    def finish(self, fault: str = "") -> Iterator[MboxHeader]:
        if not self.done:
            self.done = True
            yield MboxHeader(b"\n".join(self._lines), self._line_number, self._filed_at, fault)
        self._lines = []


def _asctime(text: bytes) -> UnixSeconds | None:
    try:
        moment = datetime.strptime(text.decode("ascii"), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
    seconds = int(moment.timestamp())
    return UnixSeconds(seconds) if seconds >= 0 else None
