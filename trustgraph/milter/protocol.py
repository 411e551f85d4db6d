"""The milter protocol up to version 6, the filter's side, without I/O: bytes in, events out.

There is no RFC. The protocol is what Sendmail's libmilter and Postfix's ``milter8.c`` speak: packets of a 32-bit
length, a command letter and its data; strings end in NUL. What is read here is never decoded and never dropped.

The states and what may come in each are ``_ALLOWED`` and ``_LEADS_TO``, and nowhere else. Whatever does not fit, in
order or in form, is a :class:`ProtocolError`, after which the connection is of no more use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from trustgraph.errors import BadInput

VERSION = 6
OLDEST_VERSION = 2

#: An MTA's largest packet is a body chunk of 65,535 bytes or a header field; Postfix's limit on a field is 102,400.
MAX_PACKET_BYTES = 1024 * 1024

_HEAD = Struct(">IB")
_OPTIONS = Struct(">III")
_PORT = Struct(">H")


class ProtocolError(BadInput):
    """The peer does not speak the protocol: a packet is malformed, too long or out of order."""


class Action(IntFlag):
    """What a filter may ask for at the end of a message (``SMFIF_*``)."""

    ADD_HEADERS = 0x01
    DELETE_RECIPIENTS = 0x08
    CHANGE_HEADERS = 0x10
    QUARANTINE = 0x20
    SET_MACROS = 0x100


class Flag(IntFlag):
    """How the two sides shorten the dialogue (``SMFIP_*``). ``SILENT_*``: the filter will not answer that command."""

    NO_BODY = 0x10
    SILENT_HEADER = 0x80
    NO_UNKNOWN = 0x100
    SKIP = 0x400
    SILENT_CONNECT = 0x1000
    SILENT_HELO = 0x2000
    SILENT_MAIL = 0x4000
    SILENT_RCPT = 0x8000
    SILENT_DATA = 0x10000
    SILENT_UNKNOWN = 0x20000
    SILENT_END_OF_HEADER = 0x40000
    SILENT_BODY = 0x80000
    LEADING_SPACE = 0x100000


class Stage(IntEnum):
    """The stages for which a filter may name the macros it wants (``SMFIM_*``)."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    END_OF_MESSAGE = 5
    END_OF_HEADER = 6


class Negotiate(NamedTuple):
    """What the MTA offers: its version, actions and flags as bit masks."""

    version: int
    actions: int
    flags: int


class Macros(NamedTuple):
    """Names and values for a command that is about to come, or would come if it were wanted."""

    command: bytes
    values: tuple[tuple[bytes, bytes], ...]


class Connect(NamedTuple):
    """The SMTP client. ``family`` is one of ``4 6 L U``; with ``U`` there is no port and no address."""

    host: bytes
    family: bytes
    port: int
    address: bytes


class Helo(NamedTuple):
    """HELO or EHLO; ends a transaction under way (RFC 5321 section 4.1.4)."""

    name: bytes


class Mail(NamedTuple):
    """MAIL FROM as the client wrote it, with its ESMTP arguments; ends a transaction under way."""

    address: bytes
    arguments: tuple[bytes, ...]


class Rcpt(NamedTuple):
    """RCPT TO of one recipient, with its ESMTP arguments."""

    address: bytes
    arguments: tuple[bytes, ...]


class Data(NamedTuple):
    """DATA; from protocol version 4 on."""


class Header(NamedTuple):
    """One header field. Lines of a folded value are divided as the MTA has them, by LF in Sendmail and Postfix."""

    name: bytes
    value: bytes


class EndOfHeader(NamedTuple):
    """The header is complete."""


class Body(NamedTuple):
    """A piece of the body, lines ended by CRLF; the pieces are cut anywhere."""

    chunk: bytes


class EndOfMessage(NamedTuple):
    """The message is complete. ``chunk`` is a last piece of the body, mostly empty."""

    chunk: bytes


class Abort(NamedTuple):
    """The transaction is given up or over; the connection goes on. Never answered."""


class Quit(NamedTuple):
    """The MTA is done. Never answered."""


class QuitNewConnection(NamedTuple):
    """The SMTP client is gone, and the next one comes over the same connection. Never answered."""


class Unknown(NamedTuple):
    """An SMTP command that the MTA does not know."""

    command: bytes


