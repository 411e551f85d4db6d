"""Many servers, one answer: whom it asks, when, how often, and for how long at most."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest

from tests.unit.keyserver.fault_server import (
    ANNA,
    ANNAS,
    BERT,
    BERTS,
    CLEO,
    Behaviour,
    FaultServer,
    Gate,
    Request,
    absent,
    found,
    respond,
    silent,
    unreachable,
    until,
)
from tests.unit.keyserver.playing import Clock, no_tls, play
from tests.unit.keyserver.quorum import TABLE
from trustgraph.errors import ConfigurationError
from trustgraph.keyserver.answer import Absent, Cause, Found, Unreachable
from trustgraph.keyserver.breaker import BreakerPolicy
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.openpgp.transferable import enarmor, find_certificate

WHOLE = find_certificate(ANNAS, ANNA.fingerprint) or b""


def any_key(certificates: dict[str, bytes]) -> Behaviour:
    """A server that has these, by fingerprint."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        held = certificates.get(request.target.rpartition("=0x")[2])
        await (respond(200, enarmor(held)) if held else absent)(request, writer)

    return behave


@pytest.mark.parametrize(("said", "expected"), TABLE)
def test_quorum(said: str, expected: str) -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        answer = await pool.lookup(ANNA.fingerprint)
        assert type(answer).__name__[0] == expected
        urls = [server.url for server in servers]
        if isinstance(answer, Found):
            assert answer.certificate == WHOLE
            assert said[urls.index(answer.server)] == "F"
        elif isinstance(answer, Absent):
            assert list(answer.servers) == [url for url, letter in zip(urls, said, strict=True) if letter == "A"]
        else:
            failed = [url for url, letter in zip(urls, said, strict=True) if letter == "U"]
            assert list(answer.causes) == [Cause(url, "http-503") for url in failed]

    play([{"F": found, "A": absent, "U": unreachable}[letter] for letter in said], scenario)


def test_no_servers() -> None:
    async def scenario(pool: Pool, _servers: list[FaultServer]) -> None:
        assert await pool.lookup(ANNA.fingerprint) == Unreachable("no-keyservers")
        assert await pool.publish(ANNAS, ANNA.fingerprint) == []

    play([], scenario)


def test_fingerprints_in_every_spelling_and_nothing_else() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        spaced = " ".join(ANNA.fingerprint.upper()[at : at + 4] for at in range(0, 40, 4))
        assert await pool.lookup(f"0x{spaced}") == Found(WHOLE, servers[0].url)
        for wrong in ("", ANNA.key_id, "x" * 40, f"{ANNA.fingerprint}&op=index", "a" * 41):
            assert await pool.lookup(wrong) == Unreachable("not-a-fingerprint")
        assert len(servers[0].requests) == 1

    play([found], scenario)


