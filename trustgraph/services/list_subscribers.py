"""Who is subscribed: by the list's owner, or on an open list by writing to it and proving to hold a key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from trustgraph.errors import BadInput
from trustgraph.mailinglist.address import canonical_address
from trustgraph.mailinglist.keystate import current
from trustgraph.mailinglist.model import KeyState, StashKey, Subscriber
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.stashed import merge_copies
from trustgraph.services.list_stash import Stash
from trustgraph.services.log import EventLog
from trustgraph.store import list_keys

MAX_ALIASES = 16


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key as it is shown: ``since`` when it counts, or was deposited; ``until`` when it ends, or has to be proved."""

    key: StashKey
    state: KeyState
    since: UnixSeconds
    until: UnixSeconds | None
    expires_at: UnixSeconds | None


#: So many may have written to an open list within a day and proved nothing.
MAX_PROVISIONAL = 1_000


def subscribe(stash: Stash, address: str, now: UnixSeconds, aliases: Sequence[str] = ()) -> Subscriber:
    """The owner's word that an address is a subscriber's, and the aliases his; again, to add aliases.

    Raises :class:`BadInput` for an address that is another subscriber's, and for one alias too many.
    """
    canonical = canonical_address(address)
    wanted = tuple(dict.fromkeys(map(canonical_address, aliases)))
    for one in (canonical, *wanted):
        _make_way(stash, one)
    known = list_keys.read_subscriber(stash.keep, canonical)
    if known is None:
        new = _checked(Subscriber(0, canonical, tuple(one for one in wanted if one != canonical), (), now))
        return list_keys.add_subscriber(stash.keep, new)
    if known.address != canonical:
        raise BadInput(f"{canonical}: is an alias of {known.address}, who is subscribed already")
    return list_keys.change_subscriber(stash.keep, canonical, lambda one: _with_aliases(one, wanted))


def named_subscribers(stash: Stash, address: str = "") -> list[Subscriber]:
    """All of them, or the one whose address or alias this is. Raises :class:`BadInput` if it is nobody's."""
    if not address:
        return stash.subscribers()
    found = stash.subscriber(address)
    if found is None:
        raise BadInput(f"{address}: is no subscriber's address on {stash.list.address}")
    return [found]


def key_facts(subscriber: Subscriber, now: UnixSeconds) -> list[KeyFacts]:
    """What there is to say of a subscriber's keys."""
    return [
        KeyFacts(
            key,
            key.state,
            key.deposited_at if key.good_from is None else key.good_from,
            key.good_until if key.token_until is None else key.token_until,
            merge_copies([key.certificate], key.fingerprint, now).expires_at,
        )
        for key in subscriber.keys
    ]


def drop_aliases(stash: Stash, address: str, aliases: Iterable[str]) -> Subscriber:
    """Take aliases back. Raises :class:`BadInput` for one that is not the subscriber's."""
    gone = set(map(canonical_address, aliases))

    def change(known: Subscriber) -> Subscriber:
        if other := gone - set(known.aliases):
            raise BadInput(f"{', '.join(sorted(other))}: no alias of {known.address}")
        return replace(known, aliases=tuple(one for one in known.aliases if one not in gone))

    return list_keys.change_subscriber(stash.keep, canonical_address(address), change)


def unsubscribe(stash: Stash, address: str, log: EventLog) -> Subscriber:
    """Forget a subscriber with his aliases and keys; returns what is gone. The event names no one but the list."""
    gone = list_keys.remove_subscriber(stash.keep, canonical_address(address))
    log("list-unsubscribed", list=stash.list.address, aliases=len(gone.aliases), keys=len(gone.keys))
    return gone


def provisional_subscriber(stash: Stash, address: str, now: UnixSeconds) -> Subscriber:
    """Somebody who writes to an open list for the first time; nobody's subscriber until he has proved to hold a key.

    Raises :class:`BadInput` where the list is not open, and when too many are waiting.
    """
    if not stash.list.rules.open:
        raise BadInput(f"{address}: is no subscriber's address on {stash.list.address}: its owner subscribes people")
    if list_keys.count_provisional(stash.keep) >= MAX_PROVISIONAL:
        drop_unproved(stash, now)
        if list_keys.count_provisional(stash.keep) >= MAX_PROVISIONAL:
            raise BadInput(f"{stash.list.address}: too many are waiting to be subscribed: try again tomorrow")
    with suppress(BadInput):  # somebody else has just written under the same address
        return list_keys.add_subscriber(stash.keep, Subscriber(0, address, (), (), now, provisional=True))
    found = list_keys.read_subscriber(stash.keep, address)
    if found is None:
        raise BadInput(f"{address}: could not be subscribed: try again")
    return found


def drop_unproved(stash: Stash, now: UnixSeconds) -> int:
    """Forget keys that nobody has proved to hold in time, and whoever has nothing but such; returns how many."""
    gone = 0
    for one in list_keys.subscribers(stash.keep):
        kept = current(one.keys, now)
        if one.provisional and not any(key.state is KeyState.PENDING for key in kept):
            with suppress(BadInput):  # has proved it this very moment
                list_keys.remove_subscriber(stash.keep, one.address, only_provisional=True)
        elif kept != one.keys:
            list_keys.change_subscriber(stash.keep, one.address, lambda who: replace(who, keys=current(who.keys, now)))
        else:
            continue
        gone += 1
    return gone


def _make_way(stash: Stash, address: str) -> None:
    """Whom the owner names takes the place of one who only says so."""
    with suppress(BadInput):
        list_keys.remove_subscriber(stash.keep, address, only_provisional=True)


def _with_aliases(known: Subscriber, wanted: Iterable[str]) -> Subscriber:
    added = [one for one in wanted if one not in (known.address, *known.aliases)]
    return _checked(replace(known, aliases=(*known.aliases, *added)))


def _checked(subscriber: Subscriber) -> Subscriber:
    if len(subscriber.aliases) > MAX_ALIASES:
        raise BadInput(f"{subscriber.address}: {len(subscriber.aliases)} aliases: at most {MAX_ALIASES}")
    return subscriber
