"""Each algorithm verifies what its key made, and nothing that differs."""

from __future__ import annotations

import pytest

from tests.unit.openpgp.openpgp_maker import (
    BORN,
    CURVES,
    SHA1,
    SHA3_256,
    SHA3_512,
    SHA224,
    SHA256,
    SHA384,
    SHA512,
    Key,
    certificate,
    certify,
    dsa_key,
    ecdsa_key,
    ed448_key,
    ed25519_key,
    eddsa_key,
    mpi,
    rsa_key,
)
from tests.unit.openpgp.openpgp_reading import read
from trustgraph.openpgp.publickey import parse_public_key
from trustgraph.openpgp.verification import Job, Verdict, verify

HOST = "smtp://mx.example.org"
SUBJECT = ed25519_key("subject")
ISSUERS = {
    "rsa": rsa_key,
    "dsa": dsa_key,
    "ed25519": ed25519_key,
    "eddsa": eddsa_key,
    "ed448-v6": ed448_key,
    "ed25519-v6": lambda: ed25519_key(version=6),
    "rsa-v6": lambda: rsa_key(version=6),
    "p256-v6": lambda: ecdsa_key("p256", 6),
    **{curve: (lambda curve=curve: ecdsa_key(curve)) for curve in CURVES},
}


def fates(issuer: Key, signature: bytes, subject: Key = SUBJECT) -> dict[str, int]:
    found = read(certificate(subject, HOST, others=signature), issuer.body).fates
    assert found.pop("own") == 1
    return found


@pytest.mark.parametrize("name", ISSUERS)
def test_each_algorithm(name: str) -> None:
    issuer = ISSUERS[name]()
    assert fates(issuer, certify(issuer, SUBJECT, HOST)) == {"good": 1}
    assert parse_public_key(issuer.body).fingerprint == issuer.fingerprint


@pytest.mark.parametrize("hash_algorithm", [SHA224, SHA256, SHA384, SHA512, SHA3_256, SHA3_512])
@pytest.mark.parametrize("version", [4, 6])
def test_each_hash(hash_algorithm: int, version: int) -> None:
    for issuer in (rsa_key(version=version), ed25519_key(version=version)):
        assert fates(issuer, certify(issuer, SUBJECT, HOST, hash_algorithm=hash_algorithm)) == {"good": 1}


@pytest.mark.parametrize("subject_version", [4, 6])
@pytest.mark.parametrize("issuer_version", [4, 6])
def test_versions_may_certify_each_other(issuer_version: int, subject_version: int) -> None:
    issuer, subject = ed25519_key("issuer", version=issuer_version), ed25519_key("other", version=subject_version)
    assert fates(issuer, certify(issuer, subject, HOST), subject) == {"good": 1}


@pytest.mark.parametrize("name", ["rsa", "dsa", "eddsa", "p256", "ed25519-v6"])
def test_each_flipped_bit_is_noticed(name: str) -> None:
    """Nothing good is left of a signature with any octet changed, wherever it is, the unhashed area excepted."""
    issuer = ISSUERS[name]()
    signature = certify(issuer, SUBJECT, HOST)
    key_id_at = signature.find(bytes.fromhex(issuer.key_id), 6 + 4 + 2 + 6 + 23)
    for at in range(6, len(signature), 1 if len(signature) < 160 else 7):
        if key_id_at - 2 <= at < key_id_at + 8 and key_id_at > 0:
            continue
        flipped = signature[:at] + bytes((signature[at] ^ 0x80,)) + signature[at + 1 :]
        left = read(certificate(SUBJECT, HOST, others=flipped), issuer.body)
        assert not left.facts[0].certifications, at


def test_the_prefix_alone_proves_nothing() -> None:
    """With the right 16 bits and somebody else's signature: only the public-key operation tells."""
    issuer, forger = ed25519_key("issuer"), ed25519_key("forger")
    forged = certify(forger, SUBJECT, HOST, issuer_fingerprint=issuer.fingerprint, issuer_key_id=issuer.key_id)
    assert fates(issuer, forged) == {"bad": 1}


