"""Canonical forms: the published examples, and a slow reading of the same RFC on hostile octets."""

from __future__ import annotations

import base64
import hashlib
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.headersig import reference
from tests.unit.headersig.signed import GOLDEN
from trustgraph.errors import BadInput
from trustgraph.headersig.canonical import BodyHash, body_hash, relaxed_field, relaxed_value
from trustgraph.headersig.message import split_message
from trustgraph.headersig.tags import parse_tags, without_signature

HOSTILE = [bytes((octet,)) for octet in b" \t\r\n\x0b\x0c\x00a\x80\x85\xa0\xff"]
PIECES = [*HOSTILE, b"\r\n", b" \r\n", b"\r\n ", b"\r\r\n", b"\n\r"]
octets = st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join)
#: Pieces of a field that are never a line end without a fold.
field_octets = st.lists(st.sampled_from([*HOSTILE[:3], *HOSTILE[4:], b"\r\n ", b"\n\t"]), max_size=24).map(b"".join)

EMPTY = hashlib.sha256().digest()


def hashed(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def test_rfc_6376_section_3_4_5() -> None:
    """Example 1: A: <SP> X, B <SP> : <SP> Y <HTAB> fold Z <SP><SP>; body <SP> C <SP>, D <SP><HTAB><SP> E, two empty."""
    fields, body = split_message(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n")
    assert [relaxed_field(name, value) for name, value in fields] == [b"a:X", b"b:Y Z"]
    assert body_hash(body) == hashed(b" C\r\nD E\r\n")


def test_rfc_8463_appendix_a() -> None:
    """The Ed25519 signature of the example verifies over a text made of our forms."""
    fields, body = split_message((GOLDEN / "rfc8463.eml").read_bytes())
    own_name, own_value = fields[0]
    tags = parse_tags(own_value)
    assert base64.b64encode(body_hash(body)) == tags[b"bh"] == b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
    left = list(fields)
    text = b""
    for name in tags[b"h"].replace(b" ", b"").replace(b"\r\n", b"").split(b":"):
        at = next((at for at in reversed(range(len(left))) if left[at][0].lower() == name), None)
        if at is not None:
            text += relaxed_field(*left.pop(at)) + b"\r\n"
    text += relaxed_field(own_name, without_signature(own_value))
    signature = base64.b64decode(tags[b"b"])
    assert base64.b64encode(signature).startswith(b"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="))
    public.verify(signature, hashed(text))


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"\r\n\r\n\r\n", b""),
        (b"   ", b""),
        (b" \t", b""),
        (b" \r\n\t\r\n", b""),
        (b"a", b"a\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b"a \t", b"a\r\n"),
        (b"\r\na", b"\r\na\r\n"),
        (b"\t a", b" a\r\n"),
        (b"a\r", b"a\r\r\n"),
        (b"a\n", b"a\n\r\n"),
        (b"\r", b"\r\r\n"),
        (b"\n", b"\n\r\n"),
        (b"a \r", b"a \r\r\n"),
        (b"a\r\r\n", b"a\r\r\n"),
        (b"a\n\r\n\r\n", b"a\n\r\n"),
        (b"a \n b\r c", b"a \n b\r c\r\n"),
        (b"a\x0b \x0c\r\n", b"a\x0b \x0c\r\n"),
        (b"\x00\r\n\x00", b"\x00\r\n\x00\r\n"),
        (b"a\r\n \r\n \r\nb \r\n \r\n", b"a\r\n\r\n\r\nb\r\n"),
    ],
)
def test_bodies_at_the_edges(body: bytes, canonical: bytes) -> None:
    assert body_hash(body) == hashed(canonical)
    assert reference.relaxed_body(body) == canonical


@pytest.mark.parametrize("cut", range(1, 8))
def test_line_ends_split_over_pieces(cut: int) -> None:
    body = b"a \r\n \r\n\t\r\nb\r \n\r\n\r\n"
    whole = BodyHash()
    for at in range(0, len(body), cut):
        whole.update(body[at : at + cut])
        whole.update(b"")
    assert whole.digest() == hashed(reference.relaxed_body(body))


@given(st.lists(octets, max_size=8))
def test_bodies_in_pieces(pieces: list[bytes]) -> None:
    whole = BodyHash()
    for piece in pieces:
        whole.update(piece)
    body = b"".join(pieces)
    assert whole.digest() == body_hash(body) == hashed(reference.relaxed_body(body))


@given(octets, octets)
def test_bodies_with_one_form_have_one_hash(one: bytes, other: bytes) -> None:
    same = reference.relaxed_body(one) == reference.relaxed_body(other)
    assert (body_hash(one) == body_hash(other)) is same


@given(st.sampled_from([b"Subject", b"X-A:b", b"x", b"\xc4"]), field_octets)
def test_fields(name: bytes, value: bytes) -> None:
    expected = reference.relaxed_header(name, value)
    assert relaxed_field(name, value) == expected
    assert relaxed_value(value) == expected[len(name) + 1 :]


@given(octets)
def test_a_line_end_is_a_fold_or_refused(value: bytes) -> None:
    lines = value.replace(b"\r\n", b"\n").split(b"\n")
    if all(line[:1] in (b" ", b"\t") for line in lines[1:]):
        assert b"\n" not in relaxed_value(value)
    else:
        with pytest.raises(BadInput, match="not a fold"):
            relaxed_value(value)


MEGABYTES = 10


@pytest.mark.parametrize(
    "unit",
    [b" ", b"\t ", b"\r\n", b"\r", b"\n", b" \r\n", b" \r", b"\r\r\n", b" \n", b"a \r\n"],
    ids=lambda unit: unit.decode().encode("unicode_escape").decode(),
)
def test_ten_megabytes_of_white_space_take_linear_time(unit: bytes) -> None:
    body = unit * (MEGABYTES * 1024 * 1024 // len(unit))
    started = time.process_time()
    found = body_hash(body)
    assert time.process_time() - started < 1.5
    assert found == pieced(body, 65_535)
    assert time.process_time() - started < 3


def pieced(body: bytes, size: int) -> bytes:
    whole = BodyHash()
    for at in range(0, len(body), size):
        whole.update(body[at : at + size])
    return whole.digest()


def test_white_space_octet_by_octet_is_not_held() -> None:
    for unit in (b" ", b"\r\n", b" \r\n", b"\r", b" \t"):
        assert pieced(unit * 20_000, 1) == body_hash(unit * 20_000)


def test_a_header_of_white_space_takes_linear_time() -> None:
    started = time.process_time()
    for value in (b" " * 1_000_000, b"\r\n " * 300_000, b"\n\t" * 500_000, b"\r" * 1_000_000, b"\x0b " * 500_000):
        relaxed_value(value)
    assert time.process_time() - started < 1.5
