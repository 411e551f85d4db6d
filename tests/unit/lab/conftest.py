"""One small world for all tests of the lab."""

from __future__ import annotations

import pytest

from trustgraph.lab.scenarios import make_scenario
from trustgraph.lab.world import Parameters
from trustgraph.lab.writing import SimulatedWorld, WrittenWorld, play, simulate

SMALL = Parameters(seed=3, hosts=60, relays=10, ring=4, newcomers=4, messages=4_000)


@pytest.fixture(scope="session")
def simulated() -> SimulatedWorld:
    return play(make_scenario("baseline", {}), SMALL)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> WrittenWorld:
    return simulate("baseline", SMALL, tmp_path_factory.mktemp("world") / "deep" / "er")
