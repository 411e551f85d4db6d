"""What scoring reads, as arrays: everything from one snapshot of the database, past row objects.

Numbers come from SQLite through the driver's own cursor into NumPy, and from PostgreSQL as binary COPY; ten million
rows take seconds either way, through row objects minutes. A second SQLite library in this process (such as ADBC's)
would be faster still, but two copies of SQLite in one process undo each other's file locks, and then a WAL file can
be deleted under an open connection (https://www.sqlite.org/howtocorrupt.html, section 2.2.1): never use one here.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa

from trustgraph.model import UnixSeconds, day_of
from trustgraph.scoring.snapshot import NEVER, Ints, Snapshot, Texts
from trustgraph.store.engine import Store

_IDENTITIES = "SELECT id, name, host, operator FROM identity"
# A hard revocation undoes the past as well (RFC 9580 section 5.2.3.31), so it counts from the beginning of time.
_KEYS = """SELECT identity_id, created_at, COALESCE(expires_at, {never}),
    CASE WHEN hard_revoked THEN 0 ELSE COALESCE(revoked_at, {never}) END FROM host_key"""
# Every column read costs seconds for ten million rows, so the database packs seven of them into two.
_CERTIFICATIONS = """SELECT subject_id << 32 | endorser_id, user_id_id << 1 | CASE
        WHEN expires_at <= {time} OR revoked_at <= {time}
          OR user_id_id IN (SELECT id FROM user_id WHERE revoked_at <= {time}) THEN 0 ELSE 1 END
    FROM certification WHERE made_at <= {time} AND scope IN ({scopes}) AND NOT weak
    ORDER BY subject_id, endorser_id, user_id_id, made_at"""
# Where a host's own log and an operator's table speak of the same day, the log stands.
_COUNTS = """SELECT identity_id, observer_id, day, good, spam + malware AS bad, unknown FROM daily_count
    WHERE day <= {day}
    UNION ALL SELECT identity_id, observer_id, day, good, spam, 0 FROM reported_count r
    WHERE day <= {day} AND NOT EXISTS (SELECT 1 FROM daily_count d
        WHERE d.identity_id = r.identity_id AND d.observer_id = r.observer_id AND d.day = r.day)"""


def read_snapshot(store: Store, reference_time: UnixSeconds, scopes: Collection[int]) -> Snapshot:
    """Everything that scoring needs, from one read transaction.

    ``scopes`` are the codes of ``certification.scope`` that make an endorsement (0: the operator's tables).
    """
    values = {
        "time": int(reference_time),
        "day": int(day_of(reference_time)),
        "scopes": ", ".join(str(int(scope)) for scope in sorted(scopes)),
        "never": NEVER,
    }
    with store.reading() as connection:
        cursor: Any = connection.exec_driver_sql(_IDENTITIES).cursor
        identities = cursor.fetchall()
        keys = _numbers(connection, _KEYS.format(**values), 4)
        pair, user_id_and_live = _numbers(connection, _CERTIFICATIONS.format(**values), 2)
        counts = _numbers(connection, _COUNTS.format(**values), 6)
    identities.sort(key=lambda row: row[1])
    number, name, host, operator = zip(*identities, strict=True) if identities else ((), (), (), ())
    numbers = np.array(number, dtype=np.int64)
    position = np.zeros(int(numbers.max()) + 1 if len(numbers) else 1, dtype=np.int64)
    position[numbers] = np.arange(len(numbers))
    keys = _sorted_by([position[keys[0]], *keys[1:]], 1)
    counts = _sorted_by([position[counts[0]], position[counts[1]], *counts[2:]], 3)
    return Snapshot(
        reference_time,
        numbers,
        identity_name=_texts(name),
        identity_host=_texts(host),
        identity_operator=_texts(operator),
        key_identity=keys[0],
        key_created_at=keys[1],
        key_expires_at=keys[2],
        key_revoked_at=keys[3],
        certification_subject=position[pair >> 32],
        certification_endorser=position[pair & 0xFFFF_FFFF],
        certification_user_id=user_id_and_live >> 1,
        certification_live=user_id_and_live & 1,
        count_subject=counts[0],
        count_observer=counts[1],
        count_day=counts[2],
        count_good=counts[3],
        count_bad=counts[4],
        count_unknown=counts[5],
    )


def _sorted_by(columns: list[Ints], leading: int) -> list[Ints]:
    order = np.lexsort(columns[:leading][::-1])
    return [column[order] for column in columns]


def _numbers(connection: sa.Connection, query: str, columns: int) -> list[Ints]:
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
