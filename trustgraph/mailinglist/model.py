"""The words of mailing lists (RFC 2369, RFC 2919, RFC 5598 section 5): lists, subscribers, keys, posts, decisions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trustgraph.model import Result, UnixSeconds

DAY_SECONDS = 86_400


class KeyState(StrEnum):
    """What a key of the stash is good for."""

    PENDING = "pending"  # deposited; nobody has proved to hold it
    ACTIVE = "active"
    RETIRING = "retiring"  # another has taken over; good for what is signed before ``good_until``
    REVOKED = "revoked"  # good for nothing, whenever it was signed


class Action(StrEnum):
    """What a list does with a post that has a flaw."""

    REJECT = "reject"
    HOLD = "hold"
    TAG = "tag"  # accept it with a mark, while a list migrates


class Flaw(StrEnum):
    """What is wrong with a post, by who decides about it: the list's rule of that name, or nobody for a forgery."""

    UNSIGNED = "unsigned"
    INVALID = "invalid"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    UNBOUND = "unbound"  # nothing signed says that it is for this list
    FORGED = "forged"  # another's key, a revoked key, a replay: never tagged


class PostVerdict(StrEnum):
    """What becomes of a post. ``tempfail`` is for what could not be judged, never for what was."""

    ACCEPT = "accept"
    TAG = "tag"
    HOLD = "hold"
    REJECT = "reject"
    TEMPFAIL = "tempfail"


class Kind(StrEnum):
    """How a post is signed."""

    PGP_MIME = "pgp-mime"  # RFC 3156 section 5
    INLINE = "inline"  # RFC 9580 section 7
    HEADER = "header"  # PGP-Header-Signature by a subscriber's own key


@dataclass(frozen=True, slots=True)
class Rules:
    """What a list asks of its posts.

    ``window_seconds``: a signature older than this is expired. ``on_unbound``: for a post whose signature does not say
    which list it is for (most mail programs sign no header). ``open``: whoever writes may deposit a key and subscribe;
    else only addresses that the list's owner has subscribed may deposit. ``keys_to``: where letters about keys are
    written to, if not to the list's address with ``-keys``.
    """

    on_unsigned: Action = Action.REJECT
    on_invalid: Action = Action.REJECT
    on_expired: Action = Action.HOLD
    on_unknown: Action = Action.REJECT
    on_unbound: Action | None = None
    window_seconds: int = 7 * DAY_SECONDS
    overlap_seconds: int = 14 * DAY_SECONDS
    held_at_most: int = 500
    open: bool = False
    keys_to: str = ""


@dataclass(frozen=True, slots=True)
class MailingList:
    """A list. ``address`` is where posts go, ``list_id`` its List-Id (RFC 2919), both in canonical form.

    ``deliver`` is where an accepted post goes on to: ``lmtp://host:port``, ``smtp://host:port``, or a command line in
    which the words {sender} and {recipient} are filled in; empty where something else passes posts on. ``key_path`` is
    the file of the list's own secret key if its stash is encrypted, else empty; ``sealed_key`` then is the stash's key
    under it.
    """

    number: int
    address: str
    list_id: str
    rules: Rules
    deliver: str
    moderators: tuple[str, ...]
    created_at: UnixSeconds
    key_path: str = ""
    sealed_key: bytes = b""


