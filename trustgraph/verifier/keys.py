"""A fingerprint to a host's certificate: from memory, else from the store, else from the keyservers.

Answers hold for a time, as in the DNS (positive and negative TTLs). A certificate that was found once serves while no
keyserver can say anything newer, up to a limit; an unreachable keyserver never becomes an absent key. A copy that is
fetched again is merged with the one at hand, so that nobody can hide a revocation, and what one process learns the
others take over from the store.

What is absent is remembered in memory only: a flood of made-up fingerprints leaves nothing on disk.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from trustgraph.errors import BadInput, ServiceUnavailable
from trustgraph.keyserver.answer import LONG_ANSWER, Absent, Answer, Found, Unreachable
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.finding import LongCertificate
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.store.accepting import CachedCertificate, changed_since, read_certificate, write_certificate
from trustgraph.store.engine import Store

#: Certificates and absences held in memory; the store has the rest of the former.
MAX_CERTIFICATES = 4096
MAX_ABSENT = 65_536

#: Past this share of the TTL an answer is asked for anew in the background, so that no message waits for it.
_REFRESH_SHARE = 0.8
_JITTER = 0.1

#: After an answer that was none, how long a stale certificate serves before keyservers are asked again.
_RETRY_SECONDS = 30

#: Clocks of processes may differ, and a change is seen only once it is committed, which may have to wait for a lock.
_OVERLAP_SECONDS = 60


class NoKey(Enum):
    """Why there is no certificate."""

    ABSENT = "absent"
    UNREACHABLE = "unreachable"


KeyAnswer: TypeAlias = HostCertificate | NoKey


class Lookup(NamedTuple):
    """An answer, and whether keyservers were asked for it."""

    key: KeyAnswer
    asked: bool


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """How long answers hold. 0 turns that kind of caching off; with ``positive_seconds`` 0 nothing is kept at all."""

    positive_seconds: float = 86_400.0
    negative_seconds: float = 900.0
    stale_seconds: float = 604_800.0


class Keyservers(Protocol):
    """Many servers, one answer; see :class:`trustgraph.keyserver.pool.Pool`."""

    async def lookup(self, fingerprint: str, *, patient: bool = False) -> Answer:
        """Found, Absent or Unreachable; ``patient`` waits for a long answer for longer than a message can."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    certificate: HostCertificate
    found_at: UnixSeconds


_Value = TypeVar("_Value")


