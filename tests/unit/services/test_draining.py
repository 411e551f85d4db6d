"""Whoever drains the spool is replaced when it dies, and nothing that was spooled is lost by that."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from tests.unit.services.site import US, site_in
from trustgraph.model import Result
from trustgraph.services.daemon import prepared
from trustgraph.services.gate import state_of
from trustgraph.verifier.spool import Record, Spool

DEADLINE = 30.0


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(found: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not found():
        assert time.monotonic() < end, what
        os.sched_yield()


def test_one_that_is_killed_is_replaced(tmp_path: Path) -> None:
    settings = site_in(tmp_path)
    before = set(children(os.getpid()))
    with prepared(settings):
        (keeper,) = set(children(os.getpid())) - before
        until(lambda: children(keeper), "somebody should drain the spool")
        (first,) = children(keeper)
        os.kill(first, signal.SIGKILL)
        until(lambda: children(keeper) not in ([], [first]), "another should drain the spool")
        spool = Spool(state_of(settings, "spool"), "test")
        spool.append(Record("2026-11-01T00:00:00Z", US, "ip:192.0.2.1", Result.NONE, "<1@peer.example>"))
        spool.close()
        until(lambda: observations(tmp_path) == 1, "what was spooled should be in the store")
    assert set(children(os.getpid())) == before


def observations(home: Path) -> int:
    database = sqlite3.connect(home / "trustgraph.db")
    (count,) = database.execute("SELECT count(*) FROM observation").fetchone()
    database.close()
    return int(count)
