"""What a key of the stash is good for, and what becomes of it. Pure: subscribers in, keys out.

    (nothing) ── deposit ──> PENDING ── proof ──> ACTIVE ── another takes over ──> RETIRING
                                                    │                                  │
                                                    └──────── revocation ──> REVOKED <─┘

A key counts once its holder has signed a token that only the subscriber got. From the second one on, a key that is
active has to have signed that token too, or a moderator has said yes: whoever reads a subscriber's mail cannot put his
own key in the place of theirs. That holds as well when all the others are revoked or have ended.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from trustgraph.errors import BadInput
from trustgraph.mailinglist.model import DAY_SECONDS, KeyState, StashKey, Subscriber
from trustgraph.mailinglist.token import Token, token_digest
from trustgraph.model import UnixSeconds, to_rfc3339

#: Keys of one subscriber that have counted, and others that nobody has proved to hold; these make room for newer ones.
#: Strangers' letters must not push out the key that he has deposited: more wait in a day than are taken from a mailbox.
MAX_KEYS = 16
MAX_PENDING = 24

#: Letters about one key that may be answered at the same time: who deposits it again must not void the one before.
MAX_LETTERS = 24

#: Posts signed so long before a key became active still count: they were on their way.
GRACE_SECONDS = DAY_SECONDS

#: A clock may be so far ahead.
MAX_SKEW_SECONDS = 300

#: So long after its end a retired key is remembered, if its place is needed.
_REMEMBERED_SECONDS = 90 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Step:
    """``keys`` are all of the subscriber's as they are to be, ``key`` the one in question; ``retired`` gave way to it.

    ``missing`` says what is still needed before the key counts, empty when nothing is.
    """

    keys: tuple[StashKey, ...]
    key: StashKey
    retired: tuple[StashKey, ...] = ()
    missing: str = ""


def why_not(key: StashKey, signed_at: UnixSeconds, now: UnixSeconds) -> str:
    """Why a signature made at ``signed_at`` with this key does not count, a word with hyphens; empty if it does."""
    if key.state is KeyState.REVOKED:
        return "key-revoked"
    if key.state is KeyState.PENDING or key.good_from is None:
        return "key-pending"
    if signed_at > now + MAX_SKEW_SECONDS:
        return "signed-in-the-future"
    if signed_at < key.good_from - GRACE_SECONDS:
        return "signed-before-key"
    if key.state is KeyState.RETIRING and (key.good_until is None or signed_at >= key.good_until):
        return "key-retired"
    return ""


def may_sign(key: StashKey, signed_at: UnixSeconds, now: UnixSeconds) -> bool:
    """Whether a signature made at ``signed_at`` with this key counts."""
    return not why_not(key, signed_at, now)


def find_key(keys: Iterable[StashKey], fingerprint: str) -> StashKey | None:
    """The one with this fingerprint."""
    return next((key for key in keys if key.fingerprint == fingerprint), None)


def has_counted(key: StashKey) -> bool:
    """Whether it was ever more than a claim: anybody can deposit a key for somebody, and revoke it, too."""
    return key.good_from is not None


def deposit(
    subscriber: Subscriber,
    copy: StashKey,
    now: UnixSeconds,
    token: Token,
    *,
    additional: bool | None = False,
) -> Step:
    """A key is deposited, or a newer copy of one, merged with what there was; ``token`` is what is to be signed.

    ``additional`` None: as it was asked for while the key waits, else not. A copy of an active key needs no proof:
    whatever is in it, the key itself has said. Raises :class:`BadInput` for a key that is revoked, and for one too
    many.
    """
    fingerprint, known = copy.fingerprint, find_key(subscriber.keys, copy.fingerprint)
    if known and known.state is KeyState.REVOKED:
        raise BadInput(f"key {fingerprint} is revoked on this list, for good: deposit another one")
    if known and known.state is KeyState.ACTIVE:
        key = replace(known, certificate=copy.certificate, names=copy.names)
        return Step(_with(subscriber.keys, key), key)
    fresh = known or replace(copy, number=0, state=KeyState.PENDING, deposited_at=now)
    waits = known is not None and (known.token_until or 0) > now
    out = known.token_nonce.split() if known and waits else []
    key = replace(
        fresh,
        certificate=copy.certificate,
        names=copy.names,
        token_nonce=" ".join([token_digest(token), *out][:MAX_LETTERS]),
        token_until=token.until,
        additional=(waits and fresh.additional) if additional is None else additional,
        proved=fresh.proved and waits,
        approved=fresh.approved and waits,
    )
    keys = _with(_room(subscriber.keys, fingerprint, now), key)
    return Step(keys, key, missing=_missing(keys, key))


def prove(
    subscriber: Subscriber, token: Token, signers: Collection[str], now: UnixSeconds, overlap_seconds: int
) -> Step:
    """The token of a deposited key has come back signed by ``signers``, fingerprints.

    Raises :class:`BadInput` when it is not the token that is awaited, it is too late, or neither the key nor one that
    can vouch for it is among the signers.
    """
    key = _deposited(subscriber, token.fingerprint)
    digest = token_digest(token)  # of all that is in it
    if not any(hmac.compare_digest(digest, sent) for sent in key.token_nonce.split()):
        raise BadInput("these are not the lines of a letter about that key that is still to be answered")
    if token.until <= now:
        raise BadInput(f"this came too late: it was due until {to_rfc3339(token.until)}; deposit the key again")
    proved, approved = key.fingerprint in signers, bool(_vouchers(subscriber.keys, key) & set(signers))
    if not (proved or approved):
        raise BadInput(f"signed by {_listed(signers)}: expected a signature of the new key {key.fingerprint}")
    key = replace(key, proved=key.proved or proved, approved=key.approved or approved)
    return _activated(subscriber.keys, key, now, overlap_seconds)


def approve(
    subscriber: Subscriber, fingerprint: str, now: UnixSeconds, overlap_seconds: int, *, vouched: bool = False
) -> Step:
    """A moderator's word in the place of the other key's signature; the new key's own is needed all the same.

    ``vouched``: that one is not needed either, since the list's owner has compared the fingerprint with the subscriber.
    """
    key = _deposited(subscriber, fingerprint)
    key = replace(key, approved=True, proved=key.proved or vouched)
    return _activated(subscriber.keys, key, now, overlap_seconds)


def revoke(subscriber: Subscriber, fingerprint: str, note: str = "") -> Step:
    """Good for nothing from now on, whenever it signed. Raises :class:`BadInput` if there is no such key."""
    key = find_key(subscriber.keys, fingerprint)
    if key is None:
        theirs = _listed(key.fingerprint for key in subscriber.keys)
        raise BadInput(f"{subscriber.address} has no key {fingerprint}; there is {theirs}")
    key = replace(_settled(key), state=KeyState.REVOKED, note=note or key.note)
    return Step(_with(subscriber.keys, key), key)


def end(subscriber: Subscriber, fingerprint: str, ends_at: UnixSeconds) -> Step:
    """The key itself has said that it signs nothing after ``ends_at``, and that what it signed before is good."""
    known = find_key(subscriber.keys, fingerprint)
    if known is None or known.state is KeyState.PENDING:
        return revoke(subscriber, fingerprint)
    if known.state is KeyState.REVOKED:
        return Step(subscriber.keys, known)
    key = _retired(known, ends_at)
    return Step(_with(subscriber.keys, key), key)


def current(keys: Iterable[StashKey], now: UnixSeconds) -> tuple[StashKey, ...]:
    """Without those that were deposited and never proved in time."""
    return tuple(key for key in keys if key.state is not KeyState.PENDING or (key.token_until or 0) > now)


def _deposited(subscriber: Subscriber, fingerprint: str) -> StashKey:
    key = find_key(subscriber.keys, fingerprint)
    if key is None or not key.token_nonce:
        raise BadInput(f"no proof is awaited for key {fingerprint} of {subscriber.address}: deposit it first")
    return key


def _vouchers(keys: Iterable[StashKey], key: StashKey) -> set[str]:
    """Those whose signature stands for the subscriber's own consent."""
    return {one.fingerprint for one in keys if one.state is KeyState.ACTIVE} - {key.fingerprint}


