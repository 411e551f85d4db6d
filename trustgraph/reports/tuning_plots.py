"""What a changed policy would do, as pictures: each says in its caption what its numbers come to.

The tables are those of :mod:`trustgraph.services.tuning`, which says what their columns are.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trustgraph.model import Standing
from trustgraph.reports.figures import (
    COLOURS,
    INK,
    LABEL_SIZE,
    TICK_SIZE,
    TITLE_SIZE,
    label_axes,
    legend,
    new_figure,
    to_png,
)
from trustgraph.reports.pictures import Picture
from trustgraph.scoring.snapshot import Floats

#: Colour, marker and line (a name, or lengths of ink and gap) of a series.
Style: TypeAlias = tuple[str, str, str | tuple[int, tuple[int, ...]]]
#: Told apart in grey as well.
STYLES: tuple[Style, ...] = (
    (COLOURS[Standing.ACCEPTED], "o", "-"),
    (COLOURS[Standing.REFUSED], "X", "--"),
    (COLOURS[Standing.PROBATION], "s", "-."),
    ("#009E73", "^", ":"),
    ("#CC79A7", "D", (0, (5, 1, 1, 1, 1, 1))),
    (INK, "v", (0, (1, 1))),
)
#: Shares of which a sweep tells: of which kind, what, and under which name.
_SHARES = (
    ("spam", ("tagged", "delayed"), "spam let in with a tag or late"),
    ("spam", ("delivered",), "spam let in untagged"),
    ("good", ("tagged",), "good mail tagged"),
    ("good", ("delayed", "waiting"), "good mail delayed"),
    ("good", ("refused",), "good mail refused"),
)
#: Percentage points below which a difference is not told.
_NOTHING = 0.05


def sweep_picture(table: pd.DataFrame, unit: str = "") -> Picture:
    """What becomes of mail at each value of a setting: spam let in, good mail hindered, hosts accepted."""
    name, values = str(table.index.name), [str(value) for value in table.index]
    shares = shares_of(table)
    title = f"What {name} lets in and keeps out"
    figure = Figure(figsize=(11.0, 9.0), layout="constrained")
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK, x=0.01, ha="left")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    for axes, kind in ((top, "spam"), (middle, "good")):
        for (of, _, label), style in zip(_SHARES, (*STYLES[:2], *STYLES[:3]), strict=True):
            if of == kind:
                draw_line(axes, shares[label].to_numpy(), label, style)
        axes.set_ylim(bottom=0)
        legend(axes)
    draw_line(bottom, table["hosts_accepted"].to_numpy(), "hosts accepted at the end", STYLES[3])
    bottom.set_ylim(bottom=0)
    bottom.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    legend(bottom)
    for axes, what in ((top, "% of all spam"), (middle, "% of all good mail"), (bottom, "hosts")):
        plain_axes(axes)
        label_axes(axes, "", what)
        for place in np.flatnonzero(table["in_force"]):
            axes.axvline(place, color=INK, linestyle=":", linewidth=1.5, zorder=0)
    bottom.set_xticks(range(len(values)), [_tick(v, f) for v, f in zip(values, table["in_force"], strict=True)])
    bottom.set_xlabel(f"{name} ({unit})" if unit else name, fontsize=LABEL_SIZE, color=INK)
    return Picture(title, sweep_reading(table), to_png(figure))


def shares_of(table: pd.DataFrame) -> pd.DataFrame:
    """The percentages that a sweep tells of, one column each."""
    return pd.DataFrame(
        {
            label: 100.0 * table[[f"{kind}_{fate}" for fate in fates]].sum(axis=1) / table[kind].clip(lower=1)
            for kind, fates, label in _SHARES
        }
    )


def sweep_reading(table: pd.DataFrame) -> str:
    """The value in force (or the first) in full, and what differs at its neighbours."""
    shares, values = shares_of(table), [str(value) for value in table.index]
    forced = np.flatnonzero(table["in_force"])
    here = int(forced[0]) if len(forced) else 0
    own = ", ".join(f"{label} {share:.1f} %" for label, share in shares.iloc[here].items())
    told = [f"{table.index.name} = {values[here]}{' (in force)' if len(forced) else ''}: {own}"]
    for other in (here - 1, here + 1):
        if 0 <= other < len(values):
            pairs = zip(shares.columns, shares.iloc[other], shares.iloc[here], strict=True)
            differences = [f"{label} {share:.1f} %" for label, share, old in pairs if abs(share - old) >= _NOTHING]
            told.append(f"{values[other]}: {', '.join(differences) or 'all the same'}")
    return "; ".join(told) + "."


def precision_recall_picture(curves: Mapping[str, pd.DataFrame], accept: float, refuse: float) -> Picture:
    """How well the rating alone tells good mail from spam; a pair of curves for each way of knowing which is which."""
    title = "The rating as a judge of mail"
    figure = Figure(figsize=(13.0, 6.5), layout="constrained")
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK, x=0.01, ha="left")
    for axes, kind, threshold, what, word in (
        (*(figure.add_subplot(1, 2, 1), "good", accept), "let in at a rating of t or more", "accept"),
        (*(figure.add_subplot(1, 2, 2), "spam", refuse), "refused at a rating below t", "refuse"),
    ):
        axes.set_title(f"Mail {what}", fontsize=LABEL_SIZE, color=INK, loc="left")
        for (label, curve), (colour, marker, line) in zip(curves.items(), STYLES, strict=False):
            recall, precision = 100 * curve[f"{kind}_recall"], 100 * curve[f"{kind}_precision"]
            axes.plot(recall, precision, color=colour, linestyle=line, linewidth=2.5)
            at = _at(curve, threshold)
            point = 100 * at[f"{kind}_recall"], 100 * at[f"{kind}_precision"]
            named = f"{label}; here t = {threshold:g} ({word})"
            axes.plot(*point, color=colour, linestyle=line, marker=marker, markersize=13, label=named)
        plain_axes(axes)
        axes.set_xlim(0, 101)
        label_axes(axes, f"recall: % of all {kind} {'mail ' if kind == 'good' else ''}{_DONE[kind]}", _PRECISION[kind])
        axes.legend(fontsize=TICK_SIZE, frameon=False, loc="lower left")
    return Picture(title, _precision_reading(curves, accept, refuse), to_png(figure))


_DONE = {"good": "let in so", "spam": "refused so"}
_PRECISION = {
    "good": "precision: % of what is let in that is good",
    "spam": "precision: % of what is refused that is spam",
}


def _precision_reading(curves: Mapping[str, pd.DataFrame], accept: float, refuse: float) -> str:
    told = []
    for label, curve in curves.items():
        above, below = _at(curve, accept), _at(curve, refuse)
        told.append(
            f"{label}: at {accept:g} and above {above['good_recall']:.1%} of good mail is let in, and "
            f"{1 - above['good_precision']:.1%} of what is let in is spam; below {refuse:g} {below['spam_recall']:.1%} "
            f"of spam is refused, and {1 - below['spam_precision']:.1%} of what is refused is good"
        )
    return " ".join(map(_sentence, told))


def _at(curve: pd.DataFrame, threshold: float) -> pd.Series[float]:
    """What a threshold comes to: nothing is rated between it and the next one of the curve."""
    place = min(int(np.searchsorted(curve.index.to_numpy(), threshold)), len(curve) - 1)
    return curve.iloc[place]


def cost_picture(table: pd.DataFrame) -> Picture:
    """What mistakes cost under several rules, as refusing a good message is taken to be ever worse."""
    title = "What mistakes cost"
    figure, axes = new_figure(title)
    for column, (colour, marker, line) in zip(table.columns, STYLES, strict=False):
        (drawn_line,) = axes.plot(
            table.index, table[column], color=colour, marker=marker, linestyle=line, linewidth=2.5
        )
        drawn_line.set(label=str(column), markersize=8, markevery=max(len(table) // 8, 1))
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_axes(axes)
    label_axes(axes, "price of a refused good message, in let-in spam messages", "cost per 1,000 messages, in the same")
    legend(axes)
    return Picture(title, cost_reading(table), to_png(figure))


def cost_reading(table: pd.DataFrame) -> str:
    """Which of the rules is cheapest at which price."""
    best = table.idxmin(axis=1)
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(best), 1) if a != b)]
    told = []
    for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
        first, last = table.index[start], table.index[end - 1]
        told.append(f"{best.iloc[start]} at prices from {first:.3g} to {last:.3g}")
    return _sentence("cheapest of these: " + ", ".join(told))


def draw_line(axes: Axes, values: Floats, label: str, style: Style) -> None:
    """One series over evenly spaced places, in one of the :data:`STYLES`."""
    colour, marker, line = style
    axes.plot(values, color=colour, marker=marker, linestyle=line, linewidth=2.5, markersize=9, label=label)


def plain_axes(axes: Axes) -> None:
    """Small numbers, faint lines to read them by, no frame."""
    axes.tick_params(labelsize=TICK_SIZE, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.8)


def _tick(value: str, in_force: bool) -> str:
    return f"{value}\nin force" if in_force else value


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
