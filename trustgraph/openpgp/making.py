"""Making host keys, certifications and revocations. The only importer of PGPy, used for making and never for judging.

A :class:`SecretHostKey` signs; a :class:`Certificate` is the public half that signatures are attached to. Every time is
an argument. Ed25519 signatures are deterministic (RFC 8032), so a host key made from a seed gives the same bytes for
the same calls. Only version 4 certificates can be made or read: PGPy knows no other.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pgpy import PGPUID, PGPKey, PGPSignature
from pgpy.constants import (
    EllipticCurveOID,
    HashAlgorithm,
    KeyFlags,
    PubKeyAlgorithm,
    RevocationReason,
    SignatureType,
    SymmetricKeyAlgorithm,
)
from pgpy.errors import PGPDecryptionError, PGPError

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds, parse_domain

#: Octets of an Ed25519 secret key (RFC 8032 section 5.1.5).
SEED_OCTETS = 32

#: Digests in one signature over approvals: an area of subpackets has at most 65,535 octets.
MAX_DIGESTS = 1_500

# RFC 9580 section 9.2: OID 1.3.6.1.4.1.11591.15.1, Ed25519Legacy, the form that every OpenPGP program reads.
_ED25519_OID = bytes.fromhex("2b06010401da470f01")
_EDDSA_LEGACY = 22
_SECRET_KEY_TAG = 0xC0 | 5
_HASHES = [HashAlgorithm.SHA256, HashAlgorithm.SHA512]
_NOTATION_NAME = re.compile(r"[\x21-\x3f\x41-\x7e]{1,64}@[A-Za-z0-9.-]{1,253}")

# What PGPy's parser raises on octets that are not a key; it documents none of it.
_UNREADABLE = (PGPError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError)


class Reason(IntEnum):
    """Why something is revoked (RFC 9580 section 5.2.3.31); the first and the third are hard, the rest are soft."""

    UNSPECIFIED = 0
    SUPERSEDED = 1
    COMPROMISED = 2
    RETIRED = 3
    USER_ID_INVALID = 32


@dataclass(frozen=True, slots=True)
class SecretHostKey:
    """A host key that can sign. A key loaded with a passphrase stays locked except while it signs."""

    _key: PGPKey = field(repr=False)
    _passphrase: str = field(default="", repr=False)

    @property
    def fingerprint(self) -> str:
        """The full fingerprint, lower-case hex."""
        return _fingerprint(self._key)

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The texts of its User IDs, the primary one first."""
        return _user_ids(self._key)

    @property
    def created_at(self) -> UnixSeconds:
        """When it was made."""
        return UnixSeconds(int(self._key.created.timestamp()))

    def certificate(self) -> Certificate:
        """A new copy of its public half."""
        return Certificate(PGPKey.from_blob(bytes(self._key.pubkey))[0])


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public certificate in the making: signatures are attached to it in place."""

    _key: PGPKey = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """The full fingerprint, lower-case hex."""
        return _fingerprint(self._key)

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The texts of its User IDs, the primary one first."""
        return _user_ids(self._key)


def new_host_key(
    host: str,
    created_at: UnixSeconds,
    *,
    expires_at: UnixSeconds | None = None,
    postmaster: bool = False,
    seed: bytes | None = None,
    rsa_bits: int = 0,
) -> SecretHostKey:
    """A primary key that certifies and signs, Ed25519 or RSA of ``rsa_bits``, with the User ID ``smtp://<host>``.

    ``postmaster`` adds ``<postmaster@host>`` for keyservers that index only mailboxes. With ``seed`` (32 octets) an
    Ed25519 key is made from it and is the same every time: for tests and simulated worlds, never for a real host.
    Raises :class:`BadInput` for a host that is no domain name, a seed of another length or an expiry that is not later.
    """
    fqdn = parse_domain(host)
    if seed is not None and len(seed) != SEED_OCTETS:
        raise BadInput(f"a seed has {SEED_OCTETS} octets, not {len(seed)}")
    if rsa_bits:
        key = PGPKey.new(PubKeyAlgorithm.RSAEncryptOrSign, rsa_bits, created=_moment(created_at))
    else:
        key, _ = PGPKey.from_blob(_secret_key_packet(seed or secrets.token_bytes(SEED_OCTETS), created_at))
    options = {"created": _moment(created_at), "hash": HashAlgorithm.SHA256, "hashes": _HASHES}
    options |= {"usage": {KeyFlags.Certify, KeyFlags.Sign}, "key_expiration": _lifetime(created_at, expires_at)}
    key.add_uid(PGPUID.new(f"smtp://{fqdn}"), primary=True, **options)
    if postmaster:
        key.add_uid(PGPUID.new(f"<postmaster@{fqdn}>"), **options)
    return SecretHostKey(key)


