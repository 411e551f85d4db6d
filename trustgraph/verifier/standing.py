"""Ratings and expectations at accept time: from memory while they hold, else from the store.

Ratings change only with a generation, so memory is emptied when there is a new one and not before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from trustgraph.model import Identity, UnixSeconds
from trustgraph.policy.evidence import Rated
from trustgraph.store.accepting import RatingRow, is_signing_host, newest_generation, ratings_of
from trustgraph.store.engine import Store

MAX_REMEMBERED = 65_536

#: How long a host that was seen to sign is expected to.
EXPECTED_SECONDS = 90 * 86_400


class StandingSource:
    """Belongs to one event loop. Every coroutine raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generation = 0
        self._forgotten = 0
        self._rated: dict[Identity, Rated] = {}
        self._signing: dict[str, bool] = {}

    async def rated(self, identities: Sequence[Identity]) -> tuple[Rated, ...]:
        """Each identity with its rating, in order; one without a rating is there too."""
        known = self._rated
        if not [identity for identity in identities if identity not in known]:
            return tuple([known[identity] for identity in identities])
        return await self._looked_up(identities)

    async def _looked_up(self, identities: Sequence[Identity]) -> tuple[Rated, ...]:
        """All of them from the store; what is in memory may be gone when that has answered."""
        forgotten = self._forgotten
        rows = await asyncio.to_thread(ratings_of, self._store, identities)
        found = {identity: _rated(identity, rows.get(identity)) for identity in identities}
        if forgotten == self._forgotten:  # else they may be of the generation before
            self._make_room()
            self._rated.update(found)
        return tuple([found[identity] for identity in identities])

    async def is_expected_to_sign(self, host: str, now: UnixSeconds) -> bool:
        """Whether mail from a host was seen to be signed by it."""
        if not host:
            return False
        known = self._signing.get(host)
        if known is None:
            since = UnixSeconds(now - EXPECTED_SECONDS)
            known = await asyncio.to_thread(is_signing_host, self._store, host, since)
            self._make_room()
            self._signing[host] = known
        return known

    async def refresh(self) -> bool:
        """Forget what may have changed: expectations each time, ratings when there is a new generation."""
        self._signing.clear()
        newest = await asyncio.to_thread(newest_generation, self._store)
        if newest == self._generation:
            return False
        self._generation = newest
        self._forgotten += 1
        self._rated.clear()
        return True

    def _make_room(self) -> None:
        if len(self._rated) + len(self._signing) > MAX_REMEMBERED:
            self._rated.clear()
            self._signing.clear()


def _rated(identity: Identity, row: RatingRow | None) -> Rated:
    if row is None:
        return Rated(identity)
    return Rated(identity, row.host, row.rating, row.confidence, row.sample_size, row.endorsers, row.expires_at)
