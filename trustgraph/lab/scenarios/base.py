"""What a scenario is: who lives in its world besides the honest, and what they certify without its being earned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from trustgraph.errors import UsageError
from trustgraph.lab.population import society
from trustgraph.lab.scenarios.cast import Cast
from trustgraph.lab.scenarios.settings import check, setting, settings_of
from trustgraph.lab.vouching import Vouch
from trustgraph.lab.world import Host, Parameters, World

# At this rate of pairs other hosts receive as much mail in all as our own site does.
_HONEST = Parameters(relays=0, ring=0, traitors=0, impersonators=0, forwarders=0.05, pair_rate=2.0)

#: A world large enough to judge by, and one that is quickly made.
FULL = replace(_HONEST, hosts=110, newcomers=6, days=45, history_days=240, messages=14_000)
QUICK = replace(_HONEST, hosts=45, newcomers=3, days=20, history_days=200, messages=2_500)


@dataclass(frozen=True)
class Scenario:
    """One kind of world; its fields are its settings. ``parameters`` are its defaults for the size of the world.

    Raises :class:`UsageError` for a setting out of bounds.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    parameters: ClassVar[Parameters] = FULL

    def __post_init__(self) -> None:
        """Check what the others rely on."""
        for each in settings_of(type(self)):
            check(self.name, each, getattr(self, each.name))

    def populate(self, parameters: Parameters) -> World:
        """The hosts of the world. Raises :class:`UsageError` when the parameters do not fit the scenario."""
        raise NotImplementedError

    def unearned(self, world: World, earned: Sequence[Vouch], dice: np.random.Generator) -> Iterable[Vouch]:
        """Certifications that nobody's policy made, given those that were: none, unless a scenario says otherwise."""
        return ()


@dataclass(frozen=True)
class Attack(Scenario):
    """A scenario that adds hosts to an honest world and begins on a day of the logs."""

    begins: int = setting(10, "day of the logs on which it begins, the first being 0", 0, 3_650)

    def populate(self, parameters: Parameters) -> World:
        """The honest world, and whom the scenario adds."""
        if self.begins >= parameters.days:
            raise UsageError(f"{self.name}: begins must be below the {parameters.days} days of the logs")
        world = society(parameters)
        return replace(world, hosts=world.hosts + tuple(self.added(world, Cast(world))))

    def added(self, world: World, cast: Cast) -> list[Host]:
        """The hosts that the scenario adds. Raises :class:`UsageError` when the world is not fit for them."""
        raise NotImplementedError

    def first_day(self, world: World) -> int:
        """The day of the world on which it begins."""
        return world.parameters.history_days + self.begins
