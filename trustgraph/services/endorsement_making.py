"""Certifications and revocations by the host key, each verified by other code than made it before it is recorded."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trustgraph.errors import ConfigurationError, NoInput, TrustgraphError
from trustgraph.ingest.keys import KeyringCounts, ingest_keys
from trustgraph.model import SECONDS_PER_DAY, Certification, Day, HostKey, UnixSeconds, to_rfc3339
from trustgraph.openpgp import making
from trustgraph.openpgp.attaching import attach
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.making import Reason, SecretHostKey
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.selfsigned import KeyPolicy
from trustgraph.services.hostkeys import KeyFiles
from trustgraph.services.keymaking import open_key
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.certificates import CertificateStore

#: Names of the notations on our certifications (RFC 9580 section 5.2.3.24).
GOOD_MAIL = "good-mail@trustgraph"
SINCE = "since@trustgraph"

REVOCATION_COMMENT = "no longer vouched for"


@dataclass(frozen=True, slots=True)
class Issuer:
    """One of this host's keys, able to sign."""

    secret: SecretHostKey
    certificate: HostCertificate


def open_issuer(settings: Settings, now: UnixSeconds) -> Issuer:
    """The host key. Raises :class:`NoInput` without one, :class:`ConfigurationError` for one that can vouch no more."""
    secret = open_key(settings)
    issuer = Issuer(secret, _public(secret, now))
    certificate, path, host = issuer.certificate, settings.hostkey.path, settings.site.hostname
    if certificate.revoked:
        raise ConfigurationError(f"{path}: is revoked, so nobody would take its word")
    if certificate.expires_at is not None and certificate.expires_at <= now:
        raise ConfigurationError(f"{path}: has expired, so nobody would take its word")
    if host not in certificate.hosts:
        hosts = ", ".join(sorted(certificate.hosts)) or "no host"
        raise ConfigurationError(f"{path}: is the key of {hosts}, but site.hostname is {host!r}")
    return issuer


def open_former_issuer(settings: Settings, fingerprint: str, now: UnixSeconds) -> Issuer:
    """A key that was replaced, to take back what it said. Raises :class:`NoInput` when it is not at hand any more."""
    path = KeyFiles(settings.hostkey.path).old(fingerprint)
    secret = open_key(settings, path)
    if secret.fingerprint != fingerprint:
        raise NoInput(f"{path}: expected the key {fingerprint}")
    return Issuer(secret, _public(secret, now))


def keep_own_key(store: Store, issuer: Issuer, now: UnixSeconds) -> None:
    """Into the store, so that what it certified is recognised wherever it comes from."""
    reader = _Reader(issuer)
    octets = issuer.certificate.octets
    ingest_keys([Path("own")], reader, KeyPolicy(now), open_file=lambda _path: io.BytesIO(octets))
    CertificateStore(store, "own key", now).add_certificates(reader.batch)


def notations_of(good: int, first_day: Day | None) -> list[tuple[str, str]]:
    """The number of good mails as the power of two below it, never itself, and the month since when."""
    if not good or first_day is None:
        return []
    return [(GOOD_MAIL, str(1 << good.bit_length() - 1)), (SINCE, to_rfc3339(first_day * SECONDS_PER_DAY)[:7])]


def certify(
    issuer: Issuer,
    subject: HostCertificate,
    user_id: str,
    now: UnixSeconds,
    expires_at: UnixSeconds,
    notations: Sequence[tuple[str, str]],
) -> tuple[bytes, HostKey, Certification]:
    """A certification's packet, and what our own reading of it says. Raises :class:`BadInput` where none can be made.

    What PGPy makes is not believed: a packet that does not read back as what was wanted is :class:`TrustgraphError`.
    """
    copy = making.read_certificate(subject.octets)
    packet = making.certify(issuer.secret, copy, user_id, now, expires_at=expires_at, notations=notations)
    counts, batch = _read_back(issuer, subject, user_id, packet, now)
    wanted = (issuer.secret.fingerprint, subject.fingerprint, user_id, now, expires_at)
    for key, certifications in batch:
        for one in certifications:
            if (one.issuer, one.subject, one.user_id, one.made_at, one.expires_at) == wanted and not one.weak:
                return packet, key, one
    raise TrustgraphError(f"the certification made of {subject.fingerprint} does not verify: {counts}")


def revoke(issuer: Issuer, subject: HostCertificate, user_id: str, at: UnixSeconds) -> bytes:
    """The packet that takes back what ``issuer`` certified. Raises as :func:`certify` does."""
    copy = making.read_certificate(subject.octets)
    packet = making.revoke_certification(
        issuer.secret, copy, user_id, at, reason=Reason.UNSPECIFIED, comment=REVOCATION_COMMENT
    )
    counts, _ = _read_back(issuer, subject, user_id, packet, at)
    if counts.revocation != 1:
        raise TrustgraphError(f"the revocation made for {subject.fingerprint} does not verify: {counts}")
    return packet


def _public(secret: SecretHostKey, now: UnixSeconds) -> HostCertificate:
    return read_host_certificate([making.export_public(secret.certificate())], secret.fingerprint, now)


@dataclass(slots=True)
class _Reader:
    """A key store that knows one key, our own, and keeps what was read."""

    issuer: Issuer
    batch: list[tuple[HostKey, Sequence[Certification]]] = field(default_factory=list)

    def known_keys(self) -> Iterator[tuple[str, str, bytes]]:
        key = self.issuer.certificate.key
        yield key.fingerprint, key.key_id, key.packet

    def add_certificates(self, batch: Sequence[tuple[HostKey, Sequence[Certification]]]) -> None:
        self.batch += batch


def _read_back(
    issuer: Issuer, subject: HostCertificate, user_id: str, packet: bytes, at: UnixSeconds
) -> tuple[KeyringCounts, Sequence[tuple[HostKey, Sequence[Certification]]]]:
    octets = attach(subject.octets, subject.octets, {user_id: [packet]})
    reader = _Reader(issuer)
    name = Path(subject.fingerprint)
    counts = ingest_keys([name], reader, KeyPolicy(at), open_file=lambda _path: io.BytesIO(octets))
    return counts, reader.batch
