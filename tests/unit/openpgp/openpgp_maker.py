"""Makes OpenPGP packets octet by octet, well-formed and otherwise, so that tests can say exactly what is wrong.

Nothing here is shared with the code under test: two readings of RFC 9580 have to agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BORN = 1_600_000_000
SHA1, SHA256, SHA384, SHA512, SHA224, SHA3_256, SHA3_512 = 2, 8, 9, 10, 11, 12, 14
HASH = {
    1: (hashlib.md5, hashes.MD5),
    3: (hashlib.sha1, hashes.SHA1),  # RIPEMD-160, which libraries no longer have: any 160 bits will do
    SHA1: (hashlib.sha1, hashes.SHA1),
    SHA256: (hashlib.sha256, hashes.SHA256),
    SHA384: (hashlib.sha384, hashes.SHA384),
    SHA512: (hashlib.sha512, hashes.SHA512),
    SHA224: (hashlib.sha224, hashes.SHA224),
    SHA3_256: (hashlib.sha3_256, hashes.SHA3_256),
    SHA3_512: (hashlib.sha3_512, hashes.SHA3_512),
}
SALT = {SHA256: 16, SHA384: 24, SHA512: 32, SHA224: 16, SHA3_256: 16, SHA3_512: 32}
CURVES = {
    "p256": ("2a8648ce3d030107", ec.SECP256R1),
    "p384": ("2b81040022", ec.SECP384R1),
    "p521": ("2b81040023", ec.SECP521R1),
    "secp256k1": ("2b8104000a", ec.SECP256K1),
    "brainpool256": ("2b2403030208010107", ec.BrainpoolP256R1),
}
ED25519_OID = bytes.fromhex("2b06010401da470f01")


def packet(tag: int, body: bytes) -> bytes:
    """A packet with a new-format header and a five-octet length."""
    return bytes((0xC0 | tag, 0xFF)) + len(body).to_bytes(4) + body


def mpi(value: int) -> bytes:
    return value.bit_length().to_bytes(2) + value.to_bytes((value.bit_length() + 7) // 8)


def user_id(text: str | bytes) -> bytes:
    return packet(13, text.encode() if isinstance(text, str) else text)


def subpacket(kind: int, body: bytes, *, critical: bool = False) -> bytes:
    size = len(body) + 1
    length = bytes((size,)) if size < 192 else b"\xff" + size.to_bytes(4)
    return length + bytes((kind | (0x80 if critical else 0),)) + body


def notation(name: str, value: str, *, critical: bool = False) -> bytes:
    body = b"\x80\0\0\0" + len(name).to_bytes(2) + len(value).to_bytes(2) + name.encode() + value.encode()
    return subpacket(20, body, critical=critical)


@dataclass(frozen=True)
class Key:
    """A key pair: its packet body, and a function from (hash algorithm, digest) to signature material."""

    version: int
    algorithm: int
    body: bytes
    sign: Callable[[int, bytes], bytes]

    @property
    def hashed(self) -> bytes:
        if self.version == 4:
            return b"\x99" + len(self.body).to_bytes(2) + self.body
        return b"\x9b" + len(self.body).to_bytes(4) + self.body

    @property
    def fingerprint(self) -> str:
        return (hashlib.sha1 if self.version == 4 else hashlib.sha256)(self.hashed).hexdigest()

    @property
    def key_id(self) -> str:
        return self.fingerprint[-16:] if self.version == 4 else self.fingerprint[:16]

    @property
    def packet(self) -> bytes:
        return packet(6, self.body)


def certify(
    issuer: Key,
    subject: Key,
    over: bytes | str | None,
    *,
    type: int = 0x10,
    at: int | None = BORN + 1000,
    hash_algorithm: int = SHA256,
    extra: bytes = b"",
    issuer_fingerprint: str | None = None,
    issuer_key_id: str | None = None,
    unhashed: bytes = b"",
) -> bytes:
    """A signature packet over a User ID of ``subject``, or over the key itself when ``over`` is None.

    ``issuer_fingerprint`` and ``issuer_key_id`` default to the truth; empty leaves them out.
    """
    data = subject.hashed
    if over is not None:
        octets = over.encode() if isinstance(over, str) else over
        data += b"\xb4" + len(octets).to_bytes(4) + octets
    body = signature_body(
        issuer, data, type, at, hash_algorithm, extra, issuer_fingerprint, issuer_key_id, unhashed=unhashed
    )
    return packet(2, body)


def signature_body(
    issuer: Key,
    data: bytes,
    type: int,
    at: int | None,
    hash_algorithm: int = SHA256,
    extra: bytes = b"",
    issuer_fingerprint: str | None = None,
    issuer_key_id: str | None = None,
    *,
    unhashed: bytes = b"",
) -> bytes:
    """The body of a signature packet over whatever octets its type hashes."""
    hashed_area = (subpacket(2, at.to_bytes(4)) if at is not None else b"") + extra
    fingerprint = issuer.fingerprint if issuer_fingerprint is None else issuer_fingerprint
    if fingerprint:
        hashed_area += subpacket(33, bytes((issuer.version,)) + bytes.fromhex(fingerprint))
    key_id = (issuer.key_id if issuer.version == 4 else "") if issuer_key_id is None else issuer_key_id
    if key_id:
        unhashed += subpacket(16, bytes.fromhex(key_id))
    width = 2 if issuer.version == 4 else 4
    salt = b"\x5a" * SALT[hash_algorithm] if issuer.version == 6 else b""
    hashed = bytes((issuer.version, type, issuer.algorithm, hash_algorithm)) + len(hashed_area).to_bytes(width)
    hashed += hashed_area
    trailer = hashed + bytes((issuer.version, 0xFF)) + len(hashed).to_bytes(4)
    digest = HASH[hash_algorithm][0](salt + data + trailer).digest()
    tail = len(unhashed).to_bytes(width) + unhashed + digest[:2]
    if salt:
        tail += bytes((len(salt),)) + salt
    return hashed + tail + issuer.sign(hash_algorithm, digest)


def sign_document(
    issuer: Key,
    text: bytes,
    *,
    at: int | None,
    type: int = 0x00,
    hash_algorithm: int = SHA256,
    extra: bytes = b"",
    issuer_fingerprint: str | None = None,
    issuer_key_id: str | None = None,
    unhashed: bytes = b"",
) -> bytes:
    """A detached signature packet over a document."""
    body = signature_body(
        issuer, text, type, at, hash_algorithm, extra, issuer_fingerprint, issuer_key_id, unhashed=unhashed
    )
    return packet(2, body)


def key_flags(flags: int) -> bytes:
    """1 certifies, 2 signs, 4 and 8 encrypt."""
    return subpacket(27, bytes((flags,)))


def revocation_reason(code: int, text: str = "") -> bytes:
    return subpacket(29, bytes((code,)) + text.encode())


def revoke_key(key: Key, *, at: int, reason: int | None = 0, hash_algorithm: int = SHA256, extra: bytes = b"") -> bytes:
    extra += b"" if reason is None else revocation_reason(reason)
    return certify(key, key, None, type=0x20, at=at, extra=extra, hash_algorithm=hash_algorithm)


def over_subkey(
    issuer: Key,
    primary: Key,
    subkey: Key,
    *,
    type: int,
    at: int,
    hash_algorithm: int = SHA256,
    extra: bytes = b"",
    unhashed: bytes = b"",
) -> bytes:
    """The body of a signature over a subkey: 0x18 and 0x28 by the primary key, 0x19 by the subkey."""
    data = primary.hashed + subkey.hashed
    return signature_body(issuer, data, type, at, hash_algorithm, extra, unhashed=unhashed)


def bind(
    primary: Key,
    subkey: Key,
    *,
    at: int,
    flags: int | None = 2,
    back: bytes | None = None,
    covered: bool = True,
    hash_algorithm: int = SHA256,
    extra: bytes = b"",
    unhashed: bytes = b"",
) -> bytes:
    """A binding signature packet. ``back`` defaults to a good back-signature, empty leaves it out.

    ``covered`` puts it into the hashed area, else into the other one.
    """
    if back is None:
        back = over_subkey(subkey, primary, subkey, type=0x19, at=at)
    embedded = subpacket(32, back) if back else b""
    extra += (key_flags(flags) if flags is not None else b"") + (embedded if covered else b"")
    unhashed += b"" if covered else embedded
    body = over_subkey(
        primary, primary, subkey, type=0x18, at=at, hash_algorithm=hash_algorithm, extra=extra, unhashed=unhashed
    )
    return packet(2, body)


def subkey_packet(key: Key) -> bytes:
    return packet(14, key.body)


def certificate(key: Key, *texts: str | bytes, at: int = BORN, extra: bytes = b"", others: bytes = b"") -> bytes:
    """A key with self-signed User IDs; ``others`` are packets put after the last of them."""
    parts = [key.packet]
    for text in texts:
        parts += [user_id(text), certify(key, key, text, type=0x13, at=at, extra=extra)]
    return b"".join(parts) + others


def _body(version: int, algorithm: int, material: bytes, born: int) -> bytes:
    head = bytes((version,)) + born.to_bytes(4) + bytes((algorithm,))
    return head + (len(material).to_bytes(4) if version == 6 else b"") + material


def _raw(private: ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def ed25519_key(name: str = "", *, version: int = 4, born: int = BORN) -> Key:
    """Algorithm 27; the same name makes the same key."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    return Key(version, 27, _body(version, 27, _raw(private), born), lambda _hash, digest: private.sign(digest))


