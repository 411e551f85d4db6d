"""How much the scheme helps at each share of signing hosts, as a picture (:mod:`trustgraph.services.adoption`)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trustgraph.reports.figures import INK, LABEL_SIZE, TITLE_SIZE, label_axes, legend, to_png
from trustgraph.reports.pictures import Picture
from trustgraph.reports.tuning_plots import STYLES, draw_line, plain_axes

#: Which column is drawn, of what a site goes by, under which name.
Line: TypeAlias = tuple[str, Literal["all", "dkim"], str]
_PANELS: tuple[tuple[str, tuple[Line, ...]], ...] = (
    (
        "% of all good mail",
        (
            ("good_untagged", "all", "let in untagged"),
            ("good_on_signature", "all", "of these on the signature"),
            ("good_untagged", "dkim", "let in untagged, DKIM alone"),
        ),
    ),
    (
        "% of all spam",
        (("spam_refused", "all", "refused"), ("spam_refused", "dkim", "refused, DKIM alone")),
    ),
    (
        "% of hosts",
        (
            ("hosts_standing", "all", "honest hosts accepted"),
            ("hosts_standing", "dkim", "the same, DKIM alone"),
            ("bad_standing", "all", "bad hosts accepted"),
        ),
    ),
)


def adoption_picture(table: pd.DataFrame) -> Picture:
    """Good mail, spam and hosts, one panel each; ``table`` has two rows a share: by all there is, and by DKIM."""
    title = "What signing brings as more hosts do it"
    by_all, dkim = (table[table["by"] == by].reset_index(drop=True) for by in table["by"].unique())
    figure = Figure(figsize=(11.0, 10.0), layout="constrained")
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK, x=0.01, ha="left")
    panels = figure.subplots(len(_PANELS), 1, sharex=True)
    for axes, (unit, lines) in zip(panels, _PANELS, strict=True):
        _panel(axes, {"all": by_all, "dkim": dkim}, unit, lines)
    shares = [f"{share:g} %" for share in by_all["signing"]]
    panels[-1].set_xticks(range(len(shares)), shares)
    panels[-1].set_xlabel("share of honest hosts that sign (% of hosts)", fontsize=LABEL_SIZE, color=INK)
    return Picture(title, adoption_reading(by_all, dkim), to_png(figure))


def _panel(axes: Axes, tables: dict[str, pd.DataFrame], unit: str, lines: tuple[Line, ...]) -> None:
    for (column, by, label), style in zip(lines, STYLES, strict=False):
        draw_line(axes, tables[by][column].to_numpy(), label, style)
    axes.set_ylim(-3, 103)
    plain_axes(axes)
    label_axes(axes, "", unit)
    legend(axes)


def adoption_reading(by_all: pd.DataFrame, dkim: pd.DataFrame) -> str:
    """From the smallest share to the largest, beside what DKIM alone gives."""
    columns = (by_all["signing"], by_all["good_on_signature"], by_all["good_untagged"], dkim["good_untagged"])
    rows = list(zip(*columns, strict=True))
    told = [
        f"at {share:g} % of hosts signing {signed:.0f} % of good mail is accepted on its signature and "
        f"{untagged:.0f} % let in untagged ({alone:.0f} % by DKIM alone)"
        for share, signed, untagged, alone in (rows[0], rows[-1])
    ]
    low, high = by_all["spam_refused"].min(), by_all["spam_refused"].max()
    other = dkim["spam_refused"].min(), dkim["spam_refused"].max()
    text = "; ".join(told)
    return (
        f"{text[0].upper()}{text[1:]}. Spam refused: {low:.0f} to {high:.0f} %, by DKIM alone {other[0]:.0f} to "
        f"{other[1]:.0f} %."
    )
