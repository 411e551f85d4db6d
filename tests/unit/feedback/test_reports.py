"""Abuse reports: golden ones, and those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import GOLDEN
from trustgraph.errors import BadInput
from trustgraph.feedback.multipart import MAX_PARTS, content_type, parts_of, split_header
from trustgraph.feedback.reports import Report, is_report, read_report
from trustgraph.ingest.formats.trace_fields import Field, fields_of
from trustgraph.model import Outcome


def read(octets: bytes) -> Report:
    header, body = split_header(octets)
    fields = list(fields_of(header))
    assert is_report(fields)
    return read_report(fields, body)


def golden(name: str) -> bytes:
    return (GOLDEN / "feedback" / f"{name}.eml").read_bytes()


@pytest.mark.parametrize(
    ("name", "kind", "outcome", "recipient"),
    [
        ("abuse", "abuse", Outcome.SPAM, "<Anna+shop@example.org>"),
        ("headers-only", "abuse", Outcome.SPAM, ""),
        ("not-spam", "not-spam", Outcome.GOOD, "anna@example.org"),
        ("virus", "virus", Outcome.MALWARE, "<redacted>"),
        ("auth-failure", "auth-failure", None, ""),
    ],
)
def test_golden_reports(name: str, kind: str, outcome: Outcome | None, recipient: str) -> None:
    report = read(golden(name))
    assert (report.type, report.outcome, report.recipient) == (kind, outcome, recipient)
    fields = list(fields_of(report.header))
    assert [field.value for field in fields if field.name == "message-id"] == [b"<watches.1@peer.example>"]
    assert fields[0] == Field("delivered-to", b"anna@example.org")
    assert b"dkim=pass header.d=peer.example" in report.header


ABUSE = golden("abuse")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"Feedback-Type: abuse\n", b"", "feedback-type, found 0"),
        (b"Feedback-Type: abuse\n", b"Feedback-Type: abuse\nFeedback-Type: not-spam\n", "feedback-type, found 2"),
        (b"Version: 1\n", b"Version: 2\n", "version '2'"),
        (b"Version: 1\n", b"", "version, found 0"),
        (b"Content-Type: message/feedback-report", b"Content-Type: text/plain", "found 0"),
        (b"Content-Type: text/plain; charset", b"Content-Type: message/feedback-report; charset", "found 2"),
        (b"Content-Type: message/rfc822", b"Content-Type: image/png", "reported message or header, found 0"),
        (b'boundary="part1_13d.2e68ed54_boundary"', b"x=y", "boundary"),
        (b"Feedback-Type: abuse\n", b"Feedback-Type abuse\n", "header field"),
    ],
)
def test_what_is_wrong_is_said(old: bytes, new: bytes, why: str) -> None:
    assert old in ABUSE
    with pytest.raises(BadInput, match=why):
        read(ABUSE.replace(old, new, 1))


def test_an_unknown_type_says_nothing() -> None:
    assert read(ABUSE.replace(b"Feedback-Type: abuse", b"Feedback-Type: opt-out")).outcome is None


@pytest.mark.parametrize(
    "value",
    [b"multipart/mixed; boundary=b", b"multipart/report; report-type=delivery-status; boundary=b", b"nonsense", b""],
)
def test_other_mail_is_no_report(value: bytes) -> None:
    assert not is_report([Field("content-type", value)])
    twice = [Field("content-type", b"multipart/report; report-type=feedback-report; boundary=b")] * 2
    assert not is_report(twice)


def test_a_report_cut_off_in_the_reported_message_is_read() -> None:
    assert read(ABUSE[: ABUSE.index(b"Only today")]) == read(ABUSE)


def test_parts_and_their_bounds() -> None:
    body = b"\n".join(b"--b\nContent-Type: text/plain\n\n%d" % number for number in range(MAX_PARTS))
    assert [part.content for part in parts_of(body + b"\n--b--\n--b\n\nafter the end", "b")][-1] == b"19"
    with pytest.raises(BadInput, match="parts"):
        parts_of(body + b"\n--b\n\nmore", "b")
    assert content_type([Field("content-type", b'a/B; x="q\\"uo;te"; X=2')]).parameters == {"x": 'q"uo;te'}
    assert content_type([]).type == "text/plain"


@given(st.binary(max_size=400), st.integers(0, len(ABUSE)), st.integers(0, 40))
def test_reading_is_total(octets: bytes, at: int, cut: int) -> None:
    for hostile in (octets, ABUSE[:at] + octets + ABUSE[at + cut :]):
        header, body = split_header(hostile)
        try:
            fields = list(fields_of(header))
            if is_report(fields):
                read_report(fields, body)
        except BadInput:
            continue
