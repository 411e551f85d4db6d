"""The trust graph as the honest hosts' stores know it: one picture before and one after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import cos, pi, sin
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from tests.system.internet.cast import CAST, Player, Role, players
from tests.system.internet.told import Told, View
from trustgraph.model import Standing
from trustgraph.reports.figures import COLOURS, FOUND, INK, LABEL_SIZE, MARKERS, TICK_SIZE, legend, new_figure, to_png

_HONEST_EDGE, _BAD_EDGE, _CARELESS_EDGE = "#9AA5AD", FOUND, "#D55E00"
#: From the best standing to the worst: a host is drawn as it stands at most gates, at a tie as the worse.
_WORST_FIRST = (Standing.REFUSED, Standing.UNRATED, Standing.PROBATION, Standing.ACCEPTED)

Point = tuple[float, float]


def draw_pictures(told: Told, out: Path) -> list[Path]:
    """Write trust-before.png and trust-after.png; their paths."""
    before, after = out / "trust-before.png", out / "trust-after.png"
    before.write_bytes(trust_picture(told.before, "Before: only careless and bad hosts have signed"))
    after.write_bytes(trust_picture(told.after, "After: good mail has earned endorsements"))
    return [before, after]


def trust_picture(view: View, title: str) -> bytes:
    """PNG. Every endorsement that any of the stores knows of, and how each host stands at most gates."""
    figure, axes = new_figure(title, width=12.0, height=8.0)
    places = _places()
    edges = sorted({pair for store in view.endorsements.values() for pair in store})
    for endorser, subject in edges:
        _arrow(axes, places[endorser], places[subject], _colour_of(endorser, subject))
    for player in CAST:
        _draw_host(axes, player, places[player.name], _standings(view, player.name))
    axes.set_aspect("equal")
    axes.set_xlim(-1.6, 3.35)
    axes.set_ylim(-1.9, 1.6)
    axes.set_axis_off()
    legend(axes, _key())
    axes.text(-1.55, -1.72, reading(view), fontsize=LABEL_SIZE, color=INK, va="top")
    return to_png(figure)


def reading(view: View) -> str:
    """In a line, what to read off it."""
    honest = {player.name for player in players(Role.HONEST)}
    edges = {pair for store in view.endorsements.values() for pair in store}
    among = sum(one in honest and other in honest for one, other in edges)
    into = sum(one in honest and other not in honest for one, other in edges)
    (relay,) = players(Role.RELAY)
    (standing, gates) = _standings(view, relay.name).most_common(1)[0]
    return (
        f"{among} endorsements among honest hosts, {into} by them to others. "
        f"The relay, {relay.word}: {standing} at {gates} of {len(honest)} gates."
    )


def _places() -> Mapping[str, Point]:
    """The honest hosts on a circle, the others to the right of it."""
    honest = players(Role.HONEST)
    places = {
        player.name: (1.15 * cos(angle), 1.15 * sin(angle))
        for player, angle in zip(honest, (pi * (i / 3 + 1 / 6) for i in range(len(honest))), strict=True)
    }
    (relay,), (left, right), (newcomer,) = players(Role.RELAY), players(Role.RING), players(Role.NEWCOMER)
    return places | {
        relay.name: (2.0, 0.0),
        left.name: (2.9, 0.75),
        right.name: (2.9, -0.75),
        newcomer.name: (2.0, 1.3),
    }


def _standings(view: View, name: str) -> Counter[str]:
    """How many honest gates have it at which standing; itself aside."""
    return Counter(view.standing(player.name, name) for player in players(Role.HONEST) if player.name != name)


def _colour_of(endorser: str, subject: str) -> str:
    honest = {player.name for player in players(Role.HONEST)}
    if endorser not in honest:
        return _BAD_EDGE
    return _HONEST_EDGE if subject in honest else _CARELESS_EDGE


def _arrow(axes: Axes, start: Point, end: Point, colour: str) -> None:
    axes.add_patch(
        FancyArrowPatch(
            *(start, end),
            arrowstyle="-|>",
            mutation_scale=18,
            connectionstyle="arc3,rad=0.08",
            shrinkA=17,
            shrinkB=19,
            color=colour,
            linewidth=1.3 if colour == _HONEST_EDGE else 2.6,
            zorder=1 if colour == _HONEST_EDGE else 2,
        )
    )


def _draw_host(axes: Axes, player: Player, place: Point, standings: Counter[str]) -> None:
    worst = min(standings, key=lambda word: (-standings[word], _WORST_FIRST.index(Standing(word))))
    edge = FOUND if player.role in (Role.RELAY, Role.RING) else INK
    axes.scatter(
        *([place[0]], [place[1]]),
        s=620,
        c=COLOURS[worst],
        marker=MARKERS[worst],
        edgecolors=edge,
        linewidths=3.5 if edge == FOUND else 1.2,
        zorder=3,
    )
    accepted = standings[Standing.ACCEPTED]
    words = f"{player.word}\naccepted by {accepted} of {standings.total()}"
    axes.annotate(
        *(words, place),
        xytext=(0, -22),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=TICK_SIZE,
        color=INK,
        zorder=4,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
    )


def _key() -> list[Line2D]:
    lines = [
        Line2D([], [], color=_HONEST_EDGE, linewidth=2, label="earned endorsement"),
        Line2D([], [], color=_CARELESS_EDGE, linewidth=3, label="careless endorsement"),
        Line2D([], [], color=_BAD_EDGE, linewidth=3, label="by relay or ring"),
    ]
    for word, colour in COLOURS.items():
        lines.append(
            Line2D(
                [], [], color=colour, marker=MARKERS[word], linestyle="", markersize=14, label=f"{word} at most gates"
            )
        )
    lines.append(
        Line2D(
            *([], []),
            color="white",
            marker="o",
            markeredgecolor=FOUND,
            markeredgewidth=3,
            linestyle="",
            markersize=14,
            label="truly relay or ring",
        )
    )
    return lines
