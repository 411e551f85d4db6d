"""What becomes of a post. The same facts always give the same decision, and what is not plainly right is refused.

Everything that speaks against a post is gathered, and the strictest action that any of it calls for is taken: nothing
that a list is lenient about can hide something that it is not. Only a post that nothing speaks against is accepted, and
a signature says nothing for it unless it passes, its key is the author's and was good when it was made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from trustgraph.mailinglist.keystate import MAX_SKEW_SECONDS, find_key, has_counted, may_sign, why_not
from trustgraph.mailinglist.model import (
    DAY_SECONDS,
    Action,
    Binding,
    Flaw,
    Kind,
    MailingList,
    Post,
    PostDecision,
    PostFinding,
    PostVerdict,
    Rules,
    Seen,
    StashKey,
    Subscriber,
)
from trustgraph.mailinglist.reasons import (
    ACCEPTED,
    NOT_SUBSCRIBED,
    ON_ITS_WAY,
    REASONS,
    TOO_LARGE,
    TOO_LONG_AGO,
    UNREADABLE,
)
from trustgraph.mailinglist.subject import same_subject
from trustgraph.model import Result, UnixSeconds

#: What was accepted is remembered for so long beyond the window.
REMEMBERED_SECONDS = 366 * DAY_SECONDS

#: So long after a post was let in another delivery of it waits for that one to get on.
ON_ITS_WAY_SECONDS = 3_600

_DIGEST_OCTETS = 16

_STRICTNESS = {Action.TAG: 0, Action.HOLD: 1, Action.REJECT: 2}
_MOST_TELLING = (Flaw.FORGED, Flaw.INVALID, Flaw.UNKNOWN, Flaw.EXPIRED, Flaw.UNBOUND, Flaw.UNSIGNED)
_VERDICTS = {Action.TAG: PostVerdict.TAG, Action.HOLD: PostVerdict.HOLD, Action.REJECT: PostVerdict.REJECT}


class _Objection(NamedTuple):
    flaw: Flaw
    reason: str
    fingerprint: str = ""


class _Past(NamedTuple):
    """What was let in before, as one delivery at one time has to see it."""

    list_number: int
    seen: Mapping[bytes, Sequence[Seen]]
    delivery: bytes
    retry_seconds: float
    now: UnixSeconds

    def of(self, finding: PostFinding, *, here: bool = True) -> Iterator[Seen]:
        """Where the like was let in on this list, or on others."""
        return (one for one in self.seen.get(finding.digest, ()) if (one.list_number == self.list_number) is here)

    def is_retry(self, before: Seen) -> bool:
        """Whether it was let in in this very delivery, whose client has not heard of it."""
        return before.delivery == self.delivery and self.now - before.seen_at <= self.retry_seconds

    def first_tried(self, finding: PostFinding) -> UnixSeconds:
        """A retry is as old as its first try was."""
        return min((one.seen_at for one in self.of(finding) if self.is_retry(one)), default=self.now)

    def is_on_its_way(self, finding: PostFinding) -> bool:
        """Whether it was let in in another delivery that may yet get on; who is given up takes its turn from that."""
        return any(
            not before.passed and before.delivery != self.delivery and self.now - before.seen_at <= ON_ITS_WAY_SECONDS
            for before in self.of(finding)
        )


def decide(
    list_: MailingList,
    post: Post,
    findings: Sequence[PostFinding],
    subscriber: Subscriber | None,
    holders: Mapping[str, Collection[str]],
    seen: Mapping[bytes, Sequence[Seen]],
    delivery: bytes,
    retry_seconds: float,
    now: UnixSeconds,
) -> PostDecision:
    """The decision on one post.

    ``subscriber`` is whose address ``post.author`` is, None if nobody's. ``holders`` has, by fingerprint, the addresses
    of all subscribers who have proved to hold that key, revoked or not. ``seen`` has, by digest, where it was accepted
    before. ``delivery`` tells this delivery from others: what was seen in the same one, at most ``retry_seconds`` ago,
    is a retry and no replay, and no older than it was then.
    """
    if subscriber and subscriber.provisional:
        subscriber = None
    findings = _of_the_author(findings, subscriber)
    past = _Past(list_.number, seen, delivery, retry_seconds, now)
    objections = [
        *_to_post(post, findings, subscriber),
        *(each for finding in findings for each in _to_finding(finding, list_, post, subscriber, holders, past)),
        *_to_reuse(findings, list_, past),
    ]
    expected = () if subscriber is None else tuple(k.fingerprint for k in subscriber.keys if may_sign(k, now, now))
    digests = to_remember(findings, list_.rules, now)
    if post.problem == TOO_LARGE:  # whoever reads no further has not got it whole: there is nothing to hold or to tag
        return PostDecision(PostVerdict.REJECT, TOO_LARGE, Flaw.INVALID, post.author, "", expected)
    if objections:
        worst = min(objections, key=lambda one: _order(one.flaw, list_.rules))
        verdict = _VERDICTS[action_on(worst.flaw, list_.rules)]
        kept = digests if verdict is PostVerdict.TAG else ()
        return PostDecision(verdict, worst.reason, worst.flaw, post.author, worst.fingerprint, expected, kept)
    if any(past.is_on_its_way(finding) for finding in findings):
        return PostDecision(PostVerdict.TEMPFAIL, ON_ITS_WAY, None, post.author, findings[0].fingerprint, expected)
    return PostDecision(PostVerdict.ACCEPT, ACCEPTED, None, post.author, findings[0].fingerprint, expected, digests)


def action_on(flaw: Flaw, rules: Rules) -> Action:
    """What the list does about a flaw. A forgery is never let in, and held where the list holds what is invalid."""
    if flaw is Flaw.FORGED:
        return Action.HOLD if rules.on_invalid is Action.HOLD else Action.REJECT
    chosen = {
        Flaw.UNSIGNED: rules.on_unsigned,
        Flaw.EXPIRED: rules.on_expired,
        Flaw.UNKNOWN: rules.on_unknown,
        Flaw.UNBOUND: rules.on_unbound or Action.REJECT,
    }
    return chosen.get(flaw, rules.on_invalid)


def _order(flaw: Flaw, rules: Rules) -> tuple[int, int]:
    return -_STRICTNESS[action_on(flaw, rules)], _MOST_TELLING.index(flaw)


def to_remember(
    findings: Sequence[PostFinding], rules: Rules, now: UnixSeconds, *, unverified: bool = False
) -> tuple[tuple[bytes, UnixSeconds], ...]:
    """The digests of a post that is let in, each with the end of the time for which it must not come again.

    That is long after the window: a list may have a moderator look at what is too old, or open its window further.

    Only of signatures that hold: who spoils one bit of a signature must not use up the post that it is taken from. With
    ``unverified`` of all of them, for a post that a moderator has read and let in.
    """
    later = rules.window_seconds + MAX_SKEW_SECONDS + REMEMBERED_SECONDS
    ends = {
        one.digest: UnixSeconds(max(one.signed_at or now, now) + later)
        for one in findings
        if (unverified or one.result is Result.PASS) and len(one.digest) == _DIGEST_OCTETS
    }
    return tuple(ends.items())


def is_as_signed(finding: PostFinding, list_: MailingList, post: Post) -> bool:
    """Whether the header that a signature covers, as far as it does, is the post's, and names this list."""
    return not any(_against_binding(finding.binding, list_, post))


