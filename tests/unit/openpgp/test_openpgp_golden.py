"""Keyrings made by GnuPG, sq and Sequoia come to what they were made to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.openpgp.openpgp_reading import read
from trustgraph.model import UserIdScope, from_rfc3339, to_rfc3339

GOLDEN = Path(__file__).parents[2] / "golden" / "openpgp"
AT = from_rfc3339("2027-06-01")


def golden(*names: str) -> bytes:
    return b"".join((GOLDEN / name).read_bytes() for name in names)


def test_gnupg_host() -> None:
    found = read(golden("gpg-host.pgp", "gpg-peers.pgp"), at=AT)
    assert found.fates == {"own": 8, "good": 9, "revocation": 1}
    assert found.problems == []
    host = found.facts[0]
    assert [(one.text, one.scope, one.revoked_at and to_rfc3339(one.revoked_at)) for one in host.host_key.user_ids] == [
        ("<postmaster@host.example.org>", UserIdScope.POSTMASTER, None),
        ("smtp://host.example.org", UserIdScope.SMTP, None),
        ("smtp://old.example.org", UserIdScope.SMTP, "2026-01-02T00:00:00Z"),
    ]
    revoked = [(one.user_id, to_rfc3339(one.revoked_at)) for one in host.certifications if one.revoked_at]
    assert revoked == [("<postmaster@host.example.org>", "2026-03-01T00:00:00Z")]
    expiring = [one for one in host.certifications if one.expires_at]
    assert [to_rfc3339(one.expires_at) for one in expiring if one.expires_at] == ["2026-05-02T00:00:00Z"] * 2
    assert {one.notations for one in expiring} == {(("good-mail@trustgraph", "64"),)}
    assert host.expired == 2


def test_gnupg_armor_says_the_same() -> None:
    plain, armored = (read(golden(name), golden_key(), at=AT) for name in ("gpg-host.pgp", "gpg-host.asc"))
    assert plain.facts == armored.facts


def golden_key() -> bytes:
    """The body of the first peer's key packet."""
    return read(golden("gpg-peers.pgp"), at=AT).facts[0].host_key.key_packet


def test_gnupg_peers() -> None:
    facts = {one.host_key.user_ids[0].host: one for one in read(golden("gpg-peers.pgp"), at=AT).facts}
    (trust,) = facts["rsa.example.org"].certifications
    assert trust.issuer == facts["p384.example.org"].host_key.fingerprint
    assert (trust.depth, trust.amount, trust.regex) == (1, 120, "<[^>]+[@.]example\\.org>$")
    expires_at = facts["ed.example.org"].host_key.expires_at
    assert expires_at
    assert to_rfc3339(expires_at)[:10] == "2028-01-01"
    assert facts["rsa.example.org"].host_key.expires_at is None


def test_sq_certification() -> None:
    found = read(golden("sq-pair.asc"), at=AT)
    assert [one.host_key.user_ids[0].host for one in found.facts] == ["one.example.org", "two.example.org"]
    (made,) = found.facts[1].certifications
    assert made.issuer == found.facts[0].host_key.fingerprint
    assert (made.depth, made.amount, made.regex) == (2, 60, "<[^>]+[@.]example\\.org>$")
    assert ("since@trustgraph", "2026-11") in made.notations
    assert found.fates.get("bad", 0) == found.fates.get("own_bad", 0) == 0


@pytest.mark.parametrize("name", ["cv25519", "p256"])
def test_version_6(name: str) -> None:
    (facts,) = read(golden(f"pysequoia-v6-{name}.asc"), at=AT).facts
    assert [one.text for one in facts.host_key.user_ids] == ["smtp://v6.example.org"]
    assert len(facts.host_key.fingerprint) == 64
    assert facts.host_key.expires_at is None
    assert not facts.fates["own_bad"]
