"""A policy on a recorded past: decided as the gate would have decided, put off as a queue would have waited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

from trustgraph.errors import NoAnchors
from trustgraph.model import SECONDS_PER_DAY, Identity, Outcome, Result, UnixSeconds
from trustgraph.policy.decide import Policy
from trustgraph.policy.decision import Verdict
from trustgraph.policy.overrides import Override
from trustgraph.policy.recorded import recorded_messages
from trustgraph.policy.replay import QUEUE_SECONDS, Played, Rules, replay
from trustgraph.scoring.algorithms import Parameters, Scores
from trustgraph.scoring.history import HistoryParameters
from trustgraph.scoring.record import Record
from trustgraph.scoring.simple import HistoryOnly

HOUR = 3_600
START = UnixSeconds(20_000 * SECONDS_PER_DAY)
US, PEER = Identity.helo("mx1.example.org"), Identity.helo("mx.peer.example")
KEY, OTHER_KEY = Identity.openpgp("a" * 40), Identity.openpgp("b" * 40)
LONE = Identity.openpgp("c" * 40)  # of an operator that nobody knows
DOMAIN = Identity.dkim("sender.example")
NAMES = sorted([US, PEER, KEY, OTHER_KEY, LONE, DOMAIN])
OPERATOR = {KEY: "sender.example", OTHER_KEY: "sender.example", DOMAIN: "sender.example"}


@dataclass(frozen=True)
class Seen:
    """An observation, ``hours`` after the start."""

    hours: float
    identity: Identity = KEY
    result: Result = Result.PASS
    outcome: Outcome = Outcome.GOOD
    message: int = 0
    observer: Identity = US


def record_of(*observations: Seen) -> Record:
    none = np.array([], dtype=np.int64)
    place = {name: i for i, name in enumerate(NAMES)}
    ordered = sorted(observations, key=lambda s: (s.hours, s.observer, s.message, place[s.identity]))

    def ints(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array(values, dtype=np.int64)

    return Record(
        *(20_000, ints([*range(1, len(NAMES) + 1)])),
        identity_name=np.array(NAMES, dtype=object),
        identity_host=np.array([name.value for name in NAMES], dtype=object),
        identity_operator=np.array([OPERATOR.get(name, "") for name in NAMES], dtype=object),
        **{f"key_{name}": none for name in ("identity", "created_at", "expires_at", "revoked_at")},
        **{f"certification_{name}": none for name in ("subject", "endorser", "user_id", "made_at", "ends_at")},
        **{f"count_{name}": none for name in ("subject", "observer", "day", "good", "bad", "unknown")},
        seen_at=ints([int(START + s.hours * HOUR) for s in ordered]),
        seen_subject=ints([place[s.identity] for s in ordered]),
        seen_observer=ints([place[s.observer] for s in ordered]),
        seen_message=ints([s.message for s in ordered]),
        seen_result=ints([list(Result).index(s.result) for s in ordered]),
        seen_outcome=ints([list(Outcome).index(s.outcome) for s in ordered]),
    )


#: Two good mails make a host stand, and no bad one is forgiven.
PARAMETERS = Parameters(prior_good=1.0, prior_bad=2.0, history=HistoryParameters(weight=1.0, cap=50.0, tolerance=0.0))
FLAT = Policy(accept=0.99, newcomer_messages=2, newcomer_messages_in_all=6, newcomer_growth=1)  # nobody ever stands
RULES = Rules(HistoryOnly, {US: 1.0}, PARAMETERS, replace(FLAT, accept=0.5))


def play(
    *observations: Seen,
    rules: Rules = RULES,
    every_hours: int = 6,
    days: int = 9,
    watch: list[tuple[int, Scores]] | None = None,
) -> list[Played]:
    until = UnixSeconds(START + days * SECONDS_PER_DAY)
    record = record_of(*observations)
    return replay(
        *(record, recorded_messages(record, US, START, until), rules),
        start=START,
        until=until,
        every_seconds=every_hours * HOUR,
        watch=None if watch is None else lambda at, scores: watch.append((at, scores)),
    )


def reasons(played: list[Played]) -> list[str]:
    return [one.last.reason for one in played]


def test_the_identities_of_one_message_are_one_message() -> None:
    seen = [Seen(1, KEY), Seen(1, DOMAIN), Seen(1, KEY, message=7), Seen(1, KEY, observer=PEER, message=9)]
    first, second = recorded_messages(record_of(*seen), US, START, UnixSeconds(START + SECONDS_PER_DAY))
    assert (NAMES[first.signer], [NAMES[i] for i in first.others], first.result) == (KEY, [DOMAIN], Result.PASS)
    assert (second.message, second.others) == (7, ())


def test_one_message_that_comes_twice_is_two() -> None:
    record = record_of(Seen(1), Seen(2))
    assert [m.at for m in recorded_messages(record, US, START, UnixSeconds(START + 3 * HOUR))] == [
        START + HOUR,
        START + 2 * HOUR,
    ]
    # What comes at the end of the time belongs to the next.
    assert len(recorded_messages(record, US, START, UnixSeconds(START + 2 * HOUR))) == 1


def test_a_signature_that_passes_goes_before_one_that_does_not() -> None:
    seen = [Seen(1, KEY, Result.FAIL), Seen(1, OTHER_KEY)]
    (message,) = recorded_messages(record_of(*seen), US, START, UnixSeconds(START + SECONDS_PER_DAY))
    assert (NAMES[message.signer], message.result) == (OTHER_KEY, Result.PASS)


def test_what_failed_is_no_identity_and_the_worst_outcome_counts() -> None:
    seen = [Seen(1, DOMAIN, Result.FAIL, Outcome.GOOD), Seen(1, PEER, outcome=Outcome.SPAM)]
    (message,) = recorded_messages(record_of(*seen), US, START, UnixSeconds(START + SECONDS_PER_DAY))
    assert (message.signer, [NAMES[i] for i in message.others], message.outcome) == (-1, [PEER], Outcome.SPAM)


def test_an_observer_without_mail_has_none() -> None:
    record = record_of(Seen(1))
    assert recorded_messages(record, Identity.helo("zz.example"), START, UnixSeconds(START + 9**9)) == []
    assert recorded_messages(record, PEER, START, UnixSeconds(START + 9**9)) == []
    assert recorded_messages(record, US, UnixSeconds(START + 2 * HOUR), UnixSeconds(START + 9**9)) == []


def test_mail_counts_from_the_next_step_on_and_never_before() -> None:
    played = play(Seen(1), Seen(2, message=1), Seen(7, message=2), Seen(13, message=3, outcome=Outcome.SPAM))
    assert reasons(played) == ["newcomer", "newcomer", "accepted", "accepted"]
    assert [one.rating for one in played] == pytest.approx([1 / 3, 1 / 3, 3 / 5, 4 / 6], abs=1e-2)


def test_mail_of_the_second_of_a_step_is_decided_on_by_its_ratings() -> None:
    assert play(Seen(1), Seen(2, message=1), Seen(6, message=2))[-1].first.reason == "accepted"


def test_what_waits_is_decided_on_by_all_that_is_its_own() -> None:
    nobody = replace(RULES, policy=Policy(accept=0.99, newcomer_messages=0))
    waiting = [Seen(1), Seen(1.1, message=1), Seen(1.1, DOMAIN, message=1), Seen(1.2, OTHER_KEY, message=2)]
    outage = Seen(1.3, result=Result.TEMPERROR, message=3)
    spam = [Seen(2, DOMAIN, outcome=Outcome.SPAM, message=10 + i) for i in range(3)]
    spam += [Seen(2, OTHER_KEY, outcome=Outcome.SPAM, message=20 + i) for i in range(3)]
    played = play(*waiting, outage, *spam, rules=nobody, days=1)
    assert reasons(played)[:4] == ["newcomer-allowance-used", "refused", "refused", "keyservers-unreachable"]
    assert [one.settled_at for one in played[:4]] == [None, START + 6 * HOUR, START + 6 * HOUR, None]


def test_spam_takes_the_standing_at_the_next_step() -> None:
    seen = [Seen(1 + i / 10, message=i) for i in range(3)] + [Seen(7, message=8, outcome=Outcome.SPAM)]
    played = play(*seen, *(Seen(h, message=10 + h) for h in (8, 13)))
    assert [one.first.reason for one in played[-2:]] == ["accepted", "newcomer-allowance-used"]


def test_ratings_are_watched_at_each_step() -> None:
    watch: list[tuple[int, Scores]] = []
    play(Seen(1), days=1, watch=watch)
    assert [at - START for at, _ in watch] == [0, 6 * HOUR, 12 * HOUR, 18 * HOUR]


def test_beyond_the_allowance_mail_waits_and_is_let_in_as_the_sender_gains_standing() -> None:
    played = play(*(Seen(1 + i / 10, message=i) for i in range(4)))
    assert [one.first.verdict for one in played] == [Verdict.ACCEPT] * 2 + [Verdict.TEMPFAIL] * 2
    assert [(one.let_in, one.last.reason) for one in played[2:]] == [(True, "accepted")] * 2
    assert played[2].settled_at == START + 6 * HOUR
    assert played[2].waited_seconds == 6 * HOUR - int(1.2 * HOUR)


def test_the_allowance_is_one_operators_and_new_each_day() -> None:
    seen = [Seen(1, KEY), Seen(1.1, OTHER_KEY, message=1), Seen(1.2, OTHER_KEY, message=2), Seen(25, KEY, message=3)]
    never = replace(RULES, policy=FLAT)
    played = play(*seen, rules=never)
    assert [one.first.reason for one in played] == ["newcomer", "newcomer", "newcomer-allowance-used", "newcomer"]
    # What waits comes again before new mail: on the next day it takes one of the two places.
    assert played[2].settled_at == START + 24 * HOUR


def test_all_newcomers_together_have_an_allowance_too() -> None:
    many = replace(RULES, policy=FLAT)
    seen = [Seen(1 + i / 10, identity, message=i) for i, identity in enumerate((KEY, LONE, LONE, KEY))]
    played = play(*seen, Seen(24, LONE, message=9), rules=many)
    assert [one.first.reason for one in played] == [*["newcomer"] * 3, "newcomer-allowance-used", "newcomer"]


def test_the_allowance_grows_with_good_mail() -> None:
    growing = replace(RULES, policy=replace(FLAT, newcomer_growth=3.0, newcomer_messages_in_all=99))
    seen = [Seen(1 + i / 10, message=i) for i in range(2)] + [Seen(25 + i / 10, message=10 + i) for i in range(9)]
    for rules, let_in in ((RULES, 2), (growing, 4)):
        played = play(*seen, rules=replace(rules, policy=replace(rules.policy, accept=0.99)))
        assert sum(one.first.reason == "newcomer" for one in played[2:]) == let_in


def test_unsigned_newcomers_wait_as_signed_ones_do_where_the_site_says_so() -> None:
    limited = replace(RULES, policy=replace(FLAT, on_unsigned_newcomer="allowance"))
    seen = [Seen(1 + i / 10, DOMAIN, message=i) for i in range(3)]
    failed = [Seen(2 + i / 10, PEER, Result.NONE, message=10 + i) for i in range(2)]
    played = play(*seen, *failed, rules=limited)
    assert [one.first.reason for one in played] == [
        *(["unsigned-unrated"] * 2 + ["unsigned-allowance-used"]),
        *("unsigned-unrated", "unsigned-allowance-used"),  # the pool of those that nothing is known of holds three
    ]
    assert [one.first.verdict for one in play(*seen, *failed, rules=RULES)] == [Verdict.ACCEPT] * 5
    # What came signed is not kept waiting by it.
    assert play(*seen, *failed, Seen(3, LONE, message=20), rules=limited)[-1].first.reason == "newcomer"


def test_who_an_unsigned_message_came_from_is_its_client_before_its_domain() -> None:
    both = [
        Seen(1, DOMAIN),
        Seen(1, PEER, Result.NONE),
        Seen(2, DOMAIN, message=1),
        Seen(3, KEY, Result.FAIL, message=2),
    ]
    messages = recorded_messages(record_of(*both), US, START, UnixSeconds(START + SECONDS_PER_DAY))
    assert [NAMES[message.sender] for message in messages] == [PEER, DOMAIN, KEY]


def test_what_is_never_let_in_is_given_up_after_five_days() -> None:
    nobody = replace(RULES, policy=Policy(accept=0.99, newcomer_messages=0))
    (played,) = play(Seen(1), rules=nobody)
    assert played.refused
    assert played.last.verdict is Verdict.TEMPFAIL
    assert QUEUE_SECONDS <= played.waited_seconds < QUEUE_SECONDS + 6 * HOUR
    assert play(Seen(0), rules=nobody)[0].waited_seconds == QUEUE_SECONDS


def test_what_still_waits_at_the_end_is_neither_in_nor_refused() -> None:
    nobody = replace(RULES, policy=Policy(accept=0.99, newcomer_messages=0))
    (played,) = play(Seen(1), rules=nobody, days=2)
    assert (played.let_in, played.refused, played.settled_at, played.waited_seconds) == (False, False, None, 0)


def test_unreachable_keyservers_put_mail_off_until_the_key_is_seen_to_pass() -> None:
    outage = [Seen(2, result=Result.TEMPERROR), Seen(3, result=Result.TEMPERROR, message=1)]
    played = play(*outage, Seen(20, message=2))
    assert [one.first.reason for one in played] == ["keyservers-unreachable"] * 2 + ["newcomer"]
    assert [one.settled_at for one in played[:2]] == [START + 24 * HOUR] * 2
    assert all(one.let_in for one in played)


def test_a_pass_before_the_outage_does_not_end_it() -> None:
    seen = [Seen(1, message=1), Seen(2, result=Result.TEMPERROR)]
    assert play(*seen, days=2)[1].settled_at is None
    assert play(*seen, days=9)[1].refused


def test_forged_mail_is_refused_and_unsigned_mail_judged_by_its_domain() -> None:
    forged, unsigned = play(Seen(1, result=Result.FAIL), Seen(2, DOMAIN, message=1))
    assert (forged.last.reason, forged.rating, forged.refused) == ("forged", None, True)
    assert (unsigned.last.reason, unsigned.rating) == ("unsigned-unrated", None)


def test_the_strict_profile_refuses_who_does_not_stand() -> None:
    strict = replace(RULES, policy=Policy(profile="strict"))
    assert reasons(play(Seen(1), Seen(1, DOMAIN, message=1), rules=strict)) == ["no-standing", "unsigned"]


def test_an_override_ends_between_two_ratings() -> None:
    allowed = Override(KEY, "allow", "a friend", UnixSeconds(START + 2 * HOUR))
    rules = replace(RULES, policy=Policy(overrides=(allowed,)))
    assert reasons(play(Seen(1), Seen(3, message=1), rules=rules)) == ["allowed", "newcomer"]


def test_no_anchor_is_an_error_as_it_is_in_scoring() -> None:
    anchors: Mapping[Identity, float] = {Identity.helo("nobody.example"): 1.0}
    with pytest.raises(NoAnchors):
        play(Seen(1), rules=replace(RULES, anchors=anchors))
