"""What a gate did to the mail of suspects, day by day and since when, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trustgraph.model import SECONDS_PER_DAY, Standing, to_rfc3339
from trustgraph.reports.advice import counted
from trustgraph.reports.figures import (
    COLOURS,
    INK,
    TICK_SIZE,
    TITLE_SIZE,
    date_axis,
    label_axes,
    legend,
    new_figure,
    plain,
    to_png,
)
from trustgraph.reports.pictures import Picture
from trustgraph.reports.shown import drawn
from trustgraph.scoring.snapshot import Flags, Floats, Ints

#: Suspects drawn in one picture.
MAX_SUSPECTS = 16
_LET_IN, _KEPT_OUT = COLOURS[Standing.ACCEPTED], COLOURS[Standing.REFUSED]


@dataclass(frozen=True, slots=True)
class Course:
    """The messages of one suspect in order of time, and its rating over time.

    ``at``, ``spam``, ``let_in``, ``tagged``: one a message, spam as far as is known; what was put off and never came in
    was not let in; what was let in was tagged (or held) or not. ``rated_at``, ``rating``: one a step of the replay, of
    the best rated of its identities. Times are Unix seconds.
    """

    name: str
    at: Ints
    spam: Flags
    let_in: Flags
    tagged: Flags
    rated_at: Ints
    rating: Floats

    @property
    def first_spam(self) -> int | None:
        """When its first spam came."""
        return int(self.at[self.spam][0]) if self.spam.any() else None

    @property
    def kept_out_since(self) -> int | None:
        """When the last unbroken row of messages kept out began; None if its last message was let in."""
        if not len(self.at) or self.let_in[-1]:
            return None
        inside = np.flatnonzero(self.let_in)
        return int(self.at[inside[-1] + 1 if len(inside) else 0])

    @property
    def spam_let_in(self) -> int:
        """Spam messages that came through."""
        return int(np.count_nonzero(self.spam & self.let_in))

    @property
    def spam_untagged(self) -> int:
        """Those of them that carried no tag."""
        return int(np.count_nonzero(self.spam & self.let_in & ~self.tagged))


def courses_picture(courses: Sequence[Course]) -> Picture:
    """One row a suspect, one column a day: how many messages were let in and how many kept out."""
    title = "What the gate did to the suspects' mail"
    rows = courses[:MAX_SUSPECTS][::-1]
    figure, axes = new_figure(title, width=13.0, height=2.6 + 0.42 * max(len(rows), 1))
    for place, course in enumerate(rows):
        for kind, shift, colour, marker in (
            (course.let_in, 0.16, _LET_IN, "o"),
            (~course.let_in, -0.16, _KEPT_OUT, "X"),
        ):
            days, number = np.unique(course.at[kind] // SECONDS_PER_DAY, return_counts=True)
            size = 30.0 * np.sqrt(number) + 10.0
            axes.scatter(days, np.full(len(days), place + shift), s=size, c=colour, marker=marker, linewidths=0)
    axes.set_yticks(range(len(rows)), [drawn(course.name, 32) for course in rows])
    for label in axes.get_yticklabels():
        plain(label)
    date_axis(axes, *_days([course.at for course in rows]))
    label_axes(axes, "day (UTC); the larger, the more messages that day", "suspect")
    handles = [
        Line2D([], [], linestyle="", marker="o", color=_LET_IN, markersize=9, label="let in"),
        Line2D([], [], linestyle="", marker="X", color=_KEPT_OUT, markersize=10, label="refused or put off"),
    ]
    legend(axes, handles)
    return Picture(title, courses_reading(courses), to_png(figure))


def courses_reading(courses: Sequence[Course]) -> str:
    """How much came from all of them, how much of that was kept out, and who got most through."""
    messages, let_in = sum(len(c.at) for c in courses), sum(int(c.let_in.sum()) for c in courses)
    if not messages:
        return "None of them sent this site anything."
    most = max(courses, key=lambda c: (c.spam_let_in, c.name))
    since = most.kept_out_since
    end = "its last message was still let in" if since is None else f"all since {to_rfc3339(since)} is kept out"
    return (
        f"Of {counted(messages, 'message')} from {counted(len(courses), 'suspect')} {messages - let_in} "
        f"({1 - let_in / messages:.0%}) were kept out. Most spam got in from {most.name}: "
        f"{most.spam_let_in} of {int(most.spam.sum())}, {most.spam_untagged} of them untagged; {end}."
    )


def course_picture(course: Course, accept: float, refuse: float) -> Picture:
    """One suspect in full: its rating and the thresholds, and below its spam and its good mail by what became of it."""
    title = f"What the gate did to {drawn(course.name)}"
    figure = Figure(figsize=(11.0, 7.5), layout="constrained")
    plain(figure.suptitle(title, fontsize=TITLE_SIZE, color=INK, x=0.01, ha="left"))
    top, bottom = figure.subplots(2, 1, sharex=True)
    top.step(course.rated_at / SECONDS_PER_DAY, course.rating, where="post", color=INK, linewidth=2.5, label="rating")
    top.axhline(accept, color=_LET_IN, linestyle="--", linewidth=2, label=f"accept = {accept:g}")
    top.axhline(refuse, color=_KEPT_OUT, linestyle="-.", linewidth=2, label=f"refuse = {refuse:g}")
    top.set_ylim(0.0, 1.0)
    label_axes(top, "", "rating (0 to 1)")
    days = np.arange(*_days([course.at, course.rated_at]))
    ground = np.zeros(len(days))
    for kind, colour, hatch, label in (
        (course.spam & course.let_in & ~course.tagged, _LET_IN, "", "spam let in untagged"),
        (course.spam & course.let_in & course.tagged, "#56B4E9", "\\\\", "spam let in with a tag"),
        (~course.spam & course.let_in, COLOURS[Standing.UNRATED], "", "other mail let in"),
        (course.spam & ~course.let_in, _KEPT_OUT, "//", "spam kept out"),
        (~course.spam & ~course.let_in, COLOURS[Standing.PROBATION], "..", "other mail kept out"),
    ):
        number = np.bincount(course.at[kind] // SECONDS_PER_DAY - days[0], minlength=len(days))
        bars = bottom.bar(days, number, width=1.0, bottom=ground.copy(), color=colour, align="edge", label=label)
        for bar in bars:
            bar.set(hatch=hatch, edgecolor="white")
        ground += number
    label_axes(bottom, "day (UTC)", "messages a day")
    date_axis(bottom, *_days([course.at, course.rated_at]))
    for axes in (top, bottom):
        axes.tick_params(labelsize=TICK_SIZE, colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
        legend(axes)
    return Picture(title, course_reading(course), to_png(figure))


def course_reading(course: Course) -> str:
    """Since when it spams, since when it is kept out, and what that cost."""
    if course.first_spam is None:
        return f"No spam of {course.name} is known; {int((~course.let_in).sum())} of its messages were kept out."
    since = course.kept_out_since
    good_out = int(np.count_nonzero(~course.spam & ~course.let_in))
    return (
        f"First spam {to_rfc3339(course.first_spam)}; "
        f"{'still let in at the end' if since is None else f'all is kept out since {to_rfc3339(since)}'}; "
        f"{course.spam_let_in} of {int(course.spam.sum())} spam messages got in, {course.spam_untagged} of them "
        f"untagged, and {good_out} others were kept out."
    )


def _days(times: Sequence[Ints]) -> tuple[int, int]:
    """The first day and the one after the last."""
    moments = np.concatenate([*times, np.empty(0, dtype=np.int64)])
    return (
        (int(moments.min()) // SECONDS_PER_DAY, int(moments.max()) // SECONDS_PER_DAY + 1) if len(moments) else (0, 1)
    )
