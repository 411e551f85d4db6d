"""Overrides that cannot change any decision, because others speak of all that they speak of and decide first."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from trustgraph.model import IdentityKind, UnixSeconds
from trustgraph.policy.overrides import Override

_PROFILES = frozenset({"strict", "transition", "monitor"})

#: What one action keeps another from deciding, wherever it stands (:func:`trustgraph.policy.decide.decide`). A profile
#: is never among it: monitor lets in what is denied.
_OUTRANKS = {"deny": frozenset({"allow", "need-not-sign"}), "allow": frozenset({"need-not-sign"})}


def shadowed(overrides: Sequence[Override], now: UnixSeconds) -> dict[int, int]:
    """By the place of each override in force that has no effect, the place of one that leaves it none."""
    return {
        place: other
        for place, one in enumerate(overrides)
        if one.in_force(now)
        for other in [_what_shadows(place, overrides)]
        if other is not None
    }


def _what_shadows(place: int, overrides: Sequence[Override]) -> int | None:
    one = overrides[place]
    for other, rival in enumerate(overrides):
        first = other < place and _kind(rival) == _kind(one)
        if (
            (first or one.action in _OUTRANKS.get(rival.action, ()))
            and _lasts(rival, one)
            and covers(rival.match, one.match)
        ):
            return other
    return None


def _kind(override: Override) -> str:
    """Of each kind the first that speaks of a message decides."""
    return "profile" if override.action in _PROFILES else override.action


def _lasts(rival: Override, one: Override) -> bool:
    return rival.expires_at is None or (one.expires_at is not None and one.expires_at <= rival.expires_at)


def covers(match: str, other: str) -> bool:
    """Whether ``match`` speaks of every message that ``other`` speaks of; both as :func:`parse_match` spells them."""
    kind, colon, value = other.partition(":")
    if kind == IdentityKind.IP and colon:
        if not match.startswith("ip:"):
            return False
        wide, narrow = (ipaddress.ip_network(one.removeprefix("ip:")) for one in (match, other))
        return wide.version == narrow.version and wide.supernet_of(narrow)  # type: ignore[arg-type]  # one version
    if match == other or ":" in match:
        return match == other
    # The domain of a key is what anybody may write into it; the others' prove a name.
    domain = "" if kind == IdentityKind.OPENPGP and colon else value if colon else other
    return f".{domain}".endswith(f".{match}")
