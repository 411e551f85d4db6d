"""What lists have let in, so that it does not come in again: on one list, or on another of this host."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import sqlalchemy as sa

from trustgraph.mailinglist.model import Seen
from trustgraph.model import UnixSeconds
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many
from trustgraph.store.engine import Store

_SEEN = schema.list_seen

#: Of what is over, so much goes with each post that is let in: the table stays in order without anybody's care.
_FORGOTTEN_AT_ONCE = 10

# Built once: for each post anew that takes longer than running them.
_C = _SEEN.c
_WHERE = sa.select(_C.digest, _C.list_id, _C.delivery, _C.seen_at).where(
    _C.digest.in_(sa.bindparam("digests", expanding=True))
)
_OVER = sa.select(_C.digest, _C.list_id).where(_C.until < sa.bindparam("now")).limit(_FORGOTTEN_AT_ONCE)
_FORGET = sa.delete(_SEEN).where(sa.tuple_(_C.digest, _C.list_id).in_(_OVER))


def where_seen(connection: sa.Connection, digests: Collection[bytes]) -> dict[bytes, list[Seen]]:
    """By digest, on which lists and in which deliveries it was let in."""
    found: dict[bytes, list[Seen]] = {}
    if digests:
        for digest, list_number, delivery, seen_at in connection.execute(_WHERE, {"digests": sorted(digests)}):
            found.setdefault(bytes(digest), []).append(Seen(list_number, bytes(delivery), UnixSeconds(seen_at)))
    return found


def remember(
    store: Store,
    list_number: int,
    digests: Sequence[tuple[bytes, UnixSeconds]],
    delivery: bytes,
    now: UnixSeconds,
    may: Callable[[Mapping[bytes, Sequence[Seen]]], bool],
) -> bool:
    """Let a post in, if ``may`` still says so when it is told where its digests were seen; it is on disk afterwards.

    Nobody else lets anything in meanwhile: of two deliveries of one post, whichever comes second is told of the first.
    ``digests`` come with the time until which each is remembered. False, with nothing written, when ``may`` says no.
    """
    with store.writing() as connection:
        take_turns(connection, _SEEN)
        if not may(where_seen(connection, [digest for digest, _ in digests])):
            return False
        rows = [(digest, list_number, delivery, int(now), int(until)) for digest, until in digests]
        columns = ("digest", "list_id", "delivery", "seen_at", "until")
        insert_many(connection, _SEEN, columns, rows, on_conflict="ON CONFLICT DO NOTHING")
        connection.execute(_FORGET, {"now": int(now)})
    return True


def forget(store: Store, list_number: int, digests: Sequence[bytes], delivery: bytes) -> None:
    """What this delivery has put on record was not posted after all."""
    mine = (_C.list_id == list_number) & (_C.delivery == delivery) & _C.digest.in_(sorted(digests))
    with store.writing() as connection:
        connection.execute(sa.delete(_SEEN).where(mine))


def take_turns(connection: sa.Connection, table: sa.Table) -> None:
    """Be alone with a table until the transaction ends, as whoever writes to SQLite is anyway; others may read."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")
