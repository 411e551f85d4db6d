"""SQL for many rows at once, past the ORM: the two dialects differ in the mark only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa


def insert_many(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    on_conflict: str = "",
) -> int:
    """Insert tuples in the order of ``columns``; returns how many rows were written.

    ``on_conflict`` is what follows the values, such as ``ON CONFLICT DO NOTHING``.
    """
    if not rows:
        return 0
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(columns))
    # Names come from the schema, values go as parameters.
    statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks}) {on_conflict}"  # noqa: S608
    return connection.exec_driver_sql(statement, list(rows)).rowcount


def update_on_conflict(table: sa.Table, changes: dict[str, str]) -> str:
    """``ON CONFLICT (primary key) DO UPDATE SET …`` with one SQL expression a column."""
    key = ", ".join(column.name for column in table.primary_key)
    return f"ON CONFLICT ({key}) DO UPDATE SET " + ", ".join(f"{name} = {value}" for name, value in changes.items())
