"""The record of what this host's keys said of others: written before anything leaves the house, and never twice.

A statement, its packet and what it changes in the network are written in one transaction. Statements about one User ID
are numbered in turn; who wants to add one says how many there were when he decided, and of two who decided from the
same state one is refused. What a keyserver gave back is marked for that server alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from trustgraph.model import Certification, HostKey, Identity, UnixSeconds
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many
from trustgraph.store.certificates import merge_certificates
from trustgraph.store.changes import Change, record_changes
from trustgraph.store.engine import Store
from trustgraph.store.identities import number_identities
from trustgraph.store.sources import record_source

#: ``cause`` of a revocation.
REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Statement:
    """One signature packet by ``issuer`` over a User ID of ``subject`` (both fingerprints), and why it was made.

    ``type`` is 0x10, a certification, or 0x30, its revocation (RFC 9580 section 5.2.1).
    ``serial``: how many there were of this User ID before. ``expires_at`` of a revocation is that of what it revokes.
    """

    subject: str
    user_id: str
    serial: int
    issuer: str
    type: int
    made_at: UnixSeconds
    expires_at: UnixSeconds | None
    packet: bytes
    cause: str
    why: str


@dataclass(frozen=True, slots=True)
class Unpublished:
    """What the keyservers should have of one key: all statements in force, and the servers that lack some of it."""

    subject: str
    statements: tuple[tuple[int, Statement], ...]
    lacking: tuple[str, ...]


def serials(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """How many statements there are by (subject, User ID)."""
    c = schema.own_endorsement.c
    query = sa.select(c.subject, c.user_id, sa.func.count()).group_by(c.subject, c.user_id)
    return {(subject, user_id): int(count) for subject, user_id, count in connection.execute(query)}


def own_issuers(connection: sa.Connection) -> set[str]:
    """Fingerprints of the keys that made statements."""
    return set(connection.execute(sa.select(schema.own_endorsement.c.issuer).distinct()).scalars())


def made_since(connection: sa.Connection, moment: UnixSeconds, cause: str) -> int:
    """How many statements with a cause were made after a moment."""
    c = schema.own_endorsement.c
    query = sa.select(sa.func.count()).where(c.cause == cause, c.made_at > moment)
    return int(connection.execute(query).scalar_one())


def add_certification(store: Store, statement: Statement, key: HostKey, certification: Certification) -> bool:
    """Record a certification and put it into the network. False, with nothing written, if its turn was taken."""
    with store.writing() as connection:
        if not _add(connection, statement):
            return False
        source = record_source(connection, "keys", "endorse", statement.made_at)
        merge_certificates(connection, [(key, [certification])], source)
    return True


def add_revocation(store: Store, statement: Statement) -> bool:
    """Record a revocation and end in the network what it revokes: all that its issuer certified there before."""
    with store.writing() as connection:
        if not _add(connection, statement):
            return False
        subject, issuer = Identity.openpgp(statement.subject), Identity.openpgp(statement.issuer)
        numbers = number_identities(connection, {subject: "", issuer: ""})
        c, u = schema.certification.c, schema.user_id.c
        revoked = sa.select(u.id).where(u.identity_id == numbers[subject], u.text == statement.user_id)
        connection.execute(
            sa.update(schema.certification)
            .where(c.subject_id == numbers[subject], c.endorser_id == numbers[issuer], c.user_id_id.in_(revoked))
            .where(c.made_at <= statement.made_at, c.revoked_at.is_(None))
            .values(revoked_at=statement.made_at)
        )
        record_changes(connection, Change.CERTIFICATE, [numbers[subject]])
    return True


def unpublished(store: Store, servers: Collection[str], now: UnixSeconds) -> list[Unpublished]:
    """Whose newest statements some of these keyservers were not yet seen to have; what is over is left out."""
    c, p = schema.own_endorsement.c, schema.own_publication.c
    newer = schema.own_endorsement.alias("newer").c
    superseded = sa.exists().where(
        *(newer.subject == c.subject, newer.user_id == c.user_id, newer.issuer == c.issuer),
        *(newer.type == c.type, newer.serial > c.serial),
    )
    query = (
        sa.select(schema.own_endorsement)
        .where(sa.or_(c.expires_at.is_(None), c.expires_at > now), ~superseded)
        .order_by(c.subject, c.id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
        marks = connection.execute(sa.select(p.endorsement_id, p.server).where(p.server.in_(list(servers))))
        published = {(number, server) for number, server in marks}
    found: dict[str, list[tuple[int, Statement]]] = {}
    for row in rows:
        found.setdefault(row.subject, []).append((row.id, _statement(row)))
    return [
        Unpublished(subject, tuple(statements), lacking)
        for subject, statements in found.items()
        if (lacking := tuple(s for s in servers if any((number, s) not in published for number, _ in statements)))
    ]


def mark_published(store: Store, numbers: Collection[int], servers: Collection[str], now: UnixSeconds) -> None:
    """Say that these servers gave these statements back."""
    rows = [(number, server, int(now)) for number in sorted(numbers) for server in sorted(servers)]
    with store.writing() as connection:
        columns = ("endorsement_id", "server", "published_at")
        insert_many(connection, schema.own_publication, columns, rows, on_conflict="ON CONFLICT DO NOTHING")


def statements_of(store: Store, subject: str) -> list[Statement]:
    """Everything said of one key, in the order in which it was."""
    c = schema.own_endorsement.c
    query = sa.select(schema.own_endorsement).where(c.subject == subject).order_by(c.user_id, c.serial)
    with store.reading() as connection:
        return [_statement(row) for row in connection.execute(query)]


def pins(connection: sa.Connection) -> dict[str, str]:
    """The operator's note by fingerprint."""
    c = schema.pinned_key.c
    return {row.fingerprint: row.note for row in connection.execute(sa.select(c.fingerprint, c.note))}


def pin_key(store: Store, fingerprint: str, note: str, now: UnixSeconds) -> None:
    """Vouch for a key by hand; doing it again changes the note."""
    with store.writing() as connection:
        connection.execute(sa.delete(schema.pinned_key).where(schema.pinned_key.c.fingerprint == fingerprint))
        connection.execute(sa.insert(schema.pinned_key).values(fingerprint=fingerprint, note=note, pinned_at=now))


def unpin_key(store: Store, fingerprint: str) -> bool:
    """Take that back; False if it was not pinned."""
    with store.writing() as connection:
        gone = connection.execute(sa.delete(schema.pinned_key).where(schema.pinned_key.c.fingerprint == fingerprint))
    return bool(gone.rowcount)


def _add(connection: sa.Connection, statement: Statement) -> bool:
    columns = [column.name for column in schema.own_endorsement.columns if column.name != "id"]
    row = tuple(getattr(statement, name) for name in columns)
    return insert_many(connection, schema.own_endorsement, columns, [row], on_conflict="ON CONFLICT DO NOTHING") == 1


def _statement(row: sa.Row[tuple[object, ...]]) -> Statement:
    fields = row._asdict()
    fields["packet"] = bytes(fields["packet"])
    del fields["id"]
    return Statement(**fields)
