"""Several processes behind one socket: forked before there is any work, replaced when they die or the settings change.

The supervisor does nothing but this: no threads, no event loop, no work. It holds one end of a socket pair for each
worker. A worker says on it that it is ready, or why it cannot be; the supervisor says on it that the worker is to drain
or to stop; and when the supervisor is gone, however it went, the worker sees the end of file and stops.

Signals to the supervisor: SIGHUP starts new workers, which read the settings anew, and drains the old ones once the new
ones are ready; the address and the number of workers stay. SIGTERM and SIGINT stop.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple, NoReturn, Protocol

from trustgraph.errors import ConfigurationError, ServiceUnavailable, TrustgraphError
from trustgraph.milter.accepting import PATIENCE_SECONDS, Place, Shares
from trustgraph.milter.listen import Listener


class Server(Protocol):
    """What a worker runs, such as :class:`trustgraph.milter.server.MilterServer`."""

    async def listen(self, sockets: Sequence[socket.socket], place: Place | None = None) -> None:
        """Serve listening sockets from now on; ``place`` is this process's among those that share them."""

    async def drain(self, seconds: float, *, close_idle: bool) -> None:
        """Accept no more, and return when what is under way has ended or so many seconds have passed."""


#: Makes the server of one worker from the settings as they are at that moment, inside its event loop; what it sets up
#: is taken down when the context ends.
Factory = Callable[[], AbstractAsyncContextManager[Server]]

_READY, _DRAIN, _STOP = b"r", b"d", b"s"

#: A worker that lives longer than this was no failure of its start.
_HEALTHY_SECONDS = 5.0
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 30.0

#: What a stopping worker gets beyond its draining time before it is killed.
_GRACE_SECONDS = 5.0

_MESSAGE_BYTES = 64 * 1024


