"""A settable clock and keyservers that say what a test tells them, with certificates to say it with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tests.unit.headersig.signed import AT, HOST, KEY, NOW, SMTP, host_packets
from tests.unit.openpgp.openpgp_maker import Key, ed25519_key, revoke_key
from trustgraph.keyserver.answer import Absent, Answer, Found, unreachable
from trustgraph.model import UnixSeconds

_T = TypeVar("_T")

FP = KEY.fingerprint
PACKETS = host_packets()
REVOCATION = revoke_key(KEY, at=AT)
REVOKED = KEY.packet + REVOCATION + PACKETS[len(KEY.packet) :]
FOUND = Found(PACKETS, "hkp://one.example")
FOUND_REVOKED = Found(REVOKED, "hkp://two.example")
ABSENT = Absent(("hkp://one.example", "hkp://two.example"))
UNREACHABLE = unreachable("hkp://one.example", "timeout")

__all__ = ["AT", "FP", "HOST", "KEY", "NOW", "SMTP"]


class Clock:
    """Unix seconds that stand still until they are moved."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> UnixSeconds:
        return UnixSeconds(self.now)


class Keyservers:
    """Answers every lookup with ``answer``, or with one of ``by_key``, and remembers what it was asked.

    With ``hold`` set nobody gets an answer before ``release`` is called.
    """

    def __init__(self, answer: Answer | Exception = UNREACHABLE) -> None:
        self.answer = answer
        self.by_key: dict[str, Answer] = {}
        self.asked: list[str] = []
        self._gate: asyncio.Event | None = None
        self.waiting = 0

    def hold(self) -> None:
        self._gate = asyncio.Event()

    def release(self) -> None:
        assert self._gate is not None
        self._gate.set()

    async def lookup(self, fingerprint: str, *, patient: bool = False) -> Answer:
        self.asked.append(fingerprint)
        if self._gate is not None:
            self.waiting += 1
            await self._gate.wait()
        answer = self.by_key.get(fingerprint, self.answer)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def turns(ready: Callable[[], Any], count: int = 100_000) -> None:
    """Let the event loop run until something is so."""
    for _ in range(count):
        if ready():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to be")


def play(scenario: Callable[[], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        return await asyncio.wait_for(scenario(), 30)

    return asyncio.run(run())


def other_key(name: str) -> tuple[Key, bytes]:
    """A host key of that name, and its certificate."""
    key = ed25519_key(name)
    return key, host_packets(key, f"smtp://{name}")
