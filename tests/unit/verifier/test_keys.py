"""Where a certificate comes from, how long an answer holds, and that nobody can hide a revocation."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.openpgp.openpgp_maker import certify
from tests.unit.verifier.scripted import (
    ABSENT,
    AT,
    FOUND,
    FOUND_REVOKED,
    FP,
    KEY,
    PACKETS,
    REVOKED,
    SMTP,
    UNREACHABLE,
    Clock,
    Keyservers,
    other_key,
    play,
    turns,
)
from trustgraph.errors import ServiceUnavailable, TrustgraphError
from trustgraph.keyserver.answer import Found
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.store import Store, open_store
from trustgraph.store.accepting import CachedCertificate, read_certificate, write_certificate
from trustgraph.verifier import keys
from trustgraph.verifier.keys import KeySource, KeyTimes, Lookup, NoKey

DAY = 86_400
TIMES = KeyTimes(positive_seconds=DAY, negative_seconds=900, stale_seconds=7 * DAY)
LIFETIME = DAY * (1 - 0.1 * int(FP[-4:], 16) / 0xFFFF)


class Source:
    """A KeySource with what it works with."""

    def __init__(
        self, store: Store, answer: object = FOUND, times: KeyTimes = TIMES, clock: Clock | None = None
    ) -> None:
        self.keyservers = Keyservers(answer)  # type: ignore[arg-type]
        self.clock = clock or Clock()
        self.found: list[tuple[str, bytes]] = []
        self.source = KeySource(store, self.keyservers, times, self.clock, lambda *what: self.found.append(what))

    async def get(self, *, may_ask: bool = True, settle: bool = True) -> Lookup:
        lookup = await self.source.get(FP, may_ask=may_ask)
        if settle:
            await self.source.settle()
        return lookup

    async def said(self, **how: bool) -> str:
        """One word for the answer, with a mark if keyservers were asked for it."""
        key, asked = await self.get(**how)
        word = key.value if isinstance(key, NoKey) else ("revoked" if key.revoked else "found")
        return word + ("!" if asked else "")


def test_a_found_key_is_asked_for_once_and_told_once(store: Store) -> None:
    s = Source(store)

    async def run() -> None:
        assert [await s.said() for _ in range(3)] == ["found!", "found", "found"]
        assert s.keyservers.asked == [FP]
        assert s.found == [(FP, PACKETS)]

    play(run)


def test_it_survives_a_restart_and_keeps_its_age(store: Store) -> None:
    clock = Clock()

    async def run() -> None:
        await Source(store, clock=clock).get()
        clock.now += int(LIFETIME) - 10
        again = Source(store, UNREACHABLE, clock=clock)
        assert await again.said(settle=False) == "found"
        clock.now += 20
        last = Source(store, UNREACHABLE, clock=clock)
        assert await last.said() == "found!"
        assert last.keyservers.asked == [FP]

    play(run)


def test_near_its_end_it_is_refreshed_in_the_background(store: Store) -> None:
    s = Source(store)

    async def run() -> None:
        await s.get()
        s.clock.now += int(LIFETIME * 0.79)
        assert await s.said() == "found"
        assert len(s.keyservers.asked) == 1
        s.clock.now += int(LIFETIME * 0.02)
        s.keyservers.answer = FOUND_REVOKED
        s.keyservers.hold()
        assert [await s.said(settle=False) for _ in range(3)] == ["found"] * 3  # nobody waits for it
        await turns(lambda: s.keyservers.waiting)
        s.keyservers.release()
        await s.source.settle()
        assert len(s.keyservers.asked) == 2
        assert await s.said() == "revoked"

    play(run)


def test_a_refresh_that_fails_is_not_tried_with_every_message(store: Store) -> None:
    s = Source(store)

    async def run() -> None:
        await s.get()
        s.clock.now += int(LIFETIME * 0.9)
        s.keyservers.answer = UNREACHABLE
        assert [await s.said() for _ in range(5)] == ["found"] * 5
        assert len(s.keyservers.asked) == 2
        s.clock.now += 30
        assert await s.said() == "found"
        assert len(s.keyservers.asked) == 3

    play(run)


def test_expired_it_is_asked_for_and_serves_on_while_nobody_can_say(store: Store) -> None:
    s = Source(store)

    async def run() -> None:
        await s.get()
        s.keyservers.answer = UNREACHABLE
        s.clock.now += DAY + 1
        assert await s.said() == "found!"
        assert [await s.said() for _ in range(3)] == ["found"] * 3  # the retry interval
        s.clock.now += 29
        assert await s.said() == "found"
        s.clock.now += 1
        assert await s.said() == "found!"
        s.clock.now += 6 * DAY - 32
        assert await s.said() == "found!"
        s.clock.now += 30
        assert await s.said() == "unreachable!"  # 7 days old
        assert len(s.found) == 1

    play(run)


def test_a_key_that_was_found_is_not_absent_before_the_stale_limit(store: Store) -> None:
    s = Source(store)

    async def run() -> None:
        await s.get()
        s.keyservers.answer = ABSENT
        s.clock.now += DAY + 1
        assert [await s.said(), await s.said()] == ["found!", "found"]
        s.clock.now += 7 * DAY
        assert [await s.said(), await s.said()] == ["absent!", "absent"]  # and the negative TTL holds then too

    play(run)


def test_absent_holds_for_the_negative_ttl_and_leaves_nothing_on_disk(store: Store) -> None:
    s = Source(store, ABSENT)

    async def run() -> None:
        assert [await s.said(), await s.said()] == ["absent!", "absent"]
        s.clock.now += 899
        assert await s.said() == "absent"
        s.clock.now += 1
        s.keyservers.answer = FOUND
        assert await s.said() == "found!"

    play(run)
    play(Source(store, ABSENT, times=KeyTimes(DAY, 900, 7 * DAY)).get)
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM cached_certificate").scalar()
    assert rows == 1


def test_unreachable_is_never_remembered_and_never_absent(store: Store) -> None:
    s = Source(store, UNREACHABLE)

    async def run() -> None:
        assert [await s.said() for _ in range(3)] == ["unreachable!"] * 3
        assert len(s.keyservers.asked) == 3

    play(run)


def test_a_ttl_of_0_turns_caching_off(store: Store) -> None:
    off = Source(store, times=KeyTimes(positive_seconds=0, negative_seconds=900, stale_seconds=7 * DAY))
    no_negatives = Source(store, ABSENT, times=KeyTimes(DAY, 0, 7 * DAY))

    async def run() -> None:
        assert [await off.said(), await off.said()] == ["found!", "found!"]
        off.keyservers.answer = UNREACHABLE
        assert await off.said() == "unreachable!"
        assert read_certificate(store, FP) is None
        assert [await no_negatives.said(), await no_negatives.said()] == ["absent!", "absent!"]

    play(run)


def test_who_may_not_ask_asks_nobody(store: Store) -> None:
    s = Source(store)

    async def run() -> None:
        assert await s.said(may_ask=False) == "unreachable"
        await s.get()
        s.clock.now += DAY + 1
        assert await s.said(may_ask=False) == "found"
        s.clock.now += 7 * DAY
        assert await s.said(may_ask=False) == "unreachable"
        assert s.keyservers.asked == [FP]

    play(run)


def test_a_revocation_stays_whatever_a_keyserver_leaves_out(store: Store) -> None:
    clock = Clock()

    async def run() -> None:
        s = Source(store, FOUND_REVOKED, clock=clock)
        assert await s.said() == "revoked!"
        s.keyservers.answer = FOUND
        clock.now += DAY + 1
        assert await s.said() == "revoked!"
        restarted = Source(store, FOUND, clock=clock)
        clock.now += DAY + 1
        assert await restarted.said() == "revoked!"
        assert read_host_certificate([_kept(store)], FP, clock()).revoked

    play(run)


def test_a_copy_that_left_memory_is_merged_all_the_same(store: Store) -> None:
    s = Source(store, FOUND_REVOKED)

    async def run() -> None:
        await s.get()
        s.clock.now += DAY + 1
        s.keyservers.answer = FOUND
        s.keyservers.hold()
        asking = asyncio.ensure_future(s.source.get(FP))
        await turns(lambda: s.keyservers.waiting)
        s.source._held.clear()
        s.keyservers.release()
        key = (await asking).key
        assert isinstance(key, HostCertificate)
        assert key.revoked

    play(run)


def _kept(store: Store) -> bytes:
    row = read_certificate(store, FP)
    assert row is not None
    return row.octets


def test_what_another_process_found_out_is_taken_over(store: Store) -> None:
    clock = Clock()
    one, other = Source(store, clock=clock), Source(store, FOUND_REVOKED, clock=clock)

    async def run() -> None:
        assert await one.said() == "found!"
        for learnt in (1, 0):  # what it wrote itself is read again once
            clock.now += 100
            assert await one.source.learn() == learnt
            assert await one.said() == "found"
        await other.source.refetch(FP)
        assert await one.said() == "found"
        assert await one.source.learn() == 1
        assert await one.said() == "revoked"

    play(run)


def test_a_key_that_another_process_found_is_no_longer_absent(store: Store) -> None:
    clock = Clock()
    one, other = Source(store, ABSENT, clock=clock), Source(store, FOUND, clock=clock)

    async def run() -> None:
        assert await one.said() == "absent!"
        await other.get()
        await one.source.learn()
        assert await one.said() == "found"

    play(run)


def test_what_was_missed_while_the_store_was_away_is_learnt_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    one, other = Source(store, clock=clock), Source(store, FOUND_REVOKED, clock=clock)

    def away(*_: object) -> list[str]:
        raise ServiceUnavailable("away")

    async def run() -> None:
        await one.get()
        await other.source.refetch(FP)
        with monkeypatch.context() as patch:
            patch.setattr(keys, "changed_since", away)
            for _ in range(20):
                clock.now += 60
                with pytest.raises(ServiceUnavailable):
                    await one.source.learn()
        await one.source.learn()
        assert await one.said() == "revoked"

    play(run)


def test_two_processes_that_write_at_once_lose_neither_revocation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the reading of the row and the writing of it, the other one writes."""
    between: list[Callable[[], object]] = [
        lambda: write_certificate(store, CachedCertificate(FP, cut(REVOKED), Clock()())),
    ]

    def read(of: Store, fingerprint: str) -> CachedCertificate | None:
        row = read_certificate(of, fingerprint)
        if between:
            between.pop()()
        return row

    async def run() -> None:
        s = Source(store)
        s.source._held.keep(FP, keys._Held(read_host_certificate([PACKETS], FP, s.clock()), s.clock()))
        monkeypatch.setattr(keys, "read_certificate", read)
        await s.source._keep(FP)
        assert between == []
        assert read_host_certificate([_kept(store)], FP, s.clock()).revoked
        assert await s.said() == "revoked"

    play(run)


