"""A milter server in a thread of its own, and a handler that does as its test says."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trustgraph.milter.listen import InetAddress, Listener, UnixAddress
from trustgraph.milter.protocol import Wishes
from trustgraph.milter.server import Limits, MilterServer
from trustgraph.milter.transaction import Accept, Response, Transaction, Verdict

DEADLINE = 10.0


def wait_until(ready: Callable[[], bool], what: str) -> None:
    """Poll a condition that nothing announces."""
    end = time.monotonic() + DEADLINE
    while not ready():
        assert time.monotonic() < end, what
        time.sleep(0.002)


async def nothing(transaction: Transaction) -> None:
    return None


async def accept(transaction: Transaction) -> Response:
    return Response(Accept())


class Scripted:
    """Remembers what it was asked, and answers with what it was made with."""

    def __init__(
        self,
        end_of_message: Callable[[Transaction], Awaitable[Response]] = accept,
        end_of_header: Callable[[Transaction], Awaitable[Verdict | None]] = nothing,
        body: Callable[[Transaction, bytes], None] | None = None,
    ) -> None:
        self._message, self._header, self._body = end_of_message, end_of_header, body
        self.transactions: list[Transaction] = []
        self.bodies: list[bytes] = []
        self.cancelled = threading.Event()
        self.entered = threading.Event()

    async def end_of_header(self, transaction: Transaction) -> Verdict | None:
        self.transactions.append(transaction)
        self.bodies.append(b"")
        self.entered.set()
        return await self._header(transaction)

    def body(self, transaction: Transaction, chunk: bytes) -> None:
        self.bodies[-1] += chunk
        if self._body:
            self._body(transaction, chunk)

    async def end_of_message(self, transaction: Transaction) -> Response:
        self.entered.set()
        try:
            return await self._message(transaction)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Running:
    """``address`` for clients; ``server`` for its counts; ``errors`` as they were reported."""

    def __init__(self, handler: Scripted, listener: Listener, wishes: Wishes, limits: Limits) -> None:
        self.handler, self.listener = handler, listener
        self.errors: list[BaseException] = []
        self.server = MilterServer(handler, wishes=wishes, limits=limits, on_error=self.errors.append)
        self.loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self.close_idle, self.drain_seconds = True, 0.0

    @property
    def address(self) -> str:
        if isinstance(self.listener.address, UnixAddress):
            return str(self.listener.address)
        host, port, *_ = self.listener.sockets[0].getsockname()
        return str(InetAddress(host, port))

    async def _main(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self.server.listen(self.listener.sockets)
        self._ready.set()
        await self._stop.wait()
        await self.server.drain(self.drain_seconds, close_idle=self.close_idle)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(DEADLINE)

    def begin_stop(self, seconds: float, close_idle: bool = True) -> None:
        self.drain_seconds, self.close_idle = seconds, close_idle
        self.loop.call_soon_threadsafe(self._stop.set)

    def ended(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)
        assert self.ended()
        self.listener.close()


@contextmanager
def socket_path() -> Iterator[Path]:
    """A short path: pytest's own directories are too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        yield Path(folder) / "s"


@contextmanager
def running(
    handler: Scripted | None = None, *, inet: str = "", wishes: Wishes | None = None, limits: Limits | None = None
) -> Iterator[Running]:
    with socket_path() as path:
        address = InetAddress(inet, 0) if inet else UnixAddress(path)
        run = Running(handler or Scripted(), Listener(address), wishes or Wishes(), limits or Limits())
        run.start()
        try:
            yield run
        finally:
            run.stop()
