"""Keys into the stash: deposited, proved, rotated; :mod:`.list_revocations` takes them out.

Whoever asks is a stranger: a deposit costs the subscriber a letter, and nothing more happens until the token in that
letter comes back signed. Every change is one transaction, decided by :mod:`trustgraph.mailinglist.keystate`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from trustgraph.errors import BadInput
from trustgraph.mailinglist import keystate
from trustgraph.mailinglist.address import canonical_address
from trustgraph.mailinglist.keystate import Step, find_key
from trustgraph.mailinglist.model import KeyState, StashKey, Subscriber
from trustgraph.mailinglist.token import LIFETIME_SECONDS, Token, token_text
from trustgraph.model import UnixSeconds, parse_fingerprint
from trustgraph.openpgp.deposits import read_deposit
from trustgraph.openpgp.stashed import Stashed, holds_secret_key, merge_copies
from trustgraph.services.list_proofs import Proof, read_proof
from trustgraph.services.list_revocations import change_keys, revoke, take_revocations
from trustgraph.services.list_stash import Keys, Stash
from trustgraph.services.list_subscribers import provisional_subscriber
from trustgraph.store import list_keys

__all__ = ["Confirmed", "Deposited", "confirm", "deposit", "revoke", "rotate", "take_revocations"]


@dataclass(frozen=True, slots=True)
class Deposited:
    """``token_text`` is what has to come back signed, None where nothing needs proving.

    ``missing`` says what is needed before the key counts, empty if it does; ``retired`` gave way to it.
    """

    subscriber: Subscriber
    key: StashKey
    token_text: str | None
    missing: str = ""
    retired: tuple[StashKey, ...] = ()

    @property
    def needs_consent(self) -> bool:
        """Whether an older key's signature, or a moderator's word, is needed beside its own signature."""
        others = (key for key in self.subscriber.keys if key.fingerprint != self.key.fingerprint)
        return not self.key.approved and any(map(keystate.has_counted, others))


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a signed token has come to: the key counts, or what is ``missing`` still. ``retired`` gave way to it."""

    subscriber: Subscriber
    key: StashKey
    retired: Keys
    missing: str = ""


def deposit(
    stash: Stash,
    address: str,
    blob: bytes,
    now: UnixSeconds,
    *,
    fingerprint_vouched: str | None = None,
    additional: bool | None = False,
    approved: bool = False,
) -> Deposited:
    """Take in a public key for a subscriber, or a newer copy of one that is there.

    ``fingerprint_vouched``: the list's owner knows that the key with this fingerprint is the subscriber's, so that it
    counts at once. ``approved``: a moderator's word in the place of the older key's signature. ``additional``: the
    older ones stay as they are; None for a stranger's letter, which is not to take back what was asked for. Raises
    :class:`BadInput` for who is no subscriber (unless the list is open) and for a key that is none, is secret, cannot
    sign, has expired, is revoked, or is another than vouched for.
    """
    canonical = canonical_address(address)
    take_revocations(stash, blob, now)
    if holds_secret_key(blob):
        raise BadInput(
            "this is a secret key, which nobody but its owner may ever have; nothing of it was kept. "
            "Others may have read it on its way: revoke it, make a new key, and send the public part of that"
        )
    fingerprint, octets = read_deposit(blob, now)
    if fingerprint_vouched and parse_fingerprint(fingerprint_vouched) != fingerprint:
        raise BadInput(f"the key given is {fingerprint}, not {fingerprint_vouched}, which is vouched for")
    subscriber = list_keys.read_subscriber(stash.keep, canonical) or provisional_subscriber(stash, canonical, now)
    token = Token(
        stash.list.address,
        subscriber.address,
        fingerprint,
        secrets.token_hex(16),
        UnixSeconds(now + LIFETIME_SECONDS),
    )

    def decide(known: Subscriber) -> Step:
        copy = _merged(known, fingerprint, octets, now)
        step = keystate.deposit(known, copy, now, token, additional=additional)
        if step.key.state is not KeyState.ACTIVE and (approved or fingerprint_vouched):
            waiting, overlap = replace(known, keys=step.keys), stash.list.rules.overlap_seconds
            step = keystate.approve(waiting, fingerprint, now, overlap, vouched=bool(fingerprint_vouched))
        return step

    subscriber, step = change_keys(stash, subscriber.address, decide)
    text = token_text(token) if step.key.state is not KeyState.ACTIVE else None
    return Deposited(subscriber, step.key, text, step.missing, step.retired)


def confirm(stash: Stash, signed_octets: bytes, now: UnixSeconds) -> Confirmed:
    """Take in a signed token: a message whose text is signed, or clear-signed text by itself.

    Raises :class:`BadInput` saying why it does not count.
    """
    proof = read_proof(stash, signed_octets, now)
    problem = BadInput("no token")
    for token in proof.tokens:
        try:
            return _confirmed(stash, token, proof, now)
        except BadInput as error:
            problem = error
    raise problem


def rotate(stash: Stash, address: str, blob: bytes, now: UnixSeconds, *, approved: bool = False) -> Deposited:
    """A key that takes over from those that a subscriber has. Raises as :func:`deposit` does."""
    known = stash.subscriber(address)
    if known is None:
        raise BadInput(f"{address}: is no subscriber's address on {stash.list.address}")
    return deposit(stash, known.address, blob, now, approved=approved)


def _confirmed(stash: Stash, token: Token, proof: Proof, now: UnixSeconds) -> Confirmed:
    overlap = stash.list.rules.overlap_seconds

    def decide(known: Subscriber) -> Step:
        step = keystate.prove(known, token, proof.signers_for(token), now, overlap)
        _check_alive(merge_copies([step.key.certificate], step.key.fingerprint, now), now)
        return step

    subscriber, step = change_keys(stash, token.address, decide)
    return Confirmed(subscriber, step.key, list(step.retired), step.missing)


def _merged(known: Subscriber, fingerprint: str, octets: bytes, now: UnixSeconds) -> StashKey:
    """The key as it is to be kept: with all that earlier copies said, revocations above all."""
    key = find_key(known.keys, fingerprint)
    merged = merge_copies([key.certificate, octets] if key else [octets], fingerprint, now)
    _check_alive(merged, now)
    return StashKey(0, fingerprint, merged.octets, KeyState.PENDING, now, names=merged.names)


def _check_alive(merged: Stashed, now: UnixSeconds) -> None:
    if merged.revoked_at is not None:
        raise BadInput(f"key {merged.fingerprint} is revoked: deposit another one")
    if merged.expires_at is not None and merged.expires_at <= now:
        raise BadInput(f"key {merged.fingerprint} has expired: prolong it and deposit it again")
