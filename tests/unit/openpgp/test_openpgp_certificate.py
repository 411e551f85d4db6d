"""What a certificate comes to: its own state from its own signatures, others' certifications with their revocations."""

from __future__ import annotations

import pytest

from tests.unit.openpgp.openpgp_maker import (
    BORN,
    SHA1,
    SHA256,
    Key,
    certificate,
    certify,
    ed25519_key,
    eddsa_key,
    notation,
    packet,
    rsa_key,
    subpacket,
    user_id,
)
from tests.unit.openpgp.openpgp_reading import LATER, read
from trustgraph.model import Certification, HostKey, UserIdScope
from trustgraph.openpgp.certificate import MAX_PER_ISSUER
from trustgraph.openpgp.selfsigned import SHA1_CUTOFF, SHA1_OWN_CUTOFF
from trustgraph.openpgp.signature import MAX_NOTATIONS, MAX_REGEX_BYTES, MAX_SUBPACKETS

HOST = "smtp://mx.example.org"
HOST_KEY = ed25519_key("host")
PEER = ed25519_key("peer")
DAY = 86_400


def host_key(data: bytes, **policy: int) -> HostKey:
    return read(data, **policy).facts[0].host_key


def certifications(*signatures: bytes, **policy: int) -> tuple[Certification, ...]:
    data = certificate(HOST_KEY, HOST, others=b"".join(signatures))
    return read(data, PEER.body, **policy).facts[0].certifications


def fates(*signatures: bytes, **policy: int) -> dict[str, int]:
    return read(certificate(HOST_KEY, HOST, others=b"".join(signatures)), PEER.body, **policy).fates


def seconds(kind: int, value: int) -> bytes:
    return subpacket(kind, value.to_bytes(4))


def reason(code: int) -> bytes:
    return subpacket(29, bytes((code,)) + b"why")


# the key itself


@pytest.mark.parametrize("version", [4, 6])
def test_a_plain_certificate(version: int) -> None:
    key = ed25519_key("plain", version=version)
    found = host_key(certificate(key, HOST, "<postmaster@mx.example.org>"))
    assert (found.fingerprint, found.key_id, found.key_packet) == (key.fingerprint, key.key_id, key.body)
    assert (found.created_at, found.self_signed_at) == (BORN, BORN)
    assert (found.expires_at, found.revoked_at, found.hard_revoked) == (None, None, False)
    assert [(one.scope, one.host) for one in found.user_ids] == [
        (UserIdScope.SMTP, "mx.example.org"),
        (UserIdScope.POSTMASTER, "mx.example.org"),
    ]


def test_a_user_id_that_the_key_did_not_sign_is_left_out() -> None:
    unsigned = user_id("smtp://victim.example") + certify(PEER, HOST_KEY, "smtp://victim.example")
    forged = user_id("smtp://forged.example") + certify(
        PEER, HOST_KEY, "smtp://forged.example", issuer_fingerprint=HOST_KEY.fingerprint, issuer_key_id=HOST_KEY.key_id
    )
    found = read(certificate(HOST_KEY, HOST, others=unsigned + forged), PEER.body)
    assert [one.text for one in found.facts[0].host_key.user_ids] == [HOST]
    assert found.facts[0].user_ids_left_out == 2
    assert found.facts[0].certifications == ()
    assert found.fates == {"own": 1, "own_bad": 1, "not_self_signed": 1}


def test_a_self_signature_of_another_user_id_does_not_bind() -> None:
    moved = HOST_KEY.packet + user_id(HOST) + certify(HOST_KEY, HOST_KEY, "smtp://other.example")
    assert host_key(moved).user_ids == ()


def test_expiry_is_the_newest_self_signatures() -> None:
    older = certify(HOST_KEY, HOST_KEY, HOST, at=BORN + 10, extra=seconds(9, 10 * DAY))
    newer = certify(HOST_KEY, HOST_KEY, HOST, at=BORN + 20, extra=seconds(9, 90 * DAY))
    for order in (older + newer, newer + older):
        found = host_key(certificate(HOST_KEY, HOST, others=order))
        assert (found.expires_at, found.self_signed_at) == (BORN + 90 * DAY, BORN + 20)
    lifted = certify(HOST_KEY, HOST_KEY, HOST, at=BORN + 30)
    assert host_key(certificate(HOST_KEY, HOST, others=newer + lifted)).expires_at is None


