"""What the verifier writes can be read by RFC 8601, and what others write in its name is taken out."""

from __future__ import annotations

import re

import pytest

from tests.unit.policy.evidences import found, rated, signed
from tests.unit.verifier.scripted import FP
from trustgraph.headersig.checking import Finding, Presented
from trustgraph.headersig.field import HeaderSignature
from trustgraph.ingest.formats.auth_results_field import parse_field
from trustgraph.model import Result, Standing, UnixSeconds
from trustgraph.policy.decide import REASONS, Policy, decide
from trustgraph.policy.decision import Decision, Verdict
from trustgraph.verifier.examine import Checked
from trustgraph.verifier.results import forged_results, render_results

US = "mx1.example.org"
NOW = UnixSeconds(1_790_000_000)


def checked(result: Result, reason: str = "", domain: str = "mx.peer.example") -> Checked:
    signature = HeaderSignature(domain, FP, NOW, NOW, (b"from",), b"n" * 8, b"s")
    return Checked(Presented(b"", signature), Finding(result, reason))


def test_a_pass_with_its_rating() -> None:
    evidence = signed(0.8714)
    value = render_results(US, [checked(Result.PASS)], evidence, decide(evidence, Policy(), NOW))
    field = parse_field(value)
    assert field.authserv_id == US
    assert [(one.method, one.result, one.properties) for one in field.results] == [
        ("x-pgp-header", "pass", {"header.d": "mx.peer.example", "header.fp": FP}),
        ("x-trustgraph", "accepted", {"policy.rating": "0.871"}),
    ]


def test_several_signatures_malformed_ones_too_and_none() -> None:
    evidence = found(Result.FAIL, "body-altered")
    decision = decide(evidence, Policy(), NOW)
    malformed = Checked(Presented(b"", None), Finding(Result.PERMERROR, "malformed-signature"))
    several = render_results(US, [checked(Result.FAIL, "body-altered"), malformed], evidence, decision)
    assert [one.result for one in parse_field(several).results] == ["fail", "permerror", "unrated"]
    assert b'reason="body-altered"' in several
    none = render_results(US, [], found(Result.NONE), decide(found(Result.NONE), Policy(), NOW))
    (first, _) = parse_field(none).results
    assert (first.method, first.result) == ("x-pgp-header", "none")


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("standing", [None, *Standing])
def test_every_reason_under_every_standing_can_be_read(reason: str, standing: Standing | None) -> None:
    decision = Decision(Verdict.ACCEPT, reason, standing, would_be=Verdict.REJECT)
    many = [checked(Result.PERMERROR, "signed-in-the-future", "a" * 60 + "." + "b" * 60 + ".example")] * 3
    value = render_results(US, many, signed(0.123), decision)
    (*_, ours) = parse_field(value).results
    assert (ours.method, ours.result) == ("x-trustgraph", standing or "none")
    assert ours.properties == {"policy.rating": "0.123", "policy.would-be": "reject"}
    assert max(map(len, value.split(b"\r\n"))) < 250
    assert all(line[:1] in (b"\t",) for line in value.split(b"\r\n")[1:])
    assert not re.search(rb"[^\x20-\x7e\r\n\t]", value)


def test_monitor_says_what_it_would_have_done() -> None:
    evidence = found(Result.FAIL, by_client=True)
    value = render_results(US, [], evidence, decide(evidence, Policy("monitor"), NOW))
    (_, ours) = parse_field(value).results
    assert (ours.result, ours.properties) == ("none", {"policy.would-be": "reject"})
    assert b'reason="forged"' in value


def test_an_unrated_host_has_no_number() -> None:
    evidence = signed(None, allowance_left=True)
    value = render_results(US, [checked(Result.PASS)], evidence, decide(evidence, Policy(), NOW))
    assert parse_field(value).results[1].properties == {}
    assert rated(None).rating is None


