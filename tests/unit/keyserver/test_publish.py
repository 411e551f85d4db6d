"""A certificate is published where it can be read back whole, and nowhere else, whatever the server says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.unit.keyserver.fault_server import ANNA, ANNAS, BERT, Behaviour, FaultServer, Request, respond, silent
from tests.unit.keyserver.playing import play
from tests.unit.openpgp.openpgp_maker import certificate, certify, packet, user_id
from trustgraph.errors import BadInput
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.keyserver.publish import Published
from trustgraph.keyserver.server import ServerPolicy
from trustgraph.openpgp.transferable import enarmor, find_certificate, statements

CERTIFIED = certificate(ANNA, "smtp://anna.example.org", others=certify(BERT, ANNA, "smtp://anna.example.org"))


class MemoryServer:
    """Keeps what ``keep`` makes of what is submitted; answers ``status`` to it; shows it after ``looks`` questions."""

    def __init__(
        self, keep: Callable[[bytes], bytes | None] = lambda blob: blob, status: int = 200, looks: int = 0
    ) -> None:
        self.held: bytes | None = None
        self._keep = keep
        self._status = status
        self._looks = looks

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            blob = find_certificate(request.form["keytext"].encode(), ANNA.fingerprint)
            assert blob is not None
            self.held = self._keep(blob)
            await respond(self._status)(request, writer)
            return
        self._looks -= 1
        shown = self.held if self._looks < 0 else None
        await (respond(200, enarmor(shown)) if shown else respond(404))(request, writer)


def without_certifications(_blob: bytes) -> bytes:
    return ANNAS


def with_more(blob: bytes) -> bytes:
    return blob + user_id("more") + certify(ANNA, ANNA, "more", type=0x13)


def publish(
    behaviours: list[Behaviour],
    blob: bytes = CERTIFIED,
    policy: PoolPolicy | None = None,
    server_policy: ServerPolicy | None = None,
) -> list[Published]:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> list[Published]:
        published = await pool.publish(blob, ANNA.fingerprint)
        assert [one.server for one in published] == [server.url for server in servers]
        return published

    return play(behaviours, scenario, policy or PoolPolicy(), server_policy or ServerPolicy())


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (MemoryServer(), ""),
        (MemoryServer(with_more), ""),
        (MemoryServer(looks=2), ""),
        (MemoryServer(status=500), ""),
        (MemoryServer(lambda _blob: None), "absent"),
        (MemoryServer(lambda _blob: None, status=403), "http-403"),
        (MemoryServer(without_certifications), "incomplete"),
        (respond(200, b"thanks"), "no-certificate"),
        (respond(503), "http-503"),
    ],
    ids=["keeps", "has-more", "slow", "says-500", "drops", "refuses", "strips", "chatters", "busy"],
)
def test_only_what_can_be_read_back_is_published(server: Behaviour, reason: str) -> None:
    [published] = publish([server], policy=PoolPolicy(publish_pauses=(0.0, 0.01, 0.01)))
    assert (published.ok, published.reason) == (not reason, reason)


def test_each_server_is_told_about() -> None:
    short = ServerPolicy(total_seconds=0.3)
    published = publish([MemoryServer(), silent, MemoryServer()], server_policy=short)
    assert [(one.ok, one.reason) for one in published] == [(True, ""), (False, "timeout"), (True, "")]


def test_the_whole_is_bounded() -> None:
    began = time.monotonic()
    [published] = publish([silent], policy=PoolPolicy(publish_seconds=0.3))
    assert (published.ok, published.reason) == (False, "timeout")
    assert time.monotonic() - began < 0.3 + 5
    [published] = publish([MemoryServer(lambda _blob: None)], policy=PoolPolicy(publish_seconds=0.5))
    assert (published.ok, published.reason) == (False, "absent")
    assert time.monotonic() - began < 0.3 + 0.5 + 5


def test_nothing_but_the_public_certificate_leaves_the_house() -> None:
    server = MemoryServer()
    dressed = certificate(BERT, "decoy") + CERTIFIED + packet(17, b"photo")
    [published] = publish([server], enarmor(dressed))
    assert published.ok
    assert server.held is not None
    assert statements(server.held) == statements(find_certificate(CERTIFIED, ANNA.fingerprint) or b"")


@pytest.mark.parametrize(
    "blob", [packet(5, ANNA.body + b"\0secret") + user_id("a"), certificate(BERT, "b"), b"", CERTIFIED[:-3]]
)
def test_what_is_not_that_certificate_is_not_sent(blob: bytes) -> None:
    async def scenario(pool: Pool, servers: list[FaultServer]) -> None:
        with pytest.raises(BadInput):
            await pool.publish(blob, ANNA.fingerprint)
        assert not servers[0].requests

    play([MemoryServer()], scenario)
