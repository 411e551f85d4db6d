"""Local times as Exim and rspamd write them into their own logs."""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import lru_cache

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds


@lru_cache(maxsize=64)
def local_time(text: bytes, zone: tzinfo) -> UnixSeconds:
    """``2026-11-03 04:05:06`` in ``zone``, or with its own offset (`` +0100``). Raises :class:`BadInput`.

    The hour that a zone has twice in autumn counts as its first.
    """
    seconds = text[17:19]
    if not seconds.isdigit() or seconds >= b"60":
        raise BadInput(f"{text[:40]!r} is not a time: expected YYYY-MM-DD HH:MM:SS")
    return UnixSeconds(_minute(text[:17] + b"00" + text[19:], zone) + int(seconds))


@lru_cache(maxsize=4096)
def _minute(text: bytes, zone: tzinfo) -> UnixSeconds:
    """Lines come many a minute, and turning local time into seconds costs more than all else in them."""
    stamp = text.decode("ascii", "replace")
    try:
        moment = datetime.fromisoformat(stamp[:19])
        zone = datetime.strptime(stamp[19:].strip(), "%z").tzinfo or zone if len(stamp) > 19 else zone
    except ValueError:
        raise BadInput(f"{stamp!r} is not a time: expected YYYY-MM-DD HH:MM:SS") from None
    return _since_1970(moment.replace(tzinfo=zone))


def _since_1970(moment: datetime) -> UnixSeconds:
    seconds = int(moment.timestamp())
    if seconds < 0:
        raise BadInput(f"{moment} lies before 1970")
    return UnixSeconds(seconds)
