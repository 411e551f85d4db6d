"""Syslog headers, and times without year and zone."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.base import LogContext
from trustgraph.ingest.formats.syslog import LogClock, read_line
from trustgraph.model import from_rfc3339, to_rfc3339

BERLIN = ZoneInfo("Europe/Berlin")


def times(written_at: str, *lines: bytes, zone: ZoneInfo = ZoneInfo("UTC")) -> list[str]:  # noqa: B008 (immutable)
    clock = LogClock(LogContext(zone=zone, written_at=from_rfc3339(written_at)))
    return [to_rfc3339(clock.moment(line)) for line in lines]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            b"Nov  3 04:05:06 mx opendkim[7]: QID: text: more ",
            (b"Nov  3 04:05:06", b"mx", b"opendkim", b"7", b"QID: text: more "),
        ),
        (b"Nov 23 04:05:06 mx postfix/smtpd[7]: x", (b"Nov 23 04:05:06", b"mx", b"postfix/smtpd", b"7", b"x")),
        (
            b"2026-11-03T04:05:06.123456+01:00 mx.example.net opendkim: x",
            (b"2026-11-03T04:05:06.123456+01:00", b"mx.example.net", b"opendkim", b"", b"x"),
        ),
    ],
)
def test_header(line: bytes, parts: tuple[bytes, ...]) -> None:
    assert read_line(line) == parts


@pytest.mark.parametrize("line", [b"", b"Nov  3 04:05:06 mx", b"03 Nov 04:05:06 mx a[1]: x", b"x" * 65536, b"{}"])
def test_no_header(line: bytes) -> None:
    assert read_line(line) is None


def test_rfc3339_needs_nothing_else() -> None:
    assert times("1970-01-02", b"2026-11-03T04:05:06.9+01:00", b"2020-02-29T00:00:00Z") == [
        "2026-11-03T03:05:06Z",
        "2020-02-29T00:00:00Z",
    ]


def test_first_line_lies_before_the_last_modification() -> None:
    assert times("2027-01-05", b"Dec 30 10:00:00") == ["2026-12-30T10:00:00Z"]
    assert times("2027-01-05", b"Jan  5 10:00:00") == ["2027-01-05T10:00:00Z"]
    assert times("2027-01-05", b"Jan  7 10:00:00") == ["2026-01-07T10:00:00Z"]


def test_year_changes_within_the_file() -> None:
    assert times("2027-02-01", b"Nov 30 10:00:00", b"Dec 31 23:59:59", b"Jan  1 00:00:00", b"Jan 31 10:00:00") == [
        "2026-11-30T10:00:00Z",
        "2026-12-31T23:59:59Z",
        "2027-01-01T00:00:00Z",
        "2027-01-31T10:00:00Z",
    ]


def test_late_lines_across_new_year_and_month_ends() -> None:
    assert times(
        "2027-04-01",
        b"Dec 31 23:59:59",
        b"Jan  1 00:00:00",
        b"Dec 31 23:59:59",
        b"Jan  1 00:00:01",
        b"Feb  1 00:00:00",
        b"Jan 31 23:59:59",
        b"Mar  1 00:00:00",
    ) == [
        "2026-12-31T23:59:59Z",
        "2027-01-01T00:00:00Z",
        "2026-12-31T23:59:59Z",
        "2027-01-01T00:00:01Z",
        "2027-02-01T00:00:00Z",
        "2027-01-31T23:59:59Z",
        "2027-03-01T00:00:00Z",
    ]


def test_leap_day_lies_in_a_leap_year() -> None:
    assert times("2027-01-05", b"Feb 29 10:00:00", b"Mar  1 10:00:00") == [
        "2024-02-29T10:00:00Z",
        "2024-03-01T10:00:00Z",
    ]
    assert times("2103-01-05", b"Feb 29 10:00:00") == ["2096-02-29T10:00:00Z"]


def test_zone_and_the_ends_of_summer_time() -> None:
    # In Berlin the hour from 02:00 occurs twice on 25 October 2026 and not at all on 28 March 2027.
    lines = (b"Oct 25 01:59:00", b"Oct 25 02:59:00", b"Oct 25 02:00:00", b"Oct 25 02:30:00", b"Oct 25 03:00:00")
    assert times("2026-10-26", *lines, zone=BERLIN) == [
        "2026-10-24T23:59:00Z",
        "2026-10-25T00:59:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:00:00Z",
    ]
    assert times("2026-10-26", b"Oct 25 02:30:01", b"Oct 25 02:29:59", zone=BERLIN) == [
        "2026-10-25T00:30:01Z",
        "2026-10-25T00:29:59Z",
    ]
    assert times("2027-03-29", b"Mar 28 01:59:59", b"Mar 28 03:00:00", zone=BERLIN) == [
        "2027-03-28T00:59:59Z",
        "2027-03-28T01:00:00Z",
    ]


@pytest.mark.parametrize(
    "time",
    [
        b"Foo  3 04:05:06",
        b"Nov 31 04:05:06",
        b"Nov  3 24:05:06",
        b"Nov  3 04:60:06",
        b"Nov  3 04:05:61",
        b"2026-13-03T04:05:06Z",
        b"2026-11-03T04:05:06+-",
        b"1969-11-03T04:05:06Z",
    ],
)
def test_no_time(time: bytes) -> None:
    with pytest.raises(BadInput):
        times("2026-11-04", time)


def test_without_year_and_without_modification_time() -> None:
    with pytest.raises(BadInput, match="no year"):
        LogClock(LogContext()).moment(b"Nov  3 04:05:06")


def test_a_bad_time_does_not_spoil_the_next() -> None:
    clock = LogClock(LogContext(written_at=from_rfc3339("2026-11-04")))
    with pytest.raises(BadInput):
        clock.moment(b"Nov 31 04:05:06")
    assert to_rfc3339(clock.moment(b"Nov  3 04:05:06")) == "2026-11-03T04:05:06Z"
