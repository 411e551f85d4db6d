"""The README's commands on the sample world, as processes, on SQLite and on a real PostgreSQL: the same ratings."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import PrivatePostgres, find_server

WORLD = Path(__file__).parents[2] / "data" / "world"
LOGS = {
    "mx1.jsonl.gz": "mx1.example.org",
    "partner-one.rspamd.log.gz": "mail.partner-one.example",
    "partner-two.mail.log.gz": "mail.partner-two.example",
}
BAD = {"relay", "ring", "traitor", "impersonator"}


def trustgraph(database: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "trustgraph", "--config", str(WORLD / "trustgraph.toml"), "--database", database]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_all(database: str, out: Path) -> Path:
    """Ingest, score and export; returns the exported ratings."""
    trustgraph(database, "ingest", "keys", str(WORLD / "keys.pgp"))
    for log, observer in LOGS.items():
        trustgraph(database, "ingest", "logs", str(WORLD / log), "--observer", observer)
    trustgraph(database, "score", "--at", "2026-11-01T00:00:00Z")
    trustgraph(database, "export", "ratings", str(out))
    return out


def standings(ratings: Path) -> dict[str, str]:
    with ratings.open(newline="") as stream:
        return {row["identity"]: row["standing"] for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    directory = tmp_path_factory.mktemp("pipeline")
    url = f"sqlite:///{directory / 'world.db'}"
    return url, run_all(url, directory / "ratings.csv")


def test_no_bad_host_is_accepted_and_no_honest_one_refused(sqlite: tuple[str, Path]) -> None:
    found = standings(sqlite[1])
    with (WORLD / "truth.csv").open(newline="") as stream:
        truth = [(row["kind"], found.get(row["identity"])) for row in csv.DictReader(stream) if row["identity"]]
    assert [kind for kind, standing in truth if kind in BAD and standing == "accepted"] == []
    assert [kind for kind, standing in truth if kind == "honest" and standing == "refused"] == []
    assert sum(kind == "honest" and standing == "accepted" for kind, standing in truth) >= 50


def test_ingesting_everything_again_changes_no_rating(sqlite: tuple[str, Path], tmp_path: Path) -> None:
    url, ratings = sqlite
    assert run_all(url, tmp_path / "again.csv").read_bytes() == ratings.read_bytes()


def test_postgresql_gives_the_same_octets(
    sqlite: tuple[str, Path], tmp_path: Path, require: Callable[[str], str]
) -> None:
    programs = find_server() or Path(require("postgres"))
    with PrivatePostgres(programs) as server:
        assert run_all(server.new_database(), tmp_path / "ratings.csv").read_bytes() == sqlite[1].read_bytes()


def test_every_explanation_adds_up_and_the_report_names_the_ring(sqlite: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = sqlite
    explained: list[dict[str, Any]] = [
        json.loads(line) for line in trustgraph(url, "explain", "mail.partner-two.example", "--json").splitlines()
    ]
    assert explained[0]["identity"].startswith("openpgp:")
    assert sum(part["mass_share"] for part in explained[0]["contributions"]) == pytest.approx(1.0, abs=1e-9)
    for explanation in explained:
        parts = sum(part["amount"] for part in explanation["contributions"])
        assert parts == pytest.approx(explanation["rating"], abs=1e-9)
    report = json.loads(trustgraph(url, "report", "relays", "--out", str(tmp_path), "--json"))
    assert {"ring", "endorsement-burst", "several-keys", "sudden-turn"} <= {row["kind"] for row in report["findings"]}
    assert {path.name for path in tmp_path.iterdir()} == {"relays.html", "relays.csv", "relays.json"}
