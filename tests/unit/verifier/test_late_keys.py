"""A key whose answer takes longer than a message waits is there for the next attempt, and told whole to scoring."""

from __future__ import annotations

import asyncio
import tempfile

from tests.unit.verifier.scripted import ABSENT, FOUND, FP, PACKETS, UNREACHABLE, Clock, play, turns
from trustgraph.keyserver.answer import LONG_ANSWER, Answer, Found, Unreachable
from trustgraph.openpgp.finding import LongCertificate
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.store import Store
from trustgraph.store.accepting import read_certificate
from trustgraph.verifier.keys import KeySource, KeyTimes, NoKey


class Slow:
    """Keyservers with a long answer, for the patient."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.ready = asyncio.Event()
        self.asked: list[bool] = []

    async def lookup(self, _fingerprint: str, *, patient: bool = False) -> Answer:
        self.asked.append(patient)
        if not patient and not self.ready.is_set():
            return Unreachable(LONG_ANSWER)
        await self.ready.wait()
        return self.answer


class Told:
    """What is told of found keys."""

    def __init__(self) -> None:
        self.found: list[bytes] = []
        self.long: list[LongCertificate] = []

    def on_found(self, _fingerprint: str, octets: bytes) -> None:
        self.found.append(octets)

    def on_long(self, _fingerprint: str, certificate: LongCertificate) -> None:
        self.long.append(certificate)


def long_certificate() -> LongCertificate:
    return LongCertificate(tempfile.TemporaryFile())


def test_it_comes_after_all_and_is_kept(store: Store) -> None:
    async def run() -> None:
        slow, told = Slow(Found(PACKETS, "hkp://one.example", long_certificate())), Told()
        source = KeySource(store, slow, KeyTimes(), Clock(), told.on_found, told.on_long)
        for _ in range(3):
            assert (await source.get(FP)).key is NoKey.UNREACHABLE
        await turns(lambda: slow.asked.count(True))
        assert slow.asked.count(True) == 1, "one waits for all"
        slow.ready.set()
        await source.settle()
        assert isinstance((await source.get(FP)).key, HostCertificate)
        assert read_certificate(store, FP) is not None
        assert (len(told.found), len(told.long)) == (0, 1)
        await source.aclose()

    play(run)


def test_one_that_fails_or_is_absent_in_the_end_changes_nothing(store: Store) -> None:
    async def run() -> None:
        for answer in (UNREACHABLE, ABSENT):
            slow = Slow(answer)
            source = KeySource(store, slow, KeyTimes(), Clock())
            assert (await source.get(FP)).key is NoKey.UNREACHABLE
            slow.ready.set()
            await source.settle()
            assert source.at_hand(FP) is None
            assert not source._late
            await source.aclose()

    play(run)


def test_a_short_one_and_who_takes_no_long_ones_get_the_octets(store: Store) -> None:
    async def run() -> None:
        for answer in (FOUND, Found(PACKETS, "hkp://one.example", long_certificate())):
            slow, told = Slow(answer), Told()
            slow.ready.set()
            on_long = told.on_long if answer is FOUND else None
            source = KeySource(store, slow, KeyTimes(positive_seconds=0), Clock(), told.on_found, on_long)
            assert isinstance((await source.get(FP)).key, HostCertificate)
            await source.settle()
            assert (told.found, told.long) == ([PACKETS], [])
            await source.aclose()

    play(run)