def cut(packets: bytes) -> bytes:
    return read_host_certificate([packets], FP, Clock()()).octets


def test_a_certificate_is_written_over_the_copy_it_was_made_from_only(store: Store) -> None:
    now = Clock()()
    first, second = cut(PACKETS), cut(REVOKED)
    assert write_certificate(store, CachedCertificate(FP, first, now))
    assert write_certificate(store, CachedCertificate(FP, first, now))
    assert not write_certificate(store, CachedCertificate(FP, second, now))
    assert not write_certificate(store, CachedCertificate(FP, second, now), b"another")
    assert _kept(store) == first
    assert write_certificate(store, CachedCertificate(FP, second, now), first)
    assert _kept(store) == second


def test_what_could_not_be_kept_is_kept_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    s = Source(store, FOUND_REVOKED)

    def full(*_: object) -> bool:
        raise ServiceUnavailable("disk full")

    async def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(keys, "write_certificate", full)
            assert await s.said(settle=False) == "revoked!"
            with pytest.raises(ServiceUnavailable, match="disk full"):
                await s.source.settle()
            with pytest.raises(ServiceUnavailable, match="disk full"):
                await s.source.learn()
        assert read_certificate(store, FP) is None
        await s.source.learn()
        assert cut(_kept(store)) == cut(REVOKED)
        assert await s.said() == "revoked"

    play(run)


