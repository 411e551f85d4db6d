"""Certificates in: merged, never replaced, so that no later copy can hide a revocation an earlier one showed.

Expiry follows the newest self-signature seen; a revocation stays, and of two the earlier and the harder one wins.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import sqlalchemy as sa

from trustgraph.model import Certification, HostKey, Identity, UnixSeconds, UserId, UserIdScope
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many, update_on_conflict
from trustgraph.store.changes import Change, record_changes
from trustgraph.store.engine import Store
from trustgraph.store.identities import claim_hosts, number_identities
from trustgraph.store.sources import record_counts, record_source

#: What ``scope`` says in the tables; 0 is the operator's word, with no User ID.
SCOPE_CODES = {UserIdScope.SMTP: 1, UserIdScope.POSTMASTER: 2, UserIdScope.OTHER: 3}

#: Added to the code of a certification over a User ID whose key said of which ones it approves: of this one, or not.
APPROVED = 4
NOT_APPROVED = 8

_EARLIER = "CASE WHEN {t}.{c} IS NULL OR excluded.{c} < {t}.{c} THEN COALESCE(excluded.{c}, {t}.{c}) ELSE {t}.{c} END"

_LATER = "CASE WHEN {t}.{c} IS NULL OR excluded.{c} > {t}.{c} THEN COALESCE(excluded.{c}, {t}.{c}) ELSE {t}.{c} END"

# Two of the same second over one User ID: that which says less stands, so that it does not matter which came first.
_TERMS = "({t}.depth, {t}.amount, {t}.regex = '', {t}.regex, COALESCE({t}.expires_at, 9223372036854775807))"
_LESSER = (
    f"CASE WHEN {_TERMS.format(t='excluded')} < {_TERMS.format(t='certification')} "
    "THEN excluded.{c} ELSE certification.{c} END"
)


class CertificateStore:
    """Keys and certifications in the database, one source at a time."""

    def __init__(self, store: Store, source_name: str, ingested_at: int) -> None:
        self._store = store
        with store.writing() as connection:
            self._source_id = record_source(connection, "keys", source_name, ingested_at)

    def record(self, counts: Mapping[str, int]) -> None:
        """Say what came out of this source."""
        record_counts(self._store, self._source_id, counts)

    def known_keys(self) -> Iterator[tuple[str, str, bytes]]:
        """As :func:`known_keys`."""
        return known_keys(self._store)

    def add_certificates(self, batch: Sequence[tuple[HostKey, Sequence[Certification]]]) -> None:
        """Merge keys, their User IDs and the verified certifications on them, in one transaction."""
        with self._store.writing() as connection:
            merge_certificates(connection, batch, self._source_id)


def known_keys(store: Store) -> Iterator[tuple[str, str, bytes]]:
    """(fingerprint, key ID, public-key packet body) of every key seen so far."""
    table = schema.host_key.c
    query = sa.select(schema.identity.c.name, table.key_id, table.key_packet).join_from(
        schema.host_key, schema.identity
    )
    with store.reading() as connection:
        for name, key_id, packet in connection.execute(query):
            yield Identity(name).value, key_id, bytes(packet)


def merge_certificates(
    connection: sa.Connection, batch: Sequence[tuple[HostKey, Sequence[Certification]]], source_id: int
) -> None:
    """The same within a transaction of the caller's."""
    numbers = number_identities(connection, _identities(batch))
    claim_hosts(connection, {k.identity: host for k, _ in batch if (host := smtp_host(k))})
    _merge_keys(connection, [key for key, _ in batch], numbers)
    user_ids = _merge_user_ids(connection, [key for key, _ in batch], numbers)
    _merge_certifications(connection, batch, numbers, user_ids, source_id)
    _apply_approvals(connection, [numbers[key.identity] for key, _ in batch])
    record_changes(connection, Change.CERTIFICATE, (numbers[key.identity] for key, _ in batch))


@dataclass(frozen=True, slots=True)
class StoredCertification:
    """A certification as the store holds it. ``superseded``: a newer one by the same endorser over the same User ID.

    ``approved`` says whether its subject approves of it, None where it says nothing of any.
    """

    endorser: Identity
    host: str
    user_id: str
    made_at: int
    expires_at: int | None
    revoked_at: int | None
    weak: bool
    superseded: bool
    approved: bool | None = None


