"""Evidence for tests: one message, said in few words."""

from __future__ import annotations

from typing import Any

from trustgraph.model import Identity, Result, UnixSeconds
from trustgraph.policy.evidence import Evidence, Rated

NOW = UnixSeconds(1_790_000_000)
LATER = UnixSeconds(NOW + 3600)
KEY = Identity.openpgp("ab" * 20)


def rated(rating: float | None = 0.9, name: str = str(KEY), host: str = "mx.peer.example", **more: Any) -> Rated:
    return Rated(
        Identity.parse(name), host, rating, 0.9, **{"sample_size": 40, "endorsers": 4, "expires_at": LATER} | more
    )


def signed(rating: float | None = 0.9, **more: Any) -> Evidence:
    return Evidence(Result.PASS, by_client=True, responsible=rated(rating), client_host="mx.peer.example", **more)


def found(result: Result, reason: str = "", **more: Any) -> Evidence:
    return Evidence(result, reason, client_host="mx.peer.example", **more)
