"""The plain algorithms that the default is measured against."""

from __future__ import annotations

import numpy as np

from trustgraph.scoring.algorithms import Problem, Scores, observer_trust
from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.gate import group_votes, grow_gate
from trustgraph.scoring.history import daily_contributions, weigh_history
from trustgraph.scoring.mass import trust_mass, typical_mass


class EndorsementCount:
    """The original idea, plain: how many trusted hosts signed the key.

    c(v) = operators among v's endorsers that are trusted; trusted is the smallest set that has the anchors and whoever
    has a quorum of trusted endorsers; rating = c / (c + quorum), so that a quorum rates one half. Cost: a pass over the
    edges a round. Guarantee: none against rings that got ``quorum`` signatures from trusted hosts.
    """

    name = "endorsement-count"

    def __init__(self, problem: Problem) -> None:
        self._problem, network = problem, problem.network
        self.gate = grow_gate(network, group_votes(network), problem.anchors, problem.parameters.quorum)

    def scores(self) -> Scores:
        """Ratings of all identities; the sample is the endorsers."""
        count = self.gate.endorsers
        rating = count / (count + self._problem.parameters.quorum)
        return Scores(rating, rating.copy(), count.copy(), count, 0)

    def contributions(self, position: int) -> list[Contribution]:
        """Equal shares of the operators that count."""
        network, names = self._problem.network, self._problem.snapshot.identity_name
        count = int(self.gate.endorsers[position])
        parts, operators = [], set()
        for u in network.into(position):
            counts = bool(self.gate.gated[u]) and network.operator[u] not in operators
            operators |= {network.operator[u]} if counts else set()
            amount = 1.0 / (count + self._problem.parameters.quorum) if counts else 0.0
            parts.append(Contribution("endorser", str(names[u]), amount))
        return parts


class Pagerank:
    """Trust mass alone: rating = x / (x + floor), so that the least mass the default asks for rates one half.

    floor = mass_floor * typical mass; against the typical host itself nine in ten honest hosts would not stand.

    x is personalised PageRank from the anchors (:mod:`mass`, which has cost and guarantee).
    """

    name = "pagerank"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.mass = trust_mass(problem.network, problem.preference, problem.parameters.damping)
        self.half = problem.parameters.mass_floor * typical_mass(self.mass.mass, problem.anchors) or 1.0

    def scores(self) -> Scores:
        """Ratings of all identities."""
        rating = self.mass.mass / (self.mass.mass + self.half)
        degree = np.diff(self._problem.network.start)
        return Scores(rating, rating.copy(), degree, degree, self.mass.iterations)

    def contributions(self, position: int) -> list[Contribution]:
        """The anchor's own share and each endorser's flow, scaled alike."""
        network, damping = self._problem.network, self._problem.parameters.damping
        mass = self.mass.mass
        scale = 1.0 / (mass[position] + self.half)
        parts = []
        own = (1.0 - damping) * self._problem.preference[position]
        if own:
            parts.append(Contribution("anchor", "itself", float(own * scale)))
        for u in network.into(position):
            flow = damping * mass[u] / network.out_degree[u]
            share = float(flow / mass[position]) if mass[position] else 0.0
            name = str(self._problem.snapshot.identity_name[u])
            parts.append(Contribution("endorser", name, float(flow * scale), share))
        return parts


class HistoryOnly:
    """Good-mail history alone, as the anchors saw it: a beta mean with decay (:mod:`history`).

    rating = (prior_good + R) / (prior + R + S). Guarantee: only mail that arrived counts, nobody's word.
    """

    name = "history"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        trust = observer_trust(problem, problem.anchor_weight)
        self.history = weigh_history(problem.snapshot, trust, problem.parameters.history)

    def scores(self) -> Scores:
        """Ratings of all identities."""
        p, h = self._problem.parameters, self.history
        weight = p.prior_good + p.prior_bad + h.good_of + h.bad_of
        evidence = h.good_of + h.bad_of
        nobody = np.zeros_like(h.messages_of)
        return Scores((p.prior_good + h.good_of) / weight, evidence / weight, h.messages_of, nobody, 0)

    def contributions(self, position: int) -> list[Contribution]:
        """The prior and each day."""
        p, h = self._problem.parameters, self.history
        prior = p.prior_good + p.prior_bad
        base = p.prior_good / prior
        weight = prior + h.good_of[position] + h.bad_of[position]
        return [Contribution("prior", "everybody", base), *daily_contributions(h, position, base, float(weight))]
