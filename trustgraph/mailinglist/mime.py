"""The structure of a message, cut as its octets came (RFC 2045, RFC 2046), strict and bounded.

Nothing is repaired: a header or a delimiter that mail programs read in more than one way is a :class:`PostProblem`,
since what one of them shows would not be what another of them verified. Everything here has CRLF line ends only.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from trustgraph.errors import BadInput
from trustgraph.headersig.message import Field, split_message
from trustgraph.mailinglist.problem import malformed

MAX_DEPTH = 20
MAX_PARTS = 200
MAX_PART_HEADER_OCTETS = 64 * 1024
_MAX_VALUE_OCTETS = 4 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|{}~0-9A-Za-z-]++"
_TYPE = re.compile(rb"[ \t]*+(%b/%b)[ \t]*+(?=;|\Z)" % (_TOKEN, _TOKEN))
_PARAMETER = re.compile(
    rb';[ \t]*+(?:(%b)[ \t]*+=[ \t]*+(?:(%b)|"((?:[^"\\]|\\.)*+)")[ \t]*+)?(?=;|\Z)' % (_TOKEN, _TOKEN)
)
_ESCAPED = re.compile(rb"\\(.)")
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
#: Programs differ on both: does a line of white space end the header, is ``From :`` a From field?
_ODD_HEADER_LINE = re.compile(rb"(?:\A|\r\n)(?:[ \t]++(?=\r\n|\Z)|[^\s:]++[ \t]++:)")
_MIME_VERSION = re.compile(rb"[ \t]*+1\.0[ \t]*+(?:\((?:[^()\\]|\\.)*+\)[ \t]*+)?")
_NOT_QP = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r\n)|[^\t\r\n\x20-\x7e]")

IDENTITY_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
_ENCODINGS = IDENTITY_ENCODINGS | {"quoted-printable", "base64"}


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type in lower case, and its parameters by their names in lower case."""

    type: str
    parameters: Mapping[str, bytes]

    @property
    def is_multipart(self) -> bool:
        """Whether it has parts of its own."""
        return self.type.startswith("multipart/")


#: RFC 2045 section 5.2.
PLAIN_TEXT = ContentType("text/plain", {})


@dataclass(frozen=True)
class Entity:
    """A message or a part of one: its fields, and where in ``octets`` it starts, its body starts, and it ends."""

    fields: Sequence[Field]
    octets: bytes
    start: int
    body_at: int
    end: int

    @property
    def whole(self) -> bytes:
        """Header and body as they came."""
        return self.octets[self.start : self.end]

    @property
    def body(self) -> bytes:
        """The body as it came."""
        return self.octets[self.body_at : self.end]

    @cached_property
    def content_type(self) -> ContentType:
        """Raises :class:`PostProblem` for one that is repeated or can be read in more than one way."""
        value = sole_value(self.fields, b"content-type")
        return PLAIN_TEXT if value is None else parse_content_type(value)

    @cached_property
    def encoding(self) -> str:
        """The transfer encoding in lower case, ``7bit`` if none is named. Raises :class:`PostProblem`."""
        value = sole_value(self.fields, b"content-transfer-encoding")
        name = "7bit" if value is None else value.strip(b" \t\r\n").lower().decode("latin-1")
        if name not in _ENCODINGS:
            raise malformed(f"transfer encoding {name[:40]!r}")
        return name


@dataclass(frozen=True, slots=True)
class Parts:
    """The inside of a multipart entity."""

    preamble: bytes
    parts: tuple[Entity, ...]
    epilogue: bytes


def sole_value(fields: Sequence[Field], name: bytes) -> bytes | None:
    """The value of a field that may occur once, as it stands; None if it is absent. Raises :class:`PostProblem`."""
    values = [value for one, value in fields if one.lower() == name]
    if len(values) > 1:
        raise malformed(f"{name.decode()} occurs {len(values)} times")
    return values[0] if values else None


def parse_content_type(value: bytes) -> ContentType:
    """RFC 2045 section 5.1 without comments. Raises :class:`PostProblem` for anything else, repeated names included."""
    text = value.replace(b"\r\n", b"")
    found = _TYPE.match(text) if len(text) <= _MAX_VALUE_OCTETS else None
    if found is None:
        raise malformed(f"Content-Type {text[:60]!r}")
    parameters: dict[str, bytes] = {}
    at = found.end()
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None:
            raise malformed(f"Content-Type parameter {text[at : at + 60]!r}")
        name, token, quoted = parameter.groups()
        if name is not None:
            key = name.lower().decode("ascii")
            if key in parameters:
                raise malformed(f"Content-Type parameter {key} occurs twice")
            parameters[key] = _ESCAPED.sub(rb"\1", quoted) if token is None else token
        at = parameter.end()
    return ContentType(found[1].lower().decode("ascii"), parameters)


