"""rspamd's task log: one line a scanned message, in rspamd's own log file or delivered through syslog.

    2026-11-03 04:05:06 #1234(normal) <a1b2c3>; task; rspamd_task_write_log: id: <m@example.org>, ip: 192.0.2.1,
    from: <a@example.org>, (default: F (no action): [1.23/15.00] [R_SPF_ALLOW(-0.20){+ip4:192.0.2.1;}]), len: 683, …

rspamd's default ``log_format`` is read; the fields up to ``(default:`` are optional except ``id``. Times are in the
local zone of the host (``LogContext.zone``), with microseconds if ``log_usec`` is set.

The Message-ID comes from the sender but rspamd replaces what is not a graphic character in it, so it ends at the
first white space; the envelope sender stands there unescaped and unquoted, and so do options of symbols.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.base import LogContext, LogParser, NumberedLine, Reject, line_reference
from trustgraph.ingest.formats.local_time import local_time
from trustgraph.ingest.formats.rspamd_task import (
    Authentication,
    Task,
    authentication,
    make_task,
    observations_of,
    outcome_of,
)
from trustgraph.ingest.formats.syslog import LogClock, read_line
from trustgraph.model import Observation, Outcome, UnixSeconds, parse_domain

_MARK = b"; task; rspamd_task_write_log: "

#: rspamd cuts its messages at 8 KiB, and what was cut off might contradict what is left.
_MAX_MESSAGE_BYTES = 8190

#: What rspamd puts before a message; through syslog and the systemd journal less of it.
_HEAD = rb"(?:\[[a-z]+\] )?(?:#\d+)?\([a-z_]+\) <[^>\s]*>"
_ANY = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:\[[a-z]+\] )?#\d+\([a-z_]+\) ")
_FILE = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? " + _HEAD)
_TASK_TEXT = (
    rb"id: <(\S*)>,(?: qid: <([^\s<>]*)>,)?(?: ip: ([^\s,]+),)?(?: user: [^,]*,)?(?: from: <([^\s<>]*)>,)?"
    rb" \(default: [STF] \(([a-z ]{1,40})\): \[[-+\d./naif]+\] \["
)
_TASK = re.compile(_TASK_TEXT)
# Head and task of a line of rspamd's own log in one search, which is what nearly all lines are.
_WHOLE = re.compile(_FILE.pattern + _MARK + _TASK_TEXT)

# A symbol without the brace that ends it. SPF's options (the mechanism that matched) are left off: they say nothing
# that is needed and are of too many kinds to remember. Each literal comes first and is looked back upon, so that the
# search for it is fast.
_CHECKS = re.compile(rb"R_(?<=[,\[]R_)(?:SPF_[A-Z]+(?=\()|DKIM_[A-Z]+\([-0-9.]+\)\{[^{}]*)")
_TRACE = re.compile(rb"DKIM_TRACE(?<=[,\[]DKIM_TRACE)\([-0-9.]+\)\{[^{}]*")
_IPREV = re.compile(rb"RDNS_(?<=[,\[]RDNS_)[A-Z]+(?=\()")


class RspamdLog:
    """rspamd's default task log."""

    name = "rspamd"
    title = "rspamd's task log (rspamd.log, or through syslog), default log_format"

    def recognises(self, line: bytes) -> bool:
        """Whether it is any line of rspamd's: task lines may be few among the others."""
        if _ANY.match(line):
            return True
        delivered = read_line(line)
        return delivered is not None and delivered.program == b"rspamd"

    def parse(self, lines: Iterable[NumberedLine], context: LogContext) -> Iterator[Observation | Reject]:
        """Client, SPF and DKIM observations of each task line; other lines of rspamd's are passed over."""
        clock = LogClock(context)
        observer, zone = context.observer, context.zone
        for number, line in lines:
            try:
                if observer and (found := _WHOLE.match(line)):
                    task = _task_in(line, found, local_time(found[1], zone), observer)
                elif _MARK in line:
                    head, _, text = line.partition(_MARK)
                    task = read_task(text, *_when_and_where(head, context, clock))
                else:
                    continue
            except BadInput as error:
                yield Reject(number, str(error), line)
                continue
            yield from observations_of(task, number, line)


