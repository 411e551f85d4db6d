"""Certificates as the stash keeps them."""

from __future__ import annotations

import pytest

from tests.signed_posts import AT, DAY, NOW, SIGN, armor, make_key, public_block, revocation, revoked
from tests.unit.openpgp import openpgp_maker as maker
from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp import stashed
from trustgraph.openpgp.stashed import (
    bare_revocations,
    copies_in,
    holds_secret_key,
    merge_copies,
    revocation_copy,
)

ANNA, BERT = make_key("anna@example.org"), make_key("bert@example.net")
#: Its primary key certifies only.
WITH_SUBKEY = make_key("carl@example.org", flags=1, subkey_flags=SIGN)


def test_what_a_signature_may_name_it_by() -> None:
    found = merge_copies([ANNA.public], ANNA.fingerprint, NOW)
    assert found.names == (ANNA.fingerprint, ANNA.primary.key_id)
    found = merge_copies([WITH_SUBKEY.public], WITH_SUBKEY.fingerprint, NOW)
    keys = (WITH_SUBKEY.primary, WITH_SUBKEY.signer)
    assert set(found.names) == {name for key in keys for name in (key.fingerprint, key.key_id)}
    assert (found.expires_at, found.revoked_at, found.hard) == (None, None, False)


def test_the_key_has_to_be_in_it() -> None:
    with pytest.raises(BadInput, match="no certificate"):
        merge_copies([ANNA.public], BERT.fingerprint, NOW)


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({"lives_seconds": 10}, 10),
        ({"flags": 1, "subkey_flags": SIGN, "subkey_lives_seconds": 20}, 20),
        ({"flags": 1, "subkey_flags": SIGN, "subkey_lives_seconds": 20, "lives_seconds": 10}, 10),
        ({"subkey_flags": SIGN, "subkey_lives_seconds": 20, "lives_seconds": 30}, 30),
        ({"subkey_flags": SIGN, "subkey_lives_seconds": 20}, None),
        ({"flags": 1}, 0),
    ],
)
def test_it_is_of_use_while_any_of_its_keys_signs(options: dict[str, int], ends: int | None) -> None:
    key = make_key("dora@example.org", **options)  # type: ignore[arg-type]
    found = merge_copies([key.public], key.fingerprint, NOW)
    assert found.expires_at == (None if ends is None else maker.BORN + ends)


def test_a_revoked_subkey_is_of_no_use() -> None:
    body = maker.over_subkey(
        *(WITH_SUBKEY.primary, WITH_SUBKEY.primary, WITH_SUBKEY.signer),
        type=0x28,
        at=AT,
        extra=maker.revocation_reason(3),
    )
    copy = WITH_SUBKEY.public + maker.packet(2, body)
    assert merge_copies([copy], WITH_SUBKEY.fingerprint, NOW).expires_at == maker.BORN


def test_of_two_expiries_the_newer_word_counts_whichever_copy_comes_first() -> None:
    older = make_key("anna@example.org", lives_seconds=30 * DAY)
    said = maker.key_flags(3)
    newer = older.public + maker.certify(
        older.primary, older.primary, "Somebody <anna@example.org>", type=0x13, at=maker.BORN + DAY, extra=said
    )
    for copies in ([older.public, newer], [newer, older.public]):
        assert merge_copies(copies, older.fingerprint, NOW).expires_at is None


@pytest.mark.parametrize(("reason", "hard"), [(None, True), (0, True), (2, True), (1, False), (3, False)])
def test_a_revocation_survives_an_older_copy(reason: int | None, hard: bool) -> None:
    gone = revoked(ANNA, AT, reason)
    for copies in ([gone, ANNA.public], [ANNA.public, gone]):
        found = merge_copies(copies, ANNA.fingerprint, NOW)
        assert (found.revoked_at, found.hard) == (AT, hard)
        again = merge_copies([found.octets, ANNA.public], ANNA.fingerprint, NOW)
        assert again == found


def test_of_several_revocations_the_earliest_and_the_hardest_count() -> None:
    copies = [revoked(ANNA, AT, 3), revoked(ANNA, AT - 5, 1), revoked(ANNA, AT + 5, 2)]
    found = merge_copies(copies, ANNA.fingerprint, NOW)
    assert (found.revoked_at, found.hard) == (AT - 5, True)


def test_nobody_revokes_anothers_key() -> None:
    forged = revocation_copy(ANNA.public, revocation(BERT, AT))
    assert merge_copies([ANNA.public, forged], ANNA.fingerprint, NOW).revoked_at is None


def test_a_bare_revocation_is_found_and_counts_with_its_key() -> None:
    for blob in (revocation(ANNA, AT), armor(revocation(ANNA, AT), b"PUBLIC KEY BLOCK")):
        ((name, packet),) = bare_revocations(blob)
        assert name in (ANNA.fingerprint, ANNA.primary.key_id)
        found = merge_copies([ANNA.public, revocation_copy(ANNA.public, packet)], ANNA.fingerprint, NOW)
        assert found.revoked_at == AT


@pytest.mark.parametrize("blob", [b"", b"text", public_block(ANNA), ANNA.public, ANNA.detached(b"text")])
def test_what_is_no_bare_revocation_is_none(blob: bytes) -> None:
    assert bare_revocations(blob) == []


def test_only_so_many_bare_revocations_are_looked_at() -> None:
    many = b"".join(revocation(make_key(f"{number}@example.org"), AT) for number in range(12))
    assert len(bare_revocations(many)) == stashed.MAX_REVOCATIONS


def test_only_so_many_certificates_are_looked_at() -> None:
    many = b"".join(make_key(f"{number}@example.org").public for number in range(20))
    assert len(copies_in(many)) == stashed.MAX_COPIES


def test_a_revocation_needs_a_key_to_stand_on() -> None:
    with pytest.raises(BadInput, match="public key"):
        revocation_copy(b"", revocation(ANNA, AT))


def test_certificates_in_a_file() -> None:
    both = [(ANNA.fingerprint, ANNA.public), (BERT.fingerprint, BERT.public)]
    for blob in (ANNA.public + BERT.public, public_block(ANNA) + b"and\n" + public_block(BERT)):
        found = copies_in(blob)
        assert [name for name, _ in found] == [name for name, _ in both]
        for (name, octets), (_, public) in zip(found, both, strict=True):
            assert merge_copies([octets], name, NOW) == merge_copies([public], name, NOW)
    assert copies_in(b"nothing") == copies_in(ANNA.secret) == []
    assert [name for name, _ in copies_in(ANNA.secret + BERT.public)] == [BERT.fingerprint]


@pytest.mark.parametrize(
    ("blob", "secret"),
    [
        (ANNA.secret, True),
        (BERT.public + ANNA.secret, True),
        (armor(ANNA.secret, b"PRIVATE KEY BLOCK"), True),
        (b"see below\n" + armor(ANNA.secret, b"PRIVATE KEY BLOCK"), True),
        (armor(ANNA.secret, b"PUBLIC KEY BLOCK"), True),
        (ANNA.public, False),
        (public_block(ANNA), False),
        (b"", False),
    ],
)
def test_secret_keys_are_noticed_however_they_come(blob: bytes, secret: bool) -> None:
    assert holds_secret_key(blob) is secret


def test_a_certificate_is_kept_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stashed, "MAX_CERTIFICATE_BYTES", 100)
    with pytest.raises(BadInput, match="at most"):
        merge_copies([ANNA.public], ANNA.fingerprint, UnixSeconds(NOW))
