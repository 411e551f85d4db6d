"""Who lives in a world."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import replace

import pytest

from trustgraph.errors import BadInput
from trustgraph.lab.population import baseline, society
from trustgraph.lab.scenarios import FULL, QUICK, make_scenario
from trustgraph.lab.world import OBSERVERS, Kind, Parameters, World
from trustgraph.lab.writing import play

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
        {"adoption": 0.0},
        {"adoption": 1.01},
        {"forwarders": 0.6},
        {"pair_rate": 0.0},
    ],
)
def test_impossible_worlds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="a world"):
        replace(Parameters(), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("adoption", [0.01, 0.1, 0.5, 1.0])
def test_so_many_honest_hosts_sign(adoption: float) -> None:
    worlds = [society(replace(FULL, seed=seed, adoption=adoption)) for seed in range(5)]
    honest = [host for world in worlds for host in world.hosts[len(OBSERVERS) :] if host.kind is Kind.HONEST]
    share = sum(host.key_made_at is not None for host in honest) / len(honest)
    assert abs(share - adoption) < 0.07
    assert all(world.hosts[number].key_made_at for world in worlds for number in world.observers)
    assert all(host.key_made_at for world in worlds for host in world.hosts if host.kind is Kind.NEWCOMER)


def test_forwarders_pass_spam_on_and_nothing_else_changes() -> None:
    without, with_some = (society(replace(FULL, forwarders=share)).hosts for share in (0.0, 0.2))
    changed = [(a, b) for a, b in zip(without, with_some, strict=True) if a != b]
    assert len(changed) == round(0.2 * (FULL.honest - 3))
    for own, forwarding in changed:
        assert 0.015 <= forwarding.bad_share - own.bad_share <= 0.06
        assert replace(forwarding, bad_share=own.bad_share, note=own.note) == own
        assert "forwards mail" in forwarding.note
        assert own.note != "observer"


def test_forwarders_spam_arrives() -> None:
    parameters = replace(QUICK, forwarders=0.2)
    simulated = play(make_scenario("lone-relay", {}), parameters)
    world = simulated.world
    forwarders = {number for number, host in enumerate(world.hosts) if "forwards mail" in host.note}
    seen = [message.is_spam for inbox in simulated.inboxes for message in inbox if message.sender in forwarders]
    others = [
        message.is_spam
        for inbox in simulated.inboxes
        for message in inbox
        if message.sender < world.population and message.sender not in forwarders
    ]
    assert 0.012 < sum(seen) / len(seen) < 0.08
    assert sum(others) / len(others) < 0.006


def test_volumes_have_a_heavy_tail() -> None:
    volumes = sorted((host.volume for host in society(FULL).hosts if host.kind is Kind.HONEST), reverse=True)
    tenth = len(volumes) // 10
    assert sum(volumes[:tenth]) > 0.3 * sum(volumes)
