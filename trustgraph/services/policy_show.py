"""``policy show``: what the rules in force make of an identity's mail now, and what newcomers have used up today.

The mail is made up, the decision is :func:`trustgraph.policy.decide.decide`'s own: mail that comes from the identity's
host and shows whatever else the store knows of it, once with a passing signature and once without any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trustgraph.errors import NoInput
from trustgraph.model import Day, Identity, IdentityKind, Result, Standing, UnixSeconds, day_of, parse_domain
from trustgraph.policy.allowance import Allowance, allowance_of, draw_for
from trustgraph.policy.decide import Policy, Profile, decide, profile_for, standing_under
from trustgraph.policy.decision import Decision
from trustgraph.policy.evidence import Evidence, Rated
from trustgraph.policy.overrides import Override, matching
from trustgraph.services.gate import COUNTERS, policy_of, state_of
from trustgraph.services.scoring import resolve
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.generations import identities_of_host
from trustgraph.store.identities import operator_of
from trustgraph.store.known import host_of
from trustgraph.verifier.counters import drawn_on
from trustgraph.verifier.examine import payers_of
from trustgraph.verifier.standing import StandingSource

#: A key that nobody has: what mail from a host without one would be signed by.
_NEW_KEY = Identity.openpgp("0" * 40)


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would be decided on one more message now.

    ``payers`` are whose allowance it would draw on, ``left`` how many recipients that still lets in today, whether or
    not the decision depends on it.
    """

    decision: Decision
    allowance: Allowance
    payers: tuple[str, ...]
    left: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """How one identity stands. ``others`` are the further identities that its mail is taken to show.

    ``signs`` says whether it is a key; else the signed mail is by a key that nobody knows. ``overrides`` are those that
    apply to its mail, signed or not; ``profile`` is what it is judged by.
    """

    rated: Rated
    standing: Standing
    signs: bool
    seen_to_sign: bool
    others: tuple[Rated, ...]
    overrides: tuple[Override, ...]
    profile: Profile
    signed: Prospect
    unsigned: Prospect


def drawn_today(settings: Settings, now: UnixSeconds) -> dict[str, int]:
    """What newcomers have drawn today, by account. Raises :class:`ServiceUnavailable` when it cannot be read."""
    return drawn_on(state_of(settings, COUNTERS), day_of(now))


def outlooks(store: Store, settings: Settings, name: str, drawn: Mapping[str, int], now: UnixSeconds) -> list[Outlook]:
    """Of an identity, or of each identity of a host; a host that nobody has heard of is one as well.

    Raises :class:`BadInput` for what is neither.
    """
    policy = policy_of(settings)
    try:
        identities = resolve(store, name)
    except NoInput:
        identities = [Identity.helo(parse_domain(name))]
    return [asyncio.run(_outlook(store, policy, identity, drawn, now)) for identity in identities]


async def _outlook(
    store: Store, policy: Policy, identity: Identity, drawn: Mapping[str, int], now: UnixSeconds
) -> Outlook:
    standings = StandingSource(store)
    host = _host_of(store, identity)
    shown = [identity, *(one for one in _shown_with(store, host) if one != identity)]
    rated, *others = (
        replace(one, host=one.host or (host if one.identity == identity else ""))
        for one in await standings.rated(shown)
    )
    signs = identity.kind is IdentityKind.OPENPGP
    seen_to_sign = await standings.is_expected_to_sign(host, now)
    known = others if signs else [rated, *others]
    address = identity.value if identity.kind is IdentityKind.IP else ""
    signed = Evidence(
        Result.PASS,
        by_client=bool(host),
        responsible=rated if signs else Rated(_NEW_KEY, host),
        others=tuple(known),
        client_host=host,
        client_ip=address,
    )
    unsigned = replace(signed, result=Result.NONE, by_client=False, responsible=None, seen_to_sign=seen_to_sign)
    overrides = tuple(
        dict.fromkeys(one for mail in (signed, unsigned) for one in matching(policy.overrides, mail, now))
    )
    return Outlook(
        rated=rated,
        standing=standing_under(rated, policy, now),
        signs=signs,
        seen_to_sign=seen_to_sign,
        others=tuple(others),
        overrides=overrides,
        profile=profile_for(overrides, policy),
        signed=_prospect(signed, policy, drawn, now),
        unsigned=_prospect(unsigned, policy, drawn, now),
    )


def _host_of(store: Store, identity: Identity) -> str:
    """The host that it is known by, else its own domain."""
    known = host_of(store, identity)
    return known or ("" if identity.kind in (IdentityKind.OPENPGP, IdentityKind.IP) else identity.value)


def _shown_with(store: Store, host: str) -> list[Identity]:
    """What else mail from a host shows, as far as the store knows it: its own names and its operator's domain."""
    if not host:
        return []
    domains = list(dict.fromkeys([host, operator_of(host)]))
    known = [one for domain in domains for one in identities_of_host(store, domain)]
    return [one for one in dict.fromkeys(known) if _is_shown(one, host, domains)]


def _is_shown(identity: Identity, host: str, domains: Sequence[str]) -> bool:
    if identity.kind is IdentityKind.HELO:
        return identity.value == host
    return identity.kind in (IdentityKind.DKIM, IdentityKind.SPF) and identity.value in domains


def _prospect(evidence: Evidence, policy: Policy, drawn: Mapping[str, int], now: UnixSeconds) -> Prospect:
    allowance = allowance_of(evidence, policy)
    payers = tuple(payer for payer in payers_of(evidence) if payer != "ip:")  # its address is not known
    draw = draw_for(allowance, payers, Day(day_of(now)))
    left = max(0, min(limit - drawn.get(account, 0) for account, limit in draw.limits.items()))
    return Prospect(decide(replace(evidence, allowance_left=left > 0), policy, now), allowance, payers, left)
