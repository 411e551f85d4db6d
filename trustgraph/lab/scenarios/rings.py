"""Rings: relays that endorse each other, and the endorsements by honest hosts that lead into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trustgraph.errors import UsageError
from trustgraph.lab.scenarios.base import Attack
from trustgraph.lab.scenarios.cast import Cast
from trustgraph.lab.scenarios.choosing import live, sellers_of
from trustgraph.lab.scenarios.settings import setting
from trustgraph.lab.vouching import Cause, Vouch, moment, unearned
from trustgraph.lab.world import Host, Kind, World
from trustgraph.model import UnixSeconds


@dataclass(frozen=True)
class Ring(Attack):
    """Everybody in the ring endorses everybody else, and a few honest hosts to look like one of them."""

    name: ClassVar[str] = "ring"
    summary: ClassVar[str] = "spam relays that all endorse each other, and that nobody else does"

    size: int = setting(12, "relays in the ring", 2, 200)
    volume: float = setting(3.0, "mail a day of each to our site", 0.1, 200)
    camouflage: int = setting(2, "honest hosts that each endorses for show", 0, 20)

    def added(self, world: World, cast: Cast) -> list[Host]:
        """Each has an operator of its own."""
        return [cast.host(Kind.RING, self.first_day(world), self.volume) for _ in range(self.size)]

    def unearned(self, world: World, earned: Sequence[Vouch], dice: np.random.Generator) -> Iterator[Vouch]:
        """All made in the two weeks before the first spam."""
        ring, honest = world.numbers(Kind.RING), world.numbers(Kind.HONEST)
        for endorser in ring:
            for subject in ring:
                if subject != endorser:
                    yield unearned(world, endorser, subject, self._before(world, dice), Cause.RING)
            for subject in dice.choice(honest, min(self.camouflage, len(honest)), replace=False):
                yield unearned(world, endorser, int(subject), self._before(world, dice), Cause.CAMOUFLAGE)

    def _before(self, world: World, dice: np.random.Generator) -> UnixSeconds:
        return moment(world, self.first_day(world) - int(dice.integers(1, 15)), 7_200, dice)


@dataclass(frozen=True)
class RingWithEdges(Ring):
    """The same with attack edges: endorsements by honest hosts, spent on one member after the other."""

    name: ClassVar[str] = "ring-attack-edges"
    summary: ClassVar[str] = "a ring into which some honest hosts endorse, the best endorsed ones or any"

    edges: int = setting(6, "endorsements by honest hosts into the ring", 1, 400)
    each: int = setting(3, "edges that are spent on one member before the next", 1, 20)
    targeted: bool = setting(True, "from the best endorsed honest hosts; else from any")

    def unearned(self, world: World, earned: Sequence[Vouch], dice: np.random.Generator) -> Iterator[Vouch]:
        """No pair twice: with more edges than honest hosts, these endorse several members."""
        yield from super().unearned(world, earned, dice)
        ring, sellers = world.numbers(Kind.RING), sellers_of(world, self.each)
        if self.edges > self.each * len(ring):
            raise UsageError(f"{self.name}: {len(ring)} members with {self.each} edges each cannot take {self.edges}")
        if self.targeted:
            begin = world.parameters.day_start(self.first_day(world))
            standing = Counter(subject for _, subject in live(earned, begin))
            sellers = sorted(sellers, key=lambda number: (-standing[number], number))
        else:
            sellers = [int(number) for number in dice.permutation(sellers)]
        for edge in range(self.edges):
            endorser, subject = sellers[edge % len(sellers)], ring[edge // self.each]
            yield unearned(world, endorser, subject, self._before(world, dice), Cause.EDGE)
