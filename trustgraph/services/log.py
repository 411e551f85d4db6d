"""The event log: one JSON object a line on standard error, with a static event name and keyword fields.

Written here rather than with a logging library: there is an event for each message, and those measured (structlog with
the same encoder) cost as much as half of a signature's verification.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import lru_cache
from typing import Protocol

import msgspec

from trustgraph.model import UnixSeconds, to_rfc3339

_STANDARD_ERROR = 2


class EventLog(Protocol):
    """Told each event by its name. Fields that are None are left out."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """One event."""


def open_log(file: int = _STANDARD_ERROR) -> EventLog:
    """Events as JSON lines, which systemd and MTAs' logs take. A log that cannot be written stops nothing."""
    encoder = msgspec.json.Encoder(enc_hook=str)

    def log(event: str, /, **fields: object) -> None:
        record = {"timestamp": _rfc3339(UnixSeconds(int(time.time()))), "event": event}
        record |= {name: value for name, value in fields.items() if value is not None}  # type: ignore[misc]
        with suppress(OSError):
            os.write(file, encoder.encode(record) + b"\n")

    return log


_rfc3339 = lru_cache(maxsize=4)(to_rfc3339)
