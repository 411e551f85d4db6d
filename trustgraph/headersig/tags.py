"""Tag lists, ``v=1; d=mail.example`` (RFC 6376 section 3.2), over octets."""

from __future__ import annotations

import re

from trustgraph.errors import BadInput

MAX_TAGS = 32

_TAG = re.compile(rb"[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=([\x21-\x3a\x3c-\x7e \t\r\n]*)")
_FOLD_SPACE = b" \t\r\n"


def parse_tags(text: bytes) -> dict[bytes, bytes]:
    """Each tag's value without white space at its ends. A semicolon after the last tag is allowed.

    Raises :class:`BadInput` for a tag that occurs twice, a value with an octet that cannot be in one, and anything that
    is no tag list.
    """
    tags: dict[bytes, bytes] = {}
    specs = text.split(b";", MAX_TAGS + 1)
    if len(specs) > 1 and not specs[-1].strip(_FOLD_SPACE):
        specs.pop()
    if len(specs) > MAX_TAGS:
        raise BadInput(f"more than {MAX_TAGS} tags")
    for spec in specs:
        found = _TAG.fullmatch(spec)
        if found is None:
            raise BadInput(f"{spec[:40]!r} is no tag=value")
        name, value = found.groups()
        if name in tags:
            raise BadInput(f"tag {name.decode()} occurs twice")
        tags[name] = value.strip(_FOLD_SPACE)
    return tags


def without_signature(text: bytes) -> bytes:
    """The tag list with the value of its first ``b`` tag taken out, white space around it included (section 3.5)."""
    specs = text.split(b";")
    for place, spec in enumerate(specs):
        name, equals, _value = spec.partition(b"=")
        if equals and name.strip(_FOLD_SPACE) == b"b":
            specs[place] = name + equals
            break
    return b";".join(specs)
