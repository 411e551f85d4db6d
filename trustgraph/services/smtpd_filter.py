"""The gate for OpenSMTPD: a filter that smtpd starts and talks to over standard input and output.

:mod:`trustgraph.milter.smtpd` has the protocol; what becomes of a message is for the milter's own handler to say. What
a milter can ask for and a filter cannot is refused: a message to hold is put off, one to throw away is rejected.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from trustgraph.errors import BadInput
from trustgraph.headersig.message import Field, join_message, split_message
from trustgraph.milter.server import FAILED
from trustgraph.milter.smtpd import Bounds, Conversation, Dropped, Event, Message, OverBounds, Received, Write
from trustgraph.milter.transaction import (
    Accept,
    AddHeader,
    ChangeHeader,
    Discard,
    Edit,
    InsertHeader,
    MessageHandler,
    Refuse,
    Transaction,
    text_of,
)
from trustgraph.services.daemon import clock, prepared, refreshing
from trustgraph.services.gate import open_gate
from trustgraph.services.hostkeys import open_signer
from trustgraph.services.log import EventLog, open_log
from trustgraph.services.milter import Hook
from trustgraph.settings import Settings

HELD = Refuse("451 4.7.1 this message has to wait for the postmaster")
THROWN_AWAY = Refuse("550 5.7.7 the signature does not fit the message")

_CHUNK_BYTES = 256 * 1024
_STDIN, _STDOUT, _STDERR = 0, 1, 2


def run_smtpd_filter(load: Callable[[], Settings]) -> None:
    """`trustgraph smtpd-filter`: serve smtpd until it is gone. ``load`` reads the settings.

    Raises :class:`ConfigurationError` for settings that cannot work, :class:`trustgraph.milter.protocol.ProtocolError`
    when smtpd does not speak the protocol; either ends smtpd.
    """
    settings = load()
    log = open_log()
    with prepared(settings):
        # What else is printed must not get into the conversation.
        source, sink = os.dup(_STDIN), os.dup(_STDOUT)
        os.dup2(_STDERR, _STDOUT)
        asyncio.run(_serve(settings, log, source, sink))


async def _serve(settings: Settings, log: EventLog, source: int, sink: int) -> None:
    async with _hook(settings, log) as hook:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb", buffering=0)
        )
        try:
            await SmtpdFilter(hook, settings, log, Sink(sink).write).serve(reader)
        finally:
            transport.close()


@asynccontextmanager
async def _hook(settings: Settings, log: EventLog) -> AsyncIterator[Hook]:
    mode = settings.milter.mode
    signer = open_signer(settings, clock()) if mode in ("sign", "both") else None
    if mode == "sign":
        hook = Hook(settings, None, signer, log, clock)
        async with refreshing(settings, None, hook, log):
            yield hook
        return
    async with open_gate(settings, recording=True, create=False) as gate:
        hook = Hook(settings, gate, signer, log, clock)
        async with refreshing(settings, gate, hook, log):
            yield hook


class Sink:
    """Writes to a descriptor whole, one caller after the other, without holding up the event loop.

    Not asyncio's own transport: smtpd gives one socket for both directions, and that takes what comes in for its end.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._lock = asyncio.Lock()

    async def write(self, octets: bytes) -> None:
        """Return when everything is written. Raises OSError when the other side is gone."""
        left = memoryview(octets)
        async with self._lock:
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:
                    await self._writable()

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self._descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._descriptor)


