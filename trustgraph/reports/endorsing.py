"""How endorsements of a few hosts came in over time, as a picture: bought ones come all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from trustgraph.model import SECONDS_PER_DAY, to_rfc3339
from trustgraph.reports.bursts import EndorsementTimes, first_of_operators
from trustgraph.reports.evidence import Evidence
from trustgraph.reports.figures import date_axis, label_axes, legend, new_figure, to_png
from trustgraph.reports.pictures import Picture
from trustgraph.reports.shown import drawn
from trustgraph.reports.tuning_plots import STYLES
from trustgraph.scoring.snapshot import Ints

#: Hosts drawn.
MAX_HOSTS = len(STYLES)


@dataclass(frozen=True, slots=True)
class Endorsed:
    """When each operator first endorsed one identity, in order of time (Unix seconds)."""

    name: str
    made_at: Ints

    def fullest_day(self) -> tuple[int, int]:
        """The most endorsements within 24 hours, and when these begin; (0, 0) if there is none."""
        if not len(self.made_at):
            return 0, 0
        inside = np.searchsorted(self.made_at, self.made_at + SECONDS_PER_DAY) - np.arange(len(self.made_at))
        return int(inside.max()), int(self.made_at[int(inside.argmax())])


def endorsed(evidence: Evidence, times: EndorsementTimes, positions: Sequence[int]) -> list[Endorsed]:
    """Of the identities at these positions."""
    times = first_of_operators(evidence, times)
    return [Endorsed(evidence.name(position), times.made_at[times.subject == position]) for position in positions]


def endorsing_picture(hosts: Sequence[Endorsed]) -> Picture:
    """How many operators had endorsed each host at any time."""
    title = "How endorsements came in"
    figure, axes = new_figure(title)
    for host, (colour, marker, line) in zip(hosts, STYLES, strict=False):
        days = host.made_at / SECONDS_PER_DAY
        (steps,) = axes.step(
            days, np.arange(1, len(days) + 1), where="post", color=colour, linestyle=line, linewidth=2.5
        )
        steps.set(label=drawn(host.name, 32), marker=marker, markersize=7)
    moments = np.concatenate([*(host.made_at for host in hosts), np.empty(0, dtype=np.int64)]) // SECONDS_PER_DAY
    if len(moments):
        date_axis(axes, int(moments.min()), int(moments.max()) + 1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    label_axes(axes, "day (UTC)", "operators that have endorsed it")
    legend(axes)
    return Picture(title, endorsing_reading(hosts), to_png(figure))


def endorsing_reading(hosts: Sequence[Endorsed]) -> str:
    """Whose came in most of all at once."""
    if not any(len(host.made_at) for host in hosts):
        return "None of them was ever endorsed."
    most = max(hosts, key=lambda host: host.fullest_day())
    number, begins = most.fullest_day()
    return (
        f"{most.name}: {number} of {len(most.made_at)} operators endorsed it within 24 hours from "
        f"{to_rfc3339(begins)}; what is earned comes one by one."
    )
