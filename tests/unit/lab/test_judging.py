"""Gates judged by the truth: each mistake in its own column, each time from its own beginning."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from trustgraph.lab.judging import Course, Judgement, TrueMessage, judge
from trustgraph.lab.summary import Case, better_than, estimate, summarise
from trustgraph.lab.world import Kind
from trustgraph.model import Outcome, Result, UnixSeconds
from trustgraph.policy.decide import Decision
from trustgraph.policy.decision import Verdict
from trustgraph.policy.recorded import RecordedMessage
from trustgraph.policy.replay import Played

HOUR = 3_600
KINDS = (Kind.HONEST, Kind.RELAY, Kind.TRAITOR, Kind.NEWCOMER)
HONEST, RELAY, TRAITOR, NEWCOMER = range(4)
IN = Decision(Verdict.ACCEPT, "accepted")
OUT = Decision(Verdict.REJECT, "refused")
TAGGED = Decision(Verdict.ACCEPT, "newcomer", tagged=True)
LATER = Decision(Verdict.TEMPFAIL, "newcomer-allowance-used")


def came(hours: float, last: Decision = IN, waited_hours: float | None = 0) -> Played:
    """A message ``hours`` after the start; None as the waiting time: it still waits."""
    at = UnixSeconds(int(hours * HOUR))
    message = RecordedMessage(at, 0, 0, Result.PASS, (), Outcome.UNKNOWN)
    first = last if waited_hours == 0 else LATER
    settled = None if waited_hours is None else UnixSeconds(int(at + waited_hours * HOUR))
    return Played(message, first, last, None, settled)


def course(**flags: dict[int, tuple[int, ...]]) -> Course:
    """Steps every six hours for four days; for each host the steps at which the flag is up."""
    at = np.arange(0, 96 * HOUR, 6 * HOUR)
    up = {name: np.zeros((len(at), len(KINDS)), dtype=np.bool_) for name in ("accepted", "refused")}
    for name, hosts in flags.items():
        for host, steps in hosts.items():
            up[name][list(steps), host] = True
    return Course(at, **up)


def judged(*messages: tuple[Played, int, bool], at: Course | None = None) -> Judgement:
    truth = [TrueMessage(spam, host) for _, host, spam in messages]
    return judge([played for played, _, _ in messages], truth, KINDS, at or course())


def test_every_fate_has_its_column() -> None:
    one = judged(
        (came(1), HONEST, False),
        (came(1, OUT), HONEST, False),
        (came(1, LATER, 120), HONEST, False),  # given up
        (came(1, IN, 6), HONEST, False),
        (came(1, LATER, None), HONEST, False),
        (came(1), RELAY, True),
        (came(1, IN, 6), RELAY, True),
        (came(1, OUT), RELAY, True),
        (came(1, LATER, None), RELAY, True),
        (came(1, LATER, 120), RELAY, True),
    )
    assert (one.good, one.good_refused, one.good_delayed) == (5, 2, 2)
    assert (one.spam, one.spam_let_in) == (5, 2)
    assert one.cost == pytest.approx(1_000 * (2 * 10 + 2 * 0.2 + 2) / 10)


def test_tagged_mail_costs_less_than_spam_let_in_and_more_than_good_mail_delivered() -> None:
    one = judged(
        (came(1, TAGGED), HONEST, False),
        (came(1, TAGGED), RELAY, True),
        (came(1, TAGGED, 6), RELAY, True),
        (came(1, TAGGED, 6), HONEST, False),
    )
    assert (one.spam_let_in, one.spam_tagged, one.good_tagged, one.good_delayed) == (2, 1, 1, 1)
    assert one.cost == pytest.approx(1_000 * (1 + 0.5 + 0.2 + 0.1) / 4)


def test_good_mail_that_covers_spam_is_nobodys_loss() -> None:
    mail = [(came(hour, OUT), hour == 2) for hour in (1, 2, 3)]
    assert judged(*((played, RELAY, spam) for played, spam in mail)).good_refused == 1
    assert judged(*((played, TRAITOR, spam) for played, spam in mail)).good_refused == 1
    assert judged(*((played, HONEST, spam) for played, spam in mail)).good_refused == 2


def test_hosts_are_counted_by_kind_as_they_stood_at_the_end() -> None:
    one = judged((came(1), HONEST, False), at=course(accepted={HONEST: (0, 15), RELAY: (3,), NEWCOMER: (15,)}))
    assert one.hosts == {"honest": 1, "relay": 1, "traitor": 1, "newcomer": 1}
    assert one.accepted == {"honest": 1, "newcomer": 1}


def test_a_relay_is_refused_so_many_hours_after_its_first_spam() -> None:
    sent = [(came(1), RELAY, False), (came(7), RELAY, True), (came(20), RELAY, True)]
    assert judged(*sent, at=course(refused={RELAY: (0, 5, 6)})).hours_to_refusal == [23]
    assert judged(*sent).hours_to_refusal == [inf]
    assert judged((came(7), HONEST, True), (came(7), RELAY, False)).hours_to_refusal == []


def test_a_traitors_spam_is_counted_until_it_no_longer_stands() -> None:
    sent = [(came(hour), TRAITOR, hour > 10) for hour in (1, 11, 12, 17, 20)]
    stands = course(accepted={TRAITOR: (0, 1, 2)})
    assert judged(*sent, at=stands).spam_before_fall == [3]
    assert judged(*sent, at=course(accepted={TRAITOR: tuple(range(16))})).spam_before_fall == [4]
    assert judged(*sent, at=stands).hours_to_refusal == []


def test_a_newcomer_stands_so_many_days_after_its_first_mail() -> None:
    assert judged((came(6), NEWCOMER, False), at=course(accepted={NEWCOMER: (0, 13)})).days_to_stand == [3]
    assert judged((came(6), NEWCOMER, False)).days_to_stand == [inf]
    assert judged((came(6), HONEST, False)).days_to_stand == []


def case(scenario: str, algorithm: str, seed: int, spam_let_in: int) -> Case:
    nothing = Judgement(100, 100, 0, 0, 0, 0, 0, {"relay": 2}, {"relay": 1}, [10.0, inf], [seed], [29.0, 31.0, inf])
    return Case(scenario, seed, algorithm, replace(nothing, spam_let_in=spam_let_in))


def test_rows_are_means_over_worlds() -> None:
    (row,) = summarise([case("ring", "ours", seed, spam) for seed, spam in enumerate((1, 2, 6))])
    assert (row.worlds, row.spam_let_in, row.accepted) == (3, 9 / 300, {"relay": 0.5})
    assert row.cost.mean == pytest.approx(15)
    assert row.cost.error == pytest.approx(np.std([5, 10, 30], ddof=1) / 3**0.5)
    assert (row.refused_in_48_hours, row.spam_before_fall, row.stands_in_30_days) == (0.5, 2, pytest.approx(1 / 3))
    assert row.days_to_stand == 31


def test_better_is_what_saves_more_than_noise_in_the_same_worlds() -> None:
    ours = [case("ring", "ours", seed, 10 * seed + 5) for seed in range(4)]
    a_bit = [case("ring", "bit", seed, 10 * seed + 4) for seed in range(4)]
    noisy = [case("ring", "noisy", seed, 10 * seed + 5 + (9 if seed % 2 else -10)) for seed in range(4)]
    worse = [case("ring", "worse", seed, 10 * seed + 6) for seed in range(4)]
    (better,) = better_than([*ours, *a_bit, *noisy, *worse], "ours")
    assert (better.scenario, better.algorithm, better.saved.mean) == ("ring", "bit", pytest.approx(5))


def test_one_world_shows_no_noise_and_so_nobody_to_be_better() -> None:
    ours, less = (case("ring", name, 1, spam) for name, spam in (("ours", 9), ("less", 1)))
    assert better_than([ours, less], "ours") == []
    # Nor do two, of which the default was tried in one only.
    assert better_than([ours, less, replace(less, seed=2)], "ours") == []


def test_nothing_has_no_mean() -> None:
    assert (estimate([]).mean, estimate([3.0]).error) == (0.0, 0.0)
