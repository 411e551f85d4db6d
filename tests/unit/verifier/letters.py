"""Signed messages, hop by hop, and a verifier whose surroundings do as a test says."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from tests.unit.headersig.signed import (
    AT,
    MESSAGE_BODY,
    MESSAGE_FIELDS,
    NOW,
    host_certificate,
    host_packets,
    sign_fields,
)
from tests.unit.openpgp.openpgp_maker import Key, ed25519_key
from trustgraph.headersig.canonical import body_hash
from trustgraph.headersig.message import Field, split_message
from trustgraph.headersig.signing import Envelope
from trustgraph.model import Identity, UnixSeconds
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.policy.allowance import Draw
from trustgraph.policy.decide import Policy
from trustgraph.policy.evidence import Rated
from trustgraph.verifier.examine import Client, Examined, Incoming, Judged, Verifier
from trustgraph.verifier.keys import KeyAnswer, Lookup, NoKey

PEER, RELAY, LIST = "mx.peer.example", "mx.relay.example", "mx.list.example"
SENDER, RECIPIENT = b"anna@peer.example", b"bert@example.net"
ENVELOPE = Envelope(SENDER, (RECIPIENT,))
BODY_HASH = body_hash(MESSAGE_BODY)
IP = "192.0.2.1"


def key_of(host: str) -> Key:
    return ed25519_key(host)


def certificate_of(host: str, **changes: Any) -> HostCertificate:
    return host_certificate(host_packets(key_of(host), f"smtp://{host}", **changes), key_of(host))


def bound(sender: bytes | None = SENDER, recipient: bytes | None = RECIPIENT) -> dict[str, str]:
    tags = {"mf": sender, "rt": recipient}
    return {tag: base64.b64encode(value or b"<>").decode() for tag, value in tags.items() if value is not None}


def signed_by(
    host: str,
    fields: Sequence[Field] = MESSAGE_FIELDS,
    *,
    envelope: dict[str, str] | None = None,
    key: Key | None = None,
    **tags: str | None,
) -> list[Field]:
    """The fields with a signature on top, bound to the envelope unless told otherwise."""
    all_tags = {"d": host} | (bound() if envelope is None else envelope) | tags
    octets = sign_fields(list(fields), MESSAGE_BODY, key=key or key_of(host), tags=all_tags)
    return split_message(octets)[0]


def altered(fields: list[Field], subject: bytes = b" altered") -> list[Field]:
    return [(name, subject if name == b"Subject" else value) for name, value in fields]


class Keys:
    """By fingerprint; a key that is not there is absent. ``unreachable``: those that nobody could say anything of."""

    def __init__(self, *hosts: str) -> None:
        self.answers: dict[str, KeyAnswer] = {key_of(host).fingerprint: certificate_of(host) for host in hosts}
        self.at_hand: set[str] = set()
        self.asked: list[str] = []
        self.looked_up: list[str] = []

    def unreachable(self, host: str) -> None:
        self.answers[key_of(host).fingerprint] = NoKey.UNREACHABLE

    async def get(self, fingerprint: str, *, may_ask: bool = True) -> Lookup:
        self.looked_up.append(fingerprint)
        if fingerprint in self.at_hand:
            return Lookup(self.answers[fingerprint], asked=False)
        if not may_ask:
            return Lookup(NoKey.UNREACHABLE, asked=False)
        self.asked.append(fingerprint)
        return Lookup(self.answers.get(fingerprint, NoKey.ABSENT), asked=True)


class Standings:
    """Ratings by identity, and the hosts that are expected to sign."""

    def __init__(self, ratings: dict[str, float] | None = None, signing: set[str] | None = None) -> None:
        self.ratings = ratings or {}
        self.signing = signing or set()

    async def rated(self, identities: Sequence[Identity]) -> tuple[Rated, ...]:
        until = UnixSeconds(NOW + 1000)
        return tuple(Rated(one, "", self.ratings.get(str(one)), 0.9, 9, 4, until) for one in identities)

    async def is_expected_to_sign(self, host: str, now: UnixSeconds) -> bool:
        return host in self.signing


class Counting:
    """Counts in memory, and remembers who asked for what."""

    def __init__(self, admits: int = 0) -> None:
        self.admits = admits
        self.draws: list[Draw] = []
        self.recipients: dict[bytes, set[bytes]] = {}

    def delivered(self, signature: bytes, recipients: Sequence[bytes], expires_at: UnixSeconds) -> int:
        known = self.recipients.setdefault(signature, set())
        known.update(recipients)
        return len(known)

    def admit(self, draw: Draw) -> bool:
        self.draws.append(draw)
        self.admits -= 1
        return self.admits >= 0


class World:
    """A verifier with all that it asks."""

    def __init__(self, *hosts: str, policy: Policy | None = None) -> None:
        self.keys, self.standings, self.counters = Keys(*hosts), Standings(), Counting()
        self.helo: dict[tuple[str, str], bool] = {}
        self.helo_asked: list[tuple[str, str]] = []
        self.verifier = Verifier(
            *(self.keys, self.standings, self.counters, policy or Policy(), lambda: NOW),
            confirm_helo=self._confirm,
        )

    async def _confirm(self, helo: str, address: str) -> bool:
        self.helo_asked.append((helo, address))
        return self.helo.get((helo, address), False)

    def rate(self, host: str, rating: float) -> None:
        self.standings.ratings[f"openpgp:{key_of(host).fingerprint}"] = rating

    async def examine(
        self, fields: Sequence[Field], host: str = "", envelope: Envelope = ENVELOPE, **client: Any
    ) -> Examined:
        who = Client(**{"host": host, "ip": IP} | client)
        return await self.verifier.examine(Incoming(fields, envelope, who))

    async def judge(
        self,
        fields: Sequence[Field],
        host: str = "",
        envelope: Envelope = ENVELOPE,
        digest: bytes | None = BODY_HASH,
        **client: Any,
    ) -> Judged:
        examined = await self.examine(fields, host, envelope, **client)
        return await self.verifier.conclude(examined, digest)


def said(judged: Judged) -> str:
    evidence = judged.evidence
    by = " by client" if evidence.by_client else ""
    return f"{evidence.result} {evidence.reason}".strip() + by + f": {judged.decision.verdict} {judged.decision.reason}"


__all__ = ["AT", "MESSAGE_BODY", "MESSAGE_FIELDS", "NOW"]
