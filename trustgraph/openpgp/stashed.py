"""A subscriber's certificate as the stash keeps it: copies merged, how long it is of use, what it is looked up by.

Copies are merged and never replaced, so that depositing an older one does not hide a revocation.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.armor import open_blocks
from trustgraph.openpgp.framing import Packet, Tag, read_packets, serialise
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.publickey import parse_public_key
from trustgraph.openpgp.selfsigned import is_hard
from trustgraph.openpgp.signature import SignatureType, parse_signature, parse_statement

#: A certificate cleaned of everything that others say has a few KiB; one of RSA keys with many subkeys, some more.
MAX_CERTIFICATE_BYTES = 64 * 1024

#: Of one file so many certificates, and so many revocations without their key, are looked at.
MAX_COPIES = 16
MAX_REVOCATIONS = 8

_SECRET_MARK = re.compile(rb"-----BEGIN PGP (?:PRIVATE|SECRET) KEY BLOCK-----")
_SECRET_TAGS = frozenset({Tag.SECRET_KEY, Tag.SECRET_SUBKEY})


@dataclass(frozen=True, slots=True)
class Stashed:
    """``octets`` is binary and public, with nothing but what the key says of itself, verified.

    ``names`` are the fingerprints and key IDs of the primary key and of all that may sign, lower-case hex.
    ``expires_at``: from then on none of them signs; None if they do not expire. ``revoked_at`` is the time of the key's
    earliest revocation, ``hard`` if one voids what the key signed before, too (RFC 9580 section 5.2.3.31).
    """

    fingerprint: str
    octets: bytes
    names: tuple[str, ...]
    expires_at: UnixSeconds | None
    revoked_at: UnixSeconds | None
    hard: bool


def merge_copies(copies: Iterable[bytes], fingerprint: str, now: UnixSeconds) -> Stashed:
    """One certificate out of binary copies of it.

    Raises :class:`BadInput` when no copy has the key, or what is left is longer than a stash keeps.
    """
    read = read_host_certificate(copies, fingerprint, now)
    if len(read.octets) > MAX_CERTIFICATE_BYTES:
        raise BadInput(f"key {fingerprint} has {len(read.octets):,} octets: at most {MAX_CERTIFICATE_BYTES:,} are kept")
    keys = [read.key, *(one.key for one in read.signing_keys.values())]
    names = dict.fromkeys(name for key in keys for name in (key.fingerprint, key.key_id))
    revoked_at, hard = _revocations(read.octets)
    return Stashed(fingerprint, read.octets, tuple(names), _end(read), revoked_at, hard)


def revocation_copy(certificate: bytes, revocation: bytes) -> bytes:
    """A copy of a certificate out of its primary key and a bare revocation signature, binary, for merging."""
    key = next(read_packets(io.BytesIO(certificate), lambda _problem: None), None)
    if key is None or key.tag is not Tag.PUBLIC_KEY:
        raise BadInput("expected a public key to revoke")
    return serialise(key) + revocation


def _end(read: HostCertificate) -> UnixSeconds | None:
    """When the last of the keys that may sign ends. One that is revoked does not count; without any, at once."""
    ends = [one.expires_at for one in read.signing_keys.values() if not one.revoked]
    own = [min((at for at in (end, read.expires_at) if at is not None), default=None) for end in ends]
    if not own:
        return read.key.created_at
    return None if None in own else max(at for at in own if at is not None)


def _revocations(octets: bytes) -> tuple[UnixSeconds | None, bool]:
    """The earliest of those on the primary key, and whether one is hard; of a merged certificate all are verified."""
    found = [
        parse_statement(signature)
        for signature in (parse_signature(body) for body in _over_key(octets))
        if signature.type == SignatureType.KEY_REVOCATION
    ]
    return min((one.made_at for one in found), default=None), any(is_hard(one) for one in found)


def _over_key(octets: bytes) -> list[bytes]:
    found: list[bytes] = []
    packets = read_packets(io.BytesIO(octets), lambda _problem: None, with_subkeys=True)
    for number, packet in enumerate(packets):
        if number and packet.tag is not Tag.SIGNATURE:
            break
        if number and packet.body:
            found.append(packet.body)
    return found


def copies_in(blob: bytes) -> list[tuple[str, bytes]]:
    """The first certificates in a file, armored or binary, each with its fingerprint; what is none is passed over."""
    found: list[tuple[str, list[bytes]]] = []
    for packet in _packets(blob):
        if packet.tag in (Tag.PUBLIC_KEY, Tag.SECRET_KEY):
            if len(found) == MAX_COPIES:
                break
            found.append((_fingerprint(packet), []))
        if found:
            found[-1][1].append(serialise(packet))
    return [(fingerprint, b"".join(pieces)) for fingerprint, pieces in found if fingerprint]


def bare_revocations(blob: bytes) -> list[tuple[str, bytes]]:
    """Key revocations that stand in a file without their key, as ``gpg --generate-revocation`` writes them.

    Each with the fingerprint or key ID that it names. Nothing is verified.
    """
    found: list[tuple[str, bytes]] = []
    for packet in _packets(blob):
        if packet.tag is not Tag.SIGNATURE:
            break
        with suppress(BadInput):
            signature = parse_signature(packet.body or b"")
            if signature.type == SignatureType.KEY_REVOCATION:
                found.append((signature.issuer_fingerprint or signature.issuer_key_id, serialise(packet)))
    return found[:MAX_REVOCATIONS]


def holds_secret_key(blob: bytes) -> bool:
    """Whether any part of a secret key is in a file, in armor or not."""
    return _SECRET_MARK.search(blob) is not None or any(packet.tag in _SECRET_TAGS for packet in _packets(blob))


def _packets(blob: bytes) -> Iterator[Packet]:
    for stream in open_blocks(io.BytesIO(blob), lambda _problem: None):
        yield from read_packets(stream, lambda _problem: None, with_subkeys=True)


def _fingerprint(packet: Packet) -> str:
    """Empty for a secret key, and for one that is none."""
    with suppress(BadInput):
        if packet.tag is Tag.PUBLIC_KEY:
            return parse_public_key(packet.body or b"").fingerprint
    return ""
