"""Observations in, once each, folded into daily counts in the same transaction.

An observation is known by its time, observer, identity and message: reading a file twice, or two files that overlap,
meets the same keys and changes nothing. Raw observations older than the retention are pruned; since their keys are gone
then, observations from before the pruned day are refused rather than counted again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from operator import itemgetter
from typing import TypeAlias

import sqlalchemy as sa

from trustgraph.model import SECONDS_PER_DAY, Day, Identity, Observation, Outcome, Result
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many, update_on_conflict
from trustgraph.store.changes import Change, record_changes
from trustgraph.store.engine import Store
from trustgraph.store.identities import number_identities

#: observed_at, message, observer_id, identity_id
_Key: TypeAlias = tuple[int, int, int, int]
#: the key, result, outcome
_Row: TypeAlias = tuple[int, int, int, int, int, int]

RESULT_CODES = {result: code for code, result in enumerate(Result)}
OUTCOME_CODES = {outcome: code for code, outcome in enumerate(Outcome)}
_PASS = RESULT_CODES[Result.PASS]
_COUNTS = (*(outcome.value for outcome in Outcome), "unauthenticated")
_UNAUTHENTICATED = len(Outcome)
_PRUNED_BEFORE = "pruned_before"

_key: Callable[[_Row], _Key] = itemgetter(0, 1, 2, 3)

#: Keys looked up in one statement: four variables each, below SQLite's limit of 32,766.
_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a batch: newly stored, known already, and older than what is kept."""

    new: int = 0
    known: int = 0
    too_old: int = 0

    def __add__(self, other: Added) -> Added:
        return Added(self.new + other.new, self.known + other.known, self.too_old + other.too_old)


class ObservationWriter:
    """Adds observations batch by batch; remembers the numbers of identities between batches."""

    def __init__(self, store: Store, *, remembered: int = 1 << 20) -> None:
        self._store = store
        self._remembered = remembered
        self._numbers: dict[Identity, int] = {}

    def add(self, batch: Sequence[Observation]) -> Added:
        """Store one batch in one transaction; when this returns it is on disk."""
        with self._store.writing() as connection:
            self._number(connection, batch)
            oldest = pruned_before(connection) * SECONDS_PER_DAY
            kept = [o for o in batch if o.observed_at >= oldest] if oldest else batch
            rows = self._rows(kept)
            new = _insert_new(connection, rows)
        return Added(new, len(kept) - new, len(batch) - len(kept))

    def _number(self, connection: sa.Connection, batch: Sequence[Observation]) -> None:
        if len(self._numbers) > self._remembered:
            self._numbers.clear()
        known = self._numbers
        absent = {o.identity: o.host for o in batch if o.identity not in known}
        observers = {Identity.helo(name) for name in {o.observer for o in batch}}
        absent |= {observer: "" for observer in observers if observer not in known}
        if absent:
            known.update(number_identities(connection, absent))

    def _rows(self, batch: Iterable[Observation]) -> list[_Row]:
        numbers = self._numbers
        observers = {name: numbers[Identity.helo(name)] for name in {o.observer for o in batch}}
        results, outcomes = RESULT_CODES, OUTCOME_CODES
        rows: list[_Row] = []
        last, digest = "", message_digest("")
        for at, observer, identity, result, outcome, message, _, _ in batch:
            if message != last:  # the identities of one message follow each other
                last, digest = message, message_digest(message)
            rows.append((at, digest, observers[observer], numbers[identity], results[result], outcomes[outcome]))
        return rows


def message_digest(message: str) -> int:
    """A signed 64-bit number for what names a message."""
    octets = message.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(octets, digest_size=8).digest(), "big", signed=True)


def pruned_before(connection: sa.Connection) -> Day:
    """The day before which raw observations were dropped; 0 if none were."""
    query = sa.select(schema.fact.c.value).where(schema.fact.c.name == _PRUNED_BEFORE)
    return Day(int(connection.execute(query).scalar() or 0))


