"""One message at accept time: its signatures checked, the host that answers for it found, a decision made.

In two steps, since a message whose header already decides it need not be sent to the end: :meth:`Verifier.examine`
after the header, :meth:`Verifier.conclude` after the body. Keyservers are asked for one key a message at most.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Protocol, TypeAlias

from trustgraph.errors import BadInput
from trustgraph.headersig.checking import (
    Finding,
    Presented,
    check_body,
    check_form,
    check_header,
    envelope_holds,
    presented_signatures,
    replay_key,
)
from trustgraph.headersig.coverage import FIELD
from trustgraph.headersig.message import Field
from trustgraph.headersig.signing import Envelope
from trustgraph.headersig.text import Header
from trustgraph.model import Identity, IdentityKind, Result, UnixSeconds, day_of
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.policy.allowance import Draw, allowance_of, draw_for
from trustgraph.policy.decide import Policy, asks_for_allowance, decide
from trustgraph.policy.decision import Decision, Verdict
from trustgraph.policy.evidence import KEY_ABSENT, Evidence, Rated
from trustgraph.store.identities import operator_of
from trustgraph.verifier.keys import Lookup, NoKey


@dataclass(frozen=True, slots=True)
class Client:
    """Who delivers the message. ``host`` is confirmed by address (FCrDNS), ``helo`` only where ``helo_confirmed``."""

    host: str = ""
    ip: str = ""
    helo: str = ""
    helo_confirmed: bool = False
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """``names`` are those that are proved to be the client's."""
        names = frozenset({self.host, self.helo if self.helo_confirmed else ""} - {""})
        object.__setattr__(self, "names", names)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message on its way in, its header complete. ``others`` are identities that another filter authenticated."""

    fields: Sequence[Field]
    envelope: Envelope
    client: Client
    others: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A signature and what came of it. ``by_client``: made in the name of the connecting host."""

    presented: Presented
    finding: Finding
    by_client: bool = False
    envelope: bool | None = None

    def with_body(self, body_hash: bytes | None) -> Checked:
        """The same, with the body compared if the header holds."""
        if self.finding.result is not Result.PASS:
            return self
        return Checked(self.presented, check_body(self.presented, body_hash), self.by_client, self.envelope)


