"""The default algorithm: endorsements from gated hosts and good-mail history as one beta rating, read cautiously.

For an identity v:

    E = min(limit, limit * anchor weight of v + e * sum over operators of endorsers u of w(u)), the sum if v is gated
    w(u) = min(1, mass(u) / full) for a host with a voice (:mod:`gate`), its weight for an anchor, else 0
    R, S = good and bad evidence: of :mod:`history` by the anchors' own mail, weighed by their weights, and of
           :mod:`hearsay` by the reports of other observers, weighed by w(u)
    B = sum over endorsed hosts x of min(blame * S(x), blame limit)
    full = full_mass * typical mass, floor = mass_floor * typical mass (:func:`mass.typical_mass`)
    N = prior + E + R + S + B,    mean = (prior_good + E + R) / N
    rating = mean - caution * sqrt(mean (1 - mean) / (N + 1)),  at least 0

The mean is a beta mean (Josang & Ismail 2002); the rating is a lower bound of it, so that few data never rate high.
A host whose own mail, as the anchors saw it, rates below ``refuse`` is *disqualified*: it rates as that mail alone
does, whoever vouches for it or praises it, and it endorses nobody. Its mail speaks louder than anybody's word.

Cost: that of the trust mass plus a few passes over the edges for the gate. Guarantee: of a ring of any size into which
g endorsements lead, each carrying at most phi typical masses, no more than g phi a / ((1 - a) mass_floor) members are
gated, a being the damping, and none if g is below the quorum (:mod:`gate`, :mod:`mass`; numbers in docs/rating.md).
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from trustgraph.scoring.algorithms import Parameters, Problem, Scores, observer_trust, observers_operators
from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.gate import Votes, group_votes, grow_gate
from trustgraph.scoring.gather import in_threads, row_blocks
from trustgraph.scoring.hearsay import Hearsay, hearsay_contributions, weigh_hearsay
from trustgraph.scoring.history import daily_contributions, weigh_history
from trustgraph.scoring.mass import trust_mass, typical_mass
from trustgraph.scoring.network import Network
from trustgraph.scoring.snapshot import Floats, Ints


class Trustgraph:
    """Solves the problem at once; see the module for the formula."""

    name = "trustgraph"

    def __init__(self, problem: Problem) -> None:
        p = problem.parameters
        self._problem = problem
        network, anchors = problem.network, problem.anchors
        self.history = weigh_history(problem.snapshot, observer_trust(problem, problem.anchor_weight), p.history)
        self.own_rating = _rating_of(p, self.history.good_of, self.history.bad_of)
        self.disqualified = (self.history.bad_of > 0) & (self.own_rating < p.refuse) & ~anchors
        self.mass = trust_mass(network, problem.preference, p.damping, disqualified=self.disqualified)
        typical = self._typical()
        mass, votes = self.mass.mass, group_votes(network)
        able = (mass >= p.mass_floor * typical) & (mass > 0)
        self.gate = grow_gate(network, votes, anchors, p.quorum, able=able, barred=self.disqualified)
        self.weight = np.where(self.gate.voices, np.minimum(1.0, mass / (p.full_mass * typical or 1.0)), 0.0)
        self.weight[anchors] = problem.anchor_weight[anchors]
        self.hearsay = self._hearsay()
        self.good = self.history.good_of + self.hearsay.good_of
        self.bad = self.history.bad_of + self.hearsay.bad_of
        counted = self.gate.gated & (self.gate.endorsers >= p.quorum)
        self.pinned = p.endorsement_limit * problem.anchor_weight
        self.plain_endorsement = self.pinned + np.where(
            counted, p.endorsement * _votes(network, votes, self.weight), 0.0
        )
        self.endorsement = np.minimum(self.plain_endorsement, p.endorsement_limit)
        self.blame = _blame(problem, self.bad)

    def _typical(self) -> float:
        """The typical mass as if nobody were disqualified: else a host's own spam could lower the yardsticks."""
        problem = self._problem
        whole = self.mass
        if self.disqualified.any():
            whole = trust_mass(problem.network, problem.preference, problem.parameters.damping)
        return typical_mass(whole.mass, problem.anchors)

    def _hearsay(self) -> Hearsay:
        """Reports of observers with a voice that are no anchors."""
        problem = self._problem
        trust = observer_trust(problem, self.weight)
        trust[observer_trust(problem, problem.anchor_weight) > 0] = 0.0
        operators = observers_operators(problem, self.weight)
        return weigh_hearsay(problem.snapshot, trust, operators, problem.parameters.history)

    def scores(self) -> Scores:
        """Ratings of all identities."""
        p = self._problem.parameters
        good, bad = self.endorsement + self.good, self.bad + self.blame
        rating = _rating_of(p, good, bad)
        rating = np.where(self.disqualified, np.minimum(rating, self.own_rating), rating)
        confidence = (good + bad) / (p.prior_good + p.prior_bad + good + bad)
        messages = self.history.messages_of + self.hearsay.messages_of
        return Scores(rating, confidence, messages, self.gate.endorsers, self.mass.iterations)

    def contributions(self, position: int) -> list[Contribution]:
        """Prior, each endorser, each day, each reporter, blame, caution; they add up to the rating."""
        p, names = self._problem.parameters, self._problem.snapshot.identity_name
        prior = p.prior_good + p.prior_bad
        base = p.prior_good / prior
        good, bad = self.endorsement[position] + self.good[position], self.bad[position] + self.blame[position]
        weight = float(prior + good + bad)
        parts = [Contribution("prior", "everybody", base), *self._endorsers(position, (1.0 - base) / weight)]
        if self.pinned[position]:
            factor = self.endorsement[position] / self.plain_endorsement[position]
            own = (1.0 - p.damping) * self._problem.preference[position] / self.mass.mass[position]
            amount = self.pinned[position] * factor * (1.0 - base) / weight
            parts.append(Contribution("anchor", "itself", float(amount), float(own)))
        parts += daily_contributions(self.history, position, base, weight)
        parts += hearsay_contributions(self.hearsay, names, position, base, weight)
        if self.blame[position]:
            parts.append(Contribution("blame", "hosts it endorsed", float(-self.blame[position] * base / weight)))
        mean = float((p.prior_good + good) / weight)
        rating = cautious(mean, weight, p.caution)
        parts.append(Contribution("caution", "few data", rating - mean))
        if self.disqualified[position] and self.own_rating[position] < rating:
            parts.append(Contribution("own-mail", "its mail to us alone", float(self.own_rating[position]) - rating))
        return parts

    def _endorsers(self, position: int, scale: float) -> list[Contribution]:
        """Each endorser's part of E; within one operator only the weightiest counts."""
        network, names = self._problem.network, self._problem.snapshot.identity_name
        endorsers = network.into(position)
        plain = self.plain_endorsement[position]
        counted = self.endorsement[position] / plain if plain > self.pinned[position] else 0.0
        each = self._problem.parameters.endorsement * float(counted) * scale
        best = _best_of_operator(endorsers, network.operator, self.weight)
        share = self.mass_shares(position)
        return [
            Contribution(
                *("endorser", str(names[u])),
                amount=each * float(self.weight[u]) if u in best else 0.0,
                mass_share=share[int(u)],
            )
            for u in endorsers
        ]

    def mass_shares(self, position: int) -> dict[int, float]:
        """Each endorser's share of the trust mass of an identity; with the anchor's own share they make 1.

        x_v = (1 - a) p_v + a sum x_u P_uv is a sum already, so these are exact.
        """
        network, mass = self._problem.network, self.mass.mass
        endorsers = network.into(position)
        flow = self._problem.parameters.damping * mass[endorsers] / np.maximum(network.out_degree[endorsers], 1)
        flow[self.disqualified[endorsers]] = 0.0
        reached = mass[position]
        return {int(u): float(f / reached) if reached else 0.0 for u, f in zip(endorsers, flow, strict=True)}

    def critical(self, position: int) -> list[int]:
        """Endorsers each of whom the rating needs to stay at or above ``accept``; empty if it is below anyway."""
        p = self._problem.parameters
        if float(self.scores().rating[position]) < p.accept:
            return []
        endorsers = [int(u) for u in self._problem.network.into(position) if self.weight[u] > 0]
        return [u for u in endorsers if self._rating_without(position, u, endorsers) < p.accept]

    def _rating_without(self, position: int, absent: int, endorsers: list[int]) -> float:
        p, operator = self._problem.parameters, self._problem.network.operator
        rest = np.array([u for u in endorsers if operator[u] != operator[absent]], dtype=np.int64)
        weights = self.weight[sorted(_best_of_operator(rest, operator, self.weight))]
        vouched = p.endorsement * float(weights.sum()) if len(weights) >= p.quorum else 0.0
        endorsement = min(float(self.pinned[position]) + vouched, p.endorsement_limit)
        good = p.prior_good + endorsement + self.good[position]
        weight = good + p.prior_bad + self.bad[position] + self.blame[position]
        return cautious(good / weight, weight, p.caution)


