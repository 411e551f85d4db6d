"""A message as octets: raw fields and a body. Nothing is decoded (RFC 5322 section 2.2, RFC 6532)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from trustgraph.errors import BadInput

#: A field: its name, and everything after the colon up to its last line end, folds and leading space included.
Field: TypeAlias = tuple[bytes, bytes]

#: RFC 5322 section 3.6.8: printable ASCII except the colon.
FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+")

MAX_FIELDS = 1_000
MAX_HEADER_BYTES = 1024 * 1024

_HEADER_END = re.compile(rb"\A\r\n|\r\n\r\n")
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_MAILBOX_LINE = re.compile(rb"From [ \t]*[^ \t:\r\n][^\r\n]*")


@lru_cache(maxsize=4096)
def is_field_name(name: bytes) -> bool:
    """Whether it can be the name of a field."""
    return FIELD_NAME.fullmatch(name) is not None


def with_network_line_ends(octets: bytes) -> bytes:
    """A file as it goes over the wire: a text with only LF gets CRLF; one that has CRLF is taken as it is."""
    return octets if b"\r\n" in octets else octets.replace(b"\n", b"\r\n")


def split_message(octets: bytes) -> tuple[list[Field], bytes]:
    """The fields, from the top, and the body of a message with CRLF line ends.

    A ``From `` line of a mailbox before the first field is passed over. Raises :class:`BadInput` naming the line that
    is no field, or the bound that was passed.
    """
    end = _HEADER_END.search(octets)
    header, body = (octets[: end.start()], octets[end.end() :]) if end else (octets.removesuffix(b"\r\n"), b"")
    if len(header) > MAX_HEADER_BYTES:
        raise BadInput(f"the header is {len(header):,} octets long: expected at most {MAX_HEADER_BYTES:,}")
    fields: list[Field] = []
    number = 1
    for line in _FIELD_END.split(header) if header else ():
        if number > 1 or not _MAILBOX_LINE.fullmatch(line):
            fields.append(_split_field(line, number))
        number += 1 + line.count(b"\r\n")
        if len(fields) > MAX_FIELDS:
            raise BadInput(f"more than {MAX_FIELDS:,} header fields")
    return fields, body


def _split_field(line: bytes, number: int) -> Field:
    name, colon, value = line.partition(b":")
    name = name.rstrip(b" \t")  # obsolete but read everywhere: RFC 5322 section 4.5
    if not colon or not FIELD_NAME.fullmatch(name):
        raise BadInput(f"line {number} of the message is no header field: {line[:60]!r}")
    return name, value


def join_message(fields: list[Field], body: bytes) -> bytes:
    """Inverse of :func:`split_message`."""
    return b"".join(name + b":" + value + b"\r\n" for name, value in fields) + b"\r\n" + body
