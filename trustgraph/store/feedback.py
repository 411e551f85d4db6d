"""Votes on observations, and what reports are joined to them by.

A vote that changes what a message is taken for changes the daily counts of its observation's day, in one transaction.
Casting it again changes nothing: of one voter's votes the latest is kept. The outcome that an observation came with is
kept beside the votes from the first one on, so that it stands again when they are taken back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import sqlalchemy as sa

from trustgraph.feedback.joining import Delivered, Key, Seen
from trustgraph.feedback.votes import Source, Vote, combined, latest
from trustgraph.model import SECONDS_PER_DAY, Identity, Outcome, Result, UnixSeconds
from trustgraph.store import schema
from trustgraph.store.bulk import insert_many, update_on_conflict
from trustgraph.store.changes import Change, record_changes
from trustgraph.store.engine import Store
from trustgraph.store.identities import number_identities
from trustgraph.store.observations import OUTCOME_CODES, RESULT_CODES, message_digest

_OUTCOMES = {code: outcome for outcome, code in OUTCOME_CODES.items()}
_PASS = RESULT_CODES[Result.PASS]

#: Of one message, so many observations and deliveries are looked at. Senders who call all their mail the same have
#: more, and of theirs none can be told from the others.
MOST_ROWS = 5_000
#: Values in one statement, below SQLite's limit of 32,766.
_CHUNK = 5_000


class Delivery(NamedTuple):
    """A message that the gate let in: its observation, the signature (0 without one), digests of the recipients."""

    observed_at: UnixSeconds
    message: str
    observer: str
    identity: Identity
    signature: int
    recipients: tuple[int, ...]


class Rows(NamedTuple):
    """All that is known of a message; ``too_many`` if there is more than was read."""

    seen: list[Seen]
    delivered: list[Delivered]
    too_many: bool


_O, _D, _V, _I = schema.observation.c, schema.delivery.c, schema.vote.c, schema.identity.c
_M = schema.message_seen.c
_DIGESTS: sa.BindParameter[Any] = sa.bindparam("digests", expanding=True)
_KEYS: sa.BindParameter[Any] = sa.bindparam("keys", expanding=True)
_SINCE: sa.BindParameter[Any] = sa.bindparam("since")
_UNTIL: sa.BindParameter[Any] = sa.bindparam("until")
# Made once: making a statement costs more than running it.
_SEEN = (
    sa.select(_O.observed_at, _O.message, _O.observer_id, _O.identity_id, _I.name, _O.result)
    .join_from(schema.message_seen, schema.observation, (_M.message == _O.message) & (_M.observed_at == _O.observed_at))
    .join(schema.identity, _I.id == _O.identity_id)
    .where(_M.message.in_(_DIGESTS), _M.observed_at >= _SINCE, _M.observed_at <= _UNTIL)
    .limit(MOST_ROWS + 1)
)
_DELIVERED = (
    sa.select(_D.observed_at, _D.message, _D.observer_id, _D.identity_id, _I.name, _D.signature, _D.recipient)
    .join_from(schema.delivery, schema.identity, _I.id == _D.identity_id)
    .where(_D.message.in_(_DIGESTS), _D.observed_at >= _SINCE, _D.observed_at <= _UNTIL)
    .limit(MOST_ROWS + 1)
)
_OUTCOMES_OF = (
    sa.select(_O.observed_at, _O.message, _O.observer_id, _O.identity_id, _O.outcome)
    .where(sa.tuple_(*schema.observation.primary_key).in_(_KEYS), _O.result == _PASS)
    .order_by(*schema.observation.primary_key)
    .with_for_update()
)
_VOTES_ON = sa.select(
    *(_V.observed_at, _V.message, _V.observer_id, _V.identity_id, _V.source, _V.voter, _V.outcome, _V.voted_at)
).where(sa.tuple_(_V.observed_at, _V.message, _V.observer_id, _V.identity_id).in_(_KEYS))


def rows_of(connection: sa.Connection, names: Collection[str], since: int, until: int) -> Rows:
    """What was seen and delivered, between two moments, of a message that may be called by any of these names."""
    given = {"digests": [message_digest(name) for name in names], "since": since, "until": until}
    seen = connection.execute(_SEEN, given).all()
    delivered = connection.execute(_DELIVERED, given).all()
    return Rows(
        [Seen((at, m, observer, subject), Identity(name), r == _PASS) for at, m, observer, subject, name, r in seen],
        [
            Delivered((at, m, observer, subject), Identity(name), signature, recipient)
            for at, m, observer, subject, name, signature, recipient in delivered
        ],
        max(len(seen), len(delivered)) > MOST_ROWS,
    )


def cast_votes(connection: sa.Connection, keys: Sequence[Key], votes: Sequence[Vote]) -> bool:
    """Cast the same votes on some observations; whether any of them is taken for something else now.

    Observations that are not there, or did not pass, are passed over.
    """
    if not keys or not votes:
        return False
    outcomes = _locked(connection, keys)
    before = _votes_on(connection, outcomes)
    changed: dict[Key, tuple[Outcome, Outcome]] = {}
    rows: list[tuple[int, ...]] = []
    for key, outcome in outcomes.items():
        known = before[key] or {(Source.INGESTED, 0): Vote(Source.INGESTED, 0, outcome, UnixSeconds(0))}
        now = latest([*known.values(), *votes])
        new = set(now.values()) - set(before[key].values())
        rows += [(*key, int(v.source), v.voter, OUTCOME_CODES[v.outcome], v.at) for v in sorted(new)]
        if (result := combined(now.values())) is not outcome:
            changed[key] = (outcome, result)
    _write_votes(connection, rows)
    _move(connection, changed)
    return bool(changed)


def _locked(connection: sa.Connection, keys: Sequence[Key]) -> dict[Key, Outcome]:
    """What each observation that passed is taken for; nobody else changes it until this transaction ends."""
    rows = connection.execute(_OUTCOMES_OF, {"keys": sorted(set(keys))})
    return {(at, message, observer, subject): _OUTCOMES[o] for at, message, observer, subject, o in rows}


def _votes_on(connection: sa.Connection, keys: Iterable[Key]) -> dict[Key, dict[tuple[Source, int], Vote]]:
    found: dict[Key, dict[tuple[Source, int], Vote]] = defaultdict(dict)
    for at, message, observer, subject, *said in connection.execute(_VOTES_ON, {"keys": list(keys)}):
        source, voter, outcome, voted_at = said
        vote = Vote(Source(source), voter, _OUTCOMES[outcome], UnixSeconds(voted_at))
        found[at, message, observer, subject][vote.source, voter] = vote
    return found


def _write_votes(connection: sa.Connection, rows: Sequence[tuple[int, ...]]) -> None:
    columns = [column.name for column in schema.vote.columns]
    changes = {name: f"excluded.{name}" for name in ("outcome", "voted_at")}
    on_conflict = update_on_conflict(schema.vote, changes)
    insert_many(connection, schema.vote, columns, rows, on_conflict=on_conflict, distinct=True)


def _move(connection: sa.Connection, changed: dict[Key, tuple[Outcome, Outcome]]) -> None:
    """Out of one column of the day and into another, and say so to whoever scores."""
    o, d = schema.observation.c, schema.daily_count.c
    cells: dict[tuple[int, int, int], Counter[str]] = defaultdict(Counter)
    for (at, message, observer, subject), (old, new) in changed.items():
        this = sa.and_(o.observed_at == at, o.message == message, o.observer_id == observer, o.identity_id == subject)
        connection.execute(sa.update(schema.observation).where(this).values(outcome=OUTCOME_CODES[new]))
        cells[subject, observer, at // SECONDS_PER_DAY].update({new.value: 1})
        cells[subject, observer, at // SECONDS_PER_DAY].subtract({old.value: 1})
    for (subject, observer, day), steps in sorted(cells.items()):
        this = sa.and_(d.identity_id == subject, d.observer_id == observer, d.day == day)
        steps_by_column = {name: d[name] + step for name, step in steps.items() if step}
        if steps_by_column:
            connection.execute(sa.update(schema.daily_count).where(this).values(**steps_by_column))
    if changed:
        record_changes(connection, Change.MAIL, (subject for _, _, _, subject in changed))


def record_deliveries(store: Store, deliveries: Sequence[Delivery], trapped: Sequence[tuple[Delivery, Vote]]) -> None:
    """Keep what the gate let in, and cast the votes of spamtraps; saying it twice changes nothing.

    Their observations must be in the store; those older than what is kept leave nothing.
    """
    if not deliveries and not trapped:
        return
    with store.writing() as connection:
        everything = [*deliveries, *(delivery for delivery, _ in trapped)]
        names = {one.identity: "" for one in everything} | {Identity.helo(one.observer): "" for one in everything}
        numbers = number_identities(connection, names)

        def key(one: Delivery) -> Key:
            observer = numbers[Identity.helo(one.observer)]
            return one.observed_at, message_digest(one.message), observer, numbers[one.identity]

        kept = _present(connection, {key(one) for one in deliveries})
        rows = {
            (*key(one), one.signature, recipient)
            for one in deliveries
            if key(one) in kept
            for recipient in one.recipients
        }
        columns = [column.name for column in schema.delivery.columns]
        insert_many(connection, schema.delivery, columns, sorted(rows), on_conflict="ON CONFLICT DO NOTHING")
        for delivery, vote in trapped:
            cast_votes(connection, [key(delivery)], [vote])


def _present(connection: sa.Connection, keys: Collection[Key]) -> set[Key]:
    found: set[Key] = set()
    columns = list(schema.observation.primary_key)
    wanted = sorted(keys)
    for start in range(0, len(wanted), _CHUNK):
        query = sa.select(*columns).where(sa.tuple_(*columns).in_(wanted[start : start + _CHUNK]))
        found |= {(at, message, observer, subject) for at, message, observer, subject in connection.execute(query)}
    return found


def piece_digest(*parts: str) -> int:
    """A signed 64-bit number for a piece of feedback, such as a file of a Maildir."""
    octets = "\0".join(parts).encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(octets, digest_size=8).digest(), "big", signed=True)


def pieces_read(store: Store, pieces: Sequence[int]) -> set[int]:
    """Those that need not be read again."""
    found: set[int] = set()
    column = schema.feedback_read.c.piece
    with store.reading() as connection:
        for start in range(0, len(pieces), _CHUNK):
            query = sa.select(column).where(column.in_(pieces[start : start + _CHUNK]))
            found.update(connection.execute(query).scalars())
    return found


def record_pieces(connection: sa.Connection, pieces: Collection[int], now: UnixSeconds) -> None:
    """Remember pieces that nothing more can come of."""
    rows = [(piece, now) for piece in sorted(set(pieces))]
    insert_many(connection, schema.feedback_read, ("piece", "read_at"), rows, on_conflict="ON CONFLICT DO NOTHING")
