"""Copies of a certificate merged: nothing is hidden, nothing of others is kept, no order matters, no flood is dear."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import GOLDEN
from tests.unit.openpgp import openpgp_maker as maker
from tests.unit.openpgp.openpgp_maker import (
    BORN,
    Key,
    bind,
    certify,
    key_flags,
    over_subkey,
    packet,
    revoke_key,
    sign_document,
    subkey_packet,
    subpacket,
    user_id,
)
from trustgraph.errors import BadInput
from trustgraph.model import Result, UnixSeconds
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import MAX_SIGNATURE_BYTES, MAX_SUBKEYS, MAX_USER_IDS, read_host_certificate

AT = UnixSeconds(1_788_220_800)
NOW = UnixSeconds(AT + 600)
DAY = 86_400
HOST = "mx.example.org"
SMTP = f"smtp://{HOST}"

KEY = maker.ed25519_key("primary")
SUBKEY = maker.ed25519_key("subkey")
OTHER = maker.ed25519_key("other")
V6 = maker.ed25519_key("primary", version=6)
V6_SUBKEY = maker.ed25519_key("subkey", version=6)
CAN_ALL = key_flags(3)


def claim(key: Key, text: str, *, at: int = BORN, extra: bytes = CAN_ALL, unhashed: bytes = b"") -> bytes:
    return certify(key, key, text, type=0x13, at=at, extra=extra, unhashed=unhashed)


def merged(*copies: bytes, key: Key = KEY, now: int = NOW) -> HostCertificate:
    return read_host_certificate(copies, key.fingerprint, UnixSeconds(now))


def reread(certificate: HostCertificate) -> HostCertificate:
    return read_host_certificate([certificate.octets], certificate.fingerprint, NOW)


def passes(certificate: HostCertificate, signer: Key) -> bool:
    text = b"some text"
    return certificate.judge(sign_document(signer, text, at=AT), text, HOST, AT, NOW).result is Result.PASS


def parts(key: Key, subkey: Key) -> list[tuple[bytes, list[bytes]]]:
    """Components of a certificate, each with signatures that may stand on it, one of which is somebody else's."""
    foreign = OTHER if key.version == 4 else maker.ed25519_key("other", version=6)
    back = over_subkey(subkey, key, subkey, type=0x19, at=BORN)
    padded = over_subkey(subkey, key, subkey, type=0x19, at=BORN, unhashed=subpacket(100, b"padding"))
    return [
        (
            b"",
            [
                certify(key, key, None, type=0x1F, at=BORN + 5, extra=CAN_ALL),
                certify(key, key, None, type=0x1F, at=BORN + 5, extra=key_flags(1)),
                revoke_key(key, at=AT, reason=1),
                certify(foreign, key, None, type=0x20, at=AT),
            ],
        ),
        (
            user_id(SMTP),
            [
                claim(key, SMTP),
                claim(key, SMTP, unhashed=subpacket(100, b"padding")),
                claim(key, SMTP, at=BORN + 20, extra=CAN_ALL + subpacket(9, (DAY).to_bytes(4))),
                claim(key, SMTP, at=BORN + 20, extra=CAN_ALL),
                certify(key, key, SMTP, type=0x30, at=BORN + 10),
                certify(foreign, key, SMTP, type=0x10, at=BORN + 10),
            ],
        ),
        (user_id("smtp://b.example.org"), [claim(key, "smtp://b.example.org"), claim(key, SMTP)]),
        (
            subkey_packet(subkey),
            [
                bind(key, subkey, at=BORN, covered=False),
                bind(key, subkey, at=BORN, back=padded, covered=False),
                bind(key, subkey, at=BORN, back=b""),
                bind(key, subkey, at=BORN, back=back + b"", covered=True),
                bind(key, subkey, at=BORN + 7, flags=4),
                packet(2, over_subkey(key, key, subkey, type=0x28, at=BORN + 9)),
            ],
        ),
    ]


PARTS = {4: parts(KEY, SUBKEY), 6: parts(V6, V6_SUBKEY)}