def test_expiry_by_a_direct_key_signature() -> None:
    direct = certify(HOST_KEY, HOST_KEY, None, type=0x1F, at=BORN + 5, extra=seconds(9, DAY))
    data = HOST_KEY.packet + direct + certificate(HOST_KEY, HOST)[len(HOST_KEY.packet) :]
    assert host_key(data).expires_at == BORN + DAY


def test_in_version_6_a_direct_key_signature_goes_before_newer_ones_over_user_ids() -> None:
    for version, expires_at in ((4, None), (6, BORN + DAY)):
        key = ed25519_key("direct", version=version)
        direct = certify(key, key, None, type=0x1F, at=BORN, extra=seconds(9, DAY))
        data = key.packet + direct + user_id(HOST) + certify(key, key, HOST, at=BORN + 5)
        assert host_key(data).expires_at == expires_at


def test_two_equally_old_self_signatures_end_the_key_at_the_earlier_time() -> None:
    a, b = (certify(HOST_KEY, HOST_KEY, HOST, at=BORN + 10, extra=seconds(9, days * DAY)) for days in (5, 7))
    c = certify(HOST_KEY, HOST_KEY, HOST, at=BORN + 10)
    for order in (a + b + c, c + b + a, b + c + a):
        assert host_key(certificate(HOST_KEY, HOST, others=order)).expires_at == BORN + 5 * DAY


def test_expiry_in_the_unhashed_area_is_not_believed() -> None:
    signed = certify(HOST_KEY, HOST_KEY, HOST, at=BORN + 10, unhashed=seconds(9, DAY))
    assert host_key(certificate(HOST_KEY, HOST, others=signed)).expires_at is None


def test_self_signatures_not_in_force_do_not_count() -> None:
    for unfit in (
        {"at": LATER + 1},
        {"at": BORN - 1},
        {"at": BORN, "extra": seconds(3, 100)},
        {"at": BORN, "extra": subpacket(99, b"", critical=True)},
    ):
        assert host_key(HOST_KEY.packet + user_id(HOST) + certify(HOST_KEY, HOST_KEY, HOST, **unfit)).user_ids == ()
    assert host_key(HOST_KEY.packet + user_id(HOST) + certify(HOST_KEY, HOST_KEY, HOST, at=LATER)).user_ids


@pytest.mark.parametrize(("made_at", "counts"), [(SHA1_OWN_CUTOFF, True), (SHA1_OWN_CUTOFF + 1, False)])
def test_sha1_over_ones_own_user_id_counts_up_to_its_own_cutoff(made_at: int, counts: bool) -> None:
    key = rsa_key()
    data = key.packet + user_id(HOST) + certify(key, key, HOST, at=made_at, hash_algorithm=SHA1)
    assert bool(host_key(data, at=made_at + 1).user_ids) is counts


@pytest.mark.parametrize("code", [None, 0, 2, 32, 77])
def test_hard_revocation(code: int | None) -> None:
    revocation = certify(
        HOST_KEY, HOST_KEY, None, type=0x20, at=BORN + 9, extra=reason(code) if code is not None else b""
    )
    found = host_key(HOST_KEY.packet + revocation + certificate(HOST_KEY, HOST)[len(HOST_KEY.packet) :])
    assert (found.revoked_at, found.hard_revoked) == (BORN + 9, True)


@pytest.mark.parametrize("code", [1, 3])
def test_soft_revocation(code: int) -> None:
    soft = certify(HOST_KEY, HOST_KEY, None, type=0x20, at=BORN + 9, extra=reason(code))
    assert (host_key(HOST_KEY.packet + soft).revoked_at, host_key(HOST_KEY.packet + soft).hard_revoked) == (
        BORN + 9,
        False,
    )
    hard = certify(HOST_KEY, HOST_KEY, None, type=0x20, at=BORN + 99, extra=reason(2))
    for both in (soft + hard, hard + soft):
        found = host_key(HOST_KEY.packet + both)
        assert (found.revoked_at, found.hard_revoked) == (BORN + 9, True)


