"""Who wrote a post: one address in one spelling, or a reason why there is none."""

from __future__ import annotations

import base64
import re
import time
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.errors import BadInput
from trustgraph.mailinglist.address import author_of, canonical_address, check_sender, recipients_of
from trustgraph.mailinglist.problem import PostProblem

ANNA = "anna@example.org"


def author(*values: str | bytes) -> str:
    """The author by these From fields, or the problem."""
    fields = [(b"From", b" " + (one if isinstance(one, bytes) else one.encode())) for one in values]
    try:
        return author_of([(b"To", b" bert@example.net"), *fields])
    except PostProblem as problem:
        return problem.problem


def word(text: str, encoding: str = "b", charset: str = "utf-8") -> str:
    octets = text.encode(charset)
    encoded = base64.b64encode(octets).decode() if encoding == "b" else "".join(f"={one:02X}" for one in octets)
    return f"=?{charset}?{encoding}?{encoded}?="


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ANNA, ANNA),
        ("Anna@Example.ORG", ANNA),
        (" anna@example.org\t", ANNA),
        ('"anna"@example.org', ANNA),
        ("anna+birds@example.org", "anna+birds@example.org"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@XN--BCHER-KVA.example", "anna@xn--bcher-kva.example"),
        ("MÜLLER@example.org", "müller@example.org"),
        ("mu\u0308ller@example.org", "müller@example.org"),
        ("o'brien/x=1@example.org", "o'brien/x=1@example.org"),
    ],
)
def test_one_spelling(text: str, expected: str) -> None:
    assert canonical_address(text) == expected
    assert canonical_address(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "anna@example.org.",
            "",
            "anna",
            "@example.org",
            "anna@",
            "anna@@example.org",
            "a@b@example.org",
            "anna@[192.0.2.1]",
        ),
        *(".anna@example.org", "anna.@example.org", "an..na@example.org", "an na@example.org", "anna @example.org"),
        *("anna@ example.org", '"an na"@example.org', '"a@b"@example.org', '"anna@example.org', "anna\0@example.org"),
        *("anna(x)@example.org", "<anna@example.org>", "anna,bert@example.org", "anna\u200b@example.org"),
        *(
            "anna\uff20example.org",
            "=?utf-8?q?anna?=@example.org",
            "x" * 501 + "@example.org",
            "anna\ufffd@example.org",
        ),
    ],
)
def test_no_address(text: str) -> None:
    with pytest.raises(BadInput):
        canonical_address(text)


@pytest.mark.parametrize(
    "value",
    [
        ANNA,
        "Anna <anna@example.org>",
        "Anna <ANNA@example.org>",
        '"Anna, of the swifts" <anna@example.org>',
        '"Anna \\"swift\\" A." <anna@example.org>',
        "Anna B. C. <anna@example.org>",
        "anna@example.org (Anna)",
        "(comment) Anna <anna@example.org> (more)",
        "<anna@example.org>",
        "Anna\r\n <anna@example.org>",
        "anna@example.org <anna@example.org>".replace("anna@example.org ", '"anna@example.org" '),
        "'anna@example.org' <anna@example.org>".replace("'anna@example.org'", "\"'Anna@Example.org'\""),
        "=?utf-8?q?Anna_M=C3=BCller?= <anna@example.org>",
        "Anna Müller <anna@example.org>",
        '"Anna @ the swifts" <anna@example.org>',
        '"Anna (@anna.swift)" <anna@example.org>',
        f"{word(ANNA)} <anna@example.org>",
        b"Anna M\xfcller <anna@example.org>",
    ],
)
def test_one_author(value: str | bytes) -> None:
    assert author(value) == ANNA


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([], "no-author"),
        ([ANNA, ANNA], "several-authors"),
        (["anna@example.org, bert@example.net"], "several-authors"),
        (["Anna <anna@example.org>, Bert <bert@example.net>"], "several-authors"),
        (["Anna, Inc. <anna@example.org>"], "several-authors"),
        (["Birds: anna@example.org;"], "several-authors"),
        (["anna@example.org,"], "several-authors"),
        ([""], "malformed-author"),
        (["Anna"], "malformed-author"),
        (["<>"], "malformed-author"),
        (["anna@example.org <mallory@example.net>"], "malformed-author"),
        (["<anna@example.org> <mallory@example.net>"], "malformed-author"),
        (["<anna@example.org> mallory@example.net"], "malformed-author"),
        (["<anna@example.org>Mallory"], "malformed-author"),
        (["<<anna@example.org>>"], "malformed-author"),
        (["<anna@example.org"], "malformed-author"),
        (["anna@example.org>"], "malformed-author"),
        (["<@relay.example:anna@example.org>"], "malformed-author"),
        (["anna @example.org"], "malformed-author"),
        (["anna@example.org bert@example.net"], "malformed-author"),
        (["anna(x)@example.org"], "malformed-author"),
        (['"Anna <anna@example.org>'], "malformed-author"),
        (["Anna (nested (comment)) <anna@example.org>"], "malformed-author"),
        (["Anna \\<mallory@example.net> <anna@example.org>"], "malformed-author"),
        (["anna@[192.0.2.1]"], "malformed-author"),
        ([". Anna <anna@example.org>"], "malformed-author"),
        (["=?utf-8?q?anna=40example.org?="], "malformed-author"),
        ([b"ann\xe4@example.org"], "malformed-author"),
        (["x" * 5000 + " <anna@example.org>"], "malformed-author"),
        (['"bert@example.net" <anna@example.org>'], "misleading-name"),
        (['"Bert <bert@example.net>" <anna@example.org>'], "misleading-name"),
        (['"Bert bert@example.net via" <anna@example.org>'], "misleading-name"),
        (["(bert@example.net) <anna@example.org>"], "misleading-name"),
        (["anna@example.org (bert@example.net)"], "misleading-name"),
        ([f"{word('bert@example.net')} <anna@example.org>"], "misleading-name"),
        ([f"{word('bert@example.net', 'q')} <anna@example.org>"], "misleading-name"),
        ([f'"{word("bert@example.net", "Q")}" <anna@example.org>'], "misleading-name"),
        ([f"{word('bert@')} {word('example.net')} <anna@example.org>"], "misleading-name"),
        (["=?utf-7?q?bert+AEA-example.net?= <anna@example.org>"], "misleading-name"),
        (["=?utf-8*en?q?bert=40example.net?= <anna@example.org>"], "misleading-name"),
        ([f"{word('bert＠example.net')} <anna@example.org>"], "misleading-name"),
        (['"bert\uff20example.net" <anna@example.org>'], "misleading-name"),
        (['"bert@\u200bexample.net" <anna@example.org>'], "misleading-name"),
        (['"bert @ example.net" <anna@example.org>'], "misleading-name"),
        (['"bert@\u200b example.net" <anna@example.org>'], "misleading-name"),
        (['"anna@example.org bert@example.net" <anna@example.org>'], "misleading-name"),
    ],
)
def test_no_one_author(values: list[str | bytes], problem: str) -> None:
    assert author(*values) == problem