def damaged(signature: bytes, where: str) -> bytes:
    """A signature packet changed where it does not cover itself: the digest's first octets, or version 6's salt."""
    body = bytearray(signature[6:])
    width = 2 if body[0] == 4 else 4
    hashed_end = 4 + width + int.from_bytes(body[4 : 4 + width])
    prefix_at = hashed_end + width + int.from_bytes(body[hashed_end : hashed_end + width])
    body[prefix_at + (0 if where == "prefix" else 3)] ^= 1
    return packet(2, bytes(body))


@st.composite
def copies(draw: st.DrawFn, version: int) -> bytes:
    """A copy that some keyserver might give: any of the parts in any order, some of them damaged."""
    key = KEY if version == 4 else V6
    found = key.packet
    chosen = [PARTS[version][0], *draw(st.permutations(PARTS[version][1:]))]
    for component, signatures in chosen:
        found += component
        for signature in draw(st.lists(st.sampled_from(signatures), max_size=5)):
            damage = draw(st.sampled_from(["", "", "prefix", "salt" if version == 6 else ""]))
            found += damaged(signature, damage) if damage else signature
    return found


@pytest.mark.parametrize("version", [4, 6])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_merging_is_commutative_associative_and_idempotent(version: int, data: st.DataObject) -> None:
    key = KEY if version == 4 else V6
    one, two, three = (data.draw(copies(version)) for _ in range(3))
    whole = merged(one, two, three, key=key)
    assert merged(three, one, two, key=key) == whole
    assert merged(two, three, one, three, two, key=key) == whole
    assert merged(merged(one, two, key=key).octets, three, key=key) == whole
    assert merged(one, merged(three, two, key=key).octets, key=key) == whole
    assert reread(whole) == whole
    assert merged(whole.octets, one, key=key).octets == whole.octets
    for alone in (one, two, three):
        single = merged(alone, key=key)
        assert whole.revoked >= single.revoked


@pytest.mark.parametrize(("key", "where"), [(KEY, "prefix"), (V6, "prefix"), (V6, "salt")])
def test_no_copy_hides_a_revocation(key: Key, where: str) -> None:
    """A keyserver gives the revocation changed where it is not covered, so that it would be dropped when read again."""
    revocation = revoke_key(key, at=AT - DAY)
    good = key.packet + revocation + user_id(SMTP) + claim(key, SMTP)
    without = key.packet + user_id(SMTP) + claim(key, SMTP)
    bad = key.packet + damaged(revocation, where) + user_id(SMTP) + damaged(claim(key, SMTP), where)
    assert not merged(bad, without, key=key).revoked
    for order in ([good, bad], [bad, good], [good, without, bad], [without, good]):
        certificate = merged(*order, key=key)
        assert certificate.revoked
        assert reread(certificate) == certificate == merged(good, key=key)
        again = merged(certificate.octets, bad, without, key=key)
        assert again == certificate
        assert merged(again.octets, key=key).revoked


def test_a_back_signature_in_one_copy_only() -> None:
    base = KEY.packet + user_id(SMTP) + claim(KEY, SMTP, extra=key_flags(1)) + subkey_packet(SUBKEY)
    whole = bind(KEY, SUBKEY, at=BORN, covered=False)
    good = over_subkey(SUBKEY, KEY, SUBKEY, type=0x19, at=BORN)
    stripped = bind(KEY, SUBKEY, at=BORN, back=b"")
    forged = over_subkey(OTHER, KEY, SUBKEY, type=0x19, at=BORN)
    replaced = bind(KEY, SUBKEY, at=BORN, back=forged, covered=False)
    assert len(set(map(hashed_area, (whole, stripped, replaced)))) == 1  # one signature, written in three ways
    for order in ([whole, stripped], [stripped, whole], [replaced, whole], [whole, replaced, stripped]):
        certificate = merged(*(base + one for one in order))
        assert passes(certificate, SUBKEY)
        assert certificate == merged(base + whole)
        assert forged not in certificate.octets
        assert good[-64:] in certificate.octets
    assert not passes(merged(base + stripped, base + replaced), SUBKEY)


