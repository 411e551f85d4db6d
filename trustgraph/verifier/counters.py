"""What worker processes count together at accept time: recipients of a signature, newcomers let in.

A small database of its own beside the spool: one statement a message that needs it, nothing else ever waits for it. It
may be deleted while nothing runs: counting then starts anew.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from trustgraph.errors import ServiceUnavailable
from trustgraph.model import Day, UnixSeconds, day_of

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
    """

    def __init__(self, path: Path, most_recipients: int = 10_000) -> None:
        self._path = path
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

    def admit(self, operator: str, day: Day, *, each: int, in_all: int) -> bool:
        """Let one message of a newcomer in, if its operator has had fewer than ``each`` today and all ``in_all``."""
        with self._writing() as database:
            query = "SELECT sum(messages), sum(messages) FILTER (WHERE operator = ?) FROM newcomer WHERE day = ?"
            total, own = (value or 0 for value in database.execute(query, (operator, day)).fetchone())
            if admitted := own < each and total < in_all:
                database.execute(
                    "INSERT INTO newcomer VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET messages = messages + 1",
                    (day, operator),
                )
        return bool(admitted)

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
            self._database.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise ServiceUnavailable(f"{self._path}: cannot count: {error}") from None
            raise
