"""The stash: subscribers of mailing lists and their keys, through the list's box.

Whoever changes a subscriber's keys reads them, decides and writes in one transaction that no other change of the same
subscriber comes into. In the database are names to look up by, states and times; all else goes through the box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import sqlalchemy as sa

from trustgraph.errors import BadInput
from trustgraph.mailinglist.model import StashKey, Subscriber
from trustgraph.store import schema
from trustgraph.store.list_records import Keep, key_of, key_row, subscriber_of, subscriber_row

_SUBSCRIBER, _ADDRESS, _KEY, _NAME = (
    schema.list_subscriber,
    schema.list_address,
    schema.list_key,
    schema.list_key_name,
)
#: Told the subscriber as he is; returns him as he is to be. A new key has number 0.
Change = Callable[[Subscriber], Subscriber]


def add_subscriber(keep: Keep, subscriber: Subscriber) -> Subscriber:
    """Keep a new subscriber and his keys, if any. Raises :class:`BadInput` for an address that is a subscriber's."""
    try:
        with keep.store.writing() as connection:
            row = subscriber_row(keep, subscriber)
            number = connection.execute(sa.insert(_SUBSCRIBER).values(row).returning(_SUBSCRIBER.c.id)).scalar_one()
            added = replace(subscriber, number=int(number))
            _insert_addresses(connection, keep, added)
            return replace(added, keys=_write_keys(connection, keep, added, ()))
    except sa.exc.IntegrityError:
        addresses = " or ".join((subscriber.address, *subscriber.aliases))
        raise BadInput(f"{addresses}: is a subscriber's already") from None


def change_subscriber(keep: Keep, address: str, change: Change) -> Subscriber:
    """Read, change and keep a subscriber, with nobody in between; what ``change`` raises leaves all as it was.

    Raises :class:`BadInput` for an address that nobody has, and for a new alias that is somebody else's.
    """
    try:
        with keep.store.writing() as connection:
            known = _locked(connection, keep, address)
            changed = change(known)
            if (known.aliases, known.provisional) != (changed.aliases, changed.provisional):
                values = subscriber_row(keep, changed)
                connection.execute(sa.update(_SUBSCRIBER).where(_SUBSCRIBER.c.id == known.number).values(values))
                connection.execute(sa.delete(_ADDRESS).where(_ADDRESS.c.subscriber_id == known.number))
                _insert_addresses(connection, keep, changed)
            return replace(changed, keys=_write_keys(connection, keep, changed, known.keys))
    except sa.exc.IntegrityError:
        raise BadInput(f"{address}: one of the aliases is another subscriber's") from None


def remove_subscriber(keep: Keep, address: str, *, only_provisional: bool = False) -> Subscriber:
    """Forget a subscriber, his aliases and keys; returns what is gone.

    Raises :class:`BadInput` when it is nobody, or not one of those that are asked for.
    """
    with keep.store.writing() as connection:
        known = _locked(connection, keep, address)
        if only_provisional and not known.provisional:
            raise BadInput(f"{address}: is a subscriber's")
        _delete_keys(connection, (key.number for key in known.keys))
        connection.execute(sa.delete(_ADDRESS).where(_ADDRESS.c.subscriber_id == known.number))
        connection.execute(sa.delete(_SUBSCRIBER).where(_SUBSCRIBER.c.id == known.number))
    return known


def read_subscriber(keep: Keep, address: str) -> Subscriber | None:
    """Whose address or alias this is, in canonical form; provisional ones too."""
    with keep.store.reading() as connection:
        return _by_address(connection, keep, address)


def subscribers(keep: Keep) -> list[Subscriber]:
    """All of them, provisional ones too, in the order in which they came."""
    with keep.store.reading() as connection:
        return _read(connection, keep, sa.true())


def holders(keep: Keep, fingerprint: str, *, provisional: bool = False) -> list[Subscriber]:
    """Those who have a key with this fingerprint, in whatever state; with ``provisional`` such subscribers too."""
    having = sa.select(_KEY.c.subscriber_id).where(
        _KEY.c.list_id == keep.list_number, _KEY.c.fingerprint == keep.box.name(fingerprint)
    )
    with keep.store.reading() as connection:
        return _read(connection, keep, _SUBSCRIBER.c.id.in_(having) & _wanted(provisional))


