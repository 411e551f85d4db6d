"""The commands as a person or a script runs them: output, --json, exit codes, ways out of errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trustgraph.cli import run
from trustgraph.scoring.registry import ALGORITHMS

A, B, C, D, E = (f"openpgp:{letter * 40}" for letter in "abcde")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trustgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``trustgraph("score", …)`` in an empty directory: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRUSTGRAPH_CONFIG", "TRUSTGRAPH_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def scored(trustgraph: Run) -> Run:
    """A small network in the store, scored: a, b, c are anchors that endorse d; e has bad mail."""
    rows = [f"{x},{D},2026-10-01T00:00:00Z" for x in (A, B, C)]
    Path("e.csv").write_text("endorser,subject,made_at\n" + "\n".join(rows) + "\n")
    history = [f"{A},{D},2026-10-{day:02d},9,0" for day in range(1, 31)] + [f"{A},{E},2026-10-30,0,80"]
    Path("h.csv").write_text("observer,subject,day,good,spam\n" + "\n".join(history) + "\n")
    assert trustgraph("ingest", "table", "endorsements", "e.csv")[0] == 0
    assert trustgraph("ingest", "table", "history", "h.csv")[0] == 0
    anchors = [part for x in (A, B, C) for part in ("--anchor", x)]
    assert trustgraph("score", "--at", "2026-11-01T00:00:00Z", *anchors)[0] == 0
    return trustgraph


def only_json(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_help_names_every_command(trustgraph: Run) -> None:
    code, out, _ = trustgraph("--help")
    assert code == 0
    for command in ("ingest", "score", "rating", "explain", "export", "report", "demo", "simulate", "db"):
        assert command in out


def test_score_prints_what_scripts_read(scored: Run) -> None:
    code, out, _ = scored("score", "--json", "--anchor", f"{A}=0.5", "--anchor", B, "--at", "2026-11-01")
    (printed,) = only_json(out)
    assert code == 0
    assert {"generation", "identities", "endorsements", "iterations", "seconds", "algorithm"} <= printed.keys()
    assert (printed["generation"], printed["endorsements"], printed["algorithm"]) == (2, 3, "trustgraph")


def test_rating_shows_who_stands_and_who_does_not(scored: Run) -> None:
    code, out, _ = scored("rating", D, E, "--json")
    good, bad = only_json(out)
    assert code == 0
    assert (good["standing"], bad["standing"]) == ("accepted", "refused")
    assert good["endorsers"] == 3
    assert {"identity", "host", "rating", "confidence", "sample_size", "generated_at", "expires_at"} <= good.keys()


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_explanations_add_up_for_every_algorithm(scored: Run, algorithm: str) -> None:
    anchors = [part for x in (A, B, C) for part in ("--anchor", x)]
    scored("score", "--at", "2026-11-01", "--algorithm", algorithm, *anchors)
    (explanation,) = only_json(scored("explain", D, "--json")[1])
    (rating,) = only_json(scored("rating", D, "--json")[1])
    parts = sum(part["amount"] for part in explanation["contributions"])
    assert parts == pytest.approx(rating["rating"], abs=1e-12)
    assert explanation["total"] == pytest.approx(explanation["rating"], abs=1e-12)


def test_explain_lists_endorsers_days_and_the_total(scored: Run) -> None:
    code, out, _ = scored("explain", D)
    assert code == 0
    for expected in ("accepted", A, B, C, "2026-10-30", "total", "share of trust"):
        assert expected in out


def test_without_an_anchor_scoring_refuses_and_says_why(trustgraph: Run) -> None:
    Path("e.csv").write_text(f"endorser,subject,made_at\n{A},{B},2026-10-01\n")
    trustgraph("ingest", "table", "endorsements", "e.csv")
    code, _, err = trustgraph("score")
    assert code == 78
    assert "--anchor" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["rating", "dkim:example.org"], 78, "trustgraph db upgrade"),
        (["ingest", "logs", "absent.log"], 66, "absent.log"),
        (["ingest", "table", "nonsense", "x.csv"], 64, "endorsements or history"),
        (["ingest", "logs", "--format", "sendmail", "README"], 64, "rspamd"),
        (["score", "--at", "yesterday"], 78, "db upgrade"),
        (["--config", "absent.toml", "rating", "x"], 66, "absent.toml"),
        (["--database", "mysql://x", "score"], 78, "database.url"),
        (["nonsense"], 64, "No such command"),
        (["rating"], 64, "Missing argument"),
        (["simulate", "nonsense", "--out", "w"], 64, "baseline"),
        (["simulate", "--hosts", "40", "--out", "README/w"], 66, "README"),
    ],
)
def test_errors_exit_with_their_code_and_name_the_way_out(
    trustgraph: Run, arguments: list[str], code: int, said: str
) -> None:
    Path("README").write_text("no log\n")
    got, _, err = trustgraph(*arguments)
    assert (got, said in err) == (code, True), err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["rating", "mx.unknown.example"], 66, "neither an identity"),
        (["rating", "dkim:unknown.example"], 66, "no rating"),
        (["explain", "dkim:unknown.example"], 66, "not in the store"),
        (["score", "--anchor", f"{A}=2"], 65, "weight"),
        (["score", "--anchor", "dkim:unknown.example"], 78, "none of the 1 given"),
        (["score", "--algorithm", "magic", "--anchor", A], 64, "endorsement-count"),
        (["score", "--engine", "spark", "--anchor", A], 64, "local"),
        (["score", "--at", "yesterday", "--anchor", A], 65, "RFC 3339"),
        (["export", "ratings", "x.xls"], 64, ".parquet"),
    ],
)
def test_errors_with_a_database(scored: Run, arguments: list[str], code: int, said: str) -> None:
    got, _, err = scored(*arguments)
    assert (got, said in err) == (code, True), err


def test_ingest_logs_says_what_became_of_the_log(trustgraph: Run) -> None:
    good = '{"at":"2026-11-01T10:00:00Z","observer":"mx1.example.org","identity":"dkim:example.com","result":"pass"}'
    Path("log").write_text(good + "\n{\n")
    code, out, err = trustgraph("ingest", "logs", "log", "--rejects", "bad")
    assert code == 0
    assert "log (native): 2 lines, 1 observations, 1 new, 0 known already, 1 rejected" in out
    assert "line 2: not an observation" in err
    assert Path("bad").exists()
    (again,) = only_json(trustgraph("ingest", "logs", "log", "--json")[1])
    assert (again["new"], again["known"], again["rejected"]) == (0, 1, 1)


def test_hostile_names_cannot_steer_a_terminal(trustgraph: Run) -> None:
    hostile = "log\x1b[2J\u202e"
    Path(hostile).write_text("nothing\n")
    code, out, err = trustgraph("ingest", "logs", hostile)
    assert code == 65
    assert "\\x1b[2J\\u202e" in out
    assert not {"\x1b", "\u202e"} & set(out + err)


def test_a_file_without_any_key_is_bad_data(trustgraph: Run) -> None:
    Path("keys").write_bytes(bytes(range(256)))
    code, _, err = trustgraph("ingest", "keys", "keys")
    assert code == 65
    assert "expected OpenPGP public keys" in err


def test_db_commands(trustgraph: Run) -> None:
    assert trustgraph("db", "check")[0] == 78
    assert trustgraph("db", "upgrade")[0] == 0
    code, out, _ = trustgraph("db", "check", "--json")
    assert (code, json.loads(out)["ok"]) == (0, True)
    assert only_json(trustgraph("db", "prune", "--days", "30", "--json")[1]) == [{"dropped": 0, "kept_days": 30}]


def test_a_bug_is_not_shown_as_a_trace(trustgraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trustgraph.cli.context.load_settings", lambda _path: 1 / 0)
    code, _, err = trustgraph("db", "check")
    assert code == 70
    assert "bug: ZeroDivisionError" in err
