"""A mail server's syslog, in which OpenDKIM, OpenDMARC and Postfix write about the same messages.

Each line goes to its program's reader; what the readers tell is joined by queue ID and emitted when the message is
complete: it left the queue, a milter refused it, its client disconnected, or the input ends. The result, its time and
the message's name come from single lines; the client and the outcome are joined on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from trustgraph.errors import BadInput
from trustgraph.ingest.formats import opendkim, opendmarc, postfix
from trustgraph.ingest.formats.base import LogContext, LogParser, NumberedLine, Reject
from trustgraph.ingest.formats.mail_facts import ClientGone, MessageFacts
from trustgraph.ingest.formats.mail_join import MAX_OPEN_MESSAGES, OpenMessages
from trustgraph.ingest.formats.syslog import LogClock, SyslogLine, read_line
from trustgraph.model import IdentityKind, Observation, parse_domain

_OURS = (b" opendkim[", b" opendmarc[", b" postfix/")


@lru_cache(maxsize=1024)
def _reader_of(program: bytes) -> postfix.Reader | None:
    """The reader of a program's lines. Postfix instances log as ``postfix/smtpd``, ``postfix-in/submission/smtpd``…"""
    if program == b"opendkim":
        return opendkim.read
    if program == b"opendmarc":
        return opendmarc.read
    if program.startswith(b"postfix"):
        return postfix.reader_for(program.rpartition(b"/")[2])
    return None


class _Reading:
    """One pass over one log."""

    def __init__(self, context: LogContext, kinds: frozenset[IdentityKind]) -> None:
        self._clock = LogClock(context)
        self._observer = context.observer
        self._messages = OpenMessages(kinds)
        # The queue IDs that each smtpd process has begun and not yet seen the client leave.
        self._begun: dict[tuple[bytes, bytes], list[str]] = {}

    def read(self, line: bytes) -> list[Observation]:
        """The observations that a line completes. Raises :class:`BadInput` for one that is not as expected."""
        parts = read_line(line)
        if parts is None:
            if any(program in line for program in _OURS):
                raise BadInput("expected a time (RFC 3339 or 'Nov  3 04:05:06'), a host and a program before the text")
            return []
        reader = _reader_of(parts.program)
        facts = reader(parts.text) if reader else None
        if facts is None:
            return []
        if isinstance(facts, ClientGone):
            return self._client_gone(parts)
        return self._message(parts, facts)

    def rest(self) -> Iterator[Observation]:
        """The observations that the end of the input completes."""
        return self._messages.rest()

    def _message(self, parts: SyslogLine, facts: MessageFacts) -> list[Observation]:
        key = (parts.host, facts.queue_id)
        if facts.ends and key not in self._messages:
            return []
        moment = self._clock.moment(parts.time)
        self._messages.add(key, self._observer or _observer_of(parts.host), facts, moment)
        if facts.begins:
            self._begin(parts, facts.queue_id)
        if facts.complaint:
            raise BadInput(facts.complaint)
        if facts.ends:
            return self._messages.finish(key)
        return self._messages.overdue(moment)

    def _begin(self, parts: SyslogLine, queue_id: str) -> None:
        if len(self._begun) >= MAX_OPEN_MESSAGES:
            self._begun.clear()  # sessions without an end; their messages still end by age
        begun = self._begun.setdefault((parts.host, parts.process), [])
        if len(begun) < MAX_OPEN_MESSAGES:
            begun.append(queue_id)

    def _client_gone(self, parts: SyslogLine) -> list[Observation]:
        begun = self._begun.pop((parts.host, parts.process), [])
        return [found for queue_id in begun for found in self._messages.finish((parts.host, queue_id))]


@lru_cache(maxsize=256)
def _observer_of(host: bytes) -> str:
    return parse_domain(host.decode("utf-8", "replace"))


class MailSyslogParser:
    """A :class:`LogParser` for the lines of some of the programs, giving some kinds of identity."""

    def __init__(self, name: str, title: str, programs: tuple[bytes, ...], kinds: frozenset[IdentityKind]) -> None:
        self.name: str = name
        self.title: str = title
        self._programs = programs
        self._kinds = kinds

    def recognises(self, line: bytes) -> bool:
        """Whether a line is a syslog line of one of the programs."""
        parts = read_line(line)
        return parts is not None and parts.program.startswith(self._programs)

    def parse(self, lines: Iterable[NumberedLine], context: LogContext) -> Iterator[Observation | Reject]:
        """Observations when their message is complete, rejects at once; other programs' lines are passed over."""
        reading = _Reading(context, self._kinds)
        for number, line in lines:
            try:
                completed = reading.read(line)
            except BadInput as error:
                yield Reject(number, str(error), line)
                continue
            yield from completed
        yield from reading.rest()


_DKIM = frozenset({IdentityKind.DKIM})
_SPF = frozenset({IdentityKind.SPF, IdentityKind.HELO})
_IP = frozenset({IdentityKind.IP})

PARSERS: Final[tuple[LogParser, ...]] = (
    MailSyslogParser(
        "syslog",
        "mail log in syslog format: OpenDKIM, OpenDMARC and Postfix, joined by queue ID (/var/log/mail.log)",
        (b"opendkim", b"opendmarc", b"postfix"),
        _DKIM | _SPF | _IP,
    ),
    MailSyslogParser("opendkim", "OpenDKIM's lines in syslog: DKIM identities only", (b"opendkim",), _DKIM),
    MailSyslogParser("opendmarc", "OpenDMARC's lines in syslog: SPF identities only", (b"opendmarc",), _SPF),
    MailSyslogParser("postfix", "Postfix's lines in syslog: client addresses only", (b"postfix",), _IP),
)