def test_those_who_wait_share_one_question_and_one_answer(store: Store) -> None:
    s = Source(store)

    async def run() -> None:
        s.keyservers.hold()
        waiting = [asyncio.ensure_future(s.source.get(FP)) for _ in range(20)]
        await turns(lambda: s.keyservers.waiting)
        waiting[0].cancel()
        waiting[7].cancel()
        await turns(waiting[7].done)
        s.keyservers.release()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        await s.source.settle()
        assert sum(isinstance(one, asyncio.CancelledError) for one in ended) == 2
        assert sum(isinstance(one, Lookup) and isinstance(one.key, HostCertificate) for one in ended) == 18
        assert s.keyservers.asked == [FP]
        assert len(s.found) == 1

    play(run)


def test_a_question_outlives_the_only_one_who_asked_it(store: Store) -> None:
    s = Source(store)

    async def run() -> None:
        s.keyservers.hold()
        waiting = asyncio.ensure_future(s.source.get(FP))
        await turns(lambda: s.keyservers.waiting)
        waiting.cancel()
        await turns(waiting.done)
        s.keyservers.release()
        await s.source.settle()
        assert await s.said() == "found"

    play(run)


def test_closing_ends_what_is_under_way(store: Store) -> None:
    s = Source(store)

    async def run() -> None:
        s.keyservers.hold()
        waiting = asyncio.ensure_future(s.source.get(FP))
        await turns(lambda: s.keyservers.waiting)
        await s.source.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert s.source._tasks == set()

    play(run)


