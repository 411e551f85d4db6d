"""``trustgraph lab``: attacks on every algorithm, judged by the truth."""

from __future__ import annotations

import json as json_module
import os
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli import graphs as graphs_command
from trustgraph.cli.context import JsonOption, seconds_between_ratings
from trustgraph.cli.output import note, print_json, print_table, progress_bar, say
from trustgraph.errors import BadInput

if TYPE_CHECKING:
    from trustgraph.lab.summary import Row
    from trustgraph.services.evaluation import Evaluation

app = typer.Typer(help="Simulated worlds in which the truth is known.", no_args_is_help=True)


app.command()(graphs_command.graphs)


@app.command()
def evaluate(
    scenario: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A scenario (see simulate --list); default all.")
    ] = None,
    algorithm: Annotated[list[str] | None, typer.Option(metavar="NAME", help="An algorithm; default all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Worlds of each scenario.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first of them.")] = 1,
    every: Annotated[str, typer.Option(help='How often everything is rated anew, such as "1h".')] = "6h",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the scenario given.")
    ] = None,
    graphs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Real trust graphs to attack as well, as lab graphs does.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Worlds at a time; 0 is one a core.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Directory for evaluation.json, evaluation.png and, with --graphs, graphs.png.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Let every algorithm keep the gate in every scenario and say what its mistakes cost.

    Each world is written to files, ingested and replayed as our site would have lived it.
    """
    from trustgraph.services.evaluation import evaluate as run_evaluation
    from trustgraph.services.graph_evaluation import read_graphs

    every_seconds = seconds_between_ratings(every)
    found = read_graphs(graphs) if graphs is not None else {}
    numbers = range(first_seed, first_seed + seeds)
    with progress_bar("judging") as show:
        evaluation = run_evaluation(
            scenario or [],
            algorithm or [],
            seeds=numbers,
            every_seconds=every_seconds,
            settings=_assignments(set_ or []),
            jobs=jobs or len(os.sched_getaffinity(0)),
            progress=lambda done, total: show("worlds", done, total),
        )
    told = _as_json(evaluation)
    if found:
        table = graphs_command.attack(found, algorithm or [], numbers, jobs)
        told["graphs"] = graphs_command.graphs_json(found, table)
    if out is not None:
        _write(evaluation, told, out)
        if found:
            graphs_command.write_picture(table, out)
            note(f"graphs.png is in {out}")
    if json:
        print_json(told)
        return
    _print(evaluation)
    if found:
        graphs_command.print_graphs(found, table)


def _assignments(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadInput(f"--set {text[:80]}: expected NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Infinite times (never) are null."""
    return {
        "default": evaluation.default,
        "rows": [_finite(asdict(row)) for row in evaluation.rows],
        "better_than_default": [asdict(one) for one in evaluation.better],
    }


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in row.items()}


def _print(evaluation: Evaluation) -> None:
    algorithms = list(dict.fromkeys(row.algorithm for row in evaluation.rows))
    cost = {(row.scenario, row.algorithm): row.cost for row in evaluation.rows}
    scenarios = list(dict.fromkeys(row.scenario for row in evaluation.rows))
    print_table(
        "what mistakes cost, in let-in spam messages per 1,000 messages (mean ± standard error)",
        ["scenario", *algorithms],
        [(s, *(f"{cost[s, a].mean:.1f} ± {cost[s, a].error:.1f}" for a in algorithms)) for s in scenarios],
    )
    shown = [row for row in evaluation.rows if row.algorithm == evaluation.default] or evaluation.rows
    print_table(
        f"\n{shown[0].algorithm} in each scenario"
        if shown[0].algorithm == evaluation.default
        else "\nin each scenario",
        [
            *("scenario", "algorithm", "spam in", "good refused", "delayed", "refused in 48 h", "hours to it"),
            *("traitor's spam", "newcomers in 30 d", "days to it", "accepted at the end"),
        ],
        [_shown(row) for row in shown],
    )
    for one in evaluation.better:
        say(
            f"{one.algorithm} is better than {evaluation.default} in {one.scenario}: "
            f"by {one.saved.mean:.1f} ± {one.saved.error:.1f}"
        )
    if not evaluation.better and len(algorithms) > 1 and shown[0].worlds > 1:
        say(f"no algorithm is better than {evaluation.default} in any scenario by more than noise")


def _shown(row: Row) -> tuple[str, ...]:
    kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in row.accepted.items())
    return (
        *(row.scenario, row.algorithm, f"{row.spam_let_in:.1%}", f"{row.good_refused:.1%}", f"{row.good_delayed:.1%}"),
        *(_share(row.refused_in_48_hours), _number(row.hours_to_refusal)),
        "-" if row.spam_before_fall is None else str(row.spam_before_fall),
        *(_share(row.stands_in_30_days), _number(row.days_to_stand), kinds),
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if isfinite(value) else "never"


def _write(evaluation: Evaluation, told: dict[str, Any], out: Path) -> None:
    from trustgraph.reports.evaluation_plot import cost_map

    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(json_module.dumps(told, indent=1) + "\n", encoding="utf-8")
    rows = evaluation.rows
    names = [list(dict.fromkeys(getattr(row, part) for row in rows)) for part in ("scenario", "algorithm")]
    picture = cost_map({(row.scenario, row.algorithm): row.cost.mean for row in rows}, *names)
    (out / "evaluation.png").write_bytes(picture)
    note(f"evaluation.json and evaluation.png are in {out}")
