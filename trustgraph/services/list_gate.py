"""The gate of a list: a post in, a decision out, whatever happens.

What cannot be judged is put off, never let in: any exception here is a ``tempfail``. A post that is let in is on record
before that is said, so that its copy finds it there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import TypeAlias

from trustgraph.errors import BadInput
from trustgraph.headersig.message import split_message, with_network_line_ends
from trustgraph.mailinglist.keystate import find_key, has_counted
from trustgraph.mailinglist.model import (
    Kind,
    Post,
    PostDecision,
    PostFinding,
    PostVerdict,
    Seen,
    StashKey,
    Subscriber,
)
from trustgraph.mailinglist.reading import read_post
from trustgraph.mailinglist.reasons import BROKEN, QUEUE_FULL, TOO_LARGE, UNREADABLE
from trustgraph.mailinglist.rules import decide
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.posts import judge_post, subscriber_certificate
from trustgraph.services.list_stash import Stash
from trustgraph.store.list_held import HeldPost, hold
from trustgraph.store.list_posts import forget, remember, settle, where_seen

Clock: TypeAlias = Callable[[], UnixSeconds]
_Seens: TypeAlias = Mapping[bytes, Sequence[Seen]]

_DELIVERY_OCTETS = 16
_NO_POST = Post("", (), UNREADABLE, "", "", automatic=True)

#: Parsed certificates are kept for so long and so many: what is read of one depends, a little, on when it is read.
_PARSED_SECONDS = 600
_PARSED_AT_MOST = 2_000

_LET_IN = (PostVerdict.ACCEPT, PostVerdict.TAG)


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a post. ``held_name`` is what a held one is called by, ``newly_held`` false for a retry of it.

    ``trouble`` says, for the operator alone, why a post could not be judged.
    """

    decision: PostDecision
    post: Post
    findings: tuple[PostFinding, ...]
    held_name: str = ""
    newly_held: bool = False
    trouble: str = ""