@pytest.mark.parametrize("urls", [["hkp://a", "ldap://b"], ["hkp://a", "http://a:11371"]])
def test_wrong_and_double_servers(urls: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        Pool(urls)


def test_a_prompt_server_is_the_only_one_asked() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> list[int]:
        assert isinstance(await pool.lookup(ANNA.fingerprint), Found)
        return [len(server.requests) for server in servers]

    assert play([found, found, found], scenario) == [1, 0, 0]


def test_a_late_server_is_overtaken_and_let_go() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        assert await pool.lookup(ANNA.fingerprint) == Found(WHOLE, servers[1].url)
        await until(lambda: not servers[0].busy)
        assert [len(server.requests) for server in servers] == [1, 1, 0]
        assert isinstance(await pool.lookup(BERT.fingerprint), Found)
        assert len(servers[0].requests) == 1, "the one that was late is no longer asked first"

    everything = any_key({ANNA.fingerprint: ANNAS, BERT.fingerprint: BERTS})
    play([silent, everything, everything], scenario, PoolPolicy(timeout_seconds=20, hedge_seconds=0.3))


def test_a_failure_is_followed_by_the_next_server_at_once() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        assert await pool.lookup(ANNA.fingerprint) == Found(WHOLE, servers[2].url)
        assert await pool.lookup(ANNA.fingerprint) == Found(WHOLE, servers[2].url)
        assert [len(server.requests) for server in servers] == [1, 1, 2]

    play([unreachable, respond(200, enarmor(BERTS)), found], scenario)


def test_after_an_absent_all_others_are_asked_at_once() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        lookup = asyncio.create_task(pool.lookup(ANNA.fingerprint))
        await servers[1].seen(1)
        await servers[2].seen(1)
        assert not lookup.done()
        gates[0].opened.set()
        gates[1].opened.set()
        assert await lookup == Absent(tuple(server.url for server in servers))

    gates = [Gate(absent), Gate(absent)]
    play([absent, *gates], scenario)


def test_one_found_outweighs_every_absent() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        lookup = asyncio.create_task(pool.lookup(ANNA.fingerprint))
        await servers[2].seen(1)
        last.opened.set()
        assert isinstance(await lookup, Found)

    last = Gate(found)
    play([absent, absent, last], scenario)


def test_silence_ends_at_the_deadline() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        began = time.monotonic()
        answer = await pool.lookup(ANNA.fingerprint)
        assert time.monotonic() - began < 1 + 5
        assert answer == Unreachable("timeout", tuple(Cause(server.url, "timeout") for server in servers))
        assert [len(server.requests) for server in servers] == [1, 1]

    play([silent, silent], scenario, PoolPolicy(timeout_seconds=1, hedge_seconds=0.05))


def test_a_silent_server_does_not_turn_two_absents_into_a_timeout() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        assert await pool.lookup(ANNA.fingerprint) == Absent((servers[0].url, servers[2].url))

    play([absent, silent, absent], scenario, PoolPolicy(timeout_seconds=1.5))


def test_callers_of_one_fingerprint_share_one_request() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        callers = [asyncio.create_task(pool.lookup(ANNA.fingerprint)) for _ in range(50)]
        await servers[0].seen(1)
        gate.opened.set()
        assert await asyncio.gather(*callers) == [Found(WHOLE, servers[0].url)] * 50
        assert len(servers[0].requests) == 1
        await pool.lookup(ANNA.fingerprint)
        assert len(servers[0].requests) == 2, "what has landed is not kept"

    gate = Gate(found)
    play([gate], scenario)


def test_a_caller_who_leaves_does_not_take_the_others_along() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        leaving, staying = (asyncio.create_task(pool.lookup(ANNA.fingerprint)) for _ in range(2))
        await servers[0].seen(1)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        gate.opened.set()
        assert isinstance(await staying, Found)
        assert len(servers[0].requests) == 1

    gate = Gate(found)
    play([gate], scenario)


def test_the_waiting_room_is_bounded() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        flying = asyncio.create_task(pool.lookup(ANNA.fingerprint))
        await servers[0].seen(1)
        waiting = asyncio.create_task(pool.lookup(BERT.fingerprint))
        sharing = [asyncio.create_task(pool.lookup(ANNA.fingerprint)) for _ in range(3)]
        await asyncio.sleep(0)  # each of them takes its first step
        assert await pool.lookup(CLEO.fingerprint) == Unreachable("waiting-room-full")
        gate.opened.set()
        answers = await asyncio.gather(flying, waiting, *sharing)
        assert [type(answer) for answer in answers] == [Found, Found, Found, Found, Found]
        assert isinstance(await pool.lookup(CLEO.fingerprint), Absent)
        assert len(servers[0].requests) == 3

    gate = Gate(any_key({ANNA.fingerprint: ANNAS, BERT.fingerprint: BERTS}))
    play([gate], scenario, PoolPolicy(timeout_seconds=20, flights=1, waiting=1))


def test_no_more_than_so_many_are_in_the_air() -> None:
    most = 0

    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        async def watched(_request: Request, writer: asyncio.StreamWriter) -> None:
            nonlocal most
            most = max(most, servers[0].busy)
            await asyncio.sleep(0.01)  # time for more to come
            await absent(_request, writer)

        servers[0].behaviour = watched
        answers = await asyncio.gather(*(pool.lookup(f"{number:040x}") for number in range(30)))
        assert {type(answer) for answer in answers} == {Absent}

    play([absent], scenario, PoolPolicy(timeout_seconds=20, flights=4))
    assert 1 < most <= 5, "four, and the last one's connection may still be closing"


def test_a_full_house_of_silence_ends_at_the_deadline() -> None:
    async def scenario(pool: Pool, _servers: list[FaultServer]) -> None:
        began = time.monotonic()
        answers = await asyncio.gather(*(pool.lookup(f"{number:040x}") for number in range(20)))
        assert time.monotonic() - began < 0.3 + 5
        reasons = [answer.reason for answer in answers if isinstance(answer, Unreachable)]
        assert len(reasons) == 20
        assert set(reasons) <= {"timeout", "waited-too-long", "waiting-room-full"}
        assert reasons.count("waiting-room-full") == 20 - 2 - 8

    play([silent], scenario, PoolPolicy(timeout_seconds=0.3, flights=2, waiting=8))


def failing_until(switch: asyncio.Event, then: Behaviour) -> Behaviour:
    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await (then if switch.is_set() else unreachable)(request, writer)

    return behave


def test_the_breaker_opens_probes_and_closes() -> None:
    clock = Clock()
    healed = asyncio.Event()
    gate = Gate(found)

    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        [server] = servers
        for number in range(3):
            answer = await pool.lookup(f"{number:040x}")
            assert answer == Unreachable("http-503", (Cause(server.url, "http-503"),))
        open_now = Unreachable("circuit-open", (Cause(server.url, "circuit-open"),))
        assert await pool.lookup(ANNA.fingerprint) == open_now
        clock.now += 4.9
        assert await pool.lookup(ANNA.fingerprint) == open_now
        assert len(server.requests) == 3
        clock.now += 0.1
        assert await pool.lookup(ANNA.fingerprint) != open_now
        clock.now += 5
        assert await pool.lookup(ANNA.fingerprint) == open_now, "the interval has doubled"
        clock.now += 5
        healed.set()
        probe = asyncio.create_task(pool.lookup(ANNA.fingerprint))
        await server.seen(5)
        assert await pool.lookup(BERT.fingerprint) == open_now, "one probe at a time"
        gate.opened.set()
        assert isinstance(await probe, Found)
        assert isinstance(await pool.lookup(ANNA.fingerprint), Found)

    play([failing_until(healed, gate)], scenario, breaker_policy=BreakerPolicy(3, 5), monotonic=clock)


def test_an_open_breaker_counts_as_unreachable_in_the_quorum() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        for _ in range(4):
            answer = await pool.lookup(ANNA.fingerprint)
            assert isinstance(answer, Unreachable)
        assert answer == Unreachable("circuit-open", (Cause(servers[0].url, "circuit-open"),))
        assert [len(server.requests) for server in servers] == [3, 4]

    play([unreachable, absent], scenario, monotonic=Clock())


def test_with_its_breaker_open_a_server_costs_nothing() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        for _ in range(10):
            assert isinstance(await pool.lookup(ANNA.fingerprint), Found)
        assert len(servers[0].requests) == 1
        assert len(servers[1].requests) == 10

    play([unreachable, found], scenario, breaker_policy=BreakerPolicy(failures=1))


@pytest.mark.parametrize("behaviour", [respond(200, enarmor(BERTS)), respond(500), respond(200, enarmor(ANNAS[:-3]))])
def test_what_a_sender_can_cause_never_opens_the_breaker(behaviour: Behaviour) -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        for _ in range(6):
            assert isinstance(await pool.lookup(ANNA.fingerprint), Unreachable)
        assert len(servers[0].requests) == 6

    play([behaviour], scenario)


def test_a_server_that_is_silent_until_the_deadline_opens_its_breaker() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        reasons = []
        while "circuit-open" not in reasons:
            answer = await pool.lookup(ANNA.fingerprint)
            assert isinstance(answer, Unreachable)
            reasons.append(answer.reason)
            assert len(reasons) < 20
        assert set(reasons[:-1]) == {"timeout"}
        assert len(servers[0].requests) == 2

    play([silent], scenario, PoolPolicy(timeout_seconds=0.2), breaker_policy=BreakerPolicy(failures=2))


def test_a_probe_that_was_overtaken_can_be_made_again() -> None:
    clock = Clock()
    healed = asyncio.Event()
    slow, other = Gate(absent), Gate(found)

    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        await pool.lookup(ANNA.fingerprint)  # the first fails and its breaker opens
        healed.set()
        clock.now += 10
        other.opened.clear()
        lookup = asyncio.create_task(pool.lookup(ANNA.fingerprint))
        await servers[0].seen(2)  # probed because the second is late
        other.opened.set()
        assert isinstance(await lookup, Found)
        slow.opened.set()
        clock.now += 0.1
        other.opened.clear()
        lookup = asyncio.create_task(pool.lookup(ANNA.fingerprint))
        await servers[0].seen(3)
        other.opened.set()
        await lookup

    other.opened.set()
    policy = PoolPolicy(timeout_seconds=20, hedge_seconds=0.05)
    play([failing_until(healed, slow), other], scenario, policy, breaker_policy=BreakerPolicy(1, 5), monotonic=clock)


def test_closing_answers_everybody() -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        callers = [asyncio.create_task(pool.lookup(ANNA.fingerprint)) for _ in range(3)]
        await servers[0].seen(1)
        await pool.aclose()
        assert await asyncio.gather(*callers) == [Unreachable("closed")] * 3
        assert await pool.lookup(ANNA.fingerprint) == Unreachable("closed")
        await pool.aclose()

    play([silent], scenario)


def test_the_tls_context_is_made_once_and_only_when_needed() -> None:
    made = []

    def make() -> ssl.SSLContext:
        made.append(1)
        return no_tls()

    async def run() -> None:
        async with FaultServer(found) as one:
            pool = Pool([one.url], tls=make)
            assert not made
            await pool.lookup(ANNA.fingerprint)
            await pool.lookup(ANNA.fingerprint)
            await pool.aclose()

    asyncio.run(run())
    assert len(made) == 1