def test_revocations_by_others_and_forged_ones_do_not_count() -> None:
    by_peer = certify(PEER, HOST_KEY, None, type=0x20)
    forged = certify(PEER, HOST_KEY, None, type=0x20, issuer_fingerprint=HOST_KEY.fingerprint, issuer_key_id="")
    found = read(HOST_KEY.packet + by_peer + forged, PEER.body)
    assert found.facts[0].host_key.revoked_at is None
    assert found.fates == {"other_type": 1, "own_bad": 1}


def test_a_sha1_revocation_counts_at_any_date() -> None:
    key = rsa_key()
    late = SHA1_OWN_CUTOFF + 10
    revocation = certify(key, key, None, type=0x20, at=late, hash_algorithm=SHA1)
    assert host_key(key.packet + revocation, at=late + 1).hard_revoked


def test_a_user_id_is_revoked_until_it_is_certified_anew() -> None:
    revocation = certify(HOST_KEY, HOST_KEY, HOST, type=0x30, at=BORN + 50)
    again = certify(HOST_KEY, HOST_KEY, HOST, at=BORN + 51)
    assert host_key(certificate(HOST_KEY, HOST, others=revocation)).user_ids[0].revoked_at == BORN + 50
    assert host_key(certificate(HOST_KEY, HOST, others=revocation + again)).user_ids[0].revoked_at is None
    same_time = certify(HOST_KEY, HOST_KEY, HOST, at=BORN + 50)
    assert host_key(certificate(HOST_KEY, HOST, others=revocation + same_time)).user_ids[0].revoked_at == BORN + 50


def test_a_user_id_of_which_only_the_revocation_is_left_is_revoked() -> None:
    revocation = certify(HOST_KEY, HOST_KEY, HOST, type=0x30, at=BORN + 50)
    found = read(HOST_KEY.packet + user_id(HOST) + revocation + certify(PEER, HOST_KEY, HOST), PEER.body).facts[0]
    assert [(one.text, one.revoked_at) for one in found.host_key.user_ids] == [(HOST, BORN + 50)]
    assert found.certifications == ()


def test_the_same_user_id_twice_is_one() -> None:
    revocation = certify(HOST_KEY, HOST_KEY, HOST, type=0x30, at=BORN + 50)
    found = read(certificate(HOST_KEY, HOST) + user_id(HOST) + revocation + certify(PEER, HOST_KEY, HOST), PEER.body)
    assert [one.revoked_at for one in found.facts[0].host_key.user_ids] == [BORN + 50]
    assert len(found.facts[0].certifications) == 1


# what others say


def test_a_certification_as_it_was_made() -> None:
    extra = (
        seconds(3, 90 * DAY)
        + subpacket(5, bytes((1, 60)))
        + subpacket(6, b"<[^>]+[@.]example\\.org>$\0")
        + notation("good-mail@trustgraph", "64")
        + notation("since@trustgraph", "2026-11")
    )
    assert certifications(certify(PEER, HOST_KEY, HOST, type=0x12, extra=extra)) == (
        Certification(
            issuer=PEER.fingerprint,
            subject=HOST_KEY.fingerprint,
            user_id=HOST,
            made_at=BORN + 1000,
            expires_at=BORN + 1000 + 90 * DAY,
            type=0x12,
            depth=1,
            amount=60,
            regex="<[^>]+[@.]example\\.org>$",
            notations=(("good-mail@trustgraph", "64"), ("since@trustgraph", "2026-11")),
        ),
    )


def test_a_plain_certification_has_the_plain_values() -> None:
    (made,) = certifications(certify(PEER, HOST_KEY, HOST))
    assert (made.expires_at, made.revoked_at, made.depth, made.amount, made.regex) == (None, None, 0, 120, "")
    assert (made.type, made.weak, made.notations) == (0x10, False, ())


@pytest.mark.parametrize("kind", [0x10, 0x11, 0x12, 0x13])
def test_every_type_of_certification(kind: int) -> None:
    assert [one.type for one in certifications(certify(PEER, HOST_KEY, HOST, type=kind))] == [kind]


@pytest.mark.parametrize("kind", [0x00, 0x16, 0x18, 0x1F, 0x20, 0x40])
def test_other_types_say_nothing_about_a_user_id(kind: int) -> None:
    assert fates(certify(PEER, HOST_KEY, HOST, type=kind)) == {"own": 1, "other_type": 1}


