"""Read and merge copies of one certificate, keeping only what the key itself says, verified.

Nothing of what others say is kept, so a key flooded with certifications is as small as any other; and since copies are
merged, no keyserver can undo a revocation by leaving it out. Certifications by others go the way of keyrings
(:mod:`trustgraph.ingest.keys`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds, UserIdScope
from trustgraph.openpgp.digest import HASHES, Subject, digest
from trustgraph.openpgp.framing import Packet, Tag, read_packets, serialise
from trustgraph.openpgp.hostcert import HostCertificate, SigningKey
from trustgraph.openpgp.publickey import PublicKey, parse_public_key
from trustgraph.openpgp.selfsigned import REVOCATIONS, Authority, KeyPolicy, expiry_of, is_in_force, newer
from trustgraph.openpgp.signature import (
    CERTIFICATION_TYPES,
    Signature,
    SignatureType,
    Statement,
    Subpacket,
    parse_signature,
    parse_statement,
)
from trustgraph.openpgp.userid import parse_user_id, user_id_text
from trustgraph.openpgp.verification import Job, Verdict, is_strong_for_mail, verify

#: What is kept of one certificate at most; of signatures on one part so many revocations and so many others, the
#: newest. Only the owner of the key can reach these bounds.
MAX_USER_IDS = 32
MAX_SUBKEYS = 16
MAX_SIGNATURES_EACH = 8

#: So many times as much is gathered before it is cut down to that.
_CROWD = 4

#: A longer signature packet is not looked at: two signatures by RSA keys of 16,384 bits leave half of it unused.
MAX_SIGNATURE_BYTES = 8 * 1024

_SHORTER_THAN_KEY = 32
_MAY_SIGN = 0x02  # RFC 9580 section 5.2.3.29

_OVER_KEY = frozenset({SignatureType.DIRECT_KEY, SignatureType.KEY_REVOCATION})
_OVER_USER_ID = CERTIFICATION_TYPES | {SignatureType.CERTIFICATION_REVOCATION}
_OVER_SUBKEY = frozenset({SignatureType.SUBKEY_BINDING, SignatureType.SUBKEY_REVOCATION})


class _Own(NamedTuple):
    """A verified signature of the key over a part of its certificate.

    ``back`` is the body of the subkey's signature in it, verified too, or empty.
    """

    signature: Signature
    statement: Statement
    back: bytes


#: By all of a signature but its unhashed area, so that copies which differ in that alone are the same.
_Owns: TypeAlias = dict[tuple[bytes, ...], _Own]
_Kept: TypeAlias = dict[bytes, list[_Own]]


def read_host_certificate(copies: Iterable[bytes], fingerprint: str, at: UnixSeconds) -> HostCertificate:
    """One certificate out of copies of it, binary, each as a keyserver gave it or as it was kept.

    ``at`` is the time at which self-signatures must be in force. Raises :class:`BadInput` when no copy has the key.
    """
    parts = OwnParts(fingerprint, at)
    for octets in copies:
        parts.begin_copy()
        for packet in read_packets(io.BytesIO(octets), lambda _problem: None, with_subkeys=True):
            parts.add(packet)
    return parts.certificate()


class OwnParts:
    """The parts of a certificate, each with the verified signatures on it: those of packets as they come.

    However much comes, no more is held than a few times what is kept in the end.
    """

    def __init__(self, fingerprint: str, at: UnixSeconds) -> None:
        self._fingerprint = fingerprint
        self._policy = KeyPolicy(at=at)
        self._key: PublicKey | None = None
        self._direct: _Owns = {}
        self._user_ids: dict[bytes, _Owns] = {}
        self._subkeys: dict[bytes, _Owns] = {}
        self.begin_copy()

    def begin_copy(self) -> None:
        """What comes next does not go on where the last packet ended."""
        self._here: PublicKey | None = None
        self._place: tuple[Subject, _Owns] | None = None

    def add(self, packet: Packet) -> None:
        """Take in the next packet; what is of another certificate is passed over."""
        if packet.tag is Tag.SIGNATURE:
            if self._place and packet.body and len(packet.body) <= MAX_SIGNATURE_BYTES:
                self._add(*self._place, packet.body)
            return
        if packet.tag in (Tag.PUBLIC_KEY, Tag.SECRET_KEY):
            key = _parsed_key(packet) if packet.tag is Tag.PUBLIC_KEY else None
            self._here = key if key and key.fingerprint == self._fingerprint else None
            self._key = self._key or self._here
        self._place = self._enter(self._here, packet) if self._here else None

    def _enter(self, key: PublicKey, packet: Packet) -> tuple[Subject, _Owns] | None:
        """What signatures after this packet are over, and where they are kept; None for what is not kept."""
        if packet.tag is Tag.PUBLIC_KEY:
            return Subject(key), self._direct
        if packet.tag is Tag.USER_ID and packet.body is not None:
            return Subject(key, user_id=packet.body), _room(self._user_ids, packet.body, MAX_USER_IDS, _hosts_first)
        subkey = _parsed_key(packet) if packet.tag is Tag.PUBLIC_SUBKEY else None
        return (
            (Subject(key, subkey=subkey), _room(self._subkeys, subkey.packet, MAX_SUBKEYS, bytes)) if subkey else None
        )

    def _add(self, subject: Subject, known: _Owns, body: bytes) -> None:
        # Whoever names a key names its ID, by itself or within the fingerprint: most of a flood ends here.
        if bytes.fromhex(subject.key.key_id) not in body:
            return
        try:
            signature = parse_signature(body)
            if signature.type not in _types_over(subject) or not _is_by(signature, subject.key):
                return
            statement = parse_statement(signature)
        except BadInput:
            return
        name = _name(signature)
        own = known.get(name)
        if own is None and self._counts(signature, statement, subject, subject.key):
            own = _Own(signature, statement, b"")
        if own is not None:
            known[name] = own._replace(back=self._back_signature(own, signature, subject))
            if len(known) > _CROWD * MAX_SIGNATURES_EACH:
                kept = _newest(known)
                known.clear()
                known.update((_name(own.signature), own) for own in kept)

    def _counts(self, signature: Signature, statement: Statement, subject: Subject, signer: PublicKey) -> bool:
        return is_in_force(signature, statement, signer, self._policy) and _verifies(signature, subject, signer)

    def _back_signature(self, own: _Own, binding: Signature, subject: Subject) -> bytes:
        """The subkey's own word that it belongs to the key (RFC 9580 section 5.2.1.9); empty if it is not given.

        Without it anybody could bind somebody else's signing subkey to his own key. Of several the one that sorts
        first, so that the order of copies does not matter.
        """
        subkey = subject.subkey
        if subkey is None or not (own.statement.key_flags or 0) & _MAY_SIGN:
            return b""
        found = {own.back} - {b""}
        for embedded in _embedded(binding):
            body = _signature_body(embedded, subkey)
            if body in found or embedded.type != SignatureType.PRIMARY_KEY_BINDING or not _is_by(embedded, subkey):
                continue
            try:
                statement = parse_statement(embedded)
            except BadInput:
                continue
            if self._counts(embedded, statement, subject, subkey):
                found.add(body)
        return min(found, default=b"")

    def certificate(self) -> HostCertificate:
        """What the certificate says by all that was read. Raises :class:`BadInput` if it was in none of it."""
        key = self._key
        if key is None:
            raise BadInput(f"no certificate {self._fingerprint} in what was given")
        # All that follows is made from what is kept, so that reading it again comes to the same.
        direct = _newest(self._direct)
        user_ids = _first(MAX_USER_IDS, self._user_ids, _hosts_first)
        subkeys = _first(MAX_SUBKEYS, self._subkeys, bytes)
        authority = Authority(key)
        for own in _of_types(direct, {SignatureType.DIRECT_KEY}):
            authority.add_direct(own.statement)
        for owns in user_ids.values():
            for own in _of_types(owns, CERTIFICATION_TYPES):
                authority.add_user_id(own.statement)
        return HostCertificate(
            key=key,
            octets=_packets(key, direct, user_ids, subkeys),
            expires_at=authority.expires_at(),
            revoked=bool(_of_types(direct, {SignatureType.KEY_REVOCATION})),
            hosts=_live_hosts(user_ids),
            signing_keys=_signing_keys(key, authority, subkeys),
        )


def _name(signature: Signature) -> tuple[bytes, ...]:
    return signature.hashed, signature.digest_prefix, signature.salt, signature.material


def _room(parts: dict[bytes, _Owns], octets: bytes, limit: int, order: Callable[[bytes], Any]) -> _Owns:
    """Where the signatures on a part are kept. Parts that nobody signed, or that come too late in order, make room."""
    if octets not in parts and len(parts) >= _CROWD * limit:
        kept = sorted((one for one, owns in parts.items() if owns), key=order)[:limit]
        owns = {one: parts[one] for one in kept}
        parts.clear()
        parts.update(owns)
    return parts.setdefault(octets, {})


def _parsed_key(packet: Packet) -> PublicKey | None:
    """None for a key that cannot sign, such as one for encryption."""
    try:
        return parse_public_key(packet.body or b"")
    except BadInput:
        return None


def _types_over(subject: Subject) -> frozenset[int]:
    if subject.user_id is not None:
        return _OVER_USER_ID
    return _OVER_KEY if subject.subkey is None else _OVER_SUBKEY


def _is_by(signature: Signature, key: PublicKey) -> bool:
    """Whether it says that it is this key's, and its digest can be computed."""
    if signature.version != key.version or signature.hash_algorithm not in HASHES:
        return False
    if signature.issuer_fingerprint:
        return signature.issuer_fingerprint == key.fingerprint
    return signature.issuer_key_id == key.key_id