def _missing(keys: Sequence[StashKey], key: StashKey) -> str:
    needed = [] if key.proved else [f"the signature of the new key {key.fingerprint}"]
    first = not any(has_counted(one) for one in keys if one.fingerprint != key.fingerprint)
    if not (key.approved or first):
        vouchers = _vouchers(keys, key)
        theirs = f"the signature of your key {' or '.join(sorted(vouchers))}, or " if vouchers else ""
        needed.append(f"{theirs}a moderator's word")
    return ", and ".join(needed)


def _activated(keys: Sequence[StashKey], key: StashKey, now: UnixSeconds, overlap_seconds: int) -> Step:
    missing = _missing(keys, key)
    if missing:
        return Step(_with(keys, key), key, missing=missing)
    keys = _room_to_count(keys, key.fingerprint, now)
    good_from = key.good_from if key.state is KeyState.RETIRING else now
    key = replace(_settled(key), state=KeyState.ACTIVE, good_from=good_from, good_until=None)
    until = UnixSeconds(now + overlap_seconds)
    older = () if key.additional else tuple(one for one in keys if one.fingerprint in _vouchers(keys, key))
    retired = tuple(_retired(one, until) for one in older)
    for one in (*retired, key):
        keys = _with(keys, one)
    return Step(tuple(keys), key, retired)


def _settled(key: StashKey) -> StashKey:
    """With no proof awaited any more: a token is good once."""
    return replace(key, token_nonce="", token_until=None, proved=False, approved=False)


def _retired(key: StashKey, until: UnixSeconds) -> StashKey:
    ends = until if key.good_until is None else min(until, key.good_until)
    return replace(key, state=KeyState.RETIRING, good_until=UnixSeconds(ends))


def _with(keys: Iterable[StashKey], key: StashKey) -> tuple[StashKey, ...]:
    others = [one for one in keys if one.fingerprint != key.fingerprint]
    return (*others, key)


def _room(keys: Sequence[StashKey], fingerprint: str, now: UnixSeconds) -> tuple[StashKey, ...]:
    """The keys without those that make room for one with this fingerprint to wait."""
    waiting = [key for key in keys if not has_counted(key) and key.fingerprint != fingerprint]
    kept = sorted(current(waiting, now), key=lambda key: key.token_until or key.deposited_at)[1 - MAX_PENDING :]
    others = tuple(key for key in keys if key not in waiting or key in kept)
    return _room_to_count(others, fingerprint, now)


def _room_to_count(keys: Sequence[StashKey], fingerprint: str, now: UnixSeconds) -> tuple[StashKey, ...]:
    """The keys without one that ended long ago, where its place is needed by the one with this fingerprint."""
    others = [key for key in keys if has_counted(key) and key.fingerprint != fingerprint]
    if len(others) < MAX_KEYS:
        return tuple(keys)
    past = [key for key in others if key.good_until is not None and key.good_until + _REMEMBERED_SECONDS <= now]
    if not past:
        raise BadInput(f"{MAX_KEYS} keys are as many as a subscriber may have: ask the list's owner to unsubscribe you")
    oldest = min(past, key=lambda key: key.good_until or 0)
    return tuple(key for key in keys if key is not oldest)


def _listed(fingerprints: Iterable[str]) -> str:
    return ", ".join(sorted(fingerprints)) or "none"