def read_task(text: bytes, at: UnixSeconds, observer: str) -> Task:
    """What follows ``rspamd_task_write_log: `` in a line. Raises :class:`BadInput`."""
    found = _TASK.match(text)
    if found is None:
        raise BadInput("expected rspamd's default log_format: id: <…>, … (default: F (no action): [score] [symbols]")
    return _task_in(text, found, at, observer)


def _task_in(line: bytes, found: re.Match[bytes], at: UnixSeconds, observer: str) -> Task:
    """The task that was found up to its symbols.

    A sender's text that looks like a part of the line makes it ambiguous; an ambiguous line is refused whole.
    """
    if len(line) > _MAX_MESSAGE_BYTES:
        raise BadInput(f"longer than the {_MAX_MESSAGE_BYTES} bytes at which rspamd cuts its lines")
    if line.count(b" (default: ") != 1:
        raise BadInput("' (default: ' more than once: a sender imitates the log")
    message_id, queue_id, ip, sender, action = found.groups(b"")[-5:]
    virus = action != _NO_ACTION and b"VIRUS(" in line
    return make_task(
        (
            at,
            observer,
            _message(message_id, queue_id) or line_reference(line),
            _outcome(action, virus),
            _authentication(_watched(line, found.end() - 1)),
            "" if ip == _UNDEFINED else ip.decode("ascii", "replace"),
            sender.decode("utf-8", "replace"),
            "",
        )
    )


_UNDEFINED = b"undef"
_NO_ACTION = b"no action"


@lru_cache(maxsize=64)
def _outcome(action: bytes, virus: bool) -> Outcome:
    return outcome_of(action.decode(), virus=virus)


def _message(message_id: bytes, queue_id: bytes) -> str:
    if message_id not in (b"", _UNDEFINED):
        return f"<{message_id.decode('utf-8', 'replace')}>"
    return "" if queue_id == _UNDEFINED else queue_id.decode("utf-8", "replace")


def _watched(text: bytes, start: int) -> tuple[bytes, ...]:
    """The symbols that matter, wherever they stand, so that a forged end of the list hides none of the true ones."""
    iprev = _IPREV.findall(text, start) if b"RDNS_" in text else ()
    return (*_CHECKS.findall(text, start), *_TRACE.findall(text, start), *iprev)


@lru_cache(maxsize=8192)
def _authentication(watched: tuple[bytes, ...]) -> Authentication:
    symbols: dict[str, list[str]] = {}
    for symbol in watched:
        head, _, options = symbol.partition(b"{")
        name = head.partition(b"(")[0].decode()
        if name in symbols:
            raise BadInput(f"{name} twice, which rspamd never writes: one of them is forged")
        symbols[name] = _options(options)
    return authentication(symbols)


def _options(text: bytes) -> list[str]:
    *options, rest = text.decode("utf-8", "replace").split(";")
    if rest:
        raise BadInput(f"symbol options {text[:80]!r} do not end with a semicolon")
    return options


def _when_and_where(head: bytes, context: LogContext, clock: LogClock) -> tuple[UnixSeconds, str]:
    if found := _FILE.fullmatch(head):
        if not context.observer:
            raise BadInput("rspamd's own log does not say whose it is: name the observer")
        return local_time(found[1], context.zone), context.observer
    delivered = read_line(head)
    if delivered is None or delivered.program != b"rspamd":
        raise BadInput("expected 'YYYY-MM-DD hh:mm:ss #pid(worker) <tag>' or a syslog header before the task")
    return clock.moment(delivered.time), context.observer or parse_domain(delivered.host.decode("utf-8", "replace"))


PARSERS: tuple[LogParser, ...] = (RspamdLog(),)
