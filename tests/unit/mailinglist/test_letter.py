"""Letters to subscribers: whatever strangers wrote, one recipient, one header, no answer by a machine."""

from __future__ import annotations

import email
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.mailinglist.facts import LIST, NOW
from trustgraph.errors import BadInput
from trustgraph.mailinglist.letter import (
    Stamp,
    compose,
    expiry_reminder,
    invitation,
    key_confirmed,
    key_refused,
    key_request,
    key_revoked,
    key_waits,
    keys_address,
)
from trustgraph.mailinglist.model import Rules
from trustgraph.mailinglist.token import Token, read_tokens, token_text
from trustgraph.model import UnixSeconds

ANNA, ID = "anna@example.org", "<1@lists.example>"
STAMP = Stamp(ANNA, NOW, ID, "<question@example.org>")
ONE, TWO = "11" * 20, "22" * 32
TOKEN = Token(LIST.address, ANNA, ONE, "ab" * 16, UnixSeconds(NOW + 86_400))
FIELDS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]


def parsed(letter: EmailMessage) -> EmailMessage:
    """As whoever gets it reads it."""
    return email.message_from_bytes(letter.as_bytes(), policy=default)


def letters() -> list[EmailMessage]:
    return [
        invitation(LIST, STAMP),
        key_request(LIST, STAMP, ONE, token_text(TOKEN), successor=True),
        key_confirmed(LIST, STAMP, ONE, [(ONE, NOW)]),
        key_waits(LIST, STAMP, ONE, "a moderator's word"),
        key_refused(LIST, STAMP, "it has expired"),
        key_revoked(LIST, STAMP, ONE),
        expiry_reminder(LIST, STAMP, ONE, NOW),
    ]


def test_it_comes_from_the_address_for_keys_and_is_no_answer_to_answer() -> None:
    letter = parsed(compose(LIST, ANNA, "About", "Text", NOW, ID, "<question@example.org>"))
    assert keys_address(LIST) == "birds-keys@lists.example"
    elsewhere = replace(LIST, rules=Rules(keys_to="birds-request@lists.example"))
    assert keys_address(elsewhere) == "birds-request@lists.example"
    assert [str(letter[name]) for name in FIELDS] == [
        *("birds-keys@lists.example", ANNA, "About", "Tue, 01 Sep 2026 00:00:00 +0000", ID, "auto-replied")
    ]
    assert letter["In-Reply-To"] == letter["References"] == "<question@example.org>"
    assert letter.get_content() == "Text\n"


@pytest.mark.parametrize("letter", letters(), ids=lambda one: str(one["Subject"]))
def test_every_letter_says_who_writes_what_about(letter: EmailMessage) -> None:
    found = parsed(letter)
    assert found["To"] == ANNA
    assert LIST.address in str(found["Subject"])
    assert LIST.address in found.get_content()
    assert str(found["Auto-Submitted"]).startswith("auto-")
    fingerprints = (ONE, TWO)
    assert all(len(line) <= 78 or any(one in line for one in fingerprints) for line in found.get_content().splitlines())


def test_the_request_holds_the_token_and_the_way() -> None:
    text = parsed(key_request(LIST, STAMP, ONE, token_text(TOKEN))).get_content()
    assert read_tokens(text) == (TOKEN,)
    assert f"gpg --local-user {ONE} --clearsign FILE" in text
    assert "sq sign --cleartext-signature --signer-key KEY.pgp FILE" in text
    assert "another key on this list" not in text
    with_old = parsed(key_request(LIST, STAMP, ONE, token_text(TOKEN), successor=True)).get_content()
    assert "another key on this list" in with_old
    assert "owner@lists.example" in with_old


def test_confirmation_names_what_gives_way_and_until_when() -> None:
    assert f"{TWO}  until 2026-09-01T00:00:00Z" in key_confirmed(LIST, STAMP, ONE, [(TWO, NOW)]).get_content()
    assert "takes over" not in key_confirmed(LIST, STAMP, ONE).get_content()


