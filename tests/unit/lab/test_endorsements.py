"""Who endorses whom in a world, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from trustgraph.endorsement.wilson import bounds
from trustgraph.lab.vouching import Cause
from trustgraph.lab.world import Kind
from trustgraph.model import SECONDS_PER_DAY

if TYPE_CHECKING:
    from trustgraph.lab.writing import SimulatedWorld


def test_every_earned_endorsement_meets_the_policy(simulated: SimulatedWorld) -> None:
    """Counted again, naively, from what the endorser had received before that day."""
    world, traffic = simulated.world, simulated.traffic
    earned = [vouch for vouch in simulated.vouches if vouch.cause is Cause.EARNED]
    assert len(earned) > 100
    for vouch in earned:
        day = (vouch.made_at - world.parameters.day_start(0)) // SECONDS_PER_DAY
        good = [int(number) for number in traffic.good[vouch.endorser, vouch.subject, :day]]
        bad = sum(int(number) for number in traffic.spam[vouch.endorser, vouch.subject, :day])
        _, most_bad = bounds(np.array([bad]), np.array([sum(good) + bad]))
        assert sum(good) >= 50
        assert sum(number > 0 for number in good) >= 14
        assert most_bad[0] <= 0.01
        assert vouch.good == sum(good)
        assert world.hosts[vouch.endorser].operator != world.hosts[vouch.subject].operator


def test_nobody_else_earns_one(simulated: SimulatedWorld) -> None:
    kinds = {simulated.world.hosts[v.subject].kind for v in simulated.vouches if v.cause is Cause.EARNED}
    assert kinds == {Kind.HONEST, Kind.TRAITOR}


def test_only_hosts_with_a_key_take_part_after_making_it(simulated: SimulatedWorld) -> None:
    for vouch in simulated.vouches:
        for number in (vouch.endorser, vouch.subject):
            made_at = simulated.world.hosts[number].key_made_at
            assert made_at is not None
            assert made_at < vouch.made_at


def test_all_last_ninety_days_and_are_made_within_the_world(simulated: SimulatedWorld) -> None:
    for vouch in simulated.vouches:
        assert vouch.expires_at - vouch.made_at == 90 * SECONDS_PER_DAY
        assert vouch.made_at < simulated.world.parameters.until
        assert vouch.revoked_at is None or vouch.made_at < vouch.revoked_at < vouch.expires_at


def test_some_have_expired_and_the_traitors_are_revoked_after_it_turned(simulated: SimulatedWorld) -> None:
    world = simulated.world
    assert any(vouch.expires_at < world.parameters.until for vouch in simulated.vouches)
    (traitor,) = (number for number, host in enumerate(world.hosts) if host.kind is Kind.TRAITOR)
    turned = world.hosts[traitor].turns_on
    assert turned is not None
    revoked = [vouch.revoked_at for vouch in simulated.vouches if vouch.subject == traitor and vouch.revoked_at]
    assert len(revoked) >= 3
    assert min(revoked) > world.parameters.day_start(turned)


def test_relays_have_at_most_two_honest_endorsers(simulated: SimulatedWorld) -> None:
    kinds = [host.kind for host in simulated.world.hosts]
    honest = Counter(
        vouch.subject
        for vouch in simulated.vouches
        if kinds[vouch.subject] in (Kind.RELAY, Kind.RING) and kinds[vouch.endorser] is Kind.HONEST
    )
    assert 1 <= max(honest.values()) <= 2
    assert all(
        vouch.endorser not in simulated.world.observers for vouch in simulated.vouches if vouch.cause == "bought"
    )


def test_the_ring_is_dense_and_flatters_honest_hosts(simulated: SimulatedWorld) -> None:
    kinds = [host.kind for host in simulated.world.hosts]
    pairs = {(kinds[v.endorser], kinds[v.subject]) for v in simulated.vouches if v.cause in ("ring", "camouflage")}
    assert pairs == {(Kind.RING, Kind.RING), (Kind.RING, Kind.HONEST)}
    assert sum(vouch.cause is Cause.RING for vouch in simulated.vouches) >= 4 * 3 * 0.6


def test_the_burst_hits_one_lone_relay_within_an_hour(simulated: SimulatedWorld) -> None:
    burst = [vouch for vouch in simulated.vouches if vouch.cause is Cause.BURST]
    assert len(burst) >= 6
    assert len({vouch.subject for vouch in burst}) == 1
    assert max(vouch.made_at for vouch in burst) - min(vouch.made_at for vouch in burst) < 3600


def test_nobody_endorses_the_impersonator(simulated: SimulatedWorld) -> None:
    kinds = {simulated.world.hosts[vouch.subject].kind for vouch in simulated.vouches}
    assert Kind.IMPERSONATOR not in kinds