def _of_the_author(findings: Sequence[PostFinding], subscriber: Subscriber | None) -> list[PostFinding]:
    """Without the header signatures of others where the author's own holds.

    A host that signs one subscriber's mail for him may relay that of others, and signs that as every host does.
    """
    own = {key.fingerprint for key in subscriber.keys if has_counted(key)} if subscriber else set()
    if not any(one.result is Result.PASS and one.fingerprint in own for one in findings):
        return list(findings)
    return [one for one in findings if one.kind is not Kind.HEADER or one.fingerprint in own]


def _to_post(post: Post, findings: Sequence[PostFinding], subscriber: Subscriber | None) -> Iterator[_Objection]:
    if post.problem:
        yield _Objection(Flaw.INVALID, post.problem if REASONS.get(post.problem) is Flaw.INVALID else UNREADABLE)
    # An unsigned post is only that, whoever wrote it: while a list migrates, most of its members are not here yet.
    if findings and (subscriber is None or post.author not in (subscriber.address, *subscriber.aliases)):
        yield _Objection(Flaw.UNKNOWN, NOT_SUBSCRIBED)
    # A header signature by a key that the list does not know is the business of the host, not of the list.
    judged = {one.kind for one in findings}
    if any(content.kind is not Kind.HEADER and content.kind not in judged for content in post.contents):
        yield _Objection(Flaw.INVALID, UNREADABLE)
    elif not findings and not post.problem:
        yield _Objection(Flaw.UNSIGNED, "unsigned")


