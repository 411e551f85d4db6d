"""What changed, in the order in which it did: so that scoring again need not read everything again.

Whoever writes what scoring reads says so here, in the same transaction. A reader keeps its place, a :class:`Cursor`:
the number of the last change it saw and that change's mark, a random number. If there is no such change with that mark
any more, then the database is another one, or older, or has forgotten, and everything has to be read.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import sqlalchemy as sa

from trustgraph.store import schema
from trustgraph.store.bulk import insert_many

#: Changes that are remembered; who was away for longer reads everything, which is quicker then.
KEPT = 1_000_000


class Change(IntEnum):
    """What of an identity changed: its name and host, key, User IDs and certifications on it; or its mail's counts."""

    CERTIFICATE = 1
    MAIL = 2


@dataclass(frozen=True, slots=True)
class Cursor:
    """All changes up to ``number`` were seen, the last of them with this ``mark``."""

    number: int
    mark: int


def record_changes(connection: sa.Connection, what: Change, identities: Iterable[int]) -> None:
    """Say of which identities (by number) that part changed, in the transaction that changes it."""
    mark = secrets.randbits(63)
    rows = [(int(what), number, mark) for number in sorted(set(identities))]
    insert_many(connection, schema.change, ("kind", "identity_id", "mark"), rows)


def newest_change(connection: sa.Connection) -> Cursor:
    """The place of a reader that reads everything in this transaction; to be asked for before anything else in it."""
    c = schema.change.c
    query = sa.select(c.id, c.mark).order_by(c.id.desc()).limit(1)
    if connection.dialect.name == "sqlite":
        return _cursor(connection, query)
    # SQLite has one writer at a time. PostgreSQL numbers changes as they are made but shows them as they are committed,
    # so a lower number could appear after a higher one was seen. This lock waits until nobody is between the two; the
    # first query then fixes what the whole transaction sees, and the lock goes with the savepoint.
    with connection.begin_nested() as savepoint:
        connection.exec_driver_sql("LOCK TABLE change IN SHARE MODE")
        cursor = _cursor(connection, query)
        savepoint.rollback()
    return cursor


def still_there(connection: sa.Connection, cursor: Cursor) -> bool:
    """Whether this is the database that the cursor comes from, and nothing after it was forgotten."""
    query = sa.select(schema.change.c.mark).where(schema.change.c.id == cursor.number)
    return connection.execute(query).scalar() == cursor.mark


def forget_changes(connection: sa.Connection) -> None:
    """Drop all but the newest :data:`KEPT`."""
    newest = connection.execute(sa.select(sa.func.max(schema.change.c.id))).scalar() or 0
    connection.execute(sa.delete(schema.change).where(schema.change.c.id <= newest - KEPT))


def _cursor(connection: sa.Connection, query: sa.Select[Any]) -> Cursor:
    number, mark = connection.execute(query).one()
    return Cursor(number, mark)
