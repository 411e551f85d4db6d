"""Every scenario, by name. A new one is a class in this package and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from trustgraph.errors import UsageError
from trustgraph.lab.scenarios.base import FULL, QUICK, Scenario
from trustgraph.lab.scenarios.baseline import Baseline
from trustgraph.lab.scenarios.keys import Flood, Impersonator, KeyserverOutage
from trustgraph.lab.scenarios.relays import BoughtSignatures, LoneRelay, Snowshoe, Whitewasher
from trustgraph.lab.scenarios.reports import Praise, Slander
from trustgraph.lab.scenarios.rings import Ring, RingWithEdges
from trustgraph.lab.scenarios.settings import Setting, read_settings, settings_of
from trustgraph.lab.scenarios.turning import CompromisedHub, Traitor

__all__ = ["FULL", "QUICK", "SCENARIOS", "Scenario", "Setting", "find_scenario", "make_scenario", "settings_of"]

SCENARIOS: Mapping[str, type[Scenario]] = {
    each.name: each
    for each in (
        Baseline,
        LoneRelay,
        BoughtSignatures,
        Ring,
        RingWithEdges,
        Traitor,
        Whitewasher,
        CompromisedHub,
        Slander,
        Praise,
        Flood,
        Impersonator,
        Snowshoe,
        KeyserverOutage,
    )
}


def find_scenario(name: str) -> type[Scenario]:
    """The scenario of a name. Raises :class:`UsageError` that names the possible ones."""
    if name not in SCENARIOS:
        raise UsageError(f"unknown scenario {name!r}: expected one of {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


def make_scenario(name: str, given: Mapping[str, str]) -> Scenario:
    """A scenario with some of its settings given as text. Raises :class:`UsageError` that says what was expected."""
    scenario = find_scenario(name)
    return scenario(**read_settings(scenario, given))
