"""A host's certificate on the accept path: whether it made a signature over a message, and whether that counts.

A signature counts when the key that made it, the primary key and the User ID of the host are in force both when it was
made and now. A revocation, whatever its reason and date, ends a key for mail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pysequoia

from trustgraph.errors import BadInput
from trustgraph.headersig.checking import MAX_SKEW_SECONDS, PASS, Finding
from trustgraph.model import Result, UnixSeconds
from trustgraph.openpgp.framing import Tag, sole_packet
from trustgraph.openpgp.publickey import KeyAlgorithm, PublicKey, read_integers
from trustgraph.openpgp.selfsigned import is_over
from trustgraph.openpgp.signature import Signature, SignatureType, Statement, parse_signature, parse_statement
from trustgraph.openpgp.verification import is_strong_for_mail

#: SHA-256 and stronger (RFC 9580 section 9.5).
MESSAGE_HASHES = frozenset({8, 9, 10, 12, 14})

#: Signature material by algorithm: so many octets, or else so many integers (RFC 9580 section 5.2.3).
_OCTETS: Mapping[int, int] = {KeyAlgorithm.ED25519: 64, KeyAlgorithm.ED448: 114}
_INTEGERS: Mapping[int, int] = {KeyAlgorithm.RSA: 1, KeyAlgorithm.RSA_SIGN_ONLY: 1}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A primary key or subkey that may sign messages. ``expires_at`` is None when it does not expire."""

    key: PublicKey
    expires_at: UnixSeconds | None
    revoked: bool


@dataclass(frozen=True)
class HostCertificate:
    """What a certificate says of itself; made by :func:`trustgraph.openpgp.ownparts.read_host_certificate`.

    ``key`` is the primary key and ``octets`` are the packets, without anything that others said. ``hosts`` are those of
    its live ``smtp://`` User IDs, each with the time since when it has been one. ``signing_keys`` are by fingerprint.
    """

    key: PublicKey
    octets: bytes
    expires_at: UnixSeconds | None
    revoked: bool
    hosts: Mapping[str, UnixSeconds]
    signing_keys: Mapping[str, SigningKey]

    @property
    def fingerprint(self) -> str:
        """The full fingerprint of the primary key, lower-case hex."""
        return self.key.fingerprint

    def judge(self, signature: bytes, text: bytes, domain: str, signed_at: UnixSeconds, now: UnixSeconds) -> Finding:
        """Whether a signature packet over ``text`` is this certificate's and counts. Never raises on input."""
        try:
            parsed, statement = message_signature(signature)
        except BadInput:
            return Finding(Result.PERMERROR, "malformed-signature")
        if reason := self._objection(parsed, statement, domain, signed_at, now):
            return Finding(Result.PERMERROR, reason)
        signer = self.signer(parsed)
        if signer is None:
            return Finding(Result.FAIL, "not-a-signing-key")
        if reason := self._objection_to_key(signer, signed_at, now):
            return Finding(Result.PERMERROR, reason)
        return PASS if self.verifies(signature, text, signer) else Finding(Result.FAIL, "signature-does-not-verify")

    def _objection(
        self, signature: Signature, statement: Statement, domain: str, signed_at: UnixSeconds, now: UnixSeconds
    ) -> str:
        if signature.type != SignatureType.BINARY or statement.not_understood:
            return "malformed-signature"
        if signature.hash_algorithm not in MESSAGE_HASHES:
            return "weak-hash"
        if not is_strong_for_mail(self.key.packet):
            return "weak-key"
        if abs(statement.made_at - signed_at) > MAX_SKEW_SECONDS:
            return "times-differ"
        if is_over(statement, now):
            return "expired"
        since = self.hosts.get(domain)
        return "" if since is not None and since <= signed_at + MAX_SKEW_SECONDS else "host-not-on-key"

    def signer(self, signature: Signature) -> SigningKey | None:
        """The signing key that a signature names; None if this certificate has none such."""
        if signature.issuer_fingerprint:
            return self.signing_keys.get(signature.issuer_fingerprint)
        named = (one for one in self.signing_keys.values() if one.key.key_id == signature.issuer_key_id)
        return next((one for one in named if one.key.version == signature.version), None)

    def _objection_to_key(self, signer: SigningKey, signed_at: UnixSeconds, now: UnixSeconds) -> str:
        if self.revoked or signer.revoked:
            return "key-revoked"
        ends = [at for at in (self.expires_at, signer.expires_at) if at is not None]
        if any(at <= now or at <= signed_at for at in ends):
            return "key-expired"
        return "signed-before-key" if signed_at + MAX_SKEW_SECONDS < signer.key.created_at else ""

    def verifies(self, signature: bytes, text: bytes, signer: SigningKey) -> bool:
        """Sequoia's word: its policy has to agree with all of the above, and the signature with the text."""
        try:
            found = pysequoia.verify(text, lambda _ids: [self._sequoia], signature=pysequoia.Sig.from_bytes(signature))
        except Exception:  # noqa: BLE001 - it raises RuntimeError and others for whatever does not verify
            return False
        return any(valid.signing_key == signer.key.fingerprint for valid in found.valid_sigs)

    @cached_property
    def _sequoia(self) -> pysequoia.Cert:
        return pysequoia.Cert.from_bytes(self.octets)


def message_signature(octets: bytes) -> tuple[Signature, Statement]:
    """The one signature that these octets are. Raises :class:`BadInput` for anything else."""
    packet = sole_packet(octets)
    if packet is None or packet.tag is not Tag.SIGNATURE or packet.body is None:
        raise BadInput("expected one signature packet and nothing else")
    signature = parse_signature(packet.body)
    _check_material(signature.key_algorithm, signature.material)
    return signature, parse_statement(signature)


def _check_material(algorithm: int, material: bytes) -> None:
    """Sequoia reads over what follows the material; here nothing may."""
    size = _OCTETS.get(algorithm)
    if size is None:
        read_integers(material, _INTEGERS.get(algorithm, 2))
    elif len(material) != size:
        raise BadInput(f"signature of {len(material)} octets: expected {size}")
