"""One process's connections from MTAs: the order of answers, limits, and time; the handler only ever sees transactions.

Rules that everything here serves: a message is accepted by the handler's word alone; whatever goes wrong is a temporary
failure of that message, and the connection goes on; what breaks the protocol ends the connection; no peer, silent or
flooding, costs more than a bounded amount of memory and time.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, cast

from trustgraph.milter import protocol, replies
from trustgraph.milter.accepting import Acceptor, Place
from trustgraph.milter.eager import Eager
from trustgraph.milter.protocol import Agreement, Decoder, ProtocolError, Wishes, negotiate
from trustgraph.milter.transaction import (
    Client,
    MessageHandler,
    Refuse,
    Response,
    Transaction,
    Verdict,
    encode_edit,
    encode_verdict,
    text_of,
)

FAILED = Refuse("451 4.3.0 The message cannot be checked at the moment, try again later")
TOO_LARGE = Refuse("552 5.3.4 The message is too large to be checked")
TOO_MANY_CONNECTIONS = Refuse("451 4.3.2 Too many connections, try again later")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one process. Over the first four, a message is refused without asking the handler.

    ``idle_seconds`` is how long an MTA may be silent; it has to be longer than a slow client's DATA takes (libmilter's
    own default is 7,210 seconds). ``message_seconds`` is how long the handler may take each time it is asked; it has to
    be shorter than the MTA's patience (Postfix: ``milter_content_timeout``, 300 seconds).
    """

    fields: int = 2_000
    header_bytes: int = 1024 * 1024
    recipients: int = 10_000
    body_bytes: int = 256 * 1024 * 1024
    connections: int = 1_000
    negotiation_seconds: float = 30.0
    idle_seconds: float = 7_210.0
    message_seconds: float = 60.0
    macros: int = 100
    macro_bytes: int = 16 * 1024
    packet_bytes: int = protocol.MAX_PACKET_BYTES


@dataclass(slots=True)
class Counts:
    """What has happened since the start of the process; ``open_connections`` is now."""

    open_connections: int = 0
    connections: int = 0
    turned_away: int = 0
    messages: int = 0
    too_large: int = 0
    failures: int = 0
    timeouts: int = 0
    aborted: int = 0
    protocol_errors: int = 0
    idle_closed: int = 0


#: What an MTA has to grant for each kind of edit.
_PERMISSIONS = {
    b"h": protocol.Action.ADD_HEADERS,
    b"i": protocol.Action.ADD_HEADERS,
    b"m": protocol.Action.CHANGE_HEADERS,
    b"-": protocol.Action.DELETE_RECIPIENTS,
}


class MessageTimeout(TimeoutError):
    """The handler took longer than ``message_seconds``."""


#: Bytes that may wait in memory behind a message being judged before the connection is no longer read.
_HELD_BYTES = 64 * 1024

#: How long aborted connections and cancelled handlers may take to end.
_FAREWELL_SECONDS = 1.0

_OFFERS_KEPT = 16

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)

#: Commands that end a message under way without an answer: the letters of abort, quit, and quit with a new client.
_GIVING_UP = frozenset(b"AQK")


