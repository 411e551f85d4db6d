"""The recorded past out of the store, for trying other policies on it (:mod:`trustgraph.scoring.record`)."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from trustgraph.errors import NoInput
from trustgraph.model import SECONDS_PER_DAY, Day, UnixSeconds, day_of, to_rfc3339
from trustgraph.scoring.record import Record
from trustgraph.scoring.snapshot import NEVER
from trustgraph.store import schema
from trustgraph.store.columns import numbers_of, read_identities, sorted_by
from trustgraph.store.engine import Store
from trustgraph.store.observations import pruned_before

_KEYS = """SELECT identity_id, created_at, COALESCE(expires_at, {never}), COALESCE(revoked_at, {never}) FROM host_key"""
# SQLite's MIN() of several values is PostgreSQL's LEAST().
_CERTIFICATIONS = """SELECT c.subject_id, c.endorser_id, c.user_id_id, c.made_at,
        {least}(COALESCE(c.expires_at, {never}), COALESCE(c.revoked_at, {never}), COALESCE(u.revoked_at, {never}))
    FROM certification c LEFT JOIN user_id u ON u.id = c.user_id_id
    WHERE c.made_at <= {until} AND c.scope IN ({scopes}) AND NOT c.weak
    ORDER BY c.subject_id, c.endorser_id, c.user_id_id, c.made_at"""
# Where a host's own log and an operator's table speak of the same day, the log stands.
_COUNTS = """SELECT identity_id, observer_id, day, good, spam + malware, unknown FROM daily_count
    WHERE day < {first_day}
    UNION ALL SELECT identity_id, observer_id, day, good, spam, 0 FROM reported_count r
    WHERE day < {last_day} AND NOT EXISTS (SELECT 1 FROM daily_count d
        WHERE d.identity_id = r.identity_id AND d.observer_id = r.observer_id AND d.day = r.day)"""
_SEEN = """SELECT observed_at, identity_id, observer_id, message, result, outcome FROM observation
    WHERE observed_at >= {start} AND observed_at < {until} ORDER BY observed_at, observer_id, message, identity_id"""


def read_record(store: Store, scopes: Collection[int], start: UnixSeconds, until: UnixSeconds) -> Record:
    """Everything known at any moment from ``start`` to ``until``, from one read transaction.

    ``scopes`` as in :func:`trustgraph.store.arrays.read_snapshot`. Raises :class:`NoInput` when the single
    observations of that time are not kept any more.
    """
    first_day = day_of(start)
    values = {
        "never": NEVER,
        "least": "MIN" if store.is_sqlite else "LEAST",
        "scopes": ", ".join(str(int(scope)) for scope in sorted(scopes)),
        "first_day": int(first_day),
        "last_day": int(day_of(until)),
        "start": int(first_day) * SECONDS_PER_DAY,
        "until": int(until),
    }
    with store.reading() as connection:
        _require_kept(pruned_before(connection), first_day)
        identities = read_identities(connection)
        keys = numbers_of(connection, _KEYS.format(**values), 4)
        certifications = numbers_of(connection, _CERTIFICATIONS.format(**values), 5)
        counts = numbers_of(connection, _COUNTS.format(**values), 6)
        seen = numbers_of(connection, _SEEN.format(**values), 6)
    position = identities.position
    keys = sorted_by([position[keys[0]], *keys[1:]], 1)
    counts = sorted_by([position[counts[0]], position[counts[1]], *counts[2:]], 3)
    return Record(
        first_day=int(first_day),
        identity_number=identities.number,
        identity_name=identities.name,
        identity_host=identities.host,
        identity_operator=identities.operator,
        key_identity=keys[0],
        key_created_at=keys[1],
        key_expires_at=keys[2],
        key_revoked_at=keys[3],
        certification_subject=position[certifications[0]],
        certification_endorser=position[certifications[1]],
        certification_user_id=certifications[2],
        certification_made_at=certifications[3],
        certification_ends_at=certifications[4],
        count_subject=counts[0],
        count_observer=counts[1],
        count_day=counts[2],
        count_good=counts[3],
        count_bad=counts[4],
        count_unknown=counts[5],
        seen_at=seen[0],
        seen_subject=position[seen[1]],
        seen_observer=position[seen[2]],
        seen_message=seen[3],
        seen_result=seen[4],
        seen_outcome=seen[5],
    )


def _require_kept(pruned: Day, first_day: Day) -> None:
    if pruned > first_day:
        oldest = to_rfc3339(UnixSeconds(pruned * SECONDS_PER_DAY))
        raise NoInput(
            f"single observations are kept from {oldest} on, so nothing before can be replayed: begin there, or keep "
            "more of them (ingest.retention)"
        )


def oldest_observation(store: Store) -> UnixSeconds:
    """When the first observation was made whose whole day is kept; 0 if there is none."""
    with store.reading() as connection:
        first = connection.execute(sa.select(sa.func.min(schema.observation.c.observed_at))).scalar()
        return UnixSeconds(max(int(first or 0), pruned_before(connection) * SECONDS_PER_DAY))
