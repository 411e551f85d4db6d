"""What a filter on our side took a message for, by the fields that it wrote into it.

| field | by | spam | good | malware |
|---|---|---|---|---|
| X-Spam-Status, X-Spam-Flag | SpamAssassin, amavis, rspamd | Yes | No | |
| X-Spam | rspamd | Yes | | |
| X-Spamd-Result | rspamd | ``default: True [15.2 / 15.0]`` | ``default: False`` | |
| X-Virus-Status | clamav-milter | | | Infected |

A sender can write all of these himself: which ones are to be believed is for the caller to choose.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from trustgraph.model import Outcome

if TYPE_CHECKING:  # the settings want the names of the fields, and all parsers of logs would come with it
    from trustgraph.ingest.formats.trace_fields import Field

_SPAM = {b"yes": Outcome.SPAM, b"true": Outcome.SPAM}
_JUDGED = _SPAM | {b"no": Outcome.GOOD, b"false": Outcome.GOOD}

_FIRST_WORD = re.compile(rb"\s*([A-Za-z]+)\b")
_READERS = {
    "x-spam-status": (_FIRST_WORD, _JUDGED),
    "x-spam-flag": (_FIRST_WORD, _JUDGED),
    "x-spam": (_FIRST_WORD, _SPAM),
    "x-spamd-result": (re.compile(rb"\s*[A-Za-z0-9_.-]+:\s*(True|False)\b", re.IGNORECASE), _JUDGED),
    "x-virus-status": (_FIRST_WORD, {b"infected": Outcome.MALWARE, b"yes": Outcome.MALWARE}),
}

FIELDS = frozenset(_READERS)
_BADNESS = (Outcome.GOOD, Outcome.SPAM, Outcome.MALWARE)


def believed_fields(ours: Sequence[Field], fields: Sequence[Field], filters: Collection[str]) -> list[Field]:
    """The fields that our filters wrote: those above our border's Received field, and where our filter is known to
    delete what came in under its field's name (``filters``, lower case), the one field of that name.
    """
    names = [field.name for field in fields]
    return [*ours, *(field for field in fields if field.name in filters and names.count(field.name) == 1)]


def verdict_in(fields: Iterable[Field]) -> Outcome | None:
    """The worst that the topmost field of each name says; None if none says anything."""
    found: dict[str, Outcome | None] = {}
    for field in fields:
        if field.name in _READERS and field.name not in found:
            pattern, words = _READERS[field.name]
            match = pattern.match(field.value[:200])
            found[field.name] = words.get(match[1].lower()) if match else None
    said = [outcome for outcome in found.values() if outcome is not None]
    return max(said, key=_BADNESS.index, default=None)
