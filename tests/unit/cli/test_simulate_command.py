"""``trustgraph simulate``: scenarios, their settings and the options that all have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trustgraph.cli import run
from trustgraph.lab.scenarios import SCENARIOS

SMALL = ("--hosts", "45", "--days", "20", "--history-days", "200", "--messages", "2000", "--newcomers", "2")


def test_the_list_names_every_scenario_with_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}: {scenario.summary}\n" in out for name, scenario in SCENARIOS.items())
    assert "    --set targeted=true: from the best endorsed honest hosts; else from any\n" in out
    assert run(["simulate", "--list", "--json"]) == 0
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["scenario"] for entry in entries] == list(SCENARIOS)
    assert entries[2]["settings"] == {"begins": 10, "relays": 4, "volume": 8.0, "signatures": 3}


def test_a_world_is_made_as_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--set", "relays=2", "--set", "signatures=4", "--adoption", "0.5", "--until", "2026-12-01T00:00:00Z")
    assert run(["simulate", "bought", "--seed", "4", *SMALL, *options, "--out", str(tmp_path), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["scenario"] == "bought"
    readme = (tmp_path / "README.md").read_text()
    assert "simulate bought --seed 4 --hosts 45 --newcomers 2 --days 20 --history-days 200 --messages 2000" in readme
    assert "--until 2026-12-01T00:00:00Z --adoption 0.5 --set relays=2 --set signatures=4 --out DIR" in readme
    assert "| hosts: relay | 2 |" in readme


def test_the_recorded_command_makes_the_same_world(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(["simulate", "ring-attack-edges", *SMALL, "--set", "targeted=no", "--out", str(first)]) == 0
    readme = (first / "README.md").read_text()
    command = readme.partition("`trustgraph ")[2].partition("`")[0].replace("DIR", str(second))
    assert run(command.split()) == 0
    assert {path.name: path.read_bytes() for path in second.iterdir()} == {
        path.name: path.read_bytes() for path in first.iterdir()
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["bought", "--set", "signatures"], 64, "expected NAME=VALUE"),
        (["bought", "--set", "price=3"], 64, "expected one of begins, relays, volume, signatures"),
        (["bought", "--set", "signatures=9"], 64, "signatures must be 1 to 5, not 9"),
        (["bought", "--relays", "9"], 64, "only the baseline has relays"),
        (["bought", "--adoption", "0"], 65, "0.01 to 1 of the honest hosts sign"),
        (["bought", "--until", "tomorrow"], 65, "tomorrow"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", *arguments, "--out", str(tmp_path / "w")]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
