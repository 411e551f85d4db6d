"""Header fields that a signature covers: which list a post is for, and by whom, said under the signature itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trustgraph.headersig.canonical import relaxed_value
from trustgraph.headersig.message import Field
from trustgraph.mailinglist.address import author_of, recipients_of
from trustgraph.mailinglist.mime import Entity
from trustgraph.mailinglist.model import Binding
from trustgraph.mailinglist.problem import PostProblem, malformed

_LIST_ID = re.compile(rb"<([^<>\s]{1,255})>\Z")
_SINGLE = (b"from", b"to", b"cc", b"subject", b"list-id")


def protected_binding(entity: Entity) -> Binding:
    """Of the root of what a PGP/MIME signature covers: its fields, if it says that they are the message's.

    It does by ``hp`` (RFC 9788 section 2.1.1) or, as programs did before, by ``protected-headers``. Raises
    :class:`PostProblem` for protected fields that are repeated, or a From that is not one author's.
    """
    try:
        parameters = entity.content_type.parameters
    except PostProblem:
        return Binding()  # it is signed as it stands; only there is no telling what it says
    if parameters.get("hp", b"").lower() != b"clear" and parameters.get("protected-headers", b"").lower() != b"v1":
        return Binding()
    return binding_of(entity.fields)


def binding_of(fields: Sequence[Field]) -> Binding:
    """What covered fields say. Raises :class:`PostProblem` where one that may occur once occurs twice."""
    values: dict[bytes, bytes] = {}
    for name, value in fields:
        lower = name.lower()
        if lower in values and lower in _SINGLE:
            raise malformed(f"covered field {lower.decode()} occurs twice")
        values[lower] = value
    to_and_cc = [values[name] for name in (b"to", b"cc") if name in values]
    return Binding(
        author=author_of(fields) if b"from" in values else None,
        recipients=recipients_of(to_and_cc) if to_and_cc else None,
        list_id=canonical_list_id(values[b"list-id"]) if b"list-id" in values else None,
        subject=relaxed_value(values[b"subject"]) if b"subject" in values else None,
    )


def canonical_list_id(value: bytes) -> str:
    """What stands in the angle brackets of a List-Id (RFC 2919 section 2), lower case; all of it if there are none."""
    text = relaxed_value(value)
    found = _LIST_ID.search(text)
    return (found[1] if found else text).lower().decode("utf-8", "backslashreplace")
