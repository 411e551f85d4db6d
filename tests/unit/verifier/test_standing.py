"""Ratings and expectations: from memory while they hold, never of the generation before, and errors are raised."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.verifier.scripted import AT, FP, NOW, play
from trustgraph.errors import ServiceUnavailable
from trustgraph.model import Identity, UnixSeconds
from trustgraph.policy.evidence import Rated
from trustgraph.scoring.algorithms import Scores
from trustgraph.store import Store
from trustgraph.store.accepting import RatingRow, record_signing_hosts
from trustgraph.store.generations import Generation, write_generation
from trustgraph.store.identities import number_identities
from trustgraph.verifier import standing
from trustgraph.verifier.standing import EXPECTED_SECONDS, StandingSource

KEY = Identity.openpgp(FP)
UNKNOWN = Identity.ip("192.0.2.1")
HOST = "mx.peer.example"


def rate(store: Store, rating: float, expires_at: int = NOW + 86_400) -> None:
    with store.writing() as connection:
        number = number_identities(connection, {KEY: HOST})[KEY]
    scores = Scores(np.array([rating]), np.array([0.9]), np.array([40]), np.array([4]), 1)
    generation = Generation("trustgraph", NOW, NOW, UnixSeconds(expires_at), 1, 1, 1, 0.1, {})
    write_generation(store, generation, np.array([number]), scores, keep=5)


def rated(value: float) -> Rated:
    return Rated(KEY, HOST, value, 0.9, 40, 4, UnixSeconds(NOW + 86_400))


@pytest.fixture
def source(store: Store) -> StandingSource:
    return StandingSource(store)


def test_ratings_come_in_order_and_those_without_one_are_there(store: Store, source: StandingSource) -> None:
    rate(store, 0.75)

    async def run() -> None:
        assert await source.rated([UNKNOWN, KEY, UNKNOWN]) == (Rated(UNKNOWN), rated(0.75), Rated(UNKNOWN))
        assert await source.rated([]) == ()

    play(run)


def test_memory_holds_until_there_is_a_new_generation(store: Store, source: StandingSource) -> None:
    rate(store, 0.75)

    async def run() -> None:
        assert await source.refresh()
        await source.rated([KEY])
        rate(store, 0.1)
        assert await source.rated([KEY]) == (rated(0.75),)
        assert await source.refresh()
        assert not await source.refresh()
        assert await source.rated([KEY]) == (rated(0.1),)

    play(run)


def test_an_answer_of_the_generation_before_is_not_remembered(
    store: Store, source: StandingSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look-up and its answer there is a new generation, under which the host is refused."""
    rate(store, 0.75)

    async def run() -> None:
        await source.refresh()
        look = source._looked_up

        async def overtaken() -> tuple[Rated, ...]:
            answer = look([KEY])
            ratings_of = standing.ratings_of

            def late(of: Store, identities: list[Identity]) -> dict[Identity, RatingRow]:
                rows = ratings_of(of, identities)
                rate(of, 0.05)
                source._generation = standing.newest_generation(of)
                source._forgotten += 1
                source._rated.clear()
                return rows

            with monkeypatch.context() as patch:
                patch.setattr(standing, "ratings_of", late)
                return await answer

        await overtaken()
        assert await source.rated([KEY]) == (rated(0.05),)

    play(run)


def test_what_is_in_memory_may_go_while_the_rest_is_looked_up(
    store: Store, source: StandingSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "MAX_REMEMBERED", 3)
    rate(store, 0.75)

    async def run() -> None:
        for number in range(20):
            mixed = [KEY, *(Identity.ip(f"192.0.2.{number + more}") for more in range(3))]
            assert (await source.rated(mixed))[0] == rated(0.75)
            assert len(source._rated) <= 3 + len(mixed)

    play(run)


def test_who_was_seen_to_sign_is_expected_to_for_so_long(store: Store, source: StandingSource) -> None:
    record_signing_hosts(store, {HOST: (KEY, AT)})
    last = UnixSeconds(AT + EXPECTED_SECONDS)

    async def run() -> None:
        assert await source.is_expected_to_sign(HOST, last)
        assert not await StandingSource(store).is_expected_to_sign(HOST, UnixSeconds(last + 1))
        assert not await source.is_expected_to_sign("mx.other.example", last)
        assert not await source.is_expected_to_sign("", last)

    play(run)


def test_a_host_that_begins_to_sign_is_noticed_with_the_next_refresh(store: Store, source: StandingSource) -> None:
    async def run() -> None:
        assert not await source.is_expected_to_sign(HOST, NOW)
        record_signing_hosts(store, {HOST: (KEY, AT)})
        assert not await source.is_expected_to_sign(HOST, NOW)
        await source.refresh()
        assert await source.is_expected_to_sign(HOST, NOW)

    play(run)


@pytest.mark.parametrize("name", ["ratings_of", "is_signing_host", "newest_generation"])
def test_a_store_that_does_not_answer_raises_and_nothing_is_remembered(
    source: StandingSource, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def away(*_: object) -> None:
        raise ServiceUnavailable("away")

    monkeypatch.setattr(standing, name, away)
    asks = {
        "ratings_of": lambda: source.rated([KEY]),
        "is_signing_host": lambda: source.is_expected_to_sign(HOST, NOW),
        "newest_generation": source.refresh,
    }

    async def run() -> None:
        for _ in range(2):
            with pytest.raises(ServiceUnavailable):
                await asks[name]()

    play(run)