def test_a_soft_revocation_says_what_stays_good() -> None:
    assert "whenever it was signed" in key_revoked(LIST, STAMP, ONE).get_content()
    assert "unless signed before 2026-09-01T00:00:00Z" in key_revoked(LIST, STAMP, ONE, NOW).get_content()


def test_a_reminder_before_and_after() -> None:
    before = expiry_reminder(LIST, STAMP, ONE, UnixSeconds(NOW + 1))
    after = expiry_reminder(LIST, STAMP, ONE, NOW)
    assert (before["Subject"], after["Subject"]) == (
        "Key for birds@lists.example: it expires soon",
        "Key for birds@lists.example: it has expired",
    )
    assert before["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    "to",
    [
        *(
            "",
            "anna",
            "anna@",
            "@example.org",
            "anna@example.org,bert@example.net",
            "anna@example.org bert@example.net",
        ),
        *("<anna@example.org>", '"anna"@example.org', "anna@example.org\nBcc: x@y.z", "a@b@example.org", "anna@[::1]"),
        *("anna@exämple.org", "an na@example.org", "anna:@example.org;", "anna\x00@example.org"),
    ],
)
def test_only_one_plain_address_is_written_to(to: str) -> None:
    with pytest.raises(BadInput, match="one plain mail address"):
        compose(LIST, to, "About", "Text", NOW, ID)


@pytest.mark.parametrize("to", ["o'brien+lists=x@example.org", "-f@example.org", "ölaf@example.org", "a.b.c@x.example"])
def test_odd_but_plain_addresses_stay_what_they_are(to: str) -> None:
    assert f"\nTo: {to}\n".encode() in compose(LIST, to, "About", "Text", NOW, ID).as_bytes()


@pytest.mark.parametrize(
    ("given_id", "kept"),
    [
        ("<" + "a" * 120 + "@example.org>", True),
        ("<a@b> <c@d>", False),
        ("<a@b>\r\nBcc: x@y.z", False),
        ("a@b", False),
        ("<" + "a" * 251 + ">", False),
        ("<ü@b>", False),
    ],
)
def test_what_it_answers_is_named_if_it_is_a_message_id(given_id: str, kept: bool) -> None:
    letter = compose(LIST, ANNA, "About", "Text", NOW, ID, given_id)
    assert (b"\nIn-Reply-To: " + given_id.encode("ascii", "ignore") + b"\n" in letter.as_bytes()) is kept
    assert (b"\nIn-Reply-To" in letter.as_bytes()) is kept


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=300))
def test_no_text_adds_a_field_or_a_recipient(subject: str, text: str, in_reply_to: str) -> None:
    raw = compose(LIST, ANNA, subject, text, NOW, ID, in_reply_to).as_bytes()
    header, _, body = raw.partition(b"\n\n")
    names = [line.split(b":")[0].decode() for line in header.split(b"\n") if not line.startswith(b" ")]
    answers = ["In-Reply-To", "References"] if b"In-Reply-To" in header else []
    assert names == ["Content-Type", "Content-Transfer-Encoding", "MIME-Version", *FIELDS, *answers]
    assert b"\r" not in raw
    assert b"\0" not in raw
    assert max(map(len, raw.split(b"\n"))) <= 998
    assert raw.isascii()
    assert not [one for one in body if one < 32 and one != 10]


@given(st.text(max_size=3_000))
def test_a_reason_is_quoted_in_short_lines(reason: str) -> None:
    content = parsed(key_refused(LIST, STAMP, reason)).get_content()
    assert content.startswith("This is about your key")
    assert "The answer says how to go on." in content


def test_the_longest_text_is_cut() -> None:
    assert len(compose(LIST, ANNA, "s" * 10_000, "t\n" * 100_000, NOW, ID).as_bytes()) < 70_000