@dataclass(frozen=True, slots=True)
class Examined:
    """What the header alone says; the bodies of signatures that pass so far are still to be compared."""

    incoming: Incoming
    checked: tuple[Checked, ...]
    at: UnixSeconds

    @property
    def needs_body(self) -> bool:
        """Whether a signature that passes so far covers the body."""
        return any(
            one.finding.result is Result.PASS and one.presented.signature and one.presented.signature.body_hash
            for one in self.checked
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """The end of it: everything that was found out, and what follows.

    ``drawn`` is what a newcomer's message took of the allowance, to be given back if it is not let in after all.
    """

    checked: tuple[Checked, ...]
    evidence: Evidence
    decision: Decision
    drawn: Draw | None = None


class Keys(Protocol):
    """See :class:`trustgraph.verifier.keys.KeySource`."""

    async def get(self, fingerprint: str, *, may_ask: bool = True) -> Lookup:
        """The certificate, or why there is none."""
        ...


class Standings(Protocol):
    """See :class:`trustgraph.verifier.standing.StandingSource`."""

    async def rated(self, identities: Sequence[Identity]) -> tuple[Rated, ...]:
        """Each identity with its rating."""
        ...

    async def is_expected_to_sign(self, host: str, now: UnixSeconds) -> bool:
        """Whether mail from a host was seen to be signed by it."""
        ...


_FIELD = FIELD.lower()

#: A header with a line end inside a field: no signature over it can be computed.
_UNREADABLE = (Checked(Presented(b"", None), Finding(Result.PERMERROR, "malformed-header")),)

#: Whether a HELO name resolves to an address: (name, address).
ConfirmHelo: TypeAlias = Callable[[str, str], Awaitable[bool]]


async def never_confirmed(_helo: str, _address: str) -> bool:
    """For callers who have no DNS, or have asked it already."""
    return False


class Counting(Protocol):
    """See :class:`trustgraph.verifier.counters.Counters`."""

    def delivered(self, signature: bytes, recipients: Sequence[bytes], expires_at: UnixSeconds) -> int:
        """Recipients that a signature was delivered to."""
        ...

    def admit(self, draw: Draw) -> bool:
        """Whether one more newcomer's message may come in."""
        ...


class Verifier:
    """Judges messages. ``clock`` gives Unix seconds. Whatever goes wrong is raised: nothing here accepts by default."""

    def __init__(
        self,
        keys: Keys,
        standings: Standings,
        counters: Counting,
        policy: Policy,
        clock: Callable[[], UnixSeconds],
        confirm_helo: ConfirmHelo = never_confirmed,
    ) -> None:
        self._confirm_helo = confirm_helo
        self._keys = keys
        self._standings = standings
        self._counters = counters
        self._policy = policy
        self._clock = clock

    async def examine(self, incoming: Incoming) -> Examined:
        """Check the signatures as far as the header goes, the connecting host's own first, then from the top."""
        at = self._clock()
        if not any(name.lower() == _FIELD for name, _ in incoming.fields):
            return Examined(incoming, (), at)
        try:
            header = Header(incoming.fields)
        except BadInput:
            return Examined(incoming, _UNREADABLE, at)
        presented = presented_signatures(header)
        client = incoming.client
        maybe = [
            one.signature is not None and one.signature.domain in {*client.names, client.helo} for one in presented
        ]
        findings: dict[int, Finding] = {}
        may_ask = True
        for place in sorted(range(len(presented)), key=lambda place: not maybe[place]):
            findings[place], asked = await self._check(presented[place], header, at, may_ask)
            may_ask = may_ask and not asked
        known = await self._known(client, [one for place, one in enumerate(presented) if _has_key(findings[place])])
        if known is not client:
            incoming = replace(incoming, client=known)
        checked = tuple(
            Checked(one, findings[place], _is_by(one, known), _envelope(one, incoming.envelope))
            for place, one in enumerate(presented)
        )
        return Examined(incoming, checked, at)

    async def conclude(self, examined: Examined, body_hash: bytes | None) -> Judged:
        """Compare bodies, find the host that answers, and decide. ``body_hash`` is needed if ``needs_body``."""
        checked = tuple(one.with_body(body_hash) for one in examined.checked)
        evidence = await self._evidence(checked, examined)
        decision = decide(evidence, self._policy, examined.at)
        if not asks_for_allowance(decision):
            return Judged(checked, evidence, decision)
        allowance, payers = allowance_of(evidence, self._policy), payers_of(evidence)
        recipients = len(examined.incoming.envelope.recipients)
        direct = is_direct(evidence, allowance.earned_by, payers)
        draw = draw_for(allowance, payers, day_of(examined.at), recipients, direct=direct)
        if not self._counters.admit(draw):
            return Judged(checked, evidence, decision)
        evidence = replace(evidence, allowance_left=True)
        return Judged(checked, evidence, decide(evidence, self._policy, examined.at), draw)

    async def conclude_early(self, examined: Examined) -> Judged | None:
        """A refusal that no body could change, if the header earns one."""
        if examined.needs_body:
            return None
        evidence = await self._evidence(examined.checked, examined)
        decision = decide(evidence, self._policy, examined.at)
        final = decision.verdict in (Verdict.REJECT, Verdict.TEMPFAIL, Verdict.DISCARD)
        if not final or asks_for_allowance(decision):
            return None
        return Judged(examined.checked, evidence, decision)

    async def _known(self, client: Client, presented: Sequence[Presented]) -> Client:
        """The client with its HELO name confirmed, where a signature by a key that exists makes that matter."""
        named = {one.signature.domain for one in presented if one.signature}
        if client.helo not in named - client.names or not client.ip:
            return client
        return replace(client, helo_confirmed=await self._confirm_helo(client.helo, client.ip))

    async def _check(
        self, presented: Presented, header: Header, at: UnixSeconds, may_ask: bool
    ) -> tuple[Finding, bool]:
        """The finding, and whether keyservers were asked for it."""
        if (wrong := check_form(presented, header, at)) or presented.signature is None:
            return wrong or Finding(Result.PERMERROR, "malformed-signature"), False
        fingerprint = presented.signature.fingerprint
        key, asked = await self._keys.get(fingerprint, may_ask=may_ask)
        if isinstance(key, HostCertificate):
            return check_header(presented, header, key, at), asked
        if key is NoKey.ABSENT:
            return Finding(Result.PERMERROR, KEY_ABSENT), asked
        if asked:
            return Finding(Result.TEMPERROR, "keyservers-unreachable"), asked
        return Finding(Result.NEUTRAL, "key-not-looked-up"), asked

    async def _evidence(self, checked: Sequence[Checked], examined: Examined) -> Evidence:
        client = examined.incoming.client
        counting = responsible_signature(checked)
        passed = counting is not None and counting.finding.result is Result.PASS
        identities = [*examined.incoming.others, *_client_identities(client)]
        signature = counting.presented.signature if counting else None
        if passed and signature:
            identities.insert(0, Identity.openpgp(signature.fingerprint))
        rated = list(await self._standings.rated(identities))
        responsible = None
        if passed and signature:
            responsible = rated.pop(0)
            if responsible.host != signature.domain:  # one key may be of several hosts
                responsible = replace(responsible, host=signature.domain)
        headers_only = bool(passed and signature and signature.body_hash is None)
        # A pass that may not suffice is not to fare better than none, unless it is the host's own way to sign.
        by_client = counting is not None and counting.by_client
        expected = (not passed or (headers_only and not by_client)) and any(
            [await self._standings.is_expected_to_sign(name, examined.at) for name in sorted(client.names)]
        )
        return Evidence(
            result=counting.finding.result if counting else Result.NONE,
            reason=counting.finding.reason if counting else "",
            by_client=by_client,
            responsible=responsible,
            seen_to_sign=expected,
            others=tuple(rated),
            headers_only=headers_only,
            replayed=bool(passed and counting and self._is_replayed(counting, examined)),
            client_host=client.host or next(iter(client.names), ""),
            client_ip=client.ip,
        )

    def _is_replayed(self, counting: Checked, examined: Examined) -> bool:
        """A signature bound to one recipient cannot be sent round, nor one that its own maker delivers."""
        signature = counting.presented.signature
        recipients = examined.incoming.envelope.recipients
        if signature is None or counting.by_client or signature.recipient is not None or not recipients:
            return False
        delivered = self._counters.delivered(replay_key(counting.presented), recipients, signature.expires_at)
        return delivered > self._policy.signature_recipients


def responsible_signature(checked: Sequence[Checked]) -> Checked | None:
    """The signature that counts: the connecting host's own, whatever came of it; else the newest that passes in its
    envelope; else whichever speaks most against the message; None without any.
    """
    own = [one for one in checked if one.by_client]
    if own:
        return next((one for one in own if one.finding.result is Result.PASS), own[0])
    passing = [one for one in checked if one.finding.result is Result.PASS]
    for one in passing:
        if one.envelope:
            return one
    if passing and all(one.finding.result is not Result.TEMPERROR for one in checked):
        return replace(passing[0], finding=Finding(Result.POLICY, "envelope-differs"))
    # A key that could not be looked up may be the one that would have passed, so it comes before what did not.
    order = (Result.TEMPERROR, Result.FAIL, Result.PERMERROR, Result.POLICY)
    return min(
        (one for one in checked if one.finding.result in order),
        key=lambda one: order.index(one.finding.result),
        default=None,
    )


def payers_of(evidence: Evidence) -> tuple[str, ...]:
    """Whose allowance a newcomer's message draws on: the client's address and, where its name is proved, its operator.

    The name is the one that it signs by, else that of its address. Both pay, since below some domains (dynamic DNS)
    names are free, and a key's own User ID proves none at all.
    """
    signing = evidence.responsible.host if evidence.by_client and evidence.responsible else ""
    host = signing or evidence.client_host
    address = _operator_of_address(evidence.client_ip)
    return (operator_of(host), address) if host else (address,)


def is_direct(evidence: Evidence, earned_by: Identity | None, payers: Sequence[str]) -> bool:
    """Whether the client is of the identity's own; signed mail others can deliver again, as it was or elsewhere."""
    if earned_by is None or earned_by.kind not in (IdentityKind.OPENPGP, IdentityKind.DKIM):
        return True
    return evidence.by_client if earned_by.kind is IdentityKind.OPENPGP else operator_of(earned_by.value) in payers


def _operator_of_address(ip: str) -> str:
    """In IPv6 the network of a site (RFC 6177), in which an address costs nothing."""
    return f"ip:{ip_network((ip, 64), strict=False)}" if ":" in ip else f"ip:{ip}"


def _has_key(finding: Finding) -> bool:
    return finding.reason != KEY_ABSENT and finding.result not in (Result.TEMPERROR, Result.NEUTRAL)


def _is_by(presented: Presented, client: Client) -> bool:
    return presented.signature is not None and presented.signature.domain in client.names


def _envelope(presented: Presented, envelope: Envelope) -> bool | None:
    return envelope_holds(presented.signature, envelope) if presented.signature else None


def _client_identities(client: Client) -> list[Identity]:
    names = [Identity.helo(name) for name in sorted(client.names)]
    return [*names, Identity.ip(client.ip)] if client.ip else names
