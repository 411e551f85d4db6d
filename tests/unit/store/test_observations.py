"""Observations are counted once, whatever is ingested how often, and only authenticated mail counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from trustgraph.model import Day, Identity, Observation, Outcome, Result, UnixSeconds
from trustgraph.store import Store
from trustgraph.store.observations import Added, ObservationWriter, newest_day, prune

DAY = 20_000
NOON = UnixSeconds(DAY * 86_400 + 43_200)
SEEN = Observation(NOON, "mx1.example.org", Identity.dkim("example.com"), Result.PASS, Outcome.GOOD, "<a@example.com>")

Rows = Callable[[str], int]


def daily(store: Store) -> list[tuple[int, ...]]:
    query = "SELECT day, good, spam, malware, unknown, unauthenticated FROM daily_count ORDER BY identity_id, day"
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_an_observation_is_stored_and_folded_into_its_day(store: Store, count: Rows) -> None:
    assert ObservationWriter(store).add([SEEN]) == Added(new=1)
    assert count("observation") == 1
    assert daily(store) == [(DAY, 1, 0, 0, 0, 0)]


def test_the_same_batch_again_changes_nothing(store: Store) -> None:
    batch = [SEEN, SEEN._replace(message="<b@example.com>")]
    ObservationWriter(store).add(batch)
    assert ObservationWriter(store).add(batch) == Added(known=2)
    assert daily(store) == [(DAY, 2, 0, 0, 0, 0)]


def test_an_overlapping_batch_adds_only_what_is_new(store: Store) -> None:
    a, b, c = (SEEN._replace(message=f"<{i}@example.com>") for i in "abc")
    ObservationWriter(store).add([a, b])
    assert ObservationWriter(store).add([b, c]) == Added(new=1, known=1)
    assert daily(store) == [(DAY, 3, 0, 0, 0, 0)]


def test_a_batch_that_repeats_itself_counts_once(store: Store) -> None:
    assert ObservationWriter(store).add([SEEN, SEEN]).new == 1
    assert daily(store) == [(DAY, 1, 0, 0, 0, 0)]


@pytest.mark.parametrize(
    "other",
    [
        SEEN._replace(observed_at=UnixSeconds(NOON + 1)),
        SEEN._replace(observer="mx2.example.org"),
        SEEN._replace(identity=Identity.dkim("example.net")),
        SEEN._replace(message="<z@example.com>"),
    ],
    ids=["time", "observer", "identity", "message"],
)
def test_what_differs_in_any_part_of_the_key_is_another_observation(store: Store, other: Observation) -> None:
    ObservationWriter(store).add([SEEN])
    assert ObservationWriter(store).add([other]) == Added(new=1)


def test_each_outcome_has_its_column_and_what_did_not_pass_counts_as_unauthenticated(store: Store) -> None:
    batch = [SEEN._replace(outcome=outcome, message=outcome) for outcome in Outcome]
    batch += [SEEN._replace(result=result, outcome=Outcome.SPAM, message=result) for result in Result]
    ObservationWriter(store).add(batch)
    assert daily(store) == [(DAY, 1, 2, 1, 1, len(Result) - 1)]


def test_pruned_days_keep_their_counts_and_are_not_counted_again(store: Store, count: Rows) -> None:
    old = SEEN._replace(observed_at=UnixSeconds(NOON - 86_400))
    ObservationWriter(store).add([old, SEEN])
    assert prune(store, Day(DAY)) == 1
    assert count("observation") == 1
    assert ObservationWriter(store).add([old, SEEN]) == Added(known=1, too_old=1)
    assert [row[:2] for row in daily(store)] == [(DAY - 1, 1), (DAY, 1)]


def test_pruning_never_goes_back(store: Store) -> None:
    prune(store, Day(DAY))
    assert prune(store, Day(DAY - 5)) == 0
    assert ObservationWriter(store).add([SEEN._replace(observed_at=UnixSeconds(NOON - 86_400))]).too_old == 1


def test_a_batch_that_fails_leaves_nothing_behind(store: Store, count: Rows) -> None:
    broken = SEEN._replace(message="<b@example.com>", outcome="nonsense")
    with pytest.raises(KeyError):
        ObservationWriter(store).add([SEEN, broken])
    assert count("observation") == 0
    assert count("identity") == 0


def test_newest_day(store: Store) -> None:
    assert newest_day(store) == 0
    ObservationWriter(store).add([SEEN])
    assert newest_day(store) == DAY


def test_a_writer_that_forgets_numbers_still_finds_them(store: Store) -> None:
    writer = ObservationWriter(store, remembered=1)
    for i in range(5):
        writer.add([SEEN._replace(identity=Identity.dkim(f"d{i % 2}.example"), message=str(i))])
    assert [row[1] for row in daily(store)] == [3, 2]
