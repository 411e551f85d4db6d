"""Whose word the gated chain takes: one field, in the gate's own name, as the gate writes it."""

from __future__ import annotations

import pytest

from trustgraph.headersig.message import split_message
from trustgraph.mailinglist.model import Flaw, PostDecision, PostVerdict
from trustgraph.mailman.results import gate_lets_in
from trustgraph.services.list_results import with_results

GATE = "lists.example"
ACCEPTED = PostDecision(PostVerdict.ACCEPT, "accepted", author="anna@example.org", seen_fingerprint="ab" * 20)
GOOD = 'lists.example;\r\n\tx-pgp-post=pass reason="accepted" header.from=anna@example.org'


@pytest.mark.parametrize(
    "decision",
    [
        ACCEPTED,
        PostDecision(PostVerdict.TAG, "unsigned", Flaw.UNSIGNED, "anna@example.org"),
        PostDecision(PostVerdict.TAG, "body-altered", Flaw.INVALID, "anna@example.org", "ab" * 20),
        PostDecision(PostVerdict.ACCEPT, "accepted"),
    ],
    ids=lambda one: f"{one.verdict} {one.reason}",
)
def test_what_the_gate_writes_is_believed(decision: PostDecision) -> None:
    fields, _ = split_message(with_results(b"From: anna@example.org\r\n\r\nHi\r\n", GATE, decision))
    values = [value.decode() for name, value in fields if name == b"Authentication-Results"]
    assert gate_lets_in(values, GATE)
    assert not gate_lets_in(values, "other.example")
    assert not gate_lets_in(values, "")


def test_other_fields_are_no_concern_of_ours() -> None:
    others = [
        "mx.example; spf=pass",
        "lists.example; x-pgp-header=pass",
        'other.example; x-pgp-post=pass reason="accepted"',
    ]
    assert gate_lets_in([*others, GOOD], GATE)
    assert not gate_lets_in(others, GATE)
    assert not gate_lets_in([], GATE)


@pytest.mark.parametrize(
    "value",
    [
        "lists.example; x-pgp-post=pass",
        'lists.example; x-pgp-post=policy reason="accepted"',
        'lists.example; x-pgp-post=passed reason="accepted"',
        'lists.example; x-pgp-post=pass reason="accepted"; spf=pass'.replace('"; ', '";'),
        'lists.example; spf=pass; x-pgp-post=pass reason="accepted"',
        'lists.example (x-pgp-post=pass reason="accepted")',
        'lists.example.evil; x-pgp-post=pass reason="accepted"',
        '"lists.example"; x-pgp-post=pass reason="accepted"',
        '; x-pgp-post=pass reason="accepted"',
        'x-pgp-post=pass reason="accepted"',
    ],
)
def test_anything_else_is_not(value: str) -> None:
    assert not gate_lets_in([value], GATE)
    assert not gate_lets_in([value], "")


def test_two_of_them_show_that_the_gate_was_not_last() -> None:
    assert gate_lets_in([GOOD], GATE)
    assert not gate_lets_in([GOOD, GOOD], GATE)
    assert not gate_lets_in([GOOD, 'LISTS.example; "x-pgp"-post=fail'], GATE)
