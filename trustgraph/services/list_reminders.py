"""Letters ahead of the end of a key, once for each key and end, and once more when it has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage

from trustgraph.errors import TrustgraphError
from trustgraph.mailinglist.letter import expiry_reminder
from trustgraph.mailinglist.model import DAY_SECONDS, KeyState, StashKey, Subscriber
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.stashed import merge_copies
from trustgraph.services.list_letters import stamp
from trustgraph.services.list_stash import Stash, stash_of
from trustgraph.services.list_subscribers import drop_unproved
from trustgraph.settings import Settings
from trustgraph.store import Store, list_keys
from trustgraph.store.lists import all_lists

AHEAD_SECONDS = 14 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder to be sent; ``over`` says that the key has ended already."""

    list_address: str
    address: str
    fingerprint: str
    expires_at: UnixSeconds
    over: bool

    @property
    def mark(self) -> UnixSeconds:
        """What is kept once it is sent: the moment itself, or the second after it."""
        return UnixSeconds(self.expires_at + 1) if self.over else self.expires_at


@dataclass(frozen=True, slots=True)
class Reminded:
    """``problems`` has a line for every letter that could not be sent, and every stash that does not open."""

    sent: tuple[Due, ...]
    problems: tuple[str, ...]


def remind(
    store: Store,
    settings: Settings,
    now: UnixSeconds,
    send: Callable[[EmailMessage], None],
    *,
    addresses: Sequence[str] = (),
    ahead_seconds: int = AHEAD_SECONDS,
    dry_run: bool = False,
) -> Reminded:
    """Send what is due, of all lists or those named, and mark it as sent; with ``dry_run`` only say what is due.

    A letter is marked once it is sent: cut off in between, it is sent twice rather than not at all. What fails leaves
    the rest as it is, and is due again.
    """
    sent: list[Due] = []
    problems: list[str] = []
    for list_ in all_lists(store):
        if addresses and list_.address not in addresses:
            continue
        try:
            stash = stash_of(store, list_, settings)
            if not dry_run:
                drop_unproved(stash, now)
            waiting = due(stash, now, ahead_seconds)
        except TrustgraphError as error:
            problems.append(f"{list_.address}: {error}")
            continue
        for one in waiting:
            try:
                if not dry_run:
                    send(expiry_reminder(list_, stamp(list_, one.address, now), one.fingerprint, one.expires_at))
                    _mark(stash, one)
            except TrustgraphError as error:
                problems.append(f"{list_.address}: {one.address}: {error}")
            else:
                sent.append(one)
    return Reminded(tuple(sent), tuple(problems))


def due(stash: Stash, now: UnixSeconds, ahead_seconds: int = AHEAD_SECONDS) -> list[Due]:
    """Which reminders are to be sent now."""
    return [found for one in stash.subscribers() for found in _due_of(stash, one, now, ahead_seconds)]


def _due_of(stash: Stash, subscriber: Subscriber, now: UnixSeconds, ahead_seconds: int) -> Iterator[Due]:
    for key in subscriber.keys:
        if key.state is not KeyState.ACTIVE:
            continue
        expires_at = merge_copies([key.certificate], key.fingerprint, now).expires_at
        if expires_at is None or expires_at - ahead_seconds > now:
            continue
        found = Due(stash.list.address, subscriber.address, key.fingerprint, expires_at, expires_at <= now)
        if key.reminded_of != found.mark:
            yield found


def _mark(stash: Stash, sent: Due) -> None:
    def marked(key: StashKey) -> StashKey:
        return replace(key, reminded_of=sent.mark) if key.fingerprint == sent.fingerprint else key

    list_keys.change_subscriber(
        stash.keep, sent.address, lambda known: replace(known, keys=tuple(map(marked, known.keys)))
    )
