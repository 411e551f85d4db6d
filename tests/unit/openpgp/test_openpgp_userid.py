"""A User ID claims a host only when nothing else stands in it."""

from __future__ import annotations

import pytest

from trustgraph.model import UserIdScope
from trustgraph.openpgp.userid import parse_user_id, user_id_text


@pytest.mark.parametrize(
    ("text", "host"),
    [("smtp://mx.example.org", "mx.example.org"), ("smtp://mx.example.org:587", "mx.example.org")],
)
def test_smtp_uri_claims_its_host(text: str, host: str) -> None:
    claimed = parse_user_id(text)
    assert (claimed.scope, claimed.host, claimed.text) == (UserIdScope.SMTP, host, text)


@pytest.mark.parametrize(
    "text",
    [
        "<postmaster@mx.example.org>",
        "postmaster@mx.example.org",
        "Mail at Example <postmaster@mx.example.org>",
    ],
)
def test_postmaster_address_claims_its_host(text: str) -> None:
    claimed = parse_user_id(text)
    assert (claimed.scope, claimed.host) == (UserIdScope.POSTMASTER, "mx.example.org")


@pytest.mark.parametrize(
    "text",
    [
        "smtp://good.example.org evil",
        " smtp://good.example.org",
        "smtp://good.example.org ",
        "smtp://good.example.org\n",
        "smtp://good.example.org\nevil",
        "smtp://good.example.org\0",
        "smtp://good.example.org\0.evil.example",
        "smtp://good.example.org.",
        "smtp://good.example.org/",
        "smtp://evil@good.example.org",
        "SMTP://good.example.org",
        "smtp://Good.example.org",
        "smtp://\uff47ood.example.org",
        "smtp://g\u043eod.example.org",
        "smtp://good.example.org:",
        "smtp://good.example.org:0",
        "smtp://good.example.org:65536",
        "smtp://good.example.org:\u0661",
        "smtp://-good.example.org",
        "smtp://good..example.org",
        "smtp://localhost",
        "smtp://192.0.2.1",
        "smtp://",
        "https://good.example.org",
        "Somebody <smtp://good.example.org>",
        "Somebody <somebody@example.org>",
        "<postmaster@mx.example.org> <evil@example.com>",
        "<evil@example.com> <postmaster@mx.example.org>",
        "<postmaster@mx.example.org>\n",
        "a\nb <postmaster@mx.example.org>",
        "postmaster@localhost",
        "",
    ],
)
def test_anything_else_claims_nothing(text: str) -> None:
    claimed = parse_user_id(text)
    assert (claimed.scope, claimed.host) == (UserIdScope.OTHER, "")


def test_what_is_not_utf8_is_written_out() -> None:
    assert user_id_text(b"smtp://mx.example.org\xff") == "smtp://mx.example.org\\xff"
