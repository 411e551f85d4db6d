"""The letter that goes with what was done to a key."""

from __future__ import annotations

from email.message import EmailMessage

from trustgraph.mailinglist.letter import invitation, key_confirmed, key_request, key_revoked, key_waits
from trustgraph.mailinglist.model import KeyState, StashKey, Subscriber
from trustgraph.model import UnixSeconds
from trustgraph.services.list_deposits import Confirmed, Deposited
from trustgraph.services.list_letters import stamp
from trustgraph.services.list_stash import Stash


def letter_on_subscription(stash: Stash, subscriber: Subscriber, now: UnixSeconds) -> EmailMessage:
    """That a key is wanted."""
    return invitation(stash.list, stamp(stash.list, subscriber.address, now))


def letter_on_revocation(
    stash: Stash, subscriber: Subscriber, key: StashKey, now: UnixSeconds, in_reply_to: str = ""
) -> EmailMessage:
    """That a key counts no more, or for nothing that is signed after its end."""
    to = stamp(stash.list, subscriber.address, now, in_reply_to)
    return key_revoked(stash.list, to, key.fingerprint, key.good_until if key.state is KeyState.RETIRING else None)


def letter_on_deposit(stash: Stash, deposited: Deposited, now: UnixSeconds, in_reply_to: str = "") -> EmailMessage:
    """To the subscriber's own address, whoever deposited: the token, or that there is nothing left to prove."""
    to = stamp(stash.list, deposited.subscriber.address, now, in_reply_to)
    fingerprint = deposited.key.fingerprint
    if deposited.token_text is None:
        return key_confirmed(stash.list, to, fingerprint, _ends(deposited.retired))
    return key_request(stash.list, to, fingerprint, deposited.token_text, successor=deposited.needs_consent)


def letter_on_confirmation(stash: Stash, confirmed: Confirmed, now: UnixSeconds, in_reply_to: str = "") -> EmailMessage:
    """That the key counts, or whose signature is missing."""
    to = stamp(stash.list, confirmed.subscriber.address, now, in_reply_to)
    if confirmed.missing:
        return key_waits(stash.list, to, confirmed.key.fingerprint, confirmed.missing)
    return key_confirmed(stash.list, to, confirmed.key.fingerprint, _ends(confirmed.retired))


def _ends(retired: tuple[StashKey, ...] | list[StashKey]) -> list[tuple[str, UnixSeconds]]:
    return [(key.fingerprint, key.good_until) for key in retired if key.good_until is not None]
