"""How many hosts the anchors' trust can reach at once: each takes one unit of a flow through narrowing capacities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from trustgraph.scoring.algorithms import Problem, Scores
from trustgraph.scoring.distance import distances
from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.gate import count_votes, group_votes
from trustgraph.scoring.mass import trust_mass
from trustgraph.scoring.shares import divide, median_over_mass
from trustgraph.scoring.snapshot import Flags, Floats, Ints

#: A sum that is whole but for rounding is not rounded up to the next.
_ROUNDING = 1.0 - 1e-9


@dataclass(frozen=True, slots=True)
class Flow:
    """A maximum flow from the anchors. ``through``: units that enter each identity; one of them is its own.

    ``capacity``: units that may enter each identity, 0 for those out of reach. ``host``: position of each node of the
    flow network that is the entrance of an identity, ascending; its exit lies ``len(host)`` further on. ``units``:
    net units from node to node.
    """

    capacity: Ints
    through: Ints
    host: Ints
    units: sparse.csr_array[np.int32, tuple[int, int]]


class MaxFlow:
    """Advogato's trust metric (Levien 2000; his thesis 2009): accepted is whom a unit of flow reaches.

    Each host is split into an entrance and an exit. One unit goes from the entrance to the sink (the host is accepted),
    up to capacity - 1 go on to the exit and from there along endorsements. The capacity is automatic, by distance d
    from the anchors:

        C / number of hosts at distance d that endorse anybody, rounded up, at most that of distance d - 1
        C * weight / greatest weight, rounded up, for an anchor

    Levien divides by the average out-degree instead, to estimate how many share; where it is small that leaves nothing
    for deep hosts. C is the number of good hosts, which he lets the operator say. Here it is that of hosts with trust
    mass worth counting (:mod:`mass`): sum min(1, mass / floor) and one for each anchor, floor = mass_floor * typical
    mass. Counting all in reach would let a ring raise every capacity by its size. With f units entering a host and c
    operators with an accepted host endorsing it,

        rating = accept + (1 - accept) (1 - 1 / f) if it is accepted, else accept * c / (c + 1)

    A maximum flow is not unique. Among equals the choice of whom it reaches is arbitrary but fixed: the network is
    built in the order of names, from the hosts in reach alone. Dinic's augmenting paths are the shortest, so that
    nobody passes flow on who is not accepted.

    Cost: that of the trust mass and a maximum flow by Dinic's algorithm, seconds for a million hosts. Guarantee: a ring
    of any size gets at most the sum of (capacity - 1) over the hosts that endorse into it, and it raises C by at most
    (mass that enters it) / (1 - damping) / floor. There is no quorum, and one operator has not one vote here: units
    are the hosts'.
    """

    name = "max-flow"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        level = distances(problem.network, problem.anchors)
        self.flow = maximum_flow(problem, capacities(problem, level, good_hosts(problem)))
        self.accepted: Flags = self.flow.through > 0
        self.endorsers = count_votes(problem.network, group_votes(problem.network), self.accepted)
        self.rating = self._rate()

    def _rate(self) -> Floats:
        accept, through, c = self._problem.parameters.accept, self.flow.through, self.endorsers
        inside = accept + (1.0 - accept) * (1.0 - 1.0 / np.maximum(through, 1))
        return np.where(self.accepted, inside, accept * c / (c + 1))

    def scores(self) -> Scores:
        """Ratings of all identities; the sample is the endorsers."""
        return Scores(self.rating, self.rating.copy(), self.endorsers.copy(), self.endorsers, 1)

    def contributions(self, position: int) -> list[Contribution]:
        """Of an accepted host by the units that each endorser hands it; else equal shares of accepted operators."""
        network, names = self._problem.network, self._problem.snapshot.identity_name
        parts = []
        if self.accepted[position]:
            arrived = self._arrived(position)
            if position in arrived:
                parts.append(("anchor", "itself", float(arrived[position])))
            parts += [("endorser", str(names[u]), float(arrived.get(int(u), 0))) for u in network.into(position)]
            return divide(float(self.rating[position]), parts)
        heard: set[int] = set()
        for u in network.into(position):
            counts = bool(self.accepted[u]) and int(network.operator[u]) not in heard
            heard |= {int(network.operator[u])} if counts else set()
            parts.append(("endorser", str(names[u]), float(counts)))
        return divide(float(self.rating[position]), parts)

    def _arrived(self, position: int) -> dict[int, int]:
        """Units that an identity gets, by the endorser's position; an anchor gets some from the seed, under its own."""
        host, units = self.flow.host, self.flow.units
        node, count = int(np.searchsorted(host, position)), len(host)
        row = slice(units.indptr[node], units.indptr[node + 1])
        # Flow is skew-symmetric: what comes in stands as a negative number in the row of whom it comes to.
        came = [(int(i), -int(x)) for i, x in zip(units.indices[row], units.data[row], strict=True) if x < 0]
        return {position if i == 2 * count else int(host[i - count]): x for i, x in came}


