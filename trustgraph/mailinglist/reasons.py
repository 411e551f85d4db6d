"""Every reason that a decision about a post can have, one word each; docs/lists.md has the same table."""

from __future__ import annotations

from trustgraph.mailinglist.model import Flaw

ACCEPTED, BROKEN, QUEUE_FULL, TOO_LARGE = "accepted", "broken", "hold-queue-full", "too-large"
ON_ITS_WAY, TOO_LONG_AGO = "on-its-way", "signed-too-long-ago"
NOT_SUBSCRIBED, UNREADABLE = "not-a-subscriber", "unreadable"

#: Every reason there is, and what kind of flaw it is; None for what is no flaw of the post.
REASONS: dict[str, Flaw | None] = {
    ACCEPTED: None,
    BROKEN: None,
    ON_ITS_WAY: None,
    QUEUE_FULL: None,
    "unsigned": Flaw.UNSIGNED,
    TOO_LARGE: Flaw.INVALID,
    "no-author": Flaw.INVALID,
    "several-authors": Flaw.INVALID,
    "malformed-author": Flaw.INVALID,
    "misleading-name": Flaw.INVALID,
    "other-sender": Flaw.INVALID,
    "repeated-field": Flaw.INVALID,
    "malformed-header": Flaw.INVALID,
    "odd-line-ends": Flaw.INVALID,
    "malformed-mime": Flaw.INVALID,
    "malformed-clear-text": Flaw.INVALID,
    "odd-charset": Flaw.INVALID,
    "partly-signed": Flaw.INVALID,
    "encrypted": Flaw.INVALID,
    UNREADABLE: Flaw.INVALID,
    "malformed-signature": Flaw.INVALID,
    "signature-does-not-verify": Flaw.INVALID,
    "body-altered": Flaw.INVALID,
    "body-not-signed": Flaw.INVALID,
    "too-little-signed": Flaw.INVALID,
    "not-a-signing-key": Flaw.INVALID,
    "weak-key": Flaw.INVALID,
    "weak-hash": Flaw.INVALID,
    "times-differ": Flaw.INVALID,
    "lifetime-out-of-bounds": Flaw.INVALID,
    "other-key-named": Flaw.INVALID,
    "signed-in-the-future": Flaw.INVALID,
    "signature-expired": Flaw.EXPIRED,
    "key-expired": Flaw.EXPIRED,
    "key-retired": Flaw.EXPIRED,
    TOO_LONG_AGO: Flaw.EXPIRED,
    NOT_SUBSCRIBED: Flaw.UNKNOWN,
    "unknown-key": Flaw.UNKNOWN,
    "key-pending": Flaw.UNKNOWN,
    "signed-before-key": Flaw.UNKNOWN,
    "not-bound-to-the-list": Flaw.UNBOUND,
    "key-revoked": Flaw.FORGED,
    "another-subscribers-key": Flaw.FORGED,
    "author-not-as-signed": Flaw.FORGED,
    "subject-not-as-signed": Flaw.FORGED,
    "for-another-list": Flaw.FORGED,
    "replayed": Flaw.FORGED,
    "replayed-from-another-list": Flaw.FORGED,
}
