"""What was recorded goes to the keyservers, and is marked for each that gave it back; the rest is for the next run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from trustgraph.errors import BadInput
from trustgraph.keyserver.answer import Found
from trustgraph.keyserver.pool import Pool
from trustgraph.keyserver.publish import Published
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.attaching import attach
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.services.endorsement_keys import open_pool
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.accepting import read_certificate
from trustgraph.store.own_endorsements import Unpublished, mark_published, unpublished

#: Keys published at once; each is a connection to every keyserver.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Publication:
    """What came of one key's statements at one keyserver: ``ok`` when it gave all of them back, else ``reason``."""

    subject: str
    server: str
    ok: bool
    reason: str = ""


def publish(store: Store, settings: Settings, raw: Mapping[str, bytes], now: UnixSeconds) -> list[Publication]:
    """Publish all that some keyserver was not seen to have; ``raw`` are certificates that keyservers just gave."""

    async def run() -> list[Publication]:
        pool = open_pool(settings)
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(waiting: Unpublished) -> list[Publication]:
            async with places:
                return await _publish(store, pool, waiting, raw.get(waiting.subject), now)

        try:
            done = await asyncio.gather(*(one(waiting) for waiting in unpublished(store, pool.servers, now)))
        finally:
            await pool.aclose()
        return [publication for publications in done for publication in publications]

    return asyncio.run(run())


def count_unpublished(store: Store, settings: Settings, now: UnixSeconds) -> int:
    """Keys about which some configured keyserver was not yet seen to have everything."""
    servers = open_pool(settings).servers
    return len(unpublished(store, servers, now))


async def _publish(
    store: Store, pool: Pool, waiting: Unpublished, raw: bytes | None, now: UnixSeconds
) -> list[Publication]:
    try:
        whole = await _with_statements(store, pool, waiting, raw, now)
        results = await pool.publish(whole, waiting.subject)
    except BadInput as error:
        results = [Published(server, ok=False, reason=str(error)) for server in waiting.lacking]
    servers = [result.server for result in results if result.ok]
    if servers:
        await asyncio.to_thread(mark_published, store, [number for number, _ in waiting.statements], servers, now)
    return [Publication(waiting.subject, one.server, one.ok, one.reason) for one in results]


async def _with_statements(
    store: Store, pool: Pool, waiting: Unpublished, raw: bytes | None, now: UnixSeconds
) -> bytes:
    """The subject's own certificate, as a keyserver has it or else from the cache, with our statements."""
    subject = waiting.subject
    if raw is None:
        answer = await pool.lookup(subject)
        raw = answer.certificate if isinstance(answer, Found) else None
    row = await asyncio.to_thread(read_certificate, store, subject)
    copies = [octets for octets in (raw, row.octets if row else None) if octets is not None]
    verified = await asyncio.to_thread(read_host_certificate, copies, subject, now)
    signatures: dict[str, list[bytes]] = {}
    for _, statement in waiting.statements:
        signatures.setdefault(statement.user_id, []).append(statement.packet)
    return attach(copies[0], verified.octets, signatures)
