"""Read a message to a list: who wrote it, what in it is signed, or why it cannot be judged.

Problems of a message, each one word: ``no-author``, ``several-authors``, ``malformed-author``, ``misleading-name``,
``other-sender``, ``repeated-field``, ``malformed-header``, ``odd-line-ends``, ``too-large``. Problems of what is signed
in its body, which do not stand in the way of a signature over header and body together: ``malformed-mime``,
``malformed-clear-text``, ``odd-charset``, ``partly-signed``, ``encrypted``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from trustgraph.errors import BadInput
from trustgraph.headersig.canonical import relaxed_value
from trustgraph.headersig.coverage import FIELD, SINGLETONS
from trustgraph.headersig.field import parse_field
from trustgraph.headersig.message import (
    MAX_HEADER_BYTES,
    Field,
    split_message,
    with_network_line_ends,
)
from trustgraph.mailinglist.address import author_of, check_sender
from trustgraph.mailinglist.automatic import is_automatic
from trustgraph.mailinglist.bodies import check_line_ends, signed_in_body
from trustgraph.mailinglist.mime import Entity, check_header
from trustgraph.mailinglist.model import Binding, Kind, Post, SignedContent
from trustgraph.mailinglist.problem import PostProblem
from trustgraph.mailinglist.protected import binding_of

MAX_POST_OCTETS = 32 * 1024 * 1024

#: Every host on the way puts its own above the subscriber's.
MAX_HEADER_SIGNATURES = 20

_MAX_SHOWN = 998


def read_post(octets: bytes) -> Post:
    """Read a message, its line ends CRLF or LF. Raises :class:`BadInput` for what has no header, and nothing else.

    A :attr:`~Kind.HEADER` content is there for every header signature, a mail host's too: whether it is a
    subscriber's is known when it is judged.
    """
    is_too_large = len(octets) > MAX_POST_OCTETS
    message = with_network_line_ends(octets[: MAX_HEADER_BYTES + 4] if is_too_large else octets)
    fields, body = split_message(message)
    author, problem = "", "too-large" if is_too_large else ""
    contents: tuple[SignedContent, ...] = ()
    try:
        author = author_of(fields)
        check_sender(fields, author)
    except PostProblem as error:
        problem = error.problem
    if not problem:
        try:
            _check_message(message, len(message) - len(body), fields)
            contents = _signed_in(Entity(fields, message, 0, len(message) - len(body), len(message)))
        except PostProblem as error:
            problem = error.problem
    return Post(
        author=author,
        contents=contents,
        problem=problem,
        message_id=_shown(fields, b"message-id"),
        subject=_shown(fields, b"subject"),
        automatic=is_automatic(fields),
    )


def _check_message(message: bytes, body_at: int, fields: Sequence[Field]) -> None:
    """What would be a problem whoever signed it and however."""
    check_line_ends(message)
    try:
        check_header(message[:body_at].rstrip(b"\r\n"))
    except PostProblem as error:
        raise PostProblem("malformed-header", str(error)) from None
    names = [name.lower() for name, _ in fields]
    for name in SINGLETONS:
        if names.count(name) > 1:
            raise PostProblem("repeated-field", f"{name.decode()} occurs {names.count(name)} times")


def _signed_in(message: Entity) -> tuple[SignedContent, ...]:
    values = [value for name, value in message.fields if name.lower() == FIELD.lower()][:MAX_HEADER_SIGNATURES]
    whole = tuple(_under_header_signature(message.fields, value) for value in values)
    try:
        in_body = signed_in_body(message)
    except PostProblem:
        if any(_covers_body(value) for value in values):
            return whole
        raise
    return whole if in_body is None else (in_body, *whole)


def _under_header_signature(fields: Sequence[Field], value: bytes) -> SignedContent:
    """Of a field that occurs more than once no more than one may be covered, so that it says nothing."""
    binding = Binding()
    with suppress(BadInput):
        covered = set(parse_field(value).names)
        names = [name.lower() for name, _ in fields]
        binding = binding_of([one for one in fields if one[0].lower() in covered and names.count(one[0].lower()) == 1])
    return SignedContent(Kind.HEADER, b"", value, binding)


def _covers_body(value: bytes) -> bool:
    try:
        return parse_field(value).body_hash is not None
    except BadInput:
        return False


def _shown(fields: Sequence[Field], name: bytes) -> str:
    """The first field of that name as a text, cut short if it is long."""
    for one, value in fields:
        if one.lower() == name:
            with suppress(BadInput):
                return relaxed_value(value)[:_MAX_SHOWN].decode("utf-8", "backslashreplace")
    return ""
