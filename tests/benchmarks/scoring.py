"""Ten million endorsements among a million hosts: out of SQLite, scored and published."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np

from tests.benchmarks.measure import measure, print_table
from trustgraph.model import Identity, UnixSeconds
from trustgraph.services.scoring import score
from trustgraph.settings import Settings
from trustgraph.store import open_store

HOSTS = 1_000_000
ENDORSEMENTS = 10_000_000
ANCHORS = 5
NOW = UnixSeconds(1_793_491_200)


def make_database(path: Path) -> None:
    """A network with heavy-tailed endorsers, written past the store's own checks."""
    open_store(f"sqlite:///{path}", create=True).close()
    dice = np.random.default_rng(1)
    subject = dice.integers(0, HOSTS, ENDORSEMENTS)
    endorser = (dice.random(ENDORSEMENTS) ** 2 * HOSTS).astype(np.int64)
    pairs = np.unique(subject * HOSTS + endorser)
    connection = sqlite3.connect(path)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO identity (id, name, host, operator) VALUES (?, ?, ?, ?)",
        ((i + 1, f"openpgp:{i:040x}", f"mx{i % 2}.d{i // 2}.example", f"d{i // 2}.example") for i in range(HOSTS)),
    )
    connection.executemany(
        "INSERT INTO certification (subject_id, endorser_id, user_id_id, made_at, expires_at, scope, type, depth, "
        "amount, weak, source_id) VALUES (?, ?, 0, 1700000000, ?, 0, 16, 0, 120, 0, 1)",
        ((p // HOSTS + 1, p % HOSTS + 1, None if p % 3 else 1_900_000_000) for p in pairs.tolist()),
    )
    connection.commit()
    connection.close()


def score_once(path: str) -> tuple[int, int, int, float]:
    """(identities, endorsements, iterations, seconds of scoring alone)."""
    store = open_store(f"sqlite:///{path}")
    run = score(
        *(store, Settings()),
        anchors={Identity(f"openpgp:{i:040x}"): 1.0 for i in range(ANCHORS)},
        algorithm="trustgraph",
        reference_time=NOW,
        now=NOW,
    )
    store.close()
    g = run.generation
    return g.identities, g.endorsements, g.iterations, g.seconds


def run(directory: Path) -> None:
    """Print the table."""
    make_database(directory / "big.db")
    measured = measure(score_once, str(directory / "big.db"))
    identities, endorsements, iterations, seconds = measured.result
    rows: list[tuple[object, ...]] = [
        ("loaded and scored", f"{seconds:.1f} s", ""),
        ("published too", f"{measured.seconds:.1f} s", "30 s"),
        ("peak memory", f"{measured.peak_bytes / 1e9:.2f} GB", "4 GB"),
    ]
    title = f"{identities:,} identities, {endorsements:,} endorsements, {iterations} iterations, from SQLite"
    print_table(title, ("step", "measured", "wanted"), rows)
