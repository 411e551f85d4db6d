"""Keys that anybody made long: found all the same, in bounded memory, without holding up or breaking anything else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.unit.keyserver.fault_server import (
    ANNA,
    ANNAS,
    BERT,
    BERTS,
    CLEO,
    Behaviour,
    FaultServer,
    Request,
    chunked,
    found,
    raw,
    respond,
    until,
)
from tests.unit.keyserver.playing import SERVER, no_tls, play
from tests.unit.openpgp.openpgp_maker import BORN, Key, certify
from trustgraph.keyserver import server as server_module
from trustgraph.keyserver.answer import LONG_ANSWER, Absent, Answer, Found, Unreachable
from trustgraph.keyserver.breaker import BreakerPolicy, State
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.keyserver.server import LONG_BYTES, KeyServer, ServerPolicy, _Length
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.transferable import enarmor

NOW = UnixSeconds(BORN + 1_000_000)
ENDORSEMENT = certify(CLEO, ANNA, "smtp://anna.example.org", at=BORN + 5)


def flood(subject: Key, count: int = 12_000) -> bytes:
    good = certify(BERT, subject, "smtp://anna.example.org", at=BORN + 900_000)
    return b"".join(good[:-72] + number.to_bytes(8) + b"f" * 64 for number in range(count))


FLOODED = ANNAS + flood(ANNA) + ENDORSEMENT
ARMORED = enarmor(FLOODED)
BERTS_ARMORED = enarmor(BERTS + flood(BERT))
assert len(ARMORED) > LONG_BYTES + 300_000
OWN = read_host_certificate([ANNAS], ANNA.fingerprint, NOW).octets
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


def halting(body: bytes, after: int, go_on: Callable[[], Awaitable[object]]) -> Behaviour:
    """So much of a body, and the rest when it is time."""

    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + body[:after])
        await writer.drain()
        await go_on()
        writer.write(body[after:])
        await writer.drain()

    return behave


def ask(behaviour: Behaviour, policy: ServerPolicy = SERVER, may_be_long: bool = True) -> Answer:
    async def run() -> Answer:
        async with FaultServer(behaviour) as server:
            asking = KeyServer(server.url, no_tls, policy, lambda: NOW)
            answer = await asking.lookup(ANNA.fingerprint, lambda: may_be_long)
            await until(lambda: not server.busy)
            return answer

    return asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize(
    "behaviour",
    [
        respond(200, ARMORED),
        respond(200, FLOODED),
        raw(HEAD, ARMORED),
        raw(chunked(*[ARMORED[at : at + 7_000] for at in range(0, len(ARMORED), 7_000)])),
    ],
    ids=["armored", "binary", "until-close", "chunks"],
)
def test_its_own_words_and_the_whole_in_a_file(behaviour: Behaviour) -> None:
    answer = ask(behaviour)
    assert isinstance(answer, Found)
    assert answer.certificate == OWN
    assert answer.long is not None
    assert answer.long.open().read().count(b"f" * 64) == 12_000


@pytest.mark.parametrize(
    ("expected", "behaviour"),
    [
        ("oversize", respond(200, ARMORED + b"\n" * (4 << 20))),
        ("oversize", raw(HEAD, ARMORED, *[b"\n" * 65_536] * 64)),
        ("truncated", raw(HEAD, ARMORED[:-40])),
        ("truncated", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3999999\r\n\r\n", ARMORED[:1_500_000])),
        ("truncated", raw(chunked(ARMORED, ended=False))),
        ("damaged", respond(200, ARMORED.replace(ARMORED.splitlines()[-2], b"=AAAA"))),
        ("damaged", respond(200, enarmor(FLOODED[:-3]))),
        ("damaged", respond(200, FLOODED[:-3])),
        ("wrong-key", respond(200, BERTS_ARMORED)),
        ("no-certificate", respond(200, b"<p>Key not found</p>\n" * 100_000)),
    ],
)
def test_a_long_answer_that_is_not_right_is_unreachable_and_never_absent(expected: str, behaviour: Behaviour) -> None:
    answer = ask(behaviour, ServerPolicy(10, 10, 20, max_body_bytes=4 << 20))
    assert isinstance(answer, Unreachable)
    assert answer.reason == expected


def test_a_long_answer_needs_leave() -> None:
    answer = ask(raw(HEAD, ARMORED, linger=True), may_be_long=False)
    assert isinstance(answer, Unreachable)
    assert answer.reason == LONG_ANSWER
    assert isinstance(ask(found, may_be_long=False), Found)


def test_it_has_more_time_than_others_but_not_for_ever() -> None:
    async def run() -> None:
        async with asyncio.timeout(5) as deadline:
            began, length = deadline.when(), _Length(lambda: True, 60).within(deadline)
            length.add(LONG_BYTES)
            assert deadline.when() == began
            length.add(1)
            later = deadline.when()
            assert began is not None
            assert later is not None
            assert 50 < later - began < 60
            length.add(LONG_BYTES)
            assert deadline.when() == later, "it is given once"

    asyncio.run(run())
    endless = ask(raw(HEAD, ARMORED[:-1000], linger=True), ServerPolicy(10, 10, 10, long_seconds=0.3))
    assert isinstance(endless, Unreachable)
    assert endless.reason == LONG_ANSWER


def test_it_is_judged_off_the_event_loop_a_slice_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    sizes: list[int] = []
    active = [0, 0]

    class Watched(server_module.BodyReader):
        def feed(self, piece: bytes) -> None:
            active[0] += 1
            active[1] = max(active)
            threads.add(threading.get_ident())
            sizes.append(len(piece))
            super().feed(piece)
            active[0] -= 1

    monkeypatch.setattr(server_module, "BodyReader", Watched)

    async def scenario(pool: Pool, _servers: list[FaultServer]) -> list[Answer]:
        return await asyncio.gather(*(pool.lookup(one.fingerprint) for one in (ANNA, BERT)))

    both = play([respond(200, ARMORED + BERTS_ARMORED)], scenario)
    assert all(isinstance(one, Found) for one in both)
    assert threading.get_ident() not in threads
    assert max(sizes) <= 3 * 65_536
    assert active[1] == 1


# Many servers and many keys


def by_key(behaviours: dict[str, Behaviour]) -> Behaviour:
    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await behaviours[request.target.rpartition("=0x")[2]](request, writer)

    return behave


def test_a_message_does_not_wait_for_it_and_the_next_one_finds_it() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        patient = asyncio.create_task(pool.lookup(ANNA.fingerprint, patient=True))
        assert await pool.lookup(ANNA.fingerprint) == Unreachable(LONG_ANSWER)
        gate.set()
        answer = await patient
        assert isinstance(answer, Found)
        assert answer.certificate == OWN
        assert len(servers[0].requests) == 1, "both shared one flight"
        assert not pool._long

    gate = asyncio.Event()
    policy = PoolPolicy(timeout_seconds=3, hedge_seconds=20, long_seconds=20)
    play([halting(ARMORED, LONG_BYTES + 100_000, gate.wait)], scenario, policy)


def test_long_flights_leave_their_places_to_others_and_are_few() -> None:
    async def scenario(pool: Pool, _servers: list[FaultServer]) -> None:
        waiting = asyncio.create_task(pool.lookup(ANNA.fingerprint, patient=True))
        await until(lambda: bool(pool._long))
        assert isinstance(await pool.lookup(CLEO.fingerprint), Absent), "the only place is free again"
        one_too_many = await pool.lookup(BERT.fingerprint)
        assert isinstance(one_too_many, Unreachable)
        assert one_too_many.reason == LONG_ANSWER
        gate.set()
        assert isinstance(await waiting, Found)
        assert isinstance(await pool.lookup(BERT.fingerprint), Found)

    gate = asyncio.Event()
    behaviours = {
        ANNA.fingerprint: halting(ARMORED, LONG_BYTES + 100_000, gate.wait),
        BERT.fingerprint: respond(200, BERTS_ARMORED),
        CLEO.fingerprint: respond(404),
    }
    play([by_key(behaviours)], scenario, PoolPolicy(20, 20, flights=1, long_flights=1, long_seconds=20))


def test_what_anybody_can_make_long_never_counts_against_a_server() -> None:
    async def scenario(pool: Pool, _servers: list[FaultServer]) -> None:
        assert await pool.lookup(ANNA.fingerprint) == Unreachable(LONG_ANSWER)
        assert pool._lines[0].breaker.state(0.0) is State.CLOSED

    policy = PoolPolicy(
        timeout_seconds=4, hedge_seconds=20, long_seconds=2.5
    )  # more than what is a server's fair share
    server = ServerPolicy(10, 10, 10, long_seconds=10)
    play([raw(HEAD, ARMORED[:-1000], linger=True)], scenario, policy, server, BreakerPolicy(failures=1))


def test_the_files_lie_where_they_are_told_to(tmp_path: Path) -> None:
    missing = tmp_path / "not-there"
    answer = ask(respond(200, ARMORED), ServerPolicy(10, 10, 10, scratch=missing))
    assert isinstance(answer, Unreachable), "a server whose answer cannot be kept gave none"
    assert isinstance(ask(respond(200, ARMORED), ServerPolicy(10, 10, 10, scratch=tmp_path)), Found)
    assert list(tmp_path.iterdir()) == []


def test_publishing_looks_through_all_that_was_hung_on_the_key() -> None:
    async def scenario(pool: Pool, _servers: list[FaultServer]) -> list[tuple[bool, str]]:
        done = [await pool.publish(what, ANNA.fingerprint) for what in (ANNAS + ENDORSEMENT, ANNAS + other)]
        return [(one.ok, one.reason) for [one] in done]

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await respond(200, ARMORED if request.method == "GET" else b"")(request, writer)

    other = certify(CLEO, ANNA, "smtp://anna.example.org", at=BORN + 6)
    policy = PoolPolicy(publish_pauses=(0.0,))
    assert play([behave], scenario, policy) == [(True, ""), (False, "incomplete")]
