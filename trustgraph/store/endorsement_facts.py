"""What endorsing decides by, read from the store: own daily counts, keys, what was certified before, successions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import sqlalchemy as sa

from trustgraph.endorsement.subject import Cause, Given, KeyFacts
from trustgraph.model import DailyCount, Day, Identity, IdentityKind, UnixSeconds, UserIdScope
from trustgraph.store import schema
from trustgraph.store.certificates import SCOPE_CODES
from trustgraph.store.identities import operator_of

_SMTP = SCOPE_CODES[UserIdScope.SMTP]
_OPENPGP = f"{IdentityKind.OPENPGP.value}:%"

#: Names in one statement, below SQLite's limit of variables.
_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Succession:
    """A key of ``host`` that another key of the same host certified as its successor."""

    old: str
    new: str
    host: str


def own_counts(
    connection: sa.Connection, observer: Identity, first_day: Day
) -> Iterator[tuple[str, str, list[DailyCount]]]:
    """(fingerprint, host, its days from ``first_day`` on) of every key whose mail this observer saw."""
    c, subject = schema.daily_count.c, schema.identity.alias("subject")
    query = (
        sa.select(subject.c.name, subject.c.host, c.day, c.good, c.spam + c.malware, c.unknown)
        .join_from(schema.daily_count, subject, subject.c.id == c.identity_id)
        .where(c.observer_id == _number_of(observer), c.day >= first_day, subject.c.name.like(_OPENPGP))
        .order_by(c.identity_id, c.day)
    )
    rows = connection.execution_options(yield_per=10_000).execute(query)
    for (name, host), days in groupby(rows, key=lambda row: (row[0], row[1])):
        identity = Identity(name)
        counts = [DailyCount(observer, identity, Day(day), good, bad, unknown) for *_, day, good, bad, unknown in days]
        yield identity.value, host, counts


def first_good_days(connection: sa.Connection, observer: Identity, fingerprints: Collection[str]) -> dict[str, Day]:
    """The first day with good mail of each of these keys, however long ago."""
    c, subject = schema.daily_count.c, schema.identity.alias("subject")
    query = (
        sa.select(subject.c.name, sa.func.min(c.day))
        .join_from(schema.daily_count, subject, subject.c.id == c.identity_id)
        .where(c.observer_id == _number_of(observer), c.good > 0)
        .group_by(subject.c.name)
    )
    found: dict[str, Day] = {}
    for names in _names(fingerprints):
        rows = connection.execute(query.where(subject.c.name.in_(names)))
        found |= {Identity(name).value: Day(day) for name, day in rows}
    return found


def given_by(connection: sa.Connection, issuers: Collection[str]) -> dict[str, list[Given]]:
    """By fingerprint: the newest certification by each of these keys over each of its live ``smtp://`` User IDs."""
    c, u, own = schema.certification.c, schema.user_id.c, schema.own_endorsement.c
    endorser, subject = schema.identity.alias("endorser"), schema.identity.alias("subject")
    cause = (
        sa.select(own.cause)
        .where(own.user_id == u.text, own.made_at == c.made_at, own.type != _REVOCATION)
        .where(subject.c.name == "openpgp:" + own.subject, endorser.c.name == "openpgp:" + own.issuer)
        .limit(1)
        .scalar_subquery()
    )
    columns = (subject.c.name, endorser.c.name, u.text, u.host, c.made_at, c.expires_at, c.revoked_at, cause)
    query = (
        sa.select(*columns)
        .select_from(
            schema.certification.join(schema.user_id, u.id == c.user_id_id)
            .join(endorser, endorser.c.id == c.endorser_id)
            .join(subject, subject.c.id == c.subject_id)
        )
        .where(endorser.c.name.in_([f"openpgp:{one}" for one in issuers]))
        .where(u.scope == _SMTP, ~c.weak, u.revoked_at.is_(None))
        .order_by(subject.c.name, endorser.c.name, u.text, c.made_at)
    )
    newest: dict[tuple[str, str, str], Given] = {}
    for name, issuer, text, host, made_at, expires_at, revoked_at, why in connection.execute(query):
        key, by = Identity(name).value, Identity(issuer).value
        said = Cause(why) if why else Cause.ELSEWHERE
        newest[key, by, text] = Given(by, text, host, made_at, expires_at, revoked_at, said)
    found: dict[str, list[Given]] = {}
    for (key, _, _), given in newest.items():
        found.setdefault(key, []).append(given)
    return found


