"""What all detectors read, gathered once from a solved problem: mail as trusted observers counted it, and standing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trustgraph.model import Identity, day_of
from trustgraph.reports.thresholds import Thresholds
from trustgraph.scoring.algorithms import Parameters, Problem, observer_trust
from trustgraph.scoring.network import Network
from trustgraph.scoring.snapshot import Flags, Floats, Ints, Snapshot
from trustgraph.scoring.standing import standing_of
from trustgraph.scoring.trustgraph import Trustgraph

#: Two-sided 95 % of the normal distribution.
_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Mail:
    """Messages by (subject, day), sorted so, summed over the observers that count; ``bad`` is spam and malware."""

    subject: Ints
    day: Ints
    good: Ints
    bad: Ints
    unknown: Ints


@dataclass(frozen=True, slots=True)
class Evidence:
    """One value an identity, except ``mail``.

    ``good``, ``bad``, ``unknown``: messages of the recent days. ``bad_share_low``: lower 95 % bound of the bad part of
    those judged. ``proven``: has a good mail history, over all days known. ``trusted``: its endorsements count.
    ``own_host`` is the name of the site that reads the report, empty if not set.
    """

    problem: Problem
    algorithm: Trustgraph
    rating: Floats
    endorsers: Ints
    sample_size: Ints
    mail: Mail
    good: Ints
    bad: Ints
    unknown: Ints
    bad_share_low: Floats
    proven: Flags
    own_host: str = ""

    @property
    def snapshot(self) -> Snapshot:
        """The facts at the reference time."""
        return self.problem.snapshot

    @property
    def network(self) -> Network:
        """The endorsements that count."""
        return self.problem.network

    @property
    def parameters(self) -> Parameters:
        """The policy's numbers."""
        return self.problem.parameters

    @property
    def trusted(self) -> Flags:
        """Whose endorsements count: gated hosts and anchors that are not disqualified."""
        return self.algorithm.weight > 0

    @property
    def accepted(self) -> Flags:
        """Who has standing."""
        return self.rating >= self.parameters.accept

    def identity(self, position: int) -> Identity:
        """The identity at a position."""
        return Identity(self.snapshot.identity_name[position])

    def host(self, position: int) -> str:
        """Its host, empty if none is known."""
        return str(self.snapshot.identity_host[position])

    def name(self, position: int) -> str:
        """Its host or, without one, its identity."""
        return self.host(position) or str(self.identity(position))

    def standing(self, position: int) -> str:
        """How it stands under the policy."""
        counts = int(self.sample_size[position]), int(self.endorsers[position])
        p = self.parameters
        return standing_of(float(self.rating[position]), *counts, accept=p.accept, refuse=p.refuse).value


def gather(problem: Problem, algorithm: Trustgraph, thresholds: Thresholds, own_host: str = "") -> Evidence:
    """Evidence of a solved problem."""
    size = problem.network.size
    mail = mail_seen(problem, algorithm, thresholds.observer_trust)
    recent = mail.day > day_of(problem.snapshot.reference_time) - thresholds.recent_days
    good, bad, unknown = (
        _sums(mail.subject[recent], column[recent], size) for column in (mail.good, mail.bad, mail.unknown)
    )
    all_good, all_bad = _sums(mail.subject, mail.good, size), _sums(mail.subject, mail.bad, size)
    good_days = np.bincount(mail.subject[mail.good > 0], minlength=size)
    clean = all_bad <= thresholds.turn_share_before * (all_good + all_bad)
    scores = algorithm.scores()
    return Evidence(
        *(problem, algorithm, scores.rating, scores.endorsers, scores.sample_size),
        *(mail, good, bad, unknown),
        bad_share_low=wilson_low(bad, good + bad),
        proven=clean & (good_days >= thresholds.turn_good_days),
        own_host=own_host,
    )


def mail_seen(problem: Problem, algorithm: Trustgraph, least_trust: float) -> Mail:
    """Daily counts by observers trusted at least so far; those of a subject and day are added up."""
    snapshot = problem.snapshot
    counts = observer_trust(problem, algorithm.weight)[snapshot.count_observer] >= least_trust
    subject, day = snapshot.count_subject[counts], snapshot.count_day[counts]
    order = np.lexsort((day, subject))
    subject, day = subject[order], day[order]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = (subject[1:] != subject[:-1]) | (day[1:] != day[:-1])
    cell = np.cumsum(fresh) - 1
    columns = (snapshot.count_good, snapshot.count_bad, snapshot.count_unknown)
    sums = (_sums(cell, column[counts][order], int(fresh.sum())) for column in columns)
    return Mail(subject[fresh], day[fresh], *sums)


def wilson_low(hits: Ints, total: Ints) -> Floats:
    """Lower 95 % bound of a share, 0 where nothing was counted (Wilson 1927)."""
    counted = np.maximum(total, 1)
    share, z2 = hits / counted, _Z95 * _Z95
    centre = share + z2 / (2 * counted)
    spread = _Z95 * np.sqrt(share * (1 - share) / counted + z2 / (4 * counted * counted))
    return np.asarray(np.where(hits > 0, np.maximum((centre - spread) / (1 + z2 / counted), 0.0), 0.0))


def either(first: float, second: float) -> float:
    """1 - (1 - a)(1 - b): high when one of two reasons is, higher when both are; how severities combine."""
    return 1.0 - (1.0 - first) * (1.0 - second)


def _sums(position: Ints, amount: Ints, size: int) -> Ints:
    return np.bincount(position, amount, minlength=size).astype(np.int64)
