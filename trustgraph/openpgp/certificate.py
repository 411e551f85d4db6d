"""Verified signatures into facts: a certificate's HostKey, and the certifications that others made over its User IDs.

Nothing is believed that does not verify. The key's own state comes from its own signatures alone; designated revokers
are not supported. Revocations count whatever their hash; certifications need one that counted when they were made.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from trustgraph.model import Certification, HostKey, UnixSeconds, UserId
from trustgraph.openpgp.approval import Approvals, canonical_form
from trustgraph.openpgp.digest import SHA1
from trustgraph.openpgp.publickey import PublicKey
from trustgraph.openpgp.sections import Candidate, Fate, Section
from trustgraph.openpgp.selfsigned import Authority, KeyPolicy, is_hard, is_in_force
from trustgraph.openpgp.signature import SignatureType
from trustgraph.openpgp.userid import parse_user_id, user_id_text
from trustgraph.openpgp.verification import Verdict

#: Certifications and revocations kept of one issuer over one User ID: the newest.
MAX_PER_ISSUER = 16

#: Bounds on what is kept of one certificate. Only keys that sign in earnest can reach them: what does not verify is
#: never kept. What comes after is counted as superfluous, or left out in the case of User IDs.
MAX_USER_IDS = 1_000
MAX_KEPT_BYTES = 64 * 1024 * 1024
_GIVEN_BYTES = 600


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate comes to.

    ``canonical`` has for each of the ``certifications`` what an approval of it hashes. ``expired`` counts those that
    are no longer in force at the policy's time, ``user_ids_left_out`` User ID packets that the key does not claim.
    """

    host_key: HostKey
    certifications: tuple[Certification, ...]
    canonical: tuple[bytes, ...]
    fates: Counter[Fate]
    expired: int
    user_ids_left_out: int


@dataclass(frozen=True, slots=True)
class _Given:
    """A third party's verified signature, waiting for the rest of the certificate."""

    made_at: int
    digest: bytes
    fate: Fate
    certification: Certification | None
    canonical: bytes = b""


@dataclass(slots=True)
class _UserIdState:
    own_made_at: int = -1
    own_revoked_at: int = -1
    approvals: Approvals = field(default_factory=Approvals)
    given: dict[str, list[_Given]] = field(default_factory=dict)
    revoked: dict[str, list[_Given]] = field(default_factory=dict)

    def is_self_signed(self) -> bool:
        return self.own_made_at >= 0

    def is_claimed(self) -> bool:
        """Self-signed, or revoked by the key: what is left of a User ID that was self-signed once."""
        return self.own_made_at >= 0 or self.own_revoked_at >= 0

    def all_given(self) -> list[_Given]:
        return [given for kept in (*self.given.values(), *self.revoked.values()) for given in kept]