def new_list_key(address: str, created_at: UnixSeconds, passphrase: str = "") -> bytes:
    """The secret key of a mailing list's stash, binary: Ed25519 that certifies and a part for Curve25519 that decrypts.

    It does not expire, and is under AES-256 when there is a passphrase. Only for a file of mode 0600.
    """
    options = {"created": _moment(created_at), "hash": HashAlgorithm.SHA256}
    key, _ = PGPKey.from_blob(_secret_key_packet(secrets.token_bytes(SEED_OCTETS), created_at))
    key.add_uid(PGPUID.new(f"Stash of <{address}>"), primary=True, usage={KeyFlags.Certify}, hashes=_HASHES, **options)
    part = PGPKey.new(PubKeyAlgorithm.ECDH, EllipticCurveOID.Curve25519, created=_moment(created_at))
    key.add_subkey(part, usage={KeyFlags.EncryptStorage, KeyFlags.EncryptCommunications}, **options)
    return export_secret(SecretHostKey(key), passphrase=passphrase)


def load_host_key(blob: bytes, passphrase: str = "") -> SecretHostKey:
    """The host key in a file written by :func:`export_secret`, binary or armored.

    Raises :class:`BadInput` when it is no secret key, or is locked and the passphrase does not open it.
    """
    key = SecretHostKey(_parse(blob), passphrase)
    if key._key.is_public:
        raise BadInput("expected a secret key, found a public certificate")
    with _unlocked(key):
        return key


def read_certificate(blob: bytes) -> Certificate:
    """A public certificate, binary or armored, to attach signatures to; already judged elsewhere.

    Raises :class:`BadInput` when it is none, or is of a version that PGPy does not know.
    """
    key = _parse(blob)
    return Certificate(key if key.is_public else key.pubkey)


def add_host(key: SecretHostKey, host: str, made_at: UnixSeconds) -> None:
    """Give a key made elsewhere the User ID ``smtp://<host>``. Raises :class:`BadInput` for a host that is none."""
    _require_alive(key, made_at)
    user_id = PGPUID.new(f"smtp://{parse_domain(host)}")
    options = {"created": _moment(made_at), "hash": HashAlgorithm.SHA256, "hashes": _HASHES}
    with _unlocked(key) as opened:
        opened.add_uid(user_id, usage={KeyFlags.Certify, KeyFlags.Sign}, **options)


