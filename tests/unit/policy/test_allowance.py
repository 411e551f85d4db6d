"""How much newcomers may send: more for good mail on record, for nothing else; strangers never take it all."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.evidences import KEY, NOW, found, rated, signed
from trustgraph.model import Day, Identity, Result
from trustgraph.policy.allowance import Allowance, Draw, Tally, allowance_of, draw_for
from trustgraph.policy.decide import Policy
from trustgraph.policy.evidence import Evidence

POLICY = Policy(accept=0.5, refuse=0.1, newcomer_messages=50, newcomer_messages_in_all=2_000, newcomer_growth=10.0)
TODAY = Day(20_000)
HALF = {"all signed": 2_000, "all signed strangers": 1_000}
WHOLE = {"all signed": 2_000}


def signed_at(rating: float | None, **more: Any) -> Evidence:
    return replace(signed(rating), responsible=rated(rating, **more))


@pytest.mark.parametrize(
    ("rating", "more", "each", "shared", "earned_by"),
    [
        (None, {}, 50, HALF, None),
        (0.1, {}, 50, HALF, None),
        (0.139, {}, 50, HALF, None),  # a tenth of the way: nothing good is known yet
        (0.2, {}, round(50 * 3.25), WHOLE, KEY),
        (0.3, {}, round(50 * 5.5), WHOLE, KEY),
        (0.5, {}, 500, WHOLE, KEY),
        (0.9, {"expires_at": NOW}, 500, WHOLE, KEY),  # a good rating that has run out
        (0.3, {"confidence": 0.0}, 50, HALF, None),  # no evidence either way: what an algorithm gives everybody
        (0.05, {}, 50, HALF, None),
    ],
)
def test_good_mail_on_record_buys_more(
    rating: float | None, more: dict[str, Any], each: int, shared: dict[str, int], earned_by: Identity | None
) -> None:
    evidence = signed(rating)
    if more:
        evidence = replace(evidence, responsible=replace(signed(rating).responsible or rated(), **more))
    assert allowance_of(evidence, POLICY) == Allowance(each, shared, earned_by)


def test_growth_can_be_turned_off_and_nothing_let_in() -> None:
    assert allowance_of(signed(0.3), replace(POLICY, newcomer_growth=1.0)).each == 50
    assert allowance_of(signed(0.3), replace(POLICY, newcomer_messages=0)).each == 0


def test_unsigned_mail_has_a_pool_of_its_own_and_grows_with_its_best_identity() -> None:
    others = (rated(0.12, "ip:192.0.2.1"), rated(0.3, "dkim:peer.example"))
    unsigned = Allowance(275, {"all unsigned": 2_000}, Identity.dkim("peer.example"))
    assert allowance_of(found(Result.NONE, others=others), POLICY) == unsigned
    strangers = {"all unsigned": 2_000, "all unsigned strangers": 1_000}
    assert allowance_of(found(Result.NONE), POLICY) == Allowance(50, strangers)
    # A signature that does not count here makes a message no less unsigned.
    header_only = replace(signed(0.4, headers_only=True), others=others)
    assert allowance_of(header_only, replace(POLICY, headers_suffice=False)) == unsigned


def test_a_draw_is_from_every_payer_and_from_who_earned_it() -> None:
    allowance = Allowance(7, {"all signed": 9}, KEY)
    limits = {"peer.example": 7, "ip:192.0.2.1": 7, "all signed": 9}
    assert draw_for(allowance, ["peer.example", "ip:192.0.2.1"], TODAY, 3) == Draw(TODAY, 3, {KEY: 7, **limits})
    through_others = draw_for(allowance, ["peer.example", "ip:192.0.2.1"], TODAY, 3, direct=False)
    assert through_others == Draw(TODAY, 3, {f"{KEY} elsewhere": 7, **limits})
    assert draw_for(Allowance(7, {"all signed": 9}), ["peer.example"], TODAY, 0).recipients == 1


def test_strangers_leave_half_to_those_with_good_mail() -> None:
    tally, policy = Tally(), replace(POLICY, newcomer_messages=10, newcomer_messages_in_all=40)

    def let_in(rating: float | None, hosts: range) -> int:
        allowance = allowance_of(signed(rating), policy)
        allowance = replace(allowance, earned_by=None)  # many hosts, one evidence
        return sum(tally.admit(draw_for(allowance, [f"h{n}.example"], TODAY)) for n in hosts for _ in range(10))

    assert let_in(None, range(100)) == 20
    assert let_in(0.3, range(100, 200)) == 20
    assert let_in(0.3, range(200, 300)) == 0


def test_those_with_good_mail_leave_strangers_what_they_do_not_use() -> None:
    tally = Tally()
    known = allowance_of(signed(0.5), replace(POLICY, newcomer_messages_in_all=100))
    assert sum(tally.admit(draw_for(known, ["a.example"], TODAY)) for _ in range(90)) == 90
    stranger = allowance_of(signed(None), replace(POLICY, newcomer_messages_in_all=100))
    assert sum(tally.admit(draw_for(stranger, ["b.example"], TODAY)) for _ in range(90)) == 10


RATINGS = st.none() | st.floats(0.0, 1.0)
POLICIES = st.builds(
    Policy,
    refuse=st.floats(0.0, 0.4),
    accept=st.floats(0.45, 1.0),
    newcomer_messages=st.integers(0, 12),
    newcomer_messages_in_all=st.integers(0, 60),
    newcomer_growth=st.floats(1.0, 20.0),
)


@given(POLICIES, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_better_rating_never_buys_less_and_never_more_than_the_growth(
    policy: Policy, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    worse, better = allowance_of(signed(less), policy), allowance_of(signed(more), policy)
    assert policy.newcomer_messages <= worse.each <= better.each
    assert better.each <= round(policy.newcomer_messages * policy.newcomer_growth)
    assert worse.shared.keys() >= better.shared.keys()


#: (domain, host in it, key, rating, recipients)
MAIL = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 99), RATINGS, st.integers(0, 4)), max_size=150
)


@given(POLICIES, MAIL)
def test_new_keys_and_hosts_buy_no_volume(policy: Policy, mail: list[tuple[int, int, int, float | None, int]]) -> None:
    """However many of them: a domain has what its best host has, and all together what the site gives."""
    tally, let_in, strangers = Tally(), Counter[int](), 0
    best: dict[int, int] = {}
    for domain, host, key, rating, recipients in mail:
        evidence = replace(
            signed(rating), responsible=rated(rating, f"openpgp:{key:040x}"), client_host=f"mx{host}.d{domain}.example"
        )
        allowance = allowance_of(evidence, policy)
        best[domain] = max(best.get(domain, 0), allowance.each)
        if tally.admit(draw_for(allowance, [f"d{domain}.example", f"ip:192.0.2.{host}"], TODAY, recipients)):
            let_in[domain] += max(recipients, 1)
            strangers += max(recipients, 1) * (not allowance.earned_by)
    assert all(let_in[domain] <= best[domain] for domain in let_in)
    assert sum(let_in.values()) <= policy.newcomer_messages_in_all
    assert strangers <= policy.newcomer_messages_in_all / 2


@given(POLICIES, st.lists(st.tuples(st.integers(0, 99), st.integers(1, 4)), max_size=80))
def test_an_unrated_domain_has_one_allowance_whatever_keys_it_makes(
    policy: Policy, mail: list[tuple[int, int]]
) -> None:
    tally = Tally()
    let_in = sum(
        recipients
        for key, recipients in mail
        if tally.admit(
            draw_for(
                allowance_of(signed_at(None, name=f"openpgp:{key:040x}"), policy), ["d.example"], TODAY, recipients
            )
        )
    )
    assert let_in <= policy.newcomer_messages