class Certificate:
    """One certificate, built up section by section."""

    def __init__(self, key: PublicKey, policy: KeyPolicy) -> None:
        self._key = key
        self._policy = policy
        self._fates: Counter[Fate] = Counter()
        self._user_ids: dict[bytes, _UserIdState] = {}
        self._packets = 0
        self._kept_bytes = 0
        self._claimed = 0
        self._authority = Authority(key)
        self._revoked_at: UnixSeconds | None = None
        self._hard_revoked = False

    def add(self, section: Section, verdicts: list[Verdict]) -> None:
        """Take in a section; ``verdicts`` are those on ``section.jobs()``, in order."""
        self._fates += section.fates
        self._packets = section.user_ids
        remaining = iter(verdicts)
        for candidate in section.candidates:
            issuer, verdict = _outcome(candidate, [next(remaining) for _ in candidate.issuers])
            if issuer.fingerprint == self._key.fingerprint:
                counts = self._is_own_in_force(candidate, verdict)
                self._fates[Fate.OWN if counts else Fate.OWN_BAD] += 1
                if counts:
                    self._add_own(section.user_id, candidate)
            elif section.user_id is not None:
                self._add_given(section.user_id, candidate, issuer, verdict)

    def finish(self) -> Facts:
        """The facts, once the last section is in."""
        fates = Counter(self._fates)
        kept: list[tuple[Certification, bytes]] = []
        claimed = {octets: state for octets, state in self._user_ids.items() if state.is_claimed()}
        for state in self._user_ids.values():
            for given in state.all_given():
                fates[given.fate if state.is_self_signed() else Fate.NOT_SELF_SIGNED] += 1
            if state.is_self_signed():
                kept += _certifications(state)
        return Facts(
            host_key=self._host_key(claimed),
            certifications=tuple(made for made, _ in kept),
            canonical=tuple(canonical for _, canonical in kept),
            fates=fates,
            expired=sum(_expired(made, self._policy.at) for made, _ in kept),
            user_ids_left_out=max(0, self._packets - len(claimed)),
        )

    def _host_key(self, claimed: dict[bytes, _UserIdState]) -> HostKey:
        key = self._key
        return HostKey(
            fingerprint=key.fingerprint,
            key_id=key.key_id,
            key_packet=key.packet,
            created_at=key.created_at,
            expires_at=self._authority.expires_at(),
            revoked_at=self._revoked_at,
            hard_revoked=self._hard_revoked,
            self_signed_at=self._authority.self_signed_at(),
            user_ids=tuple(_user_id(octets, state) for octets, state in claimed.items()),
        )

    def _is_own_in_force(self, candidate: Candidate, verdict: Verdict) -> bool:
        verified = verdict in (Verdict.GOOD, Verdict.WEAK_KEY)
        return verified and is_in_force(candidate.signature, candidate.statement, self._key, self._policy)

    def _add_own(self, user_id: bytes | None, candidate: Candidate) -> None:
        statement, type_ = candidate.statement, candidate.signature.type
        if type_ == SignatureType.KEY_REVOCATION:
            self._hard_revoked |= is_hard(statement)
            self._revoked_at = min(self._revoked_at or statement.made_at, statement.made_at)
        elif user_id is None:
            self._authority.add_direct(statement)
        else:
            state = self._state(user_id)
            if self._claimed >= MAX_USER_IDS and not state.is_claimed():
                return
            self._claimed += not state.is_claimed() and type_ != SignatureType.APPROVAL
            if type_ == SignatureType.APPROVAL:
                state.approvals.add(candidate.signature, statement.made_at)
            elif type_ == SignatureType.CERTIFICATION_REVOCATION:
                state.own_revoked_at = max(state.own_revoked_at, statement.made_at)
            else:
                state.own_made_at = max(state.own_made_at, statement.made_at)
                self._authority.add_user_id(statement)

    def _add_given(self, user_id: bytes, candidate: Candidate, issuer: PublicKey, verdict: Verdict) -> None:
        fate = self._judge_given(candidate, issuer, verdict)
        if fate not in (Fate.GOOD, Fate.REVOCATION, Fate.WEAK_SHA1, Fate.WEAK_KEY):
            self._fates[fate] += 1
            return
        if self._kept_bytes > MAX_KEPT_BYTES:
            self._fates[Fate.SUPERFLUOUS] += 1
            return
        state = self._state(user_id)
        kept = (state.revoked if fate is Fate.REVOCATION else state.given).setdefault(issuer.fingerprint, [])
        given = self._given(user_id, candidate, issuer, fate)
        if any(given.digest == other.digest for other in kept):
            self._fates[Fate.DUPLICATE] += 1
            return
        kept.append(given)
        self._kept_bytes += _GIVEN_BYTES + len(user_id) + len(given.canonical)
        kept.sort(key=lambda one: (-one.made_at, one.digest))
        for one in kept[MAX_PER_ISSUER:]:
            self._fates[Fate.SUPERFLUOUS] += 1
            self._kept_bytes -= _GIVEN_BYTES + len(user_id) + len(one.canonical)
        del kept[MAX_PER_ISSUER:]

    def _state(self, user_id: bytes) -> _UserIdState:
        return self._user_ids.setdefault(user_id, _UserIdState())

    def _judge_given(self, candidate: Candidate, issuer: PublicKey, verdict: Verdict) -> Fate:
        statement = candidate.statement
        if verdict is Verdict.UNSUPPORTED:
            return Fate.UNSUPPORTED
        if verdict is Verdict.BAD or statement.made_at < issuer.created_at:
            return Fate.BAD
        if statement.not_understood:
            return Fate.NOT_UNDERSTOOD
        if candidate.signature.type == SignatureType.CERTIFICATION_REVOCATION:
            return Fate.REVOCATION
        return Fate.LOCAL if not statement.exportable else self._strength(candidate, verdict)

    def _strength(self, candidate: Candidate, verdict: Verdict) -> Fate:
        if verdict is Verdict.WEAK_KEY:
            return Fate.WEAK_KEY
        weak = candidate.signature.hash_algorithm == SHA1 and candidate.statement.made_at > self._policy.sha1_cutoff
        return Fate.WEAK_SHA1 if weak else Fate.GOOD

    def _given(self, user_id: bytes, candidate: Candidate, issuer: PublicKey, fate: Fate) -> _Given:
        signature, statement = candidate.signature, candidate.statement
        identity = blake2b(signature.hashed + signature.material, digest_size=16).digest()
        if fate is Fate.REVOCATION:
            return _Given(statement.made_at, identity, fate, None)
        certification = Certification(
            issuer=issuer.fingerprint,
            subject=self._key.fingerprint,
            user_id=user_id_text(user_id),
            made_at=statement.made_at,
            expires_at=UnixSeconds(statement.made_at + statement.expires_in) if statement.expires_in else None,
            type=signature.type,
            depth=statement.depth,
            amount=statement.amount,
            regex=statement.regex,
            weak=fate is not Fate.GOOD,
            notations=statement.notations,
        )
        return _Given(statement.made_at, identity, fate, certification, canonical_form(signature))


