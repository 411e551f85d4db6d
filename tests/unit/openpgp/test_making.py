"""What making.py makes, read back by another implementation where that is possible (pysequoia)."""

from __future__ import annotations

import pysequoia
import pytest
from pysequoia import packet

from trustgraph.errors import BadInput
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds
from trustgraph.openpgp import making

MADE = UnixSeconds(1_760_000_000)
LATER = UnixSeconds(MADE + 10 * SECONDS_PER_DAY)
ACORN = "smtp://mail.acorn.example"


def key(host: str = "mail.acorn.example", seed: int = 1, **options: object) -> making.SecretHostKey:
    return making.new_host_key(host, MADE, seed=bytes([seed]) * 32, **options)  # type: ignore[arg-type]


def signatures(octets: bytes) -> list[packet.Packet]:
    return [each for each in packet.PacketPile.from_bytes(octets) if each.tag == packet.Tag.Signature]


def test_a_seed_gives_the_same_key_every_time() -> None:
    first, second = key(postmaster=True), key(postmaster=True)
    assert first.fingerprint == "abd369af40216ccaa3dfb00b8dc9e0c576f88c37"
    assert making.export_public(first.certificate()) == making.export_public(second.certificate())
    assert making.export_secret(first) == making.export_secret(second)


def test_without_a_seed_every_key_is_another() -> None:
    assert making.new_host_key("a.example", MADE).fingerprint != making.new_host_key("a.example", MADE).fingerprint


def test_a_host_key_claims_its_host_and_signs() -> None:
    made = key("Mail.Acorn.Example.", postmaster=True)
    read = pysequoia.Cert.from_bytes(making.export_public(made.certificate()))
    assert read.fingerprint == made.fingerprint
    assert {str(user_id) for user_id in read.user_ids} == {ACORN, "<postmaster@mail.acorn.example>"}
    assert made.user_ids == (ACORN, "<postmaster@mail.acorn.example>")
    assert made.created_at == MADE
    assert read.expiration is None


def test_a_key_expires_when_it_should() -> None:
    read = pysequoia.Cert.from_bytes(making.export_public(key(expires_at=LATER).certificate()))
    assert read.expiration is not None
    assert int(read.expiration.timestamp()) == LATER


@pytest.mark.parametrize(
    ("host", "options", "reason"),
    [
        ("not a host", {}, "is not a domain name"),
        ("a.example", {"seed": b"short"}, "32 octets, not 5"),
        ("a.example", {"expires_at": MADE}, "later than what it ends"),
    ],
)
def test_impossible_keys_are_refused(host: str, options: dict[str, object], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        making.new_host_key(host, MADE, **options)  # type: ignore[arg-type]


def test_a_secret_with_leading_zeros_survives() -> None:
    seed = bytes(2) + bytes([7]) * 30
    made = making.new_host_key("a.example", MADE, seed=seed)
    assert making.load_host_key(making.export_secret(made)).fingerprint == made.fingerprint
    making.certify(made, made.certificate(), "smtp://a.example", LATER)


def test_a_certification_says_what_it_was_asked_to() -> None:
    endorser, subject = key("mail.birch.example", 2), key().certificate()
    octets = making.certify(
        endorser,
        subject,
        ACORN,
        LATER,
        expires_at=UnixSeconds(LATER + 90 * SECONDS_PER_DAY),
        notations=[("good-mail@trustgraph", "512"), ("since@trustgraph", "2025-10")],
    )
    (made,) = signatures(octets)
    assert made.signature_type == packet.SignatureType.GenericCertification
    assert made.issuer_fingerprint == endorser.fingerprint
    assert made.signature_created is not None
    assert int(made.signature_created.timestamp()) == LATER
    assert made.signature_validity_period is not None
    assert made.signature_validity_period.days == 90
    assert [(note.key, note.value) for note in made.notations] == [
        ("good-mail@trustgraph", "512"),
        ("since@trustgraph", "2025-10"),
    ]
    assert octets in making.export_public(subject)


def test_signatures_stay_when_a_certificate_is_read_again() -> None:
    endorser, subject = key("mail.birch.example", 2), key().certificate()
    first = making.certify(endorser, subject, ACORN, LATER)
    again = making.read_certificate(making.export_public(subject, armored=True))
    second = making.revoke_certification(endorser, again, ACORN, UnixSeconds(LATER + 5), comment="too much spam")
    exported = making.export_public(again)
    assert first in exported
    assert second in exported
    assert [each.signature_type for each in signatures(second)] == [packet.SignatureType.CertificationRevocation]


@pytest.mark.parametrize(("reason", "code"), [(making.Reason.COMPROMISED, 2), (making.Reason.RETIRED, 3)])
def test_a_revoked_key_reads_as_revoked(reason: making.Reason, code: int) -> None:
    made = key()
    certificate = made.certificate()
    octets = making.revoke_key(made, certificate, LATER, reason=reason, comment="moved")
    assert bytes([29, code]) + b"moved" in octets  # the subpacket of RFC 9580 section 5.2.3.31
    assert pysequoia.Cert.from_bytes(making.export_public(certificate)).is_revoked


def test_only_the_key_itself_revokes_it() -> None:
    with pytest.raises(BadInput, match="a key revokes itself"):
        making.revoke_key(key("mail.birch.example", 2), key().certificate(), LATER)


def test_impossible_certifications_are_refused() -> None:
    endorser, subject = key("mail.birch.example", 2), key().certificate()
    with pytest.raises(BadInput, match="has no User ID"):
        making.certify(endorser, subject, "smtp://mail.other.example", LATER)
    with pytest.raises(BadInput, match="before it was made"):
        making.certify(endorser, subject, ACORN, UnixSeconds(MADE - 1))
    with pytest.raises(BadInput, match="expected name@domain"):
        making.certify(endorser, subject, ACORN, LATER, notations=[("good-mail", "1")])
    with pytest.raises(BadInput, match="later than what it ends"):
        making.certify(endorser, subject, ACORN, LATER, expires_at=LATER)
    assert len(signatures(making.export_public(subject))) == 1


@pytest.mark.parametrize("armored", [False, True])
def test_a_locked_key_signs_only_with_its_passphrase(armored: bool) -> None:
    made = key()
    blob = making.export_secret(made, passphrase="open sesame", armored=armored)
    loaded = making.load_host_key(blob, "open sesame")
    assert making.certify(loaded, made.certificate(), ACORN, LATER) == making.certify(
        made, made.certificate(), ACORN, LATER
    )
    with pytest.raises(BadInput, match="passphrase does not open"):
        making.load_host_key(blob, "wrong")
    stays_locked = making.export_secret(loaded)
    assert making.load_host_key(stays_locked, "open sesame").fingerprint == made.fingerprint
    with pytest.raises(BadInput, match="passphrase does not open"):
        making.load_host_key(stays_locked, "wrong")


def test_secrets_are_not_printed() -> None:
    assert repr(making.load_host_key(making.export_secret(key()), "tell nobody")) == "SecretHostKey()"


@pytest.mark.parametrize("blob", [b"", b"hello", b"\xff" * 40, b"\x98\x33\x04"])
def test_what_is_no_key_is_bad_input(blob: bytes) -> None:
    with pytest.raises(BadInput, match="expected a version 4 OpenPGP key"):
        making.load_host_key(blob)


def test_a_public_certificate_is_no_host_key() -> None:
    with pytest.raises(BadInput, match="found a public certificate"):
        making.load_host_key(making.export_public(key().certificate()))
