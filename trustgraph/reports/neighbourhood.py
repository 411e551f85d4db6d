"""The neighbourhood that carries a rating, as a picture: the identity, its endorsers around it, theirs around them."""

from __future__ import annotations

from cmath import phase
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from trustgraph.model import Standing
from trustgraph.reports.figures import COLOURS, INK, MARKERS, TICK_SIZE, legend, new_figure, plain, to_png, to_svg
from trustgraph.reports.shown import drawn
from trustgraph.scoring.algorithms import Problem
from trustgraph.scoring.explanation import Explanation
from trustgraph.scoring.standing import standing_of
from trustgraph.scoring.trustgraph import Trustgraph

#: Drawn in each ring; more are counted.
MAX_RING = 12
#: Endorsements drawn into each of the inner ring.
MAX_INTO = 2

_READING = (
    "Line width: into the middle, share of what endorsements add to the rating; "
    "further out, share of the trust that reaches the endorser."
)
_OMITTED = ("endorsers", "endorsers of these")

#: The rings are ellipses, since names are wide.
_WIDE = 1.5

#: endorser, subject, share of what the subject gets that comes by this endorsement
Edge = tuple[str, str, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What the picture shows besides the explanation, by identity.

    ``edges`` into the explained identity have their share of what endorsements add to its rating (0: does not count);
    those further out their share of the trust mass that reaches the endorser. ``omitted``: endorsers of it, and
    endorsers of these, that are not drawn.
    """

    edges: tuple[Edge, ...]
    labels: Mapping[str, str]
    standings: Mapping[str, str]
    anchors: frozenset[str]
    omitted: tuple[int, int]


def carrying_edges(problem: Problem, algorithm: Trustgraph, position: int) -> Neighbourhood:
    """The strongest endorsers of an identity and the strongest endorsers of these, at most ``MAX_RING`` each."""
    inner, more_inner = _endorsers(problem, algorithm, position)
    outer: list[tuple[int, int, float]] = []
    for endorser, weight in inner.items():
        for further, share in algorithm.mass_shares(endorser).items():
            if share > 0 and further != position:
                outer.append((further, endorser, share * max(weight, 1e-9)))
    carried: dict[int, float] = defaultdict(float)
    for further, _, amount in outer:
        carried[further] += amount
    new = sorted((u for u in carried if u not in inner), key=lambda u: (-carried[u], u))
    drawn_ones = {*inner, *new[:MAX_RING]}
    further_edges = _strongest([(u, v, algorithm.mass_shares(v)[u]) for u, v, _ in outer if u in drawn_ones])
    edges = [(u, position, share) for u, share in inner.items()] + further_edges
    return _named(problem, algorithm, edges, {position, *drawn_ones}, (more_inner, max(len(new) - MAX_RING, 0)))


def _endorsers(problem: Problem, algorithm: Trustgraph, position: int) -> tuple[dict[int, float], int]:
    """The strongest endorsers with their shares in the endorsement part of the rating, and how many are left out.

    Where no endorsement counts, those through which most trust mass comes, with share 0.
    """
    names = problem.snapshot.identity_name
    parts = {p.name: p for p in algorithm.contributions(position) if p.kind == "endorser"}
    amount = {int(u): parts[str(names[u])].amount for u in problem.network.into(position)}
    total = sum(amount.values())
    mass = algorithm.mass_shares(position)
    counting = [u for u in amount if amount[u] > 0] or list(amount)
    order = sorted(counting, key=lambda u: (-amount[u], -mass[u], u))
    return {u: amount[u] / total if total else 0.0 for u in order[:MAX_RING]}, max(len(order) - MAX_RING, 0)


def _strongest(edges: Sequence[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """The strongest few into each subject, and for each endorser at least its own strongest."""
    order = sorted(edges, key=lambda edge: (-edge[2], edge[:2]))
    into: dict[int, int] = defaultdict(int)
    shown: set[int] = set()
    kept = []
    for endorser, subject, share in order:
        if into[subject] < MAX_INTO or endorser not in shown:
            into[subject] += 1
            shown.add(endorser)
            kept.append((endorser, subject, share))
    return kept


def _named(
    problem: Problem,
    algorithm: Trustgraph,
    edges: Sequence[tuple[int, int, float]],
    nodes: Collection[int],
    omitted: tuple[int, int],
) -> Neighbourhood:
    snapshot, scores, p = problem.snapshot, algorithm.scores(), problem.parameters
    name = {v: str(snapshot.identity_name[v]) for v in nodes}
    return Neighbourhood(
        edges=tuple((name[u], name[v], share) for u, v, share in edges),
        labels={name[v]: str(snapshot.identity_host[v]) or name[v] for v in nodes},
        standings={
            name[v]: standing_of(
                *(float(scores.rating[v]), int(scores.sample_size[v]), int(scores.endorsers[v])),
                accept=p.accept,
                refuse=p.refuse,
            ).value
            for v in nodes
        },
        anchors=frozenset(name[v] for v in nodes if problem.anchors[v]),
        omitted=omitted,
    )


def neighbourhood_picture(
    explanation: Explanation,
    edges: Sequence[Edge],
    labels: Mapping[str, str],
    *,
    standings: Mapping[str, str] | None = None,
    anchors: Collection[str] = (),
    omitted: tuple[int, int] = (0, 0),
    image: Literal["png", "svg"] = "png",
) -> bytes:
    """Draw it; what the arguments are, :class:`Neighbourhood` says. Who has no standing given is drawn as unrated."""
    centre = str(explanation.identity)
    stands = {centre: explanation.standing, **(standings or {})}
    place = layout(centre, edges)
    title = f"What carries {drawn(labels.get(centre) or explanation.host or centre)}"
    figure, axes = new_figure(f"{title}: rating {explanation.rating:.2f}, {explanation.standing}", width=14, height=10)
    plain(axes.title)
    for endorser, subject, share in edges:
        _draw_edge(axes, place[endorser], place[subject], share, counts=share > 0)
    for identity, point in place.items():
        _draw_node(axes, point, stands.get(identity, Standing.UNRATED), size=900 if identity == centre else 330)
        if identity in anchors:
            axes.scatter(*point, c="white", marker="*", s=150, zorder=4)
        _draw_label(axes, point, labels.get(identity, identity))
    _annotate(axes, omitted, counted=any(subject == centre and share > 0 for _, subject, share in edges))
    return to_svg(figure) if image == "svg" else to_png(figure)


def layout(centre: str, edges: Sequence[Edge]) -> dict[str, Point]:
    """The centre, its endorsers on a circle around it, and all others on a second one, each near those it endorses."""
    inner = list(dict.fromkeys(endorser for endorser, subject, _ in edges if subject == centre))
    angle = {identity: pi / 2 - 2 * pi * i / len(inner) for i, identity in enumerate(inner)}
    pull: dict[str, complex] = defaultdict(complex)
    for endorser, subject, share in edges:
        if endorser not in angle and endorser != centre and subject in angle:
            pull[endorser] += share * complex(cos(angle[subject]), sin(angle[subject]))
    outer = sorted(pull, key=lambda identity: (-_clockwise(pull[identity]), identity))
    place = {centre: (0.0, 0.0)} | {identity: (_WIDE * cos(a), sin(a)) for identity, a in angle.items()}
    for i, identity in enumerate(outer):
        turn = pi / 2 - 2 * pi * (i + 0.5) / len(outer)
        place[identity] = (2 * _WIDE * cos(turn), 2 * sin(turn))
    return place


def _clockwise(direction: complex) -> float:
    """An angle that falls clockwise from the top, in which the rings are filled."""
    return (phase(direction) - pi / 2) % (2 * pi)


def _draw_edge(axes: Axes, start: Point, end: Point, share: float, *, counts: bool) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=14,
            linewidth=1.0 + 9.0 * share,
            linestyle="-" if counts else ":",
            color="#5B7083" if counts else "#A0A0A0",
            alpha=0.75,
            shrinkA=9,
            shrinkB=16 if end == (0.0, 0.0) else 10,
            zorder=1,
        )
    )


def _draw_node(axes: Axes, point: Point, standing: str, size: int) -> None:
    axes.scatter(*point, c=COLOURS[standing], marker=MARKERS[standing], s=size, zorder=3, edgecolors=INK, linewidths=1)


def _draw_label(axes: Axes, point: Point, name: str) -> None:
    """Outwards from the middle, so that names do not lie on the lines."""
    x, y = point
    side = "center" if abs(x) < 0.2 else "left" if x > 0 else "right"
    shift = (0 if side == "center" else 12 if x > 0 else -12, -24 if y <= 0 and side == "center" else 14)
    text = axes.annotate(
        drawn(name, 30), point, shift, textcoords="offset points", ha=side, fontsize=TICK_SIZE, zorder=5
    )
    text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1})
    plain(text)


def _annotate(axes: Axes, omitted: tuple[int, int], *, counted: bool) -> None:
    axes.set_xlim(-4.2, 4.2)
    axes.set_ylim(-2.5, 2.5)
    axes.set_axis_off()
    says = _READING if counted else "Dotted: no endorsement of it counts."
    more = [f"{number} more {who}" for number, who in zip(omitted, _OMITTED, strict=True) if number]
    axes.text(
        0.0,
        -0.02,
        "\n".join([says, *(["Not drawn: " + ", ".join(more) + "."] if more else [])]),
        transform=axes.transAxes,
        fontsize=TICK_SIZE - 2,
        color=INK,
        va="top",
        wrap=True,
    )
    handles = [
        Line2D([], [], linestyle="", marker=MARKERS[s], color=COLOURS[s], markersize=12, label=str(s)) for s in COLOURS
    ]
    star = Line2D([], [], linestyle="", marker="*", color="white", markeredgecolor=INK, markersize=14, label="anchor")
    legend(axes, [*handles, star], beside=False)
