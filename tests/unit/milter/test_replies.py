"""Answers as bytes, and what may not be answered."""

from __future__ import annotations

import pytest

from tests.milter_client import packet
from trustgraph.milter import replies
from trustgraph.milter.transaction import (
    Accept,
    AddHeader,
    ChangeHeader,
    Client,
    Discard,
    InsertHeader,
    Refuse,
    Response,
    Transaction,
    encode_edit,
    encode_verdict,
)


def test_answers_without_data() -> None:
    answers = [replies.CONTINUE, replies.ACCEPT, replies.REJECT, replies.TEMPFAIL, replies.DISCARD, replies.SKIP]
    assert answers == [b"\0\0\0\1" + letter for letter in (b"c", b"a", b"r", b"t", b"d", b"s")]
    assert replies.PROGRESS == b"\0\0\0\1p"


def test_a_reply_doubles_percent_signs() -> None:
    assert replies.replycode("550 5.7.7 100% sure") == packet(b"y", b"550 5.7.7 100%% sure\0")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "550",
        "550 text",
        "550 5.7.7",
        "550 5.7.7 ",
        "250 2.0.0 fine",
        "550 4.7.7 the classes differ",
        "550-5.7.7 more",
        "550 5.7.7 a\r\n250 2.0.0 b",
        "550 5.7.7 a\nb",
        "550 5.7.7 a\0b",
        "550 5.7.7 größer",
        "550 5.7.7 " + "x" * 500,
    ],
)
def test_a_reply_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        replies.replycode(line)
    with pytest.raises(ValueError, match="expected"):
        Refuse(line)


@pytest.mark.parametrize(
    ("edit", "spaced", "bare"),
    [
        (AddHeader(b"X", b"v"), packet(b"h", b"X\0 v\0"), packet(b"h", b"X\0v\0")),
        (
            InsertHeader(0, b"X", b"v\r\n\tw"),
            packet(b"i", b"\0\0\0\0X\0 v\n\tw\0"),
            packet(b"i", b"\0\0\0\0X\0v\n\tw\0"),
        ),
        (InsertHeader(258, b"X", b""), packet(b"i", b"\0\0\1\2X\0 \0"), packet(b"i", b"\0\0\1\2X\0\0")),
        (ChangeHeader(1, b"X", b"\xe9"), packet(b"m", b"\0\0\0\1X\0 \xe9\0"), packet(b"m", b"\0\0\0\1X\0\xe9\0")),
        (ChangeHeader(2, b"X", b""), packet(b"m", b"\0\0\0\2X\0\0"), packet(b"m", b"\0\0\0\2X\0\0")),
        (AddHeader(b"X", b"a\rb"), packet(b"h", b"X\0 ab\0"), packet(b"h", b"X\0ab\0")),
    ],
)
def test_edits_have_the_space_behind_the_colon_that_was_negotiated(
    edit: AddHeader | InsertHeader | ChangeHeader, spaced: bytes, bare: bytes
) -> None:
    assert encode_edit(edit, leading_space=True) == spaced
    assert encode_edit(edit, leading_space=False) == bare


@pytest.mark.parametrize(
    "edit",
    [
        AddHeader(b"", b"v"),
        AddHeader(b"X:", b"v"),
        AddHeader(b"X Y", b"v"),
        AddHeader(b"X\n", b"v"),
        AddHeader(b"X", b"a\0b"),
        AddHeader(b"X", b"a\nBcc: b"),
        AddHeader(b"X", b"a\r\n\r\nbody"),
        AddHeader(b"X", b"a\n \t\n b"),
        AddHeader(b"X", b"a\n"),
        InsertHeader(-1, b"X", b"v"),
        InsertHeader(2**31, b"X", b"v"),
        ChangeHeader(0, b"X", b"v"),
    ],
)
def test_an_edit_that_would_break_the_header_is_refused(edit: AddHeader | InsertHeader | ChangeHeader) -> None:
    with pytest.raises(ValueError, match="expected"):
        encode_edit(edit, leading_space=True)


def test_quarantine_has_a_reason() -> None:
    assert replies.quarantine("on probation") == packet(b"q", b"on probation\0")
    for reason in ("", "a\nb", "a\0", "ü"):
        with pytest.raises(ValueError, match="expected"):
            replies.quarantine(reason)


def test_only_what_says_accept_accepts() -> None:
    assert encode_verdict(Accept()) == replies.ACCEPT
    assert encode_verdict(Discard()) == replies.DISCARD
    assert encode_verdict(Refuse("451 4.7.5 later")) == packet(b"y", b"451 4.7.5 later\0")
    for other in (None, True, "accept", Accept, Response(Accept())):
        with pytest.raises(TypeError):
            encode_verdict(other)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Response()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        encode_edit(None, leading_space=True)  # type: ignore[arg-type]


def test_what_is_not_accepted_is_not_edited_either() -> None:
    for refusal in (Refuse("550 5.7.7 no"), Discard()):
        with pytest.raises(ValueError, match="accepted"):
            Response(refusal, (AddHeader(b"X", b"v"),))
        with pytest.raises(ValueError, match="accepted"):
            Response(refusal, quarantine="held")
    assert Refuse("451 4.7.5 later").temporary
    assert not Refuse("550 5.7.7 no").temporary


def test_macros_are_found_with_and_without_braces_and_are_text() -> None:
    macros = {b"i": b"Q1", b"{auth_authen}": b"m\xc3\xa9"}
    transaction = Transaction(Client(), "", b"", (), True, macros)
    assert transaction.queue_id == transaction.macro("{i}") == "Q1"
    assert transaction.macro("auth_authen") == transaction.macro("{auth_authen}") == "m\\xc3\\xa9"
    assert transaction.macro("auth_type") == ""