def certifications_on(store: Store, subject: Identity, now: UnixSeconds) -> list[StoredCertification]:
    """All certifications on one identity, counting or not, by endorser and time; ``now`` decides what is superseded."""
    endorser = schema.identity.alias("endorser")
    c, i, u = schema.certification.c, endorser.c, schema.user_id.c
    target = sa.select(schema.identity.c.id).where(schema.identity.c.name == str(subject)).scalar_subquery()
    query = (
        sa.select(i.name, i.host, c.user_id_id, u.text, c.made_at, c.expires_at, c.revoked_at, c.weak, c.scope)
        .select_from(
            schema.certification.join(endorser, i.id == c.endorser_id).outerjoin(schema.user_id, u.id == c.user_id_id)
        )
        .where(c.subject_id == target)
        .order_by(i.name, c.user_id_id, c.made_at.desc())
    )
    newest: set[tuple[str, int]] = set()
    found = []
    with store.reading() as connection:
        for name, host, user_id, text, made_at, expires_at, revoked_at, weak, scope in connection.execute(query):
            superseded = (name, user_id) in newest
            approved = None if scope and scope < APPROVED else scope < NOT_APPROVED
            if made_at <= now and not weak and approved is not False:
                newest.add((name, user_id))
            times = (made_at, expires_at, revoked_at)
            found.append(
                StoredCertification(Identity(name), host, text or "", *times, bool(weak), superseded, approved)
            )
    return found


def labels_of(store: Store, identities: Collection[Identity]) -> dict[str, str]:
    """What people call each identity: its host, or else the first of its User IDs; left out if it has neither."""
    i, u = schema.identity.c, schema.user_id.c
    first = sa.select(sa.func.min(u.text)).where(u.identity_id == i.id, u.revoked_at.is_(None)).scalar_subquery()
    query = sa.select(i.name, i.host, first).where(i.name.in_([str(identity) for identity in identities]))
    with store.reading() as connection:
        found = {name: host or text for name, host, text in connection.execute(query)}
    return {name: label for name, label in found.items() if label}


def scopes_in_use(store: Store, wanted: str, *, require_approval: bool = False) -> tuple[frozenset[int], str]:
    """Scope codes whose certifications are endorsements, and a note if that is not the plain rule.

    ``wanted``: "smtp" (only host keys' User IDs), "any", or "auto": smtp as soon as any key has such a User ID.
    ``require_approval``: only those that the owner of the endorsed key approves of, and the operator's own word.
    """
    smtp_only = _endorsing([SCOPE_CODES[UserIdScope.SMTP]], require_approval)
    anything = _endorsing(SCOPE_CODES.values(), require_approval)
    if wanted != "auto":
        return (smtp_only if wanted == "smtp" else anything), ""
    query = sa.select(schema.user_id.c.scope == SCOPE_CODES[UserIdScope.SMTP]).distinct()
    with store.reading() as connection:
        kinds = {bool(is_smtp) for is_smtp in connection.execute(query).scalars()}
    if kinds == {False}:
        note = (
            "no key has an smtp:// User ID, so this is rated as a plain web of trust, over any User ID "
            '(to forbid that, set scoring.user_ids = "smtp")'
        )
        return anything, note
    return smtp_only, ""


def _endorsing(scopes: Iterable[int], require_approval: bool) -> frozenset[int]:
    operators_word = {0}
    approved = {scope + APPROVED for scope in scopes}
    return frozenset(operators_word | approved | (set() if require_approval else set(scopes)))


def smtp_host(key: HostKey) -> str:
    """The host of a key's first live ``smtp://`` User ID; of several, the alphabetically first; empty if none."""
    hosts = sorted(u.host for u in key.user_ids if u.scope is UserIdScope.SMTP and u.revoked_at is None)
    return hosts[0] if hosts else ""


def _identities(batch: Sequence[tuple[HostKey, Sequence[Certification]]]) -> dict[Identity, str]:
    identities = {Identity("openpgp:" + c.issuer): "" for _, certifications in batch for c in certifications}
    return identities | {key.identity: smtp_host(key) for key, _ in batch}


