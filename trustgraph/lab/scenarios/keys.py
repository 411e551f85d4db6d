"""Attacks on keys and on those who hand them out: floods of endorsements, second keys, and silent keyservers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from trustgraph.errors import UsageError
from trustgraph.lab.scenarios.base import Attack
from trustgraph.lab.scenarios.cast import Cast
from trustgraph.lab.scenarios.choosing import sellers_of
from trustgraph.lab.scenarios.relays import LoneRelay
from trustgraph.lab.scenarios.settings import setting
from trustgraph.lab.vouching import Cause, Vouch, moment, unearned
from trustgraph.lab.world import Host, Kind, Outage, Parameters, World
from trustgraph.model import UnixSeconds


@dataclass(frozen=True)
class Flood(LoneRelay):
    """Throwaway keys, each of a domain of its own, endorse all relays and some honest hosts within one hour."""

    name: ClassVar[str] = "flood"
    summary: ClassVar[str] = "a flood of endorsements by throwaway keys over relays and honest hosts"

    relays: int = setting(2, "how many", 1, 100)
    keys: int = setting(100, "throwaway keys", 1, 3_000)
    victims: int = setting(1, "honest hosts that are endorsed as well", 0, 50)

    def added(self, world: World, cast: Cast) -> list[Host]:
        """The keys come last: they send no mail."""
        relays = super().added(world, cast)
        return relays + [cast.host(Kind.THROWAWAY, self.first_day(world), 0.0, key_days=1) for _ in range(self.keys)]

    def unearned(self, world: World, earned: Sequence[Vouch], dice: np.random.Generator) -> Iterator[Vouch]:
        """In one hour of the day before the first spam."""
        subjects = world.numbers(Kind.RELAY)
        subjects += [int(n) for n in dice.choice(sellers_of(world, self.victims), self.victims, replace=False)]
        for endorser in world.numbers(Kind.THROWAWAY):
            for subject in subjects:
                made_at = moment(world, self.first_day(world) - 1, 50_400, dice)
                yield unearned(world, endorser, subject, made_at, Cause.FLOOD)


@dataclass(frozen=True)
class Impersonator(Attack):
    """A second key for the name of a known host, with spam under it from another address."""

    name: ClassVar[str] = "impersonator"
    summary: ClassVar[str] = "spam under second keys for the names of the largest honest hosts"

    impersonators: int = setting(3, "how many, each of another host", 1, 50)
    volume: float = setting(8.0, "mail a day of each to our site", 0.1, 200)

    def added(self, world: World, cast: Cast) -> list[Host]:
        """The victims are the largest signing hosts, one an operator."""
        candidates = sorted(sellers_of(world, self.impersonators), key=lambda number: -world.hosts[number].volume)
        note = "a second key for a known host's name, without endorsements"
        hosts = []
        for place, victim in enumerate(candidates[: self.impersonators], 1):
            host = cast.host(
                *(Kind.IMPERSONATOR, self.first_day(world), self.volume),
                name=world.hosts[victim].name,
                domain=world.hosts[victim].operator,
                key_days=0,
                note=note,
            )
            hosts.append(replace(host, client_name=f"dyn-{place}-77.access.example"))
        return hosts


@dataclass(frozen=True)
class KeyserverOutage(LoneRelay):
    """No keyserver answers for some hours, and new relays begin to send just then."""

    name: ClassVar[str] = "outage"
    summary: ClassVar[str] = "keyservers that do not answer while relays with new keys begin to send"

    hours: int = setting(24, "how long the outage lasts", 1, 2_400)
    cache_hours: int = setting(24, "for how long our site has a key at hand", 1, 240)

    def populate(self, parameters: Parameters) -> World:
        """The outage begins at midnight of the first day of the relays' mail. Raises if the logs end before it does."""
        world = super().populate(parameters)
        start = parameters.day_start(self.first_day(world))
        end = UnixSeconds(start + self.hours * 3600)
        if end > parameters.until:
            raise UsageError(f"{self.name}: hours must end within the {parameters.days} days of the logs")
        return replace(world, outages=(Outage(start, end, self.cache_hours * 3600),))