def test_no_padding_is_kept() -> None:
    pad = subpacket(100, b"x" * 500)
    back = over_subkey(SUBKEY, KEY, SUBKEY, type=0x19, at=BORN, unhashed=pad)
    dressed = KEY.packet + revoke_key(KEY, at=AT) + user_id(SMTP) + claim(KEY, SMTP, unhashed=pad)
    dressed += subkey_packet(SUBKEY) + bind(KEY, SUBKEY, at=BORN, back=back, covered=False, unhashed=pad)
    certificate = merged(dressed)
    assert b"xxx" not in certificate.octets
    assert certificate.revoked
    assert list(certificate.signing_keys) == [KEY.fingerprint, SUBKEY.fingerprint]


def test_signatures_without_a_hashed_issuer_are_kept() -> None:
    anonymous = certify(KEY, KEY, SMTP, type=0x13, at=BORN, extra=CAN_ALL, issuer_fingerprint="")
    certificate = merged(KEY.packet + user_id(SMTP) + anonymous)
    assert passes(certificate, KEY)
    assert passes(reread(certificate), KEY)


def test_what_others_said_is_not_kept() -> None:
    own = KEY.packet + user_id(SMTP) + claim(KEY, SMTP)
    foreign = certify(OTHER, KEY, SMTP, at=BORN) + certify(OTHER, KEY, SMTP, type=0x30, at=BORN)
    extras = packet(17, b"photo") + claim(KEY, "photo") + packet(60, b"private") + packet(12, b"trust")
    encryption = packet(14, b"\x04" + BORN.to_bytes(4) + b"\x12" + b"\x00" * 40) + packet(2, b"\x04\x18")
    decoy = OTHER.packet + user_id(SMTP) + claim(OTHER, SMTP) + revoke_key(OTHER, at=AT)
    plain = merged(own)
    assert merged(decoy + own + foreign + extras + encryption + user_id("bare") + decoy) == plain
    assert merged(decoy, own + foreign, b"garbage", own[:-5]) == plain
    secret = packet(5, KEY.body + b"\0secret") + revoke_key(KEY, at=AT)
    assert merged(own, secret) == plain


def test_trust_packets_between_do_no_harm() -> None:
    own = KEY.packet + packet(12, b"t") + user_id(SMTP) + packet(12, b"t") + packet(10, b"PGP") + claim(KEY, SMTP)
    assert HOST in merged(own).hosts


def flood(key: Key) -> bytes:
    """10,000 certifications by a stranger, then 2,000 signatures in the key's name that begin with the right digest."""
    pieces = [key.packet, user_id(SMTP)]
    third = certify(OTHER, key, SMTP, at=BORN)
    pieces += [third[:16] + number.to_bytes(4) + third[20:] for number in range(10_000)]
    for number in range(2_000):
        made = claim(key, SMTP, at=BORN + number)
        pieces.append(made[:-4] + bytes(4))
    return b"".join(pieces)


@pytest.mark.parametrize("key", [KEY, maker.rsa_key(2048), maker.ecdsa_key("p256")], ids=["ed25519", "rsa", "p256"])
def test_a_flooded_key_is_as_small_as_any_other(key: Key) -> None:
    plain = key.packet + user_id(SMTP) + claim(key, SMTP)
    octets = flood(key) + plain
    assert len(octets) > 1_400_000
    started = time.process_time()
    certificate = merged(octets, key=key)
    took = time.process_time() - started
    assert certificate == merged(plain, key=key)
    assert len(certificate.octets) < 1_000
    assert took < 2


def test_forgeries_that_cost_little_to_make_cost_little_to_refute() -> None:
    """Short ones in the name of a key that is slow to verify with, and any in the name of one that is too weak."""
    slow = maker.mpi((1 << 16_384) - 3) + maker.mpi((1 << 64) - 1)
    slow_key = Key(4, 1, b"\x04" + BORN.to_bytes(4) + b"\x01" + slow, lambda _hash, _digest: maker.mpi(5))
    weak = maker.rsa_key(1024)
    started = time.process_time()
    for key in (slow_key, weak):
        forged = b"".join(claim(key, SMTP, at=BORN + number) for number in range(500))
        assert not merged(key.packet + user_id(SMTP) + forged, key=key).hosts
    assert time.process_time() - started < 1


