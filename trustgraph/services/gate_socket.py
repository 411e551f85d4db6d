"""The gate for MTAs that speak no milter protocol: one message a connection, over a local socket.

The client sends lines ``name: value``, an empty line, the message, and closes its side; the answer is lines of text::

    client-ip: 192.0.2.1                        accept
    client-name: mx.peer.example                Authentication-Results: mx1.example.org; x-pgp-header=pass …
    helo: mx.peer.example
    mail-from: anna@peer.example
    rcpt: boris@example.org
    queue-id: 1tEXAMPLE-0001-2a
    body-octets: 1834

    From: …

The first line is ``accept``, ``quarantine REASON``, ``discard``, or an SMTP reply to give the peer (``550 5.7.7 …``,
``451 4.3.0 …``); whatever else happens, a connection that ends without it included, is to be taken for a 451.
``client-name`` is the client's only if confirmed by address. ``body-octets``, with the line ends as they are sent,
lets a body that was cut short be noticed. A message with line ends of LF alone is read as if they were CRLF.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from trustgraph.errors import BadInput
from trustgraph.headersig.message import MAX_HEADER_BYTES
from trustgraph.headersig.signing import Envelope
from trustgraph.milter.accepting import Acceptor, Place
from trustgraph.policy.decision import Decision, Verdict
from trustgraph.services.clients import Clients
from trustgraph.services.gate import Gate
from trustgraph.services.log import EventLog
from trustgraph.services.messages import judge_message
from trustgraph.settings import Settings
from trustgraph.verifier.examine import Judged
from trustgraph.verifier.results import FIELD, render_results

BROKEN = "451 4.3.0 this message cannot be checked now"

MAX_REQUEST_BYTES = 64 * 1024
_NAMES = frozenset({"client-ip", "client-name", "helo", "mail-from", "rcpt", "queue-id", "body-octets"})
_END_OF_REQUEST = re.compile(rb"\r?\n\r?\n")
_CHUNK_BYTES = 256 * 1024


class GateSocket:
    """Serves connections of one event loop; implements :class:`trustgraph.milter.workers.Server`."""

    def __init__(self, settings: Settings, gate: Gate, log: EventLog) -> None:
        self._settings = settings
        self._gate = gate
        self._clients = Clients(settings)
        self._log = log
        self._acceptor: Acceptor
        self._open: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(settings.milter.connections)

    async def listen(self, sockets: Sequence[socket.socket], place: Place | None = None) -> None:
        """Serve from now on."""
        self._acceptor = Acceptor(lambda: _Connection(self._serve, self._acceptor), place, self._broken)
        self._acceptor.start(sockets)

    async def drain(self, seconds: float, *, close_idle: bool) -> None:
        """Finish what is under way; there are no idle connections."""
        self._acceptor.stop()
        await self._acceptor.settle()
        if self._open:
            await asyncio.wait(self._open, timeout=seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        answer = BROKEN
        try:
            async with asyncio.timeout(self._settings.milter.timeout_seconds), self._places:
                answer = await self._answer(reader)
        except Exception as error:  # noqa: BLE001 - whatever it is, the peer is told to come again
            self._broken(error)
        with suppress(OSError):
            writer.write(answer.encode("ascii", "replace") + b"\n")
            writer.close()
            await writer.wait_closed()

    def _broken(self, error: BaseException) -> None:
        self._log("message_not_judged", why=f"{type(error).__name__}: {error}")

    async def _answer(self, reader: asyncio.StreamReader) -> str:
        limit = MAX_REQUEST_BYTES + MAX_HEADER_BYTES + self._settings.milter.max_body_bytes
        pieces: list[bytes] = []
        size = 0
        while piece := await reader.read(_CHUNK_BYTES):
            size += len(piece)
            if size > limit:
                return "552 5.3.4 the message is too large to be checked"
            pieces.append(piece)
        request, message = split_request(b"".join(pieces))
        client = self._clients.client(request.client_ip, request.client_name, request.helo)
        judged = await judge_message(self._gate, message, request.envelope, client, request.queue_id)
        self._log(
            "message_judged",
            queue_id=request.queue_id,
            verdict=judged.decision.verdict,
            reason=judged.decision.reason,
            result=judged.evidence.result,
            client_ip=client.ip,
        )
        return answer_of(judged, self._settings)


class _Connection(asyncio.StreamReaderProtocol):
    """A connection with its streams, which tells when it is over."""

    def __init__(
        self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], acceptor: Acceptor
    ) -> None:
        super().__init__(asyncio.StreamReader(), serve)
        self._acceptor = acceptor

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it out."""
        super().connection_lost(exc)
        self._acceptor.closed(self)


class Request:
    """What stands before the message."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        """Raises :class:`BadInput` naming the line that is none."""
        said: dict[str, list[bytes]] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            key = name.decode("ascii", "replace").strip().lower()
            if not colon or key not in _NAMES:
                raise BadInput(f"{line[:60]!r}: expected one of {', '.join(sorted(_NAMES))}, and a colon")
            said.setdefault(key, []).append(value.strip())

        def one(name: str) -> str:
            return said.get(name, [b""])[0].decode("ascii", "backslashreplace")

        sender = said["mail-from"][0] if "mail-from" in said else None
        self.envelope = Envelope(
            None if sender is None else _path(sender), tuple(_path(value) for value in said.get("rcpt", ()))
        )
        self.client_ip, self.client_name, self.helo = one("client-ip"), one("client-name"), one("helo")
        self.queue_id = one("queue-id")
        self.body_octets = int(one("body-octets")) if one("body-octets").isdecimal() else None


def split_request(octets: bytes) -> tuple[Request, bytes]:
    """The request and the message. Raises :class:`BadInput` when it is none, or the body is shorter than was said."""
    end = _END_OF_REQUEST.search(octets[:MAX_REQUEST_BYTES])
    if end is None:
        raise BadInput("expected lines of name: value, an empty line, and a message")
    request = Request(octets[: end.start()].splitlines())
    message = octets[end.end() :]
    if request.body_octets is not None:
        blank = _END_OF_REQUEST.search(message)
        body = message[blank.end() :] if blank else b""
        if len(body) + 1 < request.body_octets:  # the last line's end may be left off
            raise BadInput(f"the body was cut short: {len(body)} octets of {request.body_octets}")
    return request, message


def answer_of(judged: Judged, settings: Settings) -> str:
    """The lines of the answer."""
    name = settings.site.name_in_results
    first = _first_line(judged.decision, settings.site.hostname)
    if judged.decision.verdict not in (Verdict.ACCEPT, Verdict.QUARANTINE):
        return first
    value = render_results(name, judged.checked, judged.evidence, judged.decision).decode("ascii")
    return f"{first}\n{FIELD.decode()}: {' '.join(value.split())}"


def _first_line(decision: Decision, hostname: str) -> str:
    if decision.verdict is Verdict.ACCEPT:
        return "accept"
    if decision.verdict is Verdict.QUARANTINE:
        return f"quarantine {decision.reason}"
    if decision.verdict is Verdict.DISCARD:
        return "discard"
    reply = decision.reply
    return reply.line(hostname) if reply else BROKEN


def _path(value: bytes) -> bytes:
    return value.removeprefix(b"<").removesuffix(b">")
