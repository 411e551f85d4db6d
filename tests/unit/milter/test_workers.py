"""The supervisor and its workers as real processes: killed, reloaded under load, stopped, orphaned."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from tests.milter_client import Message, MilterClient
from tests.unit.milter.running import DEADLINE, Scripted, socket_path, wait_until
from trustgraph.errors import ConfigurationError, ServiceUnavailable
from trustgraph.milter.listen import Listener, UnixAddress
from trustgraph.milter.server import MilterServer
from trustgraph.milter.transaction import Accept, InsertHeader, Response, Transaction
from trustgraph.milter.workers import Timing, run_workers


class Supervised:
    """A supervisor in a process of its own; its reports come through a pipe."""

    def __init__(self, path: Path, settings: Path, workers: int, drain_seconds: float) -> None:
        self.path, self.address = path, f"unix:{path}"
        self._reader, writer = os.pipe()
        self._unread = b""
        self.reports: list[str] = []
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                os.close(self._reader)
                code = supervise(path, settings, workers, drain_seconds, writer)
            finally:
                os._exit(code)
        os.close(writer)

    def wait_for(self, event: str, count: int = 1) -> list[str]:
        """Wait until an event was reported so often in all; returns the reports of it."""
        while len(found := [line for line in self.reports if line.split()[0] == event]) < count:
            ready, _, _ = select.select([self._reader], [], [], DEADLINE)
            assert ready, f"{event} expected after {self.reports}"
            data = os.read(self._reader, 65536)
            assert data, f"{event} expected before the end: {self.reports}"
            *lines, self._unread = (self._unread + data).split(b"\n")
            self.reports += [line.decode() for line in lines]
        return found

    def workers(self) -> list[int]:
        """The pids of its present children, from the kernel."""
        with suppress(FileNotFoundError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit status."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def all_gone(self) -> bool:
        """No process holds the other end of the pipe any more."""
        while select.select([self._reader], [], [], 0)[0]:
            if not os.read(self._reader, 65536):
                return True
        return False

    def close(self) -> None:
        """Make sure that nothing stays."""
        with suppress(ChildProcessError, ProcessLookupError):
            if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        wait_until(self.all_gone, "no worker should outlive its supervisor")
        os.close(self._reader)


def supervise(path: Path, settings: Path, workers: int, drain_seconds: float, writer: int) -> int:
    """What ``trustgraph milter`` does, with a handler that tells its pid and the settings it was made from."""

    @asynccontextmanager
    async def factory() -> AsyncIterator[MilterServer]:
        text = settings.read_text()
        if text == "broken":
            raise ConfigurationError("milter.mode: sign, verify or both expected")
        if text == "crash":
            os._exit(3)

        async def tell(transaction: Transaction) -> Response:
            return Response(Accept(), (InsertHeader(0, b"X-Pid", f"{os.getpid()} {text}".encode()),))

        yield MilterServer(Scripted(tell))

    def report(event: str, /, **fields: object) -> None:
        line = " ".join([event, *(f"{name}={value}" for name, value in fields.items())])
        os.write(writer, line.encode() + b"\n")

    try:
        run_workers(Listener(UnixAddress(path)), factory, workers, Timing(drain_seconds, 5.0), report)
    except (ConfigurationError, ServiceUnavailable) as error:
        report("raised", why=error)
        return error.exit_code
    return 0


@contextmanager
def supervised(workers: int = 2, settings: str = "one", drain_seconds: float = DEADLINE) -> Iterator[Supervised]:
    with socket_path() as path:
        (path.parent / "settings").write_text(settings)
        run = Supervised(path, path.parent / "settings", workers, drain_seconds)
        try:
            yield run
        finally:
            run.close()


def who_answers(client: MilterClient) -> tuple[int, str]:
    outcome = client.send(Message())
    assert outcome.reply == b"a"
    pid, settings = outcome.edits[0].split(b"\0")[5].split()
    return int(pid), settings.decode()


def test_a_killed_worker_is_replaced_and_the_others_go_on() -> None:
    with supervised() as run:
        run.wait_for("milter_serving")
        before = set(run.workers())
        assert len(before) == 2
        with MilterClient(run.address) as client:
            answering, _ = who_answers(client)
            (other,) = before - {answering}
            os.kill(other, signal.SIGKILL)
            run.wait_for("milter_worker_ready", 3)
            (died,) = run.wait_for("milter_worker_died")
            assert f"pid={other} exit_code=-9" in died
            assert len(set(run.workers()) - before) == 1
            assert who_answers(client) == (answering, "one")
        run.signal(signal.SIGTERM)
        assert run.wait() == 0


def test_a_worker_that_dies_again_and_again_is_started_less_and_less_often() -> None:
    with supervised(workers=1) as run:
        run.wait_for("milter_serving")
        (run.path.parent / "settings").write_text("crash")
        (pid,) = run.workers()
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        assert all("exit_code=3" in line for line in run.wait_for("milter_worker_died", 4)[1:])
        assert time.monotonic() - began >= 0.3  # at once, after 0.1 s, after 0.2 s
        (run.path.parent / "settings").write_text("mended")
        run.wait_for("milter_worker_ready", 2)
        with MilterClient(run.address) as client:
            assert who_answers(client)[1] == "mended"


def test_new_settings_under_load_drop_no_message() -> None:
    stop = threading.Event()
    failures: list[BaseException] = []
    seen: set[tuple[int, str]] = set()

    def load(address: str) -> None:
        try:
            while not stop.is_set():
                with MilterClient(address) as client:
                    seen.update(who_answers(client) for _ in range(5))
        except BaseException as error:
            failures.append(error)
            raise

    with supervised() as run:
        run.wait_for("milter_serving")
        threads = [threading.Thread(target=load, args=(run.address,)) for _ in range(4)]
        staying = MilterClient(run.address)
        old, _ = who_answers(staying)
        for thread in threads:
            thread.start()
        try:
            for turn in range(2, 5):
                (run.path.parent / "settings").write_text(f"turn{turn}")
                run.signal(signal.SIGHUP)
                run.wait_for("milter_serving", turn)
                wait_until(lambda: f"turn{turn}" in {text for _, text in seen}, "new workers should answer")  # noqa: B023
        finally:
            stop.set()
            for thread in threads:
                thread.join(DEADLINE)
        assert failures == []
        assert who_answers(staying) == (old, "one")  # a connection stays where it is until its client closes it
        staying.close()
        run.wait_for("milter_worker_ended", 6)
        with MilterClient(run.address) as client:
            assert who_answers(client)[1] == "turn4"
        assert len(run.workers()) == 2
        run.signal(signal.SIGTERM)
        assert run.wait() == 0


@pytest.mark.parametrize(("settings", "why"), [("broken", "milter.mode"), ("crash", "ended with 3")])
def test_settings_with_which_no_worker_can_start_change_nothing(settings: str, why: str) -> None:
    with supervised() as run:
        run.wait_for("milter_serving")
        before = run.workers()
        (run.path.parent / "settings").write_text(settings)
        run.signal(signal.SIGHUP)
        (line,) = run.wait_for("milter_start_failed")
        assert why in line
        wait_until(lambda: sorted(run.workers()) == sorted(before), "only the old workers should stay")
        with MilterClient(run.address) as client:
            assert who_answers(client)[1] == "one"
        (run.path.parent / "settings").write_text("two")
        run.signal(signal.SIGHUP)
        run.wait_for("milter_serving", 2)
        wait_until(lambda: set(before).isdisjoint(run.workers()), "the old workers should end")
        with MilterClient(run.address) as client:
            assert who_answers(client)[1] == "two"


@pytest.mark.parametrize(("settings", "code", "why"), [("broken", 78, "milter.mode"), ("crash", 69, "ended with 3")])
def test_settings_with_which_nothing_can_start_are_an_error(settings: str, code: int, why: str) -> None:
    with supervised(settings=settings) as run:
        assert run.wait() == code
        assert why in run.wait_for("raised")[0]
        assert not run.path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_finishes_messages_closes_the_rest_and_removes_the_socket(number: int) -> None:
    with supervised() as run:
        run.wait_for("milter_serving")
        idle, busy = MilterClient(run.address), MilterClient(run.address)
        *before, end = busy.prepare(Message())
        for part in before:
            busy.socket.sendall(part.data)
            assert busy.receive() == b"c"
        run.signal(number)
        with pytest.raises(ConnectionError):
            idle.receive()
        assert not run.path.exists()
        with socket.socket(socket.AF_UNIX) as late, pytest.raises(OSError, match="No such file"):
            late.connect(str(run.path))
        busy.socket.sendall(end.data)
        assert busy.receive()[:1] == b"i"
        assert busy.receive() == b"a"
        assert run.wait() == 0
        for client in (idle, busy):
            client.close()


def test_a_message_that_does_not_end_is_not_waited_for_longer_than_allowed() -> None:
    with supervised(workers=1, drain_seconds=0.1) as run:
        run.wait_for("milter_serving")
        client = MilterClient(run.address)
        client.socket.sendall(client.prepare(Message())[0].data)
        assert client.receive() == b"c"
        run.signal(signal.SIGTERM)
        assert run.wait() == 0
        client.close()


def test_workers_do_not_outlive_a_killed_supervisor() -> None:
    with supervised() as run:
        run.wait_for("milter_serving")
        idle, busy = MilterClient(run.address), MilterClient(run.address)
        *before, end = busy.prepare(Message())
        for part in before:
            busy.socket.sendall(part.data)
            assert busy.receive() == b"c"
        run.signal(signal.SIGKILL)
        run.wait()
        with pytest.raises(ConnectionError):
            idle.receive()
        wait_until(lambda: not answers(run.path), "orphans should stop accepting")
        busy.socket.sendall(end.data)
        assert busy.receive()[:1] == b"i"
        assert busy.receive() == b"a"
        for client in (idle, busy):
            client.close()
        wait_until(run.all_gone, "orphans should end")
        Listener(UnixAddress(run.path)).close()  # what they leave behind is stale


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_a_worker_that_is_told_to_end_by_somebody_else_ends_well_and_is_replaced() -> None:
    with supervised(workers=1) as run:
        run.wait_for("milter_serving")
        (pid,) = run.workers()
        os.kill(pid, signal.SIGHUP)  # as a terminal that closes would; it means nothing to a worker
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        assert f"pid={pid} exit_code=0" in run.wait_for("milter_worker_died")[0]
        run.wait_for("milter_worker_ready", 2)
        with MilterClient(run.address) as client:
            assert who_answers(client)[1] == "one"