def _merge_keys(connection: sa.Connection, keys: Sequence[HostKey], numbers: dict[Identity, int]) -> None:
    newer = "excluded.self_signed_at > host_key.self_signed_at"
    changes = {
        "expires_at": f"CASE WHEN {newer} THEN excluded.expires_at ELSE host_key.expires_at END",
        "self_signed_at": f"CASE WHEN {newer} THEN excluded.self_signed_at ELSE host_key.self_signed_at END",
        "revoked_at": _EARLIER.format(t="host_key", c="revoked_at"),
        "hard_revoked": "host_key.hard_revoked OR excluded.hard_revoked",
    }
    columns = (
        *("identity_id", "key_id", "key_packet", "created_at"),
        *("expires_at", "revoked_at", "hard_revoked", "self_signed_at"),
    )
    rows = [
        (
            *(numbers[k.identity], k.key_id, k.key_packet, k.created_at),
            *(k.expires_at, k.revoked_at, k.hard_revoked, k.self_signed_at),
        )
        for k in keys
    ]
    on_conflict = update_on_conflict(schema.host_key, changes)
    insert_many(connection, schema.host_key, columns, rows, on_conflict=on_conflict)


def _merge_user_ids(
    connection: sa.Connection, keys: Sequence[HostKey], numbers: dict[Identity, int]
) -> dict[tuple[int, str], tuple[int, int]]:
    """(user_id.id, scope code) by (identity number, text)."""
    rows = [
        (numbers[k.identity], _digest(u), u.text, SCOPE_CODES[u.scope], u.host, u.revoked_at, u.approvals_at)
        for k in keys
        for u in k.user_ids
    ]
    # An owner may certify a User ID again that he has revoked, but a copy without the revocation looks the same, and
    # nobody may undo a revocation by leaving it out: so it stays, and who wants the name back makes a new key.
    changes = {"revoked_at": _EARLIER.format(t="user_id", c="revoked_at")}
    changes["approvals_at"] = _LATER.format(t="user_id", c="approvals_at")
    on_conflict = update_on_conflict(schema.user_id, changes, key=("identity_id", "digest"))
    columns = ("identity_id", "digest", "text", "scope", "host", "revoked_at", "approvals_at")
    insert_many(connection, schema.user_id, columns, rows, on_conflict=on_conflict)
    table = schema.user_id.c
    owners = [numbers[k.identity] for k in keys]
    query = sa.select(table.identity_id, table.text, table.id, table.scope).where(table.identity_id.in_(owners))
    return {(row.identity_id, row.text): (row.id, row.scope) for row in connection.execute(query)}


def _merge_certifications(
    connection: sa.Connection,
    batch: Sequence[tuple[HostKey, Sequence[Certification]]],
    numbers: dict[Identity, int],
    user_ids: dict[tuple[int, str], tuple[int, int]],
    source_id: int,
) -> None:
    rows = []
    for key, certifications in batch:
        subject = numbers[key.identity]
        for c in certifications:
            endorser = numbers[Identity("openpgp:" + c.issuer)]
            user_id, scope = user_ids[subject, c.user_id]
            notations = json.dumps(c.notations) if c.notations else ""
            rows.append(
                (
                    *(subject, endorser, user_id, c.made_at, c.expires_at, c.revoked_at, scope),
                    *(c.type, c.depth, c.amount, c.regex, c.weak, notations, source_id, c.approved_at),
                )
            )
    changes = {"revoked_at": _EARLIER.format(t="certification", c="revoked_at"), "weak": "excluded.weak"}
    changes["approved_at"] = _LATER.format(t="certification", c="approved_at")
    changes |= {c: _LESSER.format(c=c) for c in ("depth", "amount", "regex", "expires_at", "type", "notations")}
    columns = [column.name for column in schema.certification.columns]
    on_conflict = update_on_conflict(schema.certification, changes)
    insert_many(connection, schema.certification, columns, rows, on_conflict=on_conflict)


def _apply_approvals(connection: sa.Connection, subjects: Collection[int]) -> None:
    """Mark what is certified over each User ID by whether the newest word of its key approves of it.

    A copy that lacks that word, or some of what it approves of, undoes nothing.
    """
    u = schema.user_id.c
    query = sa.select(u.id, u.identity_id, u.scope, u.approvals_at)
    for row in connection.execute(query.where(u.identity_id.in_(subjects), u.approvals_at.is_not(None))).all():
        c = schema.certification.c
        approval = sa.case((c.approved_at == row.approvals_at, APPROVED), else_=NOT_APPROVED)
        connection.execute(
            sa.update(schema.certification)
            .where(c.subject_id == row.identity_id, c.user_id_id == row.id)
            .values(scope=row.scope + approval)
        )


def _digest(user_id: UserId) -> bytes:
    return blake2b(user_id.text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
