"""The signed text: the fields that a signature names, in its order, then the signature's own field without its value.

A name that occurs again stands for the next field of that name upwards; once there is none left it stands for nothing,
which is what proves an absence (RFC 6376 section 5.4.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from trustgraph.headersig.canonical import relaxed_field, relaxed_value
from trustgraph.headersig.coverage import FIELD, SINGLETONS
from trustgraph.headersig.message import Field, is_field_name
from trustgraph.headersig.tags import without_signature


class Header:
    """A header's fields in canonical form, each made once however many signatures there are.

    ``signature_values`` are the values of its signature fields, from the top. ``has_sound_names``: no field has a name
    that is none. Raises :class:`BadInput` for a field with a line end that is no fold.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self.has_sound_names = True
        self.signature_values: list[bytes] = []
        self._lines: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            lower = name.lower()
            line = b"%b:%b\r\n" % (lower, relaxed_value(value))
            if lower in self._lines:
                self._lines[lower].append(line)
            else:
                self._lines[lower] = [line]
                self.has_sound_names = self.has_sound_names and is_field_name(lower)
            if lower == _OWN:
                self.signature_values.append(value)

    def repeated_singletons(self) -> list[bytes]:
        """Names, lower case and sorted, of fields that occur more often than a message may have them."""
        return sorted(name for name in SINGLETONS if len(self._lines.get(name, ())) > 1)

    def is_oversigned_by(self, names: Iterable[bytes]) -> bool:
        """Whether ``names`` (lower case) name each field that is to be oversigned more often than it occurs."""
        named = Counter(names)
        return all(named[name] > len(self._lines.get(name, ())) for name in SINGLETONS)

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


_OWN = FIELD.lower()