def test_a_certification_of_another_user_id_or_key_is_bad() -> None:
    issuer = ed25519_key("issuer")
    assert fates(issuer, certify(issuer, SUBJECT, "smtp://other.example.org")) == {"bad": 1}
    assert fates(issuer, certify(issuer, ed25519_key("other"), HOST)) == {"bad": 1}


def test_a_fingerprint_names_one_key_whatever_the_key_id_says() -> None:
    """The key ID of the real maker in the unhashed area does not rescue a signature that names another fingerprint."""
    named, maker = ed25519_key("named"), ed25519_key("maker")
    lying = certify(maker, SUBJECT, HOST, issuer_fingerprint=named.fingerprint)
    assert read(certificate(SUBJECT, HOST, others=lying), named.body, maker.body).fates == {"own": 1, "bad": 1}


def test_a_key_id_alone_is_enough() -> None:
    issuer = ed25519_key("issuer")
    assert fates(issuer, certify(issuer, SUBJECT, HOST, issuer_fingerprint="")) == {"good": 1}


def test_a_signature_of_one_version_by_a_key_of_the_other_is_not_looked_up() -> None:
    issuer = ed25519_key("issuer", version=6)
    as_v4 = Key(4, issuer.algorithm, issuer.body, issuer.sign)
    unnamed = certify(as_v4, SUBJECT, HOST, issuer_fingerprint="", issuer_key_id=issuer.key_id)
    assert fates(issuer, unnamed) == {"unverifiable": 1}


@pytest.mark.parametrize("key", [rsa_key(1024), dsa_key(1024)], ids=["rsa", "dsa"])
def test_small_keys_are_weak(key: Key) -> None:
    hash_algorithm = SHA1 if key.algorithm == 17 else SHA256
    found = read(
        certificate(SUBJECT, HOST, others=certify(key, SUBJECT, HOST, hash_algorithm=hash_algorithm)), key.body
    )
    assert found.fates == {"own": 1, "weak_key": 1}
    assert [one.weak for one in found.facts[0].certifications] == [True]


def test_a_curve_that_is_not_known_is_unsupported() -> None:
    real = ecdsa_key("p256")
    body = real.body.replace(bytes.fromhex(CURVES["p256"][0]), bytes.fromhex("2a8648ce3d0301ff"))
    strange = Key(4, 19, body, real.sign)
    assert fates(strange, certify(strange, SUBJECT, HOST)) == {"unsupported": 1}


def test_an_algorithm_that_is_not_known_is_unsupported() -> None:
    issuer = ed25519_key("issuer")
    signature = certify(issuer, SUBJECT, HOST)
    assert fates(issuer, signature[:9] + b"\x63" + signature[10:]) == {"unsupported": 1}


def test_absurd_keys_cost_nothing() -> None:
    """A modulus of 60,000 bits or an exponent as long as the modulus would take seconds: not tried."""
    head = bytes((4,)) + BORN.to_bytes(4) + b"\x01"
    for modulus, exponent in (((1 << 60_000) + 1, 3), ((1 << 4096) + 1, (1 << 4095) + 1), (0, 0)):
        job = Job(head + mpi(modulus) + mpi(exponent), SHA256, b"\0" * 32, mpi(1))
        assert verify(job) is Verdict.UNSUPPORTED


@pytest.mark.parametrize("material", [b"", b"\0", mpi(0), mpi(1 << 9000), mpi(5) + b"x", mpi(5) * 3, b"\xff\xff1"])
@pytest.mark.parametrize("name", ISSUERS)
def test_malformed_material_is_bad(name: str, material: bytes) -> None:
    job = Job(ISSUERS[name]().body, SHA256, b"\0" * 32, material)
    assert verify(job) in (Verdict.BAD, Verdict.UNSUPPORTED)
