"""Score runs: written whole in one transaction, read newest first; a reader never sees half of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from trustgraph.model import Identity, IdentityKind, Rating, UnixSeconds
from trustgraph.scoring.algorithms import Scores
from trustgraph.scoring.snapshot import Ints
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many
from trustgraph.store.changes import forget_changes
from trustgraph.store.engine import Store

_CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Generation:
    """One run of scoring. ``number`` is 0 until it is stored; ``seconds`` is what the run took."""

    algorithm: str
    reference_time: UnixSeconds
    generated_at: UnixSeconds
    expires_at: UnixSeconds
    identities: int
    endorsements: int
    iterations: int
    seconds: float
    parameters: Mapping[str, Any]
    number: int = 0


def write_generation(
    store: Store,
    generation: Generation,
    identity_number: Ints,
    scores: Scores,
    *,
    keep: int,
) -> int:
    """Publish one generation and drop all but the newest ``keep``; returns its number."""
    with store.writing() as connection:
        values = {name: getattr(generation, name) for name in _GENERATION if name not in ("id", "parameters")}
        row = connection.execute(
            sa.insert(schema.generation).values(**values, parameters=json.dumps(generation.parameters))
        )
        primary_key = row.inserted_primary_key
        assert primary_key is not None  # noqa: S101 - an autonumbered insert always gives it
        number = int(primary_key[0])
        order = identity_number.argsort()
        each = (identity_number, scores.rating, scores.confidence, scores.sample_size, scores.endorsers)
        columns = [column[order] for column in each]
        for start in range(0, len(order), _CHUNK):
            rows = list(zip(*(column[start : start + _CHUNK].tolist() for column in columns), strict=True))
            insert_many(connection, schema.rating, _RATING, [(number, *row) for row in rows])
        _drop_old(connection, keep)
        forget_changes(connection)
    return number


def latest_generation(store: Store) -> Generation | None:
    """The newest complete generation."""
    query = sa.select(schema.generation).order_by(schema.generation.c.id.desc()).limit(1)
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    rest = {name: row[name] for name in _GENERATION if name not in ("id", "parameters")}
    return Generation(**rest, parameters=json.loads(row["parameters"]), number=row["id"])


def read_ratings(store: Store, generation: Generation, identities: list[Identity] | None = None) -> Iterator[Rating]:
    """Ratings of one generation, best first; only those of ``identities`` if given."""
    r, i = schema.rating.c, schema.identity.c
    query = (
        sa.select(i.name, i.host, r.rating, r.confidence, r.sample_size, r.endorsers)
        .join_from(schema.rating, schema.identity, r.identity_id == i.id)
        .where(r.generation_id == generation.number)
        .order_by(r.rating.desc(), i.name)
    )
    if identities is not None:
        query = query.where(i.name.in_([str(identity) for identity in identities]))
    with store.reading() as connection:
        for name, host, rating, confidence, sample_size, endorsers in connection.execute(query):
            yield Rating(
                *(Identity(name), host, rating, confidence, sample_size, endorsers),
                *(generation.generated_at, generation.expires_at, generation.algorithm),
            )


def identities_of_host(store: Store, host: str) -> list[Identity]:
    """Identities known by a host name, its keys first."""
    query = sa.select(schema.identity.c.name).where(schema.identity.c.host == host).order_by(schema.identity.c.name)
    with store.reading() as connection:
        found = [Identity(name) for name in connection.execute(query).scalars()]
    return sorted(found, key=lambda identity: (identity.kind is not IdentityKind.OPENPGP, identity))


_GENERATION = [column.name for column in schema.generation.columns]
_RATING = ("generation_id", "identity_id", "rating", "confidence", "sample_size", "endorsers")


def _drop_old(connection: sa.Connection, keep: int) -> None:
    newest = sa.select(schema.generation.c.id).order_by(schema.generation.c.id.desc()).limit(keep)
    oldest = min(connection.execute(newest).scalars())
    connection.execute(sa.delete(schema.rating).where(schema.rating.c.generation_id < oldest))
    connection.execute(sa.delete(schema.generation).where(schema.generation.c.id < oldest))
