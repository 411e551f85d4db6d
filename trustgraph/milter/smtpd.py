"""The filter protocol of OpenSMTPD, 0.4 to 0.7 (smtpd-filters(7)), without I/O: octets in, events out.

smtpd starts a filter and keeps one conversation with it, in lines, for all its SMTP sessions::

    config|ready                                       what smtpd says of itself, ended by this
    register|filter|smtp-in|commit                     what the filter asks for, ended by register|ready
    report|0.6|TIME|smtp-in|tx-begin|SESSION|QUEUE-ID  told, not asked
    filter|0.6|TIME|smtp-in|data-line|SESSION|TOKEN|Subject: hello
    filter-dataline|SESSION|TOKEN|Subject: hello       the message is what is given back, not what came
    filter|0.6|TIME|smtp-in|commit|SESSION|TOKEN|
    filter-result|SESSION|TOKEN|reject|550 5.7.7 no

Versions differ: before 0.5 the token stands before the session in answers, before 0.6 an address before its result in
``tx-mail`` and ``tx-rcpt``, before 0.7 the user before the result in ``link-auth``. ``|`` may be in the last part.

A message is held until it is whole; nothing of it is given back before a verdict. Without one, ``commit`` is answered
with a temporary failure, and so is whatever belongs to no session or transaction known here. What a client can bring
about never ends the conversation, for that ends smtpd; what breaks the protocol always does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from trustgraph.headersig.message import MAX_HEADER_BYTES
from trustgraph.milter.protocol import ProtocolError
from trustgraph.milter.server import FAILED, TOO_LARGE
from trustgraph.milter.transaction import Accept, Client, Refuse

BUSY = Refuse("452 4.3.1 too many messages are being checked, try again later")

REPORTS = (
    *("link-connect", "link-identify", "link-auth", "link-disconnect"),
    *("tx-reset", "tx-begin", "tx-mail", "tx-rcpt"),
)
FILTERS = ("data-line", "commit")

REGISTRATION = b"".join(
    b"register|%s|smtp-in|%s\n" % (kind, name.encode())
    for kind, names in ((b"report", REPORTS), (b"filter", FILTERS))
    for name in names
) + (b"register|ready\n")

_VERSIONS = {b"0.4": 4, b"0.5": 5, b"0.6": 6, b"0.7": 7}
_ID = re.compile(rb"[0-9a-f]{1,16}", re.IGNORECASE)

#: smtpd 6 and some 7 read an answer into 2,048 octets and cut off the rest (mended shortly before protocol 0.7): the
#: longest line of a message that comes through whole, behind ``filter-dataline|``, two ids of 16 and two bars.
LONGEST_CUT_LINE = 2_047 - len("filter-dataline|") - 2 * 17

#: Octets of answers made at a time.
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one conversation. ``line_octets`` is of a message's line; ``held_octets`` of all messages at once.

    A message over its bounds is refused. Sessions over theirs, and messages when too much is held, have to come again.
    """

    sessions: int = 1_000
    line_octets: int = 65_535
    header_octets: int = MAX_HEADER_BYTES
    message_octets: int = 100 * 1024 * 1024
    held_octets: int = 400 * 1024 * 1024
    recipients: int = 10_000
    protocol_line_octets: int = 1024 * 1024


@dataclass(slots=True, eq=False)
class Session:
    """An SMTP client. ``helo`` and ``user`` are octets as it sent them; ``user`` is who it has authenticated as."""

    number: bytes
    client: Client
    helo: bytes = b""
    user: bytes = b""
    message: Message | None = None


@dataclass(slots=True, eq=False)
class Message:
    """A transaction. ``text`` has CRLF line ends and no dot-stuffing; ``verdict`` is None until there is one."""

    session: Session
    queue_id: bytes
    version: int
    mail_from: bytes | None = None
    recipients: list[bytes] = field(default_factory=list)
    text: bytearray = field(default_factory=bytearray)
    token: bytes = b""
    in_header: bool = True
    is_whole: bool = False
    verdict: Accept | Refuse | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Octets for smtpd."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """A whole message: smtpd waits for :meth:`Conversation.accept` or :meth:`Conversation.refuse`."""

    message: Message


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message of which nobody wants to know the verdict any more."""

    message: Message


@dataclass(frozen=True, slots=True)
class OverBounds:
    """A message that was refused because of its size; nothing is waiting for it."""

    message: Message
    verdict: Refuse


Event = Write | Received | Dropped | OverBounds