class Report(Protocol):
    """Told each event of the supervisor, by a static name and keyword fields."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """One event."""


@dataclass(frozen=True, slots=True)
class Timing:
    """``drain_seconds``: for connections and messages under way; ``start_seconds``: until a new worker is ready;
    ``patience_seconds``: how long a connection waits for the worker whose turn it is, before another takes it.
    """

    drain_seconds: float = 30.0
    start_seconds: float = 60.0
    patience_seconds: float = PATIENCE_SECONDS


def run_workers(listener: Listener, factory: Factory, workers: int, timing: Timing, report: Report) -> None:
    """Serve until told to stop, then close the listener.

    Raises :class:`ConfigurationError` or :class:`ServiceUnavailable` when the first workers cannot start.
    """
    try:
        with _Signals() as signals:
            _Supervisor(listener, factory, workers, timing, report, signals).run()
    finally:
        listener.close()


class _Signals:
    """Signals as something to poll, with the handlers from before put back at the end."""

    _HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Signals:
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for one in self._HANDLED:
            self._before[one] = signal.signal(one, self._ignore)
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self.close()

    def close(self) -> None:
        """Let go of the sockets; in a worker too."""
        self.reader.close()
        self._writer.close()

    def take(self) -> set[int]:
        """The numbers of the signals that have come."""
        with suppress(BlockingIOError):
            return set(self.reader.recv(4096))
        return set()

    @staticmethod
    def _ignore(_number: int, _frame: FrameType | None) -> None:
        """Python writes the number to the socket; that is all that is needed."""


class _Seat(NamedTuple):
    """A place in a set of workers, which goes from one that died to its successor."""

    shares: Shares
    number: int


@dataclass(slots=True)
class _Worker:
    """A child process as the supervisor knows it."""

    pid: int
    control: socket.socket
    started_at: float
    seat: _Seat
    failures: int  # starts in a row that failed before this one
    ready: bool = False
    kill_at: float = float("inf")
    leaving: bool = False
    said: bytes = b""

    def tell(self, what: bytes, kill_at: float) -> None:
        """Have it drain or stop, and be gone by then."""
        self.leaving = True
        self.kill_at = min(self.kill_at, kill_at)
        with suppress(OSError):  # it may be dead already
            self.control.send(what)


class _Supervisor:
    def __init__(
        self,
        listener: Listener,
        factory: Factory,
        wanted: int,
        timing: Timing,
        report: Report,
        signals: _Signals,
    ) -> None:
        self._listener, self._factory, self._wanted = listener, factory, wanted
        self._timing, self._report, self._signals = timing, report, signals
        self._workers: dict[int, _Worker] = {}
        self._new: set[int] = set()  # pids of a set of workers that is to replace the present one
        self._to_start: list[tuple[float, _Seat, int]] = []  # when, where, and after how many failures
        self._reload_again = False
        self._serving = False  # whether any set of workers has been ready
        self._why_not: TrustgraphError = ServiceUnavailable("no worker")

    def run(self) -> None:
        """Until a signal says stop."""
        self._start_set()
        while not self._turn() & {signal.SIGTERM, signal.SIGINT}:
            if not self._serving and not self._new:
                while self._workers:
                    self._turn()
                raise self._why_not
        self._stop()

    def _turn(self) -> set[int]:
        """Wait for something to happen, and act on it; returns the signals that came."""
        self._poll()
        came = self._signals.take()
        self._reap()
        self._judge_new()
        now = time.monotonic()
        if signal.SIGHUP in came:
            self._reload_again = True
        if self._reload_again and not self._new:
            self._reload_again = False
            self._report("milter_reload")
            self._start_set()
        for worker in self._workers.values():
            if now >= worker.kill_at:
                self._report("milter_worker_killed", pid=worker.pid)
                os.kill(worker.pid, signal.SIGKILL)
                worker.kill_at = now + _GRACE_SECONDS
        due = [one for one in self._to_start if one[0] <= now]
        self._to_start = [one for one in self._to_start if one[0] > now]
        for _, seat, failures in due:
            self._fork(seat, failures)
        return came

    def _poll(self) -> None:
        """Wait for signals, words of workers, or the next moment at which there is something to do."""
        poll = select.poll()
        poll.register(self._signals.reader, select.POLLIN)
        by_number = {}
        for worker in self._workers.values():
            if worker.control.fileno() >= 0:
                poll.register(worker.control, select.POLLIN)
                by_number[worker.control.fileno()] = worker
        moments = [moment for moment, _, _ in self._to_start] + [worker.kill_at for worker in self._workers.values()]
        soonest = min(moments, default=float("inf"))
        timeout = None if soonest == float("inf") else max(0.0, soonest - time.monotonic()) * 1000 + 1
        for number, _ in poll.poll(timeout):
            if number in by_number:
                self._listen_to(by_number[number])

    def _listen_to(self, worker: _Worker) -> None:
        try:
            said = worker.control.recv(_MESSAGE_BYTES)
        except OSError:
            said = b""
        if not said:
            worker.control.close()  # it is gone or about to be: SIGCHLD says so
            return
        worker.said += said
        if worker.said == _READY:
            worker.ready = True
            if not worker.leaving:
                worker.kill_at = float("inf")
            self._report("milter_worker_ready", pid=worker.pid)

    def _reap(self) -> None:
        for worker in list(self._workers.values()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                if worker.control.fileno() >= 0:
                    self._listen_to(worker)  # its last words
                    worker.control.close()
                worker.seat.shares.vacate(worker.seat.number)
                del self._workers[pid]
                self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: _Worker, code: int) -> None:
        if worker.leaving and code == 0:
            self._report("milter_worker_ended", pid=worker.pid)
            return
        why = worker.said.removeprefix(_READY).decode(errors="replace")
        self._report("milter_worker_died", pid=worker.pid, exit_code=code, why=why)
        if worker.pid in self._new:
            kind = ConfigurationError if code == ConfigurationError.exit_code else ServiceUnavailable
            self._give_up_new(kind(why or f"a worker ended with {code} before it was ready"))
        elif not worker.leaving:
            lived = time.monotonic() - worker.started_at
            failures = 0 if worker.ready and lived >= _HEALTHY_SECONDS else worker.failures + 1
            delay = min(_FIRST_DELAY * 2 ** (failures - 2), _LONGEST_DELAY) if failures > 1 else 0.0
            self._to_start.append((time.monotonic() + delay, worker.seat, failures))

    def _start_set(self) -> None:
        shares = Shares(self._wanted, self._timing.patience_seconds)
        self._new = {self._fork(_Seat(shares, number), 0) for number in range(self._wanted)}

    def _judge_new(self) -> None:
        """Once all new workers are ready, the others go."""
        if self._new and all(pid in self._workers and self._workers[pid].ready for pid in self._new):
            kill_at = time.monotonic() + self._timing.drain_seconds + _GRACE_SECONDS
            for worker in self._workers.values():
                if worker.pid not in self._new:
                    worker.tell(_DRAIN, kill_at)
            self._to_start.clear()
            self._new = set()
            self._serving = True
            self._report("milter_serving", workers=self._wanted)

    def _give_up_new(self, why: TrustgraphError) -> None:
        """New workers cannot start: the old ones stay."""
        self._why_not = why
        self._report("milter_start_failed", why=str(why))
        for pid in self._new:
            if pid in self._workers:
                self._workers[pid].tell(_STOP, time.monotonic() + _GRACE_SECONDS)
        self._new = set()

    def _stop(self) -> None:
        self._report("milter_stopping")
        self._listener.close()  # who connects now is refused at once instead of waiting for nobody
        kill_at = time.monotonic() + self._timing.drain_seconds + _GRACE_SECONDS
        for worker in self._workers.values():
            worker.tell(_STOP, kill_at)
        self._new, self._to_start, self._wanted = set(), [], 0
        while self._workers:
            self._turn()
        self._report("milter_stopped")

    def _fork(self, seat: _Seat, failures: int) -> int:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            others = [worker.control for worker in self._workers.values()]
            not_its: list[socket.socket | _Signals] = [ours, *others, self._signals]
            place = seat.shares.place(seat.number)
            _be_worker(self._listener.sockets, place, self._factory, self._timing, theirs, not_its)
        theirs.close()
        now = time.monotonic()
        self._workers[pid] = _Worker(pid, ours, now, seat, failures, kill_at=now + self._timing.start_seconds)
        return pid


def _be_worker(
    sockets: Sequence[socket.socket],
    place: Place,
    factory: Factory,
    timing: Timing,
    control: socket.socket,
    not_ours: Sequence[socket.socket | _Signals],
) -> NoReturn:
    """The whole life of a worker. Never returns: nothing of the supervisor's must run in it."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for one in not_ours:  # held open here, they would hide the end of the supervisor from other workers
            one.close()
        # The terminal sends these to all; for a worker the supervisor's word counts.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(sockets, place, factory, timing, control))
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, it must not run on into the supervisor's code
        code = error.exit_code if isinstance(error, TrustgraphError) else 70
        text = str(error) if isinstance(error, TrustgraphError) else f"{type(error).__name__}: {error}"
        with suppress(OSError):
            control.send(text.encode(errors="replace")[:_MESSAGE_BYTES])
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The uvloop package's event loop where it is installed, else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - optional, and of no use to the supervisor
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(
    sockets: Sequence[socket.socket], place: Place, factory: Factory, timing: Timing, control: socket.socket
) -> None:
    loop = asyncio.get_running_loop()
    control.setblocking(False)
    told: asyncio.Queue[bytes] = asyncio.Queue()
    loop.add_signal_handler(signal.SIGTERM, told.put_nowait, _STOP)

    def hear() -> None:
        try:
            said = control.recv(16)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            loop.remove_reader(control.fileno())
        told.put_nowait(said[-1:] or _STOP)

    loop.add_reader(control.fileno(), hear)
    async with factory() as server:
        await server.listen(sockets, place)
        with suppress(OSError):
            control.send(_READY)
        draining: asyncio.Task[None] | None = None
        while draining is None or not draining.done():
            word = asyncio.ensure_future(told.get())
            await asyncio.wait({word} | ({draining} if draining else set()), return_when=asyncio.FIRST_COMPLETED)
            if word.done():
                draining = loop.create_task(server.drain(timing.drain_seconds, close_idle=word.result() == _STOP))
            else:
                word.cancel()
