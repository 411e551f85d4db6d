"""The table: what a message is worth under a profile. The same evidence always gives the same decision.

======================================  ==================  =====================================  ===================
evidence                                strict              transition                             reply
======================================  ==================  =====================================  ===================
broken                                  tempfail            tempfail                               451 4.3.0
denied by the operator                  reject              reject                                 550 5.7.1
temperror                               tempfail or hold    the same                               451 4.7.5
fail, permerror by the client itself    reject or discard   reject or discard                      550 5.7.7
fail, permerror by another hop          reject or discard   as none                                550 5.7.7
replayed                                reject              reject                                 550 5.7.7
key absent                              reject              as none                                550 5.7.0
policy (the header alone is signed)     reject              as none                                550 5.7.0
pass, accepted                          accept              accept
pass, probation or unrated              reject              accept tagged within the allowance     550 5.7.1, 451 4.7.1
the same, another identity accepted     reject              accept tagged                          550 5.7.1
pass, refused, or not accepted while    reject              reject                                 550 5.7.1
another identity of it is refused
none, the client seen to sign           reject              reject                                 550 5.7.0
none, never seen to sign                reject              by the other identities' standing; if  550 5.7.0, 451 4.7.1
                                                            it is none, accept tagged, and where
                                                            the site says so within the allowance
======================================  ==================  =====================================  ===================

``monitor`` decides as ``transition`` does and then accepts, saying what it would have done; only a message that could
not be judged at all is put off. An operator's ``allow`` stands in for a standing and for a missing signature, never for
a signature that is wrong. A rating that has run out no longer lifts anybody; a bad one stays bad until the next run.
How large the allowance is, and who draws on it, is in :mod:`allowance`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from trustgraph.model import Result, Standing, UnixSeconds
from trustgraph.policy.decision import Decision, Reply, Verdict
from trustgraph.policy.evidence import KEY_ABSENT, Evidence, Rated
from trustgraph.policy.overrides import Override, matching
from trustgraph.scoring.standing import standing_of

Profile: TypeAlias = Literal["strict", "transition", "monitor"]


@dataclass(frozen=True, slots=True)
class Policy:
    """A site's rules. ``accept`` and ``refuse`` are ratings; ``headers_suffice``: a signature without body counts.

    ``on_unsigned_newcomer``: whether unsigned mail by nobody known is let in tagged, or that within the allowance only.
    ``newcomer_*``: see :mod:`allowance`. ``signature_recipients``: to how many others than its maker may deliver one.
    """

    profile: Profile = "transition"
    accept: float = 0.5
    refuse: float = 0.1
    on_unreachable: Literal["tempfail", "quarantine"] = "tempfail"
    on_forged: Literal["reject", "discard"] = "reject"
    on_newcomer: Literal["tag", "quarantine"] = "tag"
    on_unsigned_newcomer: Literal["tag", "allowance"] = "tag"
    headers_suffice: bool = True
    newcomer_messages: int = 50
    newcomer_messages_in_all: int = 2_000
    newcomer_growth: float = 10.0
    signature_recipients: int = 1_000
    overrides: tuple[Override, ...] = ()


_FORGED = "the header signature does not match this message"
_STANDING = "this host does not have the standing to send here"
_UNSIGNED = "a header signature by a key that can be looked up is required"
_TOO_MUCH = Reply(451, "4.7.1", "too much mail from a host without standing today")

ALLOWANCE_USED, UNSIGNED_ALLOWANCE_USED = "newcomer-allowance-used", "unsigned-allowance-used"

#: Every reason, with the reply that goes with it where there is one.
REASONS: dict[str, Reply | None] = {
    "verifier-broken": Reply(451, "4.3.0", "this message cannot be checked now"),
    "denied": Reply(550, "5.7.1", _STANDING),
    "allowed": None,
    "keyservers-unreachable": Reply(451, "4.7.5", "no keyserver could be asked for the key of this signature"),
    "forged": Reply(550, "5.7.7", _FORGED),
    "replayed": Reply(550, "5.7.7", "this header signature was delivered to too many recipients"),
    "key-absent": Reply(550, "5.7.0", "the key of this header signature is on no keyserver"),
    "headers-only": Reply(550, "5.7.0", "a header signature over the body as well is required"),
    "unsigned": Reply(550, "5.7.0", _UNSIGNED),
    "signature-expected": Reply(550, "5.7.0", "this host signs its mail, and this message is not signed by it"),
    "accepted": None,
    "newcomer": None,
    "known-otherwise": None,
    ALLOWANCE_USED: _TOO_MUCH,
    "no-standing": Reply(550, "5.7.1", _STANDING),
    "refused": Reply(550, "5.7.1", _STANDING),
    "unsigned-accepted": None,
    "unsigned-unrated": None,
    UNSIGNED_ALLOWANCE_USED: _TOO_MUCH,
    "unsigned-refused": Reply(550, "5.7.1", _STANDING),
}


def decide(evidence: Evidence, policy: Policy, now: UnixSeconds) -> Decision:
    """The verdict on one message."""
    if evidence.broken:
        return _decision(Verdict.TEMPFAIL, "verifier-broken")
    overrides = matching(policy.overrides, evidence, now)
    profile = profile_for(overrides, policy)
    decision = _decide(evidence, policy, profile, overrides, now)
    if profile == "monitor":
        tagged = decision.tagged or decision.verdict is not Verdict.ACCEPT
        return replace(decision, verdict=Verdict.ACCEPT, reply=None, tagged=tagged, would_be=decision.verdict)
    return decision


def asks_for_allowance(decision: Decision) -> bool:
    """Whether the decision would be another with ``allowance_left``."""
    return decision.reason in (ALLOWANCE_USED, UNSIGNED_ALLOWANCE_USED)


def counts_as_signed(evidence: Evidence, policy: Policy) -> bool:
    """Whether there is a signature that passes, and is of the kind that this site wants."""
    return evidence.result is Result.PASS and (policy.headers_suffice or not evidence.headers_only)


def standing_under(rated: Rated | None, policy: Policy, now: UnixSeconds) -> Standing:
    """How an identity stands now. Nothing known, or a good rating that has run out, is no standing."""
    if rated is None or rated.rating is None:
        return Standing.UNRATED
    standing = standing_of(rated.rating, rated.sample_size, rated.endorsers, accept=policy.accept, refuse=policy.refuse)
    if standing is Standing.ACCEPTED and rated.expires_at <= now:
        return Standing.PROBATION
    return standing


def profile_for(overrides: Iterable[Override], policy: Policy) -> Profile:
    """What a message is judged by that these overrides speak of: the first that names a profile."""
    for one in overrides:
        if one.action == "strict" or one.action == "transition" or one.action == "monitor":  # noqa: PLR1714 - narrows
            return one.action
    return policy.profile


def _decide(
    evidence: Evidence, policy: Policy, profile: Profile, overrides: list[Override], now: UnixSeconds
) -> Decision:
    denied = next((one for one in overrides if one.action == "deny"), None)
    if denied:
        return _decision(Verdict.REJECT, "denied", note=denied.note)
    if wrong := _wrong_signature(evidence, policy, profile):
        return wrong
    allowed = next((one for one in overrides if one.action == "allow"), None)
    if allowed:
        return _decision(Verdict.ACCEPT, "allowed", note=allowed.note)
    if counts_as_signed(evidence, policy):
        return _by_standing(evidence, policy, profile, now)
    expected = evidence.seen_to_sign and not any(one.action == "need-not-sign" for one in overrides)
    return _unsigned(evidence, policy, profile, expected, now)


def _wrong_signature(evidence: Evidence, policy: Policy, profile: Profile) -> Decision | None:
    """What is decided before anybody's standing is looked at."""
    if evidence.result is Result.TEMPERROR:
        held = policy.on_unreachable == "quarantine"
        return _decision(Verdict.QUARANTINE if held else Verdict.TEMPFAIL, "keyservers-unreachable")
    if evidence.replayed:
        return _decision(Verdict.REJECT, "replayed")
    malformed = evidence.result is Result.PERMERROR and evidence.reason != KEY_ABSENT
    forged = evidence.result is Result.FAIL or malformed
    if forged and (evidence.by_client or profile == "strict"):
        return _decision(Verdict.DISCARD if policy.on_forged == "discard" else Verdict.REJECT, "forged")
    return None


