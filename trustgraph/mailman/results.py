"""What a gate in front of Mailman has written on a post: the topmost Authentication-Results of that name."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RESULT = re.compile(r'x-pgp-post=(pass|none|fail) reason="([a-z-]{1,60})"')


def gate_says(values: Iterable[str], authserv_id: str) -> str:
    """``accept``, ``tag``, or empty where the gate says nothing: the post did not come through it.

    ``values`` are those of the message's Authentication-Results fields, from the top. The gate takes out forged ones,
    so whatever is there in its name is its own (RFC 8601 section 5).
    """
    if not authserv_id:
        return ""
    for value in values:
        name, _, rest = value.replace("\r", "").replace("\n", "").partition(";")
        if name.strip().lower() != authserv_id:
            continue
        found = _RESULT.fullmatch(rest.strip()[: _end(rest.strip())])
        if found:
            return "accept" if found[1] == "pass" else "tag"
    return ""


def _end(text: str) -> int:
    """Where the result ends and its properties begin: behind the second quotation mark."""
    first = text.find('"')
    return text.find('"', first + 1) + 1 if first >= 0 else 0