class MilterServer:
    """Serves the connections of one event loop with one handler."""

    def __init__(
        self,
        handler: MessageHandler,
        *,
        wishes: Wishes | None = None,
        limits: Limits | None = None,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        """``on_error`` is told each exception that became a temporary failure, and each protocol error."""
        self.handler = handler
        # An MTA offers the same at each connection, and many connections have one message.
        self.negotiate = lru_cache(_OFFERS_KEPT)(partial(negotiate, wishes=wishes or Wishes()))
        self.limits = limits or Limits()
        self.counts = Counts()
        self.stopping = False
        self._on_error = on_error
        self._connections: set[_Connection] = set()
        self._given_up: set[asyncio.Task[Any]] = set()
        self._all_closed: asyncio.Event | None = None
        self._acceptor: Acceptor
        self.eager: Eager

    async def listen(self, sockets: Sequence[socket.socket], place: Place | None = None) -> None:
        """Serve listening sockets from now on; ``place`` is this process's among those that share them."""
        loop = asyncio.get_running_loop()
        self.eager = Eager(loop)
        self._acceptor = Acceptor(lambda: _Connection(self, loop), place, self.report)
        self._acceptor.start(sockets)

    def stop_accepting(self) -> None:
        """Close this process's listening sockets; others that share them go on."""
        self._acceptor.stop()

    async def drain(self, seconds: float, *, close_idle: bool) -> None:
        """Stop accepting, wait for the connections to be closed by their clients, and close them after ``seconds``.

        With ``close_idle`` only messages under way are waited for: every connection is closed as soon as it has none.
        """
        self.stop_accepting()
        await self._acceptor.settle()
        all_closed = self._all_closed = self._all_closed or asyncio.Event()
        if close_idle:
            self.stopping = True
            for connection in list(self._connections):
                connection.close_if_idle()
        for patience in (seconds, _FAREWELL_SECONDS):
            if self._connections:
                with suppress(TimeoutError):
                    await asyncio.wait_for(all_closed.wait(), patience)
            for connection in list(self._connections):
                connection.abort()
        self.eager.close()
        if self._given_up:
            await asyncio.wait(self._given_up, timeout=_FAREWELL_SECONDS)

    def report(self, error: BaseException) -> None:
        """Tell ``on_error``, whose own failures must not become the message's."""
        if self._on_error:
            try:
                self._on_error(error)
            except Exception as failure:  # noqa: BLE001 - the last resort is the loop's own log
                asyncio.get_running_loop().call_exception_handler({"message": "on_error failed", "exception": failure})

    def opened(self, connection: _Connection) -> bool:
        """Count a connection; False if it is one too many."""
        self._connections.add(connection)
        self.counts.open_connections += 1
        self.counts.connections += 1
        return self.counts.open_connections <= self.limits.connections

    def closed(self, connection: _Connection) -> None:
        """Count it out."""
        self._acceptor.closed(connection)
        self._connections.discard(connection)
        self.counts.open_connections -= 1
        if self._all_closed is not None and not self._connections:
            self._all_closed.set()

    def give_up(self, task: asyncio.Task[Any]) -> None:
        """Cancel a handler's task and keep it until it has ended; what it still says concerns nobody."""
        task.cancel()
        self._given_up.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._given_up.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.report(error)


class _Connection(asyncio.Protocol):
    """One connection of an MTA, which has one message at a time."""

    def __init__(self, server: MilterServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self._limits, self._counts = server, server.limits, server.counts
        self._loop = loop
        self._decoder = Decoder(server.limits.packet_bytes)
        self._transport: asyncio.Transport
        self._tcp: socket.socket | None = None
        self._out: list[bytes] = []
        self._one_too_many = False
        self._closing = False
        self._blocked = False  # the MTA does not read our answers
        self._reading = True
        self._heard_at = loop.time()
        self._silence: asyncio.TimerHandle | None = None

        self._agreement: Agreement | None = None
        self._answered: frozenset[type[Any]] = frozenset()
        self._client = Client()
        self._helo = ""
        self._macros: dict[bytes, dict[bytes, bytes]] = {}  # by the command they came with: connect, HELO, the message

        self._transaction: Transaction | None = None
        self._header_bytes = 0
        self._body_bytes = 0
        self._verdict: Verdict | None = None  # found where the MTA does not wait for it; the next answer is this
        self._task: asyncio.Task[Any] | None = None
        self._decided: Callable[[Any], None] = self._header_judged
        self._timer: asyncio.TimerHandle | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up, and note whether this is one connection too many."""
        self._transport = cast(asyncio.Transport, transport)
        one = transport.get_extra_info("socket")
        if one is not None and one.family in {socket.AF_INET, socket.AF_INET6}:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._tcp = one if _QUICKACK is not None else None
        self._one_too_many = not self._server.opened(self)
        self._watch_silence()
        if self._server.stopping:  # it was taken a moment before
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is under way."""
        self._give_up_transaction()
        self._closing = True
        if self._silence:
            self._silence.cancel()
        self._server.closed(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes. While a message is being judged they are only held, and not too many of them."""
        if self._tcp is not None:
            # Linux leaves this mode by itself. With delayed acknowledgements an MTA that writes twice waits 40 ms.
            self._tcp.setsockopt(socket.IPPROTO_TCP, cast(int, _QUICKACK), 1)
        self._decoder.feed(data)
        if self._task is None:
            self._work()
        elif self._decoder.peek() in _GIVING_UP:
            self._give_up_transaction()
            self._work()
        self._set_reading()

    def pause_writing(self) -> None:
        """The MTA does not read: neither do we."""
        self._blocked = True
        self._set_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self._blocked = False
        self._set_reading()

    # What the server calls.

    def close_if_idle(self) -> None:
        """Close unless a message is under way."""
        if self._transaction is None:
            self._close()

    def abort(self) -> None:
        """Close without more ado."""
        self._closing = True
        self._transport.abort()

    # Working through what has come.

    def _work(self) -> None:
        """Act on events until there are no more, or a handler has to be waited for; then send all answers at once."""
        if self._closing:
            return
        header, act = protocol.Header, _ACTIONS
        header_limit, fields_limit = self._limits.header_bytes, self._limits.fields
        fields = self._transaction.fields if self._transaction is not None else []
        try:
            for event in self._decoder.events():
                if type(event) is header:  # inline, since there are so many
                    self._header_bytes += len(event[0]) + len(event[1]) + 2
                    if self._header_bytes <= header_limit and len(fields) < fields_limit:
                        fields.append(event)
                    else:
                        self._verdict = TOO_LARGE
                    if header in self._answered:
                        self._out.append(replies.CONTINUE)
                    continue
                act[type(event)](self, event)
                if self._task is not None or self._closing:
                    break
                if self._transaction is not None:
                    fields = self._transaction.fields
        except ProtocolError as error:
            self._counts.protocol_errors += 1
            self._server.report(error)
            self._give_up_transaction()
            self.abort()
            return
        self._heard_at = self._loop.time()
        self._flush()
        if self._closing or (self._server.stopping and self._transaction is None):
            self._close()

    def _flush(self) -> None:
        if self._out:
            # One write: two would run into Nagle's algorithm and the MTA's delayed acknowledgement.
            self._transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
            self._out.clear()

    def _close(self) -> None:
        self._closing = True
        self._transport.close()

    def _set_reading(self) -> None:
        wanted = not self._blocked and (self._task is None or self._decoder.held_bytes <= _HELD_BYTES)
        if wanted != self._reading and not self._transport.is_closing():
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _watch_silence(self) -> None:
        """Close a connection on which nothing whole has come for too long, unless it is our turn."""
        allowed = self._limits.idle_seconds
        if self._agreement is None or self._one_too_many:
            allowed = min(allowed, self._limits.negotiation_seconds)
        if self._task is not None:
            self._heard_at = self._loop.time()
        left = self._heard_at + allowed - self._loop.time()
        if left <= 0:
            self._counts.idle_closed += 1
            self.abort()
        else:
            self._silence = self._loop.call_later(left, self._watch_silence)

    def _answer(self, event: protocol.Event) -> None:
        if type(event) in self._answered:
            self._out.append(replies.CONTINUE)

    # The connection.

    def _on_negotiate(self, event: protocol.Negotiate) -> None:
        self._agreement = self._server.negotiate(event, answer_connect=self._one_too_many)
        self._answered = self._agreement.answered
        self._out.append(self._agreement.packet)
        if self._silence:
            self._silence.cancel()
        self._heard_at = self._loop.time()
        self._watch_silence()

    def _on_connect(self, event: protocol.Connect) -> None:
        address = text_of(event.address).removeprefix("IPv6:") if event.family in b"46" else ""
        name = text_of(event.host)
        self._client = Client("" if name.startswith("[") or name == "unknown" else name, address)
        self._helo = ""
        if self._one_too_many:
            self._counts.turned_away += 1
            self._out.append(encode_verdict(TOO_MANY_CONNECTIONS))
            self._closing = True
        else:
            self._answer(event)

    def _on_helo(self, event: protocol.Helo) -> None:
        self._give_up_transaction()
        self._helo = text_of(event.name)
        self._answer(event)

    def _on_macros(self, event: protocol.Macros) -> None:
        """Keep the client's macros for all its messages, and the others for the message they came with.

        Those of MAIL come before it and begin a message: what an earlier one had (who was authenticated) must not stay.
        """
        command = event.command if event.command in b"CH" else b"M"
        macros = self._macros.get(command)
        if macros is None or event.command in b"CHM":
            macros = self._macros[command] = {}
        for name, value in event.values:
            if name in macros or len(macros) < self._limits.macros:
                macros[name] = value[: self._limits.macro_bytes]

    def _on_unknown(self, event: protocol.Unknown) -> None:
        self._answer(event)

    def _on_abort(self, event: protocol.Abort) -> None:
        self._give_up_transaction()

    def _on_quit(self, event: protocol.Quit) -> None:
        self._give_up_transaction()
        self._closing = True

    def _on_quit_new_connection(self, event: protocol.QuitNewConnection) -> None:
        self._give_up_transaction()
        self._client, self._helo = Client(), ""
        self._macros.clear()

    # The message.

    def _on_mail(self, event: protocol.Mail) -> None:
        own = self._macros.get(b"M", {})
        self._give_up_transaction()
        assert self._agreement is not None  # noqa: S101 - nothing comes before the negotiation
        macros = {**self._macros.get(b"C", {}), **self._macros.get(b"H", {}), **own}
        self._transaction = Transaction(
            self._client,
            self._helo,
            _without_brackets(event.address),
            event.arguments,
            self._agreement.leading_space,
            macros,
        )
        self._macros[b"M"] = macros
        self._answer(event)

    def _on_rcpt(self, event: protocol.Rcpt) -> None:
        transaction = self._current()
        if len(transaction.recipients) < self._limits.recipients:
            transaction.recipients.append(_without_brackets(event.address))
        else:
            self._verdict = TOO_LARGE
        self._answer(event)

    def _on_data(self, event: protocol.Data) -> None:
        self._answer(event)

    def _on_end_of_header(self, event: protocol.EndOfHeader) -> None:
        if self._verdict is None:
            self._ask(self._server.handler.end_of_header(self._current()), self._header_judged)
        else:
            self._after_header()

    def _header_judged(self, verdict: Verdict | None) -> None:
        if verdict is not None:
            encode_verdict(verdict)
            self._verdict = verdict
        self._after_header()

    def _after_header(self) -> None:
        if protocol.EndOfHeader in self._answered:
            self._give_verdict_or(replies.CONTINUE)

    def _on_body(self, event: protocol.Body) -> None:
        self._take_body(event.chunk)
        if protocol.Body in self._answered:
            skip = not self._current().body_wanted and cast(Agreement, self._agreement).can_skip
            self._give_verdict_or(replies.SKIP if skip else replies.CONTINUE)

    def _on_end_of_message(self, event: protocol.EndOfMessage) -> None:
        if event.chunk:
            self._take_body(event.chunk)
        if self._verdict is None:
            self._ask(self._server.handler.end_of_message(self._current()), self._message_judged)
        else:
            self._give_verdict_or(replies.TEMPFAIL)

    def _take_body(self, chunk: bytes) -> None:
        transaction = self._current()
        if self._verdict is not None or not transaction.body_wanted:
            return
        self._body_bytes += len(chunk)
        if self._body_bytes > self._limits.body_bytes:
            self._verdict = TOO_LARGE
            return
        try:
            self._server.handler.body(transaction, chunk)
        except Exception as error:  # noqa: BLE001 - a message that cannot be judged has to wait, whatever the reason
            self._failed(error)

    def _message_judged(self, response: Response) -> None:
        agreement = cast(Agreement, self._agreement)
        verdict = encode_verdict(response.verdict)
        packets = [encode_edit(edit, agreement.leading_space) for edit in response.edits]
        needed = [_PERMISSIONS[packet[4:5]] for packet in packets]
        if response.quarantine:
            packets.append(replies.quarantine(response.quarantine))
            needed.append(protocol.Action.QUARANTINE)
        for action in needed:
            if action not in agreement.actions:
                raise PermissionError(f"the MTA does not grant {action.name}")
        self._out += [*packets, verdict]
        self._end_message()

    # Asking the handler.

    def _ask(self, coroutine: Coroutine[Any, Any, Any], decided: Callable[[Any], None]) -> None:
        """Have ``decided`` called with the coroutine's result, now or later, or the message fail."""
        try:
            task, result = self._server.eager.start(coroutine)
            if task is None:
                decided(result)
                return
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - see _take_body
            self._failed(error)
            self._give_failure(decided)
            return
        self._task, self._decided = task, decided
        self._timer = self._loop.call_later(self._limits.message_seconds, self._time_over)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        if task is not self._task:
            return  # given up
        self._forget_task()
        try:
            self._decided(task.result())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - see _take_body
            self._failed(error)
            self._give_failure(self._decided)
        self._go_on()

    def _time_over(self) -> None:
        task = cast("asyncio.Task[Any]", self._task)
        self._forget_task()
        self._server.give_up(task)
        self._counts.timeouts += 1
        self._failed(MessageTimeout(f"no verdict within {self._limits.message_seconds:g} s"))
        self._give_failure(self._decided)
        self._go_on()

    def _go_on(self) -> None:
        self._flush()
        self._work()
        self._set_reading()

    def _forget_task(self) -> None:
        self._task = None
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _failed(self, error: BaseException) -> None:
        self._verdict = FAILED
        self._counts.failures += 1
        self._server.report(error)

    def _give_failure(self, decided: Callable[[Any], None]) -> None:
        if decided == self._header_judged:
            self._after_header()
        else:
            self._give_verdict_or(replies.TEMPFAIL)

    # Answers.

    def _give_verdict_or(self, otherwise: bytes) -> None:
        """The MTA waits: the verdict if there is one, and with it the end of the message."""
        if self._verdict is None:
            self._out.append(otherwise)
            return
        self._counts.too_large += self._verdict is TOO_LARGE
        self._out.append(encode_verdict(self._verdict))
        self._end_message()

    def _end_message(self) -> None:
        self._counts.messages += 1
        self._decoder.end_transaction()
        self._transaction = None
        self._reset()

    def _give_up_transaction(self) -> None:
        """The message will have no answer."""
        if self._task is not None:
            task = self._task
            self._forget_task()
            self._server.give_up(task)
        if self._transaction is not None:
            self._counts.aborted += 1
            self._transaction = None
        self._reset()

    def _reset(self) -> None:
        self._macros.pop(b"M", None)
        self._verdict = None
        self._header_bytes = self._body_bytes = 0

    def _current(self) -> Transaction:
        assert self._transaction is not None  # noqa: S101 - the decoder's table lets these commands follow MAIL only
        return self._transaction


def _without_brackets(address: bytes) -> bytes:
    return address[1:-1] if address.startswith(b"<") and address.endswith(b">") else address


_ACTIONS: dict[type[Any], Callable[[_Connection, Any], None]] = {
    protocol.Negotiate: _Connection._on_negotiate,
    protocol.Macros: _Connection._on_macros,
    protocol.Connect: _Connection._on_connect,
    protocol.Helo: _Connection._on_helo,
    protocol.Mail: _Connection._on_mail,
    protocol.Rcpt: _Connection._on_rcpt,
    protocol.Data: _Connection._on_data,
    protocol.EndOfHeader: _Connection._on_end_of_header,
    protocol.Body: _Connection._on_body,
    protocol.EndOfMessage: _Connection._on_end_of_message,
    protocol.Abort: _Connection._on_abort,
    protocol.Quit: _Connection._on_quit,
    protocol.QuitNewConnection: _Connection._on_quit_new_connection,
    protocol.Unknown: _Connection._on_unknown,
}
