"""What reasons mean, for the people who get to read of them: posters, moderators, whoever is told 550."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from trustgraph.mailinglist.letter import MESSAGE_ID, keys_address
from trustgraph.mailinglist.model import Flaw, MailingList, Rules
from trustgraph.mailinglist.reasons import REASONS
from trustgraph.mailinglist.rules import action_on
from trustgraph.model import UnixSeconds, to_rfc3339

#: By reason, the end of a sentence that begins with "because".
MEANINGS: dict[str, str] = {
    "accepted": "it is signed by its author",
    "broken": "it could not be judged",
    "on-its-way": "it was let in a moment ago, and has not got on yet",
    "hold-queue-full": "too many posts wait for a moderator",
    "unsigned": "it is not signed",
    "too-large": "it is larger than this host takes posts",
    "no-author": "it has no From field",
    "several-authors": "it has more than one author",
    "malformed-author": "its From field cannot be read with certainty",
    "misleading-name": "the name in its From field is another address",
    "other-sender": "its Sender field names somebody else",
    "repeated-field": "a header field occurs twice that may occur once",
    "malformed-header": "its header cannot be read with certainty",
    "odd-line-ends": "it has line ends that programs read differently",
    "malformed-mime": "its MIME structure cannot be read with certainty",
    "malformed-clear-text": "its clear-signed text cannot be read with certainty",
    "odd-charset": "its text is in a charset that clear signatures do not protect",
    "partly-signed": "a part of it is not covered by the signature",
    "encrypted": "it is encrypted, and nobody here can read it",
    "unreadable": "it cannot be read with certainty",
    "malformed-signature": "its signature cannot be read, or is of a kind that is not accepted",
    "signature-does-not-verify": "it was changed after it was signed",
    "body-altered": "its body was changed after it was signed",
    "body-not-signed": "its signature covers the header alone",
    "too-little-signed": "its signature leaves out header fields that it has to cover",
    "not-a-signing-key": "the key that signed it may not sign",
    "weak-key": "the key that signed it is too weak, or of a kind that is not accepted",
    "weak-hash": "its signature uses a hash that is too weak",
    "times-differ": "its signature gives two different times",
    "lifetime-out-of-bounds": "its signature claims to be good for too long",
    "other-key-named": "its signature names another key than the one that made it",
    "signed-in-the-future": "it is signed in the future: a clock is wrong",
    "signature-expired": "its signature has expired",
    "key-expired": "its key had expired when it was signed",
    "key-retired": "another key had taken over when it was signed",
    "signed-too-long-ago": "it was signed too long ago",
    "not-a-subscriber": "its author is not subscribed",
    "unknown-key": "the key that signed it is not known on this list",
    "key-pending": "nobody has proved yet to hold the key that signed it",
    "signed-before-key": "it was signed before its key counted on this list",
    "not-bound-to-the-list": "its signature does not say that it is for this list",
    "key-revoked": "the key that signed it is revoked",
    "another-subscribers-key": "the key that signed it is another subscriber's",
    "author-not-as-signed": "its From field is not the one that was signed",
    "subject-not-as-signed": "its Subject field is not the one that was signed",
    "for-another-list": "its signature says that it is for somebody else",
    "replayed": "it was posted here before",
    "replayed-from-another-list": "it was posted to another list, and its signature does not say that it is for both",
}

_RULE_NAMES = {
    Flaw.UNSIGNED: "on_unsigned",
    Flaw.INVALID: "on_invalid",
    Flaw.EXPIRED: "on_expired",
    Flaw.UNKNOWN: "on_unknown",
    Flaw.UNBOUND: "on_unbound",
}


def rule_of(reason: str, rules: Rules) -> str:
    """The list's rule that decided, as its owner would write it; forgeries are refused by all lists."""
    flaw = REASONS.get(reason)
    if flaw is None:
        return "held_at_most" if reason == "hold-queue-full" else ""
    return f"{_RULE_NAMES[flaw]} = {action_on(flaw, rules)}" if flaw in _RULE_NAMES else "no forgeries, on all lists"


def answer_text(
    list_: MailingList, reason: str, message_id: str, seen_fingerprint: str, expected: Sequence[str], *, done: str
) -> str:
    """What the poster is told; ``done`` is the end of "Your post ". Of the post itself nothing is quoted but its name.

    Whoever forges an address must not have anything of his own delivered to it.
    """
    facts = [
        ("Post", message_id if MESSAGE_ID.fullmatch(message_id) else "without a Message-ID that can be shown"),
        ("Reason", reason),
        ("Rule", rule_of(reason, list_.rules) or "none"),
        ("Signed by", seen_fingerprint or "no key that could be read"),
        ("Expected", f"\n{13 * ' '}".join(expected) or "no key of yours counts on this list yet"),
    ]
    shown = "\n".join(f"  {name + ':':<11}{value}" for name, value in facts)
    why = textwrap.fill(f"Your post to {list_.address} {done}, because {MEANINGS.get(reason, reason)}.", 72)
    return f"""{why}

{shown}

{_remedy(list_, reason)}

If it was not you who wrote it, somebody has used your address, and this
list has kept it from its readers; you need not do anything.
"""


def moderators_text(
    list_: MailingList,
    name: str,
    reason: str,
    facts: Sequence[tuple[str, str]],
    held_at: UnixSeconds,
    letters_a_day: int,
) -> str:
    """What moderators are told of a post that waits for them."""
    lines = "\n".join(f"  {what + ':':<11}{value}" for what, value in facts)
    return f"""A post to {list_.address} waits for you since {to_rfc3339(held_at)},
because {MEANINGS.get(reason, reason)}.

{lines}

On the list's host, show it, let it in, or refuse it by one of:

  trustgraph list held {list_.address} {name}
  trustgraph list approve {list_.address} {name}
  trustgraph list reject {list_.address} {name}

At most {letters_a_day} such letters come a day; `trustgraph list held` shows all.
"""


def _remedy(list_: MailingList, reason: str) -> str:
    flaw = REASONS.get(reason)
    deposit = f"""To deposit a key, send it to {keys_address(list_)},
with the subject Key, attached or in the text;
`gpg --armor --export FINGERPRINT` prints it. The answer says how to go on."""
    if flaw is Flaw.UNSIGNED:
        return f"Sign your posts with a key that is deposited here.\n\n{deposit}"
    if reason in ("replayed", "replayed-from-another-list", "for-another-list", "not-bound-to-the-list"):
        return """Write the post anew and sign it; a program that signs the header as well
("protected headers") says in the signature which lists it is for."""
    if flaw in (Flaw.UNKNOWN, Flaw.EXPIRED, Flaw.FORGED) and reason != "signed-too-long-ago":
        return f"Sign your posts with a key of yours that is deposited here and in force.\n\n{deposit}"
    return f"Send it again, signed as a whole, or ask the list's owner: {', '.join(list_.moderators) or list_.address}."
