"""A site that received mail signed by other hosts, in a directory of its own: for what endorsing makes of it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit.services.site import site_in
from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds, day_of
from trustgraph.openpgp.framing import Tag, read_packets
from trustgraph.openpgp.making import SecretHostKey, export_public, export_secret, new_host_key
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.signature import parse_signature, parse_statement
from trustgraph.services.hostkeys import write_secret
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.store.accepting import CachedCertificate, record_signing_hosts, write_certificate
from trustgraph.store.observations import ObservationWriter

DAY = 86_400
NOW = UnixSeconds(1_790_000_000)
US = "mx.example.net"

#: Rules under which few mails decide: 16 spotless ones prove a bad share of at most a fifth.
EASY = {"good_mails": 6, "days": 3, "max_bad_share": 0.2}


def host_key(host: str, born: int = NOW - 400 * DAY) -> SecretHostKey:
    """The same one for the same arguments."""
    return new_host_key(host, UnixSeconds(born), seed=f"{host}{born}".encode().ljust(32, b".")[:32], postmaster=True)


@dataclass
class EndorsingSite:
    """Settings, an open store and our key."""

    settings: Settings
    store: Store
    key: SecretHostKey
    _written: int = field(default=0)

    def mail(
        self,
        key: SecretHostKey | str,
        good: Sequence[int] = (),
        bad: Sequence[int] = (),
        unknown: Sequence[int] = (),
        *,
        now: int = NOW,
        host: str = "",
    ) -> None:
        """So many messages a day, the last number being today's."""
        fingerprint = key if isinstance(key, str) else key.fingerprint
        batch = []
        for outcome, numbers in ((Outcome.GOOD, good), (Outcome.SPAM, bad), (Outcome.UNKNOWN, unknown)):
            for age, number in enumerate(reversed(numbers)):
                for _ in range(number):
                    self._written += 1
                    at, name = UnixSeconds(day_of(now) * DAY - age * DAY), f"<{self._written}@{US}>"
                    identity = Identity.openpgp(fingerprint)
                    batch.append(Observation(at, US, identity, Result.PASS, outcome, name, host))
        if batch:
            ObservationWriter(self.store).add(batch)

    def know(self, key: SecretHostKey, *hosts: str, now: int = NOW) -> None:
        """As if the gate had fetched its certificate, and seen it sign from the own address of ``hosts``."""
        octets = read_host_certificate([export_public(key.certificate())], key.fingerprint, UnixSeconds(now)).octets
        write_certificate(self.store, CachedCertificate(key.fingerprint, octets, UnixSeconds(now)))
        self.confirm(key, *hosts, now=now)

    def confirm(self, key: SecretHostKey, *hosts: str, now: int = NOW) -> None:
        """As if it had sent signed mail from the own address of ``hosts``."""
        identity = Identity.openpgp(key.fingerprint)
        record_signing_hosts(self.store, {host: (identity, UnixSeconds(now)) for host in hosts})


def endorsing_site(
    home: Path, urls: Sequence[str] = (), *, key: SecretHostKey | None = None, **sections: Mapping[str, Any]
) -> EndorsingSite:
    """A site in ``home`` with those keyservers, and easy rules unless ``endorsement`` says otherwise."""
    over = {"endorsement": EASY, "keyservers": {"urls": list(urls), "timeout": "20s"}, "site": {"hostname": US}}
    settings = site_in(home, **{**over, **sections})
    key = key or host_key(US)
    write_secret(settings.hostkey.path, export_secret(key))
    return EndorsingSite(settings, open_store(settings.database.url), key)


def signatures_by(certificate: bytes, issuer: str) -> list[tuple[str, int, UnixSeconds, bytes]]:
    """(User ID, type, time, packet body) of every signature that claims to be by this key, in order."""
    found = []
    user_id = ""
    for packet in read_packets(io.BytesIO(certificate), lambda _problem: None):
        if packet.tag is Tag.USER_ID and packet.body is not None:
            user_id = packet.body.decode()
        elif packet.tag is Tag.SIGNATURE and packet.body is not None:
            signature = parse_signature(packet.body)
            if signature.issuer_fingerprint == issuer or signature.issuer_key_id == issuer[-16:]:
                found.append((user_id, signature.type, parse_statement(signature).made_at, packet.body))
    return found
