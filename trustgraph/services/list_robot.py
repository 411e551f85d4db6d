"""Letters to a list's address for keys: a key deposited, a token signed, a key revoked by itself.

Nobody but a subscriber gets an answer (on an open list whoever encloses a key, since he may become one), programs never
do, and nobody many a day: the From field is anybody's to write. A deposit changes nothing until its token comes back
signed with the key, so the worst that a forger can do is to have somebody told, a few times, that he need do nothing.
What a signature proves is done whether or not a letter about it can still be written today.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage

from trustgraph.errors import BadInput, ServiceUnavailable
from trustgraph.mailinglist.enclosed import enclosed_keys
from trustgraph.mailinglist.keystate import find_key
from trustgraph.mailinglist.letter import key_refused
from trustgraph.mailinglist.model import KeyState, Kind, Post, StashKey, Subscriber
from trustgraph.mailinglist.reading import read_post
from trustgraph.mailinglist.replies import signed_text
from trustgraph.mailinglist.token import read_tokens
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.stashed import holds_secret_key
from trustgraph.services.list_deposits import Confirmed, confirm, deposit
from trustgraph.services.list_key_letters import letter_on_confirmation, letter_on_deposit, letter_on_revocation
from trustgraph.services.list_letters import stamp
from trustgraph.services.list_proofs import read_proof
from trustgraph.services.list_revocations import take_revocations
from trustgraph.services.list_stash import Stash
from trustgraph.store.list_told import may_say, take_back

#: A letter about a key holds a key.
MAX_LETTER_OCTETS = 4 * 1024 * 1024

#: Letters a day, to one address and of one list.
TO_ONE_ADDRESS, OF_ONE_LIST = 10, 1_000

Send = Callable[[EmailMessage], None]


@dataclass(frozen=True, slots=True)
class Handled:
    """What a letter led to, and why: ``deposited``, ``confirmed``, ``waiting``, ``revoked``, ``refused``, ``ignored``.

    ``letters`` is how many were sent.
    """

    action: str
    why: str = ""
    address: str = ""
    fingerprint: str = ""
    letters: int = 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    action: str
    address: str
    fingerprint: str
    letter: EmailMessage
    why: str = ""


def handle(stash: Stash, octets: bytes, now: UnixSeconds, send: Send, *, sender: str | None = None) -> Handled:
    """Do what a letter asks for. ``sender`` is the envelope's, None where it is not known; a null one is a bounce.

    Raises what the store raises, and :class:`ServiceUnavailable` when an answer cannot be sent: the letter is to come
    again then, and doing again what it asks for changes nothing but the token.
    """
    if len(octets) > MAX_LETTER_OCTETS:
        return Handled("ignored", "too large to be about a key")
    try:
        post = read_post(octets)
    except BadInput as error:
        return Handled("ignored", str(error))
    if why := _unanswerable(stash, post, sender):
        return Handled("ignored", why)
    who = stash.subscriber(post.author)
    writer = who.address if who else post.author
    limits = [_limit(writer), ("keys", OF_ONE_LIST)]
    # Forgers can use up the letters of a day: what a signature proves is done all the same, and not told.
    outcomes = _proved(stash, post, octets, now)
    if not may_say(stash.keep, limits, now):
        first = outcomes[0] if outcomes else None
        too_many = "too many letters today"
        return (
            Handled(first.action, too_many, first.address, first.fingerprint) if first else Handled("ignored", too_many)
        )
    outcomes = outcomes or [_asked(stash, post, octets, now)]
    if who is None and all(one.action == "refused" for one in outcomes):
        return Handled("ignored", "not from a subscriber, and no key in it that would do")
    # A letter may be about somebody else's key, and whoever has a copy of it may send it again under any name.
    others = [_limit(address) for address in sorted({one.address for one in outcomes} - {writer})]
    counted = [*limits, *(limit for limit in others if may_say(stash.keep, [limit], now))]
    letters = [one.letter for one in outcomes if _limit(one.address) in counted]
    try:
        for letter in letters:
            send(letter)
    except ServiceUnavailable:
        take_back(stash.keep, [what for what, _ in counted], now)
        raise
    first = outcomes[0]
    return Handled(first.action, first.why, first.address, first.fingerprint, len(letters))


def _limit(address: str) -> tuple[str, int]:
    return f"keys {address}", TO_ONE_ADDRESS


def _unanswerable(stash: Stash, post: Post, sender: str | None) -> str:
    """Why nobody may be written to about a letter; empty if its author may be."""
    if post.automatic or sender in ("", "<>"):
        return "made by a program"
    if not post.author or post.author == stash.list.address:
        return post.problem or "from the list itself"
    if not stash.list.rules.open and stash.subscriber(post.author) is None:
        return "not from a subscriber"
    return ""


def _proved(stash: Stash, post: Post, octets: bytes, now: UnixSeconds) -> list[_Outcome]:
    """What the letter does by signatures in it, whoever sent it, each with the letter about it."""
    if _has_token(post):
        with suppress(BadInput):
            return [_confirmed(stash, post, octets, now)]
        return []
    return [
        _Outcome("revoked", who.address, key.fingerprint, letter_on_revocation(stash, who, key, now, post.message_id))
        for blob in _keys(octets)
        for who, key in _revocations(stash, blob, now)
    ]


def _asked(stash: Stash, post: Post, octets: bytes, now: UnixSeconds) -> _Outcome:
    """What becomes of a letter that proves nothing."""
    # Mail programs enclose the key with every letter: one with a token is an answer, and no deposit.
    is_answer = _has_token(post)
    keys = [] if is_answer else _keys(octets)
    try:
        return _confirmed(stash, post, octets, now) if is_answer else _deposited(stash, post, keys, now)
    except BadInput as error:
        return _already_revoked(stash, post, keys, now) or _refused(stash, post, now, error)


def _confirmed(stash: Stash, post: Post, octets: bytes, now: UnixSeconds) -> _Outcome:
    try:
        done = confirm(stash, octets, now)
    except BadInput:
        # The same letter once more, since nobody could be told the first time: the token is used up, and rightly.
        if (already := _already(stash, octets, now)) is None:
            raise
        done = already
    letter = letter_on_confirmation(stash, done, now, post.message_id)
    action = "waiting" if done.missing else "confirmed"
    return _Outcome(action, done.subscriber.address, done.key.fingerprint, letter, done.missing)


def _already(stash: Stash, octets: bytes, now: UnixSeconds) -> Confirmed | None:
    """That a key counts which has signed a token of its own within its time."""
    proof = read_proof(stash, octets, now)
    for token in proof.tokens:
        holder = stash.subscriber(token.address)
        key = find_key(holder.keys, token.fingerprint) if holder else None
        if holder and key and key.state is KeyState.ACTIVE and key.fingerprint in proof.signers and token.until > now:
            return Confirmed(holder, key, [])
    return None


def _deposited(stash: Stash, post: Post, keys: list[bytes], now: UnixSeconds) -> _Outcome:
    """The first that will do; which of several its owner wants to sign with nobody can tell.

    With a secret key among them none will: what matters then is that its owner is told.
    """
    problem = BadInput("there is neither a public key in it nor the signed lines of a letter of ours")
    for number, blob in enumerate([key for key in keys if holds_secret_key(key)] or keys):
        try:
            done = deposit(stash, post.author, blob, now, additional=None)
        except BadInput as error:
            problem = problem if number else error
            continue
        letter = letter_on_deposit(stash, done, now, post.message_id)
        return _Outcome("deposited", done.subscriber.address, done.key.fingerprint, letter)
    raise problem


def _revocations(
    stash: Stash, blob: bytes, now: UnixSeconds, *, again: bool = False
) -> list[tuple[Subscriber, StashKey]]:
    try:
        return take_revocations(stash, blob, now, again=again)
    except BadInput:
        return []


def _already_revoked(stash: Stash, post: Post, keys: list[bytes], now: UnixSeconds) -> _Outcome | None:
    """That the author's keys in the letter, and there is nothing else in it, are revoked: he could not be told before.

    Whoever else had his key ended by the letter is not told then; that he posts in vain tells him.
    """
    author = stash.subscriber(post.author)
    ended = [
        [key for who, key in _revocations(stash, blob, now, again=True) if author and who.address == author.address]
        for blob in keys
    ]
    if author is None or not ended or not all(ended):
        return None
    key = ended[0][0]
    letter = letter_on_revocation(stash, author, key, now, post.message_id)
    return _Outcome("revoked", author.address, key.fingerprint, letter)


def _refused(stash: Stash, post: Post, now: UnixSeconds, why: BadInput) -> _Outcome:
    """Told to the address that wrote: the letter quotes nothing of what it wrote."""
    letter = key_refused(stash.list, stamp(stash.list, post.author, now, post.message_id), str(why))
    return _Outcome("refused", post.author, "", letter, str(why))


def _has_token(post: Post) -> bool:
    for content in post.contents:
        if content.kind is Kind.HEADER:
            continue
        try:
            if read_tokens(signed_text(content)):
                return True
        except BadInput:
            continue
    return False


def _keys(octets: bytes) -> list[bytes]:
    try:
        return enclosed_keys(octets)
    except BadInput:
        return []