def has_mime_version(fields: Sequence[Field]) -> bool:
    """Whether the message says that it is MIME (RFC 2045 section 4). Raises :class:`PostProblem` for another."""
    value = sole_value(fields, b"mime-version")
    if value is not None and not _MIME_VERSION.fullmatch(value.replace(b"\r\n", b"")):
        raise malformed(f"MIME-Version {value[:40]!r}")
    return value is not None


def check_header(header: bytes) -> None:
    """Raises :class:`PostProblem` for a header that programs cut into fields differently."""
    if found := _ODD_HEADER_LINE.search(header):
        raise malformed(f"header line {found[0].strip()[:40]!r}")


def parts_of(entity: Entity) -> Parts:
    """Cut a multipart entity. The line end before a delimiter is the delimiter's (RFC 2046 section 5.1.1).

    Raises :class:`PostProblem` unless every line that begins like a delimiter is exactly one, and the last of them, and
    no other, is the closing one.
    """
    mark = b"--" + _boundary(entity.content_type)
    octets, last = entity.octets, entity.end
    cuts: list[tuple[int, int]] = []
    closed = False
    # The body follows an empty line, so a delimiter that it begins with has a line end before it, too.
    at = octets.find(b"\r\n" + mark, entity.body_at - 2, last)
    while at >= 0:
        line_end = octets.find(b"\r\n", at + 2, last)
        line = octets[at + 2 : last if line_end < 0 else line_end]
        if closed or line not in (mark, mark + b"--") or len(cuts) > MAX_PARTS:
            raise malformed(f"a line that begins like a delimiter, or one delimiter too many: {line[:80]!r}")
        closed = line != mark
        after = last if line_end < 0 else line_end + 2
        cuts.append((at, after))
        at = octets.find(b"\r\n" + mark, after - 2, last)
    if len(cuts) < 2 or not closed:
        raise malformed("a multipart without parts, or without its closing delimiter")
    parts = tuple(read_entity(octets, start, end) for (_, start), (end, _) in pairwise(cuts))
    return Parts(octets[entity.body_at : cuts[0][0]], parts, octets[cuts[-1][1] : last])


def _boundary(content_type: ContentType) -> bytes:
    if any(name.startswith("boundary*") for name in content_type.parameters):
        raise malformed("a boundary encoded by RFC 2231")
    boundary = content_type.parameters.get("boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise malformed("a multipart without a boundary of 1 to 70 characters of those that may be in one")
    return boundary


def read_entity(octets: bytes, start: int, end: int) -> Entity:
    """A part from where its header starts to where it ends. Raises :class:`PostProblem`."""
    if octets.startswith(b"\r\n", start, end):
        return Entity((), octets, start, start + 2, end)
    header_end = octets.find(b"\r\n\r\n", start, end)
    if header_end < 0:
        raise malformed("a part without an empty line after its header")
    if header_end - start > MAX_PART_HEADER_OCTETS:
        raise malformed(f"a part with a header of {header_end - start:,} octets")
    header = octets[start:header_end]
    check_header(header)
    if header.startswith(b"From "):
        raise malformed("a part that begins like a mailbox")
    try:
        fields, _ = split_message(header)
    except BadInput as error:
        raise malformed(str(error)) from None
    return Entity(fields, octets, start, header_end + 4, end)


def walk(entity: Entity, depth: int = 0, left: list[int] | None = None) -> Iterator[Entity]:
    """The entity and everything in it, depth first; what is in a message/rfc822 stays closed.

    Raises :class:`PostProblem` for what cannot be cut, and beyond :data:`MAX_DEPTH` and :data:`MAX_PARTS`.
    """
    left = [MAX_PARTS] if left is None else left
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise malformed(f"more than {MAX_PARTS} parts, or parts in parts more than {MAX_DEPTH} deep")
    yield entity
    if entity.content_type.is_multipart:
        if entity.encoding not in IDENTITY_ENCODINGS:
            raise malformed("a multipart with a transfer encoding")
        for part in parts_of(entity).parts:
            yield from walk(part, depth + 1, left)


def decoded(entity: Entity) -> bytes:
    """The body without its transfer encoding. Raises :class:`PostProblem` for what is not of that encoding."""
    body = entity.body
    if entity.encoding == "quoted-printable":
        if found := _NOT_QP.search(body):
            raise malformed(f"quoted-printable with {found[0]!r} in it")
        return binascii.a2b_qp(body)
    if entity.encoding == "base64":
        try:
            return binascii.a2b_base64(body.translate(None, b"\r\n \t"), strict_mode=True)
        except binascii.Error as error:
            raise malformed(f"base64: {error}") from None
    return body
