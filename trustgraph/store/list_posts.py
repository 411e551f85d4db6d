"""What lists have let in, so that it does not come in again: on one list, or on another of this host."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import sqlalchemy as sa

from trustgraph.mailinglist.model import Seen
from trustgraph.model import UnixSeconds
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many, update_on_conflict
from trustgraph.store.engine import Store

_SEEN = schema.list_seen

#: Of what is over, so much goes with each post that is let in: the table stays in order without anybody's care.
_FORGOTTEN_AT_ONCE = 10

# Built once: for each post anew that takes longer than running them.
_C = _SEEN.c
_WHERE = sa.select(_C.digest, _C.list_id, _C.delivery, _C.seen_at, _C.passed).where(
    _C.digest.in_(sa.bindparam("digests", expanding=True))
)
_OVER = sa.select(_C.digest, _C.list_id).where(_C.until < sa.bindparam("now")).limit(_FORGOTTEN_AT_ONCE)
#: By another delivery of the same post, which the first did not get on; a retry changes nothing.
_TAKEN_OVER = update_on_conflict(
    _SEEN,
    {
        "seen_at": "CASE WHEN list_seen.delivery = excluded.delivery THEN list_seen.seen_at ELSE excluded.seen_at END",
        "passed": "CASE WHEN list_seen.delivery = excluded.delivery THEN list_seen.passed ELSE excluded.passed END",
        "delivery": "excluded.delivery",
    },
)
_FORGET = sa.delete(_SEEN).where(sa.tuple_(_C.digest, _C.list_id).in_(_OVER))


def where_seen(connection: sa.Connection, digests: Collection[bytes]) -> dict[bytes, list[Seen]]:
    """By digest, on which lists and in which deliveries it was let in."""
    found: dict[bytes, list[Seen]] = {}
    if digests:
        for digest, number, delivery, seen_at, passed in connection.execute(_WHERE, {"digests": sorted(digests)}):
            seen = Seen(number, bytes(delivery), UnixSeconds(seen_at), bool(passed))
            found.setdefault(bytes(digest), []).append(seen)
    return found


def remember(
    store: Store,
    list_number: int,
    digests: Sequence[tuple[bytes, UnixSeconds]],
    delivery: bytes,
    now: UnixSeconds,
    may: Callable[[Mapping[bytes, Sequence[Seen]]], bool],
    *,
    passed: bool = True,
) -> bool:
    """Let a post in, if ``may`` still says so when it is told where its digests were seen; it is on disk afterwards.

    Nobody else lets anything in meanwhile: of two deliveries of one post, whichever comes second is told of the first.
    ``digests`` come with the time until which each is remembered. Without ``passed`` it still has to be passed on, and
    :func:`settle` says when that is done. False, with nothing written, when ``may`` says no.
    """
    with store.writing() as connection:
        take_turns(connection, _SEEN)
        if not may(where_seen(connection, [digest for digest, _ in digests])):
            return False
        rows = [(digest, list_number, delivery, int(now), int(until), passed) for digest, until in digests]
        columns = ("digest", "list_id", "delivery", "seen_at", "until", "passed")
        insert_many(connection, _SEEN, columns, rows, on_conflict=_TAKEN_OVER, distinct=True)
        connection.execute(_FORGET, {"now": int(now)})
    return True


def settle(store: Store, list_number: int, digests: Sequence[bytes], delivery: bytes) -> None:
    """The next hop has taken what this delivery has put on record."""
    mine = (_C.list_id == list_number) & (_C.delivery == delivery) & _C.digest.in_(sorted(digests))
    with store.writing() as connection:
        connection.execute(sa.update(_SEEN).where(mine).values(passed=True))


def forget(store: Store, list_number: int, digests: Sequence[bytes], delivery: bytes) -> None:
    """What this delivery has put on record was not posted after all."""
    mine = (_C.list_id == list_number) & (_C.delivery == delivery) & _C.digest.in_(sorted(digests))
    with store.writing() as connection:
        connection.execute(sa.delete(_SEEN).where(mine))


def take_turns(connection: sa.Connection, table: sa.Table) -> None:
    """Be alone with a table until the transaction ends, as whoever writes to SQLite is anyway; others may read."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")
