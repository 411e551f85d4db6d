"""What was written since is read, no more and no less; a reader that cannot be sure is told to read everything."""

from __future__ import annotations

import threading
from dataclasses import fields

import numpy as np
import pytest
import sqlalchemy as sa

from trustgraph.model import DailyCount, Day, Endorsement, Identity, UnixSeconds
from trustgraph.scoring.facts import patched
from trustgraph.store import Store, changes
from trustgraph.store.arrays import read_snapshot
from trustgraph.store.changes import Change, Cursor, newest_change, record_changes, still_there
from trustgraph.store.facts import read_changes, read_facts
from trustgraph.store.tables import add_endorsements, add_history

A, B, C = (Identity.dkim(f"{letter}.example") for letter in "abc")
NOW = UnixSeconds(1_000_000)


@pytest.fixture
def begun(store: Store) -> Store:
    add_endorsements(store, [Endorsement(C, A, UnixSeconds(5)), Endorsement(A, C, UnixSeconds(6))], 1)
    add_history(store, [DailyCount(A, C, Day(3), 4, 1)], 1)
    return store


def place(store: Store) -> Cursor:
    with store.reading() as connection:
        return newest_change(connection)


def test_facts_are_what_a_snapshot_is_made_of(begun: Store) -> None:
    facts, _ = read_facts(begun, {0})
    made, read = facts.snapshot_at(NOW), read_snapshot(begun, NOW, {0})
    for column in fields(made):
        np.testing.assert_array_equal(getattr(made, column.name), getattr(read, column.name), err_msg=column.name)


def test_nothing_changed(begun: Store) -> None:
    facts, cursor = read_facts(begun, {0})
    found = read_changes(begun, {0}, cursor)
    assert found is not None
    delta, after = found
    assert after == cursor
    assert not any(len(part) for part in (delta.changed, delta.mailed, delta.names.number, delta.keys[0]))
    same, changed = patched(facts, delta)
    assert same.certifications is facts.certifications
    assert not len(changed)


def test_only_what_changed_is_read(begun: Store) -> None:
    _, cursor = read_facts(begun, {0})
    add_endorsements(begun, [Endorsement(A, B, UnixSeconds(7))], 1)
    add_history(begun, [DailyCount(B, A, Day(2), 1, 0)], 1)
    found = read_changes(begun, {0}, cursor)
    assert found is not None
    delta, after = found
    assert after == place(begun) != cursor
    assert list(delta.names.name) == [B]
    assert (delta.certifications[3].tolist(), delta.counts[2].tolist()) == ([7], [2])


def test_a_place_in_another_database_is_none(begun: Store) -> None:
    cursor = place(begun)
    with begun.reading() as connection:
        assert still_there(connection, cursor)
        assert not still_there(connection, Cursor(cursor.number, cursor.mark ^ 1))
        assert not still_there(connection, Cursor(cursor.number + 1, cursor.mark))
    assert read_changes(begun, {0}, Cursor(cursor.number, cursor.mark ^ 1)) is None


def test_the_newest_changes_are_kept(begun: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEPT", 3)
    with begun.writing() as connection:
        record_changes(connection, Change.MAIL, range(1, 8))
    before = place(begun)
    with begun.writing() as connection:
        record_changes(connection, Change.MAIL, [1])
        changes.forget_changes(connection)
        assert len(connection.execute(sa.text("SELECT id FROM change")).all()) == 3
    found = read_changes(begun, {0}, before)
    assert found is not None
    assert found[0].mailed.tolist() == [1]


def test_a_write_that_is_rolled_back_leaves_no_change(begun: Store) -> None:
    cursor = place(begun)
    with begun.writing() as connection:
        record_changes(connection, Change.MAIL, [1])
        connection.rollback()
    assert place(begun) == cursor


def test_a_change_that_is_committed_late_is_not_missed(begun: Store) -> None:
    """PostgreSQL numbers changes before they can be seen: the earlier number may be committed after the later one."""
    if begun.is_sqlite:
        with begun.writing() as connection:  # one writer at a time: a reader sees all or nothing of it
            before = place(begun)
            record_changes(connection, Change.MAIL, [1])
            assert place(begun) == before
        return
    places: list[Cursor] = []
    reader = threading.Thread(target=lambda: places.append(place(begun)))
    with begun.writing() as early:
        record_changes(early, Change.MAIL, [1])
        with begun.writing() as late:
            record_changes(late, Change.MAIL, [2])
        reader.start()
        _wait_until_blocked(begun, reader)
        assert places == []
    reader.join(60)
    with begun.reading() as connection:
        assert places[0].number == connection.execute(sa.text("SELECT max(id) FROM change")).scalar()


def test_a_reader_with_its_place_keeps_nobody_from_writing(begun: Store) -> None:
    with begun.reading() as reader:
        cursor = newest_change(reader)
        with begun.writing() as writer:
            if not begun.is_sqlite:
                writer.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
            record_changes(writer, Change.MAIL, [3])
        assert newest_change(reader) == cursor, "and sees one moment to its end"
    assert place(begun) != cursor


def _wait_until_blocked(store: Store, reader: threading.Thread) -> None:
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND NOT granted")
    while reader.is_alive():
        with store.reading() as connection:
            if connection.execute(waiting).scalar():
                return
