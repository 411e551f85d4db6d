"""Local trust from everybody's own dealings, passed on from the anchors until it settles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from trustgraph.errors import NotConverged
from trustgraph.model import IdentityKind, day_of
from trustgraph.scoring.algorithms import Problem, Scores
from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.gate import count_votes, group_votes
from trustgraph.scoring.mass import MAX_ITERATIONS
from trustgraph.scoring.network import Network, network_of
from trustgraph.scoring.shares import divide, median_over_mass
from trustgraph.scoring.snapshot import Flags, Floats, Ints
from trustgraph.scoring.texts import places_of

_TOLERANCE = 1e-14


@dataclass(frozen=True, slots=True)
class LocalTrust:
    """Whom each identity trusts by its own experience.

    ``network``: endorsements, less those that the endorser's own mail speaks against; each is worth 1. ``dealings``:
    (subject, observer) matrix of max(0, r - s). ``speaker``: the ``helo:`` observer that sees an identity's mail for
    it, -1 for none. ``total``: all the local trust of each identity.
    """

    network: Network
    dealings: sparse.csr_array[np.float64, tuple[int, int]]
    speaker: Ints
    total: Floats


class EigenTrust:
    """EigenTrust (Kamvar, Schlosser, Garcia-Molina 2003), its pre-trusted peers being the anchors.

        t = (1 - a) p + a C^T t,    C[u, v] = l(u, v) / sum l(u, .),  or p[v] if u trusts nobody
        l(u, v) = max(0, r - s) + (1 if u endorses v, unless r < s),    rating = t / (t + floor)

    1 - a, the weight of the pre-trusted, is ``1 - damping``. r and s are the daily evidence of :mod:`history` (capped,
    decayed, bad mail by its penalty) on v in the mail that u itself had: the paper's satisfactory and unsatisfactory
    dealings, to which an endorsement adds one. A ``helo:`` observer's mail is the mail of that host's keys. Nobody
    deals with its own operator, a dead key with nobody. The floor is mass_floor times the median over
    trust outside the anchors.

    Cost: a pass over endorsements and (observer, subject) pairs an iteration, log(1e-14) / log(a) of them. Guarantee:
    as for trust mass (:mod:`mass`): what enters a set of hosts is amplified by at most 1 / (1 - a), and whoever no
    trusted host endorses or has good mail from rates 0. There is no quorum: one trusting host is enough, and who has
    dealings with few gives much to each. Trust of hosts that trust nobody goes back to the anchors.
    """

    name = "eigentrust"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.local = local_trust(problem)
        self.trust, self.iterations = self._settle()
        outside = np.where(problem.anchors, 0.0, self.trust)
        half = problem.parameters.mass_floor * median_over_mass(self.trust, outside) or 1.0
        self.rating: Floats = self.trust / (self.trust + half)

    def _settle(self) -> tuple[Floats, int]:
        problem, network = self._problem, self.local.network
        damping, preference = problem.parameters.damping, problem.preference
        if not 0.0 <= damping < 1.0:
            raise NotConverged(f"eigentrust has no limit at damping {damping:g}: expected 0 or more and below 1")
        shape = (network.size, network.size)
        edges = sparse.csr_array((np.ones(len(network.endorser)), network.endorser, network.start), shape=shape)
        trust, residual = preference, np.inf
        for iteration in range(1, MAX_ITERATIONS + 1):
            handed, spoken, idle = self._passed_on(trust)
            arrived = edges @ handed + self.local.dealings @ spoken + idle * preference
            following = (1.0 - damping) * preference + damping * arrived
            residual = float(np.abs(following - trust).sum())
            trust = following
            if residual < _TOLERANCE:
                return trust, iteration
        raise NotConverged(f"eigentrust: after {MAX_ITERATIONS} iterations the residual is {residual:g}")

    def _passed_on(self, trust: Floats) -> tuple[Floats, Floats, float]:
        """By unit of local trust: what each endorser and each observer passes on; and what goes back to the anchors."""
        total, speaker = self.local.total, self.local.speaker
        handed: Floats = np.divide(trust, total, out=np.zeros_like(trust), where=total > 0)
        heard = speaker >= 0
        spoken: Floats = handed + np.bincount(speaker[heard], handed[heard], minlength=len(trust))
        return handed, spoken, float(trust[total == 0].sum())

    def scores(self) -> Scores:
        """Ratings of all identities; the sample is the messages that trusted observers saw."""
        snapshot, network = self._problem.snapshot, self.local.network
        handed, spoken, _ = self._passed_on(self.trust)
        seen = dealt(self._problem) & (spoken[snapshot.count_observer] > 0)
        messages = snapshot.count_good + snapshot.count_bad + snapshot.count_unknown
        sample = np.bincount(snapshot.count_subject[seen], messages[seen], minlength=network.size).astype(np.int64)
        endorsers = count_votes(network, group_votes(network), handed > 0)
        return Scores(self.rating, self.rating.copy(), sample, endorsers, self.iterations)

    def contributions(self, position: int) -> list[Contribution]:
        """What came from the preference, from each endorser and from each observer that had good mail, scaled alike."""
        names, damping = self._problem.snapshot.identity_name, self._problem.parameters.damping
        handed, spoken, idle = self._passed_on(self.trust)
        own = (1.0 - damping + damping * idle) * float(self._problem.preference[position])
        parts = [("anchor", "itself", own)] if own else []
        parts += [("endorser", str(names[u]), damping * float(handed[u])) for u in self.local.network.into(position)]
        dealings = self.local.dealings
        for i in range(dealings.indptr[position], dealings.indptr[position + 1]):
            observer = dealings.indices[i]
            parts.append(("good-mail", str(names[observer]), damping * float(dealings.data[i] * spoken[observer])))
        return divide(float(self.rating[position]), parts)


def local_trust(problem: Problem) -> LocalTrust:
    """Dealings of each observer, and the endorsements that they do not contradict."""
    size, network, speaker = problem.network.size, problem.network, _speakers(problem)
    subject, observer, worth = _balances(problem)
    good = worth > 0
    dealings = sparse.csr_array((worth[good], (subject[good], observer[good])), shape=(size, size))
    # Pairs as one number, in 64 bits: positions may be int32.
    spoilt = np.unique(subject[worth < 0].astype(np.int64) * size + observer[worth < 0])
    at = network.subject.astype(np.int64) * size
    contradicted = _within(at + network.endorser, spoilt)
    contradicted |= _within(at + speaker[network.endorser], spoilt) & (speaker[network.endorser] >= 0)
    if contradicted.any():
        kept = ~contradicted
        start = np.concatenate([[0], np.cumsum(np.bincount(network.subject[kept], minlength=size))])
        network = network_of(network.endorser[kept], start, network.operator, network.live)
    seen = np.bincount(observer[good], worth[good], minlength=size).astype(np.float64)
    total: Floats = network.out_degree + seen + np.where(speaker >= 0, seen[speaker], 0.0)
    return LocalTrust(network, dealings, speaker, total)


def dealt(problem: Problem) -> Flags:
    """Which daily counts are dealings: neither side's key is dead, and they are not one operator."""
    snapshot, network = problem.snapshot, problem.network
    observer, subject = snapshot.count_observer, snapshot.count_subject
    apart = network.operator[observer] != network.operator[subject]
    return np.asarray(apart & network.live[observer] & network.live[subject])


