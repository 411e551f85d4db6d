"""Generations appear whole, newest first, and old ones go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.store.test_observations import DAY, SEEN
from trustgraph.model import DailyCount, Day, Endorsement, Identity, UnixSeconds
from trustgraph.scoring.algorithms import Scores
from trustgraph.store import Store
from trustgraph.store.arrays import read_snapshot
from trustgraph.store.generations import Generation, latest_generation, read_ratings, write_generation
from trustgraph.store.observations import ObservationWriter
from trustgraph.store.tables import add_endorsements, add_history, read_endorsements, read_history

A, B = Identity.dkim("acorn.example"), Identity.dkim("birch.example")
TIME = UnixSeconds(1_000)


def generation() -> Generation:
    return Generation("trustgraph", TIME, TIME, UnixSeconds(2_000), 2, 1, 3, 0.5, {"quorum": 3})


def scores(rating: float) -> Scores:
    return Scores(np.array([rating, 0.1]), np.array([0.9, 0.2]), np.array([7, 8]), np.array([3, 0]), 3)


def write(store: Store, rating: float, keep: int = 5) -> int:
    numbers = read_snapshot(store, TIME, {0}).identity_number
    return write_generation(store, generation(), numbers, scores(rating), keep=keep)


@pytest.fixture
def known(store: Store) -> Store:
    add_endorsements(store, [Endorsement(A, B, UnixSeconds(10))], 1)
    return store


def test_no_generation_yet(store: Store) -> None:
    assert latest_generation(store) is None


def test_the_newest_generation_is_read_best_rating_first(known: Store) -> None:
    write(known, 0.3)
    number = write(known, 0.05)
    newest = latest_generation(known)
    assert newest is not None
    assert (newest.number, newest.algorithm, newest.parameters) == (number, "trustgraph", {"quorum": 3})
    assert [(r.identity, r.rating, r.sample_size, r.endorsers) for r in read_ratings(known, newest)] == [
        (B, 0.1, 8, 0),
        (A, 0.05, 7, 3),
    ]
    assert [r.identity for r in read_ratings(known, newest, [A])] == [A]


def test_a_run_that_fails_half_way_leaves_the_last_one_in_force(known: Store, count: Callable[[str], int]) -> None:
    number = write(known, 0.3)
    numbers = read_snapshot(known, TIME, {0}).identity_number
    twice = np.concatenate([numbers, numbers])
    columns = (np.full(4, 0.5), np.full(4, 0.5), np.full(4, 1), np.full(4, 1))
    with pytest.raises(Exception, match=r"(?i)unique"):
        write_generation(known, generation(), twice, Scores(*columns, 1), keep=5)
    newest = latest_generation(known)
    assert newest is not None
    assert newest.number == number
    assert count("rating") == 2


def test_only_the_newest_are_kept(known: Store, count: Callable[[str], int]) -> None:
    for _ in range(4):
        write(known, 0.3, keep=2)
    assert (count("generation"), count("rating")) == (2, 4)


def test_tables_come_out_as_they_went_in_and_a_later_row_replaces(store: Store) -> None:
    add_endorsements(store, [Endorsement(A, B, UnixSeconds(10), UnixSeconds(99), amount=60, depth=1)], 1)
    add_endorsements(store, [Endorsement(A, B, UnixSeconds(10), UnixSeconds(77))], 2)
    assert read_endorsements(store) == [(A, B, 10, 77, 120, 0)]
    add_history(store, [DailyCount(A, B, Day(3), good=5, spam=1)], 1)
    add_history(store, [DailyCount(A, B, Day(3), good=6, spam=0)], 2)
    assert read_history(store) == [(A, B, 3, 6, 0)]


def test_a_log_outranks_a_table_for_the_same_day(store: Store) -> None:
    observer = Identity.helo(SEEN.observer)
    add_history(store, [DailyCount(observer, SEEN.identity, Day(DAY), 50, 50)], 1)
    ObservationWriter(store).add([SEEN])
    s = read_snapshot(store, SEEN.observed_at, {0})
    assert (list(s.count_good), list(s.count_bad)) == ([1], [0])
    assert read_history(store) == [(observer, SEEN.identity, DAY, 1, 0)]


def test_the_snapshot_ends_at_the_reference_day(store: Store) -> None:
    add_history(store, [DailyCount(A, B, Day(day), 1, 0) for day in (3, 4, 5)], 1)
    assert list(read_snapshot(store, UnixSeconds(4 * 86_400), {0}).count_day) == [3, 4]
