"""What many judged worlds say together: means with their errors, and who does better than the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from statistics import fmean, median, stdev

from trustgraph.lab.judging import Judgement

#: Differences of means below so many standard errors are noise.
NOISE_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """One algorithm in one world."""

    scenario: str
    seed: int
    algorithm: str
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over worlds and its standard error, which is 0 for a single world."""

    mean: float
    error: float


@dataclass(frozen=True, slots=True)
class Row:
    """One algorithm in the worlds of one scenario.

    ``cost`` is that of :mod:`judging`, for each thousand messages. Shares are of all spam, or all good mail, of all
    worlds together. ``accepted``: for each kind the share of its hosts that stood at the end. ``refused_in_48_hours``:
    of the hosts that meant ill and sent spam; ``hours_to_refusal`` is their median. ``spam_before_fall`` is the most of
    any traitor. ``stands_in_30_days``: of the newcomers; ``days_to_stand`` is their median. None where there were none.
    """

    scenario: str
    algorithm: str
    worlds: int
    cost: Estimate
    spam_let_in: float
    good_refused: float
    good_delayed: float
    accepted: Mapping[str, float]
    refused_in_48_hours: float | None
    hours_to_refusal: float | None
    spam_before_fall: int | None
    stands_in_30_days: float | None
    days_to_stand: float | None


@dataclass(frozen=True, slots=True)
class Better:
    """An algorithm whose cost in a scenario is lower than the default's by more than noise.

    ``saved`` is by how much on average, world by world, with its error.
    """

    scenario: str
    algorithm: str
    saved: Estimate


def summarise(cases: Sequence[Case]) -> list[Row]:
    """One row for each scenario and algorithm, in that order."""
    ordered = sorted(cases, key=_kind)
    return [_row(*kind, [case.judgement for case in group]) for kind, group in groupby(ordered, key=_kind)]


def better_than(cases: Sequence[Case], default: str) -> list[Better]:
    """Who beats ``default``, compared in the same worlds; nobody in one world alone, which does not show its noise."""
    cost = {(case.scenario, case.seed, case.algorithm): case.judgement.cost for case in cases}
    found = []
    for scenario, algorithm in sorted({_kind(case) for case in cases if case.algorithm != default}):
        seeds = [s for sc, s, a in cost if (sc, a) == (scenario, algorithm) and (sc, s, default) in cost]
        saved = estimate([cost[scenario, seed, default] - cost[scenario, seed, algorithm] for seed in seeds])
        if len(seeds) > 1 and saved.mean > max(NOISE_ERRORS * saved.error, 0.0):
            found.append(Better(scenario, algorithm, saved))
    return found


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and standard error; of nothing, 0 and 0."""
    if not values:
        return Estimate(0.0, 0.0)
    return Estimate(fmean(values), stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0)


def _kind(case: Case) -> tuple[str, str]:
    return case.scenario, case.algorithm


def _row(scenario: str, algorithm: str, judged: Sequence[Judgement]) -> Row:
    hours = [hour for one in judged for hour in one.hours_to_refusal]
    days = [day for one in judged for day in one.days_to_stand]
    falls = [spam for one in judged for spam in one.spam_before_fall]
    return Row(
        scenario=scenario,
        algorithm=algorithm,
        worlds=len(judged),
        cost=estimate([one.cost for one in judged]),
        spam_let_in=_share(judged, lambda one: one.spam_let_in, lambda one: one.spam),
        good_refused=_share(judged, lambda one: one.good_refused, lambda one: one.good),
        good_delayed=_share(judged, lambda one: one.good_delayed, lambda one: one.good),
        accepted={
            kind: _share(judged, lambda one, k=kind: one.accepted.get(k, 0), lambda one, k=kind: one.hosts.get(k, 0))  # type: ignore[misc]
            for kind in sorted(set(chain.from_iterable(one.hosts for one in judged)))
        },
        refused_in_48_hours=fmean(hour <= 48 for hour in hours) if hours else None,
        hours_to_refusal=median(hours) if hours else None,
        spam_before_fall=max(falls, default=None),
        stands_in_30_days=fmean(day <= 30 for day in days) if days else None,
        days_to_stand=median(days) if days else None,
    )


def _share(judged: Sequence[Judgement], part: Callable[[Judgement], int], whole: Callable[[Judgement], int]) -> float:
    return sum(map(part, judged)) / max(sum(map(whole, judged)), 1)