def test_signatures_are_shorter_than_keys_with_a_long_exponent() -> None:
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    modulus, order = numbers.p * numbers.q, (numbers.p - 1) * (numbers.q - 1)
    exponent = next(one for one in range((1 << 64) - 1, 0, -2) if math.gcd(one, order) == 1)

    def sign(_hash: int, digest: bytes) -> bytes:
        info = bytes.fromhex("3031300d060960864801650304020105000420") + digest  # RFC 8017 section 9.2, SHA-256
        padded = int.from_bytes(b"\1" + b"\xff" * (253 - len(info)) + b"\0" + info)
        return maker.mpi(pow(padded, pow(exponent, -1, order), modulus))

    material = maker.mpi(modulus) + maker.mpi(exponent)
    key = Key(4, 1, b"\x04" + BORN.to_bytes(4) + b"\x01" + material, sign)
    assert HOST in merged(key.packet + user_id(SMTP) + claim(key, SMTP), key=key).hosts


def test_signatures_of_another_version_than_the_key() -> None:
    """RFC 9580 section 5.2.3.35: a version 4 key makes version 4 signatures."""
    sixth = Key(6, 27, KEY.body, KEY.sign)
    body = maker.signature_body(
        sixth,
        KEY.hashed + b"\xb4" + len(SMTP).to_bytes(4) + SMTP.encode(),
        0x13,
        BORN,
        extra=CAN_ALL,
        issuer_fingerprint="",
        issuer_key_id=KEY.key_id,
    )
    assert not merged(KEY.packet + user_id(SMTP) + packet(2, body)).hosts


def test_copies_of_one_signature_are_verified_once() -> None:
    key = maker.rsa_key(2048)
    revocation = claim(key, SMTP)
    started = time.process_time()
    certificate = merged(key.packet + user_id(SMTP) + revocation * 10_000, key=key)
    assert len(certificate.octets) < 1_000
    assert time.process_time() - started < 2


def test_so_many_signatures_are_kept_of_each_part() -> None:
    claims = [claim(KEY, SMTP, at=BORN + number) for number in range(20)]
    revocations = [certify(KEY, KEY, SMTP, type=0x30, at=BORN - 50 + number) for number in range(20)]
    certificate = merged(KEY.packet + user_id(SMTP) + b"".join(claims + revocations))
    assert sum(one in certificate.octets for one in map(hashed_area, claims)) == 8
    assert sum(one in certificate.octets for one in map(hashed_area, revocations)) == 8
    assert all(hashed_area(one) in certificate.octets for one in claims[-8:] + revocations[-8:])
    assert dict(certificate.hosts) == {HOST: BORN + 12}
    assert reread(certificate) == certificate
    # however many others there are, the revocation stays
    many = b"".join(certify(KEY, KEY, None, type=0x1F, at=BORN + number, extra=CAN_ALL) for number in range(30))
    revoked = merged(KEY.packet + revoke_key(KEY, at=BORN) + many + user_id(SMTP) + claims[0])
    assert revoked.revoked
    assert reread(revoked) == revoked


def hashed_area(signature: bytes) -> bytes:
    body = signature[6:]
    return body[: 6 + int.from_bytes(body[4:6])]


def test_more_user_ids_than_are_kept() -> None:
    hosts = [f"smtp://mx{number:02}.example.org" for number in range(40)]
    texts = [f"Anna {number}" for number in range(40)] + hosts
    packets = [user_id(text) + claim(KEY, text) for text in texts]
    certificate = merged(KEY.packet + b"".join(packets))
    assert sorted(certificate.hosts) == [host.removeprefix("smtp://") for host in hosts[:MAX_USER_IDS]]
    assert reread(certificate) == certificate
    assert merged(KEY.packet + b"".join(packets[60:]), KEY.packet + b"".join(packets[:60])) == certificate
    # those without a signature of the key take no place
    decoys = b"".join(user_id(f"smtp://a{number}.example.org") for number in range(5_000))
    assert HOST in merged(KEY.packet + decoys + user_id(SMTP) + claim(KEY, SMTP)).hosts
    # and texts take none from hosts
    assert HOST in merged(KEY.packet + b"".join(packets[:40]) + user_id(SMTP) + claim(KEY, SMTP)).hosts


