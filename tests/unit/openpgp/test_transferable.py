"""One certificate is cut out of whatever surrounds it, whole or not at all."""

from __future__ import annotations

import base64

import pysequoia
import pytest

from tests.conftest import GOLDEN
from tests.unit.openpgp.openpgp_maker import certificate, certify, ed25519_key, packet, user_id
from trustgraph.errors import BadInput
from trustgraph.openpgp.crc24 import crc24
from trustgraph.openpgp.transferable import enarmor, find_certificate, statements

ANNA, BERT, CLEO = (ed25519_key(name) for name in ("anna", "bert", "cleo"))
ANNAS = certificate(ANNA, "a", others=certify(BERT, ANNA, "a"))
BERTS = certificate(BERT, "b")
CLEOS = certificate(CLEO, "c")

#: The same packets with the shortest headers, as find_certificate writes them.
ANNAS_SHORT = find_certificate(ANNAS, ANNA.fingerprint)
assert ANNAS_SHORT is not None


def armored(
    octets: bytes, checksum: bytes | None = None, end: bytes = b"-----END PGP PUBLIC KEY BLOCK-----\n"
) -> bytes:
    text = base64.encodebytes(octets)
    return b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\n" + text + (checksum or b"") + end


def test_the_checksum_of_the_standard_test_string() -> None:
    assert crc24(b"123456789") == 0x21CF02
    assert crc24(b"") == 0xB704CE


@pytest.mark.parametrize("wrap", [bytes, enarmor, armored], ids=["binary", "with-checksum", "without-checksum"])
def test_decoys_before_and_after_are_dropped(wrap: object) -> None:
    assert callable(wrap)
    assert find_certificate(wrap(BERTS + ANNAS + CLEOS), ANNA.fingerprint) == ANNAS_SHORT
    assert find_certificate(wrap(BERTS + CLEOS), ANNA.fingerprint) is None


def test_blocks_are_looked_through_one_by_one() -> None:
    blocks = b"<html>\r\n<pre>\r\n" + armored(BERTS) + b"\n\n" + armored(ANNAS) + b"</pre>" + armored(CLEOS)
    assert find_certificate(blocks, ANNA.fingerprint) == ANNAS_SHORT
    assert find_certificate(blocks.replace(b"\n", b"\r\n"), ANNA.fingerprint) == ANNAS_SHORT


def test_another_implementation_reads_what_is_cut_out() -> None:
    blob = (GOLDEN / "openpgp" / "gpg-host.asc").read_bytes()
    found = find_certificate(blob, "c2cdd07e86f9a280932488e219eb04808df2b3ce")
    assert found is not None
    judge = pysequoia.Cert.from_bytes(found)
    whole = pysequoia.Cert.from_bytes(blob)
    assert judge.fingerprint == whole.fingerprint
    assert [str(one) for one in judge.user_ids] == [str(one) for one in whole.user_ids]
    assert bytes(pysequoia.Cert.from_bytes(enarmor(found))) == bytes(judge)


def test_a_version_6_certificate_with_its_subkeys() -> None:
    blob = (GOLDEN / "openpgp" / "pysequoia-v6-cv25519.asc").read_bytes()
    fingerprint = "9effddae2fe3860751ccfea4973336b50880671b18738bec44aa5a74ed2c7f88"
    found = find_certificate(blob, fingerprint)
    assert found is not None
    assert bytes(pysequoia.Cert.from_bytes(found)) == bytes(pysequoia.Cert.from_bytes(blob))


def test_user_attributes_go_with_their_signatures_and_other_packets_alone() -> None:
    signature = certify(BERT, ANNA, "photo")
    subkey = packet(14, CLEO.body) + certify(ANNA, ANNA, None, type=0x18)
    photo = packet(17, b"photo") + signature
    own = certificate(ANNA, "a")
    dressed = own + packet(12, b"trust") + photo + packet(60, b"private") + subkey
    plain = find_certificate(own + subkey, ANNA.fingerprint)
    assert find_certificate(dressed, ANNA.fingerprint) == plain
    assert plain is not None
    assert pysequoia.Cert.from_bytes(plain).fingerprint == ANNA.fingerprint


