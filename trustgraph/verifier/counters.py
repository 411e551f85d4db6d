"""What worker processes count together at accept time: recipients of a signature, newcomers let in.

A small database of its own beside the spool: one statement a message that needs it, nothing else ever waits for it. It
may be deleted while nothing runs: counting then starts anew.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from trustgraph.errors import ServiceUnavailable
from trustgraph.model import Day, UnixSeconds, day_of

_WAIT_SECONDS = 2.0
#: Recipients remembered of one signature; what is over any sensible limit need not be told apart.
_MAX_RECIPIENTS = 10_000

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
    """Opened once a process. Every method raises :class:`ServiceUnavailable` when it cannot count."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.with_suffix(".lock").open("w") as lock:
                # Turning a new file to WAL mode does not wait for others who are at it, so they wait here.
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = NORMAL")
                self._database.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise ServiceUnavailable(f"{path}: cannot be used for counting: {error}") from None

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def delivered(self, signature: bytes, recipients: Iterable[bytes], expires_at: UnixSeconds) -> int:
        """Count the recipients that a signature was delivered to, these included; the same one again is no other."""
        rows = [(signature, blake2b(one.lower(), digest_size=8).digest(), expires_at) for one in recipients]
        try:
            self._database.execute("BEGIN IMMEDIATE")
            query = "SELECT count(*) FROM (SELECT 1 FROM delivered WHERE signature = ? LIMIT ?)"
            (known,) = self._database.execute(query, (signature, _MAX_RECIPIENTS)).fetchone()
            if known < _MAX_RECIPIENTS:
                added = self._database.executemany("INSERT OR IGNORE INTO delivered VALUES (?, ?, ?)", rows).rowcount
                known += max(0, added)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from None
        return int(known)

    def admit(self, operator: str, day: Day, *, each: int, in_all: int) -> bool:
        """Let one message of a newcomer in, if its operator has had fewer than ``each`` today and all ``in_all``."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            query = "SELECT sum(messages), sum(messages) FILTER (WHERE operator = ?) FROM newcomer WHERE day = ?"
            total, own = (value or 0 for value in self._database.execute(query, (operator, day)).fetchone())
            if admitted := own < each and total < in_all:
                self._database.execute(
                    "INSERT INTO newcomer VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET messages = messages + 1",
                    (day, operator),
                )
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from None
        return bool(admitted)

    def forget(self, now: UnixSeconds) -> None:
        """Drop signatures that have expired and allowances of days gone by."""
        try:
            self._database.execute("DELETE FROM delivered WHERE expires_at <= ?", (now,))
            self._database.execute("DELETE FROM newcomer WHERE day < ?", (day_of(now),))
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: sqlite3.Error) -> ServiceUnavailable:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
        return ServiceUnavailable(f"{self._path}: cannot count: {error}")
