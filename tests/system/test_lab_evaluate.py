"""The attack suite from files to verdicts: what is promised of the default algorithm, in small worlds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.made_graphs import write_graphs
from trustgraph.cli import run
from trustgraph.errors import UsageError
from trustgraph.lab.scenarios import QUICK
from trustgraph.lab.summary import Row
from trustgraph.services.evaluation import evaluate

HOUR = 3_600
DEFAULT = "trustgraph"


def row(scenario: str, *, seeds: int = 2, algorithm: str = DEFAULT, **settings: str) -> Row:
    evaluation = evaluate(
        [scenario],
        [algorithm],
        seeds=range(11, 11 + seeds),
        every_seconds=3 * HOUR,
        settings=settings,
        jobs=1,
        progress=lambda done, total: None,
        parameters=QUICK,
    )
    (found,) = evaluation.rows
    return found


@pytest.mark.parametrize("signatures", [1, 5])
def test_a_relay_with_bought_signatures_is_refused_within_two_days(signatures: int) -> None:
    bought = row("bought", signatures=str(signatures))
    assert bought.refused_in_48_hours == 1.0
    assert bought.accepted["relay"] == 0.0


def test_a_traitor_falls_within_fifty_spam_messages() -> None:
    traitor = row("traitor", begins="5")
    assert traitor.spam_before_fall is not None
    assert traitor.spam_before_fall < 50
    assert traitor.accepted["traitor"] == 0.0


@pytest.mark.parametrize(
    ("scenario", "settings"),
    [("ring", {}), ("ring-attack-edges", {}), ("impersonator", {}), ("flood", {}), ("compromised-hub", {})],
)
def test_nobody_bad_stands_at_the_end(scenario: str, settings: Mapping[str, str]) -> None:
    found = row(scenario, seeds=1, **settings)
    bad = {kind: share for kind, share in found.accepted.items() if kind not in ("honest", "newcomer", "hub")}
    assert bad
    assert not any(bad.values()), bad
    assert found.accepted["honest"] > 0.2


def test_an_outage_lets_nothing_in_unchecked_and_loses_nothing() -> None:
    quiet, outage = row("lone-relay"), row("outage")
    assert outage.good_delayed > quiet.good_delayed
    assert outage.good_refused < 0.02
    assert outage.spam_let_in < 0.5


def test_worlds_side_by_side_say_the_same_as_one_after_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["lab", "evaluate", "--scenario", "bought", "--algorithm", DEFAULT, "--algorithm", "history"]
    arguments += ["--seeds", "2", "--every", "12h", "--set", "relays=2", "--json"]
    arguments += ["--graphs", str(write_graphs(tmp_path / "graphs"))]
    assert run([*arguments, "--jobs", "1", "--out", str(tmp_path)]) == 0
    one = json.loads(capsys.readouterr().out)
    assert run([*arguments, "--jobs", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == one
    assert [(r["scenario"], r["algorithm"], r["worlds"]) for r in one["rows"]] == [
        ("bought", DEFAULT, 2),
        ("bought", "history", 2),
    ]
    assert [(r["graph"], r["edges"], r["algorithm"]) for r in one["graphs"]["rows"]] == [
        (graph, edges, name)
        for graph in ("archlinux", "bitcoin-alpha")
        for edges in (6, 20, 100)
        for name in (DEFAULT, "history")
    ]
    assert json.loads((tmp_path / "evaluation.json").read_text()) == one
    for picture in ("evaluation.png", "graphs.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("scenario", "algorithm", "settings"),
    [
        ("nothing", DEFAULT, {}),
        ("ring", "nothing", {}),
        ("ring", DEFAULT, {"nothing": "1"}),
        ("ring", DEFAULT, {"size": "x"}),
    ],
)
def test_names_that_there_are_not_are_said_before_anything_is_made(
    scenario: str, algorithm: str, settings: Mapping[str, str]
) -> None:
    with pytest.raises(UsageError):
        row(scenario, algorithm=algorithm, **settings)


@pytest.mark.parametrize("every", ["0", "59s", "soon", "9" * 400 + "d"])
def test_steps_of_no_length_are_refused(every: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "evaluate", "--every", every]) == 65
    assert "--every" in capsys.readouterr().err
