"""``lab graphs`` as a person or a script runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.made_graphs import HOSTS, write_graphs
from trustgraph.cli import run
from trustgraph.scoring.registry import ALGORITHMS

SMALL = ["--algorithm", "trustgraph", "--algorithm", "history", "--seeds", "2", "--edges", "2", "--edges", "40"]


def test_a_table_a_graph_and_a_reading_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "graphs", str(write_graphs(tmp_path)), *SMALL, "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "archlinux: 60 hosts, 405 endorsements; sybils accepted of 1,000" in out
    assert "bitcoin-alpha: 60 hosts" in out
    (ours, _), (nobody, _) = ([line for line in out.splitlines() if line.startswith(n)] for n in ("trust", "history"))
    assert ours.split()[:4] == ["trustgraph", "0.0", "±", "0.0"]
    assert nobody.split()[-4:] == ["0%", "0%", "-", "-"]
    assert "At 40 attack edges, of the algorithms that accept at least 80%" in out
    assert "by trustgraph (" in out


def test_processes_side_by_side_say_the_same_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["lab", "graphs", str(write_graphs(tmp_path)), *SMALL, "--json"]
    assert run([*arguments, "--jobs", "1", "--out", str(tmp_path / "out")]) == 0
    one = json.loads(capsys.readouterr().out)
    assert run([*arguments, "--jobs", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == one
    assert one["graphs"]["archlinux"] == {"hosts": HOSTS, "endorsements": 405, "with_quorum": HOSTS}
    assert (one["sybils"], one["equal_share"]) == (1_000, 0.93)
    assert [(r["graph"], r["edges"], r["algorithm"], r["runs"]) for r in one["rows"]] == [
        (graph, edges, name, 2)
        for graph in ("archlinux", "bitcoin-alpha")
        for edges in (2, 40)
        for name in ("trustgraph", "history")
    ]
    assert one["rows"][1]["sybils_at_equal_share"] is None
    assert json.loads((tmp_path / "out" / "graphs.json").read_text()) == one
    assert (tmp_path / "out" / "graphs.png").read_bytes().startswith(b"\x89PNG")


def test_another_first_seed_is_another_attack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["lab", "graphs", str(write_graphs(tmp_path)), "--algorithm", "pagerank", "--seeds", "1", "--jobs", "1"]
    told = []
    for seed in ("1", "2"):
        assert run([*arguments, "--json", "--first-seed", seed]) == 0
        told.append(json.loads(capsys.readouterr().out)["rows"])
    assert told[0] != told[1]
    assert [row["edges"] for row in told[0]] == [6, 20, 100] * 2


@pytest.mark.parametrize("command", [["lab", "graphs"], ["lab", "evaluate", "--graphs"]])
def test_errors_come_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run([*command, str(tmp_path)]) == 66
    assert "archlinux_wot.csv" in capsys.readouterr().err
    (tmp_path / "archlinux_wot.csv").write_text("nothing\n", encoding="utf-8")
    assert run([*command, str(tmp_path)]) == 65
    assert "it has no column" in capsys.readouterr().err
    assert run([*command, str(write_graphs(tmp_path)), "--algorithm", "nothing"]) == 64
    assert next(iter(ALGORITHMS)) in capsys.readouterr().err
