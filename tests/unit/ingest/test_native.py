"""The native format: what it takes, what it refuses, and that it reads what it writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.ingest.formats import PARSERS, detect
from trustgraph.ingest.formats.base import LogContext, Reject, line_reference
from trustgraph.ingest.formats.native import NativeParser, encode
from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds

GOOD = (
    b'{"at":"2026-11-01T10:00:00Z","observer":"mx1.example.org","identity":"dkim:Example.COM","result":"pass",'
    b'"outcome":"good","message_id":"<a@example.com>","host":"out.example.com","client_ip":"192.0.2.1"}'
)


def parse(line: bytes, observer: str = "") -> Observation | Reject:
    (item,) = NativeParser().parse([(1, line)], LogContext(observer))
    return item


def test_a_whole_line() -> None:
    assert parse(GOOD) == Observation(
        UnixSeconds(1_793_527_200),
        "mx1.example.org",
        Identity.dkim("example.com"),
        Result.PASS,
        Outcome.GOOD,
        "<a@example.com>",
        "out.example.com",
        "192.0.2.1",
    )


@pytest.mark.parametrize("time", ["2026-11-01T11:00:00+01:00", "2026-11-01T10:00:00.25Z", "2026-11-01 10:00:00Z"])
def test_other_spellings_of_the_time(time: str) -> None:
    item = parse(GOOD.replace(b"2026-11-01T10:00:00Z", time.encode()))
    assert isinstance(item, Observation)
    assert item.observed_at == 1_793_527_200


def test_the_least_that_is_needed_and_an_observer_from_outside() -> None:
    line = b'{"at":"2026-11-01T10:00:00Z","identity":"ip:192.0.2.1","result":"none","more":1}'
    item = parse(line, "mx1.example.org")
    assert isinstance(item, Observation)
    assert (item.outcome, item.message) == (Outcome.UNKNOWN, line_reference(line))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "truncated"),
        (b"[]", "object"),
        (GOOD.replace(b'"pass"', b'"good"'), "result"),
        (GOOD.replace(b"dkim:Example.COM", b"dkim:no spaces"), "domain name"),
        (GOOD.replace(b"dkim:Example.COM", b"openpgp:0123456789abcdef"), "key IDs are not enough"),
        (GOOD.replace(b"T10:00:00Z", b"T10:00:00"), "timezone"),
        (GOOD.replace(b"T10:00:00Z", b"T10:00:60Z"), "RFC3339"),
        (GOOD.replace(b"2026", b"1926"), "1970"),
        (GOOD.replace(b'"observer":"mx1.example.org",', b""), "--observer"),
        (GOOD.replace(b"out.example.com", b"out..example.com"), "domain name"),
        (GOOD.replace(b"<a@", b"<\xff\xfe@"), "utf-8"),
    ],
)
def test_what_is_wrong_is_rejected_with_the_reason(line: bytes, reason: str) -> None:
    item = parse(line)
    assert isinstance(item, Reject)
    assert reason.lower() in item.reason.lower()
    assert (item.line_number, item.line) == (1, line)


@given(st.binary(max_size=300))
def test_no_line_raises(line: bytes) -> None:
    for parser in PARSERS.values():
        list(parser.parse([(1, line)], LogContext("mx1.example.org", written_at=UnixSeconds(1_800_000_000))))
        parser.recognises(line)


@given(
    st.integers(0, 4_000_000_000),
    st.sampled_from(list(Result)),
    st.sampled_from(list(Outcome)),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
)
def test_it_reads_what_it_writes(at: int, result: Result, outcome: Outcome, message: str) -> None:
    observation = Observation(
        UnixSeconds(at), "mx1.example.org", Identity.spf("example.net"), result, outcome, message, "", "2001:db8::1"
    )
    assert parse(encode(observation)) == observation


def test_detection_takes_the_format_of_most_lines() -> None:
    found = detect([GOOD, b"a stray line", GOOD])
    assert found is not None
    assert found.name == "native"
    assert detect([b"nothing", b""]) is None
