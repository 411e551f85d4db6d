"""The table of decisions, row by row, and what holds for all posts there can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.mailinglist.facts import (
    ANNA,
    ANNA_SUBSCRIBED,
    ANNAS_ALIAS,
    ANNAS_KEY,
    ANNAS_LOST,
    ANNAS_NEW,
    ANNAS_OLD,
    ANOTHER_DELIVERY,
    BORIS,
    BORISS_KEY,
    DAY,
    DELIVERY,
    HOLDERS,
    HOUR,
    LIST,
    NOW,
    RETRY_SECONDS,
    STRANGE_KEY,
    failed,
    passed,
    post,
    ruled,
)
from trustgraph.mailinglist.model import (
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
    Subscriber,
)
from trustgraph.mailinglist.reasons import REASONS
from trustgraph.mailinglist.rules import REMEMBERED_SECONDS, action_on, decide
from trustgraph.model import Result, UnixSeconds

WEEK = 7 * DAY
TO_US = Binding(author=ANNA, recipients=frozenset({LIST.address, "carl@example.org"}), subject=b"Swifts")
BY_HEADER = passed(kind=Kind.HEADER, digest=b"2" * 16, binding=TO_US)
HERE, ELSEWHERE = LIST.number, LIST.number + 1


def judged(
    *findings: PostFinding,
    of: Post | None = None,
    on: MailingList = LIST,
    by: Subscriber | None = ANNA_SUBSCRIBED,
    holders: Mapping[str, Sequence[str]] = HOLDERS,
    seen: Sequence[Seen] = (),
    delivery: bytes = DELIVERY,
) -> PostDecision:
    where = {finding.digest: seen for finding in findings}
    return decide(on, of or post(), findings, by, holders, where, delivery, RETRY_SECONDS, NOW)


def told(decision: PostDecision) -> str:
    return f"{decision.verdict} {decision.flaw or '-'} {decision.reason}"


def before(list_number: int = HERE, delivery: bytes = ANOTHER_DELIVERY, ago_seconds: int = 60) -> list[Seen]:
    return [Seen(list_number, delivery, UnixSeconds(NOW - ago_seconds))]


def signed(ago_seconds: int, **changes: Any) -> PostFinding:
    return passed(signed_at=UnixSeconds(NOW - ago_seconds), **changes)


#: (name, what was found, under the rules that a list has to begin with)
ROWS = [
    ("rightly signed", judged(passed()), "accept - accepted"),
    ("under an alias", judged(passed(), of=post(ANNAS_ALIAS)), "accept - accepted"),
    ("both of two good ones", judged(passed(), passed(digest=b"2" * 16)), "accept - accepted"),
    ("bound to the list", judged(passed(binding=TO_US)), "accept - accepted"),
    ("at the end of the window", judged(signed(WEEK)), "accept - accepted"),
    ("signed before the key retired", judged(signed(2 * HOUR, fingerprint=ANNAS_OLD)), "accept - accepted"),
    ("a retry", judged(passed(), seen=before(delivery=DELIVERY)), "accept - accepted"),
    ("a retry, by now too old", judged(signed(WEEK + 60), seen=before(delivery=DELIVERY)), "accept - accepted"),
    (
        "a retry of what was too old to begin with",
        judged(signed(WEEK + 61), seen=before(delivery=DELIVERY)),
        "hold expired signed-too-long-ago",
    ),
    (
        "a retry after the time for retries",
        judged(
            signed(WEEK + RETRY_SECONDS),
            seen=[Seen(HERE, DELIVERY, UnixSeconds(NOW - RETRY_SECONDS - 1), passed=False)],
        ),
        "hold expired signed-too-long-ago",
    ),
    (
        "let in elsewhere, by now too old",
        judged(signed(WEEK + 1, binding=TO_US), seen=before(ELSEWHERE, DELIVERY)),
        "hold expired signed-too-long-ago",
    ),
    (
        "relayed by a host that signs for another subscriber",
        judged(passed(), passed(BORISS_KEY, kind=Kind.HEADER, digest=b"2" * 16)),
        "accept - accepted",
    ),
    (
        "relayed by that host, and the author's own does not hold",
        judged(
            failed("signature-does-not-verify", Result.FAIL),
            passed(BORISS_KEY, kind=Kind.HEADER, digest=b"2" * 16),
            on=ruled(on_invalid=Action.TAG),
        ),
        "reject forged another-subscribers-key",
    ),
    (
        "signed by nothing but that host",
        judged(passed(BORISS_KEY, kind=Kind.HEADER), of=post(ANNA, Kind.HEADER)),
        "reject forged another-subscribers-key",
    ),
    (
        "by that host and by a deposit that nobody has proved",
        judged(passed(ANNAS_NEW), passed(BORISS_KEY, kind=Kind.HEADER, digest=b"2" * 16)),
        "reject forged another-subscribers-key",
    ),
    (
        "accepted on another list too, and bound to both",
        judged(
            passed(binding=replace(TO_US, recipients=frozenset({LIST.address, "x@lists.example"}))),
            seen=before(ELSEWHERE),
        ),
        "accept - accepted",
    ),
    ("not signed", judged(of=post(contents=())), "reject unsigned unsigned"),
    ("not signed, by a stranger", judged(of=post("x@y.example", contents=()), by=None), "reject unsigned unsigned"),
    ("the host's signature only", judged(of=post(ANNA, Kind.HEADER)), "reject unsigned unsigned"),
    ("a problem", judged(passed(), of=post(problem="unreadable")), "reject invalid unreadable"),
    ("a problem nobody knows", judged(passed(), of=post(problem="Sod\x1b")), "reject invalid unreadable"),
    ("a problem that is a word for something else", judged(of=post(problem="accepted")), "reject invalid unreadable"),
    ("signed, nothing found", judged(of=post(ANNA, Kind.INLINE)), "reject invalid unreadable"),
    (
        "two signed parts, one judged",
        judged(passed(kind=Kind.HEADER), of=post(ANNA, Kind.HEADER, Kind.PGP_MIME)),
        "reject invalid unreadable",
    ),
    ("a reason nobody knows", judged(failed("new-word")), "reject invalid unreadable"),
    ("no reason", judged(failed("")), "reject invalid unreadable"),
    ("passed with a reason for failing", judged(failed("accepted")), "reject invalid unreadable"),
    ("no signing time", judged(passed(signed_at=None)), "reject invalid unreadable"),
    ("nothing to remember it by", judged(passed(digest=b"")), "reject invalid unreadable"),
    ("from nobody's key", judged(passed("")), "reject invalid unreadable"),
    ("from the future", judged(signed(-301)), "reject invalid signed-in-the-future"),
    ("from a clock that is ahead", judged(signed(-300)), "accept - accepted"),
    ("expired key", judged(failed("key-expired")), "hold expired key-expired"),
    ("expired signature", judged(failed("signature-expired")), "hold expired signature-expired"),
    ("old", judged(signed(WEEK + 1)), "hold expired signed-too-long-ago"),
    ("signed after the key retired", judged(signed(HOUR, fingerprint=ANNAS_OLD)), "hold expired key-retired"),
    (
        "author not subscribed",
        judged(passed(), of=post("x@y.example"), by=None),
        "reject forged another-subscribers-key",
    ),
    (
        "a stranger with his own key",
        judged(failed("unknown-key", Result.NONE), of=post("x@y.example"), by=None),
        "reject unknown not-a-subscriber",
    ),
    ("a subscriber who is not the author", judged(passed(), of=post(BORIS)), "reject unknown not-a-subscriber"),
    (
        "somebody who has only asked to be subscribed",
        judged(passed(), by=replace(ANNA_SUBSCRIBED, provisional=True), holders={}),
        "reject unknown not-a-subscriber",
    ),
    ("unknown key", judged(failed("unknown-key", Result.NONE)), "reject unknown unknown-key"),
    ("a key that nobody here has", judged(passed(STRANGE_KEY)), "reject unknown unknown-key"),
    ("key not confirmed", judged(passed(ANNAS_NEW)), "reject unknown key-pending"),
    ("signed long before the key counted", judged(signed(102 * DAY)), "reject unknown signed-before-key"),
    ("revoked here", judged(passed(ANNAS_LOST)), "reject forged key-revoked"),
    ("revoked by itself", judged(failed("key-revoked")), "reject forged key-revoked"),
    ("another's key", judged(passed(BORISS_KEY)), "reject forged another-subscribers-key"),
    (
        "another's key that the author has deposited",
        judged(passed(ANNAS_NEW), holders={ANNAS_NEW: (ANNA, BORIS)}),
        "reject forged another-subscribers-key",
    ),
    (
        "the author's key that another has deposited",
        judged(passed(), holders={ANNAS_KEY: (ANNA, BORIS)}),
        "accept - accepted",
    ),
    (
        "signed by another From",
        judged(passed(binding=Binding(author=BORIS))),
        "reject forged author-not-as-signed",
    ),
    (
        "signed by the author under another alias",
        judged(passed(binding=Binding(author=ANNAS_ALIAS))),
        "reject forged author-not-as-signed",
    ),
    (
        "signed with another Subject",
        judged(passed(binding=Binding(subject=b"Swallows"))),
        "reject forged subject-not-as-signed",
    ),
    (
        "signed for somebody else",
        judged(passed(binding=Binding(recipients=frozenset({"carl@example.org"})))),
        "reject forged for-another-list",
    ),
    ("signed for nobody", judged(passed(binding=Binding(recipients=frozenset()))), "reject forged for-another-list"),
    (
        "signed with another List-Id",
        judged(passed(binding=replace(TO_US, list_id="mice.lists.example"))),
        "reject forged for-another-list",
    ),
    (
        "signed with this List-Id, to others",
        judged(passed(binding=Binding(recipients=frozenset(), list_id=LIST.list_id))),
        "accept - accepted",
    ),
    ("replayed", judged(passed(), seen=before()), "reject forged replayed"),
    ("replayed although bound", judged(passed(binding=TO_US), seen=before()), "reject forged replayed"),
    (
        "the same delivery after hours",
        judged(passed(), seen=before(delivery=DELIVERY, ago_seconds=RETRY_SECONDS + 1)),
        "reject forged replayed",
    ),
    (
        "a retry of the one, a replay of the other",
        judged(passed(), seen=[*before(delivery=DELIVERY), *before()]),
        "reject forged replayed",
    ),
    (
        "replayed from another list",
        judged(passed(), seen=before(ELSEWHERE, DELIVERY)),
        "reject forged replayed-from-another-list",
    ),
    (
        "one of two bad",
        judged(passed(), failed("key-expired", digest=b"2" * 16)),
        "hold expired key-expired",
    ),
    (
        "one of two by a stranger",
        judged(passed(), failed("unknown-key", Result.NONE, digest=b"2" * 16)),
        "reject unknown unknown-key",
    ),
    (
        "one of two another's",
        judged(passed(), passed(BORISS_KEY, digest=b"2" * 16)),
        "reject forged another-subscribers-key",
    ),
    ("old and seen before", judged(signed(WEEK + 1), seen=before()), "reject forged replayed"),
]


@pytest.mark.parametrize(("name", "decision", "wanted"), ROWS, ids=[row[0] for row in ROWS])
def test_the_table(name: str, decision: PostDecision, wanted: str) -> None:
    assert told(decision) == wanted


LENIENT = {"on_unsigned": "tag", "on_invalid": "tag", "on_expired": "tag", "on_unknown": "tag"}
TAGGING = ruled(**{name: Action(word) for name, word in LENIENT.items()})


@pytest.mark.parametrize(
    ("decision", "wanted"),
    [
        (judged(of=post(contents=()), on=TAGGING), "tag unsigned unsigned"),
        (judged(failed("unknown-key"), on=TAGGING), "tag unknown unknown-key"),
        (judged(failed("key-expired"), on=TAGGING), "tag expired key-expired"),
        (judged(of=post(problem="unreadable"), on=TAGGING), "tag invalid unreadable"),
        (judged(passed(BORISS_KEY), on=TAGGING), "reject forged another-subscribers-key"),
        (judged(passed(ANNAS_LOST), on=TAGGING), "reject forged key-revoked"),
        (judged(passed(), seen=before(), on=TAGGING), "reject forged replayed"),
        (judged(of=post(problem="too-large"), on=TAGGING), "reject invalid too-large"),
        (judged(of=post(problem="too-large"), on=ruled(on_invalid=Action.HOLD)), "reject invalid too-large"),
        (judged(passed(), seen=before(), on=ruled(on_invalid=Action.HOLD)), "hold forged replayed"),
        (judged(passed(), on=ruled(on_unbound=Action.HOLD)), "hold unbound not-bound-to-the-list"),
        (judged(passed(), on=ruled(on_unbound=Action.REJECT)), "reject unbound not-bound-to-the-list"),
        (judged(passed(binding=TO_US), on=ruled(on_unbound=Action.REJECT)), "accept - accepted"),
        (
            judged(passed(binding=Binding(author=ANNA)), on=ruled(on_unbound=Action.TAG)),
            "tag unbound not-bound-to-the-list",
        ),
        (judged(passed(), BY_HEADER, on=ruled(on_unbound=Action.HOLD)), "accept - accepted"),
        (
            judged(failed("unknown-key"), failed("key-expired"), on=ruled(on_unknown=Action.HOLD)),
            "hold unknown unknown-key",
        ),
        (
            judged(failed("unknown-key"), failed("key-expired"), on=ruled(on_expired=Action.TAG)),
            "reject unknown unknown-key",
        ),
    ],
)
def test_by_the_lists_own_rules(decision: PostDecision, wanted: str) -> None:
    assert told(decision) == wanted


def test_a_signature_that_names_the_list_vouches_for_the_other_one() -> None:
    where = {b"1" * 16: before(ELSEWHERE)}
    decision = decide(LIST, post(), [passed(), BY_HEADER], ANNA_SUBSCRIBED, HOLDERS, where, DELIVERY, 0, NOW)
    assert told(decision) == "accept - accepted"


def test_what_is_let_in_is_remembered_long_after_it_is_too_old() -> None:
    assert judged(passed()).digests == ((b"1" * 16, NOW + WEEK + 300 + REMEMBERED_SECONDS),)
    assert judged(signed(-200)).digests == ((b"1" * 16, NOW + 200 + WEEK + 300 + REMEMBERED_SECONDS),)
    assert judged(failed("unknown-key", Result.NONE), on=TAGGING).digests == (), "it may be another's, spoilt"
    assert judged(failed("signature-does-not-verify"), on=TAGGING).digests == ()


@pytest.mark.parametrize("refused", [judged(passed(BORISS_KEY)), judged(failed("key-expired"))])
def test_what_is_not_let_in_is_not_remembered(refused: PostDecision) -> None:
    assert refused.digests == ()


def test_the_decision_says_whose_key_was_seen_and_which_were_expected() -> None:
    decision = judged(passed(), passed(BORISS_KEY, digest=b"2" * 16))
    assert (decision.author, decision.seen_fingerprint, decision.expected) == (ANNA, BORISS_KEY, (ANNAS_KEY,))
    assert judged(failed("unknown-key", fingerprint=""), by=None).expected == ()


ADDRESSES = st.sampled_from([ANNA, ANNAS_ALIAS, BORIS, "x@y.example", ""])
FINGERPRINTS = st.sampled_from([ANNAS_KEY, ANNAS_OLD, ANNAS_NEW, ANNAS_LOST, BORISS_KEY, STRANGE_KEY, ""])
MOMENTS = st.none() | st.sampled_from(
    [0, 1, WEEK - 1, WEEK, WEEK + 1, WEEK + 6 * HOUR, WEEK + 6 * HOUR + 1, HOUR, 2 * HOUR, -300, -301, 200 * DAY]
).map(lambda ago: UnixSeconds(NOW - ago))
BINDINGS = st.builds(
    Binding,
    st.none() | ADDRESSES,
    st.none() | st.frozensets(st.sampled_from([LIST.address, "x@lists.example"])),
    st.none() | st.sampled_from([LIST.list_id, "mice.lists.example", ""]),
    st.none() | st.sampled_from([b"Swifts", b"Swallows", b"=?utf-8?q?Swifts?=", b"=?x?b?!?= \xff"]),
)
RESULTS = st.sampled_from([Result.PASS, Result.PASS, Result.PASS, *Result])
FINDINGS = st.builds(
    PostFinding,
    st.sampled_from(Kind),
    RESULTS,
    st.sampled_from([*REASONS, "", "?"]),
    FINGERPRINTS,
    MOMENTS,
    st.sampled_from([b"", b"1" * 16, b"2" * 16]),
    BINDINGS,
)
POSTS = st.builds(
    lambda author, kinds, problem, subject: post(author, *kinds, problem=problem, subject=subject),
    ADDRESSES,
    st.lists(st.sampled_from(Kind), max_size=3),
    st.sampled_from(["", "", "", *REASONS, "?"]),
    st.sampled_from(["Swifts", "\ud800", "=?"]),
)
ACTIONS = st.sampled_from(Action)
LISTS = st.builds(
    lambda *rules: replace(LIST, rules=Rules(*rules)), ACTIONS, ACTIONS, ACTIONS, ACTIONS, st.none() | ACTIONS
)
SEEN = st.dictionaries(
    st.sampled_from([b"1" * 16, b"2" * 16]),
    st.lists(
        st.builds(
            Seen,
            st.sampled_from([HERE, ELSEWHERE]),
            st.sampled_from([DELIVERY, ANOTHER_DELIVERY]),
            st.sampled_from([NOW, NOW - RETRY_SECONDS, NOW - RETRY_SECONDS - 1]),
        ),
        max_size=2,
    ),
)
HOLDER_SETS = st.dictionaries(FINGERPRINTS, st.lists(st.sampled_from([ANNA, BORIS])), max_size=3)
BY = st.none() | st.just(ANNA_SUBSCRIBED)
CASES = st.tuples(LISTS, POSTS, st.lists(FINDINGS, max_size=3), BY, HOLDER_SETS, SEEN)


def rightly_signed(
    list_: MailingList, of: Post, findings: list[PostFinding], by: Subscriber | None, seen: dict[bytes, list[Seen]]
) -> bool:
    """Said once more in other words: what a post has to be."""
    if by and any(one.result is Result.PASS and one.fingerprint in COUNTED for one in findings):
        findings = [one for one in findings if one.kind is not Kind.HEADER or one.fingerprint in COUNTED]
    kinds = {content.kind for content in of.contents} - {Kind.HEADER}
    uses = [use for one in findings for use in seen.get(one.digest, ())]
    names_us = any(one.binding.list_id or one.binding.recipients is not None for one in findings)
    return bool(
        by is not None
        and not of.problem
        and of.author in {ANNA, ANNAS_ALIAS}
        and findings
        and kinds <= {one.kind for one in findings}
        and all(signs(one, seen.get(one.digest, [])) and covers_no_other(one.binding, of, list_) for one in findings)
        and (names_us or list_.rules.on_unbound is None)
        and (names_us or all(use.list_number == HERE for use in uses))
        and all(
            use.delivery == DELIVERY and NOW - use.seen_at <= RETRY_SECONDS for use in uses if use.list_number == HERE
        )
    )


def signs(one: PostFinding, uses: list[Seen]) -> bool:
    """Anna's two keys that count: the one for a week, the other until an hour ago. What comes again does not age."""
    again = [use.seen_at for use in uses if use.delivery == DELIVERY and use.list_number == HERE]
    first = min([*(at for at in again if NOW - at <= RETRY_SECONDS), NOW])
    if one.result is not Result.PASS or not one.digest or one.signed_at is None:
        return False
    ago, longest = NOW - one.signed_at, NOW - first + WEEK
    return (one.fingerprint == ANNAS_KEY and -300 <= ago <= longest) or (
        one.fingerprint == ANNAS_OLD and HOUR < ago <= longest
    )


