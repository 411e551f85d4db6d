"""Where facts came from: one row for every file of every ingestion, with its counts."""

from __future__ import annotations

import json
from collections.abc import Mapping

import sqlalchemy as sa

from trustgraph.store import schema
from trustgraph.store.engine import Store


def record_source(connection: sa.Connection, kind: str, name: str, ingested_at: int) -> int:
    """A new source; ``kind`` is logs, keys, endorsements or history. Returns its number."""
    shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")  # names of files are any octets
    row = connection.execute(sa.insert(schema.source).values(kind=kind, name=shown, ingested_at=ingested_at))
    primary_key = row.inserted_primary_key
    assert primary_key is not None  # noqa: S101 - an autonumbered insert always gives it
    return int(primary_key[0])


def record_counts(store: Store, source_id: int, counts: Mapping[str, int]) -> None:
    """Say what came out of a source."""
    statement = sa.update(schema.source).where(schema.source.c.id == source_id).values(counts=json.dumps(counts))
    with store.writing() as connection:
        connection.execute(statement)
