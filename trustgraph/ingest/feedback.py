"""Pieces of feedback out of files: messages of Maildirs and mbox files, single messages, rows; each bounded in size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from trustgraph.errors import BadInput
from trustgraph.feedback.rows import Row, TableReader, is_json, is_table, read_json
from trustgraph.ingest.formats.base import NumberedLine
from trustgraph.ingest.formats.mbox import SEPARATOR
from trustgraph.ingest.source import DAMAGED, bounded_lines, open_bytes

#: So much of a message is read: a report's fields come before the reported message, whose header is enough.
MAX_MESSAGE_BYTES = 1 << 20

#: A message with line ends LF, perhaps cut off; a row; or what is wrong with what should be either.
Content: TypeAlias = bytes | Row | BadInput


class Piece(NamedTuple):
    """``where`` it is from, for people."""

    where: str
    content: Content


def read_message(path: Path) -> Piece:
    """The one message in a file. Raises :class:`NoInput` when it is not there any more."""
    with open_bytes(path) as stream:
        return Piece(str(path), message_in(stream))


def message_in(stream: BinaryIO) -> Content:
    """The message that a stream is."""
    octets = b""
    try:
        while len(octets) < MAX_MESSAGE_BYTES and (more := stream.read(MAX_MESSAGE_BYTES - len(octets))):
            octets += more
    except DAMAGED as error:
        return BadInput(f"damaged: {error}")
    return as_message(octets)


def as_message(octets: bytes) -> bytes:
    """Octets with line ends LF, without the line that mbox files and Postfix's pipe put before a message."""
    text = octets.replace(b"\r\n", b"\n")
    return text.partition(b"\n")[2] if text.startswith(b"From ") else text


def read_file(path: Path) -> Iterator[Piece]:
    """The messages or rows of a file, compressed or not, ``-`` for standard input; its first line says which.

    Raises :class:`NoInput` when it cannot be opened.
    """
    with open_bytes(path) as stream:
        lines = _until_damaged(bounded_lines(stream))
        first = next(lines, None)
        if first is None:
            return
        if isinstance(first, BadInput):
            yield Piece(str(path), first)
            return
        for number, content in _contents(first, lines):
            yield Piece(f"{path}:{number}", content)


def _contents(first: NumberedLine, rest: Iterator[NumberedLine | BadInput]) -> Iterator[tuple[int, Content]]:
    if is_table(first[1]):
        yield from _rows(rest, TableReader(first[1]))
    elif is_json(first[1]):
        yield from _rows(chain([first], rest), None)
    elif SEPARATOR.fullmatch(first[1]):
        yield from _mbox(chain([first], rest))
    else:
        yield 1, _joined(chain([first], rest))


def _rows(lines: Iterable[NumberedLine | BadInput], table: TableReader | None) -> Iterator[tuple[int, Content]]:
    number = 1
    for line in lines:
        if isinstance(line, BadInput):
            yield number, line
            return
        number = line[0]
        if line[1].strip():
            try:
                yield number, table.read(line[1]) if table else read_json(line[1])
            except BadInput as error:
                yield number, error


def _mbox(lines: Iterable[NumberedLine | BadInput]) -> Iterator[tuple[int, Content]]:
    """As :func:`trustgraph.ingest.formats.mbox.headers_in`, with bodies as far as they are read."""
    held: list[bytes] = []
    size, begins, after_blank = 0, 0, True
    for line in lines:
        if isinstance(line, BadInput):
            yield begins, line
            return
        number, text = line
        if after_blank and SEPARATOR.fullmatch(text):
            if begins:
                yield begins, b"\n".join(held)
            held, size, begins = [], 0, number
        elif size < MAX_MESSAGE_BYTES:
            held.append(text)
            size += len(text) + 1
        after_blank = not text.strip()
    if begins:
        yield begins, b"\n".join(held)


def _joined(lines: Iterable[NumberedLine | BadInput]) -> Content:
    held: list[bytes] = []
    size = 0
    for line in lines:
        if isinstance(line, BadInput):
            return line
        held.append(line[1])
        size += len(line[1]) + 1
        if size >= MAX_MESSAGE_BYTES:
            break
    return as_message(b"\n".join(held))


def _until_damaged(lines: Iterator[NumberedLine]) -> Iterator[NumberedLine | BadInput]:
    try:
        yield from lines
    except DAMAGED as error:
        yield BadInput(f"damaged after what was read: {error}")