class Conversation:
    """One conversation with smtpd. Raises :class:`ProtocolError` for what breaks the protocol; it is over then."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._rest = b""
        self._is_configured = False
        self._sessions: dict[bytes, Session] = {}
        self._held = 0
        self._events: list[Event] = []

    def receive(self, octets: bytes) -> list[Event]:
        """What follows from the next octets of smtpd."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        longest = max(map(len, (*lines, self._rest)))
        if longest > self._bounds.protocol_line_octets:
            raise ProtocolError(f"a line of {longest:,} octets")
        self._events = []
        for line in lines:
            self._line(line)
        return self._events

    def accept(self, message: Message, octets: bytes) -> Iterator[bytes]:
        """Give back the message as it is to be from now on, with CRLF line ends, in pieces to write one by one."""
        if not self._is_awaited(message):
            return
        lines = octets.removesuffix(b"\r\n").split(b"\r\n")
        if max(len(line) + line.startswith(b".") for line in lines) > self._longest_line(message.version):
            yield self.refuse(message, TOO_LARGE)
            return
        start = self._answer(b"filter-dataline", message.version, message.session.number, message.token)
        piece = bytearray()
        for line in lines:
            piece += start + (b"." if line.startswith(b".") else b"") + line + b"\n"
            if len(piece) >= _CHUNK_BYTES:
                yield bytes(piece)
                if not self._is_awaited(message):
                    return
                piece.clear()
        self._settle(message, Accept())
        yield bytes(piece + start + b".\n")

    def refuse(self, message: Message, verdict: Refuse) -> bytes:
        """Give nothing back, and refuse at ``commit``. To be written; empty for a message that nobody waits for."""
        if not self._is_awaited(message):
            return b""
        self._settle(message, verdict)
        return self._end_of_data(message.version, message.session.number, message.token)

    def _is_awaited(self, message: Message) -> bool:
        return message.session.message is message and message.is_whole and message.verdict is None

    def _settle(self, message: Message, verdict: Accept | Refuse) -> None:
        message.verdict = verdict
        self._release(message)

    def _release(self, message: Message) -> None:
        self._held -= len(message.text)
        message.text.clear()

    def _longest_line(self, version: int) -> int:
        return self._bounds.line_octets if version >= 7 else min(self._bounds.line_octets, LONGEST_CUT_LINE)

    def _line(self, line: bytes) -> None:
        kind, _, rest = line.partition(b"|")
        if not self._is_configured:
            if kind != b"config" or not rest:
                raise _unexpected(line, "config lines first")
            if rest == b"ready":
                self._is_configured = True
                self._events.append(Write(REGISTRATION))
            return
        if kind not in (b"report", b"filter"):
            raise _unexpected(line, "a report or a filter request")
        parts = rest.split(b"|", 4)
        if len(parts) < 5 or parts[2] != b"smtp-in":
            raise _unexpected(line, "KIND|VERSION|TIME|smtp-in|EVENT|SESSION")
        version = _VERSIONS.get(parts[0])
        if version is None:
            raise _unexpected(line, f"protocol {', '.join(name.decode() for name in _VERSIONS)}")
        number, bar, more = parts[4].partition(b"|")
        if not _ID.fullmatch(number):
            raise _unexpected(line, "a session's number")
        if kind == b"report":
            self._report(parts[3], version, number, more, line)
            return
        token, bar, more = more.partition(b"|")
        if not _ID.fullmatch(token):
            raise _unexpected(line, "a token")
        if parts[3] == b"data-line" and bar:
            self._data_line(version, number, token, more)
        elif parts[3] == b"commit":
            self._commit(version, number, token)
        else:
            raise _unexpected(line, "data-line or commit")

    def _report(self, event: bytes, version: int, number: bytes, more: bytes, line: bytes) -> None:
        if event == b"link-connect":
            self._connect(number, more, line)
            return
        session = self._sessions.get(number)
        if session is None:  # one of those that were too many
            return
        if event == b"link-disconnect":
            del self._sessions[number]
            self._drop(session)
        elif event == b"link-identify":
            session.helo = more.partition(b"|")[2]
        elif event == b"link-auth":
            result, user = _result_first(more) if version >= 7 else _result_last(more)
            if result == b"pass":
                session.user = user
        elif event == b"tx-reset":
            self._drop(session)
        elif event == b"tx-begin":
            if not _ID.fullmatch(more):
                raise _unexpected(line, "a message's id")
            self._drop(session)
            session.message = Message(session, more, version)
        elif event in (b"tx-mail", b"tx-rcpt"):
            self._address(event, session, version, more, line)

    def _connect(self, number: bytes, more: bytes, line: bytes) -> None:
        parts = more.rsplit(b"|", 3)  # the name is whatever a client's DNS says
        if len(parts) != 4:
            raise _unexpected(line, "NAME|CONFIRMED|SOURCE|DESTINATION")
        if number in self._sessions:
            raise _unexpected(line, "a session's number that is not in use")
        if len(self._sessions) < self._bounds.sessions:
            self._sessions[number] = Session(number, _client(*parts[:3]))

    def _address(self, event: bytes, session: Session, version: int, more: bytes, line: bytes) -> None:
        queue_id, bar, said = more.partition(b"|")
        if not bar or b"|" not in said:
            raise _unexpected(line, "a message's id, a result and an address")
        result, address = _result_first(said) if version >= 6 else _result_last(said)
        message = session.message
        if result != b"ok" or message is None or message.queue_id != queue_id:
            return
        if event == b"tx-mail":
            message.mail_from = address
        else:
            message.recipients.append(address)
            if len(message.recipients) > self._bounds.recipients:
                self._over(message, TOO_LARGE)

    def _drop(self, session: Session) -> None:
        message, session.message = session.message, None
        if message is None:
            return
        self._release(message)
        if message.is_whole and message.verdict is None:
            self._events.append(Dropped(message))

    def _data_line(self, version: int, number: bytes, token: bytes, line: bytes) -> None:
        session = self._sessions.get(number)
        message = session.message if session else None
        if message is None:
            if line == b".":
                self._events.append(Write(self._end_of_data(version, number, token)))
            return
        if message.is_whole:  # nothing is given back but what was judged
            return
        if line == b".":
            message.token, message.is_whole = token, True
            if message.verdict is not None:
                self._events.append(Write(self._end_of_data(version, number, token)))
            else:
                self._events.append(Received(message))
            return
        if message.verdict is not None:
            return
        if len(line) > self._longest_line(version):
            self._over(message, TOO_LARGE)
            return
        text = line.removeprefix(b".") + b"\r\n"
        message.text += text
        self._held += len(text)
        message.in_header = message.in_header and len(text) > 2
        limit = self._bounds.header_octets if message.in_header else self._bounds.message_octets
        if len(message.text) > limit:
            self._over(message, TOO_LARGE)
        elif self._held > self._bounds.held_octets:
            self._over(message, BUSY)

    def _over(self, message: Message, verdict: Refuse) -> None:
        if message.verdict is None:
            self._settle(message, verdict)
            self._events.append(OverBounds(message, verdict))

    def _commit(self, version: int, number: bytes, token: bytes) -> None:
        session = self._sessions.get(number)
        message = session.message if session else None
        verdict = message.verdict if message and message.is_whole else None
        if session is not None:
            self._drop(session)  # a verdict is good for one commit
        start = self._answer(b"filter-result", version, number, token)
        if isinstance(verdict, Accept):
            self._events.append(Write(start + b"proceed\n"))
        else:
            self._events.append(Write(start + b"reject|" + (verdict or FAILED).line.encode("ascii") + b"\n"))

    def _end_of_data(self, version: int, number: bytes, token: bytes) -> bytes:
        return self._answer(b"filter-dataline", version, number, token) + b".\n"

    @staticmethod
    def _answer(kind: bytes, version: int, number: bytes, token: bytes) -> bytes:
        first, second = (number, token) if version >= 5 else (token, number)
        return kind + b"|" + first + b"|" + second + b"|"


def _client(name: bytes, confirmed: bytes, source: bytes) -> Client:
    """The address is not looked at: one that is none makes the handler fail, and that message has to wait."""
    if source.startswith(b"unix:"):
        return Client("localhost", "")
    address = source.rpartition(b":")[0].removeprefix(b"[").removesuffix(b"]")
    return Client(_text(name) if confirmed == b"pass" else "", _text(address) or "?")


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "backslashreplace")


def _result_first(said: bytes) -> tuple[bytes, bytes]:
    result, _, subject = said.partition(b"|")
    return result, subject


def _result_last(said: bytes) -> tuple[bytes, bytes]:
    subject, _, result = said.rpartition(b"|")
    return result, subject


def _unexpected(line: bytes, expected: str) -> ProtocolError:
    return ProtocolError(f"{line[:120]!r}: expected {expected}")
