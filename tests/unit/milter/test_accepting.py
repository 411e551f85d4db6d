"""Who takes a connection of a shared socket: the counts in shared memory, and one worker's end of the socket."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.milter.running import DEADLINE, Scripted, socket_path
from trustgraph.milter.accepting import Acceptor, Shares
from trustgraph.milter.listen import Listener, UnixAddress
from trustgraph.milter.server import MilterServer


def test_it_is_the_turn_of_whoever_has_fewest() -> None:
    shares = Shares(3)
    places = [shares.place(number) for number in range(3)]
    places[0].write(2)
    assert places[0].is_next()  # who has no place yet is not waited for
    places[1].write(1)
    assert [one.is_next() for one in places[:2]] == [False, True]
    places[2].write(1)
    assert [one.is_next() for one in places] == [False, True, True]
    for one in places[1:]:
        one.leave()
    assert places[0].is_next()


def test_who_is_passed_over_is_waited_for_again_once_it_has_accepted() -> None:
    shares = Shares(3)
    ours, stuck, other = (shares.place(number) for number in range(3))
    ours.write(5)
    stuck.write(0)
    other.write(9)
    assert not ours.is_next()
    ours.pass_over()
    assert ours.is_next()
    assert not other.is_next()  # which has its own opinion, and others before it
    ours.count_accepted(6)
    assert ours.is_next()
    other.write(1)
    assert not ours.is_next()
    other.write(9)
    stuck.count_accepted(1)
    assert not ours.is_next()


def test_a_place_left_by_the_dead_is_waited_for_only_when_somebody_has_it_again() -> None:
    shares = Shares(2)
    ours, dead = shares.place(0), shares.place(1)
    ours.write(1)
    dead.write(0)
    ours.pass_over()
    shares.vacate(1)
    assert ours.is_next()
    shares.place(1).write(0)
    assert not ours.is_next()


@given(st.integers(2, 5), st.lists(st.integers(0, 4), max_size=200))
def test_counts_differ_by_one_at_most_whoever_is_quicker(workers: int, tries: list[int]) -> None:
    shares = Shares(workers)
    places, counts = [shares.place(number) for number in range(workers)], [0] * workers
    for place in places:
        place.write(0)
    for number in (one % workers for one in tries):
        if places[number].is_next():
            counts[number] += 1
            places[number].count_accepted(counts[number])
        assert max(counts) - min(counts) <= 1


def run(loop: Callable[[], asyncio.AbstractEventLoop], work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(work)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_server_that_stops_is_waited_for_no_more(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def work() -> None:
        shares = Shares(2)
        other = shares.place(1)
        other.write(1)
        with socket_path() as path:
            listener = Listener(UnixAddress(path))
            server = MilterServer(Scripted())
            await server.listen(listener.sockets, shares.place(0))
            assert not other.is_next()
            await server.drain(0, close_idle=True)
            assert other.is_next()
            listener.close()

    run(loop, work())


class Unlucky(asyncio.SelectorEventLoop):
    """Has no memory for the first connection."""

    failed = False

    async def connect_accepted_socket(self, *args: Any, **more: Any) -> Any:
        if not self.failed:
            self.failed = True
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return await super().connect_accepted_socket(*args, **more)


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")


def test_a_connection_that_cannot_be_served_is_closed_and_not_counted() -> None:
    async def work() -> None:
        shares, errors = Shares(2), list[BaseException]()
        other = shares.place(1)
        other.write(0)
        with socket_path() as path:
            listener = Listener(UnixAddress(path))
            acceptor = Acceptor(Echo, shares.place(0), errors.append)
            acceptor.start(listener.sockets)
            async with asyncio.timeout(DEADLINE):
                for expected in (b"", b"hello"):
                    assert other.is_next()
                    other.write(1)
                    assert not other.is_next()
                    other.write(0)
                    with socket.socket(socket.AF_UNIX) as client:
                        client.setblocking(False)
                        client.connect(str(path))
                        assert await asyncio.get_running_loop().sock_recv(client, 10) == expected
            assert [type(error) for error in errors] == [OSError]
            acceptor.stop()
            await acceptor.settle()
            listener.close()

    run(Unlucky, work())
