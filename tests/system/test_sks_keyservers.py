"""The pool against real SKS keyservers that gossip: publishing, finding elsewhere, and losing one and then both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tests.sks import SksNode, gossiping_nodes
from trustgraph.keyserver.answer import Absent, Answer, Cause, Found, Unreachable
from trustgraph.keyserver.breaker import BreakerPolicy
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.keyserver.publish import Published
from trustgraph.keyserver.server import ServerPolicy
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.making import SecretHostKey, certify, export_public, new_host_key
from trustgraph.openpgp.transferable import find_certificate, statements

BORN = UnixSeconds(1_700_000_000)

#: Gossip takes 3 to 16 seconds on an idle machine.
GOSSIP_SECONDS = 90.0

# A busy machine is no reason to fail; what takes longer than usual is tested against servers that misbehave.
PATIENT = PoolPolicy(timeout_seconds=40)
SERVER = ServerPolicy(connect_seconds=10, read_seconds=20, total_seconds=30)
NEVER_OPEN = BreakerPolicy(failures=1_000_000)


def host_key(name: str) -> SecretHostKey:
    return new_host_key(f"{name}.example.org", BORN, seed=name.encode().ljust(32, b"."))


def certificate(key: SecretHostKey, *certifiers: SecretHostKey) -> bytes:
    subject = key.certificate()
    for number, certifier in enumerate(certifiers):
        certify(certifier, subject, subject.user_ids[0], UnixSeconds(BORN + 1000 + number))
    return export_public(subject)


async def lookup(nodes: list[SksNode], fingerprint: str) -> Answer:
    pool = Pool([node.url for node in nodes], PATIENT, SERVER, NEVER_OPEN)
    try:
        return await pool.lookup(fingerprint)
    finally:
        await pool.aclose()


async def publish(nodes: list[SksNode], key: SecretHostKey, blob: bytes) -> list[Published]:
    pool = Pool([node.url for node in nodes], PATIENT, SERVER, NEVER_OPEN)
    try:
        return await pool.publish(blob, key.fingerprint)
    finally:
        await pool.aclose()


async def gossiped(node: SksNode, fingerprint: str) -> Found:
    """The answer of one node, once another has told it."""
    deadline = time.monotonic() + GOSSIP_SECONDS
    while not isinstance(answer := await lookup([node], fingerprint), Found):
        assert isinstance(answer, Absent)
        assert time.monotonic() < deadline, "not gossiped"
        await asyncio.sleep(0.1)
    return answer


def assert_same(answer: Answer, key: SecretHostKey, blob: bytes) -> None:
    assert isinstance(answer, Found)
    own = find_certificate(blob, key.fingerprint)
    assert own is not None
    assert statements(answer.certificate) == statements(own)


def test_what_one_keyserver_was_told_is_found_through_the_others(require: Callable[[str], str], tmp_path: Path) -> None:
    anna, bert, cleo = (host_key(name) for name in ("anna", "bert", "cleo"))
    annas, cleos = certificate(anna, bert), certificate(cleo, anna, bert)

    async def story(nodes: list[SksNode]) -> None:
        first, second = nodes
        [published] = await publish([first], anna, annas)
        assert published.ok, published
        assert_same(await gossiped(second, anna.fingerprint), anna, annas)
        assert_same(await lookup(nodes, anna.fingerprint), anna, annas)

        first.kill()
        assert_same(await lookup(nodes, anna.fingerprint), anna, annas)
        half = await lookup(nodes, bert.fingerprint)
        assert isinstance(half, Unreachable), "one server alone may not have heard yet"
        assert [cause.reason for cause in half.causes] == ["connect-refused"]
        dead, alive = await publish(nodes, cleo, cleos)
        assert (dead.ok, dead.reason, alive.ok) == (False, "connect-refused", True)

        first.start()
        assert_same(await gossiped(first, cleo.fingerprint), cleo, cleos)

        first.kill()
        second.kill()
        answer = await lookup(nodes, anna.fingerprint)
        assert isinstance(answer, Unreachable)
        assert [cause.reason for cause in answer.causes] == ["connect-refused"] * 2

    with gossiping_nodes(require("sks"), tmp_path) as nodes:
        asyncio.run(story(nodes))


def test_absent_and_published_are_said_of_each(require: Callable[[str], str], tmp_path: Path) -> None:
    anna, bert = host_key("anna"), host_key("bert")
    annas = certificate(anna)

    async def story(nodes: list[SksNode]) -> None:
        bases = [node.url.replace("hkp", "http") for node in nodes]
        assert await lookup(nodes, anna.fingerprint) == Absent(tuple(bases))
        published = await publish(nodes, anna, annas)
        assert published == [Published(base, ok=True) for base in bases]
        for node in nodes:
            assert_same(await lookup([node], anna.fingerprint), anna, annas)
        with_more = certificate(anna, bert)
        assert [one.ok for one in await publish(nodes, anna, with_more)] == [True, True]
        for node in nodes:
            assert_same(await lookup([node], anna.fingerprint), anna, with_more)
        assert await lookup(nodes, bert.fingerprint) == Absent(tuple(bases))
        # SKS knows no version 6 and answers 500 to its fingerprints
        version_6 = await lookup(nodes, "6" * 64)
        assert version_6 == Unreachable("http-500", tuple(Cause(base, "http-500") for base in bases))

    with gossiping_nodes(require("sks"), tmp_path) as nodes:
        asyncio.run(story(nodes))
