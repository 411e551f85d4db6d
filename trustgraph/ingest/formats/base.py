"""What every verification-log parser is: lines in, observations and rejects out, no I/O and no clock.

A parser yields nothing for a line that is not its business (another program's syslog line) and a :class:`Reject` for
one that is its business but malformed. It never raises on input and keeps only a bounded amount of state.

``observed_at`` of an observation is the time of the very line that carries the result, never of an earlier line about
the same message: a file that starts in the middle of a message then gives the same idempotency key as the whole one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import partial
from hashlib import blake2b
from typing import Protocol, TypeAlias

from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds

#: (line number from 1, the line without its end): raw bytes, at most ``MAX_LINE_BYTES`` long.
NumberedLine: TypeAlias = tuple[int, bytes]

MAX_LINE_BYTES = 64 * 1024

_Fields: TypeAlias = tuple[int, str, Identity, Result, Outcome, str, str, str]


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that should have been an observation and is not: where, why, and the line itself."""

    line_number: int
    reason: str
    line: bytes


@dataclass(frozen=True, slots=True)
class LogContext:
    """What a log does not say of itself.

    ``observer`` is the FQDN of the host whose log it is, for formats that do not name it (empty: take the host name in
    the line). ``zone`` and ``written_at`` (the file's modification time) complete times without zone and year.
    ``authserv_ids`` are the only authserv-ids whose Authentication-Results are believed (RFC 8601 section 5).
    """

    observer: str = ""
    zone: tzinfo = UTC
    written_at: UnixSeconds = UnixSeconds(0)
    authserv_ids: frozenset[str] = field(default=frozenset())


#: An observation of the tuple of its fields: the same as calling the class, without a call of Python's own.
make_observation: Callable[[_Fields], Observation] = partial(tuple.__new__, Observation)


class LogParser(Protocol):
    """One format of verification log."""

    #: The name given to ``--format``.
    name: str
    #: One line for the help text: which program writes it, and where.
    title: str

    def recognises(self, line: bytes) -> bool:
        """Whether a line looks like this format; cheap, and sure enough for a vote over the first lines of a file."""
        ...

    def parse(self, lines: Iterable[NumberedLine], context: LogContext) -> Iterator[Observation | Reject]:
        """Observations and rejects in the order of the lines that complete them."""
        ...


def line_reference(line: bytes) -> str:
    """A message reference for a line that names no message: equal lines are the same message."""
    return "line:" + blake2b(line, digest_size=12).hexdigest()
