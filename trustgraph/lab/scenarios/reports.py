"""False reports: observers whose logs say what never happened, against honest hosts or for relays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from trustgraph.lab.dice import stream
from trustgraph.lab.scenarios.base import Attack
from trustgraph.lab.scenarios.cast import Cast
from trustgraph.lab.scenarios.choosing import sellers_of
from trustgraph.lab.scenarios.settings import setting
from trustgraph.lab.world import Host, Kind, Parameters, Witness, World
from trustgraph.model import Outcome


@dataclass(frozen=True)
class _FalseReports(Attack):
    """Who reports, and how far that is believed."""

    observers: int = setting(3, "how many hosts report", 1, 50)
    a_day: int = setting(5, "messages of each host that each reports a day", 1, 200)
    trusted: bool = setting(True, "they send good mail all along and are endorsed for it; else nobody knows them")
    volume: float = setting(5.0, "mail a day of each to our site, if trusted", 0.1, 200)

    def reporters(self, world: World, cast: Cast, kind: Kind) -> list[Host]:
        """The hosts that report; those that are not trusted have a key and send nothing."""
        first_day, volume = (0, self.volume) if self.trusted else (self.first_day(world), 0.0)
        names = [f"mail.watcher{number}.example" for number in range(1, self.observers + 1)]
        return [cast.host(kind, first_day, volume, name=name, bad_share=0.0) for name in names]


@dataclass(frozen=True)
class Slander(_FalseReports):
    """Good hosts are said to send spam."""

    name: ClassVar[str] = "slander"
    summary: ClassVar[str] = "observers that report spam which honest hosts never sent"

    victims: int = setting(5, "honest hosts that are slandered", 1, 100)

    def populate(self, parameters: Parameters) -> World:
        """The victims are any honest hosts with a key; the truth table notes them."""
        world = super().populate(parameters)
        dice = stream(parameters.seed, "victims")
        chosen = dice.choice(sellers_of(world, self.victims), self.victims, replace=False)
        victims = tuple(sorted(int(number) for number in chosen))
        hosts = list(world.hosts)
        for number in victims:
            hosts[number] = replace(hosts[number], note="; ".join(filter(None, [hosts[number].note, "slandered"])))
        witnesses = tuple(
            Witness(number, victims, Outcome.SPAM, self.a_day, self.first_day(world))
            for number in world.numbers(Kind.SLANDERER)
        )
        return replace(world, hosts=tuple(hosts), witnesses=witnesses)

    def added(self, world: World, cast: Cast) -> list[Host]:
        """Those who slander."""
        return self.reporters(world, cast, Kind.SLANDERER)


@dataclass(frozen=True)
class Praise(_FalseReports):
    """Relays are said to send good mail, from before they send any."""

    name: ClassVar[str] = "praise"
    summary: ClassVar[str] = "observers that report good mail which relays never sent"

    relays: int = setting(4, "relays that are praised", 1, 100)
    spam: float = setting(8.0, "mail a day of each relay to our site", 0.1, 200)
    ahead: int = setting(10, "days of praise before the first spam, as far as there are logs", 0, 19)

    def populate(self, parameters: Parameters) -> World:
        """Every relay is praised by everybody."""
        world = super().populate(parameters)
        relays = tuple(world.numbers(Kind.RELAY))
        since = max(parameters.history_days, self.first_day(world) - self.ahead)
        praisers = world.numbers(Kind.PRAISER)
        return replace(
            world, witnesses=tuple(Witness(number, relays, Outcome.GOOD, self.a_day, since) for number in praisers)
        )

    def added(self, world: World, cast: Cast) -> list[Host]:
        """Relays that nobody endorses, and those who praise them."""
        relays = [cast.host(Kind.RELAY, self.first_day(world), self.spam, note="praised") for _ in range(self.relays)]
        return relays + self.reporters(world, cast, Kind.PRAISER)