def cautious(mean: float, weight: float, caution: float) -> float:
    """A beta mean less ``caution`` standard deviations, at least 0."""
    return float(max(mean - caution * np.sqrt(mean * (1.0 - mean) / (weight + 1.0)), 0.0))


def _rating_of(p: Parameters, good: Floats, bad: Floats) -> Floats:
    """Prior and evidence as a rating: the lower bound of the beta mean."""
    weight = p.prior_good + p.prior_bad + good + bad
    mean = (p.prior_good + good) / weight
    return np.asarray(np.maximum(mean - p.caution * np.sqrt(mean * (1.0 - mean) / (weight + 1.0)), 0.0))


def _votes(network: Network, votes: Votes, weight: Floats) -> Floats:
    """Sum over operators of the weight of each one's weightiest endorser, one an identity."""
    total = np.zeros(network.size)

    def one(rows: slice) -> None:  # a whole network's votes at once would be most of the memory that scoring takes
        edges = slice(network.start[rows.start], network.start[rows.stop])
        group = votes.group[edges]
        first, last = int(group.min(initial=len(votes.subject))), int(group.max(initial=-1)) + 1
        best = np.zeros(max(last - first, 0))
        np.maximum.at(best, group - first, weight[network.endorser[edges]])
        total[rows] = np.bincount(votes.subject[first:last] - rows.start, best, minlength=rows.stop - rows.start)

    with in_threads(row_blocks(network)) as each:
        each(one)
    return total


