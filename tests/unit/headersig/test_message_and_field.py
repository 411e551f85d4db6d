"""Messages into fields, fields into tags, and back: total, bounded, one spelling."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trustgraph.errors import BadInput
from trustgraph.headersig.coverage import OVERSIGNED, TRANSIT, signed_names
from trustgraph.headersig.field import (
    MAX_FIELD_BYTES,
    HeaderSignature,
    canonical_path,
    parse_field,
    render_signed,
    render_unsigned,
)
from trustgraph.headersig.message import (
    MAX_FIELDS,
    MAX_HEADER_BYTES,
    Field,
    join_message,
    split_message,
    with_network_line_ends,
)
from trustgraph.headersig.tags import MAX_TAGS, parse_tags, without_signature
from trustgraph.model import UnixSeconds

hostile = st.lists(
    st.sampled_from([b"a", b"From ", b"From: ", b":", b";", b"=", b"b=", b"h=", b"v=1", b" ", b"\t", b"\r\n", b"\n"])
    | st.binary(max_size=3),
    max_size=30,
).map(b"".join)
names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=":;"), min_size=1, max_size=70)
signed_name_lists = st.lists(names.map(str.encode), min_size=1, max_size=60).filter(
    lambda found: all(name.lower() != b"pgp-header-signature" for name in found)
)


def test_a_message() -> None:
    octets = b"From anna Tue Sep  1 00:00:00 2026\r\nA: b\r\n c\r\n\td\r\nB \t:x\r\n\r\nbody\r\n\r\nmore"
    assert split_message(octets) == ([(b"A", b" b\r\n c\r\n\td"), (b"B", b"x")], b"body\r\n\r\nmore")
    assert (
        split_message(b"A: b") == split_message(b"A: b\r\n") == split_message(b"A: b\r\n\r\n") == ([(b"A", b" b")], b"")
    )
    assert split_message(b"\r\nbody\r\n\r\n") == ([], b"body\r\n\r\n")
    assert split_message(b"") == ([], b"")


@pytest.mark.parametrize("line", [b"From : anna", b"From \t: anna", b"From: anna", b"from: anna"])
def test_a_from_field_is_no_mailbox_line(line: bytes) -> None:
    fields, _ = split_message(line + b"\r\nA: b\r\n\r\n")
    assert [name.lower() for name, _ in fields] == [b"from", b"a"]


@pytest.mark.parametrize(
    ("octets", "number"),
    [
        (b"A: b\r\nFrom anna Tue\r\n\r\n", 2),
        (b"From anna Tue\r\n folded\r\nA: b\r\n\r\n", 1),
        (b" A: b\r\n\r\n", 1),
        (b"A: b\r\n c\r\n d\r\nno field\r\n\r\n", 4),
        (b"A b: c\r\n", 1),
        (b":\r\n", 1),
        (b"A\x00: c\r\n", 1),
        (b"A\r: c\r\n", 1),
        (b"\xe9: c\r\n", 1),
    ],
)
def test_what_is_no_field_is_named_by_its_line(octets: bytes, number: int) -> None:
    with pytest.raises(BadInput, match=f"line {number} of the message"):
        split_message(octets)


def test_bounds_of_a_header() -> None:
    fields, _ = split_message(b"A:\r\n" * MAX_FIELDS)
    assert len(fields) == MAX_FIELDS
    with pytest.raises(BadInput, match="more than 1,000"):
        split_message(b"A:\r\n" * (MAX_FIELDS + 1))
    split_message(b"A:" + b"x" * (MAX_HEADER_BYTES - 2) + b"\r\n\r\n")
    with pytest.raises(BadInput, match="octets long"):
        split_message(b"A:" + b"x" * (MAX_HEADER_BYTES - 1) + b"\r\n\r\n")


def test_a_field_of_many_folds_takes_linear_time() -> None:
    started = time.process_time()
    fields, _ = split_message(b"A:" + b"\r\n " * (MAX_HEADER_BYTES // 3 - 1))
    assert len(fields) == 1
    assert time.process_time() - started < 1


def test_network_line_ends() -> None:
    assert with_network_line_ends(b"a\nb\n") == b"a\r\nb\r\n"
    assert with_network_line_ends(b"a\r\nb\n") == b"a\r\nb\n"


@given(hostile)
@example(b"From  \r\n")
def test_splitting_raises_nothing_else_and_joins_again(octets: bytes) -> None:
    try:
        fields, body = split_message(octets)
    except BadInput:
        return
    assert split_message(join_message(fields, body)) == (fields, body)


@given(hostile | st.binary(max_size=60))
def test_tags_raise_nothing_else(octets: bytes) -> None:
    try:
        tags = parse_tags(octets)
    except BadInput:
        tags = {}
    emptied = without_signature(octets)
    if b"b" in tags:
        assert parse_tags(emptied) == tags | {b"b": b""}
        assert without_signature(emptied) == emptied
    elif tags:
        assert emptied == octets


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        (b"v=1", {b"v": b"1"}),
        (b" v = 1 ;\r\n\tb=x y ; ", {b"v": b"1", b"b": b"x y"}),
        (b"a=;B_2==;", {b"a": b"", b"B_2": b"="}),
    ],
)
def test_tag_lists(text: bytes, tags: dict[bytes, bytes]) -> None:
    assert parse_tags(text) == tags


@pytest.mark.parametrize("text", [b"", b";", b"v=1;;", b"=1", b"1=1", b"v", b"v=1;V", b"v=\xe4", b"v=1;v=1", b"a-b=1"])
def test_what_is_no_tag_list(text: bytes) -> None:
    with pytest.raises(BadInput):
        parse_tags(text)


def test_the_bound_of_tags() -> None:
    text = b";".join(b"t%d=" % number for number in range(MAX_TAGS))
    assert len(parse_tags(text)) == len(parse_tags(text + b"; ")) == MAX_TAGS
    for more in (b";z=", b";z=;", b";z=;y=;x="):
        with pytest.raises(BadInput, match="more than 32"):
            parse_tags(text + more)


@pytest.mark.parametrize(
    ("text", "emptied"),
    [
        (b"b=xx", b"b="),
        (b" b =x\r\n y ; c=1", b" b =; c=1"),
        (b"bh=b=;\r\n\tb= x", b"bh=b=;\r\n\tb="),
        (b"h=b;v=1;b=x;z=b", b"h=b;v=1;b=;z=b"),
        (b"bb=1;B=2", b"bb=1;B=2"),
    ],
)
def test_the_value_of_b_is_taken_out(text: bytes, emptied: bytes) -> None:
    assert without_signature(text) == emptied


PARTS = HeaderSignature(
    domain="mx.example.org",
    fingerprint="0" * 40,
    signed_at=UnixSeconds(1_788_220_800),
    expires_at=UnixSeconds(1_788_825_600),
    names=(b"from",),
    nonce=bytes(8),
    signature=b"\xc2",
)


@given(
    signed_name_lists,
    st.binary(min_size=1, max_size=4096),
    st.none() | st.binary(min_size=32, max_size=32),
    st.none() | st.binary(min_size=1, max_size=512),
    st.none() | st.binary(min_size=1, max_size=512),
    st.sampled_from(["mx.example.org", ".".join(["a" * 47, "b"]), ".".join(["a" * 62] * 4)]),
    st.sampled_from(["0" * 40, "f" * 64]),
)
def test_rendered_fields_parse_back_and_are_folded(
    given_names: list[bytes],
    signature: bytes,
    body_hash: bytes | None,
    mail_from: bytes | None,
    recipient: bytes | None,
    domain: str,
    fingerprint: str,
) -> None:
    parts = replace(
        PARTS,
        names=tuple(name.lower() for name in given_names),
        signature=signature,
        body_hash=body_hash,
        mail_from=mail_from,
        recipient=recipient,
        domain=domain,
        fingerprint=fingerprint,
    )
    value = render_signed(render_unsigned(parts, given_names), signature)
    assert parse_field(value) == parts
    first, *others = (b"PGP-Header-Signature:" + value).split(b"\r\n")
    assert len(first) <= max(78, 31 + len(domain)) <= 998
    assert all(len(line) <= 78 and line[:1] == b"\t" and line.strip() for line in others)
    assert without_signature(value) == render_unsigned(parts, given_names)


@given(hostile | st.binary(max_size=60))
def test_parsing_a_field_raises_nothing_else(octets: bytes) -> None:
    for value in (octets, render_signed(render_unsigned(PARTS, [b"From"]), b"\xc2") + octets):
        with suppress(BadInput):
            parse_field(value)


def test_bounds_of_a_field() -> None:
    value = render_signed(render_unsigned(PARTS, [b"From"]), b"\xc2")
    room = MAX_FIELD_BYTES - len(value)
    assert parse_field(value.replace(b"v=1", b"v=1" + b" " * room)) == PARTS
    with pytest.raises(BadInput, match="octets long"):
        parse_field(value.replace(b"v=1", b"v=1" + b" " * (room + 1)))
    for signature in (b"", bytes(4097)):
        with pytest.raises(BadInput, match="tag b"):
            parse_field(render_signed(render_unsigned(PARTS, [b"From"]), signature))
    assert len(parse_field(value.replace(b"h=", b"h=" + b"a:" * 1999)).names) == 2000
    with pytest.raises(BadInput, match="more than 2,000"):
        parse_field(value.replace(b"h=", b"h=" + b"a:" * 2000))
    for size in (512, 513):
        for parts in (replace(PARTS, mail_from=b"x" * size), replace(PARTS, recipient=b"x" * size)):
            value = render_signed(render_unsigned(parts, [b"From"]), b"\xc2")
            with nullcontext() if size == 512 else pytest.raises(BadInput, match="1 to 512"):
                parse_field(value)


def test_a_long_hostile_field_is_refused_in_linear_time() -> None:
    value = render_signed(render_unsigned(PARTS, [b"From"]), b"\xc2")
    started = time.process_time()
    for junk in (b" " * 60_000, b"\r\n " * 20_000, b"a:" * 30_000, b"a " * 30_000, b": " * 30_000, b"; " * 30_000):
        for place in (b"h=", b"b=", b"v=", b"n="):
            for octets in (value.replace(place, place + junk), value.replace(place, junk + place), junk + b"b=" + junk):
                without_signature(octets)
                with pytest.raises(BadInput):
                    parse_field(octets + b"\x00")
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("path", "bound"),
    [
        (b"", b"<>"),
        (b"Anna@Example.ORG", b"Anna@example.org"),
        (b'"A@B"@Example.org', b'"A@B"@example.org'),
        (b"Postmaster", b"Postmaster"),
        ("JÜRGEN@exämple.org".encode(), "JÜRGEN@exämple.org".encode()),
    ],
)
def test_paths_keep_their_local_part(path: bytes, bound: bytes) -> None:
    assert canonical_path(path) == bound


def test_signed_names_follow_the_design() -> None:
    fields: list[Field] = [
        *((name.title(), b" x") for name in sorted(TRANSIT)),
        *((prefix + b"Any", b" x") for prefix in (b"ARC-", b"X-Spam-", b"X-Virus-")),
        (b"X-Spa", b""),
        (b"SUBJECT", b""),
        (b"From", b""),
        (b"Resent-To", b""),
        (b"X-A", b""),
        (b"x-a", b""),
        (b"With;Semicolon", b""),
        (b"X" * 70, b""),
        (b"Y" * 71, b""),
    ]
    assert signed_names(fields) == [
        *(b"X-Spa", b"SUBJECT", b"From", b"Resent-To", b"X-A", b"x-a", b"X" * 70),
        *OVERSIGNED,
    ]
    assert {name.decode() for name in TRANSIT} == {
        *("received", "return-path", "delivered-to", "bcc", "resent-bcc", "authentication-results"),
        *("dkim-signature", "pgp-header-signature"),
    }
    assert b" ".join(OVERSIGNED).decode() == (
        "From To Cc Subject Date Message-ID Reply-To Sender In-Reply-To References MIME-Version Content-Type "
        "Content-Transfer-Encoding"
    )


def test_a_message_without_a_header_is_all_body() -> None:
    assert split_message(b"\r\n\r\n\r\nHello\r\n") == ([], b"\r\n\r\nHello\r\n")
    assert split_message(b"\r\n") == ([], b"")
