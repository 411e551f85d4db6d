"""Who certified whose key in a world by the policy of honest hosts.

An honest host adopts the system at some time, then looks every day at all authenticated mail that it has received. It
endorses who has earned it, renews what is still earned, and revokes when the bad share of the last month is surely
above what it tolerates: not merely possibly so, or one misjudged message would take an endorsement away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trustgraph.endorsement import wilson
from trustgraph.lab.traffic import Traffic
from trustgraph.lab.vouching import LIFETIME_DAYS, Cause, Vouch, moment
from trustgraph.lab.world import World
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds

LEAST_GOOD = 50
LEAST_DAYS = 14
MOST_BAD = 0.01
RENEW_AFTER_DAYS = 60
#: Days over which the bad share is judged for a revocation.
RECENT_DAYS = 30
#: Share of honest operators that stop looking after their first endorsements: these expire and stay unrevoked.
NEGLECTFUL = 0.12
#: Days before the end of the world within which honest hosts adopt the system.
ADOPTION = (25, 170)

Flags = npt.NDArray[np.bool_]


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


def earned(world: World, traffic: Traffic, dice: np.random.Generator) -> Iterator[Vouch]:
    """What the honest hosts of the population certify."""
    # The population first: what it says of itself does not change with whom a scenario adds.
    endorsers = []
    for endorser in _endorsers(world, traffic, dice):
        endorsers.append(endorser)
        yield from _careers(world, endorser, range(world.population), dice)
    for endorser in endorsers:
        yield from _careers(world, endorser, range(world.population, world.senders), dice)


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


def _endorsers(world: World, traffic: Traffic, dice: np.random.Generator) -> Iterator[_Endorser]:
    for number, host in enumerate(world.hosts[: world.population]):
        if host.key_made_at is None or not host.kind.endorses_honestly:
            continue
        observer = number in world.observers
        yield _Endorser(
            number=number,
            adopted=world.parameters.all_days - (ADOPTION[1] if observer else int(dice.integers(*ADOPTION))),
            neglectful=not observer and dice.random() < NEGLECTFUL,
            second=int(dice.integers(0, 23)) * 3600,
            judgement=judge(traffic, number),
        )


def _careers(world: World, endorser: _Endorser, subjects: range, dice: np.random.Generator) -> Iterator[Vouch]:
    for place in np.flatnonzero(endorser.judgement.earned[subjects.start : subjects.stop].any(axis=1)):
        subject = subjects.start + int(place)
        if _may_endorse(world, endorser.number, subject):
            yield from _career(world, endorser, subject, dice)


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
        made_at = moment(world, made, second, dice)
        yield Vouch(
            endorser=endorser.number,
            subject=subject,
            made_at=made_at,
            expires_at=UnixSeconds(made_at + LIFETIME_DAYS * SECONDS_PER_DAY),
            cause=Cause.EARNED,
            good=int(good[made]),
            since=since,
            revoked_at=None if revoked is None or renewed else moment(world, revoked, second, dice),
        )
        if endorser.neglectful or (revoked is not None and not renewed):
            return
        day = renewal


def _next_day(flags: Flags, start: int) -> int | None:
    later = np.flatnonzero(flags[start:])
    return start + int(later[0]) if len(later) else None
