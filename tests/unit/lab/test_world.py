"""Who lives in a world."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import replace

import pytest

from trustgraph.errors import BadInput
from trustgraph.lab.population import baseline
from trustgraph.lab.world import OBSERVERS, Kind, Parameters, World

DOCUMENTATION = [
    ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


def test_the_default_world_has_the_asked_numbers() -> None:
    kinds = Counter(host.kind for host in baseline(Parameters()).hosts)
    assert kinds == {
        Kind.HONEST: 120,
        Kind.NEWCOMER: 8,
        Kind.TRAITOR: 1,
        Kind.RELAY: 12,
        Kind.RING: 8,
        Kind.IMPERSONATOR: 1,
    }


@pytest.fixture
def world() -> World:
    return baseline(Parameters())


def test_the_observers_come_first_and_sign(world: World) -> None:
    assert tuple(world.hosts[number].name for number in world.observers) == OBSERVERS
    assert all(world.hosts[number].key_made_at is not None for number in world.observers)


def test_names_and_addresses_are_for_documentation_and_distinct(world: World) -> None:
    addresses = [ipaddress.ip_address(host.address) for host in world.hosts]
    assert all(any(address in net for net in DOCUMENTATION) for address in addresses)
    assert len(set(addresses)) == len(world.hosts)
    assert len({host.client_name for host in world.hosts}) == len(world.hosts)
    assert all(host.name.endswith((".example", ".example.org")) for host in world.hosts)


def test_some_operators_run_several_hosts_and_some_hosts_have_no_key(world: World) -> None:
    honest = [host for host in world.hosts if host.kind is Kind.HONEST]
    assert sum(number > 1 for number in Counter(host.operator for host in honest).values()) >= 3
    assert 5 <= sum(host.key_made_at is None for host in honest) <= 40


def test_the_impersonator_claims_a_name_that_is_taken(world: World) -> None:
    (impersonator,) = (host for host in world.hosts if host.kind is Kind.IMPERSONATOR)
    (victim,) = (host for host in world.hosts if host.name == impersonator.name and host is not impersonator)
    assert impersonator.is_impersonator
    assert not victim.is_impersonator
    assert victim.key_made_at != impersonator.key_made_at
    assert victim.address != impersonator.address


def test_newcomers_appear_and_the_traitor_turns_within_the_logged_days(world: World) -> None:
    logged = range(world.parameters.history_days, world.parameters.all_days)
    assert all(host.first_day in logged for host in world.hosts if host.kind is Kind.NEWCOMER)
    assert [host.turns_on for host in world.hosts if host.kind is Kind.TRAITOR] == [logged[20]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ring": 21},
        {"seed": -1},
        {"newcomers": -1},
        {"relays": 138},
        {"hosts": 2_000},
        {"days": 0},
        {"history_days": 100},
        {"until": 1_793_491_201},
    ],
)
def test_impossible_worlds_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="a world"):
        replace(Parameters(), **wrong)  # type: ignore[arg-type]
