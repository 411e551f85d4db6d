"""Whatever the octets, reading ends, raises nothing and believes nothing that it did not believe of the sound file."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.openpgp.openpgp_maker import certificate, certify, ed25519_key, packet, rsa_key, user_id
from tests.unit.openpgp.openpgp_reading import read
from trustgraph.openpgp.userid import parse_user_id

HOST = "smtp://mx.example.org"
HOST_KEY, PEER, OTHER = ed25519_key("host"), ed25519_key("peer"), ed25519_key("other", version=6)
ONE = certificate(HOST_KEY, HOST, others=certify(PEER, HOST_KEY, HOST) + certify(OTHER, HOST_KEY, HOST))
TWO = certificate(PEER, "smtp://peer.example.org", others=packet(17, b"x") + certify(HOST_KEY, PEER, "x"))
THREE = certificate(OTHER, "smtp://other.example.org", others=certify(PEER, OTHER, "smtp://other.example.org"))
SOUND = ONE + TWO + THREE
BELIEVED = {
    (made.issuer, made.subject, made.user_id, made.made_at) for one in read(SOUND).facts for made in one.certifications
}


def believed(data: bytes) -> set[tuple[str, str, str, int]]:
    facts = read(data, rsa_key().body).facts
    for one in facts:
        assert all(user_id_.text for user_id_ in one.host_key.user_ids)
    return {(made.issuer, made.subject, made.user_id, made.made_at) for one in facts for made in one.certifications}


def test_the_sound_file() -> None:
    assert len(BELIEVED) == 3


@given(st.binary(max_size=2000))
def test_arbitrary_octets(data: bytes) -> None:
    assert believed(data) == set()


@given(st.lists(st.tuples(st.sampled_from([2, 5, 6, 7, 10, 13, 14, 17, 63]), st.binary(max_size=80)), max_size=20))
def test_arbitrary_packets(packets: list[tuple[int, bytes]]) -> None:
    assert believed(b"".join(packet(tag, body) for tag, body in packets)) == set()


@given(st.integers(0, len(SOUND)), st.integers(0, len(SOUND)), st.binary(max_size=60))
@settings(max_examples=300)
def test_octets_replaced_anywhere(start: int, end: int, middle: bytes) -> None:
    start, end = sorted((start, end))
    assert believed(SOUND[:start] + middle + SOUND[end:]) <= BELIEVED


@given(
    st.lists(st.sampled_from([user_id("x"), user_id(HOST), packet(14, b""), ONE, TWO, b"\xc2", b"\x00"]), max_size=12)
)
def test_parts_in_any_order(parts: list[bytes]) -> None:
    assert believed(b"".join(parts)) <= BELIEVED


def test_garbage_costs_the_certificate_it_is_in() -> None:
    """Garbage inside the first of three certificates leaves the last as it was; seeded, so always the same garbage."""
    chance = Random(9580)
    lost = 0
    for _ in range(300):
        at, junk = chance.randrange(len(ONE)), chance.randbytes(chance.randrange(1, 300))
        damaged = read(ONE[:at] + junk + ONE[at:] + TWO + THREE)
        lost += OTHER.fingerprint not in {one.host_key.fingerprint for one in damaged.facts}
    assert lost == 0


@given(st.text(max_size=60) | st.from_regex(r"smtp://[a-z.]{0,20}[ -~\x00-\x1f]?", fullmatch=True))
def test_user_ids_never_raise_and_hosts_are_never_spelled_two_ways(text: str) -> None:
    host = parse_user_id(text).host
    assert not host or host in text
    assert host == host.lower().strip()
