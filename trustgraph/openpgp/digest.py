"""What a signature over a key or a User ID hashes (RFC 9580 section 5.2.4). Pure."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from trustgraph.openpgp.publickey import PublicKey, hashed_form
from trustgraph.openpgp.signature import Signature

#: Hash algorithms that count (section 9.5), by their names in hashlib.
HASHES = {2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224", 12: "sha3_256", 14: "sha3_512"}
SHA1 = 2

#: MD5 and RIPEMD-160: known, and so weak that nothing made with them counts at any date.
BROKEN_HASHES = frozenset({1, 3})


class Subject(NamedTuple):
    """What is signed: a primary key, or a key and a User ID's octets, or a key and a subkey."""

    key: PublicKey
    user_id: bytes | None = None
    subkey: PublicKey | None = None


def digest(signature: Signature, subject: Subject) -> bytes | None:
    """The digest that the issuer signed, or None if it does not start as the signature says it does.

    That comparison of 16 bits costs a hash; it spares a public-key operation for most of what is bogus. The key is
    hashed in the form of the signature's version, as the RFC has it; some implementations use the key's own version
    where the two differ, so that form is tried as well.
    """
    for version in {signature.version, subject.key.version}:
        found = _digest(signature, subject, version)
        if found.startswith(signature.digest_prefix):
            return found
    return None


def _digest(signature: Signature, subject: Subject, key_form: int) -> bytes:
    context = hashlib.new(HASHES[signature.hash_algorithm], signature.salt, usedforsecurity=False)
    context.update(hashed_form(key_form, subject.key.packet))
    if subject.subkey is not None:
        context.update(hashed_form(key_form, subject.subkey.packet))
    if subject.user_id is not None:
        context.update(b"\xb4" + len(subject.user_id).to_bytes(4) + subject.user_id)
    context.update(signature.hashed)
    context.update(bytes((signature.version, 0xFF)) + len(signature.hashed).to_bytes(4))
    return context.digest()
