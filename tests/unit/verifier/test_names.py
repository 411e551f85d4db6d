"""Whether a HELO name is the client's, with resolvers of the test's own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.unit.verifier.scripted import play, turns
from trustgraph.verifier import names
from trustgraph.verifier.names import HeloNames

NAME, ADDRESS = "mx.peer.example", "192.0.2.1"


@contextmanager
def helo_names(resolves: Callable[[str, str], bool]) -> Iterator[HeloNames]:
    made = HeloNames(resolves)
    try:
        yield made
    finally:
        made.close()


def test_what_resolves_is_confirmed_and_remembered_for_this_address_only() -> None:
    asked = []

    def resolves(name: str, address: str) -> bool:
        asked.append((name, address))
        return address == ADDRESS

    async def run() -> None:
        with helo_names(resolves) as known:
            assert [await known.confirm(NAME, ADDRESS) for _ in range(3)] == [True] * 3
            assert [await known.confirm(NAME, "192.0.2.2") for _ in range(3)] == [False] * 3

    play(run)
    assert asked == [(NAME, ADDRESS), (NAME, "192.0.2.2")]


def test_answers_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def run() -> None:
        with helo_names(lambda *what: not asked.append(what)) as known:
            assert await known.confirm(NAME, ADDRESS)
            until, _ = known._known[NAME, ADDRESS]
            left = until - asyncio.get_running_loop().time()
            assert 500 < left <= 600
            known._known[NAME, ADDRESS] = 0.0, False
            assert await known.confirm(NAME, ADDRESS)

    play(run)
    assert len(asked) == 2


@pytest.mark.parametrize("name", ["192.0.2.1", "0xc0.0.2.1", "192.0.513", "3221225985", "0300.0.2.0x1", "::1", "", "."])
def test_a_number_is_no_name_though_it_resolves_to_the_client(name: str) -> None:
    async def run() -> None:
        with helo_names(lambda *_: True) as known:
            assert not await known.confirm(name, ADDRESS)

    play(run)


def test_a_name_server_that_does_not_answer_is_no_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_SECONDS", 0.0)
    release = threading.Event()

    async def run() -> None:
        with helo_names(lambda *_: release.wait(20)) as known:
            assert not await known.confirm(NAME, ADDRESS)
            assert not await known.confirm(NAME, ADDRESS)
            release.set()
            await turns(lambda: not known._pending)

    play(run)


def test_names_that_hang_cost_others_their_confirmation_and_no_time() -> None:
    release = threading.Event()

    def resolves(name: str, _address: str) -> bool:
        return release.wait(20) if name.startswith("slow") else True

    async def run() -> None:
        with helo_names(resolves) as known:
            slow = [asyncio.ensure_future(known.confirm(f"slow{n}.example", ADDRESS)) for n in range(4)]
            await turns(lambda: len(known._pending) == 4)
            assert not await known.confirm(NAME, ADDRESS)
            same = asyncio.ensure_future(known.confirm("slow0.example", ADDRESS))  # shares what is under way
            await asyncio.sleep(0)
            release.set()
            assert await asyncio.gather(*slow, same) == [True] * 5
            await turns(lambda: not known._pending)
            assert await known.confirm(NAME, ADDRESS)  # being turned away is not remembered

    play(run)


def test_who_gives_up_frees_the_place() -> None:
    release = threading.Event()

    async def run() -> None:
        with helo_names(lambda *_: release.wait(20)) as known:
            waiting = asyncio.ensure_future(known.confirm(NAME, ADDRESS))
            await turns(lambda: known._pending)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            release.set()
            await turns(lambda: not known._pending)

    play(run)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_REMEMBERED", 10)

    async def run() -> None:
        with helo_names(lambda *_: True) as known:
            for number in range(50):
                assert await known.confirm(f"mx{number}.example", ADDRESS)
            assert len(known._known) == 10

    play(run)


def test_the_resolver_is_asked_for_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(*addresses: str) -> None:
        found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)

    answers("198.51.100.1", "192.0.2.1")
    assert names._resolves_to(NAME, "192.0.2.1")
    assert not names._resolves_to(NAME, "192.0.2.2")
    answers("2001:DB8:0::1", "fe80::1%eth0", "::ffff:192.0.2.7")
    assert names._resolves_to(NAME, "2001:db8::1")
    assert names._resolves_to(NAME, "192.0.2.7")
    answers("no address")
    assert not names._resolves_to(NAME, "192.0.2.1")


@pytest.mark.parametrize("error", [socket.gaierror("none"), OSError("no"), UnicodeError("label too long")])
def test_a_resolver_that_fails_confirms_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert not names._resolves_to(NAME, ADDRESS)


def test_the_systems_own_names_resolve() -> None:
    assert names._resolves_to("localhost", "127.0.0.1")
    assert not names._resolves_to("localhost", "192.0.2.1")