def _verifies(signature: Signature, subject: Subject, signer: PublicKey) -> bool:
    """Whether it is by a key that is strong enough for mail."""
    # An honest signature is about as long as its key; a short forgery would be cheap to make and dear to refute.
    if len(signature.material) + _SHORTER_THAN_KEY < len(signer.material) or not is_strong_for_mail(signer.packet):
        return False
    signed = digest(signature, subject)
    return signed is not None and (
        verify(Job(signer.packet, signature.hash_algorithm, signed, signature.material)) is Verdict.GOOD
    )


def _embedded(binding: Signature) -> Iterator[Signature]:
    for kind, _critical, body in (*binding.subpackets, *binding.unhashed):
        if kind == Subpacket.EMBEDDED_SIGNATURE:
            with suppress(BadInput):
                yield parse_signature(body)


def _newest(owns: _Owns) -> list[_Own]:
    """The newest revocations and the newest others, in a fixed order."""
    found: list[_Own] = []
    for wanted in (True, False):
        group = [own for own in owns.values() if (own.signature.type in REVOCATIONS) is wanted]
        group.sort(key=lambda own: (-own.statement.made_at, own.signature.hashed, own.signature.material))
        found += group[:MAX_SIGNATURES_EACH]
    return found


def _first(limit: int, parts: Mapping[bytes, _Owns], order: Callable[[bytes], Any]) -> _Kept:
    """So many of the signed parts, in an order that does not depend on the copies."""
    signed = sorted((octets for octets, owns in parts.items() if owns), key=order)
    return {octets: _newest(parts[octets]) for octets in signed[:limit]}


