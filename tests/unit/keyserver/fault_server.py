"""An HTTP server on the loopback that answers as told: rightly, wrongly, slowly, endlessly or not at all.

It writes octets to sockets and knows no HTTP library, so that nothing shields the code under test from what it sends.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias
from urllib.parse import parse_qs

from tests.unit.openpgp.openpgp_maker import certificate, ed25519_key
from trustgraph.openpgp.transferable import enarmor

ANNA, BERT, CLEO = (ed25519_key(name) for name in ("anna", "bert", "cleo"))
ANNAS = certificate(ANNA, "smtp://anna.example.org")
BERTS = certificate(BERT, "smtp://bert.example.org")
CLEOS = certificate(CLEO, "smtp://cleo.example.org")


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


Behaviour: TypeAlias = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class FaultServer:
    """``async with FaultServer(behaviour) as server``; the connection is closed when the behaviour returns."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.behaviour = behaviour
        self.requests: list[Request] = []
        self._tls = tls
        self._handlers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FaultServer:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)

    @property
    def busy(self) -> int:
        """Connections that are still open."""
        return len(self._handlers)

    async def seen(self, count: int) -> None:
        """Until so many requests have come in."""
        await until(lambda: len(self.requests) >= count)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            await self._serve(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()  # the client left, or the test is over
        finally:
            self._handlers.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, target, headers, body)
        self.requests.append(request)
        answering = asyncio.ensure_future(self.behaviour(request, writer))
        # the client sends nothing more: whatever ends this read is its going away
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition, looking every few milliseconds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def raw(*pieces: bytes, linger: bool = False) -> Behaviour:
    """These octets and then the end of the connection, or nothing more with ``linger``."""

    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if linger:
            await asyncio.Event().wait()

    return behave


def respond(status: int = 200, body: bytes = b"", headers: Sequence[str] = ()) -> Behaviour:
    """A complete and correct response."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return raw("\r\n".join(head).encode() + body)


def endless(start: bytes, again: bytes, every_seconds: float = 0.0) -> Behaviour:
    """Something at the start, and something again and again until the client goes away."""

    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(every_seconds)

    return behave


def chunked(*pieces: bytes, ended: bool = True) -> bytes:
    """A response in chunks, with or without the last, empty one."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if ended else b"")


class Gate:
    """A behaviour that waits to be opened and then answers as ``behind`` does."""

    def __init__(self, behind: Behaviour) -> None:
        self.opened = asyncio.Event()
        self._behind = behind

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        await self.opened.wait()
        await self._behind(request, writer)


silent = raw(linger=True)
found = respond(200, enarmor(ANNAS))
absent = respond(404, b"no such key")
unreachable = respond(503, b"busy")
