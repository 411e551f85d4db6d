"""The recorded past holds at each moment what a snapshot taken then would have held."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa

from trustgraph.errors import NoInput
from trustgraph.model import SECONDS_PER_DAY, Day, Endorsement, Identity, Observation, Outcome, Result, UnixSeconds
from trustgraph.store import Store, schema
from trustgraph.store.arrays import read_snapshot
from trustgraph.store.observations import ObservationWriter, prune
from trustgraph.store.record import oldest_observation, read_record
from trustgraph.store.tables import add_endorsements

FIRST = 20_000
START = UnixSeconds(FIRST * SECONDS_PER_DAY)
UNTIL = UnixSeconds(START + 4 * SECONDS_PER_DAY)
A, B, C = (Identity.dkim(f"{name}.example") for name in "abc")
SCOPES = (0,)


def moment(day: float) -> UnixSeconds:
    """So many days after the start."""
    return UnixSeconds(int(START + day * SECONDS_PER_DAY))


@pytest.fixture
def past(store: Store) -> Store:
    """Mail on four days, and endorsements that begin and end among them."""
    seen = [
        Observation(moment(day), observer, identity, result, outcome, f"<{number}@x.example>")
        for number, (day, observer, identity, result, outcome) in enumerate(
            [
                (-0.5, "mx1.example.org", A, Result.PASS, Outcome.GOOD),
                (0.2, "mx1.example.org", A, Result.PASS, Outcome.GOOD),
                (0.2, "mx1.example.org", A, Result.FAIL, Outcome.SPAM),
                (0.9, "mx2.example.org", B, Result.PASS, Outcome.SPAM),
                (1.1, "mx1.example.org", B, Result.PASS, Outcome.MALWARE),
                (1.2, "mx1.example.org", A, Result.PASS, Outcome.UNKNOWN),
                (2.0, "mx1.example.org", A, Result.PASS, Outcome.GOOD),
                (3.7, "mx1.example.org", C, Result.PASS, Outcome.GOOD),
            ]
        )
    ]
    ObservationWriter(store).add(seen)
    endorsements = [
        Endorsement(A, B, moment(-9), moment(1.5), None),
        Endorsement(B, C, moment(1.25), None, moment(2.5)),
        Endorsement(A, C, moment(3), None, None),
    ]
    add_endorsements(store, endorsements, source_id=1)
    return store


@pytest.mark.parametrize("day", [0, 1, 2, 3, 4])
def test_at_midnight_it_is_the_snapshot_of_the_day_before(past: Store, day: int) -> None:
    record = read_record(past, SCOPES, START, UNTIL)
    then, taken = record.snapshot_at(moment(day)), read_snapshot(past, UnixSeconds(moment(day) - 1), SCOPES)
    for column in ("subject", "observer", "day", "good", "bad", "unknown"):
        assert np.array_equal(getattr(then, f"count_{column}"), getattr(taken, f"count_{column}")), column
    assert list(then.identity_name) == list(taken.identity_name)


@pytest.mark.parametrize("day", [0, 1.2, 1.25, 1.5, 2.4, 2.5, 3.5])
def test_endorsements_begin_and_end_when_they_did(past: Store, day: float) -> None:
    then, taken = (
        read_record(past, SCOPES, START, UNTIL).snapshot_at(moment(day)),
        read_snapshot(past, moment(day), SCOPES),
    )
    for column in ("subject", "endorser", "user_id", "live"):
        assert np.array_equal(getattr(then, f"certification_{column}"), getattr(taken, f"certification_{column}")), (
            column
        )


def test_within_a_day_only_mail_that_had_arrived_counts(past: Store) -> None:
    record = read_record(past, SCOPES, START, UNTIL)
    before, after = record.snapshot_at(moment(1.15)), record.snapshot_at(moment(1.21))
    assert (before.count_unknown.sum(), after.count_unknown.sum()) == (0, 1)
    assert after.count_bad.sum() == 2


def test_a_start_within_a_day_knows_that_whole_day(past: Store) -> None:
    record = read_record(past, SCOPES, moment(0.5), UNTIL)
    assert record.first_day == FIRST
    assert record.snapshot_at(moment(0.5)).count_good.sum() == 2


def test_what_came_before_the_record_cannot_be_asked_for(past: Store) -> None:
    with pytest.raises(ValueError, match="lies before it"):
        read_record(past, SCOPES, START, UNTIL).snapshot_at(UnixSeconds(START - 1))


def test_pruned_observations_are_missed_and_said_to_be(past: Store) -> None:
    assert oldest_observation(past) == moment(-0.5)
    prune(past, Day(FIRST + 1))
    with pytest.raises(NoInput, match="are kept from"):
        read_record(past, SCOPES, START, UNTIL)
    assert oldest_observation(past) == moment(1.1)


def test_a_key_is_good_until_its_revocation_was_made_even_a_hard_one(past: Store) -> None:
    with past.writing() as connection:
        number = connection.execute(sa.select(schema.identity.c.id).where(schema.identity.c.name == A)).scalar_one()
        row = {"identity_id": number, "key_id": "0" * 16, "key_packet": b"", "created_at": 0, "self_signed_at": 0}
        connection.execute(sa.insert(schema.host_key), row | {"revoked_at": moment(2), "hard_revoked": True})
    record = read_record(past, SCOPES, START, UNTIL)
    assert record.key_revoked_at.tolist() == [moment(2)]