def _hosts_first(octets: bytes) -> tuple[bool, bytes]:
    return parse_user_id(user_id_text(octets)).scope is not UserIdScope.SMTP, octets


def _of_types(owns: Iterable[_Own], types: Collection[int]) -> list[_Own]:
    return [own for own in owns if own.signature.type in types]


def _live_hosts(user_ids: _Kept) -> dict[str, UnixSeconds]:
    """The hosts that User IDs claim, each with the time of its first certification that no revocation followed."""
    found: dict[str, UnixSeconds] = {}
    for octets, owns in user_ids.items():
        user_id = parse_user_id(user_id_text(octets))
        revoked = max((own.statement.made_at for own in _of_types(owns, REVOCATIONS)), default=-1)
        claims = [own.statement.made_at for own in _of_types(owns, CERTIFICATION_TYPES)]
        since = min((at for at in claims if at > revoked), default=None)
        if user_id.scope is UserIdScope.SMTP and since is not None:
            found[user_id.host] = min(since, found.get(user_id.host, since))
    return found


def _signing_keys(key: PublicKey, authority: Authority, subkeys: _Kept) -> dict[str, SigningKey]:
    found: dict[str, SigningKey] = {}
    statement = authority.statement()
    if statement and (statement.key_flags or 0) & _MAY_SIGN:
        found[key.fingerprint] = SigningKey(key, authority.expires_at(), revoked=False)
    for packet, owns in subkeys.items():
        if signer := _bound_signer(parse_public_key(packet), owns):
            found[signer.key.fingerprint] = signer
    return found


