"""The operator's exceptions: who is allowed, denied, or judged by another profile, why, and until when."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trustgraph.errors import BadInput
from trustgraph.model import Identity, IdentityKind, UnixSeconds, parse_domain
from trustgraph.policy.evidence import Evidence

Action: TypeAlias = Literal["allow", "deny", "strict", "transition", "monitor", "need-not-sign"]


@dataclass(frozen=True, slots=True)
class Override:
    """``match`` is an identity, a host or domain (with all below it), or ``ip:`` and a network.

    ``action``: allow (any standing is accepted, and no signature is needed), deny, a profile to judge by, or
    need-not-sign (it may send unsigned although it was seen to sign). ``expires_at`` None: until it is taken out.
    """

    match: str
    action: Action
    note: str
    expires_at: UnixSeconds | None = None

    def in_force(self, now: UnixSeconds) -> bool:
        """Whether it still holds."""
        return self.expires_at is None or self.expires_at > now


def parse_match(text: str) -> str:
    """The one spelling of a ``match``. Raises :class:`BadInput` saying what was expected."""
    kind, colon, value = text.strip().partition(":")
    if colon and kind.lower() == IdentityKind.IP:
        try:
            return f"ip:{ipaddress.ip_network(value, strict=False)}"
        except ValueError:
            raise BadInput(f"{text[:80]!r}: expected ip: and an address or network such as ip:192.0.2.0/24") from None
    if colon:
        return str(Identity.parse(text))
    return parse_domain(text)


def matching(overrides: Sequence[Override], evidence: Evidence, now: UnixSeconds) -> list[Override]:
    """The overrides in force that speak of this message, in the order they are given.

    What helps a message must name what is proved. A key's own User ID proves no host name, anybody can write one; so
    only a denial takes it at its word.
    """
    if not overrides:
        return []
    proved, claimed = _proved(evidence), _claimed(evidence)
    return [
        one
        for one in overrides
        if one.in_force(now)
        and _speaks_of(one.match, proved | claimed if one.action == "deny" else proved, evidence.client_ip)
    ]


def _proved(evidence: Evidence) -> set[str]:
    """Identities that passed, hosts confirmed by address or DNS, and every domain above these."""
    rated = [one for one in (evidence.responsible, *evidence.others) if one]
    names = {str(one.identity) for one in rated}
    hosts = [one.identity.value for one in rated if one.identity.kind in _PROVING_A_NAME]
    return names.union(*map(_with_parents, (evidence.client_host, *hosts)))


def _claimed(evidence: Evidence) -> set[str]:
    return set(_with_parents(evidence.responsible.host)) if evidence.responsible else set()


_PROVING_A_NAME = frozenset({IdentityKind.DKIM, IdentityKind.SPF, IdentityKind.HELO})


def _with_parents(host: str) -> list[str]:
    labels = host.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))] if host else []


def _speaks_of(match: str, names: set[str], client_ip: str) -> bool:
    if not match.startswith("ip:"):
        return match in names
    if not client_ip:
        return False
    address, network = ipaddress.ip_address(client_ip), ipaddress.ip_network(match.removeprefix("ip:"))
    return address.version == network.version and address in network
