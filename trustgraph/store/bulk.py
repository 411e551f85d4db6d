"""SQL for many rows at once, past the ORM: the two dialects differ in the mark only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa

#: Rows of one statement: together they cost half of a statement each. SQLite allows 32,766 variables in one.
_ROWS = 500


def insert_many(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    on_conflict: str = "",
    distinct: bool = False,
) -> int:
    """Insert tuples in the order of ``columns``; returns how many rows were written.

    ``on_conflict`` is what follows the values, such as ``ON CONFLICT DO NOTHING``. ``distinct``: no two rows have the
    same key; an update wants to know, since PostgreSQL refuses to update one row twice in a statement.
    """
    if not rows:
        return 0
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    marks = f"({', '.join([mark] * len(columns))})"
    # Names come from the schema, values go as parameters.
    head = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES"
    if "DO UPDATE" in on_conflict and not distinct:
        return connection.exec_driver_sql(f"{head} {marks} {on_conflict}", list(rows)).rowcount
    inserted = 0
    for start in range(0, len(rows), _ROWS):
        chunk = rows[start : start + _ROWS]
        statement = f"{head} {', '.join([marks] * len(chunk))} {on_conflict}"
        inserted += connection.exec_driver_sql(statement, tuple(chain.from_iterable(chunk))).rowcount
    return inserted


def update_on_conflict(table: sa.Table, changes: dict[str, str], key: Sequence[str] = ()) -> str:
    """``ON CONFLICT (key) DO UPDATE SET …`` with one SQL expression a column; the key is the primary one by default."""
    columns = ", ".join(key or [column.name for column in table.primary_key])
    return f"ON CONFLICT ({columns}) DO UPDATE SET " + ", ".join(f"{name} = {value}" for name, value in changes.items())
