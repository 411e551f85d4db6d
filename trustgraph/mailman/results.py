"""What a gate in front of Mailman has written on a post: its Authentication-Results field (RFC 8601)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_METHOD = "x-pgp-post"
_RESULT = re.compile(r'\s*x-pgp-post=(?:pass|none|fail) reason="[a-z-]{1,60}"(?:\s.*)?', re.DOTALL)
_PADDING = re.compile(r'[\s"\\]+')


def gate_lets_in(values: Iterable[str], authserv_id: str) -> bool:
    """Whether the gate of this name says that it let the post in: in one field, as it writes it.

    ``values`` are those of the message's Authentication-Results fields. The gate takes out forged ones, so two of them
    show that the post did not come through it last. An empty name lets nothing in.
    """
    claims = [value.partition(";") for value in values if _METHOD in _PADDING.sub("", value.lower())]
    ours = [rest for name, _, rest in claims if name.strip().lower() == authserv_id]
    return bool(authserv_id) and len(ours) == 1 and _RESULT.fullmatch(ours[0]) is not None
