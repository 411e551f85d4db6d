"""``trustgraph lab graphs``, and what ``lab evaluate --graphs`` shares with it: sybils on real trust graphs."""

from __future__ import annotations

import json as json_module
import os
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from trustgraph.cli.context import JsonOption
from trustgraph.cli.output import note, print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    import pandas as pd

    from trustgraph.lab.realgraphs import Graph

#: By name.
Graphs: TypeAlias = "Mapping[str, Graph]"


def graphs(
    directory: Annotated[Path, typer.Argument(help="Has debian_wot.csv, archlinux_wot.csv or alpha_network.csv.")],
    algorithm: Annotated[list[str] | None, typer.Option(metavar="NAME", help="An algorithm; default all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Attacks of each number of edges.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first of them.")] = 1,
    edges: Annotated[
        list[int] | None, typer.Option(min=1, help="Honest hosts that endorse a sybil; default 6, 20 and 100.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Attacks at a time; 0 is one a core.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Directory for graphs.json and graphs.png.")] = None,
    json: JsonOption = False,
) -> None:
    """Graft a ring of sybils onto real trust graphs and count whom every algorithm accepts.

    Nothing is read but the graphs: what is judged is how well endorsements alone tell hosts from sybils.
    """
    from trustgraph.services.graph_evaluation import read_graphs

    found = read_graphs(directory)
    table = attack(found, algorithm or [], range(first_seed, first_seed + seeds), jobs, edges)
    told = graphs_json(found, table)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "graphs.json").write_text(json_module.dumps(told, indent=1) + "\n", encoding="utf-8")
        write_picture(table, out)
        note(f"graphs.json and graphs.png are in {out}")
    if json:
        print_json(told)
        return
    print_graphs(found, table)


def attack(
    found: Graphs, algorithms: Sequence[str], seeds: Sequence[int], jobs: int, edges: Sequence[int] | None = None
) -> pd.DataFrame:
    """The table of :func:`evaluate_graphs`, with a bar while it is made; 0 jobs are one a core."""
    from trustgraph.services.graph_evaluation import EDGES, evaluate_graphs

    with progress_bar("attacking") as show:
        return evaluate_graphs(
            found,
            algorithms,
            seeds=seeds,
            edges=edges or EDGES,
            jobs=jobs or len(os.sched_getaffinity(0)),
            progress=lambda done, total: show("graphs", done, total),
        )


def graphs_json(found: Graphs, table: pd.DataFrame) -> dict[str, Any]:
    """What was attacked, how, and the rows; null where an algorithm does not reach the equal share."""
    from trustgraph.services.graph_evaluation import EQUAL_SHARE, PROTOCOL, with_quorum

    return {
        "sybils": PROTOCOL.sybils,
        "equal_share": EQUAL_SHARE,
        "graphs": {
            name: {
                "hosts": graph.size,
                "endorsements": len(graph.endorser),
                "with_quorum": int(with_quorum(graph).sum()),
            }
            for name, graph in found.items()
        },
        "rows": [
            {k: None if isinstance(v, float) and isnan(v) else v for k, v in row.items()}
            for row in table.to_dict("records")
        ],
    }


def print_graphs(found: Graphs, table: pd.DataFrame) -> None:
    """One table a graph, and in one line what to read off them."""
    from trustgraph.reports.graph_plot import sybils_reading
    from trustgraph.services.graph_evaluation import EQUAL_SHARE, PROTOCOL

    numbers = sorted(set(table["edges"]))
    for name, graph in found.items():
        here = table[table["graph"] == name]
        print_table(
            f"\n{name}: {graph.size:,} hosts, {len(graph.endorser):,} endorsements; sybils accepted of "
            f"{PROTOCOL.sybils:,} (mean ± standard error), least share of honest hosts accepted",
            [
                *("algorithm", *(f"{n} edges" for n in numbers), "honest", "with a quorum"),
                *(f"{n} at {EQUAL_SHARE:.0%}" for n in numbers),
            ],
            [
                (
                    *(algorithm, *_cells(rows, "sybils")),
                    *(f"{rows[share].min():.0%}" for share in ("honest", "with_quorum")),
                    *_cells(rows, "sybils_at_equal_share"),
                )
                for algorithm, rows in here.groupby("algorithm", sort=False)
            ],
        )
    say(f"\n{sybils_reading(table)}")


def _cells(rows: pd.DataFrame, measure: str) -> list[str]:
    pairs = zip(rows[measure], rows[f"{measure}_error"], strict=True)
    return ["-" if isnan(mean) else f"{mean:.1f} ± {error:.1f}" for mean, error in pairs]


def write_picture(table: pd.DataFrame, out: Path) -> None:
    """``graphs.png`` in the directory."""
    from trustgraph.reports.graph_plot import sybils_picture
    from trustgraph.services.graph_evaluation import PROTOCOL

    (out / "graphs.png").write_bytes(sybils_picture(table, PROTOCOL.sybils).png)
