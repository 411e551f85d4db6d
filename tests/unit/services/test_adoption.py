"""How much signing brings: small worlds made, ingested and replayed, held against counting message by message."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.unit.services.test_tuning import DOMAIN, KEY, MAIL, SETTINGS, past_of
from trustgraph.errors import BadInput
from trustgraph.lab.scenarios.base import QUICK
from trustgraph.model import Outcome, Result
from trustgraph.services.adoption import DKIM_ALONE, SIGNATURES, adoption, both_ways, signing, unsigned
from trustgraph.services.demo import Truth
from trustgraph.services.replay import play, rules_of

SMALL = replace(QUICK, relays=6, ring=3, messages=1_500)


def test_without_signatures_mail_is_judged_by_its_domain_alone() -> None:
    plain = unsigned(past_of(*MAIL))
    assert {(message.signer, message.result) for message in plain.messages} == {(-1, Result.NONE)}
    names = plain.record.identity_name
    assert {names[other] for message in plain.messages for other in message.others} == {DOMAIN}
    assert [message.outcome for message in plain.messages] == [message.outcome for message in past_of(*MAIL).messages]


def test_both_ways_are_counted_as_the_replay_has_them() -> None:
    past = past_of(*MAIL)
    table = both_ways(past, SETTINGS, every_seconds=6 * 3_600).set_index("by")
    for by, one in ((SIGNATURES, past), (DKIM_ALONE, unsigned(past))):
        played = play(one, rules_of(SETTINGS))
        good = [p for p in played if p.message.outcome is Outcome.GOOD]
        spam = [p for p in played if p.message.outcome in (Outcome.SPAM, Outcome.MALWARE)]
        reasons = Counter(p.last.reason for p in good)
        untagged = sum(p.let_in and not p.last.tagged for p in good)
        assert table.loc[by, "good_on_signature"] == pytest.approx(100 * reasons["accepted"] / len(good))
        assert table.loc[by, "good_untagged"] == pytest.approx(100 * untagged / len(good))
        assert table.loc[by, "spam_refused"] == pytest.approx(100 * sum(p.refused for p in spam) / len(spam))
    assert table.loc[DKIM_ALONE, "good_on_signature"] == 0.0 < table.loc[SIGNATURES, "good_on_signature"]
    assert "hosts_standing" not in table


def test_a_host_that_only_its_signature_makes_stand_does_not_stand_without() -> None:
    host = Truth("mx.sender.example", "honest", KEY, frozenset({str(KEY), str(DOMAIN)}))
    table = both_ways(past_of(*MAIL[:42]), SETTINGS, hosts=[host])
    assert list(table["hosts_standing"]) == [100.0, 0.0]
    assert list(table["bad_standing"]) == [0.0, 0.0]


def test_a_site_is_told_how_much_of_its_mail_is_signed() -> None:
    past = past_of(*MAIL)
    told = signing(past)
    assert (told["operators"], told["operators that sign, %"], told["messages"]) == (1, 100.0, len(MAIL))
    assert told["messages signed, %"] == pytest.approx(100 * (len(MAIL) - 3) / len(MAIL))
    assert signing(unsigned(past))["messages signed, %"] == 0.0


def test_more_good_mail_is_accepted_on_its_signature_as_more_hosts_sign() -> None:
    table = adoption([0.01, 1.0], SMALL)
    assert list(table["signing"]) == [1.0, 1.0, 100.0, 100.0]
    assert list(table["by"]) == [SIGNATURES, DKIM_ALONE] * 2
    on_signature = table.set_index(["signing", "by"])["good_on_signature"]
    assert on_signature[1.0, SIGNATURES] < on_signature[100.0, SIGNATURES]
    assert on_signature[100.0, DKIM_ALONE] == 0.0
    assert table.drop(columns=["by"]).to_numpy().min() >= 0.0
    assert table.drop(columns=["by"]).to_numpy().max() <= 100.0
    assert (table["bad_standing"] <= table["hosts_standing"]).all()


def test_a_share_out_of_bounds_is_refused() -> None:
    with pytest.raises(BadInput, match=r"0\.01 to 1"):
        adoption([0.0], SMALL)
