"""Keys written straight as packets against PGPy, octet for octet."""

from __future__ import annotations

from hashlib import blake2b

from hypothesis import given, settings
from hypothesis import strategies as st

from trustgraph.lab.quick_keys import QuickKey
from trustgraph.model import SECONDS_PER_DAY, UnixSeconds
from trustgraph.openpgp import making

MADE_AT = UnixSeconds(1_700_000_000)
HOSTS = ("mx1.acorn.example", "out.bonus.example", "a.example")

certifications = st.tuples(
    st.sampled_from([(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]),
    st.integers(1, 5),  # few moments, so that some are the same
    st.integers(1, 200),
    st.sampled_from(["64", "1024", "1048576", "x" * 120]),
    st.integers(0, 3),
)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.lists(certifications, max_size=6))
def test_the_same_octets_as_pgpy(seed: int, made: list[tuple[tuple[int, int], int, int, str, int]]) -> None:
    seeds = [blake2b(f"{seed} {place}".encode(), digest_size=32).digest() for place in range(3)]
    quick = [QuickKey(host, MADE_AT, each) for host, each in zip(HOSTS, seeds, strict=True)]
    slow = [
        making.new_host_key(host, MADE_AT, postmaster=True, seed=each) for host, each in zip(HOSTS, seeds, strict=True)
    ]
    certificates = [key.certificate() for key in slow]
    for (issuer, subject), hours, days, good, revoked_hours in made:
        made_at = UnixSeconds(MADE_AT + hours * 3600)
        expires_at = UnixSeconds(made_at + days * SECONDS_PER_DAY)
        notations = (("good-mail@trustgraph", good), ("since@trustgraph", "2026-01"))
        user_id = f"smtp://{HOSTS[subject]}"
        quick[issuer].certify(quick[subject], made_at, expires_at, notations)
        making.certify(
            slow[issuer], certificates[subject], user_id, made_at, expires_at=expires_at, notations=notations
        )
        if revoked_hours:
            revoked_at = UnixSeconds(made_at + revoked_hours * 3600)
            quick[issuer].revoke(quick[subject], revoked_at, "too much spam")
            making.revoke_certification(
                slow[issuer], certificates[subject], user_id, revoked_at, comment="too much spam"
            )
    for key, certificate in zip(quick, certificates, strict=True):
        assert key.fingerprint == certificate.fingerprint
        assert key.certificate() == making.export_public(certificate)