def _by_standing(evidence: Evidence, policy: Policy, profile: Profile, now: UnixSeconds) -> Decision:
    standing = standing_under(evidence.responsible, policy, now)
    if evidence.responsible is None:
        return _decision(Verdict.REJECT, "no-standing", standing)
    if standing is Standing.ACCEPTED:
        return _decision(Verdict.ACCEPT, "accepted", standing)
    # A new key of a domain or an address that is known to be bad is no newcomer.
    others = [standing_under(one, policy, now) for one in evidence.others]
    if Standing.REFUSED in (standing, *others):
        return _decision(Verdict.REJECT, "refused", Standing.REFUSED)
    if profile == "strict":
        return _decision(Verdict.REJECT, "no-standing", standing)
    if Standing.ACCEPTED in others:
        # Unsigned it would be let in for that identity: nobody's mail is to wait because he began to sign.
        return _decision(Verdict.ACCEPT, "known-otherwise", standing, tagged=True)
    return _within_allowance(evidence, policy, standing, "newcomer", ALLOWANCE_USED)


def _unsigned(evidence: Evidence, policy: Policy, profile: Profile, expected: bool, now: UnixSeconds) -> Decision:
    """Mail without a signature that counts: by the worst, then the best, that is known of its other identities."""
    if profile == "strict":
        return _decision(Verdict.REJECT, _why_unsigned(evidence))
    if expected:
        return _decision(Verdict.REJECT, "signature-expected")
    standings = {standing_under(one, policy, now) for one in evidence.others}
    if Standing.REFUSED in standings:
        return _decision(Verdict.REJECT, "unsigned-refused", Standing.REFUSED)
    if Standing.ACCEPTED in standings:
        return _decision(Verdict.ACCEPT, "unsigned-accepted", Standing.ACCEPTED)
    known = Standing.PROBATION if Standing.PROBATION in standings else Standing.UNRATED
    if policy.on_unsigned_newcomer == "tag":
        return _decision(Verdict.ACCEPT, "unsigned-unrated", known, tagged=True)
    return _within_allowance(evidence, policy, known, "unsigned-unrated", UNSIGNED_ALLOWANCE_USED)


def _within_allowance(evidence: Evidence, policy: Policy, standing: Standing, reason: str, beyond: str) -> Decision:
    if not evidence.allowance_left:
        return _decision(Verdict.TEMPFAIL, beyond, standing)
    held = policy.on_newcomer == "quarantine"
    return _decision(Verdict.QUARANTINE if held else Verdict.ACCEPT, reason, standing, tagged=True)


def _why_unsigned(evidence: Evidence) -> str:
    if evidence.result is Result.PASS:
        return "headers-only"
    return "key-absent" if evidence.reason == KEY_ABSENT else "unsigned"


def _decision(
    verdict: Verdict, reason: str, standing: Standing | None = None, *, tagged: bool = False, note: str = ""
) -> Decision:
    reply = REASONS[reason] if verdict in (Verdict.REJECT, Verdict.TEMPFAIL) else None
    return Decision(verdict, reason, standing, reply, tagged, would_be=verdict, note=note)
