"""The decision for each key: every rule by itself, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.endorsement.history import Mail
from trustgraph.endorsement.plan import Action, Entry, Plan, Self, make_plan
from trustgraph.endorsement.rules import Rules
from trustgraph.endorsement.subject import Cause, Given, KeyFacts, Subject
from trustgraph.model import Day, UnixSeconds

DAY = 86_400
NOW = UnixSeconds(1_790_000_000)
OURS, FORMER, THEIRS = "aa" * 20, "bb" * 20, "cc" * 20
OWN = Self(OURS, "example.net")
USER_ID, HOST = "smtp://mail.acorn.example", "mail.acorn.example"
KEY = KeyFacts(user_ids=((USER_ID, HOST),), operators=frozenset({"acorn.example"}), confirmed=frozenset({HOST}))
EARNED = Mail(good=400, days=30, first_day=Day(20_600), recent_good=100)
SPAM = Mail(good=400, bad=30, days=30, recent_good=20, recent_bad=30)
THIN = Mail(good=20, days=10, recent_good=20)


def ago(days: int) -> UnixSeconds:
    return UnixSeconds(NOW - days * DAY)


def endorsed(days: int = 10, **changes: object) -> Given:
    made = ago(days)
    given = Given(OURS, USER_ID, HOST, made, UnixSeconds(made + 90 * DAY))
    return replace(given, **changes)  # type: ignore[arg-type]


def subject(mail: Mail = EARNED, *givens: Given, key: KeyFacts | None = KEY, **changes: object) -> Subject:
    made = Subject(THEIRS, HOST, mail, key, givens)
    return replace(made, **changes)  # type: ignore[arg-type]


def plan_of(*subjects: Subject, own: Self = OWN, rules: Rules | None = None, now: UnixSeconds = NOW) -> Plan:
    return make_plan(subjects, own, rules or Rules(), now)


def decided(one: Subject, **changes: object) -> Entry:
    (entry,) = plan_of(one, **changes).entries  # type: ignore[arg-type]
    return entry


def test_what_was_earned_is_issued_over_the_confirmed_user_id() -> None:
    entry = decided(subject())
    assert (entry.action, entry.user_id, entry.cause) == (Action.ISSUE, USER_ID, Cause.EARNED)
    assert entry.why == "400 good mails on 30 days, a bad share of at most 0.951 %"


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (subject(THIN), "20 of 50 good mails, 10 of 14 days with good mail, 20 of 381 good mails that a bad share"),
        (subject(replace(THIN, unknown=900)), "; 900 mails of unknown outcome do not count"),
        (subject(SPAM), "30 of 50 mails of the last 30 days are bad, a share of at least 46.2 %"),
        (subject(key=None), "its key is not known yet: a run asks"),
        (subject(fingerprint="ab" * 32), "not of version 4"),
        (subject(key=replace(KEY, revoked_at=ago(1))), "its key is revoked"),
        (subject(key=replace(KEY, revoked_at=UnixSeconds(NOW + DAY))), "its key is revoked"),
        (subject(key=replace(KEY, expires_at=NOW)), "its key has expired"),
        (subject(key=replace(KEY, user_ids=())), "no live smtp:// User ID"),
        (subject(key=replace(KEY, confirmed=frozenset())), "own address of mail.acorn.example"),
        (subject(key=replace(KEY, confirmed=frozenset({"mail.birch.example"}))), "own address of mail.acorn.example"),
        (subject(key=replace(KEY, operators=frozenset({"acorn.example", "example.net"}))), "our own operator's"),
        (subject(fingerprint=OURS, key=replace(KEY, operators=frozenset({"example.net"}))), "our own operator's"),
        (subject(EARNED, endorsed(revoked_at=UnixSeconds(NOW))), "what was last said of it is of 2026-09-21T"),
        (subject(EARNED, endorsed(-1, expires_at=NOW)), "not before now"),
    ],
)
def test_who_gets_none_and_why(one: Subject, why: str) -> None:
    entry = decided(one)
    assert entry.action is Action.NOT_YET
    assert why in entry.why


def test_a_key_that_is_not_known_is_asked_for_only_if_its_mail_is_worth_it() -> None:
    assert decided(subject(key=None)).unknown
    assert decided(subject(Mail(), key=None, pin="a friend")).unknown
    assert not decided(subject(THIN, key=None)).unknown
    assert not decided(subject(key=None, fingerprint="ab" * 32)).unknown


def test_without_the_rule_on_names_any_live_user_id_will_do() -> None:
    two = KeyFacts(user_ids=(("smtp://a.example", "a.example"), ("smtp://b.example", "b.example")))
    assert decided(subject(key=two), rules=Rules(confirmed_hosts=False)).user_id == "smtp://a.example"
    assert decided(subject(key=replace(two, confirmed=frozenset({"b.example"})))).user_id == "smtp://b.example"


@pytest.mark.parametrize(
    ("one", "action", "why"),
    [
        (subject(EARNED, endorsed(59)), Action.KEEP, "renewed from 2026-09-22 if still earned, ends 2026-10-22"),
        (subject(EARNED, endorsed(60)), Action.RENEW, "400 good mails on 30 days"),
        (subject(THIN, endorsed(60)), Action.KEEP, "ends 2026-10-21, and is not renewed: 20 of 50 good mails"),
        (
            subject(EARNED, endorsed(60), key=replace(KEY, confirmed=frozenset())),
            Action.KEEP,
            "is not renewed: its key",
        ),
        (subject(EARNED, endorsed(90)), Action.ISSUE, "400 good mails"),
        (subject(THIN, endorsed(1)), Action.KEEP, "endorsed 2026-09-20"),
        (subject(SPAM, endorsed(1)), Action.REVOKE, "30 of 50 mails of the last 30 days are bad"),
        (subject(SPAM, endorsed(80)), Action.REVOKE, "30 of 50 mails"),
        (subject(SPAM, endorsed(91)), Action.NOT_YET, "30 of 50 mails"),
        (subject(SPAM, endorsed(cause=Cause.ELSEWHERE)), Action.REVOKE, "30 of 50 mails"),
        (subject(SPAM, endorsed(), key=replace(KEY, revoked_at=ago(1))), Action.KEEP, "counts for nothing anyway"),
        (subject(SPAM, endorsed(), key=replace(KEY, expires_at=ago(1))), Action.KEEP, "counts for nothing anyway"),
        (subject(EARNED, endorsed(5, revoked_at=ago(1))), Action.ISSUE, "400 good mails"),
        (subject(EARNED, endorsed(5, issuer=FORMER)), Action.RENEW, f"by our new key, instead of {FORMER}"),
        (subject(THIN, endorsed(5, issuer=FORMER)), Action.KEEP, "is not renewed: 20 of 50"),
        (subject(EARNED, endorsed(5), endorsed(50, issuer=FORMER)), Action.KEEP, "endorsed 2026-09-16"),
        (subject(EARNED, endorsed(400, expires_at=None)), Action.RENEW, "400 good mails"),
    ],
)
def test_what_becomes_of_an_endorsement(one: Subject, action: Action, why: str) -> None:
    entry = decided(one)
    assert entry.action is action
    assert why in entry.why


def test_an_endorsement_is_renewed_over_the_user_id_that_it_is_over() -> None:
    user_ids = (("smtp://a.example", "a.example"), (USER_ID, HOST))
    both = replace(KEY, user_ids=user_ids, confirmed=frozenset({"a.example", HOST}))
    assert decided(subject(EARNED, endorsed(70), key=both)).user_id == USER_ID


def test_one_bad_mail_among_many_neither_revokes_nor_renews() -> None:
    one = replace(EARNED, bad=1, recent_bad=1)
    assert decided(subject(one, endorsed(10))).action is Action.KEEP
    late = decided(subject(one, endorsed(61)))
    assert (late.action, "400 of 562 good mails" in late.why) == (Action.KEEP, True)
    assert decided(subject(replace(one, good=562), endorsed(61))).action is Action.RENEW


class TestPins:
    def test_a_pinned_host_needs_no_mail_and_no_confirmed_name(self) -> None:
        entry = decided(subject(Mail(), key=replace(KEY, confirmed=frozenset()), pin="met in person"))
        assert (entry.action, entry.cause, entry.user_id) == (Action.ISSUE, Cause.PINNED, USER_ID)
        assert entry.why == "pinned: met in person"

    def test_bad_mail_of_a_pinned_host_is_warned_of_and_costs_nothing(self) -> None:
        for given_before, action in (
            ([], Action.ISSUE),
            ([endorsed(10)], Action.KEEP),
            ([endorsed(70)], Action.RENEW),
        ):
            entry = decided(subject(SPAM, *given_before, pin="x"))
            assert entry.action is action
            assert "take care: 30 of 50 mails" in entry.why

    @pytest.mark.parametrize(
        "key",
        [
            replace(KEY, operators=frozenset({"example.net"})),
            replace(KEY, revoked_at=ago(1)),
            replace(KEY, user_ids=()),
            None,
        ],
    )
    def test_a_pin_does_not_stand_in_for_a_key(self, key: KeyFacts | None) -> None:
        assert decided(subject(key=key, pin="x")).action is Action.NOT_YET

    def test_without_its_pin_a_host_needs_to_have_earned_it(self) -> None:
        pinned = endorsed(5, cause=Cause.PINNED)
        assert decided(subject(EARNED, pinned)).action is Action.KEEP
        entry = decided(subject(THIN, pinned))
        assert entry.action is Action.REVOKE
        assert entry.why.startswith("no longer pinned, and its mail has not earned it: 20 of 50 good mails")


class TestBudget:
    def subjects(self) -> list[Subject]:
        """From the best earned to the least."""
        mails = [Mail(good=good, bad=bad, days=20) for good, bad in ((900, 0), (700, 0), (1_000, 1), (400, 0))]
        return [subject(mail, fingerprint=f"{number:040x}") for number, mail in enumerate(mails)]

    def test_the_best_earned_come_first_and_the_rest_waits_and_says_so(self) -> None:
        plan = plan_of(*reversed(self.subjects()), rules=Rules(budget_per_week=3), own=replace(OWN, issued_this_week=1))
        assert [int(e.subject.fingerprint, 16) for e in plan.of(Action.ISSUE)] == [0, 1]
        waiting = plan.of(Action.NOT_YET)
        assert [int(e.subject.fingerprint, 16) for e in waiting] == [2, 3]
        assert waiting[0].why.startswith(
            "earned, and waits: the budget of 3 new endorsements a week is spent (1000 good"
        )
        assert plan.budget_left == 0

    def test_renewals_pins_and_successors_are_free(self) -> None:
        free = [
            subject(EARNED, endorsed(70), fingerprint="01" * 20),
            subject(Mail(), pin="x", fingerprint="02" * 20),
            subject(EARNED, succeeds="09" * 20, fingerprint="03" * 20),
        ]
        plan = plan_of(*free, *self.subjects(), rules=Rules(budget_per_week=1))
        assert len(plan.of(Action.RENEW)) == 1
        assert {e.subject.fingerprint for e in plan.of(Action.ISSUE)} == {"02" * 20, "03" * 20, f"{0:040x}"}

    def test_what_is_left_is_said(self) -> None:
        assert plan_of(*self.subjects()).budget_left == 16
        assert plan_of(own=replace(OWN, issued_this_week=50)).budget_left == 0


mails = st.builds(
    lambda good, bad, days, old_good, old_bad: Mail(
        good=good + old_good, bad=bad + old_bad, days=days, recent_good=good, recent_bad=bad
    ),
    *(st.integers(0, 600), st.integers(0, 10), st.integers(0, 40), st.integers(0, 2_000), st.integers(0, 10)),
)
givens = st.lists(
    st.builds(
        endorsed,
        st.integers(0, 100),
        revoked_at=st.sampled_from([None, ago(0)]),
        issuer=st.sampled_from([OURS, FORMER]),
        cause=st.sampled_from(list(Cause)),
    ),
    max_size=2,
)
subjects = st.builds(
    lambda mail, given_before, pin: subject(mail, *given_before, pin=pin),
    *(mails, givens, st.sampled_from([None, "x"])),
)

#: From the least to the most that is said for a host.
STANDS = {Action.REVOKE: 0, Action.NOT_YET: 0, Action.KEEP: 1, Action.ISSUE: 2, Action.RENEW: 2}


@given(subjects, st.integers(1, 50))
def test_more_bad_mail_never_helps(one: Subject, more: int) -> None:
    worse = replace(one, mail=replace(one.mail, bad=one.mail.bad + more, recent_bad=one.mail.recent_bad + more))
    assert STANDS[decided(worse).action] <= STANDS[decided(one).action]


@given(subjects, st.integers(1, 500))
def test_more_good_mail_never_hurts(one: Subject, more: int) -> None:
    better = replace(one, mail=replace(one.mail, good=one.mail.good + more, recent_good=one.mail.recent_good + more))
    assert STANDS[decided(better).action] >= STANDS[decided(one).action]


@given(subjects)
def test_nothing_is_made_twice_and_nothing_taken_back_that_is_not_there(one: Subject) -> None:
    entry = decided(one)
    live = [g for g in one.given if g.in_force(NOW)]
    if entry.action is Action.ISSUE:
        assert not live
    if entry.action is Action.RENEW:
        assert all(g.issuer != OURS or g.made_at <= ago(60) for g in live)
    if entry.action is Action.REVOKE:
        assert live
        assert one.pin is None
    if entry.action in (Action.ISSUE, Action.RENEW):
        assert entry.user_id == USER_ID
        assert one.pin is not None or (one.mail.good >= 50 and one.mail.days >= 14 and entry.shares.most <= 0.01)


@given(st.lists(subjects, max_size=6), st.integers(0, 4), st.randoms())
def test_the_plan_does_not_depend_on_the_order_and_keeps_the_budget(
    several: list[Subject], budget: int, dice: object
) -> None:
    several = [replace(one, fingerprint=f"{number:040x}") for number, one in enumerate(several)]
    rules = Rules(budget_per_week=budget)
    plan = plan_of(*several, rules=rules)
    shuffled = list(several)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert plan_of(*shuffled, rules=rules) == plan
    assert sum(e.cause is Cause.EARNED for e in plan.of(Action.ISSUE)) <= budget
    assert len(plan.entries) == len(several)
