"""Authentication-Results: the field's syntax, which fields are believed, and the mbox around them."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.unit.ingest.mail_log_cases import GOLDEN, parse, shown, told
from trustgraph.errors import BadInput
from trustgraph.ingest.formats.auth_results import PARSERS, observations_in
from trustgraph.ingest.formats.auth_results_field import MAX_FIELD_BYTES, parse_field
from trustgraph.ingest.formats.base import LogContext, LogParser, Reject
from trustgraph.ingest.formats.mbox import MAX_HEADER_BYTES
from trustgraph.model import Observation, Outcome, UnixSeconds

EML, MBOX = PARSERS
CONTEXT = LogContext(authserv_ids=frozenset({"mx1.example.org"}))
BORDER = b"Received: from x (mail.example.net [192.0.2.1]) by mx1.example.org; Tue, 03 Nov 2026 04:05:06 +0000\n"
FORGED = b"Authentication-Results: mx1.example.org; dkim=pass header.d=bank.example\n"


def results(text: str) -> bytes:
    return b"Authentication-Results: mx1.example.org; " + text.encode() + b"\n"


@pytest.mark.parametrize(("parser", "name"), [(MBOX, "border.mbox"), (EML, "message.eml")])
def test_golden(parser: LogParser, name: str) -> None:
    lines = (GOLDEN / "auth_results" / name).read_bytes().splitlines()
    reason, *expected = (GOLDEN / "auth_results" / f"{name}.expected").read_text().splitlines()
    assert reason.startswith("# ")
    assert shown(parse(parser, *lines, context=CONTEXT)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dkim=pass header.d=example.org", [("dkim:example.org", "pass")]),
        ("dkim=pass header.i=joe@mail.example.org", [("dkim:mail.example.org", "pass")]),
        ("dkim=none (no signature)", []),
        ("DKIM = Policy ( a (nested\\)) one ) Header . D = Example.ORG;", [("dkim:example.org", "policy")]),
        ('dkim=fail reason="a; dkim=pass" header.d=example.org', [("dkim:example.org", "fail")]),
        ("spf=softfail smtp.mailfrom=a@example.org", [("spf:example.org", "policy")]),
        ("spf=hardfail smtp.mailfrom=example.org", [("spf:example.org", "fail")]),
        ('spf=pass smtp.mailfrom="a b;c"@example.org', [("spf:example.org", "pass")]),
        ("spf=pass smtp.helo=mx.example.org", [("helo:mx.example.org", "pass")]),
        ("iprev=pass policy.iprev=2001:db8::1", [("ip:2001:db8::1", "pass")]),
        ('iprev=fail policy.iprev="2001:db8::1"', [("ip:2001:db8::1", "fail")]),
        (f"x-pgp-header=pass header.d=a.example header.fp={'A' * 40}", [("openpgp:" + "a" * 40, "pass")]),
        ("dmarc=pass header.from=example.org; arc=pass; auth=pass smtp.auth=joe; x-trustgraph=0.87", []),
        ("none", []),
        ("dkim=pass header.d=a.example; dkim=fail header.d=a.example", [("dkim:a.example", "pass")]),
    ],
)
def test_methods(text: str, expected: list[tuple[str, str]]) -> None:
    found = list(observations_in(results(text) + BORDER, CONTEXT))
    assert told(found) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (BORDER + FORGED.replace(b"mx1", b"mx2"), []),
        (BORDER + b"From: a@bank.example\n" + FORGED, []),
        (BORDER + FORGED.replace(b"mx1", b"mx2") + FORGED, []),
        (BORDER + BORDER + FORGED, []),
        (BORDER + results("dkim=none") + FORGED, []),
        (BORDER + results("spf=pass smtp.helo=a.example") + FORGED, ["helo:a.example", "dkim:bank.example"]),
        (BORDER.replace(b"from x", b"from mx1.example.org") + BORDER + FORGED, []),
        (BORDER.replace(b"from x", b"from a with LMTP by b") + BORDER + FORGED, []),
        # A relay of our own vouches for what is below its Received field.
        (BORDER.replace(b"mail.example.net", b"mx1.example.org") + BORDER + FORGED, ["dkim:bank.example"]),
        (BORDER.replace(b"192.0.2.1", b"127.0.0.1") + BORDER + FORGED, ["dkim:bank.example"]),
    ],
)
def test_only_what_our_border_wrote_is_believed(header: bytes, expected: list[str]) -> None:
    assert [name for name, _ in told(observations_in(header, CONTEXT))] == expected


def test_nothing_is_believed_without_a_border() -> None:
    (found,) = observations_in(FORGED, CONTEXT)
    assert isinstance(found, Reject)
    assert list(observations_in(BORDER + FORGED, LogContext())) == []


def test_observation() -> None:
    header = results("dkim=pass header.d=example.org") + BORDER + b"Message-ID:\n <m@example.org>\n"
    (found,) = observations_in(header, CONTEXT, filed_at=UnixSeconds(7), outcome=Outcome.SPAM)
    assert isinstance(found, Observation)
    assert (found.observed_at, found.observer, found.message) == (1793678706, "mx1.example.org", "<m@example.org>")
    assert (found.outcome, found.host, found.client_ip) == (Outcome.SPAM, "mail.example.net", "192.0.2.1")


def test_date_is_not_a_time_of_arrival() -> None:
    header = results("dkim=pass header.d=example.org") + BORDER.replace(b"Tue", b"?") + b"Date: Tue, 03 Nov 2026\n"
    header = header.replace(b"03 Nov 2026 04:05:06", b"")
    (found,) = observations_in(header, CONTEXT)
    assert isinstance(found, Reject)
    assert found.reason.startswith("no time of arrival")
    (filed,) = observations_in(header, CONTEXT, filed_at=UnixSeconds(7))
    assert isinstance(filed, Observation)
    assert filed.observed_at == 7


def test_one_odd_name_hides_no_other() -> None:
    header = results("dkim=pass header.d=a..b; dkim=pass header.d=example.org; spf=odd smtp.helo=a.example") + BORDER
    names = [name for name, _ in told(observations_in(header, CONTEXT))]
    assert names == ["dkim:example.org", "reject", "reject"]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"mx1.example.org",
        b"mx1.example.org;",
        b"mx1.example.org 2; none",
        b"mx1.example.org; dkim",
        b"mx1.example.org; dkim= header.d=example.org",
        b"mx1.example.org; dkim/2=pass",
        b'mx1.example.org; dkim=pass header.d="exa',
        b"mx1.example.org; dkim=pass header.d",
        b"mx1.example.org; dkim=pass (never closed",
        b"mx1.example.org; dkim=pass never opened)",
        b"mx1.example.org; none; dkim=pass",
        b"mx1.example.org; " + b"x" * MAX_FIELD_BYTES,
    ],
)
def test_malformed_fields(value: bytes) -> None:
    with pytest.raises(BadInput):
        parse_field(value)


@pytest.mark.timeout(60)  # what is quadratic takes minutes, what nests too deep raises
@pytest.mark.parametrize("unit", [b"(", b"()", b'"', b'""', b"a.b=c ", b"\\", b";", b" ", b"a", b"(a\\", b"a=b;", b"="])
def test_the_longest_field_takes_linear_time(unit: bytes) -> None:
    value = b"mx1.example.org; dkim=pass " + unit * (60_000 // len(unit))
    with suppress(BadInput):
        parse_field(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mx1.example.org; none", []),
        (
            "MX1.example.org 1; dkim=pass (2048-bit key) header.d=example.org header.b=ab/cd+=",
            [("dkim", "pass", {"header.d": "example.org", "header.b": "ab/cd+="})],
        ),
        (
            'mx1.example.org; spf=pass smtp.mailfrom="a b;dkim=pass"@example.org; auth=pass smtp.auth=joe',
            [
                ("spf", "pass", {"smtp.mailfrom": '"a b;dkim=pass"@example.org'}),
                ("auth", "pass", {"smtp.auth": "joe"}),
            ],
        ),
        (
            'mx1.example.org; dkim=fail (a) (b) reason="bad; worse" header.d="example.org" header.d=a.example;',
            [("dkim", "fail", {"header.d": "example.org"})],
        ),
    ],
)
def test_fields(value: str, expected: list[tuple[str, str, dict[str, str]]]) -> None:
    field = parse_field(value.encode())
    assert field.authserv_id == "mx1.example.org"
    assert [tuple(info) for info in field.results] == expected


def test_a_header_without_end_is_bounded() -> None:
    separator = b"From a@example.org Tue Nov  3 04:05:07 2026"
    endless = [b"X: " + b"x" * 1000] * (MAX_HEADER_BYTES // 1000 + 1)
    good = [*(results("dkim=pass header.d=example.org") + BORDER).splitlines(), b""]
    found = parse(MBOX, separator, *endless, b"", separator, *good, context=CONTEXT)
    assert [name for name, _ in told(found)] == ["reject", "dkim:example.org"]
    (fault, *_) = parse(EML, *endless, *endless, context=CONTEXT)
    assert isinstance(fault, Reject)


def test_recognises() -> None:
    separator = b"From a@example.org Tue Nov  3 04:05:07 2026"
    assert (MBOX.recognises(separator), EML.recognises(separator)) == (True, False)
    assert (MBOX.recognises(b"From here on"), EML.recognises(b"From: a@example.org")) == (False, False)
    assert MBOX.recognises(BORDER)
    assert EML.recognises(BORDER)
    assert not EML.recognises(b"Nov  3 04:05:06 mx1 opendkim[1]: 4ABC: s=s d=example.org SSL")
    assert not EML.recognises(b'{"at":"2026-11-01T10:00:00Z"}')
