"""Keys of the stash changed, one transaction a subscriber, and ended: by the list's owner, or by their own word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from trustgraph.errors import BadInput
from trustgraph.mailinglist import keystate
from trustgraph.mailinglist.address import canonical_address
from trustgraph.mailinglist.keystate import Step, find_key
from trustgraph.mailinglist.model import StashKey, Subscriber
from trustgraph.model import UnixSeconds, parse_fingerprint
from trustgraph.openpgp.deposits import MAX_DEPOSIT_BYTES
from trustgraph.openpgp.stashed import bare_revocations, copies_in, merge_copies, revocation_copy
from trustgraph.services.list_stash import Stash
from trustgraph.store import list_keys


class _NothingToDo(Exception):
    """These copies do not end the key."""


class _Already(Exception):
    """They do, and did before."""


def change_keys(stash: Stash, address: str, decide: Callable[[Subscriber], Step]) -> tuple[Subscriber, Step]:
    """Have a subscriber's keys changed in one transaction; who has a key that counts is a subscriber for good."""
    taken: list[Step] = []

    def change(known: Subscriber) -> Subscriber:
        step = decide(known)
        taken.append(step)
        counts = any(map(keystate.has_counted, step.keys))
        return replace(known, keys=step.keys, provisional=known.provisional and not counts)

    subscriber = list_keys.change_subscriber(stash.keep, address, change)
    step = taken[-1]
    return subscriber, replace(step, key=find_key(subscriber.keys, step.key.fingerprint) or step.key)


def revoke(stash: Stash, address: str, fingerprint: str, note: str = "") -> tuple[Subscriber, StashKey]:
    """Have a key count for nothing from now on, whenever it signed. Raises :class:`BadInput` if there is none."""
    wanted = parse_fingerprint(fingerprint)
    subscriber, step = change_keys(
        stash, canonical_address(address), lambda known: keystate.revoke(known, wanted, note)
    )
    return subscriber, step.key


def take_revocations(
    stash: Stash, blob: bytes, now: UnixSeconds, *, again: bool = False
) -> list[tuple[Subscriber, StashKey]]:
    """Take in what keys say of their own end: certificates with a revocation in them, or revocations by themselves.

    A revocation proves itself, whoever brings it. Returns whose keys it ended, with ``again`` those too that it ended
    before; nobody's is none.
    """
    if len(blob) > MAX_DEPOSIT_BYTES:
        raise BadInput(f"a key of {len(blob):,} octets: at most {MAX_DEPOSIT_BYTES:,} are read")
    found: dict[str, list[bytes]] = {}
    for fingerprint, octets in copies_in(blob):
        found.setdefault(fingerprint, []).append(octets)
    for name, packet in bare_revocations(blob):
        for key in list_keys.keys_named(stash.keep, name, provisional=True):
            found.setdefault(key.fingerprint, []).append(revocation_copy(key.certificate, packet))
    return [ended for fingerprint, copies in found.items() for ended in _end(stash, fingerprint, copies, now, again)]


def _end(
    stash: Stash, fingerprint: str, copies: list[bytes], now: UnixSeconds, again: bool
) -> Iterator[tuple[Subscriber, StashKey]]:
    """Every subscriber who has the key, and the key as it is now, where these copies of it end it."""

    def decide(known: Subscriber) -> Step:
        key = find_key(known.keys, fingerprint)
        merged = merge_copies([key.certificate, *copies] if key else copies, fingerprint, now)
        if key is None or merged.revoked_at is None:
            raise _NothingToDo
        if merged.hard:
            step = keystate.revoke(known, fingerprint, "revoked by itself")
        else:
            step = keystate.end(known, fingerprint, merged.revoked_at)
        if (step.key.state, step.key.good_until) == (key.state, key.good_until):
            raise _Already
        changed = replace(step.key, certificate=merged.octets)
        return replace(step, key=changed, keys=tuple(changed if one == step.key else one for one in step.keys))

    for one in list_keys.holders(stash.keep, fingerprint, provisional=True):
        try:
            subscriber, step = change_keys(stash, one.address, decide)
            yield subscriber, step.key
        except _NothingToDo:
            pass
        except _Already:
            if again and (known := find_key(one.keys, fingerprint)):
                yield one, known