def eddsa_key(name: str = "", *, born: int = BORN) -> Key:
    """Algorithm 22, EdDSALegacy."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())

    def sign(_hash: int, digest: bytes) -> bytes:
        signature = private.sign(digest)
        return mpi(int.from_bytes(signature[:32])) + mpi(int.from_bytes(signature[32:]))

    material = bytes((len(ED25519_OID),)) + ED25519_OID + mpi(int.from_bytes(b"\x40" + _raw(private)))
    return Key(4, 22, _body(4, 22, material, born), sign)


def ed448_key(version: int = 6) -> Key:
    private = ed448.Ed448PrivateKey.from_private_bytes(b"\x07" * 57)
    return Key(version, 28, _body(version, 28, _raw(private), BORN), lambda _hash, digest: private.sign(digest))


@cache
def rsa_key(bits: int = 2048, version: int = 4) -> Key:
    private = rsa.generate_private_key(65537, bits)
    numbers = private.public_key().public_numbers()

    def sign(hash_algorithm: int, digest: bytes) -> bytes:
        prehashed = Prehashed(HASH[hash_algorithm][1]())
        return mpi(int.from_bytes(private.sign(digest, padding.PKCS1v15(), prehashed)))

    return Key(version, 1, _body(version, 1, mpi(numbers.n) + mpi(numbers.e), BORN), sign)


@cache
def dsa_key(bits: int = 2048) -> Key:
    private = dsa.generate_private_key(bits)
    public = private.public_key().public_numbers()
    group = public.parameter_numbers

    def sign(hash_algorithm: int, digest: bytes) -> bytes:
        return b"".join(map(mpi, decode_dss_signature(private.sign(digest, Prehashed(HASH[hash_algorithm][1]())))))

    material = b"".join(map(mpi, (group.p, group.q, group.g, public.y)))
    return Key(4, 17, _body(4, 17, material, BORN), sign)


@cache
def ecdsa_key(curve: str, version: int = 4) -> Key:
    oid, kind = CURVES[curve]
    private = ec.derive_private_key(0xC0FFEE, kind())
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def sign(hash_algorithm: int, digest: bytes) -> bytes:
        made = private.sign(digest, ec.ECDSA(Prehashed(HASH[hash_algorithm][1]())))
        return b"".join(map(mpi, decode_dss_signature(made)))

    identifier = bytes.fromhex(oid)
    material = bytes((len(identifier),)) + identifier + mpi(int.from_bytes(point))
    return Key(version, 19, _body(version, 19, material, BORN), sign)
