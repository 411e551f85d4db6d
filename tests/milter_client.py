"""The MTA's side of the milter protocol, synchronous, for tests and benchmarks of any milter.

A message is prepared once for what was negotiated, as a few byte strings, each up to a command that the filter answers;
sending it is then a few system calls.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

ALL_ACTIONS = 0x1FF
ALL_FLAGS = 0x1FFFFF

#: The flag with which a filter declines to answer each command.
SILENT = {
    b"C": 0x1000,
    b"H": 0x2000,
    b"M": 0x4000,
    b"R": 0x8000,
    b"T": 0x10000,
    b"L": 0x80,
    b"N": 0x40000,
    b"B": 0x80000,
}

#: The flag with which a filter asks not to be sent each command at all.
UNWANTED = {b"C": 1, b"H": 2, b"M": 4, b"R": 8, b"B": 0x10, b"L": 0x20, b"N": 0x40, b"T": 0x200}
LEADING_SPACE = 0x100000
CHUNK_BYTES = 65_535
EDITS = frozenset(b"himq+-2eb")


def packet(command: bytes, data: bytes = b"") -> bytes:
    return struct.pack("!I", len(data) + 1) + command + data


def strings(*values: bytes) -> bytes:
    return b"".join(value + b"\0" for value in values)


@dataclass(frozen=True)
class Message:
    """What an MTA has of a message. Values of ``fields`` begin right behind the colon."""

    mail_from: bytes = b"<sender@example.org>"
    recipients: Sequence[bytes] = (b"<someone@example.net>",)
    fields: Sequence[tuple[bytes, bytes]] = ((b"From", b" sender@example.org"), (b"Subject", b" test"))
    body: bytes = b"Hello\r\n"
    mail_macros: Sequence[bytes] = (b"i", b"4XyZ")
    header_macros: Sequence[bytes] = ()


@dataclass(frozen=True)
class Outcome:
    """``reply`` is the final packet's letter and data; ``edits`` the packets before it, in order."""

    reply: bytes
    edits: list[bytes] = field(default_factory=list)
    answered_to: bytes = b"E"


@dataclass(frozen=True)
class Part:
    """Bytes to send up to and with ``command``, which is answered."""

    command: bytes
    data: bytes


class MilterClient:
    """One connection to ``unix:PATH`` or ``inet:HOST:PORT``, negotiated and with a client connected."""

    def __init__(
        self,
        address: str,
        version: int = 6,
        actions: int = ALL_ACTIONS,
        flags: int = ALL_FLAGS,
        timeout: float = 10.0,
        greet: bool = True,
    ) -> None:
        kind, _, where = address.partition(":")
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(where)
        else:
            host, _, port = where.rpartition(":")
            self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""
        self.version = version
        self.actions = self.flags = 0
        self.macro_lists = b""
        if greet:
            self.negotiate(actions, flags)
            self.connect()

    def __enter__(self) -> MilterClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def negotiate(self, actions: int = ALL_ACTIONS, flags: int = ALL_FLAGS) -> None:
        self.socket.sendall(packet(b"O", struct.pack("!III", self.version, actions, flags)))
        answer = self.receive()
        assert answer[:1] == b"O", answer
        self.version, self.actions, self.flags = struct.unpack("!III", answer[1:13])
        self.macro_lists = answer[13:]
        assert self.actions & ~actions == 0
        assert self.flags & ~flags == 0, "the filter asks for what was not offered"

    def connect(
        self, host: bytes = b"mx.example.org", family: bytes = b"4", address: bytes = b"192.0.2.1", helo: bytes = b""
    ) -> bytes:
        """CONNECT and HELO; returns the first answer that is not continue, or continue."""
        where = b"" if family == b"U" else struct.pack("!H", 25) + strings(address)
        for command, data in ((b"C", strings(host) + family + where), (b"H", strings(helo or b"mx.example.org"))):
            macros = packet(b"D", command + strings(b"j", b"mx.example.net"))
            if not self.is_wanted(command):
                self.socket.sendall(macros)
                continue
            self.socket.sendall(macros + packet(command, data))
            if self.is_answered(command) and (answer := self.receive()) != b"c":
                return answer
        return b"c"

    def is_wanted(self, command: bytes) -> bool:
        return not self.flags & UNWANTED.get(command, 0)

    def is_answered(self, command: bytes) -> bool:
        return not self.flags & SILENT.get(command, 0)

    def prepare(self, message: Message) -> list[Part]:
        """The whole message as parts that end in a command which is answered."""
        parts, held = [], b""
        for command, data in self._commands(message):
            if not self.is_wanted(command):
                continue
            held += packet(command, data)
            if command == b"E" or (command != b"D" and self.is_answered(command)):
                parts.append(Part(command, held))
                held = b""
        return parts

    def _commands(self, message: Message) -> Iterator[tuple[bytes, bytes]]:
        yield b"D", b"M" + strings(*message.mail_macros)
        yield b"M", strings(message.mail_from)
        for recipient in message.recipients:
            yield b"R", strings(recipient)
        if self.version >= 4:
            yield b"T", b""
        for name, value in message.fields:
            if message.header_macros:
                yield b"D", b"L" + strings(*message.header_macros)
            keeps = self.flags & LEADING_SPACE or value[:1] != b" "
            yield b"L", strings(name, value if keeps else value[1:])
        yield b"N", b""
        for start in range(0, len(message.body), CHUNK_BYTES):
            yield b"B", message.body[start : start + CHUNK_BYTES]
        yield b"E", b""

    def transact(self, parts: Sequence[Part]) -> Outcome:
        """Send a prepared message and return what became of it."""
        skipped = b""
        for part in parts:
            if part.command == skipped:
                continue
            self.socket.sendall(part.data)
            edits: list[bytes] = []
            while (answer := self.receive())[0] in EDITS or answer == b"p":
                if answer != b"p":
                    edits.append(answer)
            if answer == b"s":
                skipped = part.command
            elif answer != b"c" or part.command == b"E":
                return Outcome(answer, edits, part.command)
        raise AssertionError("a message without an end")

    def send(self, message: Message | None = None) -> Outcome:
        """Send one message."""
        return self.transact(self.prepare(message or Message()))

    def abort(self) -> None:
        """RSET: no answer."""
        self.socket.sendall(packet(b"A"))

    def receive(self) -> bytes:
        """One packet: its letter and its data. Raises ConnectionError at the end of the connection."""
        while True:
            if len(self._held) >= 5:
                end = int.from_bytes(self._held[:4]) + 4
                if len(self._held) >= end:
                    answer, self._held = self._held[4:end], self._held[end:]
                    return answer
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed by the filter")
            self._held += more

    def close(self) -> None:
        """QUIT."""
        with suppress(OSError):
            self.socket.sendall(packet(b"Q"))
        self.socket.close()
