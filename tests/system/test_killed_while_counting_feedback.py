"""kill -9 in the middle of feedback: each count is where its votes say, and the next run completes it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds
from trustgraph.services.feedback import ingest_feedback
from trustgraph.settings import Settings
from trustgraph.store import open_store
from trustgraph.store.observations import ObservationWriter

MESSAGES = 1_200
BATCH = 50
AT = 1_793_610_000

#: The command with small batches, so that there are many moments to be killed at.
CHILD = f"import trustgraph.services.feedback as f; f.BATCH = {BATCH}; from trustgraph.cli import main; main()"


def counts(database: Path) -> tuple[int, int, int]:
    """(messages that are spam, spam in daily counts, voters' votes) as a new process sees them."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        connection.execute("BEGIN")
        messages = connection.execute("SELECT count(*) FROM observation WHERE outcome = 1").fetchone()[0]
        good, spam = connection.execute("SELECT sum(good), sum(spam) FROM daily_count").fetchone()
        assert good + spam == MESSAGES
        votes = connection.execute("SELECT count(*) FROM vote WHERE source = 2").fetchone()[0]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        connection.close()
    return messages, spam, votes


def spam_in(database: Path) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    (spam,) = connection.execute("SELECT sum(spam) FROM daily_count").fetchone()
    connection.close()
    return int(spam)


@pytest.mark.parametrize("batches", [1, 4, 12])
def test_nothing_is_counted_twice_or_halfway(tmp_path: Path, batches: int) -> None:
    database, table = tmp_path / "test.db", tmp_path / "feedback.csv"
    store = open_store(f"sqlite:///{database}", create=True)
    ObservationWriter(store).add(
        [
            Observation(
                UnixSeconds(AT + number),
                "mx1.example.org",
                Identity.dkim(f"d{number % 50}.example"),
                Result.PASS,
                Outcome.GOOD,
                f"<{number}@example.com>",
            )
            for number in range(MESSAGES)
        ]
    )
    store.close()
    rows = [f"<{number}@example.com>,anna@example.org,spam,2026-11-02T12:00:00Z\n" for number in range(MESSAGES)]
    table.write_text("message_id,recipient,outcome,at\n" + "".join(rows))
    command = [sys.executable, "-c", CHILD, "--database", f"sqlite:///{database}", "ingest", "feedback", str(table)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while spam_in(database) < batches * BATCH and process.poll() is None and time.monotonic() < deadline:
            pass
        process.send_signal(signal.SIGKILL)
    messages, spam, votes = counts(database)
    assert batches * BATCH <= messages == spam == votes
    assert messages % BATCH == 0
    store = open_store(f"sqlite:///{database}")
    for moved, same in ((MESSAGES - messages, messages), (0, MESSAGES)):
        ingested = ingest_feedback(store, Settings(), [table], UnixSeconds(AT + 86_400), again=True)
        assert (ingested.moved, ingested.same) == (moved, same)
        assert counts(database) == (MESSAGES, MESSAGES, MESSAGES)
    store.close()
