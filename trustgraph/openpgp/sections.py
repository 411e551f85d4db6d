"""Packets into sections: the signatures over one User ID, or directly over one key, with what each verifies against.

A section is bounded, so a flooded User ID gives many. What needs no public-key operation is decided here: signatures
by issuers that nobody knows are only counted, and so are those whose digest does not start as they say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from trustgraph.errors import BadInput
from trustgraph.openpgp.digest import BROKEN_HASHES, HASHES, Subject, digest
from trustgraph.openpgp.framing import Packet, Tag
from trustgraph.openpgp.publickey import PublicKey, parse_public_key
from trustgraph.openpgp.signature import (
    CERTIFICATION_TYPES,
    Signature,
    SignatureType,
    Statement,
    parse_signature,
    parse_statement,
)
from trustgraph.openpgp.verification import Job

MAX_SECTION_SIGNATURES = 512

_OVER_KEY = frozenset({SignatureType.DIRECT_KEY, SignatureType.KEY_REVOCATION})
_OVER_USER_ID = CERTIFICATION_TYPES | {SignatureType.CERTIFICATION_REVOCATION}


class Fate(StrEnum):
    """What became of a signature packet: each has exactly one."""

    OWN = "own"  # by the key itself, verified and in force
    OWN_BAD = "own_bad"  # by the key itself, and does not count
    GOOD = "good"  # a third party's certification that verifies
    REVOCATION = "revocation"  # a third party's 0x30 that verifies
    BAD = "bad"
    WEAK_SHA1 = "weak_sha1"  # verifies, but made with SHA-1 after the cut-off
    WEAK_HASH = "weak_hash"  # MD5 or RIPEMD-160: not looked at
    WEAK_KEY = "weak_key"  # verifies, but with RSA or DSA below 2048 bits
    UNVERIFIABLE = "unverifiable"  # the issuer's key is neither in the files nor in the store
    UNSUPPORTED = "unsupported"  # an algorithm, curve or size that cannot be computed here
    NOT_SELF_SIGNED = "not_self_signed"  # verifies, over a User ID that the key itself does not claim
    DUPLICATE = "duplicate"
    SUPERFLUOUS = "superfluous"  # beyond the newest 16 of one issuer over one User ID
    LOCAL = "local"  # marked as not exportable
    NOT_UNDERSTOOD = "not_understood"  # a critical subpacket or notation that is unknown
    MALFORMED = "malformed"
    OLD_VERSION = "old_version"  # neither version 4 nor 6
    OTHER_TYPE = "other_type"  # says nothing about a User ID or the key's own state
    ON_SUBKEY = "on_subkey"
    ON_USER_ATTRIBUTE = "on_user_attribute"
    STRAY = "stray"  # belongs to no certificate or User ID that could be read


class Candidate(NamedTuple):
    """A signature worth a public-key operation; ``issuers`` are the keys that may have made it."""

    signature: Signature
    statement: Statement
    issuers: tuple[PublicKey, ...]
    digest: bytes

    def jobs(self) -> list[Job]:
        """One verification an issuer."""
        algorithm, material = self.signature.hash_algorithm, self.signature.material
        return [Job(issuer.packet, algorithm, self.digest, material) for issuer in self.issuers]


@dataclass(slots=True)
class Section:
    """Signatures over one User ID, or over the key itself when ``user_id`` is None.

    ``fates`` counts those already decided. ``last``: the certificate ends here, after ``user_ids`` User ID packets.
    """

    key: PublicKey
    user_id: bytes | None
    candidates: list[Candidate] = field(default_factory=list)
    fates: Counter[Fate] = field(default_factory=Counter)
    last: bool = False
    user_ids: int = 0

    def job_count(self) -> int:
        """How many verifications the section needs."""
        return sum(len(candidate.issuers) for candidate in self.candidates)

    def jobs(self) -> list[Job]:
        """Every verification of the section, in the order of its candidates."""
        return [job for candidate in self.candidates for job in candidate.jobs()]


class Issuers(Protocol):
    """Finds the keys that may have made a signature."""

    def issuers(self, signature: Signature) -> tuple[PublicKey, ...]:
        """The keys by the fingerprint or key ID that it names; none if unknown."""
        ...


Report = Callable[[str], None]


def read_sections(packets: Iterable[Packet], issuers: Issuers, report: Report) -> Iterator[Section | Counter[Fate]]:
    """The sections of the certificates in a stream of packets; between them, the fates of signatures outside any.

    ``report`` gets one line for each certificate that is left out. Never raises on what it reads.
    """
    reader = _Reader(issuers, report)
    for packet in packets:
        if packet.tag is Tag.SIGNATURE:
            reader.add_signature(packet.body)
            if reader.is_full():
                yield from reader.flush()
        elif packet.tag in (Tag.PUBLIC_KEY, Tag.SECRET_KEY):
            yield from reader.flush(last=True)
            reader.begin(packet)
        else:
            yield from reader.flush()
            reader.enter(packet)
    yield from reader.flush(last=True)


class _Reader:
    """The place in the current certificate, and what has been gathered there."""

    def __init__(self, issuers: Issuers, report: Report) -> None:
        self._issuers = issuers
        self._report = report
        self._key: PublicKey | None = None
        self._user_id: bytes | None = None
        self._user_ids = 0
        self._skipping: Fate | None = Fate.STRAY
        self._candidates: list[Candidate] = []
        self._fates: Counter[Fate] = Counter()
        self._seen: set[tuple[bytes, bytes]] = set()

    def begin(self, packet: Packet) -> None:
        """A primary key starts a certificate; one that cannot be read is left out with its signatures."""
        self._key = self._user_id = None
        self._user_ids = 0
        self._skipping = Fate.STRAY
        if packet.tag is Tag.SECRET_KEY:
            self._report("a secret key is not read: expected public keys")
        elif packet.body is not None:
            try:
                self._key = parse_public_key(packet.body)
                self._skipping = None
            except BadInput as error:
                self._report(f"certificate left out: {error}")

    def enter(self, packet: Packet) -> None:
        """A User ID, User Attribute or subkey: the signatures that follow are over it."""
        if self._key is None:
            return
        self._seen.clear()
        self._user_id = None
        if packet.tag is Tag.USER_ID:
            self._user_ids += 1
            self._user_id = packet.body
            self._skipping = Fate.STRAY if packet.body is None else None
        else:
            self._skipping = Fate.ON_USER_ATTRIBUTE if packet.tag is Tag.USER_ATTRIBUTE else Fate.ON_SUBKEY

    def add_signature(self, body: bytes | None) -> None:
        """Judge a signature at the current place as far as that goes without a public-key operation."""
        fate = self._skipping if self._key is None or self._skipping else self._judge(self._key, body)
        if fate:
            self._fates[fate] += 1

    def is_full(self) -> bool:
        """Whether the section must be handed on."""
        return len(self._candidates) >= MAX_SECTION_SIGNATURES

    def flush(self, last: bool = False) -> Iterator[Section | Counter[Fate]]:
        """What has been gathered, if anything."""
        candidates, fates = self._candidates, self._fates
        if self._key is None:
            if fates:
                yield fates
        elif last or candidates or fates:
            yield Section(self._key, self._user_id, candidates, fates, last, self._user_ids)
        self._candidates, self._fates = [], Counter()
        self._seen.clear()

    def _judge(self, key: PublicKey, body: bytes | None) -> Fate | None:
        """A fate, or None when the signature became a candidate."""
        if not body:
            return Fate.MALFORMED
        if body[0] not in (4, 6):
            return Fate.OLD_VERSION
        try:
            return self._judge_signature(key, parse_signature(body))
        except BadInput:
            return Fate.MALFORMED

    def _judge_signature(self, key: PublicKey, signature: Signature) -> Fate | None:
        own = _is_own(signature, key)
        if not _belongs_here(signature, own, self._user_id):
            return Fate.OTHER_TYPE
        issuers = (key,) if own else self._issuers.issuers(signature)
        if not issuers:
            return Fate.UNVERIFIABLE
        if signature.hash_algorithm not in HASHES:
            return _uncomputable(signature, own)
        identity = (signature.hashed, signature.material)
        if identity in self._seen:
            return Fate.DUPLICATE
        self._seen.add(identity)
        statement = parse_statement(signature)
        signed = digest(signature, Subject(key, self._user_id))
        if signed is None:
            return Fate.OWN_BAD if own else Fate.BAD
        self._candidates.append(Candidate(signature, statement, issuers, signed))
        return None


def _uncomputable(signature: Signature, own: bool) -> Fate:
    if own:
        return Fate.OWN_BAD
    return Fate.WEAK_HASH if signature.hash_algorithm in BROKEN_HASHES else Fate.UNSUPPORTED


def _is_own(signature: Signature, key: PublicKey) -> bool:
    """Whether the key itself claims to have made it, by fingerprint where one is given."""
    if signature.issuer_fingerprint:
        return signature.issuer_fingerprint == key.fingerprint
    return signature.version == key.version and signature.issuer_key_id == key.key_id


def _belongs_here(signature: Signature, own: bool, user_id: bytes | None) -> bool:
    """Over a key only its own signatures are read: designated revokers are not supported."""
    if user_id is None:
        return own and signature.type in _OVER_KEY
    return signature.type in _OVER_USER_ID or (own and signature.type == SignatureType.APPROVAL)