def _to_finding(
    finding: PostFinding,
    list_: MailingList,
    post: Post,
    subscriber: Subscriber | None,
    holders: Mapping[str, Collection[str]],
    past: _Past,
) -> Iterator[_Objection]:
    """What speaks against one signature on its own."""
    flaws: list[str] = []
    if finding.result is not Result.PASS:
        flaws.append(finding.reason)
    elif finding.signed_at is None or len(finding.digest) != _DIGEST_OCTETS or not finding.fingerprint:
        flaws.append(UNREADABLE)
    else:
        flaws += _against_key(finding.fingerprint, finding.signed_at, subscriber, holders, past.now)
        if finding.signed_at < past.first_tried(finding) - list_.rules.window_seconds:
            flaws.append(TOO_LONG_AGO)
        flaws += _against_binding(finding.binding, list_, post)
    for reason in flaws:
        flaw = REASONS.get(reason)
        yield _Objection(flaw or Flaw.INVALID, reason if flaw else UNREADABLE, finding.fingerprint)


def _against_key(
    fingerprint: str,
    signed_at: UnixSeconds,
    subscriber: Subscriber | None,
    holders: Mapping[str, Collection[str]],
    now: UnixSeconds,
) -> Iterator[str]:
    own = subscriber and subscriber.address
    others = any(address != own for address in holders.get(fingerprint, ()))
    key: StashKey | None = find_key(subscriber.keys, fingerprint) if subscriber else None
    if key is None:
        yield "another-subscribers-key" if others else "unknown-key"
    elif reason := why_not(key, signed_at, now):
        yield reason
        # Anybody can deposit another's certificate; until he proves to hold it, it stays the other's.
        if others and reason == "key-pending":
            yield "another-subscribers-key"


def _against_binding(binding: Binding, list_: MailingList, post: Post) -> Iterator[str]:
    if binding.author is not None and binding.author != post.author:
        yield "author-not-as-signed"
    if binding.subject is not None and not same_subject(post.subject, binding.subject):
        yield "subject-not-as-signed"
    if _is_for(binding, list_) is False:
        yield "for-another-list"


def _is_for(binding: Binding, list_: MailingList) -> bool | None:
    """Whether a signature says that the post is for this list; None if it says nothing of where it goes."""
    if binding.list_id:
        return binding.list_id == list_.list_id
    if binding.recipients is not None:
        return list_.address in binding.recipients
    return None


def _to_reuse(findings: Sequence[PostFinding], list_: MailingList, past: _Past) -> Iterator[_Objection]:
    """What was meant for another place or time. Of all signatures together, one that names the list is enough."""
    passing = [one for one in findings if one.result is Result.PASS]
    bound = any(_is_for(one.binding, list_) for one in passing)
    for finding in passing:
        if not bound and any(past.of(finding, here=False)):
            yield _Objection(Flaw.FORGED, "replayed-from-another-list", finding.fingerprint)
        if any(before.passed and not past.is_retry(before) for before in past.of(finding)):
            yield _Objection(Flaw.FORGED, "replayed", finding.fingerprint)
    if passing and not bound and list_.rules.on_unbound is not None:
        yield _Objection(Flaw.UNBOUND, "not-bound-to-the-list", passing[0].fingerprint)
