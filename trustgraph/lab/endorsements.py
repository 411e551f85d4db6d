"""Who certified whose key in a world: earned ones by the policy of honest hosts, and what money and rings can get.

An honest host adopts the system at some time, then looks every day at all authenticated mail that it has received. It
endorses who has earned it, renews what is still earned, and revokes when the bad share of the last month is surely
above what it tolerates: not merely possibly so, or one misjudged message would take an endorsement away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from trustgraph.lab import wilson
from trustgraph.lab.dice import stream
from trustgraph.lab.traffic import Traffic
from trustgraph.lab.world import Kind, World
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds

LEAST_GOOD = 50
LEAST_DAYS = 14
MOST_BAD = 0.01
LIFETIME_DAYS = 90
RENEW_AFTER_DAYS = 60
#: Days over which the bad share is judged for a revocation.
RECENT_DAYS = 30
#: Share of honest operators that stop looking after their first endorsements: these expire and stay unrevoked.
NEGLECTFUL = 0.12
#: Days before the end of the world within which honest hosts adopt the system.
ADOPTION = (25, 170)

Flags = npt.NDArray[np.bool_]


class Cause(StrEnum):
    """Why a certification was made."""

    EARNED = "earned"
    BOUGHT = "bought"
    RING = "ring"
    CAMOUFLAGE = "camouflage"
    BURST = "burst"


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


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What one endorser would decide of each subject at the start of each day: arrays of shape (subjects, days)."""

    earned: Flags
    broken: Flags
    good: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Endorser:
    """An honest host that endorses: from which day on, at which second of the day, and whether it keeps looking."""

    number: int
    adopted: int
    second: int
    neglectful: bool
    judgement: _Judgement


def vouches(world: World, traffic: Traffic) -> tuple[Vouch, ...]:
    """All certifications of a world, in order of their making."""
    dice = stream(world.parameters.seed, "endorsements")
    made = [*_earned(world, traffic, dice), *_bought(world, dice), *_ring(world, dice), *_burst(world, dice)]
    return tuple(sorted(made, key=lambda vouch: (vouch.made_at, vouch.endorser, vouch.subject)))


def judge(traffic: Traffic, endorser: int) -> _Judgement:
    """The policy, on what was known at the start of each day."""
    good = _before(traffic.good[endorser])
    bad = _before(traffic.spam[endorser])
    days = _before(traffic.good[endorser] > 0)
    _, most_bad = wilson.bounds(bad, good + bad)
    recent_bad, recent_good = _recent(bad), _recent(good)
    least_bad, _ = wilson.bounds(recent_bad, recent_good + recent_bad)
    earned = (good >= LEAST_GOOD) & (days >= LEAST_DAYS) & (most_bad <= MOST_BAD)
    return _Judgement(earned, least_bad > MOST_BAD, good)