def test_more_subkeys_than_are_kept() -> None:
    subkeys = [maker.ed25519_key(f"subkey {number}") for number in range(20)]
    packets = [subkey_packet(one) + bind(KEY, one, at=BORN) for one in subkeys]
    own = KEY.packet + user_id(SMTP) + claim(KEY, SMTP, extra=key_flags(1))
    certificate = merged(own + b"".join(packets))
    assert len(certificate.signing_keys) == MAX_SUBKEYS
    assert all(passes(certificate, one) is (one.fingerprint in certificate.signing_keys) for one in subkeys)
    assert merged(own + b"".join(reversed(packets))) == reread(certificate) == certificate
    bare = b"".join(subkey_packet(maker.ed25519_key(f"bare {number}")) for number in range(50))
    assert passes(merged(own + bare + packets[0]), subkeys[0])


def test_overlong_packets_are_not_kept() -> None:
    room = MAX_SIGNATURE_BYTES - len(claim(KEY, SMTP, extra=subpacket(101, b"x" * 300))) + 6 + 300
    for size, kept in ((room, True), (room + 1, False)):
        long = claim(KEY, SMTP, extra=subpacket(101, b"x" * size))
        assert (HOST in merged(KEY.packet + user_id(SMTP) + long).hosts) is kept
    text = "u" * 5_000
    assert merged(KEY.packet + user_id(text) + claim(KEY, text)) == merged(KEY.packet)
    # nor is an embedded one that would leave no room for what is written around it
    data = KEY.hashed + SUBKEY.hashed
    extra = subpacket(101, b"x" * 65_000)
    back = maker.signature_body(SUBKEY, data, 0x19, BORN, extra=extra, issuer_fingerprint="")
    bound = bind(KEY, SUBKEY, at=BORN, back=back, covered=False)
    assert merged(KEY.packet + subkey_packet(SUBKEY) + bound) == merged(KEY.packet)


def test_a_key_without_a_word_of_its_own() -> None:
    certificate = merged(KEY.packet)
    assert certificate.octets == b"\xc6" + bytes((len(KEY.body),)) + KEY.body
    assert not certificate.hosts
    assert not certificate.signing_keys
    assert not certificate.revoked
    assert not passes(certificate, KEY)


def test_both_versions_of_a_key_are_told_apart() -> None:
    octets = V6.packet + user_id(SMTP) + claim(V6, SMTP) + KEY.packet + user_id(SMTP) + claim(KEY, SMTP)
    assert passes(merged(octets), KEY)
    assert passes(merged(octets, key=V6), V6)
    crossed = V6.packet + user_id(SMTP) + claim(KEY, SMTP)
    assert not merged(crossed, key=V6).hosts


def test_a_golden_keyring() -> None:
    octets = (GOLDEN / "openpgp" / "gpg-host.pgp").read_bytes()
    fingerprint, at = "c2cdd07e86f9a280932488e219eb04808df2b3ce", UnixSeconds(1_800_000_000)
    certificate = read_host_certificate([octets], fingerprint, at)
    assert list(certificate.hosts) == ["host.example.org"]
    assert not certificate.signing_keys  # it was made to certify
    assert len(certificate.octets) < len(octets) / 2
    assert read_host_certificate([certificate.octets, octets], fingerprint, at) == certificate


@given(st.lists(st.binary(max_size=80), max_size=3), st.data())
def test_reading_raises_nothing_else(junk: Sequence[bytes], data: st.DataObject) -> None:
    whole = KEY.packet + user_id(SMTP) + claim(KEY, SMTP) + subkey_packet(SUBKEY) + bind(KEY, SUBKEY, at=BORN)
    at = data.draw(st.integers(0, len(whole)))
    hurt = whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + data.draw(st.integers(0, 4)) :]
    try:
        certificate = merged(*junk, hurt)
    except BadInput:
        return
    assert reread(certificate) == certificate
    assert set(certificate.hosts) <= {HOST}
    assert merged(hurt, whole) == merged(whole)
