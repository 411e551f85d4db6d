"""Keys that are handed in: what is taken of them, and what is said of those that are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signed_posts import AT, BORN, NOW, armor, make_key, public_block, revoked
from tests.unit.openpgp import openpgp_maker as maker
from tests.unit.openpgp.openpgp_maker import certify, key_flags, packet, user_id
from trustgraph.errors import BadInput
from trustgraph.openpgp import deposits
from trustgraph.openpgp.deposits import lookup_names, read_deposit, subscriber_certificate

ANNA, BERT = make_key("anna@example.org"), make_key("bert@example.org")
SUB = make_key("carl@example.org", flags=1, subkey_flags=2)
STRANGER = certify(BERT.primary, ANNA.primary, "Somebody <anna@example.org>")


def of(key: maker.Key, *, flags: int = 3, hash_algorithm: int = maker.SHA256, at: int = BORN) -> bytes:
    said = certify(key, key, "x", type=0x13, at=at, extra=key_flags(flags), hash_algorithm=hash_algorithm)
    return key.packet + user_id("x") + said


@pytest.mark.parametrize("key", [ANNA, BERT, SUB], ids=["anna", "bert", "subkey"])
def test_what_is_kept(key: object) -> None:
    assert isinstance(key, type(ANNA))
    fingerprint, kept = read_deposit(key.public, NOW)
    assert fingerprint == key.fingerprint
    assert read_deposit(public_block(key), NOW) == (fingerprint, kept)
    assert read_deposit(b"Text around it.\r\n" + public_block(key).replace(b"\n", b"\r\n"), NOW) == (fingerprint, kept)
    assert read_deposit(key.public + key.public, NOW) == (fingerprint, kept)
    assert read_deposit(kept, NOW) == (fingerprint, kept)
    assert subscriber_certificate(kept, NOW).octets == kept


def test_nothing_that_others_say() -> None:
    assert read_deposit(ANNA.public + STRANGER, NOW) == read_deposit(ANNA.public, NOW)


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"", "expected a public key"),
        (b"Hello", "expected a public key"),
        (b"\xff" * 20, "0 public keys"),
        (armor(b"", b"PUBLIC KEY BLOCK"), "0 public keys"),
        (armor(ANNA.packet(b"x", 0)), "expected a public key"),
        (ANNA.packet(b"x", 0), "0 public keys"),
        (public_block(ANNA).replace(b"-----END", b"-----"), "cut off"),
        (public_block(ANNA).replace(b"\n\n", b"\n\n!", 1), "base64"),
        (ANNA.public + BERT.public, "2 public keys"),
        (public_block(ANNA) + public_block(BERT), "2 public keys"),
        (ANNA.secret, "secret key"),
        (armor(ANNA.secret, b"PRIVATE KEY BLOCK"), "secret key"),
        (public_block(BERT) + armor(ANNA.secret, b"PRIVATE KEY BLOCK"), "secret key"),
        (armor(ANNA.secret, b"PUBLIC KEY BLOCK"), "secret key"),
        (ANNA.public + SUB.secret[SUB.secret.index(b"\xc7\xff") :], "secret key"),
        (b"\x99\x00\x05\x03aaaa", "version 3"),
        (revoked(ANNA, AT), "is revoked"),
        (revoked(ANNA, NOW + 9, 3), "is revoked"),
        (make_key("a@example.org", lives_seconds=NOW - BORN).public, "has expired"),
        (make_key("a@example.org", flags=1).public, "no part that may sign"),
        (make_key("a@example.org", flags=None).public, "no part that may sign"),
        (make_key("a@example.org", flags=1, subkey_flags=12).public, "no part that may sign"),
        (make_key("a@example.org", flags=1, subkey_flags=2, subkey_lives_seconds=5).public, "no part that may still"),
        (ANNA.primary.packet + user_id("x"), "no part that may sign"),
        (of(maker.rsa_key(1024)), "is weak"),
        (of(maker.dsa_key(2048)), "is weak"),
        (of(maker.ecdsa_key("secp256k1")), "is weak"),
        (of(ANNA.primary, hash_algorithm=maker.SHA1), "SHA-1"),
        (of(ANNA.primary, hash_algorithm=maker.SHA1, at=NOW - 60), "no part that may sign"),
        (packet(6, bytes((4,)) + BORN.to_bytes(4) + bytes((18, 1, 2))), "algorithm 18"),
    ],
)  # fmt: skip
def test_what_is_not_taken(blob: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read_deposit(blob, NOW)


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deposits, "MAX_DEPOSIT_BYTES", len(ANNA.public))
    read_deposit(ANNA.public, NOW)
    with pytest.raises(BadInput, match="expected at most"):
        read_deposit(ANNA.public + b"\0", NOW)


def test_revoked_and_expired_certificates_can_be_read_again() -> None:
    assert subscriber_certificate(revoked(ANNA, AT), NOW).revoked
    assert subscriber_certificate(make_key("a@example.org", lives_seconds=5).public, NOW).expires_at == BORN + 5
    for octets in (b"", ANNA.secret, ANNA.public + BERT.public):
        with pytest.raises(BadInput):
            subscriber_certificate(octets, NOW)


def test_names() -> None:
    assert lookup_names(subscriber_certificate(ANNA.public, NOW)) == {ANNA.fingerprint, ANNA.primary.key_id}
    signer = SUB.signer
    names = {SUB.fingerprint, signer.fingerprint, signer.key_id}
    assert lookup_names(subscriber_certificate(SUB.public, NOW)) == names


@given(st.binary(max_size=100))
def test_nothing_but_bad_input(octets: bytes) -> None:
    for blob in (octets, armor(octets, b"PUBLIC KEY BLOCK"), ANNA.primary.packet + octets):
        with pytest.raises(BadInput):
            read_deposit(blob, NOW)