def test_an_issuer_that_is_not_known_is_only_counted() -> None:
    stranger = ed25519_key("stranger")
    assert fates(certify(stranger, HOST_KEY, HOST)) == {"own": 1, "unverifiable": 1}


def test_the_subjects_own_signature_is_no_certification() -> None:
    assert certifications(certify(HOST_KEY, HOST_KEY, HOST)) == ()


def test_a_revocation_counts_for_what_was_made_before_it() -> None:
    first, second, third = (certify(PEER, HOST_KEY, HOST, at=BORN + at) for at in (100, 200, 300))
    revocation = certify(PEER, HOST_KEY, HOST, type=0x30, at=BORN + 200)
    for order in ((first, second, third, revocation), (revocation, third, second, first)):
        found = {one.made_at - BORN: one.revoked_at for one in certifications(*order)}
        assert found == {100: BORN + 200, 200: BORN + 200, 300: None}
    assert fates(first, revocation) == {"own": 1, "good": 1, "revocation": 1}


def test_the_first_revocation_after_a_certification_is_its_end() -> None:
    revocations = [certify(PEER, HOST_KEY, HOST, type=0x30, at=BORN + at) for at in (50, 300, 200)]
    (made,) = certifications(certify(PEER, HOST_KEY, HOST, at=BORN + 100), *revocations)
    assert made.revoked_at == BORN + 200


def test_a_revocation_by_somebody_else_or_over_another_user_id_or_forged_changes_nothing() -> None:
    other = ed25519_key("other")
    data = certificate(HOST_KEY, HOST, "x", others=certify(PEER, HOST_KEY, "x", type=0x30, at=BORN + 2000))
    data += user_id(HOST) + certify(PEER, HOST_KEY, HOST)
    data += certify(other, HOST_KEY, HOST, type=0x30, at=BORN + 2000)
    data += certify(
        other, HOST_KEY, HOST, type=0x30, at=BORN + 2000, issuer_fingerprint=PEER.fingerprint, issuer_key_id=""
    )
    assert [one.revoked_at for one in read(data, PEER.body, other.body).facts[0].certifications] == [None]


def test_a_revocation_alone_is_ignored() -> None:
    assert certifications(certify(PEER, HOST_KEY, HOST, type=0x30)) == ()


@pytest.mark.parametrize(("made_at", "weak"), [(SHA1_CUTOFF, False), (SHA1_CUTOFF + 1, True)])
def test_sha1_counts_up_to_the_cutoff(made_at: int, weak: bool) -> None:
    old = Key(4, 27, b"\x04\0\0\0\x01" + PEER.body[5:], PEER.sign)
    signed = certify(old, HOST_KEY, HOST, at=made_at, hash_algorithm=SHA1)
    found = read(certificate(HOST_KEY, HOST, others=signed), old.body)
    assert [one.weak for one in found.facts[0].certifications] == [weak]
    assert found.fates == {"own": 1, ("weak_sha1" if weak else "good"): 1}


def test_the_cutoff_can_be_set() -> None:
    signed = certify(PEER, HOST_KEY, HOST, hash_algorithm=SHA1)
    assert fates(signed) == {"own": 1, "weak_sha1": 1}
    assert fates(signed, sha1_cutoff=BORN + 1000) == {"own": 1, "good": 1}


def test_a_sha1_certification_that_does_not_verify_is_bad_and_not_weak() -> None:
    assert fates(certify(PEER, HOST_KEY, "other", hash_algorithm=SHA1)) == {"own": 1, "bad": 1}


def test_md5_counts_at_no_date() -> None:
    signed = certify(PEER, HOST_KEY, HOST, hash_algorithm=1)
    assert fates(signed, sha1_cutoff=LATER) == {"own": 1, "weak_hash": 1}
    assert certifications(signed) == ()


def test_an_unknown_hash_is_unsupported() -> None:
    signed = certify(PEER, HOST_KEY, HOST)
    assert fates(signed[:9] + b"\x63" + signed[10:]) == {"own": 1, "unsupported": 1}


def test_a_certification_older_than_its_issuer_is_bad() -> None:
    assert fates(certify(PEER, HOST_KEY, HOST, at=BORN - 1)) == {"own": 1, "bad": 1}


