"""The supervisor and its workers as real processes: killed, reloaded under load, stopped, orphaned."""

from __future__ import annotations

import asyncio
import os
import resource
import select
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

from tests.milter_client import Message, MilterClient
from tests.unit.milter.running import DEADLINE, Scripted, socket_path, wait_until
from trustgraph.errors import ConfigurationError, ServiceUnavailable
from trustgraph.milter.listen import Listener, UnixAddress
from trustgraph.milter.server import MilterServer
from trustgraph.milter.transaction import Accept, InsertHeader, Response, Transaction
from trustgraph.milter.workers import Timing, run_workers

#: Longer than any client here waits for an answer.
PATIENCE = 10 * DEADLINE

#: Connections for which a worker has file descriptors with the settings ``few``.
FEW = 3


class Supervised:
    """A supervisor in a process of its own; its reports come through a pipe."""

    def __init__(self, path: Path, settings: Path, workers: int, timing: Timing) -> None:
        self.path, self.address = path, f"unix:{path}"
        self._reader, writer = os.pipe()
        self._unread = b""
        self.reports: list[str] = []
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                os.close(self._reader)
                code = supervise(path, settings, workers, timing, writer)
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

    def configure(self, settings: str) -> None:
        """Other settings, whole at once: a worker may read them at any moment."""
        draft = self.path.parent / "draft"
        draft.write_text(settings)
        draft.rename(self.path.parent / "settings")

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


def supervise(path: Path, settings: Path, workers: int, timing: Timing, writer: int) -> int:
    """What ``trustgraph milter`` does, with a handler that tells its pid and the settings it was made from."""

    @asynccontextmanager
    async def factory() -> AsyncIterator[MilterServer]:
        text = settings.read_text()
        if text == "broken":
            raise ConfigurationError("milter.mode: sign, verify or both expected")
        if text == "crash":
            os._exit(3)
        if text == "few" or (text == "one-has-few" and is_first(settings.parent)):
            kept = await leave_few_descriptors()  # noqa: F841 - for as long as the worker lives

        async def tell(transaction: Transaction) -> Response:
            return Response(Accept(), (InsertHeader(0, b"X-Pid", f"{os.getpid()} {text}".encode()),))

        yield MilterServer(Scripted(tell), on_error=lambda error: report("failed", why=error))

    def report(event: str, /, **fields: object) -> None:
        line = " ".join([event, *(f"{name}={value}" for name, value in fields.items())])
        os.write(writer, line.encode() + b"\n")

    try:
        run_workers(Listener(UnixAddress(path)), factory, workers, timing, report)
    except (ConfigurationError, ServiceUnavailable) as error:
        report("raised", why=error)
        return error.exit_code
    return 0


def is_first(directory: Path) -> bool:
    """Whether no other process has asked this here."""
    try:
        (directory / "first").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


async def leave_few_descriptors() -> tuple[socket.socket, socket.socket]:
    """With its first connection libuv takes a descriptor in reserve, so there has to be one: what is returned."""
    pair = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, pair[0])
    free = [os.dup(0) for _ in range(FEW)]
    for number in free:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(free) + 1, max(free) + 1))
    return pair


@contextmanager
def supervised(
    workers: int = 2, settings: str = "one", drain_seconds: float = DEADLINE, patience_seconds: float = PATIENCE
) -> Iterator[Supervised]:
    with socket_path() as path:
        (path.parent / "settings").write_text(settings)
        timing = Timing(drain_seconds, 5.0, patience_seconds)
        run = Supervised(path, path.parent / "settings", workers, timing)
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
        run.configure("crash")
        (pid,) = run.workers()
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        assert all("exit_code=3" in line for line in run.wait_for("milter_worker_died", 4)[1:])
        assert time.monotonic() - began >= 0.3  # at once, after 0.1 s, after 0.2 s
        run.configure("mended")
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
                run.configure(f"turn{turn}")
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
        run.configure(settings)
        run.signal(signal.SIGHUP)
        (line,) = run.wait_for("milter_start_failed")
        assert why in line
        wait_until(lambda: sorted(run.workers()) == sorted(before), "only the old workers should stay")
        with MilterClient(run.address) as client:
            assert who_answers(client)[1] == "one"
        run.configure("two")
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


def burst(stack: ExitStack, run: Supervised, connections: int) -> list[MilterClient]:
    """Connections that are there before any of them has said a word."""
    return [stack.enter_context(MilterClient(run.address, greet=False)) for _ in range(connections)]


def whose(clients: list[MilterClient]) -> Counter[int]:
    """How many of them each worker has."""
    for client in clients:
        client.negotiate()
        client.connect()
    return Counter(who_answers(client)[0] for client in clients)