class PostGate:
    """The gate of one list, for the life of a process and for any of its threads. ``clock`` is asked once a post."""

    def __init__(self, stash: Stash, clock: Clock | None = None) -> None:
        self.stash = stash
        self._clock = clock or (lambda: UnixSeconds(int(time.time())))
        self._parsed: dict[bytes, tuple[UnixSeconds, HostCertificate]] = {}

    def check(
        self,
        octets: bytes,
        *,
        delivery: bytes | None = None,
        client: str = "",
        sender: str = "",
        record: bool = True,
        keep: bool = True,
        passed: bool = True,
    ) -> Checked:
        """Judge a post, line ends CRLF or LF, and act on it: what is let in is remembered, what is held is kept.

        ``delivery`` is the mail system's name for this delivery: the same name with the same octets is a retry,
        however late. By default the octets and the client's address are the name, and a retry has to come within
        ``lists.retry`` of the first. ``sender`` is the envelope's. Without ``record`` nothing is remembered or kept,
        without ``keep`` what is held is somebody else's to keep. Without ``passed`` the caller passes on what is let in
        and says so by :meth:`settle`; until then another delivery of it is no replay, and waits. Never raises: what
        cannot be judged is a ``tempfail``.
        """
        try:
            name = named_delivery(octets, client) if delivery is None else _named_by_mta(delivery, octets)
            patience = self.stash.settings.lists.retry_seconds if delivery is None else math.inf
            return self._check(octets, name, patience, sender, record, keep, passed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the post has not been judged, so it must come again
            decision = PostDecision(PostVerdict.TEMPFAIL, BROKEN)
            return Checked(decision, _NO_POST, (), trouble=f"{type(error).__name__}: {error}")

    def settle(self, checked: Checked, octets: bytes, delivery: bytes | None, client: str = "") -> None:
        """The next hop has taken a post that was let in. Raises as the store does."""
        name = named_delivery(octets, client) if delivery is None else _named_by_mta(delivery, octets)
        settle(self.stash.store, self.stash.list.number, [digest for digest, _ in checked.decision.digests], name)

    def forget(self, checked: Checked, octets: bytes, delivery: bytes | None, client: str = "") -> None:
        """A post that was let in went no further, for good: sent again it is no replay. Raises as the store does."""
        name = named_delivery(octets, client) if delivery is None else _named_by_mta(delivery, octets)
        forget(self.stash.store, self.stash.list.number, [digest for digest, _ in checked.decision.digests], name)

    def findings_of(self, octets: bytes, post: Post, now: UnixSeconds) -> list[PostFinding]:
        """What each signature comes to. Raises what the store raises."""
        return self._findings(octets, post, self._author_of(post), now)

    def _check(
        self,
        octets: bytes,
        delivery: bytes,
        retry_seconds: float,
        sender: str,
        record: bool,
        keep: bool,
        passed: bool,
    ) -> Checked:
        now = self._clock()
        stash = self.stash
        post = self._read(octets)
        author = self._author_of(post)
        findings = self._findings(octets, post, author, now)
        holders = self._holders(findings, author)
        rules = partial(decide, stash.list, post, findings, author, holders)
        judge = partial(rules, delivery=delivery, retry_seconds=retry_seconds, now=now)
        decision = self._settled(judge, [one.digest for one in findings], delivery, record, passed, now)
        held, is_new = "", False
        if decision.verdict is PostVerdict.HOLD and record and keep:
            waiting = _held_post(decision, post, len(octets), sender, now)
            held, is_new = hold(stash.keep, waiting, octets, delivery, stash.list.rules.held_at_most)
            if not held:
                decision = replace(decision, verdict=PostVerdict.REJECT, reason=QUEUE_FULL)
        return Checked(decision, post, tuple(findings), held, is_new)

    def _settled(
        self,
        judge: Callable[..., PostDecision],
        digests: Sequence[bytes],
        delivery: bytes,
        record: bool,
        passed: bool,
        now: UnixSeconds,
    ) -> PostDecision:
        """The decision in the light of what was let in before; one that lets in is on record."""
        store = self.stash.store
        decision = judge(seen={})
        if not digests:
            return decision
        if record and decision.verdict in _LET_IN:
            decisions: list[PostDecision] = []

            def still(seen: _Seens) -> bool:
                decisions.append(judge(seen=seen))
                return decisions[-1].verdict in _LET_IN

            remember(store, self.stash.list.number, decision.digests, delivery, now, still, passed=passed)
            return decisions[-1]
        with store.reading() as connection:
            return judge(seen=where_seen(connection, digests))

    def _read(self, octets: bytes) -> Post:
        at_most = self.stash.settings.lists.max_post_bytes
        try:
            if len(octets) <= at_most:
                return read_post(octets)
            header = with_network_line_ends(octets[:at_most]).partition(b"\r\n\r\n")[0]
            return replace(read_post(header + b"\r\n\r\n"), contents=(), problem=TOO_LARGE)
        except BadInput:
            return _NO_POST

    def _author_of(self, post: Post) -> Subscriber | None:
        return self.stash.subscriber(post.author) if post.author else None

    def _findings(self, octets: bytes, post: Post, author: Subscriber | None, now: UnixSeconds) -> list[PostFinding]:
        fields, body = split_message(with_network_line_ends(octets)) if _needs_header(post) else ([], b"")
        return judge_post(post, fields, body, lambda name: self._certificates(name, author, now), now)

    def _certificates(self, name: str, author: Subscriber | None, now: UnixSeconds) -> list[HostCertificate]:
        """Those that a signature may mean: the author's own copies, and only where he has none those of others.

        Who deposits an older copy of another's certificate must not take back what the newer one says of it.
        """
        own = [key for key in author.keys if name == key.fingerprint or name in key.names] if author else []
        return [self._parse(key, now) for key in own or self.stash.by_key(name)]

    def _parse(self, key: StashKey, now: UnixSeconds) -> HostCertificate:
        known = self._parsed.get(key.certificate)
        if known and 0 <= now - known[0] < _PARSED_SECONDS:
            return known[1]
        if len(self._parsed) >= _PARSED_AT_MOST:
            self._parsed.clear()
        parsed = subscriber_certificate(key.certificate, now)
        self._parsed[key.certificate] = now, parsed
        return parsed

    def _holders(self, findings: Sequence[PostFinding], author: Subscriber | None) -> dict[str, list[str]]:
        """Whose keys these are, where it matters: those that the author does not have, or has not proved to hold.

        A deposit proves nothing, or anybody could have another's posts refused by handing in his key first.
        """
        asked = {one.fingerprint for one in findings if one.fingerprint and not has_proved(author, one.fingerprint)}
        return {
            name: [holder.address for holder in self.stash.holders(name) if has_proved(holder, name)]
            for name in sorted(asked)
        }


def named_delivery(octets: bytes, client: str) -> bytes:
    """A name for a delivery of which nothing but its octets and its client are known: 16 octets.

    A mail host that tries again sends the same octets, trace fields and all; whoever has a copy of the post cannot.
    """
    return sha256(client.encode() + b"\0" + octets).digest()[:_DELIVERY_OCTETS]


def _named_by_mta(delivery: bytes, octets: bytes) -> bytes:
    """Mail systems use their names again after a while, so the octets are a part of it."""
    return sha256(b"delivery\0" + sha256(delivery).digest() + octets).digest()[:_DELIVERY_OCTETS]


def _needs_header(post: Post) -> bool:
    return any(content.kind is Kind.HEADER for content in post.contents)


def has_proved(subscriber: Subscriber | None, fingerprint: str) -> bool:
    """Whether the key is his and somebody knows that it is: he has signed with it, or a moderator has vouched."""
    key = find_key(subscriber.keys, fingerprint) if subscriber else None
    return key is not None and has_counted(key)


def _held_post(decision: PostDecision, post: Post, size: int, sender: str, now: UnixSeconds) -> HeldPost:
    return HeldPost(
        name="",
        held_at=now,
        size=size,
        reason=decision.reason,
        author=decision.author,
        subject=post.subject,
        message_id=post.message_id,
        seen_fingerprint=decision.seen_fingerprint,
        expected=decision.expected,
        sender=sender,
        automatic=post.automatic,
    )
