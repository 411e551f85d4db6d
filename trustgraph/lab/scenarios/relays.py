"""Relays that stand alone: without endorsements, or with the few that they could buy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from trustgraph.lab.scenarios.base import Attack
from trustgraph.lab.scenarios.cast import Cast
from trustgraph.lab.scenarios.choosing import sellers_of
from trustgraph.lab.scenarios.settings import setting
from trustgraph.lab.vouching import Cause, Vouch, moment, unearned
from trustgraph.lab.world import Host, Kind, World


@dataclass(frozen=True)
class LoneRelay(Attack):
    """Relays with a key and nothing else."""

    name: ClassVar[str] = "lone-relay"
    summary: ClassVar[str] = "spam relays that nobody endorses"

    relays: int = setting(4, "how many", 1, 100)
    volume: float = setting(8.0, "mail a day of each to our site", 0.1, 200)

    def added(self, world: World, cast: Cast) -> list[Host]:
        """Each has an operator of its own."""
        return [cast.host(Kind.RELAY, self.first_day(world), self.volume) for _ in range(self.relays)]


@dataclass(frozen=True)
class BoughtSignatures(LoneRelay):
    """The same with endorsements of honest hosts, other ones for each relay where there are enough."""

    name: ClassVar[str] = "bought"
    summary: ClassVar[str] = "spam relays that a few random honest hosts endorse"

    signatures: int = setting(3, "endorsements that each relay bought", 1, 5)

    def unearned(self, world: World, earned: Sequence[Vouch], dice: np.random.Generator) -> Iterator[Vouch]:
        """Bought in the two weeks before the first spam."""
        sellers = sellers_of(world, self.signatures)
        for subject in world.numbers(Kind.RELAY):
            for endorser in dice.choice(sellers, self.signatures, replace=False):
                day = world.hosts[subject].first_day - int(dice.integers(1, 15))
                yield unearned(world, int(endorser), subject, moment(world, day, 36_000, dice), Cause.BOUGHT)


@dataclass(frozen=True)
class Whitewasher(Attack):
    """Spam under one key until that has a name, then under the next."""

    name: ClassVar[str] = "whitewasher"
    summary: ClassVar[str] = "spammers that take a new key and host name every few days"

    spammers: int = setting(3, "how many at a time", 1, 50)
    every: int = setting(4, "days until the next key", 1, 60)
    same_domain: bool = setting(False, "each keeps its domain; else a new one for every key")
    volume: float = setting(8.0, "mail a day of each to our site", 0.1, 200)

    def added(self, world: World, cast: Cast) -> list[Host]:
        """One host after the other, each key made the day before it is used."""
        all_days, hosts = world.parameters.all_days, []
        for spammer in range(1, self.spammers + 1):
            domain = cast.domain()
            for turn, day in enumerate(range(self.first_day(world), all_days, self.every), 1):
                domain = domain if self.same_domain or turn == 1 else cast.domain()
                host = cast.host(
                    *(Kind.WHITEWASHER, day, self.volume),
                    name=f"out{turn}.{domain}",
                    key_days=0,
                    note=f"key {turn} of spammer {spammer}",
                )
                hosts.append(replace(host, end_day=min(day + self.every, all_days)))
        return hosts


@dataclass(frozen=True)
class Snowshoe(Attack):
    """So little spam from each host that none sinks in."""

    name: ClassVar[str] = "snowshoe"
    summary: ClassVar[str] = "spam spread thinly over many new hosts of a few domains"

    relays: int = setting(40, "how many hosts", 2, 400)
    domains: int = setting(4, "domains that they are spread over", 1, 400)
    volume: float = setting(1.0, "mail a day of each to our site", 0.1, 50)

    def added(self, world: World, cast: Cast) -> list[Host]:
        """Keys of the last three weeks, hosts dealt to the domains in turn."""
        domains = [cast.domain() for _ in range(self.domains)]
        return [
            cast.host(
                *(Kind.SNOWSHOE, self.first_day(world), self.volume),
                name=f"s{number}.{domains[number % self.domains]}",
                key_days=int(cast.dice.integers(1, 22)),
            )
            for number in range(self.relays)
        ]