@pytest.mark.parametrize("workers", [2, 3])
def test_each_worker_takes_as_many_connections_as_the_others(workers: int) -> None:
    with supervised(workers) as run:
        run.wait_for("milter_serving")
        for turn in range(20):
            with ExitStack() as stack:
                with all_at_once(run) if turn % 2 else nullcontext():
                    clients = burst(stack, run, 4 * workers)
                held = whose(clients)
                assert held == dict.fromkeys(run.workers(), 4)
                held += whose(burst(stack, run, 1))
                assert sorted(held.values()) == [4] * (workers - 1) + [5]
            wait_until(lambda: connections_of(run) == [0] * workers, "closed connections should be let go of")


@contextmanager
def all_at_once(run: Supervised) -> Iterator[None]:
    """No worker sees any of what connects meanwhile before all of it is there."""
    for pid in run.workers():
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in run.workers():
        os.kill(pid, signal.SIGCONT)


def connections_of(run: Supervised) -> list[int]:
    """How many connections each worker holds, by the kernel's word: sockets that are bound to the path, less the one to
    listen with.
    """
    ours = set()
    for line in Path("/proc/net/unix").read_text().splitlines():
        *_, inode, path = [*line.split(), ""] if len(line.split()) == 7 else line.split()
        if path == str(run.path):
            ours.add(f"socket:[{inode}]")
    counts = []
    for pid in run.workers():
        held = 0
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                held += os.readlink(entry) in ours
        counts.append(held - 1)
    return counts


def test_no_connection_waits_for_a_worker_that_does_not_go_on() -> None:
    with supervised(patience_seconds=0.05) as run, ExitStack() as stack:
        run.wait_for("milter_serving")
        stuck, other = run.workers()
        os.kill(stuck, signal.SIGSTOP)
        assert whose(burst(stack, run, 8)) == {other: 8}
        os.kill(stuck, signal.SIGCONT)
        again = Counter[int]()
        while stuck not in again:
            assert sum(again.values()) < 100, "it should take part again"
            again += whose(burst(stack, run, 1))


def test_no_connection_waits_for_a_worker_that_is_gone() -> None:
    with supervised() as run, ExitStack() as stack:
        run.wait_for("milter_serving")
        killed, other = run.workers()
        clients = burst(stack, run, 8)
        assert whose(clients) == {killed: 4, other: 4}
        for client in clients:
            if who_answers(client)[0] == killed:
                client.close()
        wait_until(lambda: sorted(connections_of(run)) == [0, 4], "closed connections should be let go of")
        run.configure("crash")
        os.kill(killed, signal.SIGKILL)
        assert whose(burst(stack, run, 1)) == {other: 1}  # it has more than whoever was there
        run.configure("mended")
        run.wait_for("milter_worker_ready", 3)
        (successor,) = set(run.workers()) - {other}
        assert whose(burst(stack, run, 5)) == {successor: 5}
        assert whose(burst(stack, run, 2)) == {successor: 1, other: 1}


def test_connections_that_a_killed_worker_had_not_accepted_are_the_others() -> None:
    with supervised() as run, ExitStack() as stack:
        run.wait_for("milter_serving")
        killed, other = run.workers()
        for pid in (killed, other):
            os.kill(pid, signal.SIGSTOP)
        clients = burst(stack, run, 8)
        run.configure("crash")
        os.kill(killed, signal.SIGKILL)
        run.wait_for("milter_worker_died")
        os.kill(other, signal.SIGCONT)
        assert whose(clients) == {other: 8}


def test_a_worker_out_of_file_descriptors_leaves_connections_to_the_other_until_it_has_some() -> None:
    with supervised(settings="one-has-few") as run, ExitStack() as stack:
        run.wait_for("milter_serving")
        clients = burst(stack, run, 4 * FEW)
        held = whose(clients)
        assert sorted(held.values()) == [FEW, 3 * FEW]
        limited = min(held, key=held.__getitem__)
        assert "Too many open files" in run.wait_for("failed")[0]
        for client in clients:
            if who_answers(client)[0] == limited:
                client.close()

        def takes_part() -> bool:
            with ExitStack() as soon_over:
                return limited in whose(burst(soon_over, run, 1))

        wait_until(takes_part, "it should take part again")


def test_connections_wait_while_all_workers_are_out_of_file_descriptors() -> None:
    with supervised(settings="few") as run, ExitStack() as stack:
        run.wait_for("milter_serving")
        clients = burst(stack, run, 2 * FEW + 2)
        assert whose(clients[: 2 * FEW]) == dict.fromkeys(run.workers(), FEW)
        for client in clients[:2]:
            client.close()
        assert sum(whose(clients[2 * FEW :]).values()) == 2
