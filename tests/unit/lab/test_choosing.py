"""Which certifications are in force at a time."""

from __future__ import annotations

import pytest

from trustgraph.lab.scenarios.choosing import live
from trustgraph.lab.vouching import Cause, Vouch
from trustgraph.model import UnixSeconds


@pytest.mark.parametrize(
    ("at", "revoked_at", "counts"),
    [(99, None, False), (100, None, True), (199, None, True), (200, None, False), (149, 150, True), (150, 150, False)],
)
def test_from_making_until_expiry_or_revocation(at: int, revoked_at: int | None, counts: bool) -> None:
    vouch = Vouch(
        endorser=1,
        subject=2,
        made_at=UnixSeconds(100),
        expires_at=UnixSeconds(200),
        cause=Cause.EARNED,
        good=64,
        since=UnixSeconds(0),
        revoked_at=None if revoked_at is None else UnixSeconds(revoked_at),
    )
    assert live([vouch, vouch], UnixSeconds(at)) == ({(1, 2)} if counts else set())
