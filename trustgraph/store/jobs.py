"""When each scheduled job last did its work, and which keys are due to be asked for again."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from trustgraph.model import Identity, UnixSeconds, UserIdScope
from trustgraph.store import schema
from trustgraph.store.certificates import SCOPE_CODES
from trustgraph.store.engine import Store

_PREFIX = "job:"


def last_successes(store: Store) -> Mapping[str, UnixSeconds]:
    """By job, when its last run that succeeded began."""
    c = schema.fact.c
    query = sa.select(c.name, c.value).where(c.name.startswith(_PREFIX, autoescape=True))
    with store.reading() as connection:
        return {name.removeprefix(_PREFIX): UnixSeconds(int(value)) for name, value in connection.execute(query)}


def record_success(store: Store, job: str, began_at: UnixSeconds) -> None:
    """A run of this job, begun then, has succeeded."""
    name = f"{_PREFIX}{job}"
    with store.writing() as connection:
        connection.execute(sa.delete(schema.fact).where(schema.fact.c.name == name))
        connection.execute(sa.insert(schema.fact).values(name=name, value=str(int(began_at))))


def known_host_keys(store: Store) -> dict[str, UnixSeconds]:
    """Fingerprints of hosts' keys, and when a keyserver last had each, 0 where none was asked.

    Hosts' keys are those that sent mail and those with an ``smtp://`` User ID. A hard revocation is the last word.
    """
    i, k, u, c = schema.identity.c, schema.host_key.c, schema.user_id.c, schema.cached_certificate.c
    named = sa.exists().where(
        u.identity_id == k.identity_id, u.scope == SCOPE_CODES[UserIdScope.SMTP], u.revoked_at.is_(None)
    )
    keys = sa.select(i.name, k.hard_revoked, named).join_from(schema.host_key, schema.identity, k.identity_id == i.id)
    with store.reading() as connection:
        found = {
            row.fingerprint: UnixSeconds(row.found_at)
            for row in connection.execute(sa.select(c.fingerprint, c.found_at))
        }
        for name, hard_revoked, has_host in connection.execute(keys):
            fingerprint = Identity(name).value
            if hard_revoked:
                found.pop(fingerprint, None)
            elif has_host:
                found.setdefault(fingerprint, UnixSeconds(0))
    return found
