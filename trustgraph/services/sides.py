"""Hosts that change sides between two policies, and which parts of their ratings make the difference."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trustgraph.model import Standing
from trustgraph.reports.side_plots import Side
from trustgraph.scoring.algorithms import Algorithm, Scores, pose
from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.snapshot import Flags
from trustgraph.scoring.standing import standing_of
from trustgraph.services.replay import Past, principal, rules_of
from trustgraph.services.tuning import kinds_of
from trustgraph.settings import Settings

#: Parts of a rating that are told at most.
MAX_PARTS = 3
#: Differences below this are not told.
_NOTHING = 0.0005

_WORDS = {
    "endorser": "endorsements",
    "good-mail": "good mail",
    "bad-mail": "bad mail",
    "blame": "blame for those it endorsed",
    "caution": "caution for want of data",
    "anchor": "being an anchor",
}


@dataclass(frozen=True, slots=True)
class _Solved:
    algorithm: Algorithm
    scores: Scores
    anchors: Flags
    accept: float
    refuse: float

    def standing(self, position: int) -> Standing:
        scores = self.scores
        known = int(scores.sample_size[position]), int(scores.endorsers[position])
        return standing_of(float(scores.rating[position]), *known, accept=self.accept, refuse=self.refuse)


def changing_sides(
    past: Past,
    before: Settings,
    after: Settings,
    spam: Sequence[bool] | None = None,
    truth: Mapping[str, str] | None = None,
) -> list[Side]:
    """Identities that stand otherwise at the end of the past, those with most mail first; anchors aside.

    ``spam`` is as in :mod:`trustgraph.services.tuning`; ``truth`` says what identities truly are, by name.
    """
    old, new = _solve(past, before), _solve(past, after)
    record = past.record
    mail = _mail_of(past, spam)
    sides = []
    for position, identity in enumerate(record.identity_name):
        was, becomes = old.standing(position), new.standing(position)
        if was is not becomes and not old.anchors[position]:
            side = Side(
                *(str(record.identity_host[position]), str(identity), was, becomes),
                rating_before=float(old.scores.rating[position]),
                rating_after=float(new.scores.rating[position]),
                good=mail[position]["good"],
                spam=mail[position]["spam"],
                unknown=mail[position]["unknown"],
                why=why(old.algorithm.contributions(position), new.algorithm.contributions(position)),
                truly=(truth or {}).get(str(identity), ""),
            )
            sides.append(side)
    return sorted(sides, key=lambda side: (-(side.good + side.spam + side.unknown), side.identity))


def why(before: Sequence[Contribution], after: Sequence[Contribution]) -> str:
    """The parts that differ, the largest difference first: what kind of part, by how much, and how many of them."""
    amounts: dict[str, float] = defaultdict(float)
    changed: Counter[str] = Counter()
    parts: dict[tuple[str, str], float] = defaultdict(float)
    for sign, contributions in ((-1.0, before), (1.0, after)):
        for part in contributions:
            amounts[part.kind] += sign * part.amount
            parts[part.kind, part.name] += sign * part.amount
    for (kind, _), amount in parts.items():
        changed[kind] += abs(amount) >= _NOTHING
    order = sorted((kind for kind in amounts if abs(amounts[kind]) >= _NOTHING), key=lambda k: (-abs(amounts[k]), k))
    told = [f"{_WORDS.get(kind, kind)} {amounts[kind]:+.3f}{_of(kind, changed[kind])}" for kind in order[:MAX_PARTS]]
    return "; ".join(told) or "its rating is the same: a threshold moved past it"


def _of(kind: str, number: int) -> str:
    return f" ({number} endorsers)" if kind == "endorser" and number > 1 else ""


def _solve(past: Past, settings: Settings) -> _Solved:
    rules = rules_of(settings)
    problem = pose(past.record.snapshot_at(past.until), rules.anchors, rules.parameters)
    algorithm = rules.algorithm(problem)
    return _Solved(algorithm, algorithm.scores(), problem.anchors, rules.policy.accept, rules.policy.refuse)


def _mail_of(past: Past, spam: Sequence[bool] | None) -> Mapping[int, Counter[str]]:
    mail: dict[int, Counter[str]] = defaultdict(Counter)
    for message, kind in zip(past.messages, kinds_of(past, spam), strict=True):
        mail[principal(message)][str(kind)] += 1
    return mail
