"""Hosts that change sides between two policies, as a picture; :mod:`trustgraph.services.sides` finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from matplotlib.lines import Line2D

from trustgraph.model import Standing
from trustgraph.reports.advice import counted
from trustgraph.reports.figures import COLOURS, INK, TICK_SIZE, label_axes, new_figure, plain, to_png
from trustgraph.reports.pictures import Picture
from trustgraph.reports.shown import drawn

#: Hosts drawn; the table has all.
MAX_HOSTS = 14
_BETTER, _WORSE = COLOURS[Standing.ACCEPTED], COLOURS[Standing.REFUSED]
_ORDER = (Standing.REFUSED, Standing.UNRATED, Standing.PROBATION, Standing.ACCEPTED)


class Thresholds(Protocol):
    """Where a rating stands and falls: the ``policy`` section of the settings, or a policy."""

    @property
    def accept(self) -> float:
        """At this rating and above it stands."""
        ...

    @property
    def refuse(self) -> float:
        """Below this it falls."""
        ...


@dataclass(frozen=True, slots=True)
class Side:
    """An identity that stands otherwise under another policy.

    ``good``, ``spam``, ``unknown``: its messages in the past that was looked at. ``why`` says which parts of its rating
    differ. ``truly`` is what it really is, where somebody knows.
    """

    host: str
    identity: str
    standing_before: Standing
    standing_after: Standing
    rating_before: float
    rating_after: float
    good: int
    spam: int
    unknown: int
    why: str
    truly: str = ""

    @property
    def rises(self) -> bool:
        """Whether it stands better than before."""
        return _ORDER.index(self.standing_after) > _ORDER.index(self.standing_before)

    @property
    def name(self) -> str:
        """Its host or, without one, its identity."""
        return self.host or self.identity


def sides_picture(sides: Sequence[Side], before: Thresholds, after: Thresholds) -> Picture:
    """The ratings of those that change sides, before and after, the first ones on top, and the thresholds."""
    title = "Hosts that change sides"
    rows = sides[:MAX_HOSTS][::-1]
    figure, axes = new_figure(title, width=12.0, height=2.8 + 0.42 * max(len(rows), 1))
    for place, side in enumerate(rows):
        colour, marker = (_BETTER, ">") if side.rises else (_WORSE, "X")
        axes.plot([side.rating_before, side.rating_after], [place, place], color=colour, linewidth=2.5, zorder=2)
        axes.scatter(side.rating_before, place, s=90, facecolors="white", edgecolors=colour, linewidths=2, zorder=3)
        axes.scatter(side.rating_after, place, s=110, c=colour, marker=marker, zorder=4)
        axes.text(1.02, place, f"{side.good} good, {side.spam} spam", va="center", fontsize=TICK_SIZE, color=INK)
    axes.set_yticks(range(len(rows)), [drawn(side.name, 32) for side in rows])
    for label in axes.get_yticklabels():
        plain(label)
    for thresholds, line in ((before, ":"), (after, "--")):
        for value in (thresholds.accept, thresholds.refuse):
            axes.axvline(value, color=INK, linestyle=line, linewidth=1.5, zorder=1)
    axes.set_xlim(0.0, 1.0)
    label_axes(axes, "rating (0 to 1)", "host, and its messages in the past")
    figure.legend(handles=_handles(), loc="outside lower center", ncols=5, fontsize=TICK_SIZE, frameon=False)
    return Picture(title, sides_reading(sides), to_png(figure))


def sides_reading(sides: Sequence[Side]) -> str:
    """How many move which way, how much mail that is, and why the one does whose rating changes most."""
    if not sides:
        return "Nobody changes sides."
    moves: dict[tuple[str, str], list[Side]] = {}
    for side in sides:
        moves.setdefault((side.standing_before, side.standing_after), []).append(side)
    told = [
        f"{len(those)} from {before} to {after} ({sum(s.good for s in those)} good messages, "
        f"{sum(s.spam for s in those)} spam)"
        for (before, after), those in moves.items()
    ]
    most = max(sides, key=lambda side: abs(side.rating_after - side.rating_before))
    return (
        f"{counted(len(sides), 'identity changes', 'identities change')} sides: {', '.join(told)}. "
        f"Most changed is {most.name}, {most.rating_before:.2f} to "
        f"{most.rating_after:.2f}: {most.why}."
    )


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], linestyle="", marker="o", color=INK, markersize=9, label="before", markerfacecolor="white"),
        Line2D([], [], linestyle="", marker=">", color=_BETTER, markersize=10, label="after: better"),
        Line2D([], [], linestyle="", marker="X", color=_WORSE, markersize=10, label="after: worse"),
        Line2D([], [], linestyle=":", color=INK, label="thresholds before"),
        Line2D([], [], linestyle="--", color=INK, label="thresholds after"),
    ]