def covers_no_other(binding: Binding, of: Post, list_: MailingList) -> bool:
    return (
        binding.author in (None, of.author)
        and (binding.subject is None or (of.subject == "Swifts" and binding.subject in SAME))
        and (binding.list_id in (None, "", list_.list_id))
        and (bool(binding.list_id) or binding.recipients is None or list_.address in binding.recipients)
    )


COUNTED = {ANNAS_KEY, ANNAS_OLD, ANNAS_LOST}
SAME = (b"Swifts", b"=?utf-8?q?Swifts?=")


@given(CASES)
def test_accepted_is_what_is_rightly_signed_and_nothing_else(case: Any) -> None:
    list_, of, findings, by, holders, seen = case
    decision = decide(list_, of, findings, by, holders, seen, DELIVERY, RETRY_SECONDS, NOW)
    assert (decision.verdict is PostVerdict.ACCEPT) == rightly_signed(list_, of, findings, by, seen)
    assert decision.reason in REASONS
    assert decision.flaw is REASONS[decision.reason]
    assert (decision.flaw is None) == (decision.verdict is PostVerdict.ACCEPT)
    if decision.flaw:
        done = Action.REJECT if decision.reason == "too-large" else action_on(decision.flaw, list_.rules)
        assert decision.verdict == done
    assert not decision.digests or decision.verdict in (PostVerdict.ACCEPT, PostVerdict.TAG)