def _before(daily: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Sums over all earlier days, for each day."""
    sums: npt.NDArray[np.int64] = np.cumsum(daily, axis=1, dtype=np.int64)
    return np.pad(sums, ((0, 0), (1, 0)))[:, :-1]


def _recent(sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of running sums, the part of the last days."""
    recent = sums.copy()
    recent[:, RECENT_DAYS:] -= sums[:, :-RECENT_DAYS]
    return recent


def _earned(world: World, traffic: Traffic, dice: np.random.Generator) -> Iterator[Vouch]:
    for number, host in enumerate(world.hosts):
        if host.key_made_at is None or not host.kind.endorses_honestly:
            continue
        observer = number in world.observers
        endorser = _Endorser(
            number=number,
            adopted=world.parameters.all_days - (ADOPTION[1] if observer else int(dice.integers(*ADOPTION))),
            neglectful=not observer and dice.random() < NEGLECTFUL,
            second=int(dice.integers(0, 23)) * 3600,
            judgement=judge(traffic, number),
        )
        for subject in np.flatnonzero(endorser.judgement.earned.any(axis=1)):
            if _may_endorse(world, number, int(subject)):
                yield from _career(world, endorser, int(subject), dice)


def _may_endorse(world: World, endorser: int, subject: int) -> bool:
    """Only hosts with a key, and never one's own operator's."""
    return (
        world.hosts[subject].key_made_at is not None and world.hosts[subject].operator != world.hosts[endorser].operator
    )


def _career(world: World, endorser: _Endorser, subject: int, dice: np.random.Generator) -> Iterator[Vouch]:
    """The certifications of one pair over the days: made, renewed, and at last revoked or left to expire."""
    judgement, second = endorser.judgement, endorser.second
    earned, broken, good = judgement.earned[subject], judgement.broken[subject], judgement.good[subject]
    since = world.parameters.day_start(int(np.argmax(good > 0)) - 1)
    day = endorser.adopted
    while (made := _next_day(earned, day)) is not None:
        renewal = made + RENEW_AFTER_DAYS
        revoked = None if endorser.neglectful else _next_day(broken[: made + LIFETIME_DAYS], made + 1)
        # Renewed before it was broken: the renewal is the one to revoke.
        renewed = revoked is not None and renewal < revoked and bool(earned[renewal])
        made_at = _moment(world, made, second, dice)
        yield Vouch(
            endorser=endorser.number,
            subject=subject,
            made_at=made_at,
            expires_at=UnixSeconds(made_at + LIFETIME_DAYS * SECONDS_PER_DAY),
            cause=Cause.EARNED,
            good=int(good[made]),
            since=since,
            revoked_at=None if revoked is None or renewed else _moment(world, revoked, second, dice),
        )
        if endorser.neglectful or (revoked is not None and not renewed):
            return
        day = renewal


def _next_day(flags: Flags, start: int) -> int | None:
    later = np.flatnonzero(flags[start:])
    return start + int(later[0]) if len(later) else None


def _moment(world: World, day: int, second: int, dice: np.random.Generator) -> UnixSeconds:
    """A moment of that day within the hour after ``second``."""
    return UnixSeconds(world.parameters.day_start(day) + second + int(dice.integers(0, 3600)))


def _bought(world: World, dice: np.random.Generator) -> Iterator[Vouch]:
    """Up to two endorsements that each relay bought from, or talked out of, an honest host."""
    sellers = [
        number
        for number, host in enumerate(world.hosts)
        if host.kind is Kind.HONEST and host.key_made_at is not None and number not in world.observers
    ]
    for subject in _keyed(world, Kind.RELAY, Kind.RING):
        count = min(int(dice.choice([0, 1, 2], p=[0.4, 0.4, 0.2])), len(sellers))
        for endorser in dice.choice(sellers, count, replace=False):
            day = world.parameters.history_days - int(dice.integers(-20, 15))
            yield _unearned(world, int(endorser), subject, _moment(world, day, 36_000, dice), Cause.BOUGHT)


def _ring(world: World, dice: np.random.Generator) -> Iterator[Vouch]:
    """The ring endorses itself densely, and honest hosts for free, to look like one of them."""
    ring = _keyed(world, Kind.RING)
    honest = _keyed(world, Kind.HONEST)
    for endorser in ring:
        for subject in ring:
            if subject != endorser and dice.random() < 0.9:
                day = world.parameters.history_days - int(dice.integers(1, 14))
                yield _unearned(world, endorser, subject, _moment(world, day, 7_200, dice), Cause.RING)
        for subject in dice.choice(honest, min(10, len(honest)), replace=False):
            day = world.parameters.history_days - int(dice.integers(1, 14))
            yield _unearned(world, endorser, int(subject), _moment(world, day, 10_800, dice), Cause.CAMOUFLAGE)


def _burst(world: World, dice: np.random.Generator) -> Iterator[Vouch]:
    """Everybody who can be had endorses one lone relay within one hour."""
    lone = _keyed(world, Kind.RELAY)
    day = world.parameters.history_days + world.parameters.days // 2
    for endorser in [*_keyed(world, Kind.RING), *lone[1:5]] if lone else []:
        yield _unearned(world, endorser, lone[0], _moment(world, day, 50_400, dice), Cause.BURST)


def _unearned(world: World, endorser: int, subject: int, made_at: UnixSeconds, cause: Cause) -> Vouch:
    """Dressed up like an earned one."""
    return Vouch(
        endorser=endorser,
        subject=subject,
        made_at=made_at,
        expires_at=UnixSeconds(made_at + LIFETIME_DAYS * SECONDS_PER_DAY),
        cause=cause,
        good=512,
        since=world.parameters.day_start(max(0, world.parameters.history_days - 90)),
    )


def _keyed(world: World, *kinds: Kind) -> list[int]:
    return [n for n, host in enumerate(world.hosts) if host.kind in kinds and host.key_made_at is not None]
