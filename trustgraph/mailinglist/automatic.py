"""Messages that programs made: never to be answered (RFC 3834 section 2), lest two programs answer each other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trustgraph.headersig.message import Field

_BY_PROGRAM = re.compile(rb"(?:\A|[\s<\"-])(?:mailer-daemon|bounces?|no-?reply|request)@", re.IGNORECASE)
_BULK = frozenset({b"bulk", b"junk", b"list", b"auto_reply"})
#: The last is set by Exchange where an answer is not wanted.
_PRESENT = frozenset({b"x-autoreply", b"x-autorespond", b"x-loop", b"x-auto-response-suppress"})


def is_automatic(fields: Sequence[Field]) -> bool:
    """Whether a program sent it: an answer, a bounce, a list's copy."""
    return any(_says_so(name.lower(), b" ".join(value.split())) for name, value in fields)


def _says_so(name: bytes, text: bytes) -> bool:
    word = text.partition(b";")[0].partition(b"(")[0].strip().lower()
    match name:
        case b"auto-submitted":
            return word != b"no"
        case b"precedence":
            return word in _BULK
        case b"return-path":
            return text == b"<>"
        case b"content-type":
            return word == b"multipart/report"
        case b"from":
            return _BY_PROGRAM.search(text) is not None
    return name in _PRESENT or name.startswith(b"list-")
