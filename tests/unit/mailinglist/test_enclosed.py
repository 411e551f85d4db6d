"""Keys in a mail to a list's own address."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signed_posts import (
    inline,
    make_key,
    message,
    multipart,
    part,
    pgp_mime,
    public_block,
    unsigned,
    usual_fields,
)
from trustgraph.errors import BadInput
from trustgraph.mailinglist import enclosed
from trustgraph.mailinglist.enclosed import MAX_KEYS, enclosed_keys

ANNA, BERT = make_key("anna@example.org"), make_key("bert@example.org")


def attached(octets: bytes) -> bytes:
    head = b"Content-Type: application/pgp-keys; name=key.asc\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + base64.encodebytes(octets).replace(b"\n", b"\r\n")


def autocrypt(address: str = "anna@example.org", key: bytes = ANNA.public, more: str = "") -> str:
    text = base64.b64encode(key).decode()
    return f"addr={address};{more} keydata=\r\n " + "\r\n ".join(text[at : at + 70] for at in range(0, len(text), 70))


def mail(entity: bytes, **fields: str | None) -> bytes:
    return message(usual_fields("Anna <anna@example.org>", **fields), entity)


def test_attached_in_the_text_and_in_the_header() -> None:
    block = public_block(BERT)
    text = "Here it is:\n\n" + block.decode() + "\nAnna\n"
    entity = multipart(part(text, encoding="quoted-printable"), attached(ANNA.public))
    armored = block.strip().replace(b"\n", b"\r\n")
    assert enclosed_keys(mail(entity)) == [ANNA.public, armored]
    assert enclosed_keys(mail(entity).replace(b"\r\n", b"\n")) == [ANNA.public, armored]
    both = mail(entity, Autocrypt=autocrypt(key=BERT.public, more=" prefer-encrypt=mutual;"))
    assert enclosed_keys(both) == [ANNA.public, armored, BERT.public]
    assert enclosed_keys(mail(entity, Autocrypt=autocrypt())) == [ANNA.public, armored]
    assert enclosed_keys(mail(part(text))) == [armored]
    assert enclosed_keys(mail(attached(ANNA.public))) == [ANNA.public]
    assert enclosed_keys(pgp_mime(ANNA, entity=entity)) == [ANNA.public, armored]
    assert enclosed_keys(inline(ANNA, "No key.\n")) == []
    assert enclosed_keys(unsigned("anna@example.org")) == []


@pytest.mark.parametrize(
    "field",
    [
        autocrypt("mallory@example.net"),
        autocrypt().replace("addr=", "address="),
        autocrypt().replace("keydata=\r\n ", "keydata=\r\n !"),
        autocrypt() + "\r\nAutocrypt: " + autocrypt(),
        "addr=anna@example.org; keydata=",
        "x",
    ],
)
def test_autocrypt_of_another_or_none(field: str) -> None:
    assert enclosed_keys(mail(part("x\n"), Autocrypt=field)) == []


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [make_key(f"{number}@example.org").public for number in range(MAX_KEYS + 3)]
    assert enclosed_keys(mail(multipart(*map(attached, keys)))) == keys[:MAX_KEYS]
    monkeypatch.setattr(enclosed, "MAX_KEY_OCTETS", len(ANNA.public) + 1)
    entity = multipart(attached(ANNA.public + b"xx"), attached(ANNA.public))
    assert enclosed_keys(mail(entity)) == [ANNA.public]
    monkeypatch.setattr(enclosed, "MAX_POST_OCTETS", 10)
    with pytest.raises(BadInput, match="expected at most 10"):
        enclosed_keys(mail(entity))


def test_begins_without_ends_cost_little() -> None:
    text = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n" * 20_000
    begun = time.process_time()
    assert enclosed_keys(mail(part(text))) == []
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("octets", [b"no field\r\n\r\n", mail(multipart(part("x"))).removesuffix(b"--\r\n")])
def test_what_cannot_be_read(octets: bytes) -> None:
    with pytest.raises(BadInput):
        enclosed_keys(octets)


@given(st.binary(max_size=200))
def test_nothing_but_bad_input(octets: bytes) -> None:
    for text in (octets, mail(part("x\n"), Autocrypt="addr=anna@example.org; keydata=").rstrip() + octets):
        try:
            enclosed_keys(text)
        except BadInput:
            continue
