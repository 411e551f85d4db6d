"""The report's plots. Each takes arrays and gives PNG bytes; what to read off it is said by the page's caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx as nx
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trustgraph.model import SECONDS_PER_DAY, Standing, to_rfc3339
from trustgraph.reports.figures import (
    COLOURS,
    FOUND,
    INK,
    LABEL_SIZE,
    MARKERS,
    TICK_SIZE,
    TITLE_SIZE,
    label_axes,
    legend,
    new_figure,
    plain,
    to_png,
)
from trustgraph.reports.shown import drawn
from trustgraph.scoring.snapshot import Flags, Floats, Ints, Texts

#: Points of one standing drawn at most; of more, an even sample by position.
MAX_POINTS = 20_000
#: Spring layout starts here, so that the picture is the same every time.
_LAYOUT_SEED = 7


def rating_histogram(rating: Floats, found: Flags, *, accept: float, refuse: float) -> bytes:
    """How many identities have which rating, those found marked, with the two thresholds."""
    figure, axes = new_figure("Ratings, and who was found")
    bins = list(np.linspace(0.0, 1.0, 41))
    axes.hist(rating, bins=bins, color=COLOURS[Standing.ACCEPTED], alpha=0.75)
    # In front and narrower, so that on a log scale both bars are read from the ground.
    axes.hist(rating[found], bins=bins, color=FOUND, rwidth=0.55)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0.0, 1.0)
    for value, word, side in ((accept, " accept", "left"), (refuse, "refuse ", "right")):
        axes.axvline(value, color=INK, linestyle="--", linewidth=2)
        height = axes.get_ylim()[1]
        axes.text(value, height, word, ha=side, va="top", fontsize=TICK_SIZE, color=INK)
    label_axes(axes, "rating (0 to 1)", "identities (log scale)")
    handles = [
        Line2D([], [], color=COLOURS[Standing.ACCEPTED], linewidth=8, label="all identities"),
        Line2D([], [], color=FOUND, linewidth=8, label="of these, found by this report"),
    ]
    legend(axes, handles, beside=False)
    return to_png(figure)


def mail_scatter(good: Ints, bad: Ints, standing: Texts, found: Flags) -> bytes:
    """Good against bad messages of each identity that sent any, by standing, those found ringed."""
    figure, axes = new_figure("Good and bad mail of each identity")
    sent = (good + bad) > 0
    for word, colour in COLOURS.items():
        positions = _sampled(np.flatnonzero(sent & (standing == word)))
        if len(positions):
            points = good[positions], bad[positions]
            axes.scatter(*points, c=colour, marker=MARKERS[word], s=60, alpha=0.7, label=str(word), linewidths=0)
    ringed = _sampled(np.flatnonzero(sent & found))
    axes.scatter(good[ringed], bad[ringed], s=220, facecolors="none", edgecolors=FOUND, linewidths=2.5, label="found")
    for scale in (axes.set_xscale, axes.set_yscale):
        scale("symlog", linthresh=1.0)
    axes.set_xlim(left=-0.3)
    axes.set_ylim(bottom=-0.3)
    label_axes(axes, "good messages, recent days (log scale)", "bad messages, recent days (log scale)")
    legend(axes)
    return to_png(figure)


def daily_bad_mail(days: Ints, series: Sequence[tuple[str, Ints]]) -> bytes:
    """Bad messages a day of a few hosts, one under the other; ``days`` since 1970, one count a day in each series."""
    figure = Figure(figsize=(11.0, 1.6 + 1.45 * max(len(series), 1)), layout="constrained")
    figure.suptitle("Daily bad mail of the worst hosts", fontsize=TITLE_SIZE, color=INK, x=0.01, ha="left")
    rows = figure.subplots(max(len(series), 1), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, (name, counts) in zip(rows, series, strict=False):
        axes.bar(days, counts, width=0.85, color=COLOURS[Standing.REFUSED])
        plain(axes.set_title(drawn(name), fontsize=TICK_SIZE, color=INK, loc="left", pad=3))
    for axes in rows:
        axes.tick_params(labelsize=TICK_SIZE, colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
    ticks = days[:: max(len(days) // 7, 1)]
    rows[-1].set_xticks(ticks, [to_rfc3339(int(day) * SECONDS_PER_DAY)[:10] for day in ticks])
    rows[-1].set_xlabel("day (UTC)", fontsize=LABEL_SIZE, color=INK)
    figure.supylabel("bad messages a day", fontsize=LABEL_SIZE, color=INK)
    return to_png(figure)


def trust_graph(
    nodes: Sequence[int],
    edges: Sequence[tuple[int, int]],
    standing: Mapping[int, str],
    labels: Mapping[int, str],
    found: frozenset[int],
    anchors: frozenset[int],
) -> bytes:
    """Who endorses whom among a bounded choice of identities; ``labels`` names the few that are named."""
    figure, axes = new_figure("Endorsements: who was found, and the trust around them", height=8.5)
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(sorted(nodes))
    graph.add_edges_from(sorted(edges))
    place = _place(graph)
    starts = np.array([place[u] for u, _ in sorted(edges)]).reshape(-1, 2)
    ways = np.array([place[v] for _, v in sorted(edges)]).reshape(-1, 2) - starts
    arrows = axes.quiver(*starts.T, *ways.T, angles="xy", scale_units="xy", scale=1.04, width=0.0011)
    arrows.set(color="#8A8A8A", alpha=0.5, zorder=1)
    arrows.headwidth, arrows.headlength = 8.0, 9.0
    for word, colour in COLOURS.items():
        here = [n for n in sorted(nodes) if standing[n] == word]
        x, y = _columns(place, here)
        axes.scatter(x, y, c=colour, marker=MARKERS[word], s=130, zorder=3, label=str(word))
    x, y = _columns(place, sorted(found & set(nodes)))
    axes.scatter(x, y, s=330, facecolors="none", edgecolors=FOUND, linewidths=3, zorder=2, label="found")
    x, y = _columns(place, sorted(anchors & set(nodes)))
    axes.scatter(x, y, c=INK, marker="*", s=420, zorder=4, label="anchor")
    for node, name in _apart(place, labels):
        text = axes.annotate(drawn(name, 28), _point(place, node), xytext=(7, 7), textcoords="offset points", zorder=5)
        plain(text).set_fontsize(LABEL_SIZE - 5)
    axes.set_axis_off()
    legend(axes)
    return to_png(figure)


def _apart(place: Mapping[int, Floats], labels: Mapping[int, str]) -> list[tuple[int, str]]:
    """Labels in their order, without those that would lie on an earlier one."""
    points = np.array([place[node] for node in place]) if place else np.zeros((1, 2))
    width, height = np.maximum(np.ptp(points, axis=0), 1e-9) * (0.24, 0.028)
    kept: list[tuple[int, str]] = []
    for node, name in labels.items():
        gaps = (np.abs(place[node] - place[other]) for other, _ in kept)
        if all(gap[0] > width or gap[1] > height for gap in gaps):
            kept.append((node, name))
    return kept


def _place(graph: nx.DiGraph[int]) -> Mapping[int, Floats]:
    """Springs that pull less where many pull, or dense parts would lie on one spot."""
    springs: nx.Graph[int] = nx.Graph()
    springs.add_nodes_from(graph.nodes)
    degree = dict(graph.degree)
    springs.add_edges_from((u, v, {"weight": 4.0 / (degree[u] * degree[v]) ** 0.5}) for u, v in graph.edges)
    place = nx.spring_layout(springs, k=5.0 / max(len(graph), 1) ** 0.5, iterations=200, seed=_LAYOUT_SEED)
    return {int(node): np.asarray(point, dtype=np.float64) for node, point in place.items()}


def _point(place: Mapping[int, Floats], node: int) -> tuple[float, float]:
    return float(place[node][0]), float(place[node][1])


def _columns(place: Mapping[int, Floats], nodes: Sequence[int]) -> tuple[list[float], list[float]]:
    points = [_point(place, node) for node in nodes]
    return [x for x, _ in points], [y for _, y in points]


def _sampled(positions: Ints) -> Ints:
    if len(positions) <= MAX_POINTS:
        return positions
    return positions[np.linspace(0, len(positions) - 1, MAX_POINTS).astype(np.int64)]
