"""The world of the sample data: a little of everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trustgraph.lab.population import baseline
from trustgraph.lab.scenarios.base import Scenario
from trustgraph.lab.vouching import Cause, Vouch, moment, unearned
from trustgraph.lab.world import Kind, Parameters, World


@dataclass(frozen=True)
class Baseline(Scenario):
    """Lone relays, one ring, a traitor, an impersonator and a burst of endorsements."""

    name: ClassVar[str] = "baseline"
    summary: ClassVar[str] = "a little of everything: lone relays, a ring, a traitor, an impersonator"
    parameters: ClassVar[Parameters] = Parameters()

    def populate(self, parameters: Parameters) -> World:
        """Everybody is part of the population."""
        return baseline(parameters)

    def unearned(self, world: World, earned: Sequence[Vouch], dice: np.random.Generator) -> Iterator[Vouch]:
        """Bought ones, those of the ring, and a burst."""
        yield from _bought(world, dice)
        yield from _ring(world, dice)
        yield from _burst(world, dice)


def _bought(world: World, dice: np.random.Generator) -> Iterator[Vouch]:
    """Up to two endorsements that each relay bought from, or talked out of, an honest host."""
    sellers = [number for number in world.numbers(Kind.HONEST) if number not in world.observers]
    for subject in world.numbers(Kind.RELAY, Kind.RING):
        count = min(int(dice.choice([0, 1, 2], p=[0.4, 0.4, 0.2])), len(sellers))
        for endorser in dice.choice(sellers, count, replace=False):
            day = world.parameters.history_days - int(dice.integers(-20, 15))
            yield unearned(world, int(endorser), subject, moment(world, day, 36_000, dice), Cause.BOUGHT)


def _ring(world: World, dice: np.random.Generator) -> Iterator[Vouch]:
    """The ring endorses itself densely, and honest hosts for free, to look like one of them."""
    ring = world.numbers(Kind.RING)
    honest = world.numbers(Kind.HONEST)
    for endorser in ring:
        for subject in ring:
            if subject != endorser and dice.random() < 0.9:
                day = world.parameters.history_days - int(dice.integers(1, 14))
                yield unearned(world, endorser, subject, moment(world, day, 7_200, dice), Cause.RING)
        for subject in dice.choice(honest, min(10, len(honest)), replace=False):
            day = world.parameters.history_days - int(dice.integers(1, 14))
            yield unearned(world, endorser, int(subject), moment(world, day, 10_800, dice), Cause.CAMOUFLAGE)


def _burst(world: World, dice: np.random.Generator) -> Iterator[Vouch]:
    """Everybody who can be had endorses one lone relay within one hour."""
    lone = world.numbers(Kind.RELAY)
    day = world.parameters.history_days + world.parameters.days // 2
    for endorser in [*world.numbers(Kind.RING), *lone[1:5]] if lone else []:
        yield unearned(world, endorser, lone[0], moment(world, day, 50_400, dice), Cause.BURST)
