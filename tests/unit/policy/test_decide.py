"""The table of verdicts, row by row, and what holds for all evidence there can be."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.evidences import KEY, LATER, NOW, found, rated, signed
from trustgraph.model import Identity, Result, Standing, UnixSeconds
from trustgraph.policy.decide import REASONS, Policy, asks_for_allowance, decide, standing_under
from trustgraph.policy.decision import Verdict
from trustgraph.policy.evidence import Evidence
from trustgraph.policy.overrides import Override

STRICT, TRANSITION, MONITOR = Policy("strict"), Policy("transition"), Policy("monitor")

#: (name, evidence, under strict, under transition): verdict, SMTP code, enhanced code, reason.
ROWS = [
    ("broken", found(Result.PASS, broken="database"), *2 * ["tempfail 451 4.3.0 verifier-broken"]),
    ("temperror", found(Result.TEMPERROR), *2 * ["tempfail 451 4.7.5 keyservers-unreachable"]),
    ("fail by the client", found(Result.FAIL, by_client=True), *2 * ["reject 550 5.7.7 forged"]),
    ("permerror by the client", found(Result.PERMERROR, "expired", by_client=True), *2 * ["reject 550 5.7.7 forged"]),
    ("fail by another hop", found(Result.FAIL), "reject 550 5.7.7 forged", "accept unsigned-unrated"),
    ("permerror by another", found(Result.PERMERROR), "reject 550 5.7.7 forged", "accept unsigned-unrated"),
    (
        "fail by another hop, the client seen to sign",
        found(Result.FAIL, seen_to_sign=True),
        "reject 550 5.7.7 forged",
        "reject 550 5.7.0 signature-expected",
    ),
    ("replayed", signed(replayed=True), *2 * ["reject 550 5.7.7 replayed"]),
    (
        "key absent",
        found(Result.PERMERROR, "key-absent", by_client=True),
        "reject 550 5.7.0 key-absent",
        "accept unsigned-unrated",
    ),
    ("accepted", signed(0.5), *2 * ["accept accepted"]),
    ("probation", signed(0.3), "reject 550 5.7.1 no-standing", "tempfail 451 4.7.1 newcomer-allowance-used"),
    (
        "probation within the allowance",
        signed(0.3, allowance_left=True),
        "reject 550 5.7.1 no-standing",
        "accept newcomer",
    ),
    ("unrated", signed(None), "reject 550 5.7.1 no-standing", "tempfail 451 4.7.1 newcomer-allowance-used"),
    (
        "unrated within the allowance",
        signed(None, allowance_left=True),
        "reject 550 5.7.1 no-standing",
        "accept newcomer",
    ),
    ("refused", signed(0.05, allowance_left=True), *2 * ["reject 550 5.7.1 refused"]),
    (
        "a newcomer of a domain that is refused",
        signed(0.3, allowance_left=True, others=(rated(0.05, "dkim:peer.example"),)),
        *2 * ["reject 550 5.7.1 refused"],
    ),
    (
        "a newcomer of a domain that stands",
        signed(None, others=(rated(0.9, "dkim:peer.example"),)),
        "reject 550 5.7.1 no-standing",
        "accept known-otherwise",
    ),
    (
        "a newcomer of a domain that stands, from an address that is refused",
        signed(None, others=(rated(0.9, "dkim:peer.example"), rated(0.05, "ip:192.0.2.1"))),
        *2 * ["reject 550 5.7.1 refused"],
    ),
    (
        "a newcomer of a domain that no longer stands",
        signed(None, others=(rated(0.9, "dkim:peer.example", expires_at=NOW),)),
        "reject 550 5.7.1 no-standing",
        "tempfail 451 4.7.1 newcomer-allowance-used",
    ),
    (
        "accepted, although another identity is refused",
        signed(0.9, others=(rated(0.05, "dkim:peer.example"),)),
        *2 * ["accept accepted"],
    ),
    ("pass by nobody", Evidence(Result.PASS), *2 * ["reject 550 5.7.1 no-standing"]),
    ("none", found(Result.NONE), "reject 550 5.7.0 unsigned", "accept unsigned-unrated"),
    (
        "none, others accepted",
        found(Result.NONE, others=(rated(0.8, "dkim:peer.example"), rated(0.3, "ip:192.0.2.1"))),
        "reject 550 5.7.0 unsigned",
        "accept unsigned-accepted",
    ),
    (
        "none, one of the others refused",
        found(Result.NONE, others=(rated(0.8, "dkim:peer.example"), rated(0.05, "ip:192.0.2.1"))),
        "reject 550 5.7.0 unsigned",
        "reject 550 5.7.1 unsigned-refused",
    ),
    (
        "none, seen to sign",
        found(Result.NONE, seen_to_sign=True, others=(rated(0.8, "dkim:peer.example"),)),
        "reject 550 5.7.0 unsigned",
        "reject 550 5.7.0 signature-expected",
    ),
    ("neutral", found(Result.NEUTRAL), "reject 550 5.7.0 unsigned", "accept unsigned-unrated"),
    ("policy", found(Result.POLICY), "reject 550 5.7.0 unsigned", "accept unsigned-unrated"),
]


def told(evidence: Evidence, policy: Policy) -> str:
    decision = decide(evidence, policy, NOW)
    reply = f"{decision.reply.code} {decision.reply.enhanced} " if decision.reply else ""
    return f"{decision.verdict} {reply}{decision.reason}"


@pytest.mark.parametrize(("name", "evidence", "strict", "transition"), ROWS, ids=[row[0] for row in ROWS])
def test_the_table(name: str, evidence: Evidence, strict: str, transition: str) -> None:
    assert told(evidence, STRICT) == strict
    assert told(evidence, TRANSITION) == transition


@pytest.mark.parametrize(("name", "evidence", "strict", "transition"), ROWS, ids=[row[0] for row in ROWS])
def test_monitor_accepts_and_says_what_it_would_have_done(
    name: str, evidence: Evidence, strict: str, transition: str
) -> None:
    decision, otherwise = decide(evidence, MONITOR, NOW), decide(evidence, TRANSITION, NOW)
    if evidence.broken:
        assert decision == otherwise
        return
    assert decision.verdict is Verdict.ACCEPT
    assert decision.reply is None
    assert decision.would_be is otherwise.verdict
    assert decision.reason == otherwise.reason
    assert decision.tagged is (otherwise.tagged or otherwise.verdict is not Verdict.ACCEPT)


def test_what_may_be_set_otherwise() -> None:
    forged, newcomer = found(Result.FAIL, by_client=True), signed(0.3, allowance_left=True)
    assert told(forged, replace(STRICT, on_forged="discard")) == "discard forged"
    assert told(found(Result.TEMPERROR), replace(STRICT, on_unreachable="quarantine")) == (
        "quarantine keyservers-unreachable"
    )
    assert told(newcomer, replace(TRANSITION, on_newcomer="quarantine")) == "quarantine newcomer"
    body_too = replace(TRANSITION, headers_suffice=False)
    assert told(signed(headers_only=True), TRANSITION) == "accept accepted"
    assert told(signed(headers_only=True), body_too) == "accept unsigned-unrated"
    assert told(signed(headers_only=True), replace(body_too, profile="strict")) == "reject 550 5.7.0 headers-only"


def test_unsigned_newcomers_may_be_limited_too() -> None:
    limited = replace(TRANSITION, on_unsigned_newcomer="allowance")
    probation = (rated(0.3, "dkim:peer.example"),)
    assert told(found(Result.NONE, others=probation), limited) == "tempfail 451 4.7.1 unsigned-allowance-used"
    assert told(found(Result.NONE, allowance_left=True), limited) == "accept unsigned-unrated"
    assert decide(found(Result.NONE, allowance_left=True), limited, NOW).tagged
    held = replace(limited, on_newcomer="quarantine")
    assert told(found(Result.NONE, allowance_left=True), held) == "quarantine unsigned-unrated"
    assert told(found(Result.NONE), replace(held, on_unsigned_newcomer="tag")) == "accept unsigned-unrated"
    # Nothing else changes: who stands, who is refused, and whose signature is missing.
    for evidence in (
        found(Result.NONE, others=(rated(0.8, "dkim:peer.example"),)),
        found(Result.NONE, others=(rated(0.05, "dkim:peer.example"),)),
        found(Result.NONE, seen_to_sign=True),
        signed(None),
    ):
        assert told(evidence, limited) == told(evidence, TRANSITION)


def test_a_rating_that_has_run_out_lifts_nobody_and_a_bad_one_stays() -> None:
    assert standing_under(rated(0.9, expires_at=NOW), TRANSITION, NOW) is Standing.PROBATION
    assert standing_under(rated(0.9, expires_at=LATER), TRANSITION, NOW) is Standing.ACCEPTED
    assert standing_under(rated(0.05, expires_at=NOW), TRANSITION, NOW) is Standing.REFUSED
    assert standing_under(None, TRANSITION, NOW) is Standing.UNRATED


def override(match: str, action: str, **more: object) -> Policy:
    return Policy(overrides=(Override(match, action, "as agreed", **more),))  # type: ignore[arg-type]


def test_an_override_speaks_of_proved_names_only() -> None:
    for match in (str(KEY), "mx.peer.example", "peer.example", "ip:192.0.2.0/24"):
        assert told(signed(0.3, client_ip="192.0.2.9"), override(match, "allow")) == "accept allowed"
        assert told(signed(0.9, client_ip="192.0.2.9"), override(match, "deny")) == "reject 550 5.7.1 denied"
    assert decide(signed(0.9), override("peer.example", "deny"), NOW).note == "as agreed"
    forged = Evidence(Result.FAIL, by_client=True, client_host="mx.other.example")
    assert told(forged, override("peer.example", "deny")) == "reject 550 5.7.7 forged"
    assert told(signed(0.9), override("eer.example", "deny")) == "accept accepted"
    assert told(signed(0.9, client_ip="2001:db8::1"), override("ip:192.0.2.0/24", "deny")) == "accept accepted"


def test_a_name_that_a_key_gives_itself_helps_nobody() -> None:
    impostor = replace(signed(0.3), client_host="", responsible=rated(0.3, host="mx.bank.example"))
    assert told(impostor, override("bank.example", "allow")) == "tempfail 451 4.7.1 newcomer-allowance-used"
    assert told(impostor, override("bank.example", "monitor")) == "tempfail 451 4.7.1 newcomer-allowance-used"
    assert told(impostor, override("bank.example", "deny")) == "reject 550 5.7.1 denied"


def test_an_allowance_does_not_heal_a_wrong_signature() -> None:
    allow = override("mx.peer.example", "allow")
    assert told(found(Result.FAIL, by_client=True), allow) == "reject 550 5.7.7 forged"
    assert told(found(Result.TEMPERROR), allow) == "tempfail 451 4.7.5 keyservers-unreachable"
    assert told(signed(0.9, replayed=True), allow) == "reject 550 5.7.7 replayed"
    assert told(found(Result.NONE, seen_to_sign=True), allow) == "accept allowed"


def test_an_override_ends_and_may_name_a_profile() -> None:
    assert told(signed(0.9), override("peer.example", "deny", expires_at=NOW)) == "accept accepted"
    assert told(signed(0.9), override("peer.example", "deny", expires_at=LATER)) == "reject 550 5.7.1 denied"
    assert told(found(Result.NONE), override("peer.example", "strict")) == "reject 550 5.7.0 unsigned"
    assert told(found(Result.NONE, seen_to_sign=True), override("peer.example", "monitor")) == (
        "accept signature-expected"
    )
    assert told(found(Result.NONE, seen_to_sign=True), override("peer.example", "need-not-sign")) == (
        "accept unsigned-unrated"
    )


@given(st.deferred(lambda: EVIDENCE), st.deferred(lambda: POLICY))
def test_a_decision_asks_for_the_allowance_just_when_it_would_change(evidence: Evidence, policy: Policy) -> None:
    without, with_it = (decide(replace(evidence, allowance_left=left), policy, NOW) for left in (False, True))
    assert asks_for_allowance(without) is (without != with_it)


RATED = st.builds(
    rated,
    st.none() | st.floats(0, 1),
    st.sampled_from([str(KEY), "dkim:peer.example", "spf:peer.example", "ip:192.0.2.1"]),
    expires_at=st.sampled_from([UnixSeconds(0), NOW, LATER]),
)
EVIDENCE = st.builds(
    Evidence,
    st.sampled_from(Result),
    st.sampled_from(["", "key-absent", "expired"]),
    st.booleans(),
    st.none() | RATED,
    st.booleans(),
    st.lists(RATED, max_size=3).map(tuple),
    *3 * [st.booleans()],
    st.sampled_from(["", "", "", "disk"]),
    st.sampled_from(["", "mx.peer.example"]),
    st.sampled_from(["", "192.0.2.1", "2001:db8::1"]),
)
MATCHES = st.sampled_from(["peer.example", "example", str(KEY), "ip:192.0.2.0/24", "dkim:peer.example"])
OVERRIDES = st.builds(
    Override,
    MATCHES,
    st.sampled_from(["allow", "deny", "strict", "transition", "monitor", "need-not-sign"]),
    st.just(""),
    st.sampled_from([None, NOW, LATER]),
)
POLICY = st.builds(
    Policy,
    st.sampled_from(["strict", "transition", "monitor"]),
    on_unreachable=st.sampled_from(["tempfail", "quarantine"]),
    on_forged=st.sampled_from(["reject", "discard"]),
    on_newcomer=st.sampled_from(["tag", "quarantine"]),
    on_unsigned_newcomer=st.sampled_from(["tag", "allowance"]),
    headers_suffice=st.booleans(),
    overrides=st.lists(OVERRIDES, max_size=2).map(tuple),
)


@given(EVIDENCE, POLICY)
def test_every_evidence_has_one_decision_with_a_known_reason_and_a_reply_where_one_is_due(
    evidence: Evidence, policy: Policy
) -> None:
    decision = decide(evidence, policy, NOW)
    assert decision == decide(replace(evidence), policy, NOW)
    assert decision.reason in REASONS
    assert (decision.reply is not None) is (decision.verdict in (Verdict.REJECT, Verdict.TEMPFAIL))
    if decision.reply:
        assert (
            str(decision.reply.code)[0] == decision.reply.enhanced[0] == ("4", "5")[decision.verdict is Verdict.REJECT]
        )


@given(EVIDENCE, POLICY)
def test_strict_accepts_nothing_but_a_standing_or_the_operators_word(evidence: Evidence, policy: Policy) -> None:
    decision = decide(evidence, replace(policy, profile="strict"), NOW)
    profiles = {one.action for one in policy.overrides} & {"transition", "monitor"}
    if decision.verdict is Verdict.ACCEPT and not profiles:
        assert decision.reason in ("accepted", "allowed")
        assert evidence.broken == ""
        assert evidence.result not in (Result.TEMPERROR, Result.FAIL)
        if decision.reason == "accepted":
            assert evidence.result is Result.PASS
            assert evidence.responsible is not None
            assert evidence.responsible.rating is not None
            assert evidence.responsible.rating >= policy.accept


@given(EVIDENCE, POLICY)
def test_nothing_lifts_a_message_that_could_not_be_checked(evidence: Evidence, policy: Policy) -> None:
    assert decide(replace(evidence, broken="disk"), policy, NOW).verdict is Verdict.TEMPFAIL
    monitored = policy.profile == "monitor" or any(one.action == "monitor" for one in policy.overrides)
    if not monitored and not evidence.broken:
        verdict = decide(replace(evidence, result=Result.TEMPERROR), policy, NOW).verdict
        assert verdict in (Verdict.TEMPFAIL, Verdict.QUARANTINE, Verdict.REJECT)


@given(EVIDENCE, POLICY)
def test_a_signature_makes_nobody_wait_or_be_refused_whose_domain_stands(evidence: Evidence, policy: Policy) -> None:
    """Not under strict, where mail has to be signed, and not when the signer is known to be bad."""
    unsigned = replace(evidence, result=Result.NONE, responsible=None, seen_to_sign=False, replayed=False)
    signed_too = replace(unsigned, result=Result.PASS, responsible=rated(None))
    if decide(unsigned, replace(policy, overrides=()), NOW).reason == "unsigned-accepted":
        assert decide(signed_too, replace(policy, overrides=()), NOW).verdict is Verdict.ACCEPT or (
            evidence.headers_only and not policy.headers_suffice
        )


@given(EVIDENCE, POLICY)
def test_a_broken_signature_is_never_better_than_none(evidence: Evidence, policy: Policy) -> None:
    order = [Verdict.REJECT, Verdict.DISCARD, Verdict.TEMPFAIL, Verdict.QUARANTINE, Verdict.ACCEPT]
    unsigned = replace(evidence, result=Result.NONE, reason="", responsible=None, replayed=False, by_client=False)
    broken = replace(unsigned, result=Result.FAIL, by_client=evidence.by_client)
    worth = order.index(decide(broken, policy, NOW).verdict)
    assert worth <= max(order.index(decide(unsigned, policy, NOW).verdict), order.index(Verdict.DISCARD))


def test_evidence_defaults_to_what_accepts_nothing() -> None:
    assert {f.name for f in fields(Evidence) if f.default is True} == set()
    assert decide(Evidence(Result.NONE), STRICT, NOW).verdict is Verdict.REJECT
    assert Identity.openpgp("ab" * 20) == KEY
