"""Good standing that is turned against others: traitors, and hubs whose key falls into wrong hands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from trustgraph.errors import UsageError
from trustgraph.lab.scenarios.base import Attack
from trustgraph.lab.scenarios.cast import Cast
from trustgraph.lab.scenarios.choosing import live, sellers_of
from trustgraph.lab.scenarios.settings import setting
from trustgraph.lab.vouching import Cause, Vouch, moment, unearned
from trustgraph.lab.world import Host, Kind, World

#: Days of a month of good history.
_MONTH = 30


@dataclass(frozen=True)
class Traitor(Attack):
    """Good mail for months, then spam; what endorsements it had, it had earned."""

    name: ClassVar[str] = "traitor"
    summary: ClassVar[str] = "hosts that send good mail for months, then spam"

    traitors: int = setting(3, "how many", 1, 50)
    months: int = setting(6, "months of good mail before it turns", 1, 60)
    volume: float = setting(5.0, "mail a day of each to our site while it is good", 0.1, 200)
    grows: float = setting(3.0, "what its volume is multiplied by when it turns", 0.1, 10)

    def added(self, world: World, cast: Cast) -> list[Host]:
        """All turn on the day on which the scenario begins."""
        turns_on = self.first_day(world)
        if (first_day := turns_on - self.months * _MONTH) < 0:
            raise UsageError(f"{self.name}: the world has no {self.months} months before day {turns_on}")
        note = f"honest until day {self.begins} of the logs"
        hosts = [
            cast.host(Kind.TRAITOR, first_day, self.volume, bad_share=0.0, note=note) for _ in range(self.traitors)
        ]
        return [replace(host, turns_on=turns_on, later_bad_share=0.9, later_volume=self.grows) for host in hosts]


@dataclass(frozen=True)
class CompromisedHub(Attack):
    """The best connected honest hosts endorse relays wholesale, until their operators notice."""

    name: ClassVar[str] = "compromised-hub"
    summary: ClassVar[str] = "a well connected honest host whose stolen key endorses many relays at once"

    hubs: int = setting(1, "how many hubs, each endorsing all relays", 1, 5)
    relays: int = setting(10, "relays that are endorsed", 1, 200)
    volume: float = setting(4.0, "mail a day of each to our site", 0.1, 200)
    revoked_after: int = setting(7, "days until the hub's operator takes that back; 0 for never", 0, 89)

    def added(self, world: World, cast: Cast) -> list[Host]:
        """The relays; the hubs are found by what they have earned."""
        return [cast.host(Kind.RELAY, self.first_day(world), self.volume) for _ in range(self.relays)]

    def unearned(self, world: World, earned: Sequence[Vouch], dice: np.random.Generator) -> Iterator[Vouch]:
        """Made on the day before the first spam."""
        day = self.first_day(world) - 1
        connected = Counter(number for pair in live(earned, world.parameters.day_start(day)) for number in pair)
        hubs = sorted(sellers_of(world, self.hubs), key=lambda number: (-connected[number], number))[: self.hubs]
        for endorser in hubs:
            for subject in world.numbers(Kind.RELAY):
                back = moment(world, day + self.revoked_after, 32_400, dice) if self.revoked_after else None
                made_at = moment(world, day, 10_800, dice)
                yield unearned(world, endorser, subject, made_at, Cause.WHOLESALE, back)
