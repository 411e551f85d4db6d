"""One small world for all tests of the lab."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from trustgraph.lab.endorsements import Vouch, vouches
from trustgraph.lab.population import baseline
from trustgraph.lab.traffic import Traffic, simulate_traffic
from trustgraph.lab.world import Parameters, World
from trustgraph.lab.writing import WrittenWorld, simulate

SMALL = Parameters(seed=3, hosts=60, relays=10, ring=4, newcomers=4, messages=4_000)


@dataclass(frozen=True)
class Simulated:
    """A world with what happened in it."""

    world: World
    traffic: Traffic
    vouches: tuple[Vouch, ...]


@pytest.fixture(scope="session")
def simulated() -> Simulated:
    world = baseline(SMALL)
    traffic = simulate_traffic(world)
    return Simulated(world, traffic, vouches(world, traffic))


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> WrittenWorld:
    return simulate("baseline", SMALL, tmp_path_factory.mktemp("world") / "deep" / "er")
