"""Who sent how much mail to whom on which day, and what the receivers took it for.

Counts are arrays of shape (receivers, senders, days) over the whole life of the world, indexed by host numbers. Only
hosts of the population that endorse by what they receive are simulated as receivers: the others' mailboxes do not
matter. What a scenario adds has its own chance, so that the mail of the population is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from trustgraph.lab.dice import stream
from trustgraph.lab.world import OBSERVERS, Host, World

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
_WEEKEND = 0.45


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages as their receivers classified them, of shape (receivers, senders, days), and what they really were.

    The last three are of the observers only: how many of ``spam`` are truly good, and how many of ``good`` and of
    ``unsure`` are truly spam.
    """

    good: Counts
    spam: Counts
    unsure: Counts
    good_in_spam: Counts
    spam_in_good: Counts
    spam_in_unsure: Counts


def simulate_traffic(world: World) -> Traffic:
    """All mail of a world."""
    settled = _settled(world)
    if world.senders == world.population:
        return settled
    added = _added(world)
    return Traffic(
        *(np.concatenate([getattr(each, f.name) for each in (settled, added)], axis=1) for f in fields(Traffic))
    )


def _settled(world: World) -> Traffic:
    """The mail of the population among itself."""
    hosts = world.hosts[: world.population]
    dice = stream(world.parameters.seed, "traffic")
    good_rate, bad_rate = _daily_rates(world, hosts)
    pairs = _pair_rates(world, dice, good_rate + bad_rate)
    return _classified(world, "truth", dice, pairs, good_rate, bad_rate)


def _added(world: World) -> Traffic:
    """The mail of whom the scenario adds. Their volume is mail a day to our own site."""
    hosts = world.hosts[world.population : world.senders]
    dice = stream(world.parameters.seed, "added traffic")
    good_rate, bad_rate = _daily_rates(world, hosts)
    shape = (world.population, len(hosts))
    spammers = np.array([not host.kind.means_well for host in hosts])
    corresponding = (dice.random(shape) < CORRESPONDING) | spammers[None, :]
    pairs = dice.lognormal(-0.18, 0.6, shape) * corresponding  # of mean 1
    pairs[: len(OBSERVERS)] = np.array(OBSERVER_SHARES)[:, None] / OBSERVER_SHARES[0]
    pairs[~_receiving(world)] = 0.0
    return _classified(world, "added truth", dice, pairs, good_rate, bad_rate)


def _classified(
    world: World, purpose: str, dice: np.random.Generator, pairs: Rates, good_rate: Rates, bad_rate: Rates
) -> Traffic:
    """The messages of each pair and day, and what their receivers' classifiers made of them."""
    good = dice.poisson(pairs[:, :, None] * good_rate)
    bad = dice.poisson(pairs[:, :, None] * bad_rate)
    false_alarm = dice.binomial(good, FALSE_ALARM)
    missed = dice.binomial(bad, MISSED_SPAM)
    taken_for_good = good - false_alarm + missed
    unsure = dice.binomial(taken_for_good, UNSURE)
    unsure[_NEVER_UNSURE] = 0
    seen = slice(len(OBSERVERS))
    missed_unsure = stream(world.parameters.seed, purpose).hypergeometric(
        missed[seen], (good - false_alarm)[seen], unsure[seen]
    )
    counts = (
        *(taken_for_good - unsure, bad - missed + false_alarm, unsure),
        *(false_alarm[seen], missed[seen] - missed_unsure, missed_unsure),
    )
    return Traffic(*(count.astype(np.uint16) for count in counts))


def _daily_rates(world: World, hosts: Sequence[Host]) -> tuple[Rates, Rates]:
    """Good and bad mail a day of each sender to a typical correspondent: two arrays of shape (senders, days)."""
    parameters = world.parameters
    days = np.arange(parameters.all_days)
    weekdays = np.array([_weekday(parameters.day_start(int(day))) for day in days])
    rhythm = np.where(weekdays < 5, 1.0, _WEEKEND)
    good = np.zeros((len(hosts), len(days)))
    bad = np.zeros_like(good)
    for number, host in enumerate(hosts):
        turned = days >= (parameters.all_days if host.turns_on is None else host.turns_on)
        sending = (days >= host.first_day) & (days < (parameters.all_days if host.end_day is None else host.end_day))
        volume = host.volume * sending * np.where(turned, host.later_volume, 1.0)
        share = np.where(turned, host.later_bad_share, host.bad_share)
        good[number] = volume * (1 - share) * rhythm
        bad[number] = volume * share  # spam keeps no working hours
    return good, bad


def _pair_rates(world: World, dice: np.random.Generator, daily: Rates) -> Rates:
    """What multiplies a sender's volume for each receiver of the population: shape (receivers, senders)."""
    size = world.population
    affinity = dice.lognormal(0.0, 0.6, (size, size))
    spammers = np.array([not host.kind.means_well for host in world.hosts[:size]])
    corresponding = (dice.random((size, size)) < CORRESPONDING) | spammers[None, :]
    appetite = dice.lognormal(0.0, 0.5, size)
    pairs: Rates = world.parameters.pair_rate * appetite[:, None] * affinity * corresponding
    logged = daily[:, world.parameters.history_days :].sum(axis=1)
    for observer, share in zip(world.observers, OBSERVER_SHARES, strict=True):
        # An observer is a large site: nearly everybody writes to it.
        pairs[observer] = affinity[observer] * ((dice.random(size) < 0.97) | spammers)
        pairs[observer, observer] = 0.0
        pairs[observer] *= share * world.parameters.messages / float(pairs[observer] @ logged)
    pairs[np.diag_indices(size)] = 0.0
    pairs[~_receiving(world)] = 0.0
    return pairs


def _receiving(world: World) -> npt.NDArray[np.bool_]:
    return np.array([host.kind.endorses_honestly for host in world.hosts[: world.population]])


def _weekday(midnight: int) -> int:
    """Monday is 0; 1970-01-01 was a Thursday."""
    return (midnight // 86_400 + 3) % 7
