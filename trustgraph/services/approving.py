"""Owner approval for this host's own key: which of the endorsements on it it stands by (:mod:`.openpgp.approval`).

What is approved is read off the copy that the keyservers have, since only there is what others said of us; each
certification is verified before it is offered for approval.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import BinaryIO

from trustgraph.errors import BadInput, ConfigurationError, NoInput, ServiceUnavailable
from trustgraph.keyserver.answer import Absent, Found
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.keyserver.server import ServerPolicy
from trustgraph.model import Certification, Identity, UnixSeconds, from_rfc3339
from trustgraph.openpgp import making
from trustgraph.openpgp.attaching import attach
from trustgraph.openpgp.certificate import Certificate, Facts
from trustgraph.openpgp.framing import Packet, read_packets
from trustgraph.openpgp.issuers import IssuerIndex
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.publickey import parse_public_key
from trustgraph.openpgp.sections import Section, read_sections
from trustgraph.openpgp.selfsigned import KeyPolicy
from trustgraph.openpgp.verification import verify_all
from trustgraph.services.keymaking import open_key
from trustgraph.services.scoring import resolve
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.certificates import known_keys, labels_of


@dataclass(frozen=True, slots=True)
class Offered:
    """A verified certification on our key that is in force. ``approved``: whether we approve of it."""

    issuer: str
    label: str
    user_id: str
    made_at: UnixSeconds
    expires_at: UnixSeconds | None
    approved: bool
    digest: bytes


@dataclass(frozen=True, slots=True)
class Approving:
    """``offered`` as it is now. ``certificate`` is what has to be published, None when nothing was made."""

    fingerprint: str
    offered: tuple[Offered, ...]
    certificate: bytes | None = None


def offered(store: Store, settings: Settings, now: UnixSeconds) -> Approving:
    """What others say of our key on the keyservers, as far as their keys are in the store.

    Raises :class:`NoInput` when the keyservers do not have it, :class:`ServiceUnavailable` when none could say.
    """
    fingerprint = open_key(settings).fingerprint
    facts = _facts(store, settings, fingerprint, now)
    return Approving(fingerprint, tuple(_offered(store, facts, now)))


def approve(store: Store, settings: Settings, now: UnixSeconds, issuers: Sequence[str] | None) -> Approving:
    """Approve of what ``issuers`` (fingerprints, identities or hosts) certified and of nothing else; None: of all.

    Nothing is in force before it is published. Raises as :func:`offered` does, and :class:`BadInput` for an issuer who
    certified nothing.
    """
    key = open_key(settings)
    facts = _facts(store, settings, key.fingerprint, now)
    on_offer = list(_offered(store, facts, now))
    chosen = None if issuers is None else _chosen(store, issuers, {one.issuer for one in on_offer})
    approved = [one for one in on_offer if chosen is None or one.issuer in chosen]
    said_before = {user_id.text: user_id.approvals_at for user_id in facts.host_key.user_ids}
    # Of the same second, the old list would stand beside the new one.
    made_at = UnixSeconds(max(now, *((at or 0) + 1 for at in said_before.values())))
    packets = {
        user_id: making.approve(key, user_id, made_at, [one.digest for one in approved if one.user_id == user_id])
        for user_id in key.user_ids
        if said_before.get(user_id) or any(one.user_id == user_id for one in on_offer)
    }
    own = making.export_public(key.certificate())
    return Approving(
        key.fingerprint,
        tuple(replace(one, approved=one in approved) for one in on_offer),
        attach(own, read_host_certificate([own], key.fingerprint, now).octets, packets),
    )


def _chosen(store: Store, names: Sequence[str], known: Collection[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        issuers = {identity.value for identity in resolve(store, name)} & set(known)
        if not issuers:
            raise BadInput(f"{name}: no certification of it on our key is in force and verifies")
        found |= issuers
    return found


def _offered(store: Store, facts: Facts, now: UnixSeconds) -> Iterator[Offered]:
    made = zip(facts.certifications, facts.canonical, strict=True)
    counting = [(one, canonical) for one, canonical in made if _is_in_force(one, now)]
    labels = labels_of(store, {Identity.openpgp(one.issuer) for one, _ in counting})
    for one, canonical in sorted(counting, key=lambda pair: (pair[0].user_id, pair[0].issuer, pair[0].made_at)):
        label = labels.get(str(Identity.openpgp(one.issuer)), "")
        said = (one.issuer, label, one.user_id, one.made_at, one.expires_at, one.approved_at is not None)
        yield Offered(*said, sha256(canonical).digest())


def _is_in_force(one: Certification, now: UnixSeconds) -> bool:
    ends = [at for at in (one.expires_at, one.revoked_at) if at is not None]
    return not one.weak and one.made_at <= now and all(at > now for at in ends)


def _facts(store: Store, settings: Settings, fingerprint: str, now: UnixSeconds) -> Facts:
    """Our certificate as the keyservers have it, verified."""
    found = asyncio.run(_fetch(settings, fingerprint))
    try:
        cutoff = from_rfc3339(settings.ingest.sha1_cutoff)
    except BadInput as error:
        raise ConfigurationError(f"ingest.sha1_cutoff: {error}") from None
    stream: BinaryIO = found.long.open() if found.long else io.BytesIO(found.certificate)
    packets: Iterator[Packet] = read_packets(stream, lambda _problem: None)
    with IssuerIndex() as index:
        index.add(parse_public_key(packet) for _fingerprint, _key_id, packet in known_keys(store))
        certificate: Certificate | None = None
        for section in read_sections(packets, index, lambda _problem: None):
            if isinstance(section, Section):
                certificate = certificate or Certificate(section.key, KeyPolicy(now, sha1_cutoff=cutoff))
                certificate.add(section, verify_all(section.jobs()))
    if certificate is None:
        raise BadInput(f"{fingerprint}: what the keyserver gave holds no certificate")
    return certificate.finish()


async def _fetch(settings: Settings, fingerprint: str) -> Found:
    keyservers = settings.keyservers
    bounds = ServerPolicy(max_body_bytes=keyservers.max_answer_bytes)
    pool = Pool(keyservers.urls, PoolPolicy(timeout_seconds=keyservers.timeout_seconds), bounds)
    try:
        answer = await pool.lookup(fingerprint, patient=True)
    finally:
        await pool.aclose()
    if isinstance(answer, Found):
        return answer
    if isinstance(answer, Absent):
        raise NoInput(f"{fingerprint}: no keyserver has our key: run `trustgraph key publish`")
    raise ServiceUnavailable(f"{fingerprint}: no keyserver could say ({answer.reason})")
