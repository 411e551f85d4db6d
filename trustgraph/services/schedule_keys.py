"""Keys of the hosts we know, asked of the keyservers again when their answers have run out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trustgraph.errors import ServiceUnavailable, StoreBusy, TrustgraphError
from trustgraph.model import UnixSeconds
from trustgraph.services.endorsement_keys import fetch
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.jobs import known_host_keys

#: Asked for in one run at most, the longest unasked first: keyservers are shared, and the rest comes next time.
MAX_KEYS = 2_000

#: After this long a run asks for no more.
MAX_SECONDS = 600.0

#: Ingested together.
_AT_ONCE = 100


@dataclass
class KeyRefresh:
    """The job. Whom it asked for in vain it remembers while it lives, so that those do not crowd out the others."""

    store: Store
    settings: Settings
    _asked_at: dict[str, UnixSeconds] = field(default_factory=dict)

    def run(self, now: UnixSeconds) -> dict[str, int]:
        """How many keys were due, and what became of them; ``left`` are for the next run.

        Raises :class:`ServiceUnavailable` if some were asked for and no keyserver could say anything of any.
        """
        due = self._due(now)
        counts = dict.fromkeys(("found", "absent", "unreachable", "unusable"), 0)
        asked, deadline = 0, time.monotonic() + MAX_SECONDS
        for some in _pieces(due[:MAX_KEYS]):
            if time.monotonic() > deadline:
                break
            told = self._ask(some, now)
            for what, number in told.items():
                counts[what] += number
            asked += len(some)
            if told.get("unreachable") == len(some):  # nor will they answer for the others
                break
        if counts["unreachable"] and not counts["found"] and not counts["absent"]:
            raise ServiceUnavailable(f"no keyserver could say anything of {counts['unreachable']} keys")
        return {"due": len(due), **counts, "left": len(due) - asked}

    def _due(self, now: UnixSeconds) -> list[str]:
        """The longest unasked first."""
        ttl = self.settings.keyservers.positive_ttl_seconds
        found = known_host_keys(self.store)
        self._asked_at = {key: at for key, at in self._asked_at.items() if key in found}
        last = {key: max(at, self._asked_at.get(key, UnixSeconds(0))) for key, at in found.items()}
        return sorted(
            (key for key, at in last.items() if at + ttl <= now or at > now), key=lambda key: (last[key], key)
        )

    def _ask(self, fingerprints: Sequence[str], now: UnixSeconds) -> Mapping[str, int]:
        """One that nothing can be made of is the trouble of that one alone."""
        try:
            copies = fetch(self.store, self.settings, fingerprints, now)
        except StoreBusy:
            raise
        except TrustgraphError:
            if len(fingerprints) == 1:
                self._asked_at[fingerprints[0]] = now
                return {"unusable": 1}
            counts = dict.fromkeys(("found", "absent", "unreachable", "unusable"), 0)
            for one in fingerprints:
                for what, number in self._ask([one], now).items():
                    counts[what] += number
            return counts
        # A copy may be what the cache has, because nobody answered.
        kept = known_host_keys(self.store) if copies.found else {}
        fresh = {key for key, copy in copies.found.items() if copy.raw is not None or kept.get(key, 0) >= now}
        absent = copies.absent - fresh
        self._asked_at |= dict.fromkeys(absent | fresh, now)
        unreachable = len(fingerprints) - len(absent) - len(fresh)
        return {"found": len(fresh), "absent": len(absent), "unreachable": unreachable}


def _pieces(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