def test_packets_longer_than_their_kind_are_left_out_without_harm() -> None:
    own = certificate(ANNA, "a")
    flooded = own + packet(2, b"\x04" * 70_000) + user_id(b"u" * 5_000) + certify(BERT, ANNA, b"u" * 5_000)
    assert find_certificate(flooded, ANNA.fingerprint) == find_certificate(own, ANNA.fingerprint)


def test_every_length_of_header() -> None:
    long, longer, longest = b"b" * 300, b"c" * 4000, b"\x04" * 9000
    own = certificate(ANNA, b"a", long, longer) + packet(2, longest)
    found = find_certificate(own, ANNA.fingerprint)
    assert found is not None
    assert all(body in found for body in (b"\xcd\x01a", b"\xcd\xc0\x6c" + long, b"\xcd\xce\xe0" + longer))
    assert found.endswith(b"\xc2\xff" + len(longest).to_bytes(4) + longest)
    assert find_certificate(found, ANNA.fingerprint) == found
    assert statements(found) == statements(own)


def test_a_secret_key_is_no_certificate() -> None:
    assert find_certificate(packet(5, ANNA.body + b"\0secret") + user_id("a"), ANNA.fingerprint) is None


@pytest.mark.parametrize(
    "blob",
    [
        armored(ANNAS, end=b""),
        armored(ANNAS, end=b"-----END\n"),
        armored(ANNAS, checksum=b"=AAAA\n"),
        armored(ANNAS, checksum=b"=AAA\n"),
        armored(ANNAS).replace(b"Comment: x\n\n", b"\n%%%%\n"),
        armored(ANNAS)[:200] + b"\n-----END PGP PUBLIC KEY BLOCK-----\n",
        armored(ANNAS[:-1]),
        ANNAS[:-1],
        ANNAS[:60],
        ANNAS + b"\xc2",
        ANNAS + b"\xd1\xff",
        ANNAS[:44] + b"\x00\x00" + ANNAS[44:],
        ANNA.packet + b"garbage" + BERTS,
    ],
    ids=lambda blob: f"{len(blob)}",
)
def test_damage_is_told_from_absence(blob: bytes) -> None:
    with pytest.raises(BadInput):
        find_certificate(blob, ANNA.fingerprint)


def test_every_truncation_of_armor_is_noticed() -> None:
    whole = enarmor(ANNAS)
    last = whole.index(b"-----END PGP ") + len(b"-----END PGP ")
    for length in range(len(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"), last):
        with pytest.raises(BadInput):
            find_certificate(whole[:length], ANNA.fingerprint)


def test_damage_in_a_decoy_costs_only_the_decoy() -> None:
    assert find_certificate(BERTS + b"garbage" + ANNAS, ANNA.fingerprint) == ANNAS_SHORT
    assert find_certificate(ANNAS + BERTS[:-5], ANNA.fingerprint) == ANNAS_SHORT
    assert find_certificate(armored(BERTS, checksum=b"=AAAA\n") + armored(ANNAS), ANNA.fingerprint) == ANNAS_SHORT
    assert find_certificate(armored(ANNAS, checksum=b"=AAAA\n") + armored(ANNAS), ANNA.fingerprint) == ANNAS_SHORT


def test_statements_do_not_depend_on_the_order() -> None:
    first = certificate(ANNA, "a", "b")
    second = certificate(ANNA, "b", "a")
    assert first != second
    assert statements(first) == statements(second)
    assert statements(certificate(ANNA, "a")) < statements(first)
    moved = ANNA.packet + user_id("a") + user_id("b") + certify(ANNA, ANNA, "a", type=0x13)
    assert not statements(certificate(ANNA, "a")) <= statements(moved)
