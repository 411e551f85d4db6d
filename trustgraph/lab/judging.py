"""How well a gate did in a world whose truth is known: what it let in, what it turned away, and how soon it knew.

What a mistake costs is a judgement; this one is stated and the same everywhere: a spam message let in counts 1, or 0.5
if that was at once and tagged, since filters that come after know then; a good one refused 10, put off until it was let
in 0.2 (a delay of hours that nobody lost mail by), let in at once but tagged 0.1 (it may land in Junk).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from trustgraph.lab.world import Kind
from trustgraph.model import UnixSeconds
from trustgraph.policy.replay import Played
from trustgraph.scoring.snapshot import Flags, Ints

SPAM_LET_IN = 1.0
SPAM_TAGGED = 0.5
GOOD_REFUSED = 10.0
GOOD_DELAYED = 0.2
GOOD_TAGGED = 0.1


@dataclass(frozen=True, slots=True)
class TrueMessage:
    """What a recorded message truly was. ``host`` is a place in the truth table."""

    spam: bool
    host: int


@dataclass(frozen=True, slots=True)
class Course:
    """How the hosts of the truth table stood over time: ``at`` of shape (steps,), the flags (steps, hosts)."""

    at: Ints
    accepted: Flags
    refused: Flags


@dataclass(frozen=True, slots=True)
class Judgement:
    """One gate in one world.

    ``good``, ``spam``: messages of either kind that came. ``spam_let_in``, ``good_refused``, ``good_delayed``: of them.
    ``spam_tagged``, ``good_tagged``: let in at once, but tagged; the former are among ``spam_let_in``.
    ``hosts``, ``accepted``: hosts of each kind, and those that stood at the end. ``hours_to_refusal``: for each host
    that meant ill and sent spam, from its first spam to the first rating that refused it, infinite if none did.
    ``spam_before_fall``: for each traitor, spam that came from it until it no longer stood. ``days_to_stand``: for each
    newcomer that sent mail, from its first mail until it stood, infinite if it never did.
    """

    good: int
    spam: int
    spam_let_in: int
    spam_tagged: int
    good_refused: int
    good_delayed: int
    good_tagged: int
    hosts: Mapping[str, int]
    accepted: Mapping[str, int]
    hours_to_refusal: Sequence[float]
    spam_before_fall: Sequence[int]
    days_to_stand: Sequence[float]

    @property
    def cost(self) -> float:
        """For each thousand messages, in let-in spam messages."""
        lost = (
            SPAM_LET_IN * (self.spam_let_in - self.spam_tagged)
            + SPAM_TAGGED * self.spam_tagged
            + GOOD_REFUSED * self.good_refused
            + GOOD_DELAYED * self.good_delayed
            + GOOD_TAGGED * self.good_tagged
        )
        return 1_000.0 * lost / max(self.good + self.spam, 1)


def judge(played: Sequence[Played], truth: Sequence[TrueMessage], kinds: Sequence[Kind], course: Course) -> Judgement:
    """Compare; ``truth`` is one a message, in the same order, ``kinds`` one a host of the truth table.

    Good mail of a bad host from its first spam on is camouflage: nobody's loss if it is refused, and nobody's gain.
    """
    turned = _first_mail(played, truth, spam_only=True)
    of_good = [
        one
        for one, true in zip(played, truth, strict=True)
        if not true.spam and not (kinds[true.host].is_bad and one.message.at >= turned.get(true.host, inf))
    ]
    of_spam = [one for one, true in zip(played, truth, strict=True) if true.spam]
    end = course.accepted[-1]
    return Judgement(
        good=len(of_good),
        spam=len(of_spam),
        spam_let_in=sum(one.let_in for one in of_spam),
        spam_tagged=sum(_is_tagged(one) for one in of_spam),
        good_refused=sum(not one.let_in for one in of_good if one.settled_at is not None),
        good_delayed=sum(one.settled_at is None or (one.let_in and one.waited_seconds > 0) for one in of_good),
        good_tagged=sum(_is_tagged(one) for one in of_good),
        hosts=dict(Counter(kind.value for kind in kinds)),
        accepted=dict(Counter(kind.value for kind, stands in zip(kinds, end, strict=True) if stands)),
        hours_to_refusal=_hours_to_refusal(played, truth, kinds, course),
        spam_before_fall=_spam_before_fall(played, truth, kinds, course),
        days_to_stand=_days_to_stand(played, truth, kinds, course),
    )


def _is_tagged(played: Played) -> bool:
    return played.let_in and not played.waited_seconds and played.last.tagged


def _hours_to_refusal(
    played: Sequence[Played], truth: Sequence[TrueMessage], kinds: Sequence[Kind], course: Course
) -> list[float]:
    first = _first_mail(played, truth, spam_only=True)
    return [
        (_first_step(course, course.refused[:, host], since) - since) / 3_600
        for host, since in sorted(first.items())
        if not kinds[host].means_well
    ]


def _spam_before_fall(
    played: Sequence[Played], truth: Sequence[TrueMessage], kinds: Sequence[Kind], course: Course
) -> list[int]:
    counts = []
    for host, since in sorted(_first_mail(played, truth, spam_only=True).items()):
        if kinds[host] is Kind.TRAITOR:
            fall = _first_step(course, ~course.accepted[:, host], since)
            counts.append(
                sum(
                    true.spam and true.host == host and one.message.at < fall
                    for one, true in zip(played, truth, strict=True)
                )
            )
    return counts


def _days_to_stand(
    played: Sequence[Played], truth: Sequence[TrueMessage], kinds: Sequence[Kind], course: Course
) -> list[float]:
    first = _first_mail(played, truth, spam_only=False)
    return [
        (_first_step(course, course.accepted[:, host], since) - since) / 86_400
        for host, since in sorted(first.items())
        if kinds[host] is Kind.NEWCOMER
    ]


def _first_mail(played: Sequence[Played], truth: Sequence[TrueMessage], *, spam_only: bool) -> dict[int, UnixSeconds]:
    first: dict[int, UnixSeconds] = {}
    for one, true in zip(played, truth, strict=True):
        if true.spam or not spam_only:
            first.setdefault(true.host, one.message.at)
    return first


def _first_step(course: Course, flags: Flags, since: UnixSeconds) -> float:
    """When the first step from ``since`` on was at which the flag was up; infinite if none."""
    steps = np.flatnonzero(flags & (course.at >= since))
    return float(course.at[steps[0]]) if len(steps) else float("inf")