@given(CASES, FINDINGS)
def test_one_more_signature_never_helps(case: Any, more: PostFinding) -> None:
    """It may name the list, so where a list asks for that the comparison says nothing; nor is one better than none, nor
    the author's own than a header signature by somebody else alone.
    """
    list_, of, findings, by, holders, seen = case
    if not findings or more.binding.list_id or more.binding.recipients is not None:
        return
    if more.fingerprint in COUNTED and all(one.fingerprint not in COUNTED for one in findings):
        return
    kinds = {content.kind for content in of.contents}
    if more.kind in kinds and more.kind not in {one.kind for one in findings}:
        return
    strict = [PostVerdict.ACCEPT, PostVerdict.TAG, PostVerdict.HOLD, PostVerdict.REJECT]
    without, with_it = (
        decide(list_, of, each, by, holders, seen, DELIVERY, RETRY_SECONDS, NOW)
        for each in (findings, [*findings, more])
    )
    assert strict.index(with_it.verdict) >= strict.index(without.verdict)


@given(LISTS)
def test_a_forgery_is_never_tagged(list_: MailingList) -> None:
    assert action_on(Flaw.FORGED, list_.rules) is not Action.TAG


def test_another_delivery_of_what_has_not_got_on_yet_waits_and_then_takes_over() -> None:
    def met(ago: int, *, is_passed: bool = False, delivery: bytes = b"o" * 16) -> str:
        before = Seen(LIST.number, delivery, UnixSeconds(NOW - ago), is_passed)
        decision = judged(passed(), seen=[before])
        return f"{decision.verdict} {decision.reason}"

    assert met(0) == met(3_600) == "tempfail on-its-way"
    assert met(3_601) == "accept accepted"
    assert met(3_601, is_passed=True) == met(0, is_passed=True) == "reject replayed"