def keys_named(keep: Keep, name: str, *, provisional: bool = False) -> list[StashKey]:
    """Keys that a signature may mean by this fingerprint or key ID; with ``provisional`` those of such subscribers."""
    named = sa.select(_NAME.c.key_id).where(_NAME.c.list_id == keep.list_number, _NAME.c.name == keep.box.name(name))
    query = (
        sa.select(_KEY)
        .join(_SUBSCRIBER, _SUBSCRIBER.c.id == _KEY.c.subscriber_id)
        .where(_KEY.c.id.in_(named), _wanted(provisional))
        .order_by(_KEY.c.id)
    )
    with keep.store.reading() as connection:
        return [key_of(keep, row) for row in connection.execute(query)]


def count_provisional(keep: Keep) -> int:
    """How many have written to an open list and proved nothing yet."""
    query = sa.select(sa.func.count()).where(_SUBSCRIBER.c.list_id == keep.list_number, _SUBSCRIBER.c.provisional)
    with keep.store.reading() as connection:
        return int(connection.execute(query).scalar_one())


def _wanted(provisional: bool) -> sa.ColumnElement[bool]:
    return sa.true() if provisional else ~_SUBSCRIBER.c.provisional


def _locked(connection: sa.Connection, keep: Keep, address: str) -> Subscriber:
    """The subscriber, whom nobody else changes until this transaction ends."""
    found = _by_address(connection, keep, address)
    if found:
        own = sa.select(_SUBSCRIBER.c.id).where(_SUBSCRIBER.c.id == found.number).with_for_update()
        connection.execute(own)
        found = _by_address(connection, keep, address)  # as whoever held the lock left it
    if found is None:
        raise BadInput(f"{address}: is no subscriber's address")
    return found


def _by_address(connection: sa.Connection, keep: Keep, address: str) -> Subscriber | None:
    having = sa.select(_ADDRESS.c.subscriber_id).where(
        _ADDRESS.c.list_id == keep.list_number, _ADDRESS.c.address == keep.box.name(address)
    )
    return next(iter(_read(connection, keep, _SUBSCRIBER.c.id.in_(having))), None)


def _read(connection: sa.Connection, keep: Keep, which: sa.ColumnElement[bool]) -> list[Subscriber]:
    mine = (_SUBSCRIBER.c.list_id == keep.list_number) & which
    rows = connection.execute(sa.select(_SUBSCRIBER).where(mine).order_by(_SUBSCRIBER.c.id)).all()
    keys: dict[int, list[StashKey]] = {row.id: [] for row in rows}
    query = sa.select(_KEY).join(_SUBSCRIBER, _SUBSCRIBER.c.id == _KEY.c.subscriber_id).where(mine)
    for row in connection.execute(query.order_by(_KEY.c.id)):
        keys[row.subscriber_id].append(key_of(keep, row))
    return [subscriber_of(keep, row, keys[row.id]) for row in rows]


def _write_keys(
    connection: sa.Connection, keep: Keep, subscriber: Subscriber, known: tuple[StashKey, ...]
) -> tuple[StashKey, ...]:
    before = {key.number: key for key in known}
    _delete_keys(connection, before.keys() - {key.number for key in subscriber.keys})
    return tuple(
        key if before.get(key.number) == key else _write_key(connection, keep, subscriber, key)
        for key in subscriber.keys
    )


def _write_key(connection: sa.Connection, keep: Keep, subscriber: Subscriber, key: StashKey) -> StashKey:
    row = key_row(keep, subscriber.number, key)
    if key.number:
        connection.execute(sa.update(_KEY).where(_KEY.c.id == key.number).values(row))
        connection.execute(sa.delete(_NAME).where(_NAME.c.key_id == key.number))
    else:
        number = connection.execute(sa.insert(_KEY).values(row).returning(_KEY.c.id)).scalar_one()
        key = replace(key, number=int(number))
    names = [{"list_id": keep.list_number, "name": keep.box.name(one), "key_id": key.number} for one in set(key.names)]
    if names:
        connection.execute(sa.insert(_NAME), names)
    return key


def _delete_keys(connection: sa.Connection, numbers: Iterable[int]) -> None:
    gone = list(numbers)
    connection.execute(sa.delete(_NAME).where(_NAME.c.key_id.in_(gone)))
    connection.execute(sa.delete(_KEY).where(_KEY.c.id.in_(gone)))


def _insert_addresses(connection: sa.Connection, keep: Keep, subscriber: Subscriber) -> None:
    rows = [
        {"list_id": keep.list_number, "address": keep.box.name(address), "subscriber_id": subscriber.number}
        for address in dict.fromkeys((subscriber.address, *subscriber.aliases))
    ]
    connection.execute(sa.insert(_ADDRESS), rows)
