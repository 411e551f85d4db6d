"""`trustgraph ingest feedback` and `trustgraph feedback`: what mail turned out to be, from wherever it is said.

Everything is joined to what this site saw of the very message (:mod:`trustgraph.feedback.joining`) or moves nothing.
Votes know their voter, so reading anything twice, or being killed at any point and beginning anew, changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from trustgraph.errors import BadInput, NoInput
from trustgraph.feedback.copies import Us
from trustgraph.feedback.joining import EARLIEST_SECONDS, LATEST_SECONDS, Missed, join
from trustgraph.feedback.reading import Dismissed, Rules, Said, read_mail, read_opinion, read_row
from trustgraph.feedback.recipients import Traps
from trustgraph.feedback.rows import Row
from trustgraph.ingest.feedback import Piece, read_file, read_message
from trustgraph.ingest.formats.mailbox import maildir_messages
from trustgraph.model import SECONDS_PER_DAY, Identity, Outcome, UnixSeconds
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.feedback import cast_votes, piece_digest, pieces_read, record_pieces, rows_of
from trustgraph.store.observations import pruned_before

#: Pieces a transaction.
BATCH = 200

#: Mail that nobody has seen may only not have been ingested yet, so for this long it is looked for again.
RETRY_SECONDS = 2 * SECONDS_PER_DAY

_SHOWN_PROBLEMS = 5
_LAST_SECOND = 1 << 62


class Fate(StrEnum):
    """What became of a piece of feedback.

    ``same``: counted, or counted before, without changing what the message is taken for. ``unknown``: this site saw no
    such message, or none of it passed. ``ambiguous``: it may be about one message or another. ``no_verdict``: it does
    not say what the message is.
    """

    MOVED = "moved"
    SAME = "same"
    UNKNOWN = "unknown"
    UNAUTHENTICATED = "unauthenticated"
    AMBIGUOUS = "ambiguous"
    TOO_OLD = "too_old"
    MALFORMED = "malformed"
    NO_VERDICT = "no_verdict"


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """How many pieces there were, and what became of them. ``unread`` are paths that cannot be read."""

    pieces: int = 0
    moved: int = 0
    same: int = 0
    unknown: int = 0
    unauthenticated: int = 0
    ambiguous: int = 0
    too_old: int = 0
    malformed: int = 0
    no_verdict: int = 0
    unread: int = 0
    problems: tuple[str, ...] = ()


def describe(counts: FeedbackCounts) -> str:
    """The counts as a line for people."""
    return (
        f"{counts.pieces} pieces of feedback: {counts.moved} moved a count, {counts.same} changed nothing, "
        f"{counts.unknown} of mail not seen here, {counts.unauthenticated} unauthenticated, "
        f"{counts.ambiguous} ambiguous, {counts.too_old} too old, {counts.malformed} malformed, "
        f"{counts.no_verdict} without a verdict"
    )


def rules_of(settings: Settings) -> Rules:
    """Whom this site believes."""
    ours = {name.lower() for name in (*settings.ingest.authserv_ids, settings.site.name_in_results) if name}
    hosts = ours | ({settings.site.hostname, settings.ingest.observer} - {""})
    filters = frozenset(name.lower() for name in settings.milter.trusted_results)
    feedback = settings.feedback
    us = Us(frozenset(ours), filters, frozenset(hosts))
    return Rules(
        us, frozenset(map(Identity, feedback.reporters)), Traps(feedback.traps), frozenset(feedback.trusted_fields)
    )


def ingest_feedback(
    store: Store,
    settings: Settings,
    paths: Iterable[Path],
    now: UnixSeconds,
    *,
    outcome: Outcome | None = None,
    recipient: str = "",
    again: bool = False,
) -> FeedbackCounts:
    """Ingest Maildirs and files. With ``outcome`` every message counts as called that by ``recipient``, or else by the
    mailbox that our hosts say it was delivered to.

    What was read before and cannot come to anything more is passed over, unless ``again``. A path that cannot be read
    stops nothing.
    """
    ingestion = _Ingestion(store, settings, now, outcome, (recipient,) if recipient else ())
    for path in paths:
        try:
            if path.is_dir():
                ingestion.maildir(path, again=again)
            else:
                ingestion.file(path, again=again)
        except NoInput as error:
            ingestion.unread(str(error))
    return ingestion.counts()


def report_message(
    store: Store,
    settings: Settings,
    octets: bytes,
    now: UnixSeconds,
    *,
    outcome: Outcome | None,
    recipients: Sequence[str] = (),
) -> Fate:
    """One message, line ends LF, that a recipient calls ``outcome``; without one, what it says itself.

    Raises :class:`BadInput` for what cannot be read.
    """
    rules = rules_of(settings)
    said = read_mail(octets, now, rules) if outcome is None else read_opinion(octets, outcome, recipients, now, rules)
    if isinstance(said, Dismissed):
        return Fate(said.value)
    with store.writing() as connection:
        return _count(connection, said, results_expected=bool(settings.ingest.authserv_ids))


def _count(connection: sa.Connection, said: Said, *, results_expected: bool) -> Fate:
    """Join and vote."""
    at = said.reported.received_at
    since, until = (0, _LAST_SECOND) if at is None else (at - EARLIEST_SECONDS, at + LATEST_SECONDS)
    rows = rows_of(connection, said.names, since, until)
    if rows.too_many:
        return Fate.AMBIGUOUS
    found = join(said.reported, rows.seen, rows.delivered, results_expected=results_expected)
    if isinstance(found, Missed):
        newest = max(vote.at for vote in said.votes) if at is None else at
        if not rows.seen and newest < pruned_before(connection) * SECONDS_PER_DAY:
            return Fate.TOO_OLD
        return Fate(found.value)
    return Fate.MOVED if cast_votes(connection, found, said.votes) else Fate.SAME


@dataclass
class _Ingestion:
    """One run over some paths."""

    store: Store
    settings: Settings
    now: UnixSeconds
    outcome: Outcome | None
    recipients: tuple[str, ...]
    fates: Counter[Fate] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    unread_paths: int = 0

    def __post_init__(self) -> None:
        self.rules = rules_of(self.settings)
        # What is read in another way, or by other rules, is another piece.
        self.manner = f"{self.outcome or ''} {' '.join(self.recipients)}"

    def counts(self) -> FeedbackCounts:
        numbers = {fate.value: count for fate, count in self.fates.items()}
        return FeedbackCounts(
            pieces=self.fates.total(), unread=self.unread_paths, problems=tuple(self.problems), **numbers
        )

    def unread(self, why: str) -> None:
        self.unread_paths += 1
        self._complain(why)

    def maildir(self, path: Path, *, again: bool) -> None:
        """Each message is a piece of its own, known by the name that it keeps when it is flagged or seen."""
        folder = str(path.resolve())
        files = {
            piece_digest(self.manner, folder, file.name.partition(":")[0]): file for file in maildir_messages(path)
        }
        known = set() if again else pieces_read(self.store, list(files))
        wanted = ((digest, file) for digest, file in files.items() if digest not in known)
        while batch := list(islice(wanted, BATCH)):
            self._take_batch([(digest, *one) for digest, file in batch if (one := self._filed(file))])

    def _filed(self, file: Path) -> tuple[Piece, UnixSeconds] | None:
        try:
            return read_message(file), self._filed_at(file)
        except (NoInput, OSError):  # a mail program has moved or deleted it meanwhile
            return None

    def file(self, path: Path, *, again: bool) -> None:
        """The whole file is a piece, until it changes."""
        try:
            status = path.stat()
        except OSError:  # standard input, or what opening it will complain about
            digest, at = None, self.now
        else:
            digest = piece_digest(self.manner, str(path.resolve()), f"{status.st_size} {status.st_mtime_ns}")
            at = self._filed_at(path)
            if not again and pieces_read(self.store, [digest]):
                return
        is_final, pieces = True, read_file(path)
        while batch := list(islice(pieces, BATCH)):
            is_final &= self._take_batch([(None, piece, at) for piece in batch])
        if digest is not None and is_final:
            with self.store.writing() as connection:
                record_pieces(connection, [digest], self.now)

    def _filed_at(self, file: Path) -> UnixSeconds:
        """When a file last changed or moved: a message moved to another folder keeps its modification time."""
        return UnixSeconds(min(int(file.stat().st_ctime), self.now))

    def _take_batch(self, batch: Sequence[tuple[int | None, Piece, UnixSeconds]]) -> bool:
        """Count in one transaction; whether nothing more can come of any of it."""
        read = [(digest, piece, at, self._understood(piece, at)) for digest, piece, at in batch]
        expected = bool(self.settings.ingest.authserv_ids)
        final: list[int] = []
        is_final = True
        fates: Counter[Fate] = Counter()
        with self.store.writing() as connection:
            for digest, _piece, at, said in read:
                fate = said if isinstance(said, Fate) else _count(connection, said, results_expected=expected)
                fates[fate] += 1
                if fate is Fate.UNKNOWN and at > self.now - RETRY_SECONDS:
                    is_final = False
                elif digest is not None:
                    final.append(digest)
            record_pieces(connection, final, self.now)
        self.fates += fates
        return is_final

    def _understood(self, piece: Piece, at: UnixSeconds) -> Said | Fate:
        content = piece.content
        try:
            if isinstance(content, BadInput):
                raise content
            if isinstance(content, Row):
                said: Said | Dismissed = read_row(content, self.now, self.rules)
            elif self.outcome is None:
                said = read_mail(content, at, self.rules)
            else:
                # That it lies there is what its owner says of it now.
                said = read_opinion(content, self.outcome, self.recipients, self.now, self.rules)
        except BadInput as error:
            self._complain(f"{piece.where}: {error}")
            return Fate.MALFORMED
        return Fate(said.value) if isinstance(said, Dismissed) else said

    def _complain(self, why: str) -> None:
        if len(self.problems) < _SHOWN_PROBLEMS:
            self.problems.append(why)