def _balances(problem: Problem) -> tuple[Ints, Ints, Floats]:
    """r - s of each (subject, observer) that had dealings."""
    s, h, counts = problem.snapshot, problem.parameters.history, dealt(problem)
    subject, observer = s.count_subject[counts], s.count_observer[counts]
    seen_good = s.count_good[counts] + h.unknown_weight * s.count_unknown[counts]
    excess = np.maximum(s.count_bad[counts] - h.tolerance * seen_good, 0.0)
    decay = 0.5 ** ((day_of(s.reference_time) - s.count_day[counts]) / h.half_life_days)
    worth = (np.minimum(h.weight * seen_good, h.cap) - h.penalty * excess) * decay
    fresh = np.ones(len(subject), dtype=np.bool_)
    fresh[1:] = (subject[1:] != subject[:-1]) | (observer[1:] != observer[:-1])
    pair = np.cumsum(fresh) - 1
    return subject[fresh], observer[fresh], np.bincount(pair, worth).astype(np.float64)


def _speakers(problem: Problem) -> Ints:
    """For each identity the observer ``helo:<its host>``, if that is another identity with observations; else -1."""
    snapshot = problem.snapshot
    observers = np.flatnonzero(np.bincount(snapshot.count_observer, minlength=problem.network.size))
    named = [(int(i), *str(snapshot.identity_name[i]).partition(":")[::2]) for i in observers]
    places = {host: i for i, kind, host in named if kind == IdentityKind.HELO}
    found = places_of(snapshot.identity_host, places)
    speaker = np.append(np.array(list(places.values()), dtype=np.int64), -1)[found]
    speaker[speaker == np.arange(len(speaker))] = -1
    return speaker


def _within(values: Ints, some: Ints) -> Flags:
    """Which values are among some, which are sorted."""
    if not len(some):
        return np.zeros(len(values), dtype=np.bool_)
    return np.asarray(some[np.minimum(np.searchsorted(some, values), len(some) - 1)] == values)
