"""What scoring reads, as arrays: everything from one snapshot of the database."""

from __future__ import annotations

from collections.abc import Collection

from trustgraph.model import UnixSeconds, day_of
from trustgraph.scoring.snapshot import NEVER, Snapshot
from trustgraph.store.columns import numbers_of, read_identities, sorted_by
from trustgraph.store.delegation import read_delegation
from trustgraph.store.engine import Store

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


def read_snapshot(
    store: Store, reference_time: UnixSeconds, scopes: Collection[int], *, delegation: bool = False
) -> Snapshot:
    """Everything that scoring needs, from one read transaction.

    ``scopes`` are the codes of ``certification.scope`` that make an endorsement (0: the operator's tables).
    ``delegation``: with how far certifications delegate, which one algorithm asks for.
    """
    values = {
        "time": int(reference_time),
        "day": int(day_of(reference_time)),
        "scopes": ", ".join(str(int(scope)) for scope in sorted(scopes)),
        "never": NEVER,
    }
    with store.reading() as connection:
        identities = read_identities(connection)
        keys = numbers_of(connection, _KEYS.format(**values), 4)
        pair, user_id_and_live = numbers_of(connection, _CERTIFICATIONS.format(**values), 2)
        counts = numbers_of(connection, _COUNTS.format(**values), 6)
        delegated = read_delegation(connection, values, identities.position) if delegation else None
    position = identities.position
    keys = sorted_by([position[keys[0]], *keys[1:]], 1)
    counts = sorted_by([position[counts[0]], position[counts[1]], *counts[2:]], 3)
    return Snapshot(
        reference_time,
        identities.number,
        identity_name=identities.name,
        identity_host=identities.host,
        identity_operator=identities.operator,
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
        delegation=delegated,
    )