class _Recent(OrderedDict[str, _Value], Generic[_Value]):
    """The most recently used entries, so many at most."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def find(self, name: str) -> _Value | None:
        found = self.get(name)
        if found is not None:
            self.move_to_end(name)
        return found

    def keep(self, name: str, value: _Value) -> None:
        self[name] = value
        self.move_to_end(name)
        if len(self) > self._limit:
            self.popitem(last=False)


class KeySource:
    """Belongs to one event loop. ``clock`` gives Unix seconds; ``on_found`` is told what a keyserver gave, whole.

    ``on_found`` is called off the accept path with the fingerprint and the certificate, certifications by others
    included, which scoring wants. Of one that is too long to be held these are left out, unless ``on_long`` takes it
    whole, in place of ``on_found``.
    """

    def __init__(
        self,
        store: Store,
        keyservers: Keyservers,
        times: KeyTimes,
        clock: Callable[[], UnixSeconds],
        on_found: Callable[[str, bytes], None] = lambda _fingerprint, _octets: None,
        on_long: Callable[[str, LongCertificate], None] | None = None,
    ) -> None:
        self._store = store
        self._keyservers = keyservers
        self._times = times
        self._clock = clock
        self._on_found = on_found
        self._on_long = on_long
        self._held: _Recent[_Held] = _Recent(MAX_CERTIFICATES)
        self._absent: _Recent[UnixSeconds] = _Recent(MAX_ABSENT)
        self._tried: _Recent[UnixSeconds] = _Recent(MAX_CERTIFICATES)
        self._flights: dict[str, asyncio.Task[KeyAnswer]] = {}
        self._unkept: set[str] = set()
        self._late: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._learnt_until = clock()

    def at_hand(self, fingerprint: str) -> KeyAnswer | None:
        """The answer in memory, if it still holds; starts a refresh when it will not for long."""
        now = self._clock()
        if held := self._held.find(fingerprint):
            age = now - held.found_at
            lifetime = self._lifetime(fingerprint)
            if age < lifetime:
                if age >= lifetime * _REFRESH_SHARE and not self._tried_lately(fingerprint, now):
                    self._flight(fingerprint)
                return held.certificate
            if self._tried_lately(fingerprint, now) and (stale := self._stale(fingerprint)):
                return stale
        since = self._absent.find(fingerprint)
        return NoKey.ABSENT if since is not None and now - since < self._times.negative_seconds else None

    async def get(self, fingerprint: str, *, may_ask: bool = True) -> Lookup:
        """The certificate, or why there is none; without ``may_ask`` no keyserver is asked and the answer may be stale.

        Raises what the store raises: a cache that cannot be read is not an absent key.
        """
        if answer := self.at_hand(fingerprint):
            return Lookup(answer, asked=False)
        await self._load(fingerprint)
        if answer := self.at_hand(fingerprint):
            return Lookup(answer, asked=False)
        if may_ask:
            return Lookup(await self._ask(fingerprint), asked=True)
        return Lookup(self._stale(fingerprint) or NoKey.UNREACHABLE, asked=False)

    async def refetch(self, fingerprint: str) -> Lookup:
        """The certificate as the keyservers have it now, merged with what is at hand, and kept.

        Raises what keeping it raises.
        """
        await self._load(fingerprint)
        lookup = Lookup(await self._ask(fingerprint), asked=True)
        await self.settle()
        return lookup

    async def settle(self) -> None:
        """Wait for all that goes on in the background. Raises what failed there, the first of it."""
        failures: list[BaseException] = []
        while self._tasks:
            ended = await asyncio.gather(*self._tasks, return_exceptions=True)
            failures += [one for one in ended if isinstance(one, BaseException)]
        if failures:
            raise failures[0]

    async def learn(self) -> int:
        """Take over what other processes found out since the last time; returns how many certificates were dropped.

        What could not be kept before is kept now. Raises what the store raises, and nothing is missed by that.
        """
        for fingerprint in list(self._unkept):
            await self._keep(fingerprint)
        now, since = self._clock(), UnixSeconds(self._learnt_until - _OVERLAP_SECONDS)
        changed = await asyncio.to_thread(changed_since, self._store, since)
        self._learnt_until = now
        for fingerprint in changed:
            self._absent.pop(fingerprint, None)
        return sum(self._held.pop(one, None) is not None for one in changed if one not in self._unkept)

    async def aclose(self) -> None:
        """End what goes on in the background."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _lifetime(self, fingerprint: str) -> float:
        """The positive TTL less up to a tenth, by fingerprint, so that keys fetched together do not expire together."""
        return self._times.positive_seconds * (1 - _JITTER * int(fingerprint[-4:], 16) / 0xFFFF)

    def _tried_lately(self, fingerprint: str, now: UnixSeconds) -> bool:
        return now - self._tried.get(fingerprint, UnixSeconds(-_RETRY_SECONDS)) < _RETRY_SECONDS

    def _stale(self, fingerprint: str) -> HostCertificate | None:
        held = self._held.find(fingerprint)
        if held is None or self._clock() - held.found_at >= self._times.stale_seconds:
            return None
        return held.certificate

    async def _load(self, fingerprint: str) -> None:
        """From the store into memory, unless memory has it."""
        if fingerprint in self._held or not self._times.positive_seconds:
            return
        row = await asyncio.to_thread(read_certificate, self._store, fingerprint)
        if row is None:
            return
        try:
            certificate = await self._read([row.octets], fingerprint)
        except BadInput as error:  # not what it is filed under: a broken store, and not an absent key
            raise ServiceUnavailable(f"the database's cached_certificate {fingerprint} is damaged: {error}") from None
        if fingerprint not in self._held:  # somebody may have found a newer one meanwhile
            self._held.keep(fingerprint, _Held(certificate, min(row.found_at, self._clock())))

    async def _ask(self, fingerprint: str) -> KeyAnswer:
        """One question for all who wait for its answer; who gives up does not take it away from the others."""
        return await asyncio.shield(self._flight(fingerprint))

    def _flight(self, fingerprint: str) -> asyncio.Task[KeyAnswer]:
        flight = self._flights.get(fingerprint)
        if flight is None:
            flight = self._flights[fingerprint] = self._spawn(self._asked(fingerprint))
            flight.add_done_callback(lambda _flight: self._flights.pop(fingerprint, None))
        return flight

    async def _asked(self, fingerprint: str) -> KeyAnswer:
        answer = await self._keyservers.lookup(fingerprint)
        if isinstance(answer, Found):
            return await self._take(fingerprint, answer)
        if isinstance(answer, Unreachable) and answer.reason == LONG_ANSWER and fingerprint not in self._late:
            self._late.add(fingerprint)
            self._spawn(self._take_late(fingerprint))
        if stale := self._stale(fingerprint):
            self._tried.keep(fingerprint, self._clock())
            return stale
        if isinstance(answer, Absent):
            self._absent.keep(fingerprint, self._clock())
            return NoKey.ABSENT
        return NoKey.UNREACHABLE

    async def _take_late(self, fingerprint: str) -> None:
        """The answer that came too late for the message which asked comes in time for its next attempt."""
        try:
            answer = await self._keyservers.lookup(fingerprint, patient=True)
            if isinstance(answer, Found):
                await self._take(fingerprint, answer)
        finally:
            self._late.discard(fingerprint)

    async def _take(self, fingerprint: str, found: Found) -> HostCertificate:
        """Merge a fetched copy with the one at hand, keep it, and pass it on."""
        await self._load(fingerprint)  # it may have left memory meanwhile
        held = self._held.find(fingerprint)
        copies = [*([held.certificate.octets] if held else []), found.certificate]
        certificate = await self._read(copies, fingerprint)
        self._absent.pop(fingerprint, None)
        if self._times.positive_seconds:
            self._held.keep(fingerprint, _Held(certificate, self._clock()))
            self._unkept.add(fingerprint)
            self._spawn(self._keep(fingerprint))
        self._spawn(asyncio.to_thread(self._pass_on, fingerprint, found))
        return certificate

    def _pass_on(self, fingerprint: str, found: Found) -> None:
        if found.long and self._on_long:
            self._on_long(fingerprint, found.long)
        else:
            self._on_found(fingerprint, found.certificate)

    async def _keep(self, fingerprint: str) -> None:
        """Into the store, merged with what another process may have put there, however often that happens meanwhile."""
        while held := self._held.get(fingerprint):
            row = await asyncio.to_thread(read_certificate, self._store, fingerprint)
            certificate, before = held.certificate, row.octets if row else None
            if before not in (None, certificate.octets):
                certificate = await self._read([before, certificate.octets], fingerprint)
            kept = CachedCertificate(fingerprint, certificate.octets, held.found_at)
            written = await asyncio.to_thread(write_certificate, self._store, kept, before, self._clock())
            if written and self._held.get(fingerprint) is held:
                self._held.keep(fingerprint, _Held(certificate, held.found_at))
                break
        self._unkept.discard(fingerprint)

    async def _read(self, copies: list[bytes], fingerprint: str) -> HostCertificate:
        return await asyncio.to_thread(read_host_certificate, copies, fingerprint, self._clock())

    def _spawn(self, work: Coroutine[Any, Any, _Value]) -> asyncio.Task[_Value]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # what fails in the background is tried again when it is next needed
