"""The certificates of a world with every certification and revocation on them, made from the world's seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from trustgraph.lab.quick_keys import QuickKey
from trustgraph.lab.vouching import Vouch
from trustgraph.lab.world import World
from trustgraph.model import UnixSeconds, to_rfc3339


@dataclass(frozen=True, slots=True)
class Keyring:
    """The public certificates as one binary keyring, and the fingerprint of each host that has a key, by number."""

    octets: bytes
    fingerprints: dict[int, str]


def make_keyring(world: World, vouches: Iterable[Vouch]) -> Keyring:
    """Ed25519 signing is deterministic and the keys come from the seed: the same world gives the same octets."""
    keys = {
        number: QuickKey(host.name, host.key_made_at, _seed(world.parameters.seed, number))
        for number, host in enumerate(world.hosts)
        if host.key_made_at is not None
    }
    for vouch in vouches:
        issuer, subject = keys[vouch.endorser], keys[vouch.subject]
        issuer.certify(subject, vouch.made_at, vouch.expires_at, _notations(vouch))
        if vouch.revoked_at is not None:
            issuer.revoke(subject, vouch.revoked_at, "too much spam")
    octets = b"".join(key.certificate() for key in keys.values())
    return Keyring(octets, {number: key.fingerprint for number, key in keys.items()})


def _notations(vouch: Vouch) -> tuple[tuple[str, str], ...]:
    """The volume in powers of two, so that nobody's exact traffic is published, and the month it began."""
    bucket = 1 << (vouch.good.bit_length() - 1)
    return (("good-mail@trustgraph", str(bucket)), ("since@trustgraph", _month(vouch.since)))


def _month(moment: UnixSeconds) -> str:
    return to_rfc3339(moment)[:7]


def _seed(seed: int, number: int) -> bytes:
    return blake2b(f"{seed} host key {number}".encode(), digest_size=32).digest()
