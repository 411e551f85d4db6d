"""Sybils on real graphs as a picture: what is drawn is what the table says."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from trustgraph.reports import figures, graph_plot
from trustgraph.reports.graph_plot import sybils_picture, sybils_reading
from trustgraph.scoring.registry import ALGORITHMS

NAMES = list(ALGORITHMS)


def table(graphs: tuple[str, ...] = ("debian", "archlinux"), names: list[str] = NAMES) -> pd.DataFrame:
    rows = [
        {"graph": graph, "edges": edges, "algorithm": name, "sybils": edges * i / 10, "with_quorum": min(1.0, i / 5)}
        for graph in graphs
        for edges in (6, 100)
        for i, name in enumerate(names)
    ]
    return pd.DataFrame(rows).assign(sybils_error=0.5)


@pytest.mark.parametrize("graphs", [("debian",), ("debian", "archlinux", "bitcoin-alpha")])
def test_every_algorithm_has_a_line_of_its_own_look_in_every_panel(
    graphs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Figure] = []
    monkeypatch.setattr(graph_plot, "to_png", lambda figure: seen.append(figure) or figures.to_png(figure))
    picture = sybils_picture(table(graphs), 1_000)
    (figure,) = seen
    assert figure.get_suptitle() == picture.title
    assert [axes.get_title(loc="left") for axes in figure.axes[: len(graphs)]] == list(graphs)
    for axes, values in zip(figure.axes[:: len(graphs)], ("sybils", "with_quorum"), strict=True):
        lines = {str(line.get_label()): line for line in axes.lines if line.get_label() in NAMES}
        assert list(lines) == NAMES
        assert len({(line.get_color(), line.get_marker()) for line in lines.values()}) == len(NAMES)
        assert axes.get_ylabel()
        scale = 1.0 if values == "sybils" else 100.0
        last = table(graphs).query("graph == @graphs[0] and algorithm == @NAMES[-1]")
        np.testing.assert_allclose(lines[NAMES[-1]].get_xydata(), last[["edges", values]] * [1.0, scale])
    assert all(axes.get_xlabel() for axes in figure.axes[len(graphs) :])
    shown = Image.open(io.BytesIO(picture.png))
    assert shown.width >= 1_000
    # Nothing runs over the edge: the outermost columns are paper.
    grey = np.asarray(shown.convert("L"))
    assert (grey[:, [0, -1]] == 255).all()


def test_the_reading_names_who_lets_in_fewest_of_those_that_are_of_use() -> None:
    some = table(names=NAMES[:6])
    some.loc[some["graph"] == "archlinux", "with_quorum"] = 0.7
    assert sybils_reading(some) == (
        "At 100 attack edges, of the algorithms that accept at least 80% of the honest hosts with a quorum, fewest "
        f"sybils are accepted by {NAMES[4]} (40.0) on debian, none on archlinux."
    )
