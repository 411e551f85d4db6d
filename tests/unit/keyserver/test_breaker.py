"""The breaker opens, waits longer each time, lets one probe through, and closes again; time is a literal."""

from __future__ import annotations

from trustgraph.keyserver.breaker import Breaker, BreakerPolicy, State

POLICY = BreakerPolicy(failures=3, interval_seconds=5, longest_seconds=12)


def failing(times: int, at: float = 0.0) -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(times):
        permit = breaker.enter(at)
        assert permit is not None
        breaker.fail(at, permit)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    assert failing(2).state(0) is State.CLOSED
    breaker = failing(3)
    assert breaker.state(0) is State.OPEN
    assert breaker.enter(4.9) is None


def test_a_success_starts_the_count_anew() -> None:
    breaker = failing(2)
    breaker.succeed()
    for _ in range(2):
        permit = breaker.enter(1)
        assert permit is not None
        breaker.fail(1, permit)
    assert breaker.state(1) is State.CLOSED


def test_one_probe_at_a_time() -> None:
    breaker = failing(3)
    assert breaker.state(5) is State.HALF_OPEN
    probe = breaker.enter(5)
    assert probe is not None
    assert probe.is_probe
    assert breaker.enter(5) is None
    assert breaker.enter(1000) is None
    breaker.succeed()
    assert breaker.state(5) is State.CLOSED
    assert breaker.enter(5) is not None


def test_the_interval_doubles_to_its_limit_and_is_reset_by_a_success() -> None:
    breaker = failing(3)
    for probed_at, opens_again_at in ((5, 15), (15, 27), (27, 39)):
        probe = breaker.enter(probed_at)
        assert probe is not None
        breaker.fail(probed_at, probe)
        assert breaker.enter(opens_again_at - 0.1) is None
        assert breaker.state(opens_again_at) is State.HALF_OPEN
    assert breaker.enter(39) is not None
    breaker.succeed()
    for _ in range(3):
        permit = breaker.enter(40)
        assert permit is not None
        breaker.fail(40, permit)
    assert breaker.enter(44.9) is None
    assert breaker.enter(45) is not None


def test_a_probe_given_up_may_be_made_again() -> None:
    breaker = failing(3)
    probe = breaker.enter(5)
    assert probe is not None
    breaker.abandon(probe)
    assert breaker.enter(5) is not None


def test_requests_from_before_it_opened_do_not_move_it() -> None:
    breaker = Breaker(POLICY)
    early = [breaker.enter(0) for _ in range(5)]
    for permit in early[:4]:
        assert permit is not None
        breaker.fail(1, permit)
    assert breaker.state(5.9) is State.OPEN
    probe = breaker.enter(6)
    assert probe is not None
    late = early[4]
    assert late is not None
    breaker.abandon(late)
    breaker.fail(6, late)
    assert breaker.enter(6) is None, "the probe is still under way"
    breaker.fail(7, probe)
    assert breaker.enter(16.9) is None
    assert breaker.enter(17) is not None