def test_an_old_row_that_comes_late_does_not_replace_a_newer_copy(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = Source(store)
    write_certificate(store, CachedCertificate(FP, cut(PACKETS), s.clock()))
    newer = read_host_certificate([PACKETS, REVOKED], FP, s.clock())

    def read(of: Store, fingerprint: str) -> CachedCertificate | None:
        row = read_certificate(of, fingerprint)
        s.source._held.keep(FP, keys._Held(newer, s.clock()))  # somebody else found it meanwhile
        return row

    monkeypatch.setattr(keys, "read_certificate", read)
    assert play(s.said) == "revoked"


def test_a_time_of_finding_in_the_future_keeps_nobody_from_asking(store: Store) -> None:
    s = Source(store, FOUND_REVOKED)
    write_certificate(store, CachedCertificate(FP, cut(PACKETS), s.clock()))
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE cached_certificate SET found_at = found_at + 1000000000")

    async def run() -> None:
        assert await s.said() == "found"
        s.clock.now += DAY + 1
        assert await s.said() == "revoked!"

    play(run)


@pytest.mark.parametrize("octets", [b"", b"\x00" * 40, b"-----BEGIN", other_key("mx.other.example")[1]])
def test_a_row_that_is_not_the_certificate_raises(store: Store, octets: bytes) -> None:
    write_certificate(store, CachedCertificate(FP, octets, Clock()()))
    s = Source(store, ABSENT)
    with pytest.raises(ServiceUnavailable, match=f"cached_certificate {FP} is damaged"):
        play(s.get)
    assert s.keyservers.asked == []


def test_a_store_that_does_not_answer_raises(database: Path) -> None:
    store = open_store(f"sqlite:///{database}")
    with sqlite3.connect(database) as other:
        other.execute("DROP TABLE cached_certificate")
    s = Source(store, ABSENT)
    with pytest.raises(TrustgraphError):
        play(s.get)
    with pytest.raises(TrustgraphError):
        play(s.source.learn)
    store.close()


def test_what_a_lookup_raises_is_raised(store: Store) -> None:
    s = Source(store, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        play(s.get)


def test_a_failure_to_pass_a_key_on_costs_no_message(store: Store) -> None:
    s = Source(store)

    def full(_fingerprint: str, _octets: bytes) -> None:
        raise OSError("disk full")

    s.source._on_found = full

    async def run() -> None:
        assert await s.said(settle=False) == "found!"
        with pytest.raises(OSError, match="disk full"):
            await s.source.settle()
        assert await s.said() == "found"
        with pytest.raises(OSError, match="disk full"):  # whoever fetches on purpose is told
            await s.source.refetch(FP)

    play(run)


def test_memory_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_CERTIFICATES", 5)
    monkeypatch.setattr(keys, "MAX_ABSENT", 7)
    s = Source(store, ABSENT)
    many = [other_key(f"mx{number}.example") for number in range(8)]
    s.keyservers.by_key = {key.fingerprint: Found(packets, "hkp://one.example") for key, packets in many}

    async def run() -> None:
        for number in range(50):
            await s.source.get(f"{number:040x}")
        for key, _ in many:
            assert isinstance((await s.source.get(key.fingerprint)).key, HostCertificate)
        await s.source.settle()
        assert (len(s.source._held), len(s.source._absent)) == (5, 7)
        assert not s.source._flights
        assert not s.source._tasks
        assert not s.source._unkept
        asked = len(s.keyservers.asked)
        assert isinstance((await s.source.get(many[0][0].fingerprint)).key, HostCertificate)  # the store has the rest
        assert len(s.keyservers.asked) == asked

    play(run)


def test_what_others_say_of_a_key_is_passed_on_but_not_cached(store: Store) -> None:
    other, _ = other_key("mx.other.example")
    flooded = PACKETS + certify(other, KEY, SMTP, at=AT)
    s = Source(store, Found(flooded, "hkp://one.example"))
    play(s.get)
    assert s.found == [(FP, flooded)]
    assert _kept(store) == cut(PACKETS)