def test_local_certifications_do_not_count() -> None:
    assert fates(certify(PEER, HOST_KEY, HOST, extra=subpacket(4, b"\0"))) == {"own": 1, "local": 1}
    assert fates(certify(PEER, HOST_KEY, HOST, extra=subpacket(4, b"\1"))) == {"own": 1, "good": 1}


@pytest.mark.parametrize(
    "critical",
    [subpacket(99, b"x", critical=True), subpacket(1, b"", critical=True), notation("a@b", "c", critical=True)],
)
def test_what_is_critical_and_not_understood_stops_a_certification(critical: bytes) -> None:
    assert fates(certify(PEER, HOST_KEY, HOST, extra=critical)) == {"own": 1, "not_understood": 1}


def test_what_is_critical_and_understood_does_not() -> None:
    extra = subpacket(3, DAY.to_bytes(4), critical=True) + subpacket(6, b"x\0", critical=True)
    assert fates(certify(PEER, HOST_KEY, HOST, extra=extra)) == {"own": 1, "good": 1}


def test_only_the_hashed_area_is_believed() -> None:
    added = seconds(3, 1) + subpacket(5, b"\xff\xff") + subpacket(4, b"\0") + notation("a@b", "c")
    (made,) = certifications(certify(PEER, HOST_KEY, HOST, unhashed=added))
    assert (made.expires_at, made.depth, made.notations) == (None, 0, ())


def test_an_issuer_added_to_the_unhashed_area_does_not_hide_the_real_one() -> None:
    other = ed25519_key("other")
    added = subpacket(33, b"\x04" + bytes.fromhex(other.fingerprint))
    assert fates(certify(PEER, HOST_KEY, HOST, unhashed=added)) == {"own": 1, "good": 1}


def test_of_repeated_subpackets_the_last_counts() -> None:
    (made,) = certifications(certify(PEER, HOST_KEY, HOST, extra=seconds(3, 5) + seconds(3, 9)))
    assert made.expires_at == made.made_at + 9


@pytest.mark.parametrize(
    "signature",
    [
        certify(PEER, HOST_KEY, HOST, at=None),
        certify(PEER, HOST_KEY, HOST, extra=subpacket(3, b"xy")),
        certify(PEER, HOST_KEY, HOST, extra=subpacket(5, b"\1")),
        certify(PEER, HOST_KEY, HOST, extra=subpacket(6, b"x" * (MAX_REGEX_BYTES + 1))),
        certify(PEER, HOST_KEY, HOST, extra=subpacket(6, b"x\0y")),
        certify(PEER, HOST_KEY, HOST, extra=subpacket(7, b"\1") * MAX_SUBPACKETS),
        certify(PEER, HOST_KEY, HOST, issuer_fingerprint="", issuer_key_id=""),
        packet(2, b""),
        packet(2, b"\x04"),
        packet(2, b"\x06" + b"\0" * 30),
        packet(2, b"\x04\x10\x01\x08\xff\xff" + b"\0" * 30),
    ],
)
def test_malformed_signatures_are_counted_as_that(signature: bytes) -> None:
    assert fates(signature) == {"own": 1, "malformed": 1}


def test_old_versions_are_counted_as_that() -> None:
    assert fates(packet(2, b"\x03" + b"\0" * 30)) == {"own": 1, "old_version": 1}


def test_duplicates_count_once_wherever_they_stand() -> None:
    signed = certify(PEER, HOST_KEY, HOST)
    assert fates(signed, signed, user_id(HOST), signed) == {"own": 1, "good": 1, "duplicate": 2}
    assert len(certifications(signed, signed, user_id(HOST), signed)) == 1


def test_duplicates_of_what_does_not_verify_are_not_verified_again() -> None:
    bad = certify(PEER, HOST_KEY, "other")
    assert fates(bad, bad, bad) == {"own": 1, "bad": 1, "duplicate": 2}


def test_what_is_kept_of_one_certificate_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trustgraph.openpgp.certificate.MAX_KEPT_BYTES", 3_000)
    peers = [ed25519_key(f"peer {index}") for index in range(20)]
    data = certificate(HOST_KEY, HOST, others=b"".join(certify(peer, HOST_KEY, HOST) for peer in peers))
    found = read(data, *(peer.body for peer in peers))
    assert found.fates == {"own": 1, "good": 5, "superfluous": 15}


