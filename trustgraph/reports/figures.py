"""What all figures share: size, letters that read at two metres, colours that everybody can tell apart, bytes out."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text

from trustgraph.model import SECONDS_PER_DAY, Standing, to_rfc3339

#: Okabe and Ito 2008: told apart with any of the common colour blindnesses; each standing has a marker too.
COLOURS: Mapping[str, str] = {
    Standing.ACCEPTED: "#0072B2",
    Standing.PROBATION: "#E69F00",
    Standing.UNRATED: "#8C8C8C",
    Standing.REFUSED: "#D55E00",
}
MARKERS: Mapping[str, str] = {
    Standing.ACCEPTED: "o",
    Standing.PROBATION: "s",
    Standing.UNRATED: "D",
    Standing.REFUSED: "X",
}
INK = "#1A1A1A"
FOUND = "#CC79A7"

TITLE_SIZE, LABEL_SIZE, TICK_SIZE = 19, 16, 14


def new_figure(title: str, *, width: float = 11.0, height: float = 6.5) -> tuple[Figure, Axes]:
    """An empty figure with one titled pair of axes; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=TITLE_SIZE, color=INK, loc="left", pad=14)
    axes.tick_params(labelsize=TICK_SIZE, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes, units included."""
    axes.set_xlabel(x, fontsize=LABEL_SIZE, color=INK)
    axes.set_ylabel(y, fontsize=LABEL_SIZE, color=INK)


def plain(text: Text) -> Text:
    """Outside text: never read as mathematics, whatever dollar signs are in it."""
    text.set_parse_math(False)
    return text


def legend(axes: Axes, handles: Sequence[Artist] | None = None, *, beside: bool = True) -> None:
    """A legend of plain text, right of the axes or in their upper right corner."""
    if handles is None:
        handles = axes.get_legend_handles_labels()[0]
    shown = axes.legend(
        handles=handles, fontsize=TICK_SIZE, frameon=False, loc="upper left" if beside else "upper right"
    )
    if beside:
        shown.set_bbox_to_anchor((1.0, 1.0))
    for text in shown.get_texts():
        plain(text)


def date_axis(axes: Axes, first_day: int, last_day: int) -> None:
    """A few dates along the horizontal axis, whose unit is days since 1970."""
    ticks = list(range(first_day, last_day + 1, max(-(-(last_day - first_day) // 4), 1)))
    axes.set_xticks(ticks, [to_rfc3339(day * SECONDS_PER_DAY)[:10] for day in ticks])


def to_png(figure: Figure, *, dots_per_inch: int = 100) -> bytes:
    """PNG without a word on what drew it, so that equal figures are equal octets."""
    octets = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(octets, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return octets.getvalue()


def to_svg(figure: Figure) -> bytes:
    """SVG with ids that depend on the content alone and without a date."""
    octets = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "trustgraph"}):
        FigureCanvasSVG(figure).print_figure(octets, format="svg", metadata={"Date": None, "Creator": None})
    return octets.getvalue()
