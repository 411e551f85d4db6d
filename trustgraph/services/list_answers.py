"""Letters about posts: to whoever wrote one that was not let in, if he is a subscriber, and to moderators.

From is anybody's to write, so an answer goes to addresses of subscribers only, never to what a program sent, and few a
day: forging somebody's address causes him no flood, and nobody else anything at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage

from trustgraph.errors import BadInput, ServiceUnavailable
from trustgraph.mailinglist.letter import compose
from trustgraph.mailinglist.model import PostVerdict
from trustgraph.mailinglist.wording import answer_text, moderators_text
from trustgraph.model import UnixSeconds
from trustgraph.services.list_gate import Checked
from trustgraph.services.list_letters import new_message_id, send
from trustgraph.services.list_stash import Stash
from trustgraph.store.list_held import HeldPost
from trustgraph.store.list_told import may_say, take_back

#: Letters a day: about one reason to one author, to one author, of a list in all; to moderators of a list.
FOR_ONE_REASON, TO_ONE_AUTHOR, OF_ONE_LIST, TO_MODERATORS = 1, 5, 500, 20

_DONE = {PostVerdict.REJECT: "was refused", PostVerdict.HOLD: "waits for a moderator"}


def follow_up(stash: Stash, checked: Checked, now: UnixSeconds) -> int:
    """Write the letters that a decision calls for; returns how many. A retry of a held post calls for none.

    Raises :class:`ServiceUnavailable` when the mail system does not take one; what was decided stays so.
    """
    decision, post = checked.decision, checked.post
    if decision.verdict not in _DONE or (decision.verdict is PostVerdict.HOLD and not checked.newly_held):
        return 0
    letters = 0
    if checked.held_name:
        letters += _tell_moderators(stash, checked, now)
    return letters + answer(
        stash,
        decision.author,
        decision.reason,
        now,
        done=_DONE[decision.verdict],
        automatic=post.automatic,
        message_id=post.message_id,
        seen_fingerprint=decision.seen_fingerprint,
        expected=decision.expected,
    )


def answer_rejected(stash: Stash, post: HeldPost, now: UnixSeconds) -> int:
    """Tell the author of a held post that a moderator has refused it."""
    return answer(
        stash,
        post.author,
        post.reason,
        now,
        done="was refused by a moderator",
        automatic=post.automatic,
        message_id=post.message_id,
        seen_fingerprint=post.seen_fingerprint,
        expected=post.expected,
    )


def answer(
    stash: Stash,
    author: str,
    reason: str,
    now: UnixSeconds,
    *,
    done: str,
    automatic: bool,
    message_id: str,
    seen_fingerprint: str,
    expected: Sequence[str],
) -> int:
    """One letter to the author of a post, or none. Raises :class:`ServiceUnavailable` when it cannot be sent."""
    subscriber = stash.subscriber(author) if author else None
    if automatic or subscriber is None:
        return 0
    text = answer_text(stash.list, reason, message_id, seen_fingerprint, expected, done=done)
    subject = f"Your post to {stash.list.address} {done}"
    try:
        letter = compose(stash.list, author, subject, text, now, new_message_id(stash.list), message_id)
    except BadInput:  # an address that no letter can be written to
        return 0
    who = f"answer {subscriber.address}"
    limits = [(f"{who} {done} {reason}", FOR_ONE_REASON), (who, TO_ONE_AUTHOR), ("answer", OF_ONE_LIST)]
    return _send_within(stash, [letter], limits, now)


def _tell_moderators(stash: Stash, checked: Checked, now: UnixSeconds) -> int:
    decision, post, list_ = checked.decision, checked.post, stash.list
    facts = [
        ("Post", checked.held_name),
        ("From", decision.author or "unreadable"),
        ("Subject", post.subject[:200]),
        ("Reason", decision.reason),
        ("Signed by", decision.seen_fingerprint or "-"),
        ("Expected", ", ".join(decision.expected) or "-"),
    ]
    text = moderators_text(list_, checked.held_name, decision.reason, facts, now, TO_MODERATORS)
    subject = f"A post to {list_.address} waits for you: {decision.reason}"
    letters = []
    for moderator in list_.moderators:
        with suppress(BadInput):  # an address that no letter can be written to
            message_id = new_message_id(list_)
            letters.append(compose(list_, moderator, subject, text, now, message_id, automatic="auto-generated"))
    return _send_within(stash, letters, [("moderators", TO_MODERATORS)], now)


def _send_within(
    stash: Stash, letters: Sequence[EmailMessage], limits: Sequence[tuple[str, int]], now: UnixSeconds
) -> int:
    """Send them all, if their like has not been sent too often today; what could not be sent does not count."""
    if not letters or not may_say(stash.keep, limits, now):
        return 0
    try:
        for letter in letters:
            send(stash.settings, letter)
    except ServiceUnavailable:
        take_back(stash.keep, [what for what, _ in limits], now)
        raise
    return len(letters)
