"""The signed text: the fields that a signature names, in its order, then the signature's own field without its value.

A name that occurs again stands for the next field of that name upwards; once there is none left it stands for nothing,
which is what proves an absence (RFC 6376 section 5.4.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trustgraph.headersig.canonical import relaxed_field
from trustgraph.headersig.coverage import FIELD
from trustgraph.headersig.message import Field
from trustgraph.headersig.tags import without_signature


class Header:
    """A header's fields in canonical form, each made once however many signatures there are.

    Raises :class:`BadInput` for a field with a line end that is no fold.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self._lines: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            self._lines.setdefault(name.lower(), []).append(relaxed_field(name, value) + b"\r\n")

    def signed_text(self, names: Iterable[bytes], own_value: bytes) -> bytes:
        """What is signed by a signature over ``names`` (lower case) whose field has the value ``own_value``."""
        left = {name: len(lines) for name, lines in self._lines.items()}
        parts = []
        for name in names:
            if at := left.get(name, 0):
                left[name] = at - 1
                parts.append(self._lines[name][at - 1])
        parts.append(relaxed_field(FIELD, without_signature(own_value)))
        return b"".join(parts)
