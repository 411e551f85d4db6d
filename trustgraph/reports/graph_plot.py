"""Sybils on real trust graphs as one picture (:mod:`trustgraph.services.graph_evaluation` makes the table)."""

from __future__ import annotations

from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from trustgraph.model import Standing
from trustgraph.reports.figures import COLOURS, INK, LABEL_SIZE, TICK_SIZE, TITLE_SIZE, label_axes, to_png
from trustgraph.reports.pictures import Picture
from trustgraph.reports.tuning_plots import STYLES, Style, plain_axes

#: Share of the honest hosts with a quorum that an algorithm must accept to be told of: to accept nobody is no merit.
USEFUL_SHARE = 0.8
_STYLES: tuple[Style, ...] = (*STYLES, ("#56B4E9", "P", "--"), (COLOURS[Standing.UNRATED], "*", "-."))


def sybils_picture(table: pd.DataFrame, sybils: int) -> Picture:
    """Sybils accepted, of so many, and below that honest hosts, against attack edges: one column of panels a graph."""
    title = f"Sybils accepted, of {sybils:,} on real trust graphs (lower is better)"
    graphs = list(dict.fromkeys(table["graph"]))
    figure = Figure(figsize=(max(10.5, 4.0 + 4.0 * len(graphs)), 10.0), layout="constrained")
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK, x=0.01, ha="left")
    panels = figure.subplots(2, len(graphs), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2))
    for graph, (top, bottom) in zip(graphs, panels.T, strict=True):
        _column(top, bottom, table[table["graph"] == graph])
        top.set_title(graph, fontsize=LABEL_SIZE, color=INK, loc="left")
    top, bottom = panels[0, 0], panels[1, 0]
    # Logarithmic above one, so that none can be shown.
    top.set_yscale("symlog", linthresh=1.0)
    top.set_ylim(-0.2, 1.3 * sybils)
    top.set_yticks(*_ticks(sybils))
    bottom.set_ylim(-3, 103)
    label_axes(top, "", "sybils accepted")
    label_axes(bottom, bottom.get_xlabel(), "honest hosts with a\nquorum accepted (%)")
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, fontsize=TICK_SIZE, frameon=False)
    return Picture(title, sybils_reading(table), to_png(figure))


def sybils_reading(table: pd.DataFrame) -> str:
    """Who lets in fewest at the most edges, on each graph, of those that accept most honest hosts."""
    most = int(table["edges"].max())
    told = []
    for graph, rows in table[table["edges"] == most].groupby("graph", sort=False):
        useful = rows[rows["with_quorum"] >= USEFUL_SHARE].nsmallest(1, "sybils")
        best = [f"{name} ({sybils:.1f})" for name, sybils in zip(useful["algorithm"], useful["sybils"], strict=True)]
        told.append(f"{best[0] if best else 'none'} on {graph}")
    return (
        f"At {most} attack edges, of the algorithms that accept at least {USEFUL_SHARE:.0%} of the honest hosts with a "
        f"quorum, fewest sybils are accepted by {', '.join(told)}."
    )


def _column(top: Axes, bottom: Axes, table: pd.DataFrame) -> None:
    edges = sorted(set(table["edges"]))
    for (name, rows), (colour, marker, line) in zip(
        table.groupby("algorithm", sort=False), cycle(_STYLES), strict=False
    ):
        at, accepted = rows["edges"].to_numpy(), rows["sybils"].to_numpy()
        for axes, values in ((top, accepted), (bottom, 100.0 * rows["with_quorum"].to_numpy())):
            axes.plot(
                *(at, values), color=colour, marker=marker, linestyle=line, linewidth=2.5, markersize=9, label=str(name)
            )
        top.errorbar(at, accepted, rows["sybils_error"].to_numpy(), fmt="none", ecolor=colour, capsize=4)
    for axes in (top, bottom):
        axes.set_xscale("log")
        axes.set_xticks(edges, [f"{each:g}" for each in edges])
        axes.xaxis.set_minor_locator(NullLocator())
        plain_axes(axes)
    bottom.set_xlabel("attack edges", fontsize=LABEL_SIZE, color=INK)


def _ticks(sybils: int) -> tuple[list[int], list[str]]:
    places = [0, *(10**power for power in range(len(str(sybils))))]
    return places, [f"{place:,}" for place in places]
