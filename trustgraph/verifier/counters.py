"""What worker processes count together at accept time: recipients of a signature, newcomers let in.

A small database of its own beside the spool: one statement a message that needs it, nothing else ever waits for it. It
may be deleted while nothing runs: counting then starts anew.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from trustgraph.errors import ServiceUnavailable
from trustgraph.model import Day, UnixSeconds, day_of
from trustgraph.policy.allowance import Draw

_WAIT_SECONDS = 2.0

#: What one statement drops at a time: nobody waits for longer than that takes.
_DROPPED_AT_ONCE = 2_000

_TABLES = """
CREATE TABLE IF NOT EXISTS delivered (
    signature BLOB NOT NULL, recipient BLOB NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (signature, recipient)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivered_by_expiry ON delivered (expires_at);
CREATE TABLE IF NOT EXISTS newcomer (
    day INTEGER NOT NULL, operator TEXT NOT NULL, messages INTEGER NOT NULL, PRIMARY KEY (day, operator)
) WITHOUT ROWID;
"""


class Counters:
    """Opened once a process. Every method raises :class:`ServiceUnavailable` when it cannot count.

    ``most_recipients``: so many of one signature are told apart; beyond, it is enough to know that there are more.
    With ``counting`` false every answer is the one that there would be, and nothing is kept.
    """

    def __init__(self, path: Path, most_recipients: int = 10_000, *, counting: bool = True) -> None:
        self._path = path
        self._end = "COMMIT" if counting else "ROLLBACK"
        self._told_apart = most_recipients + 1
        try:
            with path.with_suffix(".lock").open("w") as lock:
                # Turning a new file to WAL mode does not wait for others who are at it, so they wait here.
                fcntl.flock(lock, fcntl.LOCK_EX)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
                self._database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
                try:
                    self._database.execute("PRAGMA journal_mode = WAL")
                    self._database.execute("PRAGMA synchronous = NORMAL")
                    self._database.executescript(_TABLES)
                except BaseException:
                    self._database.close()
                    raise
        except (sqlite3.Error, OSError) as error:
            raise ServiceUnavailable(
                f"{path}: cannot be used for counting: {error} (while no milter runs it may be deleted)"
            ) from None

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def delivered(self, signature: bytes, recipients: Iterable[bytes], expires_at: UnixSeconds) -> int:
        """Count the recipients that a signature was delivered to, these included; the same one again is no other."""
        rows = [(signature, blake2b(one.lower(), digest_size=8).digest(), expires_at) for one in recipients]
        with self._writing() as database:
            query = "SELECT count(*) FROM (SELECT 1 FROM delivered WHERE signature = ? LIMIT ?)"
            (known,) = database.execute(query, (signature, self._told_apart)).fetchone()
            if known < self._told_apart:
                added = database.executemany("INSERT OR IGNORE INTO delivered VALUES (?, ?, ?)", rows).rowcount
                known += max(0, added)
        return int(known)

    def admit(self, draw: Draw) -> bool:
        """Let one message of a newcomer in, if all accounts have so much left. What is not let in takes nothing."""
        with self._writing() as database:
            if fits := draw.fits(_drawn(database, draw.day, draw.limits)):
                statement = "INSERT INTO newcomer VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET messages = messages + ?"
                rows = [(draw.day, account, draw.recipients, draw.recipients) for account in draw.limits]
                database.executemany(statement, rows)
        return fits

    def give_back(self, draw: Draw) -> None:
        """Undo a draw whose message was not let in after all."""
        with self._writing() as database:
            statement = "UPDATE newcomer SET messages = max(messages - ?, 0) WHERE day = ? AND operator = ?"
            database.executemany(statement, [(draw.recipients, draw.day, account) for account in draw.limits])

    def forget(self, now: UnixSeconds) -> None:
        """Drop signatures that have expired and allowances of days gone by."""
        some = "(SELECT signature, recipient FROM delivered WHERE expires_at <= ? LIMIT ?)"
        dropped = _DROPPED_AT_ONCE
        while dropped >= _DROPPED_AT_ONCE:
            with self._writing() as database:
                statement = f"DELETE FROM delivered WHERE (signature, recipient) IN {some}"  # noqa: S608 - a constant
                dropped = database.execute(statement, (now, _DROPPED_AT_ONCE)).rowcount
        with self._writing() as database:
            database.execute("DELETE FROM newcomer WHERE day < ?", (day_of(now),))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which whatever goes wrong takes back: left open, it would keep everybody else waiting."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database
            self._database.execute(self._end)
        except BaseException as error:
            with suppress(sqlite3.Error):
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise ServiceUnavailable(f"{self._path}: cannot count: {error}") from None
            raise


def drawn_on(path: Path, day: Day) -> dict[str, int]:
    """What newcomers have drawn on a day, by account (:mod:`trustgraph.policy.allowance`); the file is only read.

    Empty where there is no file, since nobody has counted yet. Raises :class:`ServiceUnavailable` for one that cannot
    be read.
    """
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_WAIT_SECONDS)) as database:
            return dict(database.execute("SELECT operator, messages FROM newcomer WHERE day = ?", (day,)).fetchall())
    except (sqlite3.Error, OSError) as error:
        raise ServiceUnavailable(f"{path}: cannot be read: {error}") from None


def _drawn(database: sqlite3.Connection, day: Day, accounts: Collection[str]) -> dict[str, int]:
    marks = ", ".join("?" * len(accounts))
    query = f"SELECT operator, messages FROM newcomer WHERE day = ? AND operator IN ({marks})"  # noqa: S608 - marks
    return dict(database.execute(query, (day, *accounts)).fetchall())
