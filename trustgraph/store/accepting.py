"""What the gate looks up and remembers: cached certificates, ratings of single identities, hosts that sign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from trustgraph.model import Identity, UnixSeconds
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many, update_on_conflict
from trustgraph.store.engine import Store
from trustgraph.store.identities import number_identities


@dataclass(frozen=True, slots=True)
class CachedCertificate:
    """``octets`` are what its key says of itself; ``found_at`` is when a keyserver last had it."""

    fingerprint: str
    octets: bytes
    found_at: UnixSeconds


@dataclass(frozen=True, slots=True)
class RatingRow:
    """The rating of one identity in the newest generation, and how long it holds."""

    host: str
    rating: float
    confidence: float
    sample_size: int
    endorsers: int
    expires_at: UnixSeconds


def read_certificate(store: Store, fingerprint: str) -> CachedCertificate | None:
    """The cached certificate, if there is one."""
    c = schema.cached_certificate.c
    query = sa.select(c.fingerprint, c.octets, c.found_at).where(c.fingerprint == fingerprint)
    with store.reading() as connection:
        row = connection.execute(query).first()
    return CachedCertificate(row.fingerprint, bytes(row.octets), UnixSeconds(row.found_at)) if row else None


def write_certificate(
    store: Store,
    certificate: CachedCertificate,
    merged_with: bytes | None = None,
    changed_at: UnixSeconds | None = None,
) -> bool:
    """Keep a certificate that was just found. ``merged_with`` is the copy kept before that it was made from, if any.

    False, with nothing written, when another copy is kept there by now: merge with that one and come again.
    ``changed_at`` is the time now, for others who look for changes; ``found_at`` unless given.
    """
    changed = certificate.found_at if changed_at is None else changed_at
    row = (certificate.fingerprint, certificate.octets, certificate.found_at, changed)
    changes = {
        "changed_at": (
            "CASE WHEN cached_certificate.octets = excluded.octets "
            "THEN cached_certificate.changed_at ELSE excluded.changed_at END"
        ),
        "octets": "excluded.octets",
        "found_at": "CASE WHEN excluded.found_at > cached_certificate.found_at "
        "THEN excluded.found_at ELSE cached_certificate.found_at END",
    }
    columns = [column.name for column in schema.cached_certificate.columns]
    with store.writing() as connection:
        mark = "?" if store.is_sqlite else "%s"
        unchanged = f" WHERE cached_certificate.octets IN (excluded.octets, {mark})"
        on_conflict = update_on_conflict(schema.cached_certificate, changes) + unchanged
        values = (*row, certificate.octets if merged_with is None else merged_with)
        return insert_many(connection, schema.cached_certificate, columns, [values], on_conflict=on_conflict) == 1


def changed_since(store: Store, moment: UnixSeconds) -> list[str]:
    """Fingerprints of cached certificates that changed at or after a moment, such as by a revocation."""
    c = schema.cached_certificate.c
    with store.reading() as connection:
        return list(connection.execute(sa.select(c.fingerprint).where(c.changed_at >= moment)).scalars())


def newest_generation(store: Store) -> int:
    """The number of the newest generation of ratings; 0 if nothing was scored yet."""
    with store.reading() as connection:
        return int(connection.execute(sa.select(sa.func.max(schema.generation.c.id))).scalar() or 0)


def ratings_of(store: Store, identities: Sequence[Identity]) -> dict[Identity, RatingRow]:
    """The newest ratings of those identities that have one."""
    g, r, i = schema.generation.c, schema.rating.c, schema.identity.c
    newest = sa.select(sa.func.max(g.id)).scalar_subquery()
    query = (
        sa.select(i.name, i.host, r.rating, r.confidence, r.sample_size, r.endorsers, g.expires_at)
        .join_from(schema.identity, schema.rating, r.identity_id == i.id)
        .join(schema.generation, g.id == r.generation_id)
        .where(r.generation_id == newest, i.name.in_([str(identity) for identity in identities]))
    )
    with store.reading() as connection:
        return {
            Identity(name): RatingRow(host, rating, confidence, sample_size, endorsers, UnixSeconds(expires_at))
            for name, host, rating, confidence, sample_size, endorsers, expires_at in connection.execute(query)
        }


def is_signing_host(store: Store, host: str, since: UnixSeconds) -> bool:
    """Whether a host was seen to sign its mail at or after a moment."""
    c = schema.signing_host.c
    with store.reading() as connection:
        return connection.execute(sa.select(c.host).where(c.host == host, c.last_at >= since)).first() is not None


def record_signing_hosts(store: Store, seen: Mapping[str, tuple[Identity, UnixSeconds]]) -> None:
    """Remember hosts that signed, each with its key and when; saying it twice changes nothing."""
    if not seen:
        return
    with store.writing() as connection:
        numbers = number_identities(connection, {identity: host for host, (identity, _) in seen.items()})
        rows: Iterable[tuple[str, int, int, int]] = (
            (host, numbers[identity], at, at) for host, (identity, at) in sorted(seen.items())
        )
        newer = "excluded.last_at > signing_host.last_at"
        changes = {
            "identity_id": f"CASE WHEN {newer} THEN excluded.identity_id ELSE signing_host.identity_id END",
            "first_at": "CASE WHEN excluded.first_at < signing_host.first_at "
            "THEN excluded.first_at ELSE signing_host.first_at END",
            "last_at": f"CASE WHEN {newer} THEN excluded.last_at ELSE signing_host.last_at END",
        }
        columns = [column.name for column in schema.signing_host.columns]
        on_conflict = update_on_conflict(schema.signing_host, changes)
        insert_many(connection, schema.signing_host, columns, list(rows), on_conflict=on_conflict)
