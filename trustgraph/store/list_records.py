"""How subscribers and keys of the stash stand in the database: in plain what they are looked up, counted and judged by,
all else through the list's box.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from trustgraph.mailinglist.box import Box
from trustgraph.mailinglist.model import KeyState, StashKey, Subscriber
from trustgraph.model import UnixSeconds
from trustgraph.store.engine import Store

_STATES = tuple(KeyState)

#: Columns of a key that are what they are in the model.
_PLAIN = (
    *("deposited_at", "good_from", "good_until", "token_nonce", "token_until"),
    *("approved", "proved", "additional", "reminded_of"),
)


class Keep(NamedTuple):
    """Which list's stash, and the box it is in."""

    store: Store
    box: Box
    list_number: int


class _SealedSubscriber(NamedTuple):
    """What only the box's owner reads of a subscriber."""

    address: str
    aliases: tuple[str, ...]


class _SealedKey(NamedTuple):
    """What only the box's owner reads of a key."""

    fingerprint: str
    certificate: bytes
    names: tuple[str, ...]
    note: str


def subscriber_row(keep: Keep, subscriber: Subscriber) -> dict[str, Any]:
    """The columns of a subscriber."""
    name = keep.box.name(subscriber.address)
    plain = msgspec.msgpack.encode(_SealedSubscriber(subscriber.address, subscriber.aliases))
    return {
        "list_id": keep.list_number,
        "address": name,
        "sealed": keep.box.seal(plain, _about_subscriber(keep, name)),
        "subscribed_at": subscriber.subscribed_at,
        "provisional": subscriber.provisional,
    }


def subscriber_of(keep: Keep, row: sa.Row[Any], keys: Iterable[StashKey]) -> Subscriber:
    """The subscriber of a row. Raises :class:`BadInput` when the box does not open it."""
    plain = keep.box.open(bytes(row.sealed), _about_subscriber(keep, bytes(row.address)))
    address, aliases = msgspec.msgpack.decode(plain, type=_SealedSubscriber)
    return Subscriber(row.id, address, aliases, tuple(keys), UnixSeconds(row.subscribed_at), row.provisional)


def key_row(keep: Keep, subscriber_number: int, key: StashKey) -> dict[str, Any]:
    """The columns of a key."""
    name = keep.box.name(key.fingerprint)
    plain = msgspec.msgpack.encode(_SealedKey(key.fingerprint, key.certificate, key.names, key.note))
    return {column: getattr(key, column) for column in _PLAIN} | {
        "list_id": keep.list_number,
        "subscriber_id": subscriber_number,
        "fingerprint": name,
        "state": _STATES.index(key.state),
        "sealed": keep.box.seal(plain, _about_key(keep, subscriber_number, name)),
    }


def key_of(keep: Keep, row: sa.Row[Any]) -> StashKey:
    """The key of a row. Raises :class:`BadInput` when the box does not open it."""
    about = _about_key(keep, row.subscriber_id, bytes(row.fingerprint))
    sealed = msgspec.msgpack.decode(keep.box.open(bytes(row.sealed), about), type=_SealedKey)
    plain = {column: getattr(row, column) for column in _PLAIN}
    return StashKey(number=row.id, state=_STATES[row.state], **sealed._asdict(), **plain)


def _about_subscriber(keep: Keep, name: bytes) -> bytes:
    return b"subscriber %d %b" % (keep.list_number, name)


def _about_key(keep: Keep, subscriber_number: int, name: bytes) -> bytes:
    return b"key %d %d %b" % (keep.list_number, subscriber_number, name)
