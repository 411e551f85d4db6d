"""Public-key packets (RFC 9580 section 5.5.2): version, fingerprint, key ID. Pure and bounded; verifies nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds

#: An RSA key of 16,384 bits takes 4 KiB; nothing that signs User IDs needs more than this.
MAX_KEY_BYTES = 16 * 1024


class KeyAlgorithm(IntEnum):
    """Algorithms that a primary key can sign with (RFC 9580 section 9.1)."""

    RSA = 1
    RSA_SIGN_ONLY = 3
    DSA = 17
    ECDSA = 19
    EDDSA_LEGACY = 22
    ED25519 = 27
    ED448 = 28


_ALGORITHMS = frozenset(KeyAlgorithm)
_INTEGERS = {KeyAlgorithm.RSA: 2, KeyAlgorithm.RSA_SIGN_ONLY: 2, KeyAlgorithm.DSA: 4}
_OCTETS = {KeyAlgorithm.ED25519: 32, KeyAlgorithm.ED448: 57}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A primary key. ``packet`` is the whole body, ``material`` its algorithm-specific end (section 5.5.5)."""

    version: int
    created_at: UnixSeconds
    algorithm: KeyAlgorithm
    fingerprint: str
    key_id: str
    packet: bytes
    material: bytes


def parse_public_key(packet: bytes) -> PublicKey:
    """A version 4 or 6 primary key from the body of its packet.

    Raises :class:`BadInput` for other versions, algorithms that do not sign, and material of the wrong form.
    """
    version = packet[0] if packet else None
    if version not in (4, 6):
        raise BadInput(f"public key of version {version}: expected 4 or 6")
    material_at = 6 if version == 4 else 10
    if not material_at < len(packet) <= MAX_KEY_BYTES:
        raise BadInput(f"public key of {len(packet):,} bytes: expected {material_at + 1} to {MAX_KEY_BYTES:,}")
    material = packet[material_at:]
    if version == 6 and int.from_bytes(packet[6:10]) != len(material):
        raise BadInput("public key: its material is not as long as it says")
    if packet[5] not in _ALGORITHMS:
        raise BadInput(f"public key of algorithm {packet[5]}: expected one that signs")
    algorithm = KeyAlgorithm(packet[5])
    _check_material(version, algorithm, material)
    digest = _fingerprint(version, packet)
    key_id = digest[-16:] if version == 4 else digest[:16]
    created_at = UnixSeconds(int.from_bytes(packet[1:5]))
    return PublicKey(version, created_at, algorithm, digest, key_id, packet, material)


def hashed_form(version: int, packet: bytes) -> bytes:
    """A key as fingerprints and signatures of a version hash it (sections 5.5.4 and 5.2.4)."""
    if version == 4:
        return b"\x99" + len(packet).to_bytes(2) + packet
    return b"\x9b" + len(packet).to_bytes(4) + packet


def read_integers(octets: bytes, count: int) -> list[int]:
    """So many multiprecision integers and nothing after them (section 3.2). Raises :class:`BadInput`."""
    values: list[int] = []
    at = 0
    for _ in range(count):
        size = int.from_bytes(octets[at : at + 2]) + 7 >> 3
        value = octets[at + 2 : at + 2 + size]
        if len(value) < size or at + 2 > len(octets):
            raise BadInput("multiprecision integer is cut off")
        values.append(int.from_bytes(value))
        at += 2 + size
    if at != len(octets):
        raise BadInput(f"{len(octets) - at} bytes follow the last multiprecision integer")
    return values


def split_curve(material: bytes) -> tuple[bytes, bytes]:
    """The curve's object identifier and the integer with the point (section 5.5.5.4). Raises :class:`BadInput`."""
    size = material[0]
    if not 0 < size < 0xFF or len(material) < 1 + size:
        raise BadInput("curve identifier is cut off")
    return material[1 : 1 + size], material[1 + size :]


def _check_material(version: int, algorithm: KeyAlgorithm, material: bytes) -> None:
    if algorithm in _INTEGERS:
        read_integers(material, _INTEGERS[algorithm])
    elif algorithm in _OCTETS:
        if len(material) != _OCTETS[algorithm]:
            raise BadInput(f"{algorithm.name} key of {len(material)} bytes: expected {_OCTETS[algorithm]}")
    else:
        if version == 6 and algorithm is KeyAlgorithm.EDDSA_LEGACY:
            raise BadInput("EdDSALegacy in a version 6 key, which RFC 9580 section 5.5.5.5 forbids")
        read_integers(split_curve(material)[1], 1)


def _fingerprint(version: int, packet: bytes) -> str:
    hashed = hashed_form(version, packet)
    if version == 4:
        return hashlib.sha1(hashed, usedforsecurity=False).hexdigest()
    return hashlib.sha256(hashed).hexdigest()
