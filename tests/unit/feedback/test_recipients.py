"""One mailbox in all its spellings; spamtraps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.errors import BadInput
from trustgraph.feedback.recipients import Traps, parse_recipient, parse_trap, recipient_digest


@pytest.mark.parametrize(
    "text",
    [
        "anna@example.org",
        "ANNA@Example.ORG",
        "<anna@example.org>",
        "Anna <anna@example.org>",
        "anna+news@example.org",
        "Anna+a+b@example.org.",
        '"anna"@example.org',
        '"an\\na+x"@example.org',
        "<@relay.example:anna@example.org>",
        "  anna@example.org ",
    ],
)
def test_one_mailbox_however_it_is_written(text: str) -> None:
    assert parse_recipient(text) == "anna@example.org"
    assert recipient_digest(text) == recipient_digest("anna@example.org")


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("+anna@example.org", "+anna@example.org"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ('"a@b"@example.org', "a@b@example.org"),
        ("ann@example.org", "ann@example.org"),
    ],
)
def test_others_stay_what_they_are(text: str, mailbox: str) -> None:
    assert parse_recipient(text) == mailbox


@pytest.mark.parametrize("text", ["", "anna", "@example.org", "anna@", "anna@exa mple.org", "a" * 600 + "@example.org"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadInput):
        parse_recipient(text)
    assert recipient_digest(text) is None


@given(st.text(max_size=80))
def test_parsing_is_total_and_settled(text: str) -> None:
    try:
        mailbox = parse_recipient(text)
    except BadInput:
        return
    assert mailbox.rpartition("@")[2]
    assert recipient_digest(text) is not None


def test_traps_by_address_and_by_domain() -> None:
    traps = Traps([parse_trap("Trap@example.org"), parse_trap("*@Trap.example.org")])
    assert traps.catch(["TRAP+x@example.org", "any@trap.example.org", "anna@example.org", "nonsense"]) == [
        "trap@example.org",
        "any@trap.example.org",
    ]
    assert traps.catch(["any@sub.trap.example.org", "trap@example.net"]) == []
