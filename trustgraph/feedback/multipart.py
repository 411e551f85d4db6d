"""The parts of a multipart message, one level deep (RFC 2046 section 5.1), in one pass and without decoding twice."""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.trace_fields import Field, fields_of

#: A report has three (RFC 6522 section 3).
MAX_PARTS = 20
_MAX_VALUE = 4_096

_TYPE = re.compile(r"\s*([A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+)\s*(?:;|\Z)")
_PARAMETER = re.compile(r';\s*([A-Za-z0-9*._-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]+)')


class ContentType(NamedTuple):
    """A media type in lower case, and its parameters by name in lower case."""

    type: str
    parameters: dict[str, str]


class Part(NamedTuple):
    """A part: its type and its content, decoded, line ends LF."""

    type: str
    content: bytes


def content_type(fields: Sequence[Field]) -> ContentType:
    """That of a message or part; text/plain where there is none or it cannot be read (RFC 2045 section 5.2)."""
    values = [field.value for field in fields if field.name == "content-type"]
    text = values[0][:_MAX_VALUE].decode("utf-8", "replace") if len(values) == 1 else ""
    found = _TYPE.match(text)
    if found is None:
        return ContentType("text/plain", {})
    parameters: dict[str, str] = {}
    for name, value in _PARAMETER.findall(text):
        plain = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        parameters.setdefault(name.lower(), plain)
    return ContentType(found[1].lower(), parameters)


def parts_of(body: bytes, boundary: str) -> list[Part]:
    """The parts between the boundaries, line ends LF; the last may be cut off.

    Raises :class:`BadInput` for no boundary, too many parts, and a part whose header is none.
    """
    if not 0 < len(boundary) <= 70:
        raise BadInput("a multipart message without a boundary of 1 to 70 characters")
    return [_part(text) for text in _pieces(body, b"--" + boundary.encode("utf-8", "replace"))]


def _pieces(body: bytes, mark: bytes) -> Iterator[bytes]:
    lines: list[bytes] | None = None
    count = 0
    for line in body.split(b"\n"):
        ends = line.rstrip(b" \t")
        if ends in (mark, mark + b"--"):
            if lines is not None:
                yield b"\n".join(lines)
            if ends != mark:
                return
            count += 1
            if count > MAX_PARTS:
                raise BadInput(f"a multipart message of more than {MAX_PARTS} parts")
            lines = []
        elif lines is not None:
            lines.append(line)
    if lines is not None:
        yield b"\n".join(lines)


def split_header(octets: bytes) -> tuple[bytes, bytes]:
    """Header and body of a message or part with LF line ends; the header is empty where a blank line comes first."""
    if octets.startswith(b"\n"):
        return b"", octets[1:]
    header, _, body = octets.partition(b"\n\n")
    return header.removesuffix(b"\n"), body


def _part(octets: bytes) -> Part:
    header, body = split_header(octets)
    fields = list(fields_of(header)) if header else []
    encodings = [field.value.strip().lower() for field in fields if field.name == "content-transfer-encoding"]
    return Part(content_type(fields).type, _decoded(body, encodings[0] if encodings else b""))


def _decoded(body: bytes, encoding: bytes) -> bytes:
    try:
        if encoding == b"base64":
            body = binascii.a2b_base64(body)
        elif encoding == b"quoted-printable":
            body = quopri.decodestring(body)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"a part that is not {encoding.decode()}: {error}") from None
    return body.replace(b"\r\n", b"\n")
