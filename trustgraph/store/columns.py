"""Whole columns out of the database as arrays, past row objects.

Numbers come from SQLite through the driver's own cursor into NumPy, and from PostgreSQL as binary COPY; ten million
rows take seconds either way, through row objects minutes. A second SQLite library in this process (such as ADBC's)
would be faster still, but two copies of SQLite in one process undo each other's file locks, and then a WAL file can
be deleted under an open connection (https://www.sqlite.org/howtocorrupt.html, section 2.2.1): never use one here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa

from trustgraph.scoring.snapshot import Ints, Texts


@dataclass(frozen=True, slots=True)
class Identities:
    """All identities, sorted by name. ``position[number]`` is the place of the identity that the store numbers so."""

    number: Ints
    name: Texts
    host: Texts
    operator: Texts
    position: Ints


def read_identities(connection: sa.Connection, condition: str = "1 = 1") -> Identities:
    """All that the store knows, or those that meet a condition in SQL."""
    query = f"SELECT id, name, host, operator FROM identity WHERE {condition}"  # noqa: S608 - no values from outside
    cursor: Any = connection.exec_driver_sql(query).cursor
    rows = cursor.fetchall()
    rows.sort(key=lambda row: row[1])
    number, name, host, operator = zip(*rows, strict=True) if rows else ((), (), (), ())
    numbers = np.array(number, dtype=np.int64)
    position = np.zeros(int(numbers.max()) + 1 if len(numbers) else 1, dtype=np.int64)
    position[numbers] = np.arange(len(numbers))
    return Identities(numbers, _texts(name), _texts(host), _texts(operator), position)


def sorted_by(columns: list[Ints], leading: int) -> list[Ints]:
    """The columns in the order of the first ``leading`` of them."""
    order = np.lexsort(columns[:leading][::-1])
    return [column[order] for column in columns]


def numbers_of(connection: sa.Connection, query: str, columns: int) -> list[Ints]:
    """The columns of a query that gives whole numbers and no nulls."""
    if connection.dialect.name == "sqlite":
        cursor: Any = connection.exec_driver_sql(query).cursor
        flat = np.fromiter(chain.from_iterable(cursor), dtype=np.int64)
        return list(np.ascontiguousarray(flat.reshape(-1, columns).T))
    return _copied(connection, query, columns)


def _copied(connection: sa.Connection, query: str, columns: int) -> list[Ints]:
    """The same from PostgreSQL: COPY's binary format is a fixed-width record a row when every column is a bigint."""
    # A 19-byte header, then for each row an int16 field count and for each field an int32 length and 8 bytes; at the
    # end an int16 -1 (PostgreSQL documentation, COPY, "Binary Format").
    record = np.dtype([("fields", ">i2"), *((f"f{i}", [("length", ">i4"), ("value", ">i8")]) for i in range(columns))])
    names = ", ".join(f"c{i}::bigint" for i in range(columns))
    aliases = ", ".join(f"c{i}" for i in range(columns))
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - the connection is open
    with driver.cursor() as cursor:
        statement = f"COPY (SELECT {names} FROM ({query}) q({aliases})) TO STDOUT (FORMAT BINARY)"  # noqa: S608
        with cursor.copy(statement) as copy:
            data = b"".join(copy)
    rows = np.frombuffer(data, dtype=record, count=(len(data) - 21) // record.itemsize, offset=19)
    return [rows[f"f{i}"]["value"].astype(np.int64) for i in range(columns)]


def _texts(column: Collection[str]) -> Texts:
    texts = np.empty(len(column), dtype=object)
    texts[:] = column
    return texts
