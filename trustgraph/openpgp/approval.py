"""Owner approval: the key itself says which certifications over one of its User IDs it stands by. Pure.

A signature of type 0x16 over the User ID lists the digests of those certifications (draft-ietf-openpgp-rfc4880bis-10
section 5.2.3.30, taken up by draft-dkg-openpgp-1pa3pc). The newest replaces all before it; those of the same second are
one. Whoever floods a key cannot put anything on that list.
"""

from __future__ import annotations

import hashlib

from trustgraph.model import UnixSeconds
from trustgraph.openpgp.digest import HASHES
from trustgraph.openpgp.signature import Signature, Subpacket

#: Digests in force over one User ID; only the key's owner can reach it, and loses what comes after.
MAX_APPROVED = 20_000


class Approvals:
    """What a key approves of over one User ID, out of its verified signatures of that type in any order."""

    def __init__(self) -> None:
        self.made_at: UnixSeconds | None = None
        self._digests: dict[int, set[bytes]] = {}

    def add(self, signature: Signature, made_at: UnixSeconds) -> None:
        """Take in a signature that is the key's own."""
        if self.made_at is None or made_at > self.made_at:
            self.made_at, self._digests = made_at, {}
        if made_at == self.made_at:
            digests = self._digests.setdefault(signature.hash_algorithm, set())
            digests.update(approved_digests(signature)[: MAX_APPROVED - len(digests)])

    def names(self, canonical: bytes) -> bool:
        """Whether the list in force has a certification, given in its :func:`canonical_form`."""
        return any(digest_of(canonical, algorithm) in digests for algorithm, digests in self._digests.items())


def approved_digests(signature: Signature) -> list[bytes]:
    """The digests that a signature lists, in order; a piece at the end that is none is left out."""
    size = hashlib.new(HASHES[signature.hash_algorithm], usedforsecurity=False).digest_size
    found = []
    for kind, _critical, body in signature.subpackets:
        if kind == Subpacket.APPROVED_CERTIFICATIONS:
            found += [body[at : at + size] for at in range(0, len(body) - size + 1, size)]
    return found


def canonical_form(signature: Signature) -> bytes:
    """A certification as it is hashed for the list: its packet with an empty unhashed area, which anybody can change.

    An old packet header that no packet has, 0x88, and a four-octet length come before it (RFC 9580 section 5.2.4).
    """
    unhashed = b"\0\0" if signature.version == 4 else b"\0\0\0\0"
    salt = b"" if signature.version == 4 else bytes((len(signature.salt),)) + signature.salt
    body = signature.hashed + unhashed + signature.digest_prefix + salt + signature.material
    return b"\x88" + len(body).to_bytes(4) + body


def digest_of(canonical: bytes, algorithm: int) -> bytes:
    """The digest of a canonical form by the hash algorithm of the signature that lists it."""
    return hashlib.new(HASHES[algorithm], canonical, usedforsecurity=False).digest()