FORGED = [
    b"mx1.example.org; x-pgp-header=pass",
    b" mx1.example.org; x-pgp-header=pass",
    b"MX1.Example.ORG; x-pgp-header=pass",
    b"mx1.example.org;x-pgp-header=pass",
    b"mx1.example.org 1; x-pgp-header=pass",
    b"mx1.example.org 2; x-pgp-header=pass",
    b"mx1.example.org 99999; x-pgp-header=pass",
    b"mx1.example.org.; x-pgp-header=pass",
    b"(comment) mx1.example.org (another (nested)) 1; x-pgp-header=pass",
    b"(a) (b; c) mx1.example.org; x-pgp-header=pass",
    b"\r\n\tmx1.example.org;\r\n\tx-pgp-header=pass",
    b"\n mx1.example.org;\n x-pgp-header=pass",
    b'"mx1.example.org"; x-pgp-header=pass',
    b'"mx1.exam\\ple.org"; x-pgp-header=pass',
    b' "MX1.example.org" 1 ; x-pgp-header=pass',
    b"mx1.example.org",
    b"mx1.example.org; none",
    b"mx1.example.org; dkim=pass (unclosed",
    b"mx1.example.org (unclosed; x-pgp-header=pass",
    b'mx1.example.org; x="unclosed',
    b"mx1.example.org) ; x-pgp-header=pass",
    b"mx1.example.org x y z; x-pgp-header=pass",
    b"mx1 . example . org; x-pgp-header=pass",
    b"mx1(x).example.(y)org; x-pgp-header=pass",
    b"mx1.example\r\n .org; x-pgp-header=pass",
    b'mx1."example".org; x-pgp-header=pass',
    b"(" * 5000 + b"mx1.example.org; x-pgp-header=pass",
    b"mx1.example.org; " + b"x" * 70_000,
    b"m\0x1.example.org; x-pgp-header=pass",
]


@pytest.mark.parametrize("value", FORGED, ids=range(len(FORGED)))
def test_a_forged_one_is_taken_out(value: bytes) -> None:
    assert forged_results([(b"Authentication-Results", value)], US) == [1]


OTHERS = [
    b"mx2.example.org; x-pgp-header=pass",
    b"xmx1.example.org; dkim=pass",
    b"mx1.example.org.evil.example; dkim=pass",
    b"mx2.example.org; dkim=pass header.d=mx1.example.org",
    b"mx2.example.org; dkim=pass (mx1.example.org)",
    b"(mx1.example.org) mx2.example.org; dkim=pass",
    b"nonsense (",
    b"",
]


@pytest.mark.parametrize("value", OTHERS, ids=range(len(OTHERS)))
def test_those_of_others_stay(value: bytes) -> None:
    assert forged_results([(b"Authentication-Results", value)], US) == []


def test_they_are_counted_from_the_top_and_named_from_the_bottom() -> None:
    ours, theirs = b"mx1.example.org; none", b"mx2.example.org; none"
    fields = [
        (b"Received", ours),
        (b"Authentication-Results", ours),
        (b"AUTHENTICATION-RESULTS", theirs),
        (b"authentication-results", ours),
        (b"Authentication-Results ", ours),
        (b"X-Authentication-Results", ours),
        (b"Authentication-Results", ours),
    ]
    assert forged_results(fields, US) == [5, 4, 3, 1]
    assert forged_results(fields, "MX1.example.org") == [5, 4, 3, 1]
    assert forged_results(fields, US, ["rspamd.example"]) == [5, 4, 3, 1]
    assert forged_results(fields, US, ["Mx1.example.org"]) == []  # an earlier filter writes under this name


def test_a_hostile_field_costs_little() -> None:
    """Anything but linear would take hours."""
    for value in (b"(" * 500_000, b"\\" * 500_000, b"()" * 250_000, b'"' * 500_000, b"(a" * 250_000 + b")" * 250_000):
        forged_results([(b"Authentication-Results", value + b"mx1")], US)
