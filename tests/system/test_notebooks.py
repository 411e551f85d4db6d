"""The notebooks as a person runs them: each in a kernel of its own on the sample world, and on one's own database."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from trustgraph.cli import run

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = ("policy_tuning", "relay_hunting", "adoption")
#: What each has to show, by the beginnings of the titles of its figures.
FIGURES = {
    "policy_tuning": [
        *(f"What policy.{key} lets in" for key in ("profile", "accept", "refuse", "quorum")),
        "What scoring.half_life lets in",
        "What policy.newcomer_messages lets in",
        "The rating as a judge of mail",
        "What mistakes cost",
        "Hosts that change sides",
    ],
    "relay_hunting": [
        *("Ratings", "Good and bad mail", "Daily bad mail", "The endorsements around the findings"),
        *("How endorsements came in", "What carries ", "What the gate did to the suspects", "What the gate did to "),
    ],
    "adoption": ["What signing brings as more hosts do it"],
}
#: Lines of a cell, imports aside.
MOST_LINES = 9


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)


def code_of(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def executed(name: str, directory: Path) -> nbformat.NotebookNode:
    """Run by a process of its own, without settings, kernels or history of whoever runs the tests."""
    private = {key: str(directory / key) for key in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    runtime = {"JUPYTER_RUNTIME_DIR": str(directory / "runtime"), "TMPDIR": str(directory)}
    command = [Path(sys.executable).with_name("jupyter-execute"), NOTEBOOKS / f"{name}.ipynb"]
    done = subprocess.run(
        [*command, "--kernel_name=python3", "--timeout=200", f"--output={directory / name}"],
        env=os.environ | private | runtime,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return nbformat.read(directory / f"{name}.ipynb", 4)


def test_every_notebook_is_tested() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_committed_without_outputs_and_holds_little_code(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    for cell in code_of(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
        lines = [line for line in cell.source.splitlines() if line and not line.startswith(("import ", "from "))]
        assert len(lines) <= MOST_LINES, cell.source


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_and_its_figures_say_what_they_show(name: str, tmp_path: Path) -> None:
    notebook = executed(name, tmp_path)
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    # Neither errors nor anything on standard error, such as warnings.
    assert [output for output in outputs if output.output_type not in ("execute_result", "display_data")] == []
    pages = [output.data.get("text/html", "") for output in outputs]
    figures = [page for page in pages if page.startswith("<figure>")]
    titles = [re.findall(r'<img alt="([^"]+)"', figure)[0] for figure in figures]
    assert [any(title.startswith(wanted) for title in titles) for wanted in FIGURES[name]] == [True] * len(
        FIGURES[name]
    )
    readings = [re.findall("<figcaption>(.+)</figcaption>", figure, re.DOTALL)[0] for figure in figures]
    assert all(len(reading) > 40 for reading in readings)
    assert sum(len(page) for page in pages) < 4_000_000


def own_database(directory: Path) -> Path:
    """Settings and a scored store of a small site: one good host, and one that sends spam by the hundred."""
    lines = [
        {
            "at": f"2026-10-{day:02d}T{hour:02d}:00:00Z",
            "observer": "mx1.example.org",
            "identity": f"dkim:{name}.example",
            "host": f"mx.{name}.example",
            "message_id": f"<{name}.{day}.{hour}@x>",
            "result": "pass",
            "outcome": outcome,
        }
        for name, outcome, hours in (("peer", "good", range(8, 14)), ("bulk", "spam", range(20)))
        for day in range(1, 31)
        for hour in hours
    ]
    (directory / "mail.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = directory / "trustgraph.toml"
    config.write_text(f'[site]\nhostname = "mx1.example.org"\n[database]\nurl = "sqlite:///{directory}/own.db"\n')
    for arguments in (["db", "upgrade"], ["ingest", "logs", str(directory / "mail.jsonl")], ["score"]):
        assert run(["--config", str(config), *arguments]) == 0
    return config


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_on_ones_own_database(name: str, tmp_path: Path) -> None:
    config = own_database(tmp_path)
    before = (tmp_path / "own.db").read_bytes()
    scope: dict[str, object] = {}
    for cell in code_of(read(name)):
        if "table" not in cell.source:  # the adoption notebook's table is of made worlds, whosever database it is
            exec(cell.source.replace('CONFIG = ""', f"CONFIG = {str(config)!r}"), scope)
    assert str(scope["site"].settings.database.url).endswith("own.db")  # type: ignore[attr-defined]
    assert (tmp_path / "own.db").read_bytes() == before


def test_headings_stand_in_order() -> None:
    for name in NAMES:
        levels = [len(match[1]) for cell in read(name).cells if (match := re.match("(#+) ", cell.source))]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
