"""What a key's signatures over itself are worth: which are in force, what they say of its life and its uses. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from trustgraph.model import UnixSeconds
from trustgraph.openpgp.digest import SHA1
from trustgraph.openpgp.publickey import PublicKey
from trustgraph.openpgp.signature import Signature, SignatureType, Statement

#: 2013-02-01 and 2023-02-01, the days from which Sequoia's standard policy takes SHA-1 for broken where collisions
#: and where second pre-images would forge a signature: over what strangers wrote, and over one's own key.
SHA1_CUTOFF = UnixSeconds(1_359_676_800)
SHA1_OWN_CUTOFF = UnixSeconds(1_675_209_600)

REVOCATIONS = frozenset(
    {SignatureType.KEY_REVOCATION, SignatureType.SUBKEY_REVOCATION, SignatureType.CERTIFICATION_REVOCATION}
)

#: RFC 9580 section 5.2.3.31: superseded and retired. What the key signed before stays good; every other reason, an
#: unknown one and none at all may mean a thief.
_SOFT_REASONS = frozenset({1, 3})


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """What counts. ``at`` is the reference time, at which self-signatures must be in force and expiry is counted.

    A certification made with SHA-1 after ``sha1_cutoff`` is weak; a self-signature made with it after
    ``sha1_own_cutoff`` does not count. ``workers`` is the number of verifying processes, 1 for none beside this one.
    """

    at: UnixSeconds
    sha1_cutoff: UnixSeconds = SHA1_CUTOFF
    sha1_own_cutoff: UnixSeconds = SHA1_OWN_CUTOFF
    workers: int = 1


def is_hard(revocation: Statement) -> bool:
    """Whether a revocation voids what the key signed before, too."""
    return revocation.revocation_reason not in _SOFT_REASONS


def is_in_force(signature: Signature, statement: Statement, key: PublicKey, policy: KeyPolicy) -> bool:
    """Whether a verified signature of a key over itself counts. Revocations do whatever their hash and date."""
    if statement.not_understood:
        return False
    if signature.type in REVOCATIONS:
        return True
    if signature.hash_algorithm == SHA1 and statement.made_at > policy.sha1_own_cutoff:
        return False
    return key.created_at <= statement.made_at <= policy.at and not is_over(statement, policy.at)


def is_over(statement: Statement, at: UnixSeconds) -> bool:
    """Whether the signature itself has expired."""
    return statement.expires_in is not None and statement.made_at + statement.expires_in <= at


class Authority:
    """The signature that says how long a key lives and what for: its newest self-signature (RFC 9580 section 5.2.3.13).

    In a version 6 certificate that is a direct-key signature where there is one (section 10.1.1).
    """

    def __init__(self, key: PublicKey) -> None:
        self._key = key
        self._direct: Statement | None = None
        self._over_user_id: Statement | None = None

    def add_direct(self, statement: Statement) -> None:
        """A direct-key signature of the key over itself."""
        self._direct = newer(self._direct, statement)

    def add_user_id(self, statement: Statement) -> None:
        """A self-certification."""
        self._over_user_id = newer(self._over_user_id, statement)

    def expires_at(self) -> UnixSeconds | None:
        """None when it does not expire."""
        return expiry_of(self._key, self.statement())

    def self_signed_at(self) -> UnixSeconds:
        """The time of the signature that says so; 0 if there is none."""
        authority = self.statement()
        return authority.made_at if authority else UnixSeconds(0)

    def statement(self) -> Statement | None:
        """What that signature says; None if there is none."""
        if self._direct is None or self._over_user_id is None or self._key.version == 6:
            return self._direct or self._over_user_id
        return newer(self._direct, self._over_user_id)


def expiry_of(key: PublicKey, authority: Statement | None) -> UnixSeconds | None:
    """When a key expires by the signature that speaks for it; None when it does not."""
    if authority is None or authority.key_expires_in is None:
        return None
    return UnixSeconds(key.created_at + authority.key_expires_in)


def newer(known: Statement | None, other: Statement) -> Statement:
    """The newer one; of two equally old ones that which ends the key sooner, so that order does not matter."""
    if known is None or other.made_at != known.made_at:
        return other if known is None or other.made_at > known.made_at else known
    return min(known, other, key=lambda one: one.key_expires_in or 1 << 32)
