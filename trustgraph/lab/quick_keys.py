"""Host keys of simulated worlds, written straight as packets: octet for octet what ``openpgp.making`` makes, but in a
twentieth of the time, since a world has thousands of certifications. Version 4, Ed25519, SHA-256 (RFC 9580).
"""

from __future__ import annotations

import hashlib
from bisect import insort_left
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trustgraph.model import UnixSeconds
from trustgraph.openpgp.framing import Packet, Tag, serialise
from trustgraph.openpgp.publickey import KeyAlgorithm, hashed_form
from trustgraph.openpgp.signature import SignatureType, Subpacket

# Section 9.2: OID 1.3.6.1.4.1.11591.15.1, Ed25519Legacy.
_ED25519_OID = bytes.fromhex("2b06010401da470f01")
_SHA256 = 8
#: What the key may do (certify, sign), which hashes it prefers, its primary User ID, and its features, in this order.
_PREFERENCES = bytes.fromhex("021b030315080a")
_PRIMARY = bytes.fromhex("021901")
_FEATURES = bytes.fromhex("021e01")
#: A notation that people can read (section 5.2.3.24).
_READABLE = bytes.fromhex("80000000")


class QuickKey:
    """A host key with its certificate, to which signatures are attached in place.

    ``seed``: 32 octets, the secret key. Times must be in order, which is not checked.
    """

    def __init__(self, host: str, made_at: UnixSeconds, seed: bytes) -> None:
        self._secret = Ed25519PrivateKey.from_private_bytes(seed)
        point = _integer(b"\x40" + self._secret.public_key().public_bytes_raw())
        algorithm = bytes((KeyAlgorithm.EDDSA_LEGACY, len(_ED25519_OID))) + _ED25519_OID
        self._packet = bytes((4,)) + made_at.to_bytes(4) + algorithm + point
        self._fingerprint = hashlib.sha1(hashed_form(4, self._packet), usedforsecurity=False).digest()
        self._user_ids = (f"smtp://{host}".encode(), f"<postmaster@{host}>".encode())
        self._own: list[bytes] = []
        for user_id, primary in zip(self._user_ids, (_PRIMARY, b""), strict=True):
            claims = _PREFERENCES + primary + _FEATURES
            self._own.append(self._sign(SignatureType.POSITIVE, self, user_id, made_at, claims))
        self._others: list[tuple[UnixSeconds, bytes]] = []

    @property
    def fingerprint(self) -> str:
        """The full fingerprint, lower-case hex."""
        return self._fingerprint.hex()

    def certify(
        self,
        subject: QuickKey,
        made_at: UnixSeconds,
        expires_at: UnixSeconds,
        notations: Sequence[tuple[str, str]],
    ) -> None:
        """Certify the ``smtp://`` User ID of a host key, until a time and with (name, text) notations."""
        claims = _subpacket(Subpacket.EXPIRATION_TIME, (expires_at - made_at).to_bytes(4))
        for name, text in notations:
            sizes = len(name).to_bytes(2) + len(text).to_bytes(2)
            claims += _subpacket(Subpacket.NOTATION, _READABLE + sizes + name.encode() + text.encode())
        subject._attach(made_at, self._sign(SignatureType.GENERIC, subject, subject._user_ids[0], made_at, claims))

    def revoke(self, subject: QuickKey, revoked_at: UnixSeconds, comment: str) -> None:
        """Take it back, without a reason but in words."""
        claims = _subpacket(Subpacket.REVOCATION_REASON, b"\x00" + comment.encode())
        revocation = SignatureType.CERTIFICATION_REVOCATION
        subject._attach(revoked_at, self._sign(revocation, subject, subject._user_ids[0], revoked_at, claims))

    def certificate(self) -> bytes:
        """The packets: key, first User ID with everything over it in order of time, second User ID."""
        first, second = (serialise(Packet(Tag.USER_ID, user_id)) for user_id in self._user_ids)
        others = b"".join(packet for _, packet in self._others)
        return serialise(Packet(Tag.PUBLIC_KEY, self._packet)) + first + self._own[0] + others + second + self._own[1]

    def _attach(self, at: UnixSeconds, packet: bytes) -> None:
        # Of the same second the latest comes first, as PGPy has it.
        insort_left(self._others, (at, packet), key=lambda each: each[0])

    def _sign(self, kind: SignatureType, subject: QuickKey, user_id: bytes, at: UnixSeconds, claims: bytes) -> bytes:
        """A signature over a User ID (section 5.2.4)."""
        issuer = _subpacket(Subpacket.ISSUER_FINGERPRINT, b"\x04" + self._fingerprint)
        area = _subpacket(Subpacket.CREATION_TIME, at.to_bytes(4)) + claims + issuer
        hashed = bytes((4, kind, KeyAlgorithm.EDDSA_LEGACY, _SHA256)) + len(area).to_bytes(2) + area
        context = hashlib.sha256(hashed_form(4, subject._packet))
        context.update(b"\xb4" + len(user_id).to_bytes(4) + user_id)
        context.update(hashed + b"\x04\xff" + len(hashed).to_bytes(4))
        digest = context.digest()
        signed = self._secret.sign(digest)
        unhashed = _subpacket(Subpacket.ISSUER_KEY_ID, self._fingerprint[-8:])
        material = _integer(signed[:32]) + _integer(signed[32:])
        return serialise(Packet(Tag.SIGNATURE, hashed + len(unhashed).to_bytes(2) + unhashed + digest[:2] + material))


def _subpacket(kind: Subpacket, body: bytes) -> bytes:
    """With a one-octet length: nothing here is longer (section 5.2.3.7)."""
    return bytes((len(body) + 1, kind)) + body


def _integer(octets: bytes) -> bytes:
    """Its length in bits, then the octets without leading zeros (section 3.2)."""
    number = int.from_bytes(octets)
    return number.bit_length().to_bytes(2) + number.to_bytes((number.bit_length() + 7) // 8)