@dataclass(frozen=True, slots=True)
class StashKey:
    """A subscriber's key as the stash has it. ``fingerprint`` is of the primary key, lower-case hex.

    ``certificate`` is binary and public. ``good_from`` is when it became active; what was signed before does not count
    (a day's grace aside). ``good_until`` ends a retiring key. ``token_nonce`` has the digests of the whole tokens that
    are out, the newest first, with spaces between; ``token_until`` is of the newest, None where no proof is awaited.
    ``approved``: a pending key that was deposited as the successor of another needs that one's signature too, unless a
    moderator has approved: ``approved`` says that one of the two is there, ``proved`` that the key's own signature is.
    An ``additional`` key takes over from none. ``reminded_of`` is the moment of expiry that the subscriber was told of
    ahead, and the second after it once told that it is over. ``names`` are the fingerprints and key IDs, lower-case
    hex, of all its keys that may sign: what a signature names it by.
    """

    number: int
    fingerprint: str
    certificate: bytes
    state: KeyState
    deposited_at: UnixSeconds
    good_from: UnixSeconds | None = None
    good_until: UnixSeconds | None = None
    token_nonce: str = ""
    token_until: UnixSeconds | None = None
    approved: bool = False
    note: str = ""
    reminded_of: UnixSeconds | None = None
    proved: bool = False
    additional: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who may post, under ``address`` or one of ``aliases``, all canonical.

    ``provisional``: subscribed by writing to an open list, and has not proved to hold a key yet.
    """

    number: int
    address: str
    aliases: tuple[str, ...]
    keys: tuple[StashKey, ...]
    subscribed_at: UnixSeconds
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class Binding:
    """Header fields that a signature covers: canonical addresses and texts; None where it does not cover the field.

    ``recipients`` are those of To and Cc together.
    """

    author: str | None = None
    recipients: frozenset[str] | None = None
    list_id: str | None = None
    subject: bytes | None = None


@dataclass(frozen=True, slots=True)
class SignedContent:
    """Something in a post that is signed as a whole.

    ``text`` is what the signature is over, in canonical form; ``signature`` as it stands in the message, armored or
    binary, possibly of several packets. For :attr:`Kind.HEADER`, ``text`` is empty and ``signature`` is the value of
    the field: the header is judged where it stands.
    """

    kind: Kind
    text: bytes
    signature: bytes
    binding: Binding


@dataclass(frozen=True, slots=True)
class Post:
    """A message to a list, read. ``author`` is the canonical address in From, empty where ``problem`` says why.

    ``contents`` is empty for an unsigned post. ``problem`` is one word with hyphens for what cannot be judged at all
    (``several-authors``, ``partly-signed``, ``malformed-mime``, …), empty else. ``message_id`` and ``subject`` as they
    stand. ``automatic``: made by a program (RFC 3834), so never to be answered.
    """

    author: str
    contents: tuple[SignedContent, ...]
    problem: str
    message_id: str
    subject: str
    automatic: bool


@dataclass(frozen=True, slots=True)
class PostFinding:
    """What one signature packet of a post came to.

    ``result`` is ``pass`` or anything else; ``reason`` one word with hyphens, empty for ``pass``. ``fingerprint`` is
    of the primary key if it is known, else what the signature names (maybe a key ID), maybe empty. ``digest``, 16
    octets, tells what was signed (content and time) from everything else that ever is; it does not depend on what a
    signature leaves open to change.
    """

    kind: Kind
    result: Result
    reason: str
    fingerprint: str
    signed_at: UnixSeconds | None
    digest: bytes
    binding: Binding = Binding()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the list host remembers of a signed content, by its digest: on which list, and in which delivery.

    A digest may have been seen on several lists: a post may be meant for more than one. Not ``passed``: it was let in,
    and as far as is known the next hop has not taken it yet.
    """

    list_number: int
    delivery: bytes
    seen_at: UnixSeconds
    passed: bool = True


@dataclass(frozen=True, slots=True)
class PostDecision:
    """What becomes of a post and why. ``reason`` is one word with hyphens; ``flaw`` is None for an accepted post.

    ``seen_fingerprint`` is that of the signature judged; ``expected`` are the fingerprints that would have done.
    ``digests`` with the time until which they are to be remembered, for an accepted post.
    """

    verdict: PostVerdict
    reason: str
    flaw: Flaw | None = None
    author: str = ""
    seen_fingerprint: str = ""
    expected: tuple[str, ...] = ()
    digests: tuple[tuple[bytes, UnixSeconds], ...] = ()
