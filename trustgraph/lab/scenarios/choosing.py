"""Whom an attacker goes for among the honest hosts."""

from __future__ import annotations

from collections.abc import Iterable

from trustgraph.errors import UsageError
from trustgraph.lab.vouching import Vouch
from trustgraph.lab.world import Kind, World
from trustgraph.model import UnixSeconds


def sellers_of(world: World, least: int) -> list[int]:
    """Honest hosts that could be talked into an endorsement: all but the observers, one an operator.

    Raises :class:`UsageError` when there are fewer than needed.
    """
    by_operator = {
        world.hosts[number].operator: number
        for number in reversed(world.numbers(Kind.HONEST))
        if number not in world.observers
    }
    if len(by_operator) < least:
        raise UsageError(f"a world with {len(by_operator)} signing operators has no {least} to endorse a relay")
    return sorted(by_operator.values())


def live(vouches: Iterable[Vouch], at: UnixSeconds) -> set[tuple[int, int]]:
    """The pairs of endorser and subject that are in force at a time."""
    return {
        (vouch.endorser, vouch.subject)
        for vouch in vouches
        if vouch.made_at <= at < vouch.expires_at and (vouch.revoked_at is None or at < vouch.revoked_at)
    }
