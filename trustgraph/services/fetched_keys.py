"""Certificates asked of keyservers into the store, with what others say of them: all of it, however much it is."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trustgraph.ingest.keys import KeyringCounts, Progress
from trustgraph.keyserver.answer import Absent, Answer, Found
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.keyserver.server import ServerPolicy
from trustgraph.model import UnixSeconds
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.settings import Settings
from trustgraph.store import Store

#: Nobody's mail waits for this.
_PATIENT = PoolPolicy(timeout_seconds=30.0, flights=4, waiting=1_000_000, long_flights=4, long_seconds=120.0)


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """What came of it. ``counts`` is None when nothing was found; the others are fingerprints that were asked for.

    ``unreachable`` are with the reason, a word for each.
    """

    counts: KeyringCounts | None
    absent: tuple[str, ...]
    unreachable: tuple[tuple[str, str], ...]


def ingest_from_keyservers(
    store: Store,
    settings: Settings,
    servers: Sequence[str],
    fingerprints: Sequence[str],
    now: UnixSeconds,
    progress: Progress | None = None,
) -> FetchedKeys:
    """Fetch certificates by full fingerprint and ingest them together, so that they verify each other's signatures.

    ``servers`` are as an operator writes them. Raises :class:`ConfigurationError` for one that is none, and what
    ingesting raises.
    """
    with tempfile.TemporaryDirectory(prefix="trustgraph-") as name:
        folder = Path(name)
        answers = asyncio.run(_fetch(settings, servers, list(dict.fromkeys(fingerprints)), folder))
        files = sorted(folder.glob("*.pgp"))
        counts = ingest_keyrings(store, settings, files, now, progress) if files else None
    return FetchedKeys(
        counts,
        tuple(one for one, answer in answers.items() if isinstance(answer, Absent)),
        tuple((one, answer.reason) for one, answer in answers.items() if not isinstance(answer, Found | Absent)),
    )


async def _fetch(
    settings: Settings, servers: Sequence[str], fingerprints: Sequence[str], folder: Path
) -> dict[str, Answer]:
    """The answers; what was found lies in the folder."""
    bounds = ServerPolicy(
        connect_seconds=10.0,
        read_seconds=20.0,
        total_seconds=25.0,
        max_body_bytes=settings.keyservers.max_answer_bytes,
        long_seconds=120.0,
        scratch=folder,
    )
    pool = Pool(servers, _PATIENT, bounds)
    turns = asyncio.Semaphore(_PATIENT.flights)

    async def one(fingerprint: str) -> Answer:
        async with turns:
            answer = await pool.lookup(fingerprint, patient=True)
        if isinstance(answer, Found):
            with (folder / f"{fingerprint}.pgp").open("wb") as file:
                if answer.long:
                    answer.long.copy_to(file)
                else:
                    file.write(answer.certificate)
            return Found(b"", answer.server)
        return answer

    try:
        return dict(zip(fingerprints, await asyncio.gather(*map(one, fingerprints)), strict=True))
    finally:
        await pool.aclose()
