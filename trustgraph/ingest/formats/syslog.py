"""The header of a syslog line, and the clock that completes its time.

Two kinds of time occur in front of the host name: RFC 3339 with a zone (RFC 5424 section 6.2.3, what rsyslog writes
today), and the classic ``Nov  3 04:05:06`` without year and zone (RFC 3164 section 4.1.2).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.base import LogContext
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds

_HEADER = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.,Z:+-]{0,20}|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) "
    rb"(\S{1,255}) ([^\s\[\]:]{1,128})(?:\[(\d{1,10})\])?: "
)
_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}

# Across 2100, which is no leap year, two 29ths of February lie eight years apart.
_LEAP_GAP = 8


class SyslogLine(NamedTuple):
    """A line taken apart: all bytes as they stand; ``process`` is the process ID's digits, empty if there is none."""

    time: bytes
    host: bytes
    program: bytes
    process: bytes
    text: bytes


def read_line(line: bytes) -> SyslogLine | None:
    """A syslog line's parts, or None when it has no syslog header."""
    header = _HEADER.match(line)
    if header is None:
        return None
    time, host, program, process = header.groups(b"")
    return SyslogLine(time, host, program, process, line[header.end() :])


class LogClock:
    """Turns the times of one file's lines, given in the order of the file, into Unix seconds.

    A classic time gets its year so: the first one lies in the newest year in which it is not after the file's last
    modification (with a day of slack for zones and clocks set wrong); after that the year follows the months. A month
    that goes back by more than one has passed New Year; one that leaps ahead by ten or more is a late line of the old
    year. A file is taken to span less than a year, as no rotation scheme keeps it longer.
    """

    def __init__(self, context: LogContext) -> None:
        self._zone: tzinfo = context.zone
        self._written_at = context.written_at
        self._year = 0
        self._month = 0
        self._minute = b""
        self._minute_starts = 0

    def moment(self, time: bytes) -> UnixSeconds:
        """Unix seconds of a :class:`SyslogLine`'s ``time``. Raises :class:`BadInput` when it is no time."""
        if time[4:5] == b"-":
            return self._rfc3339(time)
        if time[:12] != self._minute:
            self._minute_starts = self._start_of_minute(time)
            self._minute = time[:12]
        seconds = int(time[13:15])
        if seconds > 60 or self._minute_starts < 0:
            raise BadInput(f"{_shown(time)} is not a time after 1970")
        return UnixSeconds(self._minute_starts + seconds)

    def _rfc3339(self, time: bytes) -> UnixSeconds:
        try:
            moment = datetime.fromisoformat(time.decode("ascii"))
        except ValueError:
            raise BadInput(f"{_shown(time)} is not an RFC 3339 time") from None
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).timestamp())
        if seconds < 0:
            raise BadInput(f"{_shown(time)} lies before 1970")
        return UnixSeconds(seconds)

    def _start_of_minute(self, time: bytes) -> int:
        month = _MONTHS.get(time[:3], 0)
        day, hour, minute = int(time[4:6]), int(time[7:9]), int(time[10:12])
        try:
            year = self._year_of(month, day)
            local = datetime(year, month, day, hour, minute, tzinfo=self._zone)
        except ValueError:
            raise BadInput(f"{_shown(time)} is not a time: expected such as 'Nov  3 04:05:06'") from None
        self._year, self._month = year, month
        return self._resolve(local)

    def _year_of(self, month: int, day: int) -> int:
        if not self._year:
            return self._first_year(month, day)
        step = month - self._month
        if step < -1:
            return self._year + 1
        return self._year - 1 if step >= 10 else self._year

    def _first_year(self, month: int, day: int) -> int:
        if not self._written_at:
            raise BadInput("the time has no year, and when the file was written is not known")
        newest = datetime.fromtimestamp(self._written_at + SECONDS_PER_DAY, self._zone)
        year = newest.year - ((month, day) > (newest.month, newest.day))
        if (month, day) == (2, 29):
            return next(leap for leap in range(year, year - _LEAP_GAP - 1, -1) if _is_leap(leap))
        return year

    def _resolve(self, local: datetime) -> int:
        """Unix seconds of a local time. The hour that the end of summer time repeats counts as its second pass when,
        as its first, it would lie more than a minute before the line before it.
        """
        first = int(local.timestamp())
        if self._zone is UTC or first >= self._minute_starts - 60:
            return first
        return max(first, int(local.replace(fold=1).timestamp()))


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _shown(time: bytes) -> str:
    return repr(time.decode("ascii", "replace"))
