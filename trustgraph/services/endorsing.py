"""Endorsing end to end: plan, ask the keyservers, sign, record, publish, read back.

Nothing leaves the house that is not on record, and what is on record is published until every keyserver was seen to
have it, in this run or a later one. So it does not matter where a run is killed: what was signed and not recorded is
forgotten, and what was recorded is the same packet whenever it is published again.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trustgraph.endorsement.plan import Action, Entry, Plan
from trustgraph.endorsement.subject import Given
from trustgraph.errors import BadInput, NoInput, StoreBusy
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.signature import SignatureType
from trustgraph.services.endorsement_keys import Copies, fetch
from trustgraph.services.endorsement_making import (
    Issuer,
    certify,
    keep_own_key,
    notations_of,
    open_former_issuer,
    open_issuer,
    revoke,
)
from trustgraph.services.endorsement_planning import own_host, read_situation, rules_of
from trustgraph.services.endorsement_publishing import Publication, count_unpublished
from trustgraph.services.endorsement_publishing import publish as publish_all
from trustgraph.services.gate import state_of
from trustgraph.services.log import EventLog
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.accepting import read_certificate
from trustgraph.store.own_endorsements import (
    REVOKED,
    Statement,
    add_certification,
    add_revocation,
)
from trustgraph.verifier.keys import NoKey

#: Keys of which nothing is known yet but their good mail, fetched in one run at most.
MAX_UNKNOWN = 200

#: Fewer keyservers than this are worth a word.
WANTED_KEYSERVERS = 2


@dataclass(frozen=True, slots=True)
class EndorseRun:
    """What a run did: its plan, the entries that were carried out, what the keyservers gave back, and remarks.

    ``unpublished``: keys of which some keyserver still lacks what is on record.
    """

    plan: Plan
    done: tuple[Entry, ...]
    published: tuple[Publication, ...]
    unpublished: int
    notes: tuple[str, ...]


def plan_endorsements(store: Store, settings: Settings, now: UnixSeconds) -> Plan:
    """What a run would do, from what is known now; asks nobody and changes nothing."""
    return read_situation(store, settings, now).plan


def endorse(
    store: Store, settings: Settings, now: UnixSeconds, *, publish: bool, log: EventLog | None = None
) -> EndorseRun:
    """Issue, renew and revoke what the plan says, and with ``publish`` bring all that is on record to the keyservers.

    Raises :class:`NoInput` without a host key, :class:`ConfigurationError` for one that cannot vouch,
    :class:`StoreBusy` while another run is under way.
    """
    own_host(settings)
    issuer = open_issuer(settings, now)
    with _alone(settings):
        run = _Run(store, settings, issuer, now, log or _quiet)
        run.carry_out()
        return run.finish(publish=publish)


class _Run:
    """One run, under the lock."""

    def __init__(self, store: Store, settings: Settings, issuer: Issuer, now: UnixSeconds, log: EventLog) -> None:
        self._store, self._settings, self._issuer, self._now, self._log = store, settings, issuer, now, log
        self._rules = rules_of(settings)
        self._notes: list[str] = []
        self._done: list[Entry] = []
        self._copies = self._learn()
        self._situation = read_situation(store, settings, now)
        self._serials = dict(self._situation.serials)

    def _learn(self) -> Copies:
        """Ask for all who may be endorsed or revoked, before it is decided for good."""
        plan = read_situation(self._store, self._settings, self._now).plan
        wanted = [e.subject.fingerprint for e in plan.of(Action.ISSUE, Action.RENEW, Action.REVOKE)]
        wanted += [e.subject.fingerprint for e in plan.entries if e.unknown][:MAX_UNKNOWN]
        keep_own_key(self._store, self._issuer, self._now)
        return fetch(self._store, self._settings, wanted, self._now)

    def carry_out(self) -> None:
        """What the plan says, each statement by itself: what one key is the matter with stops no other."""
        for entry in self._situation.plan.of(Action.REVOKE, Action.ISSUE, Action.RENEW):
            try:
                done = self._revoke(entry) if entry.action is Action.REVOKE else self._certify(entry)
            except (BadInput, NoInput) as error:
                self._remark(entry, str(error))
                continue
            if done:
                self._done.append(entry)
                subject = entry.subject
                self._log(
                    f"endorsement_{_PAST[entry.action]}", key=subject.fingerprint, host=subject.host, why=entry.why
                )

    def finish(self, *, publish: bool) -> EndorseRun:
        """Publish, and sum up."""
        servers = len(self._settings.keyservers.urls)
        if publish and servers < WANTED_KEYSERVERS:
            self._notes.append(f"keyservers.urls: {servers} configured; an endorsement should be on at least two")
        published = self._publish() if publish else []
        left = count_unpublished(self._store, self._settings, self._now)
        return EndorseRun(self._situation.plan, tuple(self._done), tuple(published), left, tuple(self._notes))

    def _publish(self) -> list[Publication]:
        raw = {key: copy.raw for key, copy in self._copies.found.items() if copy.raw is not None}
        published = publish_all(self._store, self._settings, raw, self._now)
        for one in published:
            what = "endorsement_published" if one.ok else "endorsement_not_published"
            self._log(what, key=one.subject, server=one.server, why=one.reason or None)
        return published

    def _certify(self, entry: Entry) -> bool:
        fingerprint, mail = entry.subject.fingerprint, entry.mail
        copy = self._copies.found.get(fingerprint)
        if copy is None:
            absent = self._copies.missing.get(fingerprint) is NoKey.ABSENT
            raise NoInput(
                "no keyserver has its key" if absent else "no keyserver could say whether its key still lives"
            )
        _require_live(copy.certificate, entry, self._now)
        expires_at = UnixSeconds(self._now + self._rules.lifetime_seconds)
        revoked = any(given.revoked_at is not None for given in entry.subject.given)
        first_day = mail.first_day if revoked else self._situation.first_days.get(fingerprint, mail.first_day)
        packet, key, certification = certify(
            *(self._issuer, copy.certificate, entry.user_id, self._now, expires_at),
            notations_of(mail.good, first_day),
        )
        statement = self._statement(entry, entry.user_id, SignatureType.GENERIC, packet, self._now, expires_at)
        return self._recorded(statement, add_certification(self._store, statement, key, certification))

    def _revoke(self, entry: Entry) -> bool:
        """Every certification of it in force, by whichever of our keys."""
        certificate = self._certificate(entry.subject.fingerprint)
        said = False
        for given in entry.subject.given:
            if given.in_force(self._now):
                try:
                    said |= self._take_back(entry, given, certificate)
                except (BadInput, NoInput) as error:
                    self._remark(entry, str(error))
        return said

    def _take_back(self, entry: Entry, given: Given, certificate: HostCertificate) -> bool:
        issuer = self._issuer_of(given)
        at = UnixSeconds(max(self._now, given.made_at))  # a revocation ends what is not younger than itself
        packet = revoke(issuer, certificate, given.user_id, at)
        type_ = SignatureType.CERTIFICATION_REVOCATION
        statement = self._statement(entry, given.user_id, type_, packet, at, given.expires_at, given.issuer)
        return self._recorded(statement, add_revocation(self._store, statement))

    def _certificate(self, fingerprint: str) -> HostCertificate:
        """For taking something back any copy will do, however old."""
        if copy := self._copies.found.get(fingerprint):
            return copy.certificate
        row = read_certificate(self._store, fingerprint)
        if row is None:
            raise NoInput("its certificate is neither in the cache nor on a keyserver that answers")
        return read_host_certificate([row.octets], fingerprint, self._now)

    def _issuer_of(self, given: Given) -> Issuer:
        if given.issuer == self._issuer.secret.fingerprint:
            return self._issuer
        return open_former_issuer(self._settings, given.issuer, self._now)

    def _statement(
        self,
        entry: Entry,
        user_id: str,
        type_: SignatureType,
        packet: bytes,
        made_at: UnixSeconds,
        expires_at: UnixSeconds | None,
        issuer: str = "",
    ) -> Statement:
        subject = entry.subject.fingerprint
        return Statement(
            subject=subject,
            user_id=user_id,
            serial=self._serials.get((subject, user_id), 0),
            issuer=issuer or self._issuer.secret.fingerprint,
            type=type_,
            made_at=made_at,
            expires_at=expires_at,
            packet=packet,
            cause=REVOKED if type_ is SignatureType.CERTIFICATION_REVOCATION else entry.cause,
            why=entry.why,
        )

    def _recorded(self, statement: Statement, added: bool) -> bool:
        if not added:
            raise BadInput("another run has just spoken of it")
        self._serials[statement.subject, statement.user_id] = statement.serial + 1
        return True

    def _remark(self, entry: Entry, why: str) -> None:
        self._notes.append(f"{entry.subject.host or entry.subject.fingerprint}: not done ({entry.action}): {why}")
        self._log("endorsement_not_made", key=entry.subject.fingerprint, host=entry.subject.host, why=why)


_PAST = {Action.ISSUE: "issued", Action.RENEW: "renewed", Action.REVOKE: "revoked"}


def _require_live(certificate: HostCertificate, entry: Entry, now: UnixSeconds) -> None:
    """The last word before signing is the certificate's own."""
    if certificate.revoked or (certificate.expires_at is not None and certificate.expires_at <= now):
        raise BadInput("its key is revoked or has expired")
    claimed = dict(entry.subject.key.user_ids) if entry.subject.key else {}
    if claimed.get(entry.user_id) not in certificate.hosts:
        raise BadInput(f"by the rules that mail is judged by, {entry.user_id} is not its key's")


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """While it lasts no other run on this machine begins; killed, it holds nothing any more."""
    path = state_of(settings, "endorse.lock")
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreBusy(f"{path}: another run of endorse is under way") from None
        yield


def _quiet(_event: str, /, **_fields: object) -> None:
    """No log."""