def prune(store: Store, before: Day) -> int:
    """Drop raw observations of days before ``before``, and what is joined to them; their daily counts stay.

    Returns how many observations went.
    """
    with store.writing() as connection:
        if before <= pruned_before(connection):
            return 0
        oldest = before * SECONDS_PER_DAY
        gone = connection.execute(sa.delete(schema.observation).where(schema.observation.c.observed_at < oldest))
        for table in (schema.message_seen, schema.vote, schema.delivery):
            connection.execute(sa.delete(table).where(table.c.observed_at < oldest))
        read = schema.feedback_read
        connection.execute(sa.delete(read).where(read.c.read_at < oldest))
        connection.execute(sa.delete(schema.fact).where(schema.fact.c.name == _PRUNED_BEFORE))
        connection.execute(sa.insert(schema.fact).values(name=_PRUNED_BEFORE, value=str(before)))
        return gone.rowcount


def _insert_new(connection: sa.Connection, rows: Sequence[_Row]) -> int:
    """Insert the rows whose key is new and fold exactly those; returns how many."""
    if not rows:
        return 0
    # Nearly every batch is all new or all known: then the driver's row count alone says what to fold. Otherwise what is
    # known is left out, and again should a rival have inserted some of the rest meanwhile.
    while True:
        attempt = connection.begin_nested()
        inserted = _insert(connection, rows)
        if inserted in (0, len(rows)):
            attempt.commit()
            break
        attempt.rollback()
        known = _known_keys(connection, rows)
        rows = [row for key, row in {_key(row): row for row in reversed(rows)}.items() if key not in known]
    if inserted:
        _fold(connection, rows)
        # In the order of the table, which makes it several times as fast.
        seen = sorted({(message, at) for at, message, *_ in rows})
        columns = ("message", "observed_at")
        insert_many(connection, schema.message_seen, columns, seen, on_conflict="ON CONFLICT DO NOTHING")
    return inserted


def _insert(connection: sa.Connection, rows: Sequence[_Row]) -> int:
    columns = [column.name for column in schema.observation.columns]
    return insert_many(connection, schema.observation, columns, rows, on_conflict="ON CONFLICT DO NOTHING")


def _known_keys(connection: sa.Connection, rows: Sequence[_Row]) -> set[_Key]:
    known: set[_Key] = set()
    columns = list(schema.observation.primary_key)
    keys = map(_key, rows)
    while chunk := list(islice(keys, _CHUNK)):
        query = sa.select(*columns).where(sa.tuple_(*columns).in_(chunk))
        known.update((at, message, observer, subject) for at, message, observer, subject in connection.execute(query))
    return known


def _fold(connection: sa.Connection, rows: Iterable[_Row]) -> None:
    """Add to the daily counts; each cell is written once a batch."""
    counts = Counter(
        (subject, observer, at // SECONDS_PER_DAY, outcome if result == _PASS else _UNAUTHENTICATED)
        for at, _, observer, subject, result, outcome in rows
    )
    cells: dict[tuple[int, int, int], list[int]] = {}
    for (subject, observer, day, column), number in counts.items():
        cells.setdefault((subject, observer, day), [0] * len(_COUNTS))[column] += number
    record_changes(connection, Change.MAIL, (subject for subject, _, _ in cells))
    insert_many(
        connection,
        schema.daily_count,
        ("identity_id", "observer_id", "day", *_COUNTS),
        [(*key, *cells[key]) for key in sorted(cells)],
        on_conflict=update_on_conflict(
            schema.daily_count, {name: f"daily_count.{name} + excluded.{name}" for name in _COUNTS}
        ),
        distinct=True,
    )


def newest_day(store: Store) -> Day:
    """The last day that mail was observed on; 0 if there was none."""
    with store.reading() as connection:
        return Day(connection.execute(sa.select(sa.func.max(schema.daily_count.c.day))).scalar() or 0)