def _bound_signer(subkey: PublicKey, owns: list[_Own]) -> SigningKey | None:
    """The subkey, if its newest binding lets it sign and it agrees to be bound."""
    newest: Statement | None = None
    for own in _of_types(owns, {SignatureType.SUBKEY_BINDING}):
        newest = newer(newest, own.statement)
    if newest is None or not any(own.back for own in owns if own.statement == newest):
        return None
    revoked = bool(_of_types(owns, {SignatureType.SUBKEY_REVOCATION}))
    return SigningKey(subkey, expiry_of(subkey, newest), revoked)


def _packets(key: PublicKey, direct: list[_Own], user_ids: _Kept, subkeys: _Kept) -> bytes:
    parts = [(Packet(Tag.PUBLIC_KEY, key.packet), direct)]
    parts += [(Packet(Tag.USER_ID, octets), owns) for octets, owns in user_ids.items()]
    parts += [(Packet(Tag.PUBLIC_SUBKEY, packet), owns) for packet, owns in subkeys.items()]
    pieces: list[bytes] = []
    for packet, owns in parts:
        pieces.append(serialise(packet))
        pieces += [serialise(Packet(Tag.SIGNATURE, _signature_body(own.signature, key, own.back))) for own in owns]
    return b"".join(pieces)


def _signature_body(signature: Signature, key: PublicKey, back: bytes = b"") -> bytes:
    """A signature of ``key`` with only what is needed in its unhashed area, which it does not cover."""
    kinds = {kind for kind, _critical, _body in signature.subpackets}
    unhashed = b""
    if kinds.isdisjoint({Subpacket.ISSUER_KEY_ID, Subpacket.ISSUER_FINGERPRINT}):
        unhashed += _subpacket(Subpacket.ISSUER_FINGERPRINT, bytes((key.version,)) + bytes.fromhex(key.fingerprint))
    if back and all(body != back for _kind, _critical, body in signature.subpackets):
        unhashed += _subpacket(Subpacket.EMBEDDED_SIGNATURE, back)
    width = 2 if signature.version == 4 else 4
    salt = b"" if signature.version == 4 else bytes((len(signature.salt),)) + signature.salt
    tail = len(unhashed).to_bytes(width) + unhashed + signature.digest_prefix + salt + signature.material
    return signature.hashed + tail


def _subpacket(kind: Subpacket, body: bytes) -> bytes:
    """With a five-octet length, which holds any (RFC 9580 section 5.2.3.7)."""
    return b"\xff" + (len(body) + 1).to_bytes(4) + bytes((kind,)) + body