def _best_of_operator(endorsers: Ints, operator: Ints, weight: Floats) -> set[int]:
    best: dict[int, int] = {}
    for u in endorsers:
        rival = best.get(int(operator[u]))
        if rival is None or weight[u] > weight[rival]:
            best[int(operator[u])] = int(u)
    return set(best.values())


def _blame(problem: Problem, bad_of: Floats) -> Floats:
    """What each host bears of the bad mail of those it endorses (after Krishnan & Raj 2006, Anti-TrustRank)."""
    p, network = problem.parameters, problem.network
    charge = np.minimum(p.blame * bad_of, p.blame_limit)
    charged = (charge > 0)[network.subject]
    endorser, subject = network.endorser[charged], network.subject[charged]
    return np.bincount(endorser, charge[subject], minlength=network.size).astype(np.float64)


def traitor_bound(parameters: Parameters) -> int:
    """Spam messages to an anchor in one day after which no host is accepted any more.

    However good its past is, whoever endorses it, and however others praise it.
    """
    p, h = parameters, parameters.history
    past = h.cap / (1.0 - 0.5 ** (1.0 / h.half_life_days))
    good = p.prior_good + p.endorsement_limit + past + h.hearsay_good_in_all

    def stands(spam: int) -> bool:
        # The spam shares its day with good mail, some of which it is forgiven for: the cap is what a quiet host sends.
        bad = h.penalty * max(spam - h.tolerance * h.cap, 0.0)
        weight = good + p.prior_bad + bad
        return cautious(good / weight, weight, p.caution) >= p.accept

    # From mean < accept, which without caution would be the bound: S > good / accept - good - prior_bad.
    enough = (good / p.accept - good - p.prior_bad) / h.penalty + h.tolerance * h.cap
    return bisect_left(range(max(int(np.ceil(enough)) + 1, 0)), True, key=lambda spam: not stands(spam))
