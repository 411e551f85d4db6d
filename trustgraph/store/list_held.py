"""Posts that wait for a moderator: who wrote what is under the list's seal, as its stash is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.store import schema
from trustgraph.store.list_posts import take_turns
from trustgraph.store.list_records import Keep

_HELD = schema.list_held

#: However small the posts that a list's rules allow for: together they fill no disk.
MAX_HELD_OCTETS = 512 * 1024 * 1024

#: So long one moderator may take to pass a post on before another may: more than the next hop is waited for.
CLAIM_SECONDS = 1_800


@dataclass(frozen=True, slots=True)
class HeldPost:
    """A post on hold. ``name`` is what commands call it by, ``size`` in octets.

    ``author`` is canonical, ``subject`` and ``message_id`` as they stand; ``sender`` is the envelope's, as far as it is
    known. ``expected`` are fingerprints that would have done. ``damaged``: the record does not open, and says nothing.
    """

    name: str
    held_at: UnixSeconds
    size: int
    reason: str
    author: str
    subject: str
    message_id: str
    seen_fingerprint: str
    expected: tuple[str, ...]
    sender: str
    automatic: bool
    damaged: bool = False


class _Sealed(NamedTuple):
    """What only the box's owner reads."""

    author: str
    subject: str
    message_id: str
    seen_fingerprint: str
    expected: tuple[str, ...]
    sender: str
    automatic: bool


_NOTHING = _Sealed("", "", "", "", (), "", automatic=True)


def hold(keep: Keep, post: HeldPost, octets: bytes, delivery: bytes, at_most: int) -> tuple[str, bool]:
    """Keep a post for a moderator; returns its name, which is chosen here, and whether it is new.

    The same delivery once more is the same post. The name is empty when ``at_most`` are held already, or too much.
    """
    name = secrets.token_hex(5)
    facts = _Sealed(*(getattr(post, field) for field in _Sealed._fields))
    row = {
        "list_id": keep.list_number,
        "name": name,
        "delivery": delivery,
        "held_at": post.held_at,
        "size": len(octets),
        "reason": post.reason,
        "sealed": keep.box.seal(msgspec.msgpack.encode(facts), _about(keep, "held", name)),
        "post": keep.box.seal(octets, _about(keep, "post", name)),
    }
    c = _HELD.c
    with keep.store.writing() as connection:
        take_turns(connection, _HELD)
        mine = c.list_id == keep.list_number
        known = connection.execute(sa.select(c.name).where(mine, c.delivery == delivery)).scalar()
        if known is not None:
            return str(known), False
        together = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(c.size), 0)).where(mine)
        count, size = connection.execute(together).one()
        if count >= at_most or size + len(octets) > MAX_HELD_OCTETS:
            return "", False
        connection.execute(sa.insert(_HELD).values(row))
    return name, True


def held(keep: Keep) -> list[HeldPost]:
    """All that wait on the list, the oldest first; one whose record is damaged is among them."""
    c = _HELD.c
    columns = (c.name, c.held_at, c.size, c.reason, c.sealed)
    query = sa.select(*columns).where(c.list_id == keep.list_number).order_by(c.held_at, c.id)
    with keep.store.reading() as connection:
        return [_post(keep, row) for row in connection.execute(query)]


def read_held(keep: Keep, name: str) -> tuple[HeldPost, bytes]:
    """One, and the message as it came. Raises :class:`BadInput` when there is none, or it does not open."""
    query = sa.select(_HELD).where(_HELD.c.list_id == keep.list_number, _HELD.c.name == name)
    with keep.store.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise BadInput(f"{name[:40]!r}: no post of that name is held; `trustgraph list held LIST` says which are")
    post = _post(keep, row)
    if post.damaged:
        raise BadInput(f"{name}: the record of this held post does not open: it was changed, or is under another key")
    return post, keep.box.open(bytes(row.post), _about(keep, "post", name))


def claim(keep: Keep, name: str, now: UnixSeconds) -> bool:
    """Take one in hand; False if somebody else has it, or there is none."""
    free = sa.or_(_HELD.c.claimed_at.is_(None), _HELD.c.claimed_at <= now - CLAIM_SECONDS)
    return _set_claim(keep, name, free, now)


def release(keep: Keep, name: str, claimed_at: UnixSeconds) -> None:
    """Let go of one that is still held, unless somebody else has it in hand by now."""
    _set_claim(keep, name, _HELD.c.claimed_at == claimed_at, None)


def _set_claim(keep: Keep, name: str, where: sa.ColumnElement[bool], at: UnixSeconds | None) -> bool:
    named = (_HELD.c.list_id == keep.list_number) & (_HELD.c.name == name)
    with keep.store.writing() as connection:
        return bool(connection.execute(sa.update(_HELD).where(named, where).values(claimed_at=at)).rowcount)


def remove_held(keep: Keep, name: str) -> bool:
    """Hold it no longer. False if somebody else was quicker."""
    with keep.store.writing() as connection:
        gone = connection.execute(
            sa.delete(_HELD).where(_HELD.c.list_id == keep.list_number, _HELD.c.name == name)
        ).rowcount
    return bool(gone)


def _post(keep: Keep, row: Any) -> HeldPost:
    try:
        plain = keep.box.open(bytes(row.sealed), _about(keep, "held", row.name))
        facts, damaged = msgspec.msgpack.decode(plain, type=_Sealed), False
    except (BadInput, msgspec.DecodeError):
        facts, damaged = _NOTHING, True
    return HeldPost(row.name, UnixSeconds(row.held_at), row.size, row.reason, *facts, damaged=damaged)


def _about(keep: Keep, what: str, name: str) -> bytes:
    return f"{what} {keep.list_number} {name}".encode()
