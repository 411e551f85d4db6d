"""Signatures as mail carries them: packets out of armor, and nothing else in it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signed_posts import armor, make_key
from tests.unit.openpgp.openpgp_maker import packet
from trustgraph.errors import BadInput
from trustgraph.openpgp.crc24 import crc24
from trustgraph.openpgp.sigblock import MAX_BLOCK_BYTES, signature_packets

KEY = make_key("anna@example.org")
ONE, TWO = KEY.packet(b"one", 0), KEY.packet(b"two", 1)
BLOCK = armor(ONE)


def with_checksum(octets: bytes, checksum: int) -> bytes:
    line = b"=" + base64.b64encode(checksum.to_bytes(3)) + b"\n"
    return armor(octets).replace(b"-----END", line + b"-----END")


@pytest.mark.parametrize(
    ("block", "packets"),
    [
        (BLOCK, [ONE]),
        (BLOCK.replace(b"\n", b"\r\n"), [ONE]),
        (b"\n \n" + BLOCK + b"\n\t\n", [ONE]),
        (ONE, [ONE]),
        (armor(ONE + TWO), [ONE, TWO]),
        (armor(ONE * 8), [ONE] * 8),
        (with_checksum(ONE, crc24(ONE)), [ONE]),
        (BLOCK.replace(b"-----\n\n", b"-----\nVersion: 1\nComment: x: y\n\n", 1), [ONE]),
        (BLOCK.replace(b"-----\n\n", b"----- \n \n", 1), [ONE]),
    ],
)
def test_blocks(block: bytes, packets: list[bytes]) -> None:
    assert signature_packets(block) == packets


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"text",
        armor(b""),
        b"text\n" + BLOCK,
        BLOCK + b"text",
        BLOCK + BLOCK,
        BLOCK.replace(b"-----END PGP SIGNATURE-----", b""),
        armor(ONE, b"MESSAGE"),
        BLOCK.replace(b"-----\n\n", b"-----\n", 1),
        BLOCK.replace(b"-----\n\n", b"-----\nno field\n\n", 1),
        BLOCK.replace(b"-----\n\n", b"-----\n" + b"A: b\n" * 21 + b"\n", 1),
        BLOCK.replace(b"\n-----END", b"!\n-----END"),
        BLOCK.replace(b"\n-----END", b"\n\nmore\n-----END"),
        with_checksum(ONE, crc24(ONE) ^ 1),
        with_checksum(ONE, crc24(ONE)).replace(b"=", b"=!", 1),
        armor(ONE[:-1]),
        armor(ONE + b"\0"),
        armor(ONE + packet(13, b"x")),
        armor(ONE * 9),
        ONE + b"x",
        b"\x8b" + ONE,
        BLOCK + b"\n" * MAX_BLOCK_BYTES,
    ],
)
def test_what_is_none(block: bytes) -> None:
    with pytest.raises(BadInput):
        signature_packets(block)


@given(st.binary(max_size=60))
def test_nothing_but_bad_input(octets: bytes) -> None:
    for block in (octets, armor(octets), BLOCK[: len(octets)] + octets, armor(ONE + octets)):
        try:
            assert b"".join(signature_packets(block)) in (octets, ONE + octets, ONE)
        except BadInput:
            continue
