"""What a certification says about trust (RFC 9580 sections 5.2.3.21 and 5.2.3.22), as octets and as read."""

from __future__ import annotations

import pytest

from tests.unit.openpgp.openpgp_maker import certificate, certify, eddsa_key, subpacket
from tests.unit.openpgp.openpgp_reading import read
from trustgraph.openpgp.signature import MAX_REGEX_BYTES

HOST, PEER, NAME = eddsa_key("host"), eddsa_key("peer"), "smtp://mx.example.org"
TRUST = subpacket(5, bytes((3, 40)))


def regexes(extra: bytes) -> list[str]:
    """Of every certification that counts."""
    ring = certificate(HOST, NAME, others=certify(PEER, HOST, NAME, extra=extra)) + PEER.packet
    return [made.regex for made in read(ring).facts[0].certifications]


def test_every_regular_expression_counts() -> None:
    assert regexes(TRUST) == [""]
    assert regexes(TRUST + subpacket(6, b"a\0")) == ["a"]
    assert regexes(TRUST + subpacket(6, b"a\0") + subpacket(6, "ä|b\0".encode())) == ["a\nä|b"]
    assert regexes(subpacket(6, b"a\0") + TRUST + subpacket(6, b"\0")) == ["a\n"]


def test_without_trust_there_is_nothing_to_confine() -> None:
    assert regexes(subpacket(6, b"a\0")) == [""]


@pytest.mark.parametrize(
    "bodies",
    [
        [b""],
        [b"a"],
        [b"a\0\0"],
        [b"a\0b\0"],
        [b"\0a"],
        [b"a\nb\0"],
        [b"\xff\0"],
        [b"a\0", b"b"],
        [b"a" * 300 + b"\0"] * 2,
    ],
)
def test_what_cannot_be_kept_whole_is_refused(bodies: list[bytes]) -> None:
    assert regexes(TRUST + b"".join(subpacket(6, body) for body in bodies)) == []


def test_the_longest() -> None:
    assert regexes(TRUST + subpacket(6, b"a" * (MAX_REGEX_BYTES - 1) + b"\0")) == ["a" * (MAX_REGEX_BYTES - 1)]
    assert regexes(TRUST + subpacket(6, b"a" * MAX_REGEX_BYTES + b"\0")) == []
