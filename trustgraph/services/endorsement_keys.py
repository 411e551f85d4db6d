"""Certificates of those to be endorsed: as the keyservers have them now, merged with what is known, and ingested.

A revocation has to be seen before anything is signed, so they are asked each time; a keyserver that cannot be reached
leaves what the cache has, for as long as the cache's answers hold.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from trustgraph.keyserver.answer import Absent, Answer
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.finding import LongCertificate
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.services.gate import key_times
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.verifier.keys import KeySource, NoKey

#: Lookups at once: below what the pool lets wait.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Copy:
    """A certificate, and if a keyserver gave it just now the packets as they came."""

    certificate: HostCertificate
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Copies:
    """By fingerprint: certificates, and why there is none. ``absent``: what keyservers have not, cached or not."""

    found: Mapping[str, Copy]
    missing: Mapping[str, NoKey]
    absent: Set[str] = frozenset()


class _Noting:
    """The keyservers, and of which keys they said that there is none: of a cached one the answer would not tell."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.absent: set[str] = set()

    async def lookup(self, fingerprint: str, *, patient: bool = False) -> Answer:
        answer = await self._pool.lookup(fingerprint, patient=patient)
        if isinstance(answer, Absent):
            self.absent.add(fingerprint)
        return answer


def open_pool(settings: Settings) -> Pool:
    """The configured keyservers."""
    return Pool(settings.keyservers.urls, PoolPolicy(timeout_seconds=settings.keyservers.timeout_seconds))


def fetch(store: Store, settings: Settings, fingerprints: Collection[str], now: UnixSeconds) -> Copies:
    """Ask the keyservers for certificates, keep them in the cache, and put all that they say into the network."""
    if not fingerprints:
        return Copies({}, {})
    with tempfile.TemporaryDirectory(prefix="trustgraph-") as name:
        folder = Path(name)
        copies = asyncio.run(_ask(store, settings, fingerprints, folder, now))
        for fingerprint, copy in copies.found.items():  # which may know of a revocation that the keyserver left out
            (folder / f"{fingerprint}.merged.pgp").write_bytes(copy.certificate.octets)
        if files := sorted(folder.glob("*.pgp")):
            ingest_keyrings(store, settings, files, now)
    return copies


async def _ask(
    store: Store, settings: Settings, fingerprints: Collection[str], folder: Path, now: UnixSeconds
) -> Copies:
    """The answers; certificates lie in the folder as keyservers gave them."""
    raw: dict[str, bytes] = {}
    found: dict[str, Copy] = {}
    missing: dict[str, NoKey] = {}

    def on_found(fingerprint: str, octets: bytes) -> None:
        raw[fingerprint] = octets
        (folder / f"{fingerprint}.pgp").write_bytes(octets)

    def on_long(fingerprint: str, certificate: LongCertificate) -> None:
        with (folder / f"{fingerprint}.pgp").open("wb") as file:
            certificate.copy_to(file)

    async def ask(fingerprint: str) -> None:
        async with places:
            key = (await source.refetch(fingerprint)).key
        if isinstance(key, HostCertificate):
            found[fingerprint] = Copy(key, raw.get(fingerprint))
        else:
            missing[fingerprint] = key

    pool = open_pool(settings)
    noting = _Noting(pool)
    source = KeySource(store, noting, key_times(settings), lambda: now, on_found, on_long)
    places = asyncio.Semaphore(_AT_ONCE)
    try:
        await asyncio.gather(*(ask(fingerprint) for fingerprint in sorted(fingerprints)))
    finally:
        await source.aclose()
        await pool.aclose()
    return Copies(found, missing, noting.absent)
