"""The recorded past holds at each moment what a snapshot taken then would have held."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import sqlalchemy as sa

from trustgraph.errors import NoInput
from trustgraph.model import (
    SECONDS_PER_DAY,
    DailyCount,
    Day,
    Endorsement,
    Identity,
    Observation,
    Outcome,
    Result,
    UnixSeconds,
)
from trustgraph.scoring.snapshot import Snapshot
from trustgraph.store import Store, schema
from trustgraph.store.arrays import read_snapshot
from trustgraph.store.observations import ObservationWriter, prune
from trustgraph.store.record import oldest_observation, read_record
from trustgraph.store.tables import add_endorsements, add_history

FIRST = 20_000
START = UnixSeconds(FIRST * SECONDS_PER_DAY)
UNTIL = UnixSeconds(START + 4 * SECONDS_PER_DAY)
A, B, C, D = (Identity.dkim(f"{name}.example") for name in "abcd")
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


@pytest.fixture
def crowded(past: Store) -> Store:
    """More of everything: several observers and hosts a day, and certifications that count nothing or no longer."""
    two = ("mx2.example.org", "mx1.example.org")
    seen = [
        (day, observer, identity, outcome)
        for day in (-1, -0.5, 0, 0.3, 0.5, 1.5, 2.2)
        for observer in two
        for identity in (C, B)
        for outcome in (Outcome.MALWARE, Outcome.GOOD, Outcome.SPAM)
    ]
    mail = [
        Observation(moment(day), observer, identity, Result.PASS, outcome, f"<many.{number}@x.example>")
        for number, (day, observer, identity, outcome) in enumerate(seen)
    ]
    # By both on one day only.
    mail += [Observation(moment(1.5), observer, D, Result.PASS, Outcome.GOOD, "<d@x.example>") for observer in two]
    ObservationWriter(past).add(mail)
    with past.writing() as connection:
        number = {name: n for n, name in connection.execute(sa.select(schema.identity.c.id, schema.identity.c.name))}
        mailbox = {"identity_id": number[A], "text": "", "scope": 1, "host": "", "revoked_at": None}
        for user_id, revoked_at in ((1, None), (2, moment(1.5))):
            row = mailbox | {"id": user_id, "digest": bytes([user_id]) * 16, "revoked_at": revoked_at}
            connection.execute(sa.insert(schema.user_id), row)
        plain = {"subject_id": number[A], "type": 0x10, "depth": 0, "amount": 120, "source_id": 1, "scope": 1}
        for endorser, user_id, made, revoked, weak in (
            (B, 1, -3, None, False),
            (B, 1, 0.5, 2.5, False),
            (B, 1, 2.75, None, False),
            (C, 1, -3, None, True),
            (C, 2, -3, None, False),
        ):
            row = plain | {"endorser_id": number[endorser], "user_id_id": user_id, "made_at": moment(made)}
            row |= {"revoked_at": None if revoked is None else moment(revoked), "weak": weak}
            connection.execute(sa.insert(schema.certification), row)
    return past


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


@pytest.mark.parametrize("day", [0, 1, 2, 3, 4])
def test_at_midnight_nothing_at_all_differs_from_a_snapshot(crowded: Store, day: int) -> None:
    then = read_record(crowded, (0, 1), START, UNTIL).snapshot_at(moment(day))
    counts = read_snapshot(crowded, UnixSeconds(moment(day) - 1), (0, 1))
    taken = read_snapshot(crowded, moment(day), (0, 1))
    assert len(then.certification_subject) >= 3
    for field in fields(Snapshot):
        expected = getattr(counts if field.name.startswith("count_") else taken, field.name)
        assert np.array_equal(getattr(then, field.name), expected), field.name


def test_what_a_table_says_of_a_day_is_known_once_it_is_over_and_yields_to_the_log(past: Store) -> None:
    log, table = Identity.helo("mx1.example.org"), Identity.helo("mx9.example.org")
    rows = [DailyCount(table, A, Day(FIRST + 2), good=70), DailyCount(log, A, Day(FIRST + 2), good=500)]
    add_history(past, rows, source_id=1)
    record = read_record(past, SCOPES, START, UNTIL)
    good = [int(record.snapshot_at(moment(day)).count_good.sum()) for day in (1.9, 2.9, 3)]
    assert good == [2, 3, 73]


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
    assert read_record(past, SCOPES, moment(1), UNTIL).first_day == FIRST + 1


def test_a_key_is_good_until_its_revocation_was_made_even_a_hard_one(past: Store) -> None:
    with past.writing() as connection:
        number = connection.execute(sa.select(schema.identity.c.id).where(schema.identity.c.name == A)).scalar_one()
        row = {"identity_id": number, "key_id": "0" * 16, "key_packet": b"", "created_at": 0, "self_signed_at": 0}
        connection.execute(sa.insert(schema.host_key), row | {"revoked_at": moment(2), "hard_revoked": True})
    record = read_record(past, SCOPES, START, UNTIL)
    assert record.key_revoked_at.tolist() == [moment(2)]