def key_facts(connection: sa.Connection, fingerprints: Collection[str]) -> dict[str, KeyFacts]:
    """What is known of these keys; one whose certificate was never read is left out."""
    i, k = schema.identity.c, schema.host_key.c
    keys = sa.select(i.name, k.expires_at, k.revoked_at).join_from(schema.identity, schema.host_key)
    user_ids = _user_ids_of(connection, fingerprints)
    confirmed = _confirmed_hosts(connection, fingerprints)
    found: dict[str, KeyFacts] = {}
    for names in _names(fingerprints):
        for name, expires_at, revoked_at in connection.execute(keys.where(i.name.in_(names))):
            claimed = user_ids.get(name, [])
            operators = frozenset(operator_of(host) for _, host in claimed)
            of_it = confirmed.get(name, frozenset())
            found[Identity(name).value] = KeyFacts(expires_at, revoked_at, tuple(claimed), operators, of_it)
    return found


def successions(connection: sa.Connection, olds: Collection[str], now: UnixSeconds) -> list[Succession]:
    """Whom these keys certified as another key of their own host, in force.

    A key that is not to be trusted any more (hard revoked) names no successor.
    """
    c, u, own = schema.certification.c, schema.user_id.c, schema.user_id.alias("own").c
    old, new, k = schema.identity.alias("old"), schema.identity.alias("new"), schema.host_key.c
    query = (
        sa.select(old.c.name, new.c.name, u.host)
        .select_from(
            schema.certification.join(schema.user_id, u.id == c.user_id_id)
            .join(old, old.c.id == c.endorser_id)
            .join(new, new.c.id == c.subject_id)
            .join(schema.host_key, k.identity_id == c.endorser_id)
        )
        .where(u.scope == _SMTP, ~c.weak, c.revoked_at.is_(None), u.revoked_at.is_(None), c.endorser_id != c.subject_id)
        .where(c.made_at <= now, sa.or_(c.expires_at.is_(None), c.expires_at > now), ~k.hard_revoked)
        .where(sa.or_(k.revoked_at.is_(None), c.made_at <= k.revoked_at))
        .where(sa.exists().where(own.identity_id == c.endorser_id, own.host == u.host, own.scope == _SMTP))
        .distinct()
    )
    found: list[Succession] = []
    for names in _names(olds):
        rows = connection.execute(query.where(old.c.name.in_(names)))
        found += [Succession(Identity(a).value, Identity(b).value, host) for a, b, host in rows]
    return sorted(found, key=lambda one: (one.new, one.old, one.host))


def keys_of_host(connection: sa.Connection, host: str) -> list[str]:
    """Fingerprints of the keys with a live ``smtp://`` User ID of a host."""
    u, i = schema.user_id.c, schema.identity.c
    query = (
        sa.select(i.name)
        .join_from(schema.user_id, schema.identity, i.id == u.identity_id)
        .where(u.host == host, u.scope == _SMTP, u.revoked_at.is_(None))
        .order_by(i.name)
        .distinct()
    )
    return [Identity(name).value for name in connection.execute(query).scalars()]


_REVOCATION = 0x30


def _number_of(identity: Identity) -> sa.ScalarSelect[int]:
    return sa.select(schema.identity.c.id).where(schema.identity.c.name == str(identity)).scalar_subquery()


def _names(fingerprints: Collection[str]) -> Iterator[list[str]]:
    names = sorted(f"openpgp:{one}" for one in fingerprints)
    yield from (names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))


def _user_ids_of(connection: sa.Connection, fingerprints: Collection[str]) -> Mapping[str, list[tuple[str, str]]]:
    u, i = schema.user_id.c, schema.identity.c
    query = (
        sa.select(i.name, u.text, u.host)
        .join_from(schema.user_id, schema.identity, i.id == u.identity_id)
        .where(u.scope == _SMTP, u.revoked_at.is_(None))
        .order_by(i.name, u.text)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for names in _names(fingerprints):
        for name, text, host in connection.execute(query.where(i.name.in_(names))):
            found.setdefault(name, []).append((text, host))
    return found


def _confirmed_hosts(connection: sa.Connection, fingerprints: Collection[str]) -> Mapping[str, frozenset[str]]:
    s, i = schema.signing_host.c, schema.identity.c
    query = sa.select(i.name, s.host).join_from(schema.signing_host, schema.identity, i.id == s.identity_id)
    found: dict[str, set[str]] = {}
    for names in _names(fingerprints):
        for name, host in connection.execute(query.where(i.name.in_(names))):
            found.setdefault(name, set()).add(host)
    return {name: frozenset(hosts) for name, hosts in found.items()}
