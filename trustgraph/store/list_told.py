"""How often something was said in a list's name today: nobody's forgeries are to make it say more."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import sqlalchemy as sa

from trustgraph.model import UnixSeconds, day_of
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many, update_on_conflict
from trustgraph.store.list_posts import take_turns
from trustgraph.store.list_records import Keep

_TOLD = schema.list_told


def may_say(keep: Keep, limits: Sequence[tuple[str, int]], now: UnixSeconds) -> bool:
    """Count one more of each thing today, if none of them has been said so often as its limit.

    Days are UTC. With one at its limit none is counted.
    """
    t, today = _TOLD.c, day_of(now)
    wanted = {_digest(keep, what): limit for what, limit in limits}
    mine = (t.day == today) & (t.list_id == keep.list_number) & t.what.in_(sorted(wanted))
    with keep.store.writing() as connection:
        take_turns(connection, _TOLD)
        said = {bytes(what): times for what, times in connection.execute(sa.select(t.what, t.times).where(mine))}
        if any(said.get(what, 0) >= limit for what, limit in wanted.items()):
            return False
        rows = [(today, keep.list_number, what, 1) for what in wanted]
        once_more = update_on_conflict(_TOLD, {"times": f"{_TOLD.name}.times + 1"})
        insert_many(connection, _TOLD, ("day", "list_id", "what", "times"), rows, on_conflict=once_more, distinct=True)
        connection.execute(sa.delete(_TOLD).where(t.day < today))
    return True


def take_back(keep: Keep, things: Sequence[str], now: UnixSeconds) -> None:
    """Count one less of each today: it could not be said after all."""
    t = _TOLD.c
    mine = (t.day == day_of(now)) & (t.list_id == keep.list_number)
    digests = [_digest(keep, what) for what in things]
    with keep.store.writing() as connection:
        connection.execute(sa.update(_TOLD).where(mine, t.what.in_(digests), t.times > 0).values(times=t.times - 1))


def _digest(keep: Keep, what: str) -> bytes:
    return sha256(keep.box.name(what)).digest()[:16]
