"""The event log: one JSON object a line on standard error, with a static event name and keyword fields."""

from __future__ import annotations

import sys
from typing import Protocol

import msgspec
import structlog


class EventLog(Protocol):
    """Told each event by its name. Fields that are None are left out."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """One event."""


def open_log() -> EventLog:
    """Events as JSON lines on standard error, which systemd and MTAs' logs take."""
    encoder = msgspec.json.Encoder(enc_hook=str)
    logger = structlog.wrap_logger(
        structlog.BytesLogger(sys.stderr.buffer),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            lambda _logger, _method, event: encoder.encode(event),
        ],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
    )

    def log(event: str, /, **fields: object) -> None:
        logger.msg(event, **{name: value for name, value in fields.items() if value is not None})

    return log
