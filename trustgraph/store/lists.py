"""Mailing lists and what each asks of its posts. Every change is one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa

from trustgraph.errors import BadInput
from trustgraph.mailinglist.model import MailingList, Rules
from trustgraph.model import UnixSeconds
from trustgraph.store import schema
from trustgraph.store.engine import Store

_TABLE = schema.mailing_list


def create_list(store: Store, list_: MailingList) -> MailingList:
    """Keep a new list; returns it with its number. Raises :class:`BadInput` if there is one with its address."""
    try:
        with store.writing() as connection:
            number = connection.execute(sa.insert(_TABLE).values(_row(list_)).returning(_TABLE.c.id)).scalar_one()
    except sa.exc.IntegrityError:
        raise BadInput(f"{list_.address}: there is a list with this address already") from None
    return replace(list_, number=int(number))


def read_list(store: Store, address: str) -> MailingList | None:
    """The list that posts to this address, in canonical form, go to."""
    with store.reading() as connection:
        return _read(connection, address)


def all_lists(store: Store) -> tuple[MailingList, ...]:
    """All of them, by address."""
    with store.reading() as connection:
        return tuple(_list(row) for row in connection.execute(sa.select(_TABLE).order_by(_TABLE.c.address)))


def count_contents(store: Store, number: int) -> dict[str, int]:
    """How many subscribers, keys in whatever state, and held posts a list has."""
    tables = {"subscribers": schema.list_subscriber, "keys": schema.list_key, "held": schema.list_held}
    with store.reading() as connection:
        return {
            name: int(connection.execute(sa.select(sa.func.count()).where(table.c.list_id == number)).scalar_one())
            for name, table in tables.items()
        }


def change_list(store: Store, address: str, change: Callable[[MailingList], MailingList]) -> MailingList:
    """Read, change and keep a list, with nobody in between. Raises :class:`BadInput` if there is none."""
    with store.writing() as connection:
        known = _read(connection, address, lock=True)
        if known is None:
            raise BadInput(f"{address}: there is no such list")
        changed = change(known)
        connection.execute(sa.update(_TABLE).where(_TABLE.c.id == known.number).values(_row(changed)))
    return changed


def delete_list(store: Store, number: int) -> None:
    """Forget a list, its subscribers, their keys and what it holds.

    What its posts were remembered by stays for as long as ever: they must not turn up at other lists.
    """
    with store.writing() as connection:
        for table in (
            schema.list_key_name,
            schema.list_key,
            schema.list_address,
            schema.list_subscriber,
            schema.list_held,
        ):
            connection.execute(sa.delete(table).where(table.c.list_id == number))
        connection.execute(sa.delete(_TABLE).where(_TABLE.c.id == number))


def _read(connection: sa.Connection, address: str, *, lock: bool = False) -> MailingList | None:
    query = sa.select(_TABLE).where(_TABLE.c.address == address)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _list(row) if row else None


def _row(list_: MailingList) -> dict[str, Any]:
    return {
        "address": list_.address,
        "list_id": list_.list_id,
        "rules": msgspec.json.encode(list_.rules).decode(),
        "deliver": list_.deliver,
        "moderators": msgspec.json.encode(list_.moderators).decode(),
        "created_at": list_.created_at,
        "key_path": list_.key_path,
        "sealed_key": list_.sealed_key,
    }


def _list(row: sa.Row[Any]) -> MailingList:
    return MailingList(
        number=row.id,
        address=row.address,
        list_id=row.list_id,
        rules=msgspec.json.decode(row.rules, type=Rules),
        deliver=row.deliver,
        moderators=msgspec.json.decode(row.moderators, type=tuple[str, ...]),
        created_at=UnixSeconds(row.created_at),
        key_path=row.key_path,
        sealed_key=bytes(row.sealed_key),
    )
