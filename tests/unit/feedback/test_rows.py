"""Tables and JSON lines of feedback."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.errors import BadInput
from trustgraph.feedback.rows import Row, TableReader, is_json, is_table, read_json
from trustgraph.model import Outcome, from_rfc3339

ROW = Row("<a@example.com>", "anna@example.org", Outcome.SPAM, from_rfc3339("2026-11-02T09:30:00Z"))


def test_a_row_by_column_name_in_any_order() -> None:
    head = b'at,"message_id",Outcome,recipient,note'
    assert is_table(head)
    assert TableReader(head).read(b"2026-11-02T10:30:00+01:00,<a@example.com>,SPAM,anna@example.org,x") == ROW


def test_a_line_of_json() -> None:
    line = (
        b'{"message_id":"<a@example.com>","recipient":"anna@example.org","outcome":"spam","at":"2026-11-02T09:30:00Z"}'
    )
    assert is_json(line)
    assert read_json(line) == ROW


@pytest.mark.parametrize("line", [b"message_id,recipient,outcome", b"From x Mon Nov  2 09:00:00 2026", b'"', b""])
def test_what_is_no_table(line: bytes) -> None:
    assert not is_table(line)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b",anna@example.org,spam,2026-11-02T09:30:00Z", "message_id"),
        (b"<a@b>,anna@example.org,bad,2026-11-02T09:30:00Z", "outcome"),
        (b"<a@b>,anna@example.org,spam,yesterday", "RFC 3339"),
        (b"<a@b>,anna@example.org,spam", "4 columns"),
        (b'<a@b>,"anna@example.org,spam,2026-11-02T09:30:00Z', "not a row"),
    ],
)
def test_a_wrong_row_says_what_is_wrong(line: bytes, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        TableReader(b"message_id,recipient,outcome,at").read(line)


@given(st.binary(max_size=200))
def test_reading_is_total(octets: bytes) -> None:
    for read in (read_json, TableReader(b"message_id,recipient,outcome,at").read):
        try:
            read(octets)
        except BadInput:
            continue
