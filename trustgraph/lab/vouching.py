"""One certification of a world: who vouches for whom, when, and why, whether earned or not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from trustgraph.lab.world import World
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds

LIFETIME_DAYS = 90

#: What a certification that was not earned claims: an ordinary amount of good mail over an ordinary time.
_CLAIMED_GOOD = 512
_CLAIMED_DAYS = 90


class Cause(StrEnum):
    """Why a certification was made."""

    EARNED = "earned"
    BOUGHT = "bought"
    RING = "ring"
    CAMOUFLAGE = "camouflage"
    BURST = "burst"
    EDGE = "edge"
    WHOLESALE = "wholesale"
    FLOOD = "flood"


@dataclass(frozen=True, slots=True)
class Vouch:
    """One certification to be made. ``endorser`` and ``subject`` are host numbers.

    ``good`` is the number of good mails that the endorser claims to have seen, ``since`` the first day of them.
    """

    endorser: int
    subject: int
    made_at: UnixSeconds
    expires_at: UnixSeconds
    cause: Cause
    good: int
    since: UnixSeconds
    revoked_at: UnixSeconds | None = None


def moment(world: World, day: int, second: int, dice: np.random.Generator) -> UnixSeconds:
    """A moment of that day within the hour after ``second``."""
    return UnixSeconds(world.parameters.day_start(day) + second + int(dice.integers(0, 3600)))


def unearned(
    world: World,
    endorser: int,
    subject: int,
    made_at: UnixSeconds,
    cause: Cause,
    revoked_at: UnixSeconds | None = None,
) -> Vouch:
    """A certification that is dressed up like an earned one."""
    return Vouch(
        endorser=endorser,
        subject=subject,
        made_at=made_at,
        expires_at=UnixSeconds(made_at + LIFETIME_DAYS * SECONDS_PER_DAY),
        cause=cause,
        good=_CLAIMED_GOOD,
        since=world.parameters.day_start(max(0, world.parameters.history_days - _CLAIMED_DAYS)),
        revoked_at=revoked_at,
    )
