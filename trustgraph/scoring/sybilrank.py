"""Short random walks from the anchors: trust has no time to leak into a ring through few edges."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trustgraph.scoring.algorithms import Problem, Scores
from trustgraph.scoring.distance import distances
from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.gate import count_votes, group_votes
from trustgraph.scoring.shares import divide, median_over_mass
from trustgraph.scoring.snapshot import Floats


class SybilRank:
    """SybilRank (Cao, Sirivianos, Yang, Pregueiro 2012), from endorser to endorsed only.

        t_0 = p,    t_i = (t_(i-1) + P^T t_(i-1) + d_(i-1) p) / 2,    i = 1 ... w = ceil(log2 reached)
        h(v) = sum f(u, v)^2 / sum f(u, v),    rating = h / (h + typical h / 2)

    P shares trust equally among the endorsements handed out; d is the trust of hosts that hand out none, which starts
    again at the anchors. f(u, v) is what u's endorsement carried of t_w(v), what came from p counts as one more of
    them. ``reached`` counts the hosts that the anchors lead to, so that keys nobody endorses add no rounds; the typical
    h is the median over trust outside the anchors.

    Three things differ from the paper, whose graph is undirected. A ring signs honest hosts for free: in the undirected
    union each such signature would be an attack edge, so trust flows along endorsements alone. A directed walk need not
    mix, hence the half that stays. And the degree to normalise by is that of the endorsements which count, each as far
    as it carries trust, (sum f)^2 / sum f^2: equal ones count one each, as in the paper, while a plain in-degree would
    let any member of a ring that has one signature talk honest hosts down by endorsing them.

    Cost: a pass over the edges a round, w + 2 in all; a fixed number, so there is nothing to converge. Guarantee: h(v)
    is at most t(v), and what a ring holds entered it by attack edges in w rounds, so at most (trust that entered) /
    (typical h / 2) of its members rate one half: O(log n) an attack edge, as in the paper, whatever the ring's size.
    The other half of the paper's claim, that honest hosts end up equal, needs a network that mixes in log n steps;
    hosts more than w steps from every anchor rate 0. One signature can be enough: there is no quorum. An anchor that
    nobody endorses has sent most of its trust away, and rates accordingly.
    """

    name = "sybilrank"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        network, preference = problem.network, problem.preference
        reached = int((distances(network, problem.anchors) >= 0).sum())
        self.rounds = max(1, (reached - 1).bit_length())
        shape = (network.size, network.size)
        edges = sparse.csr_array((np.ones(len(network.endorser)), network.endorser, network.start), shape=shape)
        endorses, budget = network.out_degree > 0, 1.0 / np.maximum(network.out_degree, 1)
        trust: Floats = preference
        self.restarted: Floats = preference
        self.carried: Floats = np.zeros(network.size)
        for _ in range(self.rounds):
            handed: Floats = np.where(endorses, trust * budget, 0.0)
            again = float(trust[~endorses].sum()) * preference
            trust = np.asarray(trust + edges @ handed + again) / 2
            # The same recurrence for the two parts of trust: what each endorsement carried, and what came from p.
            self.carried = (self.carried + handed) / 2
            self.restarted = (self.restarted + again) / 2
        self.trust = trust
        squares = edges @ np.square(self.carried) + np.square(self.restarted)
        self.strength = np.divide(squares, trust, out=np.zeros(network.size), where=trust > 0)
        self.typical = median_over_mass(self.strength, np.where(problem.anchors, 0.0, trust)) or 1.0
        self.rating: Floats = self.strength / (self.strength + self.typical / 2)

    def scores(self) -> Scores:
        """Ratings of all identities; the sample is the endorsers."""
        network = self._problem.network
        count = count_votes(network, group_votes(network), self.carried > 0)
        return Scores(self.rating, self.rating.copy(), count.copy(), count, self.rounds)

    def contributions(self, position: int) -> list[Contribution]:
        """What came from the preference and from each endorser: shares of the rating go by the squares, as in h."""
        names = self._problem.snapshot.identity_name
        own = float(self.restarted[position])
        parts = [("anchor", "itself", own)] if own else []
        parts += [("endorser", str(names[u]), float(self.carried[u])) for u in self._problem.network.into(position)]
        return divide(float(self.rating[position]), parts, power=2)