Event = (
    Negotiate
    | Macros
    | Connect
    | Helo
    | Mail
    | Rcpt
    | Data
    | Header
    | EndOfHeader
    | Body
    | EndOfMessage
    | Abort
    | Quit
    | QuitNewConnection
    | Unknown
)

#: What a handler of messages may want to know; everything else is left out and saves its packets.
WANTED_MACROS: Mapping[Stage, bytes] = MappingProxyType(
    {
        Stage.CONNECT: b"j {daemon_name} {client_name} {client_ptr}",
        Stage.MAIL: b"i {auth_type} {auth_authen} {mail_addr}",
        Stage.DATA: b"i",
        Stage.END_OF_MESSAGE: b"i",
    }
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What this filter asks of any MTA.

    Without ``body`` the MTA never sends one. Without ``answer_end_of_header`` or ``answer_body`` the MTA does not wait
    there: quicker, but the first chance to refuse is then later, and without the second nothing can be skipped.
    ``macros`` empty: those that the MTA is configured to send.
    """

    actions: Action = Action.ADD_HEADERS | Action.CHANGE_HEADERS | Action.QUARANTINE
    body: bool = True
    answer_end_of_header: bool = True
    answer_body: bool = True
    macros: Mapping[Stage, bytes] = field(default_factory=lambda: WANTED_MACROS)

    @property
    def flags(self) -> Flag:
        """The flags to ask for."""
        flags = Flag.NO_UNKNOWN | Flag.SKIP | Flag.LEADING_SPACE
        flags |= Flag.SILENT_CONNECT | Flag.SILENT_HELO | Flag.SILENT_MAIL | Flag.SILENT_RCPT
        flags |= Flag.SILENT_DATA | Flag.SILENT_HEADER | Flag.SILENT_UNKNOWN
        if not self.body:
            flags |= Flag.NO_BODY
        if not self.answer_end_of_header:
            flags |= Flag.SILENT_END_OF_HEADER
        if not self.answer_body:
            flags |= Flag.SILENT_BODY
        return flags


_SILENCE: Mapping[type[Event], Flag] = {
    Connect: Flag.SILENT_CONNECT,
    Helo: Flag.SILENT_HELO,
    Mail: Flag.SILENT_MAIL,
    Rcpt: Flag.SILENT_RCPT,
    Data: Flag.SILENT_DATA,
    Header: Flag.SILENT_HEADER,
    EndOfHeader: Flag.SILENT_END_OF_HEADER,
    Body: Flag.SILENT_BODY,
    Unknown: Flag.SILENT_UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides can: the older version, the common actions and flags. ``packet`` says so to the MTA.

    ``answered`` holds the commands that need an answer each, end of message not among them, which always does.
    With ``leading_space`` values come with the white space behind the colon; if not, one space of it is missing.
    ``can_skip``: the rest of a body can be declined.
    """

    version: int
    actions: Action
    flags: Flag
    answered: frozenset[type[Event]]
    packet: bytes
    leading_space: bool
    can_skip: bool


def negotiate(offer: Negotiate, wishes: Wishes, answer_connect: bool = False) -> Agreement:
    """What follows from the MTA's ``offer`` and our wishes, ``answer_connect`` being for a client to be turned away.

    Raises :class:`ProtocolError` when the MTA's version is older than any in use.
    """
    if offer.version < OLDEST_VERSION:
        raise ProtocolError(f"protocol version {offer.version}: {OLDEST_VERSION} or newer expected")
    version = min(offer.version, VERSION)
    actions = wishes.actions & offer.actions
    flags = wishes.flags & offer.flags
    if answer_connect:
        flags &= ~Flag.SILENT_CONNECT
    lists = b""
    if wishes.macros and offer.actions & Action.SET_MACROS:
        actions |= Action.SET_MACROS
        lists = b"".join(stage.to_bytes(4) + names + b"\0" for stage, names in wishes.macros.items())
    answered = frozenset(event for event, silence in _SILENCE.items() if silence not in flags)
    packet = encode(b"O", _OPTIONS.pack(version, actions, flags) + lists)
    can_skip = Flag.SKIP in flags and Body in answered
    return Agreement(version, actions, flags, answered, packet, Flag.LEADING_SPACE in flags, can_skip)


def encode(command: bytes, data: bytes = b"") -> bytes:
    """One packet."""
    return (len(data) + 1).to_bytes(4) + command + data


class State(IntEnum):
    """Where a connection is."""

    NEGOTIATING = 0
    READY = 1
    CONNECTED = 2
    MAIL = 3
    RCPT = 4
    DATA = 5
    HEADER = 6
    BODY = 7
    CLOSED = 8


#: The commands that may come in each state. Macros (``D``) belong to the command after them. HELO and MAIL may begin
#: anew while no content was sent: Sendmail gives no notice of a transaction that ended before that, and aborts one that
#: ended later. Versions below 4 have no DATA (``T``), and where another filter refused it a recipient may follow.
_ALLOWED: Mapping[State, str] = {
    State.NEGOTIATING: "O",
    State.READY: "D C Q K",
    State.CONNECTED: "D H M U A Q K",
    State.MAIL: "D R U H M A Q K",
    State.RCPT: "D R U T L N H M A Q K",
    State.DATA: "D R U T L N H M A Q K",
    State.HEADER: "D L N A Q K",
    State.BODY: "D B E A Q K",
    State.CLOSED: "",
}

#: Where each command leads; macros and unknown SMTP commands lead nowhere.
_LEADS_TO: Mapping[str, State] = {
    "O": State.READY,
    "C": State.CONNECTED,
    "H": State.CONNECTED,
    "M": State.MAIL,
    "R": State.RCPT,
    "T": State.DATA,
    "L": State.HEADER,
    "N": State.BODY,
    "B": State.BODY,
    "E": State.CONNECTED,
    "A": State.CONNECTED,
    "Q": State.CLOSED,
    "K": State.READY,
}

_NEXT: Mapping[State, Mapping[int, State]] = {
    state: {ord(letter): _LEADS_TO.get(letter, state) for letter in letters.split()}
    for state, letters in _ALLOWED.items()
}

_HEADER, _MACROS = ord("L"), ord("D")
_COMMANDS = frozenset(b"ABCDEHKLMNOQRTU")
_HEADER_MACROS = b"L"


class Decoder:
    """Events out of the bytes of one connection. Not to be used after a :class:`ProtocolError`."""

    def __init__(self, max_packet_bytes: int = MAX_PACKET_BYTES) -> None:
        self.state = State.NEGOTIATING
        self._next = _NEXT[self.state]
        self._limit = max_packet_bytes
        self._pieces: list[bytes] = []
        self._at = 0  # where the first packet not given out begins in the first piece
        self._size = 0  # bytes in all pieces
        self._needed = _HEAD.size  # bytes to hold before it is worth looking
        self._last_macros: bytes | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes fed and not given out as events yet."""
        return self._size - self._at

    def feed(self, data: bytes) -> None:
        """Take what was received. Looks at nothing, so that pieces of a long packet cost nothing each."""
        self._pieces.append(data)
        self._size += len(data)

    def peek(self) -> int | None:
        """The letter of the next packet if that much of it has arrived."""
        if self.held_bytes < _HEAD.size:
            return None
        return self._buffer()[self._at + 4]

    def end_transaction(self) -> None:
        """The filter has given its final answer, so that no more of this message may come."""
        if State.MAIL <= self.state <= State.BODY:
            self._enter(State.CONNECTED)

    def events(self) -> Iterator[Event]:
        """The events of all packets that are complete, one by one: stop whenever, and call again to go on.

        Raises :class:`ProtocolError`, for a packet over the limit as soon as its length is there.
        """
        if self.held_bytes < self._needed:
            return
        self._needed = _HEAD.size
        buffer = self._buffer()
        unpack, limit, end_of_buffer = _HEAD.unpack_from, self._limit, len(buffer)
        new = tuple.__new__  # a field is the one event there is much of; a named tuple's own way takes twice as long
        while (at := self._at) + 5 <= end_of_buffer:
            length, command = unpack(buffer, at)
            if not 0 < length <= limit:
                self._fail(f"packet of {length:,} bytes: 1 to {limit:,} expected")
            end = at + 4 + length
            if end > end_of_buffer:
                self._needed = 4 + length
                break
            following = self._next.get(command)
            if following is None:
                self._fail_order(command)
            if following is not self.state:
                self._enter(following)
            data = buffer[at + 5 : end]
            self._at = end
            if command == _HEADER:
                parts = data.split(b"\0")
                if len(parts) != 3 or parts.pop() or not parts[0]:
                    self._fail("header field: a name and a value expected")
                yield new(Header, parts)
            elif data != self._last_macros or command != _MACROS:
                # Postfix repeats the same macros before every field.
                self._last_macros = data if command == _MACROS and data.startswith(_HEADER_MACROS) else None
                try:
                    event = _PARSERS[command](data)
                except ProtocolError:
                    self._enter(State.CLOSED)
                    raise
                yield event
        if self._at == end_of_buffer:
            self._drop_first()

    def _buffer(self) -> bytes:
        """All that is held, as the one piece from ``_at`` on."""
        if len(self._pieces) > 1:
            self._pieces[0] = self._pieces[0][self._at :]
            self._pieces = [b"".join(self._pieces)]
            self._size, self._at = len(self._pieces[0]), 0
        return self._pieces[0]

    def _drop_first(self) -> None:
        self._pieces = self._pieces[1:]
        self._size -= self._at
        self._at = 0

    def _enter(self, state: State) -> None:
        self.state = state
        self._next = _NEXT[state]

    def _fail(self, why: str) -> NoReturn:
        self._enter(State.CLOSED)
        raise ProtocolError(why)

    def _fail_order(self, command: int) -> NoReturn:
        if command in _COMMANDS:
            self._fail(f"command {chr(command)} in state {self.state.name}")
        self._fail(f"unknown command 0x{command:02x}")


def _strings(data: bytes, what: str) -> list[bytes]:
    """One or more strings, each ended by NUL."""
    if not data.endswith(b"\0"):
        raise ProtocolError(f"{what}: ends without NUL")
    return data[:-1].split(b"\0")


def _string(data: bytes, what: str) -> bytes:
    strings = _strings(data, what)
    if len(strings) != 1:
        raise ProtocolError(f"{what}: {len(strings)} strings, one expected")
    return strings[0]


def _empty(data: bytes, what: str) -> None:
    if data:
        raise ProtocolError(f"{what}: {len(data):,} bytes behind it, none expected")


def _parse_negotiate(data: bytes) -> Negotiate:
    if len(data) != _OPTIONS.size:
        raise ProtocolError(f"negotiation: {len(data):,} bytes, {_OPTIONS.size} expected")
    return Negotiate(*_OPTIONS.unpack(data))


def _parse_macros(data: bytes) -> Macros:
    command = data[:1]
    if not command or command[0] not in _COMMANDS:
        raise ProtocolError("macros: the letter of a command expected")
    strings = _strings(data[1:], "macros") if len(data) > 1 else []
    if len(strings) % 2:
        raise ProtocolError("macros: a name without a value")
    return Macros(command, tuple(zip(strings[::2], strings[1::2], strict=True)))


def _parse_connect(data: bytes) -> Connect:
    host, end, rest = data.partition(b"\0")
    family = rest[:1]
    if not end or not family or family not in b"46LU":
        raise ProtocolError("connect: a name and an address family expected")
    if family == b"U":
        _empty(rest[1:], "connect of unknown family")
        return Connect(host, family, 0, b"")
    if len(rest) < 3:
        raise ProtocolError("connect: a port expected")
    (port,) = _PORT.unpack(rest[1:3])
    return Connect(host, family, port, _string(rest[3:], "connect"))


def _parse_mail(data: bytes) -> Mail:
    address, *arguments = _strings(data, "MAIL")
    return Mail(address, tuple(arguments))


def _parse_rcpt(data: bytes) -> Rcpt:
    address, *arguments = _strings(data, "RCPT")
    return Rcpt(address, tuple(arguments))


def _bare(event: Event, what: str) -> Callable[[bytes], Event]:
    def parse(data: bytes) -> Event:
        _empty(data, what)
        return event

    return parse


_PARSERS: Mapping[int, Callable[[bytes], Event]] = {
    ord("O"): _parse_negotiate,
    ord("D"): _parse_macros,
    ord("C"): _parse_connect,
    ord("H"): lambda data: Helo(_string(data, "HELO")),
    ord("M"): _parse_mail,
    ord("R"): _parse_rcpt,
    ord("T"): _bare(Data(), "DATA"),
    ord("N"): _bare(EndOfHeader(), "end of header"),
    ord("B"): Body,
    ord("E"): EndOfMessage,
    ord("A"): _bare(Abort(), "abort"),
    ord("Q"): _bare(Quit(), "quit"),
    ord("K"): _bare(QuitNewConnection(), "quit"),
    ord("U"): lambda data: Unknown(_string(data, "unknown command")),
}
