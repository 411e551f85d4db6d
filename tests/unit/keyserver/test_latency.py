"""Quick servers before slow ones, reliable before failing ones, and nothing held against them for ever."""

from __future__ import annotations

import pytest

from trustgraph.keyserver.latency import HALF_LIFE_SECONDS, SHORTEST_HEDGE_SECONDS, Latency


def after(*seconds: float) -> Latency:
    latency = Latency()
    for one in seconds:
        latency.answered(0, one)
    return latency


def test_an_unknown_server_costs_nothing_and_is_hedged_latest() -> None:
    assert Latency().cost(0) == 0
    assert Latency().hedge_after(0.5) == 0.5


def test_the_quicker_costs_less() -> None:
    assert after(0.1, 0.1).cost(0) < after(0.2, 0.2).cost(0)
    assert after(0.3).cost(0) == pytest.approx(0.3)
    assert after(0.1, 0.9).cost(0) == pytest.approx(0.1 + 0.8 / 8)


def test_failing_costs_more_than_slowness_and_heals() -> None:
    latency = after(0.1)
    for _ in range(4):
        latency.failed(0)
    assert latency.cost(0) > after(1.0).cost(0)
    for _ in range(20):
        latency.answered(0, 0.1)
    assert latency.cost(0) < 0.12


def test_a_bad_record_fades() -> None:
    latency = after(2.0)
    latency.failed(0)
    assert latency.cost(HALF_LIFE_SECONDS) == pytest.approx(latency.cost(0) / 2)
    assert latency.cost(100 * HALF_LIFE_SECONDS) < 0.001


def test_a_server_that_was_overtaken_is_known_to_be_slow() -> None:
    latency = after(0.01)
    latency.overtaken(0, 0.5)
    assert latency.cost(0) == pytest.approx(0.5)
    latency.overtaken(0, 0.1)
    assert latency.cost(0) == pytest.approx(0.5)
    unknown = Latency()
    unknown.overtaken(0, 0.3)
    assert unknown.cost(0) == pytest.approx(0.3)


def test_the_hedge_comes_after_almost_every_answer_would_have() -> None:
    steady = after(*[0.1] * 50)
    assert 0.1 <= steady.hedge_after(0.5) < 0.11
    spread = after(*[0.05, 0.15] * 50)
    assert 0.15 < spread.hedge_after(0.5) < 0.25
    assert after(3.0).hedge_after(0.5) == 0.5
    assert after(*[0.0001] * 50).hedge_after(0.5) == SHORTEST_HEDGE_SECONDS
