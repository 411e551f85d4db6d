"""What is signed in a message and in which form; and everything that two programs could read in two ways."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signed_posts import (
    LIST,
    armor,
    clear_signed,
    encoded,
    header,
    header_signed,
    inline,
    make_key,
    message,
    multipart,
    part,
    pgp_mime,
    protected,
    signed_entity,
    unsigned,
    usual_fields,
)
from trustgraph.errors import BadInput
from trustgraph.mailinglist import reading
from trustgraph.mailinglist.model import Binding, Kind, Post
from trustgraph.mailinglist.reading import MAX_HEADER_SIGNATURES, read_post

ANNA = make_key("anna@example.org")
MIME, CLEAR, HEADER, PLAIN = pgp_mime(ANNA), inline(ANNA), header(ANNA), unsigned(ANNA.address)
EXTRA = b"Content-Type: text/plain\r\n\r\nBuy pigeons.\r\n"


def said(octets: bytes) -> str:
    """The problem, or the kinds of what is signed."""
    post = read_post(octets)
    assert not (post.problem and post.contents)
    return post.problem or " ".join(one.kind for one in post.contents) or "unsigned"


def changed(octets: bytes, old: bytes, new: bytes) -> bytes:
    assert octets.count(old) >= 1
    return octets.replace(old, new, 1)


def sole(octets: bytes) -> bytes:
    (content,) = read_post(octets).contents
    return content.text


def test_what_is_read() -> None:
    post = read_post(
        pgp_mime(ANNA, Message_ID="<1@example.org>", Subject="Swifts\r\n  again", From="Anna <ANNA@Example.org>")
    )
    assert (post.author, post.message_id, post.subject) == ("anna@example.org", "<1@example.org>", "Swifts again")
    assert (post.problem, post.automatic) == ("", False)
    assert post.contents[0].kind is Kind.PGP_MIME
    assert post.contents[0].text == part("The swifts are back.\n")
    assert post.contents[0].signature.startswith(b"-----BEGIN PGP SIGNATURE-----\r\n")
    assert read_post(PLAIN) == Post("anna@example.org", (), "", read_post(PLAIN).message_id, "Swifts", False)
    assert said(HEADER) == "header"
    assert said(header_signed(ANNA, MIME)) == "pgp-mime header"


@pytest.mark.parametrize("octets", [MIME, CLEAR, HEADER, PLAIN])
def test_line_ends_of_a_file_or_of_the_network(octets: bytes) -> None:
    assert read_post(octets.replace(b"\r\n", b"\n")) == read_post(octets)
    assert read_post(b"From anna@example.org  Tue Sep  1 00:00:00 2026\r\n" + octets) == read_post(octets)


@pytest.mark.parametrize(
    "octets", [b"", b"\r\n", b"no field\r\n\r\ntext", b": empty name\r\n\r\n", b"\xff", b"A: b\r\nno field"]
)
def test_no_message_at_all(octets: bytes) -> None:
    if octets in (b"", b"\r\n"):
        assert read_post(octets).problem == "no-author"
        return
    with pytest.raises(BadInput):
        read_post(octets)


def signed_by(*, entity: bytes = part("Swifts.\n"), head: str = "", **fields: str | None) -> bytes:
    whole = message(usual_fields(ANNA.address, **fields), signed_entity(entity, ANNA))
    return whole.replace(b"Content-Type: multipart/signed", head.encode() + b"Content-Type: multipart/signed", 1)


TOP_TYPE = (
    b'Content-Type: multipart/signed; micalg=pgp-sha256;\r\n protocol="application/pgp-signature"; boundary="signed"'
)
START, END = b"\r\n--signed\r\n", b"--signed--\r\n"


def top(parameters: bytes, mark: bytes = b"signed") -> bytes:
    return changed(MIME, TOP_TYPE, b"Content-Type: multipart/signed; " + parameters).replace(b"--signed", b"--" + mark)


GOOD_TYPES = [
    b"protocol=application/pgp-signature; boundary=signed".replace(
        b"application/pgp-signature", b'"application/pgp-signature"'
    ),
    b'boundary="signed";protocol="application/pgp-signature";micalg="pgp-sha256";',
    b'PROTOCOL="Application/PGP-Signature";\r\n\tBOUNDARY="signed" ;\r\n x-unknown=1',
    b'protocol="application/pgp-signature"; boundary=signed; charset="utf-8"',
]


@pytest.mark.parametrize("parameters", GOOD_TYPES)
def test_ways_to_write_the_type(parameters: bytes) -> None:
    assert said(top(parameters)) == "pgp-mime"


@pytest.mark.parametrize(
    "boundary", [b"a", b"x" * 70, b"=_a(b)c+d,e-f.g/h:i=j?k'l", b"with blank", b"signed--", b"--------------020304"]
)
def test_boundaries(boundary: bytes) -> None:
    assert said(top(b'protocol="application/pgp-signature"; boundary="%b"' % boundary, boundary)) == "pgp-mime"


PGP = b'protocol="application/pgp-signature"; '
BAD_TYPES = [
    PGP + b'boundary="signed"; boundary="signed"',
    PGP + b'boundary="signed"; Boundary="other"',
    PGP + b'boundary="signed"; boundary*="us-ascii\'\'signed"',
    PGP + b'boundary*0="signed"',
    PGP + b"boundary=\"signed\"; charset*=utf-8''utf-7",
    PGP + b'boundary="signed"; protocol="application/pkcs7-signature"',
    PGP + b'boundary="sig\\ned',
    PGP + b'boundary="signed',
    PGP + b"boundary=",
    PGP + b'boundary=""',
    PGP + b"boundary='signed'",
    PGP + b'boundary="signed" (comment)',
    PGP + b'(comment) boundary="signed"',
    PGP + b'boundary="signed"x',
    PGP + b"boundary=sig ned",
    PGP + b'boundary = "sig\r\n ned"',
    PGP + b'boundary="signed "',
    PGP + b'boundary="sign\xe9"',
    PGP + b'boundary="signed"; =x',
    PGP + b'boundary="signed"' + b"; x=y" * 1100,
    PGP,
]


@pytest.mark.parametrize("parameters", BAD_TYPES)
def test_types_read_in_two_ways(parameters: bytes) -> None:
    assert said(top(parameters)) == "malformed-mime"


def test_a_boundary_of_71_characters() -> None:
    assert said(top(PGP + b'boundary="' + b"x" * 71 + b'"', b"x" * 71)) == "malformed-mime"


def test_other_protocols() -> None:
    smime = b'protocol="application/pkcs7-signature"; boundary="signed"'
    assert said(top(smime)) == "partly-signed"  # for it has an OpenPGP signature in it
    assert said(changed(top(smime), b"application/pgp-signature;", b"application/pkcs7-signature;")) == "unsigned"
    assert said(top(b'boundary="signed"')) == "partly-signed"


PREAMBLES = [
    b"",
    b"\r\n\r\n",
    b"This is an OpenPGP/MIME signed message (RFC 4880 and 3156)\r\n",
    b"\r\nThis is a multi-part message in MIME format.\r\n\r\n",
]


@pytest.mark.parametrize("preamble", PREAMBLES)
def test_above_the_first_delimiter(preamble: bytes) -> None:
    assert said(changed(MIME, b"\r\n\r\n--signed\r\n", b"\r\n\r\n" + preamble + b"--signed\r\n")) == "pgp-mime"


STRUCTURES: dict[str, tuple[Callable[[], bytes], str]] = {
    "text above": (lambda: changed(MIME, START, b"\r\nBuy pigeons.\r\n--signed\r\n"), "partly-signed"),
    "known text and more": (
        lambda: changed(MIME, START, b"\r\nThis is a multi-part message in MIME format. Buy!\r\n--signed\r\n"),
        "partly-signed",
    ),
    "another delimiter above": (
        lambda: changed(MIME, START, b"\r\n--other\r\n\r\nBuy.\r\n--signed\r\n"),
        "partly-signed",
    ),
    "text below": (lambda: MIME + b"Buy pigeons.\r\n", "partly-signed"),
    "blanks below": (lambda: MIME + b"\r\n \t\r\n", "pgp-mime"),
    "delimiter below": (lambda: MIME + b"--signed\r\n", "malformed-mime"),
    "closed twice": (lambda: MIME + END, "malformed-mime"),
    "part below": (lambda: MIME + b"--signed\r\n" + EXTRA + END, "malformed-mime"),
    "three parts": (lambda: changed(MIME, END, b"--signed\r\n" + EXTRA + END), "partly-signed"),
    "three parts, the first unsigned": (lambda: changed(MIME, START, START + EXTRA + b"--signed\r\n"), "partly-signed"),
    "one part": (lambda: MIME[: MIME.rindex(b"--signed\r\n")] + END, "partly-signed"),
    "not closed": (lambda: MIME.removesuffix(END), "malformed-mime"),
    "closed by more than that": (lambda: changed(MIME, END, b"--signed--x\r\n"), "malformed-mime"),
    "closed with a blank": (lambda: changed(MIME, END, b"--signed-- \r\n"), "malformed-mime"),
    "not ended by a line end": (lambda: MIME.removesuffix(b"\r\n"), "pgp-mime"),
    "delimiter with a blank": (lambda: changed(MIME, START, b"\r\n--signed \r\n"), "malformed-mime"),
    "delimiter with more": (lambda: signed_by(entity=part("a\n--signedness\nb\n")), "malformed-mime"),
    "delimiter in the text": (lambda: signed_by(entity=part("a\n--signed\nb\n")), "malformed-mime"),
    "close delimiter in the text": (lambda: signed_by(entity=part("a\n--signed--\nb\n")), "malformed-mime"),
    "indented delimiter in the text": (lambda: signed_by(entity=part("a\n --signed\nb\n--sign\n")), "pgp-mime"),
    "inner boundary begins with the outer": (
        lambda: signed_by(entity=multipart(part("a\n"), boundary="signed2")),
        "malformed-mime",
    ),
    "empty part": (lambda: changed(MIME, START, START + b"--signed\r\n"), "malformed-mime"),
    "part without an empty line": (
        lambda: changed(MIME, START, START + b"Content-Type: x/y\r\n--signed\r\n"),
        "malformed-mime",
    ),
    "part with no field in its header": (lambda: signed_by(entity=b"no field\r\n\r\ntext\r\n"), "malformed-mime"),
    "part with a blank before a colon": (
        lambda: signed_by(entity=b"Content-Type : text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n"),
        "malformed-mime",
    ),
    "part with a white line in its header": (
        lambda: signed_by(entity=b"Content-Type: text/plain\r\n \r\n\r\nx\r\n"),
        "malformed-mime",
    ),
    "part like a mailbox": (lambda: signed_by(entity=b"From anna\r\n" + part("a\n")), "malformed-mime"),
    "part with a folded first line": (lambda: signed_by(entity=b" x: y\r\n" + part("a\n")), "malformed-mime"),
    "header that is a text": (lambda: signed_by(entity=b"To do: nothing\r\n\r\nSwifts.\r\n"), "malformed-mime"),
    "header without Content-Type": (lambda: signed_by(entity=b"Subject: x\r\n\r\nSwifts.\r\n"), "malformed-mime"),
    "encoded as a whole": (lambda: signed_by(head="Content-Transfer-Encoding: quoted-printable\r\n"), "malformed-mime"),
    "of an unknown encoding": (lambda: signed_by(head="Content-Transfer-Encoding: x-uuencode\r\n"), "malformed-mime"),
    "8bit as a whole": (lambda: signed_by(head="Content-Transfer-Encoding: 8Bit\r\n"), "pgp-mime"),
    "no MIME-Version": (lambda: signed_by(MIME_Version=None), "malformed-mime"),
    "MIME-Version 2": (lambda: signed_by(MIME_Version="2.0"), "malformed-mime"),
    "MIME-Version with a comment": (lambda: signed_by(MIME_Version=r"1.0 (Mac OS X Mail 16.0 \(3774\))"), "pgp-mime"),
    "signature of another type": (
        lambda: changed(MIME, b"application/pgp-signature; name", b"text/plain; name"),
        "malformed-mime",
    ),
    "signature encoded": (
        lambda: changed(MIME, b"name=signature.asc", b"name=signature.asc\r\nContent-Transfer-Encoding: base64"),
        "malformed-mime",
    ),
    "signature of two types": (
        lambda: changed(MIME, b"name=signature.asc", b"name=signature.asc\r\nContent-Type: text/plain"),
        "malformed-mime",
    ),
    "signature too long": (
        lambda: changed(MIME, b"\r\n-----END PGP", b"\r\n" * 9000 + b"-----END PGP"),
        "malformed-mime",
    ),
    "signed within a part": (
        lambda: message(usual_fields(ANNA.address), multipart(signed_entity(part("a\n"), ANNA), part("b\n"))),
        "partly-signed",
    ),
    "signed as the sole part": (
        lambda: message(usual_fields(ANNA.address), multipart(signed_entity(part("a\n"), ANNA))),
        "partly-signed",
    ),
    "signed and signed again": (lambda: signed_by(entity=signed_entity(part("a\n"), ANNA, boundary="in")), "pgp-mime"),
    "clear-signed in a part": (
        lambda: message(usual_fields(ANNA.address), multipart(CLEAR[CLEAR.index(b"Content-Type") :], part("b\n"))),
        "partly-signed",
    ),
    "clear-signed in an encoded part": (
        lambda: message(
            usual_fields(ANNA.address),
            multipart(part("b\n"), part(ANNA.clear(b"Swifts.\n").decode(), encoding="base64")),
        ),
        "partly-signed",
    ),
    "clear-signed page": (lambda: changed(CLEAR, b"text/plain", b"text/html"), "partly-signed"),
    "encrypted": (
        lambda: message(
            usual_fields(ANNA.address),
            multipart(b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n", part("x\n"), kind="encrypted"),
        ),
        "encrypted",
    ),
    "encrypted text": (lambda: unsigned(ANNA.address, armor(b"x", b"MESSAGE").decode()), "encrypted"),
    "unsigned with an attachment": (
        lambda: message(usual_fields(ANNA.address), multipart(part("a\n"), part("<p>", "text/html"))),
        "unsigned",
    ),
    "unsigned and cut wrongly": (
        lambda: message(usual_fields(ANNA.address), multipart(part("a\n"))).removesuffix(b"--\r\n"),
        "malformed-mime",
    ),
    "unsigned and closed twice": (
        lambda: message(usual_fields(ANNA.address), multipart(part("a\n"), boundary="b")) + EXTRA + b"--b--\r\n",
        "malformed-mime",
    ),
    "unsigned, its boundary said in two ways": (
        lambda: changed(
            message(usual_fields(ANNA.address), multipart(part("a\n"), boundary="b")),
            b'boundary="b"',
            b"boundary=\"b\"; boundary*=''c",
        ),
        "malformed-mime",
    ),
    "signed in a part by a signature of another type": (
        lambda: changed(
            message(usual_fields(ANNA.address), multipart(signed_entity(part("a\n"), ANNA))),
            b"application/pgp-signature; name",
            b"text/plain; name",
        ),
        "partly-signed",
    ),
    "unsigned and of an unknown encoding": (lambda: changed(PLAIN, b"7bit", b"8bits"), "malformed-mime"),
    "attachment that is base64 of a kind": (
        lambda: message(usual_fields(ANNA.address), multipart(part("a\n"), part("a\n", encoding="base64") + b"?")),
        "malformed-mime",
    ),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure(name: str) -> None:
    make, expected = STRUCTURES[name]
    assert said(make()) == expected


@pytest.mark.parametrize("octets", [MIME, CLEAR, HEADER, PLAIN], ids=["mime", "inline", "header", "plain"])
@pytest.mark.parametrize(
    ("field", "problem"),
    [
        (b"From: mallory@example.net", "several-authors"),
        (b"Sender: mallory@example.net", "other-sender"),
        (b"To: other@lists.example", "repeated-field"),
        (b"Subject: Pigeons", "repeated-field"),
        (b"subject: Pigeons", "repeated-field"),
        (b"Message-Id: <x@y>", "repeated-field"),
        (b"MIME-Version: 1.0", "repeated-field"),
        (b"content-type: text/html", "repeated-field"),
        (b"Subject : Pigeons", "malformed-header"),
        (b"X-A: b\r\n \r\n c", "malformed-header"),
        (b"X-A: b\r\n\t", "malformed-header"),
        (b"X-A: b\rc", "odd-line-ends"),
        (b"X-A: b\nFrom: c@example.net", "odd-line-ends"),
        (b"X-A: \0", "odd-line-ends"),
    ],
)
def test_fields_that_are_a_problem(octets: bytes, field: bytes, problem: str) -> None:
    assert said(field + b"\r\n" + octets) == problem


def test_repeated_transfer_encoding() -> None:
    assert said(b"Content-Transfer-Encoding: base64\r\n" + CLEAR) == "repeated-field"


@pytest.mark.parametrize("odd", [b"a\rb", b"a\nb", b"a\0b", b"\r\r\n"])
@pytest.mark.parametrize("octets", [MIME, CLEAR, HEADER, PLAIN], ids=["mime", "inline", "header", "plain"])
def test_odd_line_ends_in_the_text(octets: bytes, odd: bytes) -> None:
    assert said(changed(octets, b"swifts", odd)) == "odd-line-ends"


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_POST_OCTETS", len(MIME))
    assert said(MIME) == "pgp-mime"
    post = read_post(MIME + b"\n")
    assert (post.problem, post.author, post.contents) == ("too-large", "anna@example.org", ())


def test_depth_and_number_of_parts() -> None:
    def deep(levels: int) -> bytes:
        entity = part("a\n")
        for level in range(levels):
            entity = multipart(entity, boundary=f"{level:03}")
        return message(usual_fields(ANNA.address), entity)

    def wide(number: int) -> bytes:
        return message(usual_fields(ANNA.address), multipart(*[part("a\n")] * number))

    assert said(deep(20)) == said(wide(199)) == "unsigned"
    assert said(deep(21)) == said(wide(200)) == said(wide(5000)) == "malformed-mime"


INLINE: dict[str, tuple[Callable[[], bytes], str]] = {
    "no MIME at all": (lambda: re.sub(rb"(MIME-Version|Content-[A-Za-z-]*): [^\r]*\r\n", b"", CLEAR), "inline"),
    "7bit without MIME-Version": (lambda: changed(CLEAR, b"MIME-Version: 1.0\r\n", b""), "inline"),
    "encoded without MIME-Version": (
        lambda: changed(inline(ANNA, encoding="base64"), b"MIME-Version: 1.0\r\n", b""),
        "malformed-mime",
    ),
    "quoted-printable with what is none": (
        lambda: changed(inline(ANNA, encoding="quoted-printable"), b"swifts", b"=ZZ"),
        "malformed-mime",
    ),
    "quoted-printable with 8 bits": (
        lambda: changed(inline(ANNA, encoding="quoted-printable"), b"swifts", b"\xfc"),
        "malformed-mime",
    ),
    "quoted-printable with a blank behind a soft end": (
        lambda: changed(inline(ANNA, "x" * 100, encoding="quoted-printable"), b"=\r\n", b"= \r\n"),
        "malformed-mime",
    ),
    "quoted-printable with a bare CR": (
        lambda: changed(inline(ANNA, encoding="quoted-printable"), b"swifts", b"=0D"),
        "odd-line-ends",
    ),
    "base64 with what is none": (
        lambda: changed(inline(ANNA, encoding="base64"), b"\r\n\r\n", b"\r\n\r\n!"),
        "malformed-mime",
    ),
    "base64 of LF": (
        lambda: (
            message(usual_fields(ANNA.address), part("", encoding="base64"))
            + base64.encodebytes(ANNA.clear(b"Swifts.\n")).replace(b"\n", b"\r\n")
        ),
        "inline",
    ),
    "koi8-r": (lambda: changed(CLEAR, b"utf-8", b"KOI8-R"), "inline"),
    "utf-7": (lambda: changed(CLEAR, b"utf-8", b"utf-7"), "odd-charset"),
    "utf-16": (lambda: changed(CLEAR, b"utf-8", b"utf-16le"), "odd-charset"),
    "two charsets": (lambda: changed(CLEAR, b"utf-8", b"utf-8; charset*=''utf-7"), "odd-charset"),
    "charset twice": (lambda: changed(CLEAR, b"utf-8", b"utf-8; charset=utf-7"), "malformed-mime"),
}


@pytest.mark.parametrize("name", INLINE)
def test_inline(name: str) -> None:
    make, expected = INLINE[name]
    assert said(make()) == expected


@pytest.mark.parametrize("encoding", ["7bit", "quoted-printable", "base64"])
@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("one\ntwo\n", b"one\r\ntwo"),
        ("one \t\n two\n", b"one\r\n two"),
        ("-- \nx\n\n\n", b"--\r\nx\r\n\r\n"),
        ("- one\n-----BEGIN PGP SIGNATURE-----\n", b"- one\r\n-----BEGIN PGP SIGNATURE-----"),
        ("From x\n\x0b\x0cy\x0c\n", b"From x\r\n\x0b\x0cy\x0c"),
        ("", b""),
        ("\n", b""),
        ("\n\n", b"\r\n"),
        ("\n\nx\n", b"\r\n\r\nx"),
    ],
)
def test_canonical_form_of_clear_signed_text(text: str, canonical: bytes, encoding: str) -> None:
    assert sole(inline(ANNA, text, encoding=encoding)) == canonical


def block(text: bytes) -> str:
    head = part("")
    return said(message(usual_fields(ANNA.address), head + text.replace(b"\n", b"\r\n")))


SIGNATURE = b"BEGIN PGP SIGNATURE-----\n"
GOOD_BLOCK = clear_signed(b"Swifts.\n", ANNA.packet(b"Swifts.", 1))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"", b"", "inline"),
        (b"", b"\n \n\t\n", "inline"),
        (b"", b"Text.\n", "partly-signed"),
        (b"", b" ", "unsigned"),
        (b"Hash: SHA256\n", b"", "inline"),
        (b"Hash: SHA256\n", b"Hash: SHA256,SHA512\nHash: SHA1\n", "inline"),
        (b"Hash: SHA256", b"Hash: SHA256 ", "malformed-clear-text"),
        (b"Hash: SHA256", b"Hash: Buy pigeons", "malformed-clear-text"),
        (b"Hash: SHA256", b"Hash: SHA256\nCharset: utf-8", "malformed-clear-text"),
        (b"Hash: SHA256", b"Hash: SHA256\nNotDashEscaped: x", "malformed-clear-text"),
        (b"Hash: SHA256\n\n", b"Hash: SHA256\n \n", "malformed-clear-text"),
        (b"Hash: SHA256\n\n", b"Hash: SHA256\n", "malformed-clear-text"),
        (b"MESSAGE-----\n", b"MESSAGE----- \n", "malformed-clear-text"),
        (b"Swifts.\n", b"", "inline"),
        (b"Swifts.", b"-Swifts.", "malformed-clear-text"),
        (b"Swifts.", b"-----", "malformed-clear-text"),
        (b"Swifts.", b"-\xc2\xa0Swifts.", "malformed-clear-text"),
        (SIGNATURE + b"\n", SIGNATURE + b"Version: GnuPG v2.0.22 (GNU/Linux)\n\n", "inline"),
        (
            SIGNATURE + b"\n",
            SIGNATURE + b"Version: GnuPG v1\nComment: Using GnuPG with Thunderbird - https://www.enigmail.net/\n\n",
            "inline",
        ),
        (SIGNATURE + b"\n", SIGNATURE + b"Comment: Buy pigeons\n\n", "malformed-clear-text"),
        (SIGNATURE + b"\n", SIGNATURE + b"Version: Buy many nice pigeons\n\n", "malformed-clear-text"),
        (SIGNATURE + b"\n", SIGNATURE, "malformed-clear-text"),
        (b"BEGIN PGP SIGNATURE-----", b"BEGIN PGP SIGNATURE----- ", "malformed-clear-text"),
        (b"\n-----END PGP SIGNATURE-----", b"\nBuy pigeons.\n-----END PGP SIGNATURE-----", "malformed-clear-text"),
        (b"\n-----END PGP SIGNATURE-----", b"", "malformed-clear-text"),
        (b"END PGP SIGNATURE-----", b"END PGP SIGNATURE----- Buy", "malformed-clear-text"),
        (b"END PGP SIGNATURE-----\n", b"END PGP SIGNATURE-----\n\n \n", "inline"),
        (b"END PGP SIGNATURE-----\n", b"END PGP SIGNATURE-----\nText.\n", "partly-signed"),
        (b"END PGP SIGNATURE-----\n", b"END PGP SIGNATURE-----\n" + GOOD_BLOCK, "partly-signed"),
    ],
)
def test_the_framework_of_clear_signed_text(old: bytes, new: bytes, expected: str) -> None:
    assert block(changed(GOOD_BLOCK, old, new)) == expected


def test_signature_block_too_long() -> None:
    assert block(clear_signed(b"Swifts.\n", b"\xc2" * 16_000)) == "malformed-clear-text"


TO = f"To: {LIST}"
BOTH = Binding(author="anna@example.org", recipients=frozenset({LIST}), subject=b"Swifts")


@pytest.mark.parametrize(
    ("octets", "binding"),
    [
        (MIME, Binding()),
        (CLEAR, Binding()),
        (pgp_mime(ANNA, bound=True), BOTH),
        (pgp_mime(ANNA, bound=[TO]), Binding(recipients=frozenset({LIST}))),
        (pgp_mime(ANNA, bound=[TO, "Cc: <x@example.net>"]), Binding(recipients=frozenset({LIST, "x@example.net"}))),
        (pgp_mime(ANNA, bound=["List-Id: Birds <Birds.lists.example>"]), Binding(list_id="birds.lists.example")),
        (signed_by(entity=protected(part("a\n"), TO, legacy=True)), Binding(recipients=frozenset({LIST}))),
        (signed_by(entity=f"{TO}\r\n".encode() + part("a\n")), Binding()),
        (signed_by(entity=protected(part("a\n"), TO).replace(b'hp="clear"', b'hp="cipher"')), Binding()),
        (signed_by(entity=protected(part("a\n"), TO).replace(b'hp="clear"', b'hp="clear"; hp=x')), Binding()),
        (HEADER, BOTH),
        (header(ANNA, List_Id="<birds.lists.example>"), replace(BOTH, list_id="birds.lists.example")),
        (b"List-Id: <late.lists.example>\r\n" + HEADER, BOTH),
        (b"List-Id: <late.lists.example>\r\n" + header(ANNA, List_Id="<birds.lists.example>"), BOTH),
    ],
)
def test_what_a_signature_covers_of_the_header(octets: bytes, binding: Binding) -> None:
    (content,) = read_post(octets).contents
    assert content.binding == binding


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ("From: a@example.org, b@example.org", "several-authors"),
        ("From: bert@example.net\r\nFrom: anna@example.org", "malformed-mime"),
        (f"{TO}\r\nTo: other@lists.example", "malformed-mime"),
        ("List-Id: <a.example>\r\nlist-id: <b.example>", "malformed-mime"),
    ],
)
def test_protected_fields_that_are_a_problem(field: str, problem: str) -> None:
    assert said(signed_by(entity=protected(part("a\n"), field))) == problem


def test_a_signature_over_all_covers_what_would_be_a_problem() -> None:
    partly = message(usual_fields(ANNA.address), multipart(signed_entity(part("a\n"), ANNA), part("b\n")))
    assert said(partly) == "partly-signed"
    assert said(header_signed(ANNA, partly)) == "header"
    assert said(header_signed(ANNA, partly, with_body=False)) == "partly-signed"
    assert said(b"PGP-Header-Signature: v=1; x\r\n" + partly) == "partly-signed"
    assert said(b"Sender: mallory@example.net\r\n" + HEADER) == "other-sender"


def test_hosts_on_the_way_do_not_hide_the_subscribers_own_header_signature() -> None:
    octets = HEADER
    for number in range(MAX_HEADER_SIGNATURES - 1):
        octets = b"PGP-Header-Signature: v=%d\r\n" % number + octets
    lowest, *above = reversed([one.signature.strip() for one in read_post(octets).contents])
    assert lowest.startswith(b"v=1; d=laptop.example.org;")
    assert above == [b"v=%d" % number for number in range(MAX_HEADER_SIGNATURES - 1)]
    assert len(read_post(b"PGP-Header-Signature: v=x\r\n" + octets).contents) == MAX_HEADER_SIGNATURES


@pytest.mark.parametrize(
    ("field", "is_automatic"),
    [
        (b"Auto-Submitted: auto-replied", True),
        (b"auto-submitted: Auto-Generated (by cron)", True),
        (b"Auto-Submitted: no", False),
        (b"Auto-Submitted: No (really)", False),
        (b"Precedence: bulk", True),
        (b"Precedence: first-class", False),
        (b"Return-Path: <>", True),
        (b"Return-Path: <anna@example.org>", False),
        (b"List-Unsubscribe: <mailto:x@example.org>", True),
        (b"X-Loop: x", True),
        (b"X-Auto-Response-Suppress: All", True),
        (b"X-Other: x", False),
    ],
)
def test_automatic(field: bytes, is_automatic: bool) -> None:
    assert read_post(field + b"\r\n" + PLAIN).automatic is is_automatic


@pytest.mark.parametrize("author", ["MAILER-DAEMON@example.org", "birds-bounces@example.org", "<no-reply@example.org>"])
def test_automatic_by_its_author(author: str) -> None:
    assert read_post(unsigned(author)).automatic
    assert read_post(changed(PLAIN, b"text/plain", b"multipart/report; boundary=x")).automatic


SEEDS = [
    MIME,
    CLEAR,
    HEADER,
    PLAIN,
    pgp_mime(ANNA, bound=True),
    inline(ANNA, "grün\n", encoding="quoted-printable"),
    inline(ANNA, encoding="base64"),
    signed_by(entity=multipart(part("a\n"), part("<p>", "text/html"), boundary="inner")),
    message(usual_fields(ANNA.address), multipart(part("a\n"), part("b\n", encoding="base64"), boundary="inner")),
]
PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"--",
    b"--signed",
    b"--signed--",
    b"\r\n\r\n",
    b'"',
    b"; ",
    b": ",
    b" ",
    b"\t",
    b"\0",
    b"-",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    octets = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(octets)))
        end = min(len(octets), at + draw(st.integers(0, 60)))
        match draw(st.sampled_from(["cut", "double", "insert", "move", "write"])):
            case "cut":
                del octets[at:end]
            case "double":
                octets[at:at] = octets[at:end]
            case "insert":
                octets[at:at] = draw(st.sampled_from(PIECES))
            case "move":
                piece = octets[at:end]
                del octets[at:end]
                to = draw(st.integers(0, len(octets)))
                octets[to:to] = piece
            case _:
                octets[at : at + 1] = bytes([draw(st.integers(0, 255))])
    return bytes(octets)


@given(mutated() | st.binary(max_size=200))
def test_nothing_but_bad_input(octets: bytes) -> None:
    try:
        post = read_post(octets)
    except BadInput:
        return
    assert bool(post.author) or post.problem
    assert not (post.contents and post.problem)


@given(mutated())
def test_the_standard_library_sees_the_same_signed_part(octets: bytes) -> None:
    try:
        post = read_post(octets)
    except BadInput:
        return
    signed = [one for one in post.contents if one.kind is Kind.PGP_MIME]
    if not signed:
        return
    other = message_from_bytes(octets.replace(b"\r\n", b"\n"), policy=policy.compat32)
    assert other.get_content_type() == "multipart/signed"
    assert not other.defects
    first, second = other.get_payload()
    assert second.get_content_type() == "application/pgp-signature"
    ours = signed[0].text.replace(b"\r\n", b"\n")
    if b"multipart" not in ours.lower():  # else its own preamble and epilogue are written anew
        assert body_of(ours) == body_of(first.as_bytes(policy=policy.compat32))


def body_of(entity: bytes) -> bytes:
    return entity[1:] if entity.startswith(b"\n") else entity.partition(b"\n\n")[2]


HOSTILE = {
    "delimiters": lambda n: top(PGP + b'boundary="signed"') + b"--signed\r\n" * n,
    "nearly delimiters": lambda n: changed(MIME, b"swifts", b"\r\n--signe" * n),
    "blank lines": lambda n: changed(CLEAR, b"-----BEGIN PGP SIGNED", b" \t\r\n" * n + b"-----BEGIN PGP SIGNED"),
    "dashes": lambda n: changed(CLEAR, b"swifts", b"\r\n- " * n),
    "marks": lambda n: changed(CLEAR, b"swifts", b"\r\n-----BEGIN PGP SIGNED MESSAGE-----" * n),
    "signature marks": lambda n: changed(CLEAR, b"swifts", b"\r\n-----BEGIN PGP SIGNATURE-----" * n),
    "preamble": lambda n: changed(MIME, START, b"\r\n" + b" \r\n" * n + b"x\r\n--signed\r\n"),
    "epilogue": lambda n: MIME + b" \r\n" * n,
    "fields": lambda n: b"X: \r\n" * min(n, 900) + MIME,
    "long field": lambda n: b"X: " + b" a=(" * n + b"\r\n" + MIME,
    "long folds": lambda n: b"X: a" + b"\r\n a" * n + b"\r\n" + MIME,
    "long author": lambda n: changed(MIME, b"anna@", b"-a" * n + b"@"),
    "long type": lambda n: top(PGP + b'boundary="signed"' + b" ;" * n),
    "equals": lambda n: changed(inline(ANNA, encoding="quoted-printable"), b"swifts", b"=\r\n" * n),
    "soft ends": lambda n: changed(inline(ANNA, encoding="quoted-printable"), b"swifts", b" =20" * n),
    "version": lambda n: changed(MIME, b"MIME-Version: 1.0", b"MIME-Version: 1.0 " + b"(\\" * n),
    "deep": lambda n: message(
        usual_fields(ANNA.address),
        b"".join(
            b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (one, one) for one in range(n // 100)
        ),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_cost_no_more_than_their_length(name: str) -> None:
    octets = HOSTILE[name](60_000)
    begun = time.process_time()
    with suppress(BadInput):
        read_post(octets)
    assert time.process_time() - begun < 1


def test_encoded_is_what_the_maker_says() -> None:
    assert sole(inline(ANNA, "ü\n", encoding="quoted-printable")) == "ü".encode()
    assert encoded("ü\n".encode(), "quoted-printable") == b"=C3=BC\r\n"
