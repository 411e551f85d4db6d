"""One public-key operation: does this key's signature fit this digest? (RFC 9580 section 5.2.4, with ``cryptography``)

A key that is too small verifies and is called weak: RSA and DSA below 2048 bits. What cannot be computed here (other
curves, sizes outside the bounds) is unsupported, which is neither good nor bad. Nothing raises on hostile input.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from trustgraph.errors import BadInput
from trustgraph.openpgp.publickey import KeyAlgorithm, PublicKey, parse_public_key, read_integers, split_curve

MIN_STRONG_BITS = 2048

#: Larger ones cost milliseconds an operation and are made by nobody's defaults.
MAX_BITS = 16_384
MAX_RSA_EXPONENT = 1 << 64

_HASHES: dict[int, type[hashes.HashAlgorithm]] = {
    2: hashes.SHA1,
    8: hashes.SHA256,
    9: hashes.SHA384,
    10: hashes.SHA512,
    11: hashes.SHA224,
    12: hashes.SHA3_256,
    14: hashes.SHA3_512,
}

#: RFC 9580 section 9.2, by object identifier; secp256k1 is in wide use beside it.
_CURVES: dict[bytes, type[ec.EllipticCurve]] = {
    bytes.fromhex("2a8648ce3d030107"): ec.SECP256R1,
    bytes.fromhex("2b81040022"): ec.SECP384R1,
    bytes.fromhex("2b81040023"): ec.SECP521R1,
    bytes.fromhex("2b8104000a"): ec.SECP256K1,
    bytes.fromhex("2b2403030208010107"): ec.BrainpoolP256R1,
    bytes.fromhex("2b240303020801010b"): ec.BrainpoolP384R1,
    bytes.fromhex("2b240303020801010d"): ec.BrainpoolP512R1,
}
_ED25519_LEGACY = bytes.fromhex("2b06010401da470f01")

_Key = rsa.RSAPublicKey | dsa.DSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class Verdict(StrEnum):
    """What verification found."""

    GOOD = "good"
    WEAK_KEY = "weak_key"
    BAD = "bad"
    UNSUPPORTED = "unsupported"


class Job(NamedTuple):
    """One signature to verify; small and picklable. ``key_packet`` is the body of the issuer's public-key packet."""

    key_packet: bytes
    hash_algorithm: int
    digest: bytes
    material: bytes


def verify(job: Job) -> Verdict:
    """Whether ``job.material`` is the key's signature over the digest. Never raises on input."""
    key = _load(job.key_packet)
    if key is None:
        return Verdict.UNSUPPORTED
    try:
        _verify(key, job)
    except (InvalidSignature, BadInput):
        return Verdict.BAD
    except (ValueError, UnsupportedAlgorithm):
        return Verdict.UNSUPPORTED
    return Verdict.WEAK_KEY if is_weak(key) else Verdict.GOOD


def verify_all(jobs: list[Job]) -> list[Verdict]:
    """The verdict on each job, in order."""
    return [verify(job) for job in jobs]


def is_weak(key: _Key) -> bool:
    """RSA and DSA below 2048 bits."""
    return isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey) and key.key_size < MIN_STRONG_BITS


def is_strong_for_mail(key_packet: bytes) -> bool:
    """Whether a key may sign messages: RSA from 2048 bits, Ed25519, Ed448, ECDSA on NIST's curves; never DSA."""
    key = _load(key_packet)
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_STRONG_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1)
    return isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


def _verify(key: _Key, job: Job) -> None:
    """Raises InvalidSignature or :class:`BadInput` when it is bad; ValueError when it cannot be computed."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        # algorithm 22 writes R and S as two integers, algorithm 27 as 64 octets (sections 5.2.3.3.1 and 5.2.3.4)
        key.verify(job.material if len(job.material) == 64 else _joined_integers(job.material), job.digest)
    elif isinstance(key, ed448.Ed448PublicKey):
        key.verify(job.material, job.digest)
    else:
        hashed = Prehashed(_HASHES[job.hash_algorithm]())
        if isinstance(key, rsa.RSAPublicKey):
            signature = _fixed(read_integers(job.material, 1)[0], key.key_size + 7 >> 3)
            key.verify(signature, job.digest, padding.PKCS1v15(), hashed)
            return
        signature = encode_dss_signature(*read_integers(job.material, 2))
        if isinstance(key, dsa.DSAPublicKey):
            key.verify(signature, job.digest, hashed)
        else:
            key.verify(signature, job.digest, ec.ECDSA(hashed))


def _joined_integers(material: bytes) -> bytes:
    return b"".join(_fixed(value, 32) for value in read_integers(material, 2))


def _fixed(value: int, size: int) -> bytes:
    """An integer as so many octets. Raises :class:`BadInput` if it needs more."""
    if value.bit_length() > size * 8:
        raise BadInput(f"integer of {value.bit_length()} bits: expected at most {size * 8}")
    return value.to_bytes(size)


@lru_cache(maxsize=4096)
def _load(packet: bytes) -> _Key | None:
    """A key ready to verify with; None when it is not supported."""
    try:
        return _build(parse_public_key(packet))
    except (BadInput, ValueError, UnsupportedAlgorithm):
        return None


def _build(key: PublicKey) -> _Key | None:
    match key.algorithm:
        case KeyAlgorithm.RSA | KeyAlgorithm.RSA_SIGN_ONLY:
            modulus, exponent = read_integers(key.material, 2)
            if modulus.bit_length() > MAX_BITS or exponent > MAX_RSA_EXPONENT:
                return None
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        case KeyAlgorithm.DSA:
            p, q, g, y = read_integers(key.material, 4)
            return dsa.DSAPublicNumbers(y, dsa.DSAParameterNumbers(p, q, g)).public_key()
        case KeyAlgorithm.ED25519:
            return ed25519.Ed25519PublicKey.from_public_bytes(key.material)
        case KeyAlgorithm.ED448:
            return ed448.Ed448PublicKey.from_public_bytes(key.material)
        case KeyAlgorithm.ECDSA | KeyAlgorithm.EDDSA_LEGACY:
            return _build_on_curve(key)


def _build_on_curve(key: PublicKey) -> _Key | None:
    identifier, rest = split_curve(key.material)
    point = read_integers(rest, 1)[0]
    octets = point.to_bytes(point.bit_length() + 7 >> 3)
    if key.algorithm is KeyAlgorithm.ECDSA:
        curve = _CURVES.get(identifier)
        return ec.EllipticCurvePublicKey.from_encoded_point(curve(), octets) if curve else None
    if identifier != _ED25519_LEGACY or octets[:1] != b"\x40":  # section 5.5.5.5: 0x40 marks a native point
        return None
    return ed25519.Ed25519PublicKey.from_public_bytes(octets[1:])
