"""Who sent how much mail to whom on which day, and what the receivers took it for.

Counts are arrays of shape (receivers, senders, days) over the whole life of the world, indexed by host numbers. Only
hosts that endorse by what they receive are simulated as receivers: the others' mailboxes do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trustgraph.lab.dice import stream
from trustgraph.lab.world import World

Counts = npt.NDArray[np.uint16]
Rates = npt.NDArray[np.float64]

#: Classifier noise: the parts of good mail taken for spam, of spam taken for good, and of mail it cannot place.
FALSE_ALARM = 0.0002
MISSED_SPAM = 0.03
UNSURE = 0.03

#: How the three logs share the messages.
OBSERVER_SHARES = (0.42, 0.34, 0.24)
# The third observer's format knows accepted and refused, nothing between.
_NEVER_UNSURE = 2

#: Share of pairs of ordinary hosts that correspond at all.
CORRESPONDING = 0.3
#: Mail a day in a corresponding pair where the sender's volume is 1.
PAIR_RATE = 1.0
#: A traitor's volume grows when it turns.
TURNED_VOLUME = 3.0
_WEEKEND = 0.45


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages as their receivers classified them, of shape (receivers, senders, days)."""

    good: Counts
    spam: Counts
    unsure: Counts


def simulate_traffic(world: World) -> Traffic:
    """All mail of a world."""
    dice = stream(world.parameters.seed, "traffic")
    good_rate, bad_rate = _daily_rates(world)
    pairs = _pair_rates(world, dice, good_rate + bad_rate)
    good = dice.poisson(pairs[:, :, None] * good_rate)
    bad = dice.poisson(pairs[:, :, None] * bad_rate)
    false_alarm = dice.binomial(good, FALSE_ALARM)
    missed = dice.binomial(bad, MISSED_SPAM)
    taken_for_good = good - false_alarm + missed
    unsure = dice.binomial(taken_for_good, UNSURE)
    unsure[_NEVER_UNSURE] = 0
    return Traffic(
        (taken_for_good - unsure).astype(np.uint16),
        (bad - missed + false_alarm).astype(np.uint16),
        unsure.astype(np.uint16),
    )


def _daily_rates(world: World) -> tuple[Rates, Rates]:
    """Good and bad mail a day of each sender to a typical correspondent: two arrays of shape (senders, days)."""
    parameters = world.parameters
    days = np.arange(parameters.all_days)
    weekdays = np.array([_weekday(parameters.day_start(int(day))) for day in days])
    rhythm = np.where(weekdays < 5, 1.0, _WEEKEND)
    good = np.zeros((len(world.hosts), len(days)))
    bad = np.zeros_like(good)
    for number, host in enumerate(world.hosts):
        turned = days >= (parameters.all_days if host.turns_on is None else host.turns_on)
        volume = host.volume * (days >= host.first_day) * np.where(turned, TURNED_VOLUME, 1.0)
        share = np.where(turned, host.later_bad_share, host.bad_share)
        good[number] = volume * (1 - share) * rhythm
        bad[number] = volume * share  # spam keeps no working hours
    return good, bad


def _pair_rates(world: World, dice: np.random.Generator, daily: Rates) -> Rates:
    """What multiplies a sender's volume for each receiver: shape (receivers, senders)."""
    size = len(world.hosts)
    affinity = dice.lognormal(0.0, 0.6, (size, size))
    spammers = np.array([not host.kind.means_well for host in world.hosts])
    corresponding = (dice.random((size, size)) < CORRESPONDING) | spammers[None, :]
    appetite = dice.lognormal(0.0, 0.5, size)
    pairs: Rates = PAIR_RATE * appetite[:, None] * affinity * corresponding
    logged = daily[:, world.parameters.history_days :].sum(axis=1)
    for observer, share in zip(world.observers, OBSERVER_SHARES, strict=True):
        # An observer is a large site: nearly everybody writes to it.
        pairs[observer] = affinity[observer] * ((dice.random(size) < 0.97) | spammers)
        pairs[observer, observer] = 0.0
        pairs[observer] *= share * world.parameters.messages / float(pairs[observer] @ logged)
    pairs[np.diag_indices(size)] = 0.0
    pairs[~np.array([host.kind.endorses_honestly for host in world.hosts])] = 0.0
    return pairs


def _weekday(midnight: int) -> int:
    """Monday is 0; 1970-01-01 was a Thursday."""
    return (midnight // 86_400 + 3) % 7
