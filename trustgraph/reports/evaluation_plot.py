"""The attack suite as one picture: what each algorithm's mistakes cost in each scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LogNorm

from trustgraph.reports.figures import INK, LABEL_SIZE, TICK_SIZE, new_figure, to_png

#: Costs from which the cells are dark enough to need light letters.
_DARK = 60.0


def cost_map(costs: Mapping[tuple[str, str], float], scenarios: Sequence[str], algorithms: Sequence[str]) -> bytes:
    """A map of costs by (scenario, algorithm) as PNG; the cheapest of each row in bold."""
    table = np.array([[costs[scenario, algorithm] for algorithm in algorithms] for scenario in scenarios])
    size = {"width": 4.5 + 1.15 * len(algorithms), "height": 2.6 + 0.5 * len(scenarios)}
    figure, axes = new_figure("What each algorithm's mistakes cost (lower is better)", **size)
    shades = axes.imshow(np.maximum(table, 1.0), cmap="cividis_r", norm=LogNorm(1, 1_000, clip=True), aspect="auto")
    axes.set_xticks(range(len(algorithms)), algorithms, rotation=30, ha="right")
    axes.set_yticks(range(len(scenarios)), scenarios)
    for (row, column), cost in np.ndenumerate(table):
        axes.text(
            *(column, row, f"{cost:.0f}" if cost >= 10 else f"{cost:.1f}"),
            ha="center",
            va="center",
            fontsize=TICK_SIZE,
            fontweight="bold" if cost <= table[row].min() else "normal",
            color="white" if cost > _DARK else INK,
        )
    bar = figure.colorbar(shades)
    bar.set_label("spam messages let in per 1,000 messages, or as bad", fontsize=LABEL_SIZE, color=INK)
    return to_png(figure)
