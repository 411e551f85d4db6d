"""The signed text: the fields that a signature names, in its order, then the signature's own field without its value.

A name that occurs again stands for the next field of that name upwards; once there is none left it stands for nothing,
which is what proves an absence (RFC 6376 section 5.4.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from trustgraph.headersig.canonical import relaxed_field, relaxed_value, require_folds
from trustgraph.headersig.coverage import FIELD, SINGLETONS
from trustgraph.headersig.message import Field, is_field_name
from trustgraph.headersig.tags import without_signature

_OWN = FIELD.lower()


class Header:
    """A header's fields, the signed ones in canonical form, each made once however many signatures there are.

    ``signature_values`` are the values of its signature fields, from the top. ``has_sound_names``: no field has a name
    that is none. Raises :class:`BadInput` for a field with a line end that is no fold.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self.has_sound_names = True
        self._values: dict[bytes, list[bytes]] = {}
        self._repeated: set[bytes] = set()
        self._lines: dict[bytes, list[bytes]] = {}
        values = self._values
        for name, value in fields:
            if b"\n" in value:
                require_folds(value)
            lower = name.lower()
            if lower in values:
                values[lower].append(value)
                self._repeated.add(lower)
            else:
                values[lower] = [value]
                self.has_sound_names = self.has_sound_names and is_field_name(lower)
        self.signature_values: Sequence[bytes] = values.get(_OWN, ())

    def repeated_singletons(self) -> list[bytes]:
        """Names, lower case and sorted, of fields that occur more often than a message may have them."""
        return sorted(self._repeated & SINGLETONS)

    def is_oversigned_by(self, names: tuple[bytes, ...]) -> bool:
        """Whether ``names`` (lower case) name each field that is to be oversigned more often than it occurs."""
        named, values = Counter(names), self._values
        return all(named[name] > len(values.get(name, ())) for name in SINGLETONS)

    def signed_text(self, names: tuple[bytes, ...], own_value: bytes) -> bytes:
        """What is signed by a signature over ``names`` (lower case) whose field has the value ``own_value``."""
        left: dict[bytes, int] = {}
        parts = []
        for name in names:
            if name in self._values:
                lines = self._lines.get(name) or self._canonical(name)
                if at := left.get(name, len(lines)):
                    left[name] = at - 1
                    parts.append(lines[at - 1])
        return b"".join(parts) + _OWN + b":" + signed_value(own_value)

    def _canonical(self, name: bytes) -> list[bytes]:
        lines = self._lines[name] = [relaxed_field(name, value) + b"\r\n" for value in self._values[name]]
        return lines


@lru_cache(maxsize=4)
def signed_value(own_value: bytes) -> bytes:
    """What a signature signs of its own field: the value's canonical form without the signature."""
    return relaxed_value(without_signature(own_value))