def _outcome(candidate: Candidate, verdicts: list[Verdict]) -> tuple[PublicKey, Verdict]:
    """The key that made the signature; if none did, the first with the first verdict."""
    for issuer, verdict in zip(candidate.issuers, verdicts, strict=True):
        if verdict in (Verdict.GOOD, Verdict.WEAK_KEY):
            return issuer, verdict
    return candidate.issuers[0], verdicts[0]


def _certifications(state: _UserIdState) -> list[tuple[Certification, bytes]]:
    """Everything kept over a User ID, with the revocations of the same issuers and the owner's approval applied."""
    return [
        (
            _revoked(_approved(given, given.certification, state.approvals), state.revoked.get(issuer, [])),
            given.canonical,
        )
        for issuer, kept in state.given.items()
        for given in kept
        if given.certification
    ]


def _approved(given: _Given, certification: Certification, approvals: Approvals) -> Certification:
    """With the time at which the owner approved of it, if it is in force."""
    approved = approvals.made_at is not None and approvals.names(given.canonical)
    return replace(certification, approved_at=approvals.made_at) if approved else certification


def _revoked(certification: Certification, revocations: list[_Given]) -> Certification:
    """Revoked by the first revocation that is not older (RFC 9580 section 5.2.1.13)."""
    later = [given.made_at for given in revocations if given.made_at >= certification.made_at]
    return replace(certification, revoked_at=UnixSeconds(min(later))) if later else certification


def _user_id(octets: bytes, state: _UserIdState) -> UserId:
    user_id = parse_user_id(user_id_text(octets), _own_revocation(state))
    return replace(user_id, approvals_at=state.approvals.made_at)


def _own_revocation(state: _UserIdState) -> UnixSeconds | None:
    """A User ID is revoked unless it was certified anew afterwards."""
    return UnixSeconds(state.own_revoked_at) if state.own_revoked_at >= max(state.own_made_at, 0) else None


def _expired(certification: Certification, at: UnixSeconds) -> bool:
    return certification.expires_at is not None and certification.expires_at <= at
