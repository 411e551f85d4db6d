"""The hold queue of a list, for its moderators: what waits, and what becomes of it.

A post is passed on before it is taken out of the queue: whoever is cut off in between finds it there, and may pass it
on once more when half an hour is over; nothing is ever lost. For so long it is his who has taken it in hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256

from trustgraph.errors import BadInput, ConfigurationError, ServiceUnavailable, TrustgraphError
from trustgraph.headersig.message import split_message, with_network_line_ends
from trustgraph.mailinglist.enclosed import enclosed_keys
from trustgraph.mailinglist.model import Flaw, Post, PostDecision, PostVerdict
from trustgraph.mailinglist.reading import read_post
from trustgraph.mailinglist.reasons import REASONS
from trustgraph.mailinglist.rules import is_as_signed, to_remember
from trustgraph.model import Result, UnixSeconds
from trustgraph.openpgp.deposits import lookup_names
from trustgraph.openpgp.posts import judge_post, read_deposit, subscriber_certificate
from trustgraph.services.list_answers import answer_rejected
from trustgraph.services.list_deposits import deposit
from trustgraph.services.list_gate import PostGate, has_proved
from trustgraph.services.list_passing import pass_on
from trustgraph.services.list_results import authserv_of, with_results
from trustgraph.services.list_stash import Stash
from trustgraph.store import list_held
from trustgraph.store.list_held import CLAIM_SECONDS, HeldPost, claim, read_held, release, remove_held
from trustgraph.store.list_posts import remember


@dataclass(frozen=True, slots=True)
class Approved:
    """``fingerprint`` is that of the key that was added, empty if none was."""

    post: HeldPost
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """``letters``: how many went to the author. ``trouble`` says why one that should have gone did not."""

    name: str
    letters: int = 0
    trouble: str = ""


def held(stash: Stash) -> list[HeldPost]:
    """What waits, the oldest first."""
    return list_held.held(stash.keep)


def show(stash: Stash, name: str) -> tuple[HeldPost, bytes]:
    """One of them, and the message as it came. Raises :class:`BadInput` when there is none, or it does not open."""
    return read_held(stash.keep, name)


def approve(stash: Stash, name: str, now: UnixSeconds, *, add_key: bytes | bool = False) -> Approved:
    """Let a held post in: it goes on to where the list delivers, and its copies are replays from now on.

    With ``add_key`` the key that signed it becomes one of its author's first, by the moderator's word: the one given,
    or with True the one enclosed in the post or deposited and not proved. Raises :class:`BadInput` when no such key
    made the signature, :class:`ConfigurationError` where the list has nowhere to deliver to, and what
    :func:`~trustgraph.services.list_passing.pass_on` raises; the post is still held then.
    """
    if not stash.list.deliver:
        raise ConfigurationError(
            f"{stash.list.address}: this host does not know where its posts go on to: say so with `trustgraph list set "
            f"{stash.list.address} --deliver …`, or pass on what `trustgraph list held {stash.list.address} {name} "
            "--raw` prints and reject it here with --silent"
        )
    held_post, octets = read_held(stash.keep, name)
    with _in_hand(stash, name, now):
        fingerprint = _pass_on(stash, held_post, octets, add_key, now)
    try:
        remove_held(stash.keep, name)
    except ServiceUnavailable as error:
        raise ServiceUnavailable(
            f"{name} is passed on, and still held: {error}; reject it with --silent in {CLAIM_SECONDS // 60} minutes"
        ) from None
    return Approved(held_post, fingerprint)


def _pass_on(stash: Stash, held_post: HeldPost, octets: bytes, add_key: bytes | bool, now: UnixSeconds) -> str:
    """Returns the fingerprint of the key that was added, if one was."""
    post = _read(octets)
    fingerprint = _add_key(stash, post, octets, add_key, now) if add_key is not False else ""
    digests = to_remember(PostGate(stash).findings_of(octets, post, now), stash.list.rules, now, unverified=True)
    delivery = sha256(b"approved " + held_post.name.encode()).digest()[:16]
    remember(stash.store, stash.list.number, digests, delivery, now, lambda _seen: True)
    sender = held_post.sender or held_post.author
    pass_on(stash.list.deliver, _marked(stash, held_post, octets), sender, stash.list.address)
    return fingerprint


def reject(stash: Stash, name: str, now: UnixSeconds, *, silent: bool) -> Rejected:
    """Drop a held post, and tell its author unless ``silent``: a subscriber only, and not for automatic mail.

    Raises :class:`BadInput` when there is none. One whose record is damaged is dropped without a word.
    """
    try:
        post, _ = read_held(stash.keep, name)
    except BadInput:
        if remove_held(stash.keep, name):
            return Rejected(name)
        raise
    with _in_hand(stash, name, now):
        remove_held(stash.keep, name)
    if silent:
        return Rejected(name)
    try:
        return Rejected(name, answer_rejected(stash, post, now))
    except TrustgraphError as error:  # it is gone, and that is what was asked for
        return Rejected(name, trouble=str(error))


@contextmanager
def _in_hand(stash: Stash, name: str, now: UnixSeconds) -> Iterator[None]:
    """Nobody else approves or rejects it meanwhile, or he is told so."""
    if not claim(stash.keep, name, now):
        raise BadInput(
            f"{name}: somebody has it in hand, or was cut off; if it is still held in {CLAIM_SECONDS // 60} minutes, "
            "try again"
        )
    try:
        yield
    except BaseException:
        with suppress(TrustgraphError):
            release(stash.keep, name, now)
        raise


def _marked(stash: Stash, post: HeldPost, octets: bytes) -> bytes:
    """With the field that every post has that is let in although something speaks against it."""
    flaw = REASONS.get(post.reason) or Flaw.INVALID
    decision = PostDecision(PostVerdict.TAG, post.reason, flaw, post.author, post.seen_fingerprint)
    return with_results(octets, authserv_of(stash.settings, stash.list), decision)


def _read(octets: bytes) -> Post:
    try:
        return read_post(octets)
    except BadInput as error:
        return Post("", (), "unreadable", "", str(error), automatic=True)


def _add_key(stash: Stash, post: Post, octets: bytes, given: bytes | bool, now: UnixSeconds) -> str:
    author = stash.subscriber(post.author) if post.author else None
    if author is None:
        raise BadInput(
            f"{post.author or 'nobody who can be read'} is no subscriber of {stash.list.address}, so there is nobody "
            "to add a key to: see `trustgraph list subscribe`"
        )
    why: list[str] = []
    for blob in [given] if isinstance(given, bytes) else _candidates(stash, post, octets):
        try:
            fingerprint, certificate = read_deposit(blob, now)
        except BadInput as error:
            why.append(str(error))
            continue
        if reason := _objection(stash, post, octets, fingerprint, certificate, now):
            why.append(f"{fingerprint}: {reason}")
            continue
        deposit(stash, author.address, certificate, now, fingerprint_vouched=fingerprint, additional=True)
        return fingerprint
    found = "; ".join(why) or "the post has no key enclosed"
    way_out = "" if isinstance(given, bytes) else "; give the key that signed it with --key FILE"
    raise BadInput(f"no key was added, and the post is still held: {found}{way_out}")


def _candidates(stash: Stash, post: Post, octets: bytes) -> Iterator[bytes]:
    """The author's own keys, whatever their state, then those in the post."""
    author = stash.subscriber(post.author)
    yield from (key.certificate for key in (author.keys if author else ()))
    yield from enclosed_keys(octets)


def _objection(stash: Stash, post: Post, octets: bytes, fingerprint: str, certificate: bytes, now: UnixSeconds) -> str:
    """Why this key is not to be added for this post; empty if it made the signature that makes it the author's."""
    author = stash.subscriber(post.author)
    for other in stash.holders(fingerprint):
        if has_proved(other, fingerprint) and (author is None or other.address != author.address):
            return f"it is a key of {other.address}"
    fields, body = split_message(with_network_line_ends(octets))
    read = subscriber_certificate(certificate, now)
    names = lookup_names(read)
    findings = judge_post(post, fields, body, lambda name: [read] if name in names else [], now)
    mine = [one for one in findings if one.fingerprint == fingerprint]
    if post.problem or not mine:
        return post.problem or "it did not sign this post"
    wrong = next((one.reason for one in mine if one.result is not Result.PASS), "")
    return wrong or ("" if all(is_as_signed(one, stash.list, post) for one in mine) else "it signed another post")
