"""Tables the operator vouches for: endorsements and daily history, taken as verified and marked with their source."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa

from trustgraph.model import DailyCount, Endorsement, Identity
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many, update_on_conflict
from trustgraph.store.changes import Change, record_changes
from trustgraph.store.engine import Store
from trustgraph.store.identities import number_identities


def add_endorsements(store: Store, rows: Sequence[Endorsement], source_id: int) -> int:
    """Add a batch; the same (endorser, subject, made_at) again takes the new expiry. Returns the count."""
    with store.writing() as connection:
        numbers = number_identities(connection, _hostless(x for e in rows for x in (e.endorser, e.subject)))
        values = [
            (
                *(numbers[e.subject], numbers[e.endorser], 0, e.made_at, e.expires_at, e.revoked_at),
                *(0, 0x10, e.depth, e.amount, False, source_id),
            )
            for e in rows
        ]
        columns = (
            *("subject_id", "endorser_id", "user_id_id", "made_at", "expires_at", "revoked_at"),
            *("scope", "type", "depth", "amount", "weak", "source_id"),
        )
        changes = {name: f"excluded.{name}" for name in ("expires_at", "depth", "amount", "source_id")}
        on_conflict = update_on_conflict(schema.certification, changes)
        record_changes(connection, Change.CERTIFICATE, (numbers[e.subject] for e in rows))
        return insert_many(connection, schema.certification, columns, values, on_conflict=on_conflict)


def add_history(store: Store, rows: Sequence[DailyCount], source_id: int) -> int:
    """Set the counts of (observer, subject, day), replacing what an earlier table said. Returns the count."""
    with store.writing() as connection:
        numbers = number_identities(connection, _hostless(x for c in rows for x in (c.observer, c.subject)))
        values = [(numbers[c.subject], numbers[c.observer], c.day, c.good, c.spam, source_id) for c in rows]
        columns = ("identity_id", "observer_id", "day", "good", "spam", "source_id")
        changes = {name: f"excluded.{name}" for name in ("good", "spam", "source_id")}
        on_conflict = update_on_conflict(schema.reported_count, changes)
        record_changes(connection, Change.MAIL, (numbers[c.subject] for c in rows))
        return insert_many(connection, schema.reported_count, columns, values, on_conflict=on_conflict)


def read_endorsements(store: Store, scopes: Collection[int] = (0,)) -> list[tuple[str, str, int, int | None, int, int]]:
    """(endorser, subject, made_at, expires_at, amount, depth) of these scopes' certifications that nobody revoked.

    Of several made at once, over several User IDs of one subject, the longest-lived is given.
    """
    c, e, s = schema.certification.c, schema.identity.alias("e"), schema.identity.alias("s")
    query = (
        sa.select(e.c.name, s.c.name, c.made_at, c.expires_at, c.amount, c.depth)
        .select_from(schema.certification.join(e, e.c.id == c.endorser_id).join(s, s.c.id == c.subject_id))
        .outerjoin(schema.user_id, schema.user_id.c.id == c.user_id_id)
        .where(c.revoked_at.is_(None), ~c.weak, c.scope.in_(scopes), schema.user_id.c.revoked_at.is_(None))
        .order_by(s.c.name, e.c.name, c.made_at, c.expires_at.is_(None), c.expires_at)
    )
    with store.reading() as connection:
        rows = {(row[0], row[1], row[2]): tuple(row) for row in connection.execute(query)}
    return list(rows.values())


def read_history(store: Store) -> list[tuple[str, str, int, int, int]]:
    """(observer, subject, day, good, bad) of logs and tables, sorted; bad is spam and malware."""
    observer, subject = schema.identity.alias("o"), schema.identity.alias("s")
    found: dict[tuple[str, str, int], tuple[str, str, int, int, int]] = {}
    with store.reading() as connection:
        for table, bad in (
            (schema.reported_count, schema.reported_count.c.spam),
            (schema.daily_count, schema.daily_count.c.spam + schema.daily_count.c.malware),
        ):
            query = sa.select(observer.c.name, subject.c.name, table.c.day, table.c.good, bad).select_from(
                table.join(observer, observer.c.id == table.c.observer_id).join(
                    subject, subject.c.id == table.c.identity_id
                )
            )
            found |= {(row[0], row[1], row[2]): tuple(row) for row in connection.execute(query)}
    return [found[key] for key in sorted(found)]


def _hostless(identities: Iterable[Identity]) -> dict[Identity, str]:
    return dict.fromkeys(identities, "")
