"""What the store knows, put before the rules of endorsing: who has earned one, who has lost it, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from trustgraph.endorsement.history import Mail, sum_up
from trustgraph.endorsement.plan import Plan, Self, make_plan
from trustgraph.endorsement.rules import Rules
from trustgraph.endorsement.subject import Cause, KeyFacts, Subject
from trustgraph.errors import ConfigurationError, NoInput
from trustgraph.model import SECONDS_PER_DAY, DailyCount, Day, Identity, UnixSeconds, day_of
from trustgraph.services.keymaking import open_key
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.endorsement_facts import (
    first_good_days,
    given_by,
    key_facts,
    own_counts,
    successions,
)
from trustgraph.store.identities import operator_of
from trustgraph.store.own_endorsements import made_since, own_issuers, pins, serials

_WEEK_SECONDS = 7 * SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class Situation:
    """A plan, and what carrying it out needs of the same moment: serials by (subject, User ID), first good days."""

    plan: Plan
    serials: Mapping[tuple[str, str], int]
    first_days: Mapping[str, Day]


def rules_of(settings: Settings) -> Rules:
    """What the settings ask for."""
    asked = settings.endorsement
    return Rules(
        good_mails=asked.good_mails,
        days=asked.days,
        max_bad_share=asked.max_bad_share,
        window_days=int(asked.window_seconds // SECONDS_PER_DAY),
        lifetime_seconds=int(asked.lifetime_seconds),
        renew_after_seconds=int(asked.renew_after_seconds),
        budget_per_week=asked.budget_per_week,
        revoke_bad_mails=asked.revoke_bad_mails,
        revoke_window_days=int(asked.revoke_window_seconds // SECONDS_PER_DAY),
        confirmed_hosts=asked.confirmed_hosts,
    )


def own_host(settings: Settings) -> str:
    """Under whose name mail was observed. Raises :class:`ConfigurationError` without ``site.hostname``."""
    if not settings.site.hostname:
        raise ConfigurationError("site.hostname: expected this host's FQDN, whose own observations earn endorsements")
    return settings.site.hostname


def read_situation(store: Store, settings: Settings, now: UnixSeconds) -> Situation:
    """The plan for ``now``; everything is read at one moment."""
    host, rules, issuer = own_host(settings), rules_of(settings), own_fingerprint(settings)
    with store.reading() as connection:
        facts = _Facts(connection, Identity.helo(host), issuer, rules, now)
        subjects = list(facts.subjects())
        issued = made_since(connection, UnixSeconds(now - _WEEK_SECONDS), Cause.EARNED)
        plan = make_plan(subjects, Self(issuer, operator_of(host), issued), rules, now)
        earning = {e.subject.fingerprint for e in plan.entries if e.user_id}
        first_days = first_good_days(connection, Identity.helo(host), earning)
        return Situation(plan, serials(connection), first_days)


def own_fingerprint(settings: Settings) -> str:
    """This host's key; empty if there is none yet."""
    try:
        return open_key(settings).fingerprint
    except NoInput:
        return ""


class _Facts:
    """What one reading of the store tells about every key that mail, an endorsement or a pin speaks of."""

    def __init__(
        self, connection: sa.Connection, observer: Identity, issuer: str, rules: Rules, now: UnixSeconds
    ) -> None:
        self._rules, self._now = rules, now
        self._given = given_by(connection, (own_issuers(connection) | {issuer}) - {""})
        self._pins = pins(connection)
        endorsed = [key for key, given in self._given.items() if any(one.in_force(now) for one in given)]
        offered = successions(connection, endorsed, now)
        involved = {key for one in offered for key in (one.old, one.new)}
        self._mails: dict[str, Mail] = {}
        self._hosts: dict[str, str] = {}
        self._counts: dict[str, list[DailyCount]] = {}
        first_day = Day(day_of(now) - rules.window_days)
        for fingerprint, host, counts in own_counts(connection, observer, first_day):
            self._hosts[fingerprint] = host
            self._mails[fingerprint] = self._sum_up(fingerprint, counts)
            if fingerprint in involved:
                self._counts[fingerprint] = counts
        known = {*self._mails, *self._given, *self._pins, *involved}
        self._keys = key_facts(connection, known)
        self._predecessors: dict[str, list[str]] = {}
        for one in offered:
            if self._hands_over(one.old, one.new, one.host):
                self._predecessors.setdefault(one.new, []).append(one.old)
        self._known = known - involved | {*self._mails, *self._given, *self._pins, *self._predecessors}

    def subjects(self) -> Iterable[Subject]:
        """One for each key, in the order of fingerprints."""
        for fingerprint in sorted(self._known):
            key = self._keys.get(fingerprint)
            before = self._predecessors.get(fingerprint, [])
            together = [count for one in (fingerprint, *before) for count in self._counts.get(one, [])]
            mail = self._sum_up(fingerprint, together) if before else self._mails.get(fingerprint, Mail())
            yield Subject(
                fingerprint=fingerprint,
                host=self._name(fingerprint, key),
                mail=mail,
                key=key,
                given=tuple(self._given.get(fingerprint, ())),
                pin=self._pins.get(fingerprint),
                succeeds=", ".join(before),
            )

    def _name(self, fingerprint: str, key: KeyFacts | None) -> str:
        hosts = [host for _, host in key.user_ids] if key else []
        confirmed = [host for host in hosts if key and host in key.confirmed]
        return next(iter([*confirmed, *hosts]), self._hosts.get(fingerprint, ""))

    def _sum_up(self, fingerprint: str, counts: Iterable[DailyCount]) -> Mail:
        revoked = [one.revoked_at for one in self._given.get(fingerprint, ()) if one.revoked_at is not None]
        return sum_up(
            counts,
            day_of(self._now),
            window_days=self._rules.window_days,
            recent_days=self._rules.revoke_window_days,
            good_after=day_of(max(revoked)) if revoked else None,
        )

    def _hands_over(self, old: str, new: str, host: str) -> bool:
        """Whether mail of the old key speaks for the new one, which came from the host's own address since.

        Anybody can name a host in a key and have that key sign others. So the old one has to be endorsed by us as this
        very host, or a stranger's bad mail could be put on the new one.
        """
        endorsed = any(one.host == host and one.in_force(self._now) for one in self._given.get(old, ()))
        key = self._keys.get(new)
        confirmed = key is not None and (host in key.confirmed or not self._rules.confirmed_hosts)
        return endorsed and confirmed
