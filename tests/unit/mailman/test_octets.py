"""A message out of the parsed form that Mailman keeps: octet for octet what came, or a loss that is known."""

from __future__ import annotations

import email
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signed_posts import encoded, multipart, part, unsigned
from trustgraph.mailman.octets import forget, keep, octets_of

LONG = "It flies a long way, " * 7


def within(entity: bytes) -> bytes:
    """As the signed part of a PGP/MIME post, behind fields of every kind."""
    head = (
        "From: anna@example.org\r\nSubject: größer\r\nX-Long: " + LONG + "\r\nX-Folded: a;\r\n\tb  c \r\nX-Empty: \r\n"
    )
    signature = b"Content-Type: application/pgp-signature\r\n\r\nabc\r\n"
    return head.encode() + multipart(entity + b"\r\n", signature, kind="signed", boundary="outer")


KEPT = {
    "plain": part("The swifts are back.\n"),
    "no line end at the end": b"Content-Type: text/plain\r\n\r\nHi",
    "nothing": b"Content-Type: text/plain\r\n\r\n",
    "without a header": b"\r\nHi\r\n",
    "8bit": part("Zurück: größer \nund schöner\n", encoding="8bit"),
    "latin1": part("Zurück\n", encoding="8bit", charset="iso-8859-1"),
    "quoted-printable": part("größer = schöner \n", encoding="quoted-printable"),
    "trailing space": part("a space \na tab\t\n\n \n-- \nAnna\n\n\n"),
    "from": part("From there\n>From here\n.\n..\n"),
    "long field": part("Hi\n", more=f'Content-Disposition: attachment; filename="{LONG}"\r\n'),
    "folded field": part("Hi\n", more="X-Folded:\r\n\tonce\r\n  and again \r\n"),
    "8bit field": part("Hi\n", more="Subject: größer\r\n"),
    "odd white space": part("a\x0cb\x0bc\x1cd\x85e\n", more="X-Odd: a\x0cb\x1cc\x85d\r\n"),
    "nested": multipart(
        multipart(part("Hi\n"), part("<p>Hi\n", "text/html"), kind="alternative"),
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(bytes(range(256)), "base64"),
    ),
    "preamble and epilogue": multipart(part("Hi\n"), more="\r\nThis is MIME.\r\n") + b"\r\nThat was it.\r\n",
    "forwarded": multipart(b"Content-Type: message/rfc822\r\n\r\n" + unsigned("zoe@example.net", "Forwarded. \n")),
    "protected": part("Hi\n", more="From: anna@example.org\r\nSubject: \r\n"),
}


@pytest.mark.parametrize("name", KEPT)
def test_every_octet_is_kept(name: str) -> None:
    octets = within(KEPT[name])
    assert octets_of(pickle.loads(pickle.dumps(email.message_from_bytes(octets)))) == octets
    with_line_feeds = octets.replace(b"\r\n", b"\n")
    assert octets_of(email.message_from_bytes(with_line_feeds)) == octets


LOST = {
    "no space behind a colon": b"Content-Type:text/plain\r\n\r\nHi\r\n",
    "two spaces behind a colon": b"Content-Type:  text/plain\r\n\r\nHi\r\n",
    "a space behind a boundary": multipart(part("Hi\n")).replace(b"--\r\n", b"-- \r\n"),
}


@pytest.mark.parametrize("name", LOST)
def test_what_the_parser_drops_is_known(name: str) -> None:
    """If one of these is kept one day, the module's account of losses is out of date."""
    octets = within(LOST[name])
    assert octets_of(email.message_from_bytes(octets)) != octets


@pytest.mark.parametrize("name", LOST)
def test_octets_that_were_kept_are_what_counts_until_they_are_forgotten(name: str) -> None:
    octets = within(LOST[name])
    message = email.message_from_bytes(octets)
    keep(message, octets)
    again = pickle.loads(pickle.dumps(message))
    assert octets_of(again) == octets
    forget(again)
    forget(again)
    assert octets_of(again) != octets
    assert again.__dict__.keys() == email.message_from_bytes(octets).__dict__.keys()


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=90)
_WORD = _TEXT.filter(lambda text: not text.startswith((" ", "\t")))
_FOLDS = st.lists(st.tuples(st.sampled_from([" ", "\t"]), _TEXT.filter(bool)), max_size=2)
_NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9-]{0,20}\Z").map(lambda name: f"X-{name}")


@given(st.lists(st.tuples(_NAMES, _WORD.filter(bool), _FOLDS), min_size=1, max_size=6), st.lists(_TEXT, max_size=6))
def test_any_fields_and_any_text(fields: list[tuple[str, str, list[tuple[str, str]]]], lines: list[str]) -> None:
    head = "".join(
        f"{name}: {value}\r\n" + "".join(f"{space}{more}\r\n" for space, more in folds) for name, value, folds in fields
    )
    octets = (head + "\r\n" + "".join(f"{line}\r\n" for line in lines)).encode()
    assert octets_of(email.message_from_bytes(octets)) == octets


def test_the_message_itself_is_not_changed() -> None:
    message = email.message_from_bytes(within(KEPT["nested"]))
    before = pickle.dumps(message)
    octets_of(message)
    assert pickle.dumps(message) == before