class SmtpdFilter:
    """One conversation with smtpd. ``write`` is awaited for all octets that go to it."""

    def __init__(
        self,
        handler: MessageHandler,
        settings: Settings,
        log: EventLog,
        write: Callable[[bytes], Awaitable[None]],
    ) -> None:
        milter = settings.milter
        self._conversation = Conversation(Bounds(sessions=milter.connections, message_octets=milter.max_body_bytes))
        self._handler = handler
        self._seconds = milter.timeout_seconds
        self._log = log
        self._write = write
        self._judging: dict[Message, asyncio.Task[None]] = {}

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Until smtpd is gone. Raises :class:`ProtocolError`; what is being judged then is left without an answer."""
        try:
            while octets := await reader.read(_CHUNK_BYTES):
                for event in self._conversation.receive(octets):
                    await self._take(event)
        except ConnectionError:  # smtpd was killed
            self._log("smtpd_gone")
        finally:
            left = list(self._judging.values())
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _take(self, event: Event) -> None:
        match event:
            case Write(octets):
                await self._write(octets)
            case Received(message):
                task = self._judging[message] = asyncio.create_task(self._judge(message))
                task.add_done_callback(lambda _: self._judging.pop(message, None))
            case Dropped(message):
                if message in self._judging:
                    self._judging[message].cancel()
            case OverBounds(message, verdict):
                self._log("message_not_judged", queue_id=text_of(message.queue_id), why=verdict.line)

    async def _judge(self, message: Message) -> None:
        verdict: Accept | Refuse = FAILED
        octets = b""
        try:
            async with asyncio.timeout(self._seconds):
                verdict, octets = await self._answer(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told to come again
            self._log("message_not_judged", queue_id=text_of(message.queue_id), why=f"{type(error).__name__}: {error}")
        with suppress(ConnectionError):
            if isinstance(verdict, Refuse):
                await self._write(self._conversation.refuse(message, verdict))
                return
            for piece in self._conversation.accept(message, octets):
                await self._write(piece)

    async def _answer(self, message: Message) -> tuple[Accept | Refuse, bytes]:
        """The verdict, and the message as it is to be given back if that accepts."""
        if message.mail_from is None or not message.recipients:
            raise BadInput("a message without an envelope")
        fields, body = split_message(bytes(message.text))
        transaction = _transaction(message, message.mail_from, fields)
        verdict = await self._handler.end_of_header(transaction)
        edits: Sequence[Edit] = ()
        held = ""
        if verdict is None:
            if transaction.body_wanted:
                await self._feed(transaction, body)
            response = await self._handler.end_of_message(transaction)
            verdict, edits, held = response.verdict, response.edits, response.quarantine
        if isinstance(verdict, Accept) and not held:
            return verdict, join_message(edited(fields, edits), body)
        if isinstance(verdict, Refuse):
            return verdict, b""
        instead = THROWN_AWAY if isinstance(verdict, Discard) else HELD
        self._log(
            "verdict_replaced",
            queue_id=transaction.queue_id,
            reply=instead.line,
            why="OpenSMTPD can neither hold a message nor throw it away",
            held=held or None,
        )
        return instead, b""

    async def _feed(self, transaction: Transaction, body: bytes) -> None:
        for start in range(0, len(body), _CHUNK_BYTES):
            self._handler.body(transaction, body[start : start + _CHUNK_BYTES])
            await asyncio.sleep(0)  # other sessions have their turn


def _transaction(message: Message, mail_from: bytes, fields: Sequence[Field]) -> Transaction:
    session = message.session
    macros = {b"i": message.queue_id}
    if session.user:
        macros[b"auth_authen"] = session.user
    return Transaction(
        client=session.client,
        helo=text_of(session.helo),
        mail_from=mail_from,
        mail_arguments=(),
        leading_space=True,
        macros=macros,
        recipients=list(message.recipients),
        fields=list(fields),
    )


def edited(fields: Sequence[Field], edits: Sequence[Edit]) -> list[Field]:
    """The fields with the edits done, one after the other, as an MTA does them for a milter."""
    done = list(fields)
    for edit in edits:
        match edit:
            case InsertHeader(index, name, value):
                done.insert(index, (name, _value(value)))
            case AddHeader(name, value):
                done.append((name, _value(value)))
            case ChangeHeader(index, name, value):
                of_name = [place for place, (other, _) in enumerate(done) if other.lower() == name.lower()]
                place = of_name[index - 1]
                done[place : place + 1] = [(name, _value(value))] if value else []
    return done


def _value(value: bytes) -> bytes:
    return b" " + value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