def certify(
    issuer: SecretHostKey,
    subject: Certificate,
    user_id: str,
    made_at: UnixSeconds,
    *,
    expires_at: UnixSeconds | None = None,
    notations: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Certify one User ID (RFC 9580 section 5.2.1, type 0x10) and attach the signature; returns its packet.

    ``notations`` are (name@domain, text) pairs (section 5.2.3.24), put under the signature. Raises :class:`BadInput`
    when the certificate has no such User ID, a notation's name is malformed or the times are out of order.
    """
    _require_alive(issuer, made_at)
    for name, _ in notations:
        if not _NOTATION_NAME.fullmatch(name):
            raise BadInput(f"{name[:80]!r} is not a notation name: expected name@domain")
    target = _find_user_id(subject, user_id)
    with _unlocked(issuer) as key:
        # A duration: PGPy would count a date from the making of the key instead of that of the signature.
        signature = key.certify(
            target,
            SignatureType.Generic_Cert,
            created=_moment(made_at),
            expires=_lifetime(made_at, expires_at),
            notation=dict(notations) or None,
            hash=HashAlgorithm.SHA256,
        )
    return _attach(target, signature)


def certify_successor(old: SecretHostKey, new: SecretHostKey, user_id: str, made_at: UnixSeconds) -> bytes:
    """Have a key say of the one that takes over that it is the same host's; the signature stays with the new key.

    Raises as :func:`certify` does.
    """
    return certify(old, Certificate(new._key), user_id, made_at)


def approve(key: SecretHostKey, user_id: str, made_at: UnixSeconds, digests: Sequence[bytes]) -> list[bytes]:
    """Have a key say which certifications over one of its User IDs it approves of (type 0x16, :mod:`.approval`).

    ``digests`` are SHA-256, of each certification's canonical form. Returns the packets, one unless there are very many
    digests; they belong under the User ID and replace all of an earlier second. Raises :class:`BadInput` when the key
    has no such User ID, or was made later.
    """
    _require_alive(key, made_at)
    target = _find_user_id(Certificate(key._key), user_id)
    ordered = sorted(set(digests))
    with _unlocked(key) as opened:
        return [
            bytes(_approval(opened, target, made_at, ordered[at : at + MAX_DIGESTS]))
            for at in range(0, max(1, len(ordered)), MAX_DIGESTS)
        ]


def revoke_certification(
    issuer: SecretHostKey,
    subject: Certificate,
    user_id: str,
    revoked_at: UnixSeconds,
    *,
    reason: Reason = Reason.UNSPECIFIED,
    comment: str = "",
) -> bytes:
    """Take back what ``issuer`` certified of one User ID (type 0x30), attach the signature and return its packet.

    Raises :class:`BadInput` when the certificate has no such User ID or the times are out of order.
    """
    _require_alive(issuer, revoked_at)
    target = _find_user_id(subject, user_id)
    return _attach(target, _revocation(issuer, target, revoked_at, reason, comment))


def revoke_key(
    key: SecretHostKey,
    certificate: Certificate,
    revoked_at: UnixSeconds,
    *,
    reason: Reason = Reason.UNSPECIFIED,
    comment: str = "",
) -> bytes:
    """Revoke a host key by itself (type 0x20), attach the signature to its certificate and return its packet.

    ``COMPROMISED`` and ``UNSPECIFIED`` void everything that it ever signed; ``RETIRED`` and ``SUPERSEDED`` leave what
    was signed before. Raises :class:`BadInput` when the certificate is another key's or the times are out of order.
    """
    _require_alive(key, revoked_at)
    if certificate.fingerprint != key.fingerprint:
        raise BadInput(f"{key.fingerprint} cannot revoke {certificate.fingerprint}: a key revokes itself")
    return _attach(certificate._key, _revocation(key, certificate._key, revoked_at, reason, comment))


def attach_revocation(key: SecretHostKey, packet: bytes) -> None:
    """Put a revocation made by :func:`revoke_key` into the secret key's own file, so that it signs no more."""
    _attach(key._key, PGPSignature.from_blob(packet))


def export_public(certificate: Certificate, *, armored: bool = False) -> bytes:
    """The certificate with everything attached to it, as packets or as ASCII armor (RFC 9580 section 6)."""
    return str(certificate._key).encode("ascii") if armored else bytes(certificate._key)


def export_secret(key: SecretHostKey, *, passphrase: str = "", armored: bool = False) -> bytes:
    """The secret key for the host key file, under AES-256 when there is a passphrase. Only for a file of mode 0600.

    A key that was loaded locked stays locked as it was.
    """
    copy, _ = PGPKey.from_blob(bytes(key._key))
    if passphrase and not copy.is_protected:
        copy.protect(passphrase, SymmetricKeyAlgorithm.AES256, HashAlgorithm.SHA256)
    return str(copy).encode("ascii") if armored else bytes(copy)


def _secret_key_packet(secret: bytes, created_at: UnixSeconds) -> bytes:
    """A version 4 Secret-Key packet for Ed25519, unlocked (RFC 9580 sections 5.5.2.2, 5.5.3 and 5.5.5.5)."""
    point = b"\x40" + Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    public = bytes([4]) + created_at.to_bytes(4, "big") + bytes([_EDDSA_LEGACY, len(_ED25519_OID)])
    public += _ED25519_OID + _mpi(point)
    scalar = _mpi(secret)
    body = public + b"\x00" + scalar + (sum(scalar) % 65_536).to_bytes(2, "big")
    return bytes([_SECRET_KEY_TAG, len(body)]) + body  # 94 octets at most: a one-octet length (section 4.2.1.1)


def _mpi(octets: bytes) -> bytes:
    """A multiprecision integer: its length in bits, then the octets without leading zeros (RFC 9580 section 3.2)."""
    number = int.from_bytes(octets, "big")
    return number.bit_length().to_bytes(2, "big") + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _moment(at: UnixSeconds) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _lifetime(start: UnixSeconds, end: UnixSeconds | None) -> timedelta | None:
    if end is None:
        return None
    if end <= start:
        # An OpenPGP lifetime of 0 means "never expires" (RFC 9580 section 5.2.3.18).
        raise BadInput("an expiry must be later than what it ends")
    return timedelta(seconds=end - start)


def _parse(blob: bytes) -> PGPKey:
    try:
        key, _ = PGPKey.from_blob(blob)
    except _UNREADABLE:
        key = PGPKey()
    if key.fingerprint is None:
        raise BadInput("expected a version 4 OpenPGP key")
    return key


@contextmanager
def _unlocked(key: SecretHostKey) -> Iterator[PGPKey]:
    if not key._key.is_protected:
        yield key._key
        return
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(key._key.unlock(key._passphrase))
        except (PGPError, PGPDecryptionError):
            raise BadInput("the passphrase does not open the host key") from None
        yield opened


def _require_alive(key: SecretHostKey, moment: UnixSeconds) -> None:
    if moment < key.created_at:
        raise BadInput(f"{key.fingerprint} cannot sign at a time before it was made")


def _find_user_id(certificate: Certificate, user_id: str) -> PGPUID:
    for candidate in certificate._key.userids:
        if candidate.userid == user_id:
            return candidate
    raise BadInput(f"{certificate.fingerprint} has no User ID {user_id[:80]!r}")


def _revocation(
    issuer: SecretHostKey, target: PGPKey | PGPUID, revoked_at: UnixSeconds, reason: Reason, comment: str
) -> PGPSignature:
    with _unlocked(issuer) as key:
        return key.revoke(
            target,
            created=_moment(revoked_at),
            reason=RevocationReason(int(reason)),
            comment=comment,
            hash=HashAlgorithm.SHA256,
        )


class _Approval(PGPSignature):  # type: ignore[misc]  # PGPy has no types
    """PGPy's own signature of type 0x16 covers neither key nor User ID (0.6.0), so that it verifies nowhere."""

    def hashdata(self, subject: PGPUID) -> bytes:
        key, user_id = subject._parent.hashdata, subject.hashdata
        signed = b"\x99" + len(key).to_bytes(2) + key + b"\xb4" + len(user_id).to_bytes(4) + user_id
        return bytes(signed + super().hashdata(subject))


def _approval(key: PGPKey, target: PGPUID, made_at: UnixSeconds, digests: Sequence[bytes]) -> PGPSignature:
    kind, hashed_by, made = SignatureType.Attestation, HashAlgorithm.SHA256, _moment(made_at)
    signature = _Approval()
    signature._signature = PGPSignature.new(kind, key.key_algorithm, hashed_by, key.fingerprint.keyid, made)._signature
    listed = b"".join(digests)
    signature._signature.subpackets.addnew("AttestedCertifications", hashed=True, attested_certifications=listed)
    return key._sign(target, signature)


def _attach(target: PGPKey | PGPUID, signature: PGPSignature) -> bytes:
    # Not "target |= signature": that sorts the User IDs anew, at a cost that is quadratic in the signatures, and a
    # third party's signature does not change which one is primary.
    target._signatures.insort(signature)
    return bytes(signature)


def _fingerprint(key: PGPKey) -> str:
    return str(key.fingerprint).replace(" ", "").lower()


def _user_ids(key: PGPKey) -> tuple[str, ...]:
    return tuple(user_id.userid for user_id in key.userids)
