"""The text that proves possession, and what replies make of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.errors import BadInput
from trustgraph.mailinglist.token import MAX_TOKENS, Token, read_tokens, token_digest, token_text
from trustgraph.model import UnixSeconds

TOKEN = Token("birds@lists.example", "anna@example.org", "ab" * 20, "0011223344556677" * 2, UnixSeconds(1_788_307_200))
TEXT = """\
I hold this key and sign my posts to this list with it.
list: birds@lists.example
address: anna@example.org
key: abababababababababababababababababababab
nonce: 00112233445566770011223344556677
until: 2026-09-02T00:00:00Z
"""


def test_it_says_what_for_in_short_lines() -> None:
    assert token_text(TOKEN) == TEXT
    long = Token(TOKEN.list_address, TOKEN.address, "ab" * 32, "ab" * 16, TOKEN.until)
    assert max(map(len, token_text(long).splitlines())) <= 70


@pytest.mark.parametrize("nonce", ["", "0011", "00" * 15, "AB" * 16, "00" * 33, "zz" * 16])
def test_a_nonce_is_no_shorter_than_16_octets(nonce: str) -> None:
    with pytest.raises(BadInput, match="nonce"):
        token_text(Token("a@b.c", "d@e.f", "ab" * 20, nonce, TOKEN.until))
    assert read_tokens(TEXT.replace(TOKEN.nonce, nonce)) == ()


@pytest.mark.parametrize(
    "reply",
    [
        TEXT,
        TEXT.replace("\n", "\r\n"),
        "".join(f"> {line}\n" for line in TEXT.splitlines()),
        "".join(f">> {line}  \n" for line in TEXT.splitlines()),
        "".join(f"| > {line}\n" for line in TEXT.splitlines()),
        "".join(f"> {line}\n>\n" for line in TEXT.splitlines()),
        "".join(f"  {line}\n\n" for line in TEXT.splitlines()),
        f"On Tuesday the list wrote:\n\n{TEXT}\nYes, that is me.\n-- \nAnna",
        f"{TEXT}\n{TEXT}",
    ],
)
def test_it_is_found_however_it_is_quoted(reply: str) -> None:
    assert read_tokens(reply) == (TOKEN,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I hold this key and sign my posts to this list with it.",
        TEXT.replace("I hold", "We hold"),
        TEXT.replace("until: 2026", "until: tomorrow"),
        TEXT.replace("until: 2026-09-02T00:00:00Z\n", ""),
        TEXT.replace("address:", "adress:"),
        "\n".join(reversed(TEXT.splitlines())),
        TEXT.replace("nonce", "\n\nYes\n\nnonce"),
        TEXT.replace(": ", ":"),
    ],
)
def test_what_is_not_the_whole_of_it_is_none(text: str) -> None:
    assert read_tokens(text) == ()


def test_a_thread_quotes_a_few_and_no_more_are_read() -> None:
    tokens = [Token("l@x.y", "a@x.y", "ab" * 20, f"{number:032x}", TOKEN.until) for number in range(MAX_TOKENS + 3)]
    assert read_tokens("\n".join(map(token_text, tokens))) == tuple(tokens[:MAX_TOKENS])


def test_the_digest_is_of_everything_in_it() -> None:
    others = [
        Token("bees@lists.example", *TEXT_PARTS[1:]),
        Token(TEXT_PARTS[0], "bert@example.org", *TEXT_PARTS[2:]),
        Token(*TEXT_PARTS[:2], "cd" * 20, *TEXT_PARTS[3:]),
        Token(*TEXT_PARTS[:3], "ff" * 16, TOKEN.until),
        Token(*TEXT_PARTS[:4], UnixSeconds(TOKEN.until + 1)),
    ]
    assert len({token_digest(one) for one in (TOKEN, *others)}) == 6
    assert TOKEN.nonce not in token_digest(TOKEN)


TEXT_PARTS = (TOKEN.list_address, TOKEN.address, TOKEN.fingerprint, TOKEN.nonce, TOKEN.until)


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    assert read_tokens(text) == ()
    assert read_tokens(f"{text}\n{TEXT}{text}")[:1] in ((TOKEN,), ())
