"""A public key that somebody hands in: one, public, able to sign, and nothing kept but its own word."""

from __future__ import annotations

import io

import pysequoia

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.dearmoring import Dearmorer
from trustgraph.openpgp.framing import Tag, read_packets
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.publickey import parse_public_key
from trustgraph.openpgp.verification import is_strong_for_mail

#: A key with a photograph and some dozens of certifications.
MAX_DEPOSIT_BYTES = 1024 * 1024

_SECRET_MARK = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"
_SECRET_TAGS = frozenset({Tag.SECRET_KEY, Tag.SECRET_SUBKEY})


def subscriber_certificate(octets: bytes, now: UnixSeconds) -> HostCertificate:
    """The one certificate in binary packets; revoked or expired ones too, since a signature is judged by its own time.

    Raises :class:`BadInput` for none, several, a secret key, and keys of kinds that do not sign.
    """
    return read_host_certificate([octets], _sole_fingerprint(octets), now)


def lookup_names(certificate: HostCertificate) -> frozenset[str]:
    """The fingerprints and key IDs by which signatures may name a key of it, and the fingerprint of its primary key."""
    keys = [one.key for one in certificate.signing_keys.values()]
    return frozenset({certificate.fingerprint, *(key.fingerprint for key in keys), *(key.key_id for key in keys)})


def read_deposit(blob: bytes, now: UnixSeconds) -> tuple[str, bytes]:
    """A public key, armored or binary: its fingerprint, and its packets without anything that others said of it.

    Raises :class:`BadInput` saying why it is none, or none that may sign posts now.
    """
    if len(blob) > MAX_DEPOSIT_BYTES:
        raise BadInput(f"a key of {len(blob):,} octets: expected at most {MAX_DEPOSIT_BYTES:,}")
    octets = blob if blob[:1] >= b"\x80" else _dearmored(blob)
    certificate = subscriber_certificate(octets, now)
    if reason := _objection(certificate, now):
        raise BadInput(f"key {certificate.fingerprint} {reason}")
    return certificate.fingerprint, certificate.octets


def _objection(certificate: HostCertificate, now: UnixSeconds) -> str:
    """Why it can sign no post, as the rest of a sentence."""
    if not is_strong_for_mail(certificate.key.packet):
        return "is weak or of a kind not accepted: expected RSA of 2048 bits or more, Ed25519, Ed448 or a NIST curve"
    if certificate.revoked:
        return "is revoked"
    if _is_over(certificate.expires_at, now):
        return "has expired"
    signers = certificate.signing_keys.values()
    if all(one.revoked or _is_over(one.expires_at, now) for one in signers):
        return "has no part that may still sign" if signers else "has no part that may sign"
    return (
        ""
        if _is_sound(certificate.octets)
        else ("is bound by signatures that no longer count, such as SHA-1: renew its expiry with a current program")
    )


def _is_over(expires_at: UnixSeconds | None, now: UnixSeconds) -> bool:
    return expires_at is not None and expires_at <= now


def _is_sound(octets: bytes) -> bool:
    """Whether Sequoia's policy takes the key's own signatures over itself."""
    try:
        _ = pysequoia.Cert.from_bytes(octets).expiration
    except Exception:  # noqa: BLE001 - RuntimeError and others for what its policy does not take
        return False
    return True


def _sole_fingerprint(octets: bytes) -> str:
    found: set[str] = set()
    for packet in read_packets(io.BytesIO(octets), lambda _problem: None):
        if packet.tag in _SECRET_TAGS:
            raise BadInput("a secret key: it belongs to nobody but its owner; expected the public one")
        if packet.tag is Tag.PUBLIC_KEY:
            found.add(parse_public_key(packet.body or b"").fingerprint)
    if len(found) != 1:
        raise BadInput(f"{len(found)} public keys: expected one")
    return found.pop()


class _Collected:
    """The whole blocks of an armored text."""

    def __init__(self) -> None:
        self.octets = b""
        self.damage = ""
        self._pieces: list[bytes] = []

    def begin(self) -> None:
        self._pieces = []

    def data(self, octets: bytes) -> None:
        self._pieces.append(octets)

    def end(self, damage: str) -> None:
        self.damage = self.damage or damage
        self.octets += b"".join(self._pieces)


def _dearmored(text: bytes) -> bytes:
    if _SECRET_MARK in text:
        raise BadInput("a secret key: it belongs to nobody but its owner; expected the public one")
    collected = _Collected()
    dearmorer = Dearmorer(collected)
    dearmorer.feed(text)
    dearmorer.finish()
    if not dearmorer.began:
        raise BadInput("expected a public key, armored or binary")
    if collected.damage:
        raise BadInput(f"public key block: {collected.damage}")
    return collected.octets
