"""Which list a recipient leads to, however a client spells it."""

from __future__ import annotations

import pytest

from trustgraph.services.list_recipients import list_of

KNOWN = {"birds@lists.example": "birds", "mice@lists.example": "mice", "a+b@other.example": "a+b"}


@pytest.mark.parametrize(
    "recipient",
    [
        *("birds@lists.example", "Birds@LISTS.Example", "birds", "BIRDS", "birds@lists.example.", "birds@[127.0.0.1]"),
        *("birds+x@lists.example", "birds+x+y", "lists.example!birds", "birds%lists.example", '"birds"@lists.example'),
        *(
            "@relay.example:birds@lists.example",
            "birds%lists.example@lists.example",
            "lists.example!birds@lists.example",
        ),
        *('"birds@lists.example"@lists.example', '"bir\\ds"@lists.example', "birds%lists.example@[192.0.2.1]"),
    ],
)
def test_the_list_by_other_names(recipient: str) -> None:
    assert list_of(recipient, KNOWN) == "birds"


@pytest.mark.parametrize(
    "recipient",
    [
        *(
            "anna@example.org",
            "birds@example.org",
            "birds-keys@lists.example",
            "xbirds@lists.example",
            "",
            "@",
            "!",
            "%",
        ),
        *("birds%lists.example@example.org", "example.org!birds", "bird", "bird+s@lists.example", "x" * 10_000),
    ],
)
def test_other_mail(recipient: str) -> None:
    assert list_of(recipient, KNOWN) is None


def test_a_plus_of_the_list_itself() -> None:
    assert list_of("a+b@other.example", KNOWN) == "a+b"
    assert list_of("a@other.example", KNOWN) is None