@pytest.mark.parametrize(
    ("senders", "is_fine"),
    [
        ([], True),
        (["Anna <ANNA@example.org>"], True),
        (["bert@example.net"], False),
        (["anna@example.org, bert@example.net"], False),
        ([""], False),
        (['"bert@example.net" <anna@example.org>'], False),
    ],
)
def test_sender(senders: list[str], is_fine: bool) -> None:
    fields = [(b"sender", one.encode()) for one in senders]
    if is_fine:
        check_sender(fields, ANNA)
        return
    with pytest.raises(PostProblem) as caught:
        check_sender(fields, ANNA)
    assert caught.value.problem == "other-sender"


def test_recipients() -> None:
    values = [b" Birds <birds@lists.example>, BERT@example.net", b"x: carl@example.org, dora@example.org;, broken, <>"]
    expected = {"birds@lists.example", "bert@example.net", "carl@example.org", "dora@example.org"}
    assert recipients_of(values) == expected
    assert recipients_of([b'"a, b@example.org" <c@example.org>']) == {"c@example.org"}
    assert recipients_of([b"undisclosed-recipients:;"]) == frozenset()
    assert recipients_of([b"a@example.org, \\ b@example.org"]) == {"a@example.org"}
    many = b", ".join(b"a%d@example.org" % number for number in range(3000))
    assert len(recipients_of([many])) == 1000


@given(st.binary(max_size=200))
def test_nothing_but_problems(value: bytes) -> None:
    author(value)
    recipients_of([value])


PIECES = [*'ab@.,:;<>()"\\ =?\u00fc', "a@b", "<a@b>", '"a"', "(a)", " a ", "=?utf-8?q?a?="]


@given(st.lists(st.sampled_from(PIECES), max_size=8))
def test_the_standard_library_sees_no_other_author(pieces: list[str]) -> None:
    text = re.sub(r"\.+<", "<", "".join(pieces))  # over which the library falls
    found = author(text)
    if "@" not in found:
        return
    message = message_from_bytes(b"From: " + text.encode() + b"\n\n", policy=policy.SMTPUTF8)
    addresses = [one.addr_spec.encode(errors="surrogateescape").decode() for one in message["From"].addresses]
    assert [canonical_address(one) for one in addresses] == [found]


@pytest.mark.parametrize(
    "piece", ['"', "\\", '\\"', "(", "a@", "=?", "?= ", "=?utf-8?q?", "a b ", "@ ", '"\\"', "<", ", ", "\u200b"]
)
def test_hostile_values_cost_little(piece: str) -> None:
    value = piece.encode() * (64 * 1024 // len(piece.encode()))
    begun = time.process_time()
    author(value[:4000])
    author(b'"' + value[:3900] + b'" <anna@example.org>')
    recipients_of([value, value])
    assert time.process_time() - begun < 1
