"""All that scoring reads out of the store once, and afterwards only what changed."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import sqlalchemy as sa

from trustgraph.scoring.facts import Delta, Facts, Names, in_order, narrowed
from trustgraph.scoring.snapshot import NEVER
from trustgraph.scoring.splice import Columns
from trustgraph.store.changes import Change, Cursor, newest_change, still_there
from trustgraph.store.columns import Identities, numbers_of, read_identities
from trustgraph.store.engine import Store

# As in arrays.py, but with every time instead of what it comes to at one moment. SQLite's MIN() of several values is
# PostgreSQL's LEAST().
_KEYS = """SELECT identity_id, created_at, COALESCE(expires_at, {never}),
    CASE WHEN hard_revoked THEN 0 ELSE COALESCE(revoked_at, {never}) END FROM host_key WHERE {of_key}"""
_CERTIFICATIONS = """SELECT c.subject_id, c.endorser_id, c.user_id_id, c.made_at,
        {least}(COALESCE(c.expires_at, {never}), COALESCE(c.revoked_at, {never}), COALESCE(u.revoked_at, {never}))
    FROM certification c LEFT JOIN user_id u ON u.id = c.user_id_id
    WHERE {of_certification} AND c.scope IN ({scopes}) AND NOT c.weak
    ORDER BY c.subject_id, c.endorser_id, c.user_id_id, c.made_at"""
_COUNTS = """SELECT identity_id, observer_id, day, good, spam + malware AS bad, unknown FROM daily_count
    WHERE {of_count}
    UNION ALL SELECT identity_id, observer_id, day, good, spam, 0 FROM reported_count r
    WHERE {of_count} AND NOT EXISTS (SELECT 1 FROM daily_count d
        WHERE d.identity_id = r.identity_id AND d.observer_id = r.observer_id AND d.day = r.day)"""
_SINCE = "SELECT DISTINCT identity_id FROM change WHERE id > {after} AND kind = {kind}"


def read_facts(store: Store, scopes: Collection[int]) -> tuple[Facts, Cursor]:
    """Everything, and the place from which :func:`read_changes` goes on."""
    with store.reading() as connection:
        cursor = newest_change(connection)
        identities = read_identities(connection)
        keys, certifications, counts = _tables(connection, scopes, None)
    position = identities.position.astype(np.int32)
    facts = Facts(
        _names(identities),
        keys=in_order((position[keys[0]], *keys[1:]), 1),
        certifications=in_order(
            (position[certifications[0]], position[certifications[1]], *narrowed(*certifications[2:])), 2
        ),
        counts=in_order((position[counts[0]], position[counts[1]], *counts[2:]), 3),
    )
    return facts, cursor


def read_changes(store: Store, scopes: Collection[int], cursor: Cursor) -> tuple[Delta, Cursor] | None:
    """What changed after ``cursor``, and the place from which to go on; None if only reading everything will do."""
    with store.reading() as connection:
        newest = newest_change(connection)
        if not still_there(connection, cursor):
            return None
        certificate, mail = (_SINCE.format(after=cursor.number, kind=int(kind)) for kind in Change)
        tables = _tables(connection, scopes, cursor)
        delta = Delta(
            _names(read_identities(connection, f"id IN ({certificate})")),
            numbers_of(connection, certificate, 1)[0],
            numbers_of(connection, mail, 1)[0],
            *tables,
        )
    return delta, newest


def _tables(
    connection: sa.Connection, scopes: Collection[int], cursor: Cursor | None
) -> tuple[Columns, Columns, Columns]:
    """Keys, certifications and counts: all of them, or those of identities that changed after ``cursor``."""

    def of(column: str, kind: Change) -> str:
        return f"{column} IN ({_SINCE.format(after=cursor.number, kind=int(kind))})" if cursor else "1 = 1"

    values = {
        "never": NEVER,
        "least": "MIN" if connection.dialect.name == "sqlite" else "LEAST",
        "scopes": ", ".join(str(int(scope)) for scope in sorted(scopes)),
        "of_key": of("identity_id", Change.CERTIFICATE),
        "of_certification": of("c.subject_id", Change.CERTIFICATE),
        "of_count": of("identity_id", Change.MAIL),
    }
    return (
        tuple(numbers_of(connection, _KEYS.format(**values), 4)),
        tuple(numbers_of(connection, _CERTIFICATIONS.format(**values), 5)),
        tuple(numbers_of(connection, _COUNTS.format(**values), 6)),
    )


def _names(identities: Identities) -> Names:
    return Names(identities.number, identities.name, identities.host, identities.operator)
