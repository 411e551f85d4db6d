"""kill -9 in the middle of an ingestion: what was acknowledged is there, folded once, and the next run completes it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trustgraph.ingest import logs
from trustgraph.ingest.formats.base import LogContext
from trustgraph.model import UnixSeconds
from trustgraph.store import open_store

LINES = 60_000
BATCH = 2_000

#: The command with small batches, so that there are many moments to be killed at.
CHILD = f"import trustgraph.ingest.logs as logs; logs.BATCH = {BATCH}; from trustgraph.cli import main; main()"


def line(number: int) -> str:
    second = number // 20
    time_of_day = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return (
        f'{{"at":"2026-11-01T{time_of_day}Z","observer":"mx1.example.org","identity":"dkim:d{number % 50}.example",'
        f'"result":"pass","outcome":"good","message_id":"<{number}@example.com>"}}\n'
    )


def counts(database: Path) -> tuple[int, int]:
    """(raw observations, good mail in daily counts) as a new process sees them."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        raw = connection.execute("SELECT count(*) FROM observation").fetchone()[0]
        folded = connection.execute("SELECT coalesce(sum(good), 0) FROM daily_count").fetchone()[0]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    return raw, folded


@pytest.mark.parametrize("batches", [1, 4, 9])
def test_nothing_acknowledged_is_lost_and_nothing_is_counted_twice(tmp_path: Path, batches: int) -> None:
    log, database = tmp_path / "log", tmp_path / "test.db"
    log.write_text("".join(line(number) for number in range(LINES)))
    store = open_store(f"sqlite:///{database}", create=True)
    store.close()
    command = [sys.executable, "-c", CHILD, "--database", f"sqlite:///{database}", "ingest", "logs", str(log)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while counts(database)[0] < batches * BATCH and process.poll() is None and time.monotonic() < deadline:
            pass
        process.send_signal(signal.SIGKILL)
    raw, folded = counts(database)
    assert batches * BATCH <= raw == folded
    assert raw % BATCH == 0
    store = open_store(f"sqlite:///{database}")
    (ingested,) = logs.ingest_logs(store, [log], logs.LogOptions(LogContext()), UnixSeconds(0))
    store.close()
    assert (ingested.known, ingested.new) == (raw, LINES - raw)
    assert counts(database) == (LINES, LINES)
