"""Many keyservers, one answer, in bounded time and with bounded work.

A lookup is a flight; those who ask for a fingerprint that is in the air share it. The likeliest server is asked first,
another when that one is late or fails, and all when one of them says "none", since that has to be heard from each.

A flight whose answer proves to be long stays in the air after a message has given up waiting for it, so that what
anybody can hang on a key does not make it unreachable for good. Few may be long at a time, beside the others.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from trustgraph.errors import BadInput, ConfigurationError
from trustgraph.keyserver.answer import (
    LONG_ANSWER,
    OF_THE_REQUEST,
    Absent,
    Answer,
    Found,
    Unreachable,
    combine,
    unreachable,
)
from trustgraph.keyserver.breaker import Breaker, BreakerPolicy, Permit, State
from trustgraph.keyserver.latency import Latency
from trustgraph.keyserver.publish import Published, publish_to
from trustgraph.keyserver.server import KeyServer, ServerPolicy, now
from trustgraph.model import UnixSeconds, parse_fingerprint

#: Of a lookup's time, what its flight has: the rest is for making one answer of what there is before it is due.
_FLIGHT_SHARE = 0.9

#: A server that was given up on failed if it had at least this share of the time; another was asked too late.
_FAIR_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """Bounds of the whole: seconds for a lookup, before a second server is asked at the latest; lookups at once.

    ``flights`` fingerprints are looked up at a time, each over at most one connection a server; ``waiting`` more wait.
    ``long_flights`` more, whose answers are long, have ``long_seconds`` from when that is known.
    ``publish_seconds`` bounds a publication, ``publish_pauses`` are seconds before each look at what came of it.
    """

    timeout_seconds: float = 5.0
    hedge_seconds: float = 0.5
    flights: int = 32
    waiting: int = 256
    long_flights: int = 2
    long_seconds: float = 60.0
    publish_seconds: float = 30.0
    publish_pauses: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 2.0)


class Pool:
    """Belongs to one event loop; :meth:`aclose` ends it.

    ``urls`` are as an operator writes them, preferred first; raises :class:`ConfigurationError` for one that is none or
    is there twice. ``monotonic`` is for measuring latencies and breaker intervals, ``clock`` tells the time; ``tls``
    makes the context for https, by default from the system's certificates, once and when first needed, as that takes
    tens of milliseconds.
    """

    def __init__(
        self,
        urls: Sequence[str],
        policy: PoolPolicy | None = None,
        server_policy: ServerPolicy | None = None,
        breaker_policy: BreakerPolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        clock: Callable[[], UnixSeconds] = now,
    ) -> None:
        self._policy = policy or PoolPolicy()
        self._monotonic = monotonic
        self._make_tls = tls
        patience = self._policy.timeout_seconds * _FAIR_SHARE
        judging = asyncio.Semaphore()
        servers = [KeyServer(url, lambda: self._tls, server_policy, clock, judging) for url in urls]
        breakers = [Breaker(breaker_policy or BreakerPolicy()) for _ in servers]
        self._lines = [_Line(*pair, monotonic, patience) for pair in zip(servers, breakers, strict=True)]
        if len(set(self.servers)) < len(servers):
            raise ConfigurationError(f"keyservers: expected each server once, got {', '.join(self.servers)}")
        self._flights: dict[str, asyncio.Task[Answer]] = {}
        self._long: set[str] = set()
        self._places = asyncio.Semaphore(self._policy.flights)
        self._closed = False

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._make_tls()

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers' base URLs in the configured order."""
        return tuple(line.server.url for line in self._lines)

    async def lookup(self, fingerprint: str, *, patient: bool = False) -> Answer:
        """The certificate with this fingerprint, or that there is none, or that nobody could say, in bounded time.

        A long answer that is still under way when that is over is Unreachable with the reason ``LONG_ANSWER``; only who
        is ``patient`` waits for it. Cancelling it does not end the lookup for others who ask the same. Never raises.
        """
        try:
            wanted = parse_fingerprint(fingerprint)
        except BadInput:
            return Unreachable("not-a-fingerprint")
        if not self._lines:
            return Unreachable("no-keyservers")
        if self._closed:
            return Unreachable("closed")
        flight = self._flights.get(wanted)
        if flight is None:
            if len(self._flights) >= self._policy.flights + self._policy.waiting:
                return Unreachable("waiting-room-full")
            flight = self._flights[wanted] = asyncio.create_task(self._fly(wanted))
            flight.add_done_callback(lambda _flight: self._flights.pop(wanted, None))
        # not "await flight": a caller who is cancelled would take the flight with him
        await asyncio.wait([flight], timeout=self._policy.timeout_seconds)
        if patient and wanted in self._long:
            await asyncio.wait([flight], timeout=self._policy.long_seconds)
        if not flight.done():
            return Unreachable(LONG_ANSWER if wanted in self._long else "timeout")
        return Unreachable("closed") if flight.cancelled() else flight.result()

    async def publish(self, certificate: bytes, fingerprint: str) -> list[Published]:
        """Submit a certificate to every server and read it back from each, whatever the breakers say.

        Only public packets leave the house, and only those of the certificate named. Raises :class:`BadInput` when
        ``certificate`` (binary or armored) does not hold it.
        """
        servers = [line.server for line in self._lines]
        wanted, policy = parse_fingerprint(fingerprint), self._policy
        return await publish_to(servers, certificate, wanted, policy.publish_seconds, policy.publish_pauses)

    async def aclose(self) -> None:
        """End what is in the air; everybody who waits for it gets Unreachable."""
        self._closed = True
        await _end(self._flights.values())

    async def _fly(self, fingerprint: str) -> Answer:
        answers: dict[str, Answer] = {}
        place = _Place(self._places)
        try:
            async with asyncio.timeout(self._policy.timeout_seconds * _FLIGHT_SHARE) as deadline:
                await place.take()
                answers = {server: unreachable(server, "timeout") for server in self.servers}
                await self._ask(fingerprint, answers, lambda: self._may_be_long(fingerprint, deadline, place))
        except TimeoutError:
            if not answers:
                return Unreachable("waited-too-long")
            if fingerprint in self._long:
                return Unreachable(LONG_ANSWER)
        finally:
            place.leave()
            self._long.discard(fingerprint)
        return combine(answers)

    def _may_be_long(self, fingerprint: str, deadline: asyncio.Timeout, place: _Place) -> bool:
        """Whether there is room for a flight with a long answer; then it makes its own for others."""
        if fingerprint not in self._long:
            if len(self._long) >= self._policy.long_flights:
                return False
            self._long.add(fingerprint)
            place.leave()
            deadline.reschedule(asyncio.get_running_loop().time() + self._policy.long_seconds)
        return True

    async def _ask(self, fingerprint: str, answers: dict[str, Answer], may_be_long: Callable[[], bool]) -> None:
        """Fill ``answers`` until one is Found or all are in."""
        now = self._monotonic()
        waiting = deque(sorted(self._lines, key=lambda line: line.rank(now)))
        asked: dict[asyncio.Task[Answer], _Line] = {}
        at_once = 1
        try:
            while True:
                while waiting and len(asked) < at_once:
                    line = waiting.popleft()
                    asked[asyncio.create_task(line.ask(fingerprint, may_be_long))] = line
                if not asked:
                    return
                latest = next(reversed(asked.values()))
                patience = latest.latency.hedge_after(self._policy.hedge_seconds) if waiting else None
                done, _ = await asyncio.wait(asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    answer = answers[asked.pop(task).server.url] = task.result()
                    if isinstance(answer, Found):
                        return
                    if isinstance(answer, Absent):
                        at_once = len(self._lines)
                if not done:
                    at_once = len(asked) + 1
        finally:
            await _end(asked)


class _Line:
    """One server with what is known of it."""

    def __init__(self, server: KeyServer, breaker: Breaker, monotonic: Callable[[], float], patience: float) -> None:
        self.server = server
        self.breaker = breaker
        self.latency = Latency()
        self._monotonic = monotonic
        self._patience = patience

    def rank(self, now: float) -> tuple[bool, float]:
        """The smaller, the earlier it is asked."""
        return self.breaker.state(now) is not State.CLOSED, self.latency.cost(now)

    async def ask(self, fingerprint: str, may_be_long: Callable[[], bool]) -> Answer:
        """The server's answer, if the breaker lets the question through; remembers how it went."""
        began = self._monotonic()
        permit = self.breaker.enter(began)
        if permit is None:
            return unreachable(self.server.url, "circuit-open")
        length = _LengthAsked(may_be_long)
        try:
            answer = await self.server.lookup(fingerprint, length)
        except BaseException:
            if length.is_long:  # nobody's fault but that of who made it so
                self.breaker.abandon(permit)
            else:
                self._given_up(permit, self._monotonic(), self._monotonic() - began)
            raise
        now = self._monotonic()
        failed = isinstance(answer, Unreachable)
        if isinstance(answer, Unreachable) and answer.reason not in OF_THE_REQUEST:
            self.breaker.fail(now, permit)
        else:
            self.breaker.succeed()
        if failed:
            self.latency.failed(now)
        elif not length.is_long:
            self.latency.answered(now, now - began)
        return answer

    def _given_up(self, permit: Permit, now: float, seconds: float) -> None:
        """Another server was quicker, or the time was up: the fault of this one only if it had a good share of it."""
        self.latency.overtaken(now, seconds)
        if seconds >= self._patience:
            self.latency.failed(now)
            self.breaker.fail(now, permit)
        else:
            self.breaker.abandon(permit)


class _LengthAsked:
    """Remembers that leave for a long answer was asked."""

    def __init__(self, may_be_long: Callable[[], bool]) -> None:
        self.is_long = False
        self._may_be_long = may_be_long

    def __call__(self) -> bool:
        self.is_long = True
        return self._may_be_long()


class _Place:
    """One of the places for flights; left once, however often that is said."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._taken = False

    async def take(self) -> None:
        await self._places.acquire()
        self._taken = True

    def leave(self) -> None:
        if self._taken:
            self._taken = False
            self._places.release()


async def _end(tasks: Iterable[asyncio.Task[Answer]]) -> None:
    """Cancel tasks and see them end."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending)