def good_hosts(problem: Problem) -> int:
    """C: the anchors, and the others as far as they hold the floor of trust mass; rounded up."""
    p, others = problem.parameters, ~problem.anchors
    mass = trust_mass(problem.network, problem.preference, p.damping).mass[others]
    floor = p.mass_floor * median_over_mass(mass, mass)
    held = np.minimum(mass / floor, 1.0).sum() if floor else np.count_nonzero(mass)
    return int(problem.anchors.sum()) + int(np.ceil(held * _ROUNDING))


def capacities(problem: Problem, level: Ints, supply: int) -> Ints:
    """Units that may enter each identity, by its distance from the anchors (-1: none may), if C is ``supply``."""
    weight, endorses = problem.anchor_weight, problem.network.out_degree > 0
    sharing = np.bincount(level[endorses & (level >= 0)], minlength=int(level.max()) + 1)
    sharing[0] = 1
    by_level = np.minimum.accumulate(-(-supply // np.maximum(sharing, 1)))
    capacity = np.where(level >= 0, by_level[level], 0)
    capacity[problem.anchors] = np.ceil(supply * weight[problem.anchors] / weight.max())
    return capacity


def maximum_flow(problem: Problem, capacity: Ints) -> Flow:
    """Send as much as possible from the anchors to the sink through hosts of that capacity."""
    network = problem.network
    host = np.flatnonzero(capacity > 0)
    count = len(host)
    seed, sink = 2 * count, 2 * count + 1
    node = np.full(network.size, -1)
    node[host] = np.arange(count)
    entrance, room = np.arange(count), capacity[host]
    carries = capacity[network.endorser] > 1
    source, target = network.endorser[carries], network.subject[carries]
    seeds = np.flatnonzero(problem.anchors)
    wide = np.flatnonzero(room > 1)
    tails = np.concatenate([np.full(len(seeds), seed), entrance, wide, count + node[source]])
    heads = np.concatenate([node[seeds], np.full(count, sink), count + wide, node[target]])
    widths = np.concatenate(
        [
            capacity[seeds],
            np.ones(count, dtype=np.int64),
            room[wide] - 1,
            np.minimum(capacity[source] - 1, capacity[target]),
        ]
    )
    edges = sparse.csr_array((widths.astype(np.int32), (tails, heads)), shape=(sink + 1, sink + 1))
    units = csgraph.maximum_flow(edges, seed, sink, method="dinic").flow.astype(np.int32, copy=False)
    through = np.zeros(network.size, dtype=np.int64)
    through[host] = units.diagonal(count)[:count]
    taken = slice(units.indptr[sink], units.indptr[sink + 1])
    through[host[units.indices[taken]]] -= units.data[taken]
    return Flow(capacity, through, host, units)