def test_user_ids_of_one_certificate_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trustgraph.openpgp.certificate.MAX_USER_IDS", 3)
    revoked = certify(HOST_KEY, HOST_KEY, "b", type=0x30)
    (facts,) = read(certificate(HOST_KEY, *"abcde") + user_id("b") + revoked).facts
    assert [one.text for one in facts.host_key.user_ids] == ["a", "b", "c"]
    assert facts.host_key.user_ids[1].revoked_at


def test_the_newest_of_an_issuer_are_kept() -> None:
    made = [certify(PEER, HOST_KEY, HOST, at=BORN + at) for at in range(100)]
    for order in (made, made[::-1]):
        found = certifications(*order)
        assert sorted(one.made_at - BORN for one in found) == list(range(100 - MAX_PER_ISSUER, 100))
    assert fates(*made) == {"own": 1, "good": MAX_PER_ISSUER, "superfluous": 100 - MAX_PER_ISSUER}


def test_forged_newer_ones_do_not_displace_real_ones() -> None:
    real = certify(PEER, HOST_KEY, HOST)
    forger = ed25519_key("forger")
    forged = [
        certify(forger, HOST_KEY, HOST, at=BORN + 5000 + at, issuer_fingerprint=PEER.fingerprint, issuer_key_id="")
        for at in range(600)
    ]
    assert fates(*forged[:300], real, *forged[300:]) == {"own": 1, "good": 1, "bad": 600}


def test_notations_are_bounded() -> None:
    many = b"".join(notation(f"n{index}@example.org", "v") for index in range(MAX_NOTATIONS + 5))
    (made,) = certifications(certify(PEER, HOST_KEY, HOST, extra=many))
    assert len(made.notations) == MAX_NOTATIONS
    extra = notation("big@example.org", "v" * 2000) + subpacket(20, b"\0\0\0\0\0\1\0\1ab") + subpacket(20, b"\x80")
    (made,) = certifications(certify(PEER, HOST_KEY, HOST, extra=extra + notation("a@b", "c")))
    assert made.notations == (("a@b", "c"),)


# what belongs where


def test_signatures_on_subkeys_and_user_attributes_are_not_certifications() -> None:
    signed = certify(PEER, HOST_KEY, HOST)
    data = certificate(HOST_KEY, HOST, others=packet(17, b"photo") + signed + packet(14, b"subkey") + signed * 2)
    found = read(data + user_id("x") + certify(HOST_KEY, HOST_KEY, "x"), PEER.body)
    assert found.fates == {"own": 2, "on_user_attribute": 1, "on_subkey": 2}


def test_signatures_over_a_user_id_too_long_to_read_are_stray() -> None:
    signed = certify(PEER, HOST_KEY, HOST)
    found = read(certificate(HOST_KEY, HOST, others=user_id("A" * 5000) + signed), PEER.body)
    assert found.fates == {"own": 1, "stray": 1}
    assert found.facts[0].user_ids_left_out == 1


def test_a_key_that_cannot_be_read_takes_its_signatures_with_it() -> None:
    broken = packet(6, b"\x03" + b"\0" * 20) + user_id(HOST) + certify(PEER, HOST_KEY, HOST)
    found = read(certificate(HOST_KEY, HOST) + broken + packet(5, b"secret") + user_id("x") + certificate(PEER, "p"))
    assert [one.host_key.fingerprint for one in found.facts] == [HOST_KEY.fingerprint, PEER.fingerprint]
    assert found.fates == {"own": 2}
    assert found.problems == [
        "certificate left out: public key of version 3: expected 4 or 6",
        "a secret key is not read: expected public keys",
    ]


def test_an_expired_certification_is_kept_and_counted() -> None:
    data = certificate(HOST_KEY, HOST, others=certify(PEER, HOST_KEY, HOST, extra=seconds(3, 60)))
    (facts,) = read(data, PEER.body).facts
    assert (len(facts.certifications), facts.expired) == (1, 1)
    assert read(data, PEER.body, at=BORN + 1059).facts[0].expired == 0


def test_legacy_and_new_ed25519_keys_are_different_keys() -> None:
    signed = certify(eddsa_key("peer"), HOST_KEY, HOST, hash_algorithm=SHA256)
    assert fates(signed) == {"own": 1, "unverifiable": 1}
