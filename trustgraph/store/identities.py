"""Numbers for identities: every other table says ``identity_id`` and means a row made here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import sqlalchemy as sa
from publicsuffixlist import PublicSuffixList

from trustgraph.model import Identity, IdentityKind
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many
from trustgraph.store.changes import Change, record_changes

#: Bound of names in one statement, below SQLite's limit of 32,766 variables.
_CHUNK = 10_000

_suffixes = PublicSuffixList()


@lru_cache(maxsize=1 << 16)
def operator_of(host: str) -> str:
    """The registrable domain a host is under (Public Suffix List), itself if it is a suffix, empty for no host."""
    return str(_suffixes.privatesuffix(host) or host) if host else ""


def number_identities(connection: sa.Connection, hosts: Mapping[Identity, str]) -> dict[Identity, int]:
    """The number of every identity, given the host each is known by (empty: its own domain, if it has one).

    New ones are added. A host that is known already stays: only :func:`claim_hosts` changes it.
    """
    numbers = _find(connection, hosts)
    absent = sorted(identity for identity in hosts if identity not in numbers)
    if absent:
        rows = [(str(i), host, operator_of(host)) for i in absent for host in (hosts[i] or _own_host(i),)]
        insert_many(
            connection, schema.identity, ("name", "host", "operator"), rows, on_conflict="ON CONFLICT DO NOTHING"
        )
        added = _find(connection, absent)
        record_changes(connection, Change.CERTIFICATE, added.values())
        numbers |= added
    return numbers


def claim_hosts(connection: sa.Connection, hosts: Mapping[Identity, str]) -> None:
    """Record the hosts that keys prove by their own User IDs; these outrank what a log called them."""
    rows = [{"n": str(i), "h": host, "o": operator_of(host)} for i, host in hosts.items()]
    if rows:
        statement = sa.update(schema.identity).where(schema.identity.c.name == sa.bindparam("n"))
        connection.execute(statement.values(host=sa.bindparam("h"), operator=sa.bindparam("o")), rows)


def names_of(connection: sa.Connection, numbers: Iterable[int]) -> dict[int, tuple[Identity, str]]:
    """(identity, host) by number."""
    found: dict[int, tuple[Identity, str]] = {}
    wanted = list(dict.fromkeys(int(n) for n in numbers))
    table = schema.identity.c
    for start in range(0, len(wanted), _CHUNK):
        query = sa.select(table.id, table.name, table.host).where(table.id.in_(wanted[start : start + _CHUNK]))
        found |= {row.id: (Identity(row.name), row.host) for row in connection.execute(query)}
    return found


def _find(connection: sa.Connection, identities: Iterable[Identity]) -> dict[Identity, int]:
    found: dict[Identity, int] = {}
    names = [str(identity) for identity in identities]
    table = schema.identity.c
    for start in range(0, len(names), _CHUNK):
        query = sa.select(table.name, table.id).where(table.name.in_(names[start : start + _CHUNK]))
        found |= {Identity(row.name): row.id for row in connection.execute(query)}
    return found


def _own_host(identity: Identity) -> str:
    named = (IdentityKind.DKIM, IdentityKind.SPF, IdentityKind.HELO)
    return identity.value if identity.kind in named else ""
