"""Sybils on real trust graphs: how many each rule accepts, and how many honest hosts, at the same number of attacks.

The protocol, and what is counted, are those of :mod:`trustgraph.services.graph_evaluation`, which tries the algorithms
as they are; here are accept rules beside them, other parameters and harsher attacks. The rules of the first lines use
what only the truth knows: the mass of honest hosts.

The directory of graphs is named by ``TRUSTGRAPH_GRAPHS`` (:mod:`trustgraph.lab.realgraphs` says which files).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from tests.benchmarks.measure import print_table
from trustgraph.errors import UsageError
from trustgraph.lab.grafting import Attack, Graft, Placement, Sellers, graft
from trustgraph.lab.realgraphs import Graph
from trustgraph.scoring.algorithms import Parameters, Problem, pose
from trustgraph.scoring.gate import group_votes, grow_gate
from trustgraph.scoring.mass import trust_mass, typical_mass
from trustgraph.scoring.registry import ALGORITHMS
from trustgraph.scoring.snapshot import Flags, Floats
from trustgraph.scoring.trustgraph import Trustgraph
from trustgraph.services.graph_evaluation import (
    EDGES,
    EQUAL_SHARE,
    PROTOCOL,
    Accepted,
    at_equal_share,
    judge,
    read_graphs,
)

SEEDS = range(1, 11)
#: Damping of the mass that the first rules ask for.
PLAIN_DAMPING = 0.5
DEFAULT = Parameters()

Rule = Callable[[Graft, Problem], Flags]


def _mass(attacked: Graft, problem: Problem) -> tuple[Floats, Floats]:
    """Plain trust mass of everybody, and of the honest."""
    mass = trust_mass(problem.network, problem.preference, PLAIN_DAMPING).mass
    return mass, mass[~attacked.sybil]


def signers(quorum: int, of_median: float = 0.0) -> Rule:
    """At least ``quorum`` accepted endorsers, and so much of the median honest mass."""

    def rule(attacked: Graft, problem: Problem) -> Flags:
        mass, honest = _mass(attacked, problem)
        network, anchors = problem.network, problem.anchors
        able = replace(network, live=network.live & (mass >= of_median * np.median(honest)) | anchors)
        return grow_gate(able, group_votes(network), anchors, quorum).gated

    return rule


def weighed_signers(attacked: Graft, problem: Problem) -> Flags:
    """Endorsers' masses over the median, each 1 at most, sum to 3."""
    mass, honest = _mass(attacked, problem)
    weight = np.minimum(1.0, mass / np.median(honest))
    network = problem.network
    return np.bincount(network.subject, weight[network.endorser], minlength=network.size) >= 3


def enough_mass(attacked: Graft, problem: Problem) -> Flags:
    """More mass than a fifth of the honest."""
    mass, honest = _mass(attacked, problem)
    return mass >= np.percentile(honest, 20)


def accepted_by(name: str) -> Rule:
    """Ratings of the algorithm at or above the threshold of acceptance."""
    return lambda _, problem: ALGORITHMS[name](problem).scores().rating >= problem.parameters.accept


def as_many_as(name: str) -> Rule:
    """Ratings that :data:`EQUAL_SHARE` of the honest hosts with a quorum reach."""
    return lambda attacked, problem: at_equal_share(attacked, ALGORITHMS[name](problem).scores().rating)


RULES: Mapping[str, Rule] = {
    "2 accepted endorsers": signers(2),
    "3 accepted endorsers": signers(3),
    "weights of endorsers sum to 3": weighed_signers,
    "mass of 80 % of the honest": enough_mass,
    "2 accepted endorsers, mass": signers(2, 0.25),
    "3 accepted endorsers, mass": signers(3, 0.25),
    "trustgraph, its gate alone": lambda _, problem: Trustgraph(problem).gate.gated,
}

#: Beside the protocol: what an attacker who knows the algorithm would rather do.
HARSHER: Mapping[str, Attack] = {
    "the protocol": PROTOCOL,
    "no camouflage": Attack(1, camouflage=0),
    "3 each": Attack(1, placement=Placement.CONCENTRATED),
    "bought from the most endorsed tenth": Attack(1, sellers=Sellers.TRUSTED),
    "bought from the most sparing tenth": Attack(1, sellers=Sellers.SPARING),
    "both, 5 each, no camouflage": Attack(
        1, sellers=Sellers.SPARING, placement=Placement.CONCENTRATED, each=5, camouflage=0
    ),
}
#: Others that each of the three roots of a star endorses; the worst for us is shown.
FANS = (5, 20, 60, 150, 400)


#: One parameter at a time, the others as they are.
CURVES: Mapping[str, tuple[float, ...]] = {
    "damping": (0.3, 0.5, 0.6, 0.7, 0.8, 0.85),
    "mass_floor": (0.0, 0.01, 0.03, 0.05, 0.08),
    "full_mass": (0.25, 0.5, 1.0, 1.5, 2.0),
    "endorsement": (36.0, 40.0, 44.0, 50.0, 60.0),
}


def _judge(graph: Graph, attack: Attack, rule: Rule, seeds: range, parameters: Parameters) -> list[Accepted]:
    """Whom the rule accepts, for each seed."""
    attacks = [graft(graph, attack, seed=seed) for seed in seeds]
    return [judge(each, rule(each, pose(each.snapshot, each.anchors, parameters))) for each in attacks]


def _row(
    graph: Graph, name: str, rule: Rule, attack: Attack = PROTOCOL, parameters: Parameters = DEFAULT
) -> tuple[object, ...]:
    """Mean and standard deviation of sybils for each number of edges; least mean share of the honest."""
    cells, shares = [], []
    for edges in EDGES:
        found = _judge(graph, replace(attack, edges=edges), rule, SEEDS, parameters)
        sybils = [one.sybils for one in found]
        cells.append(f"{fmean(sybils):.1f} ± {stdev(sybils):.1f}")
        shares.append((fmean(one.honest for one in found), fmean(one.with_quorum for one in found)))
    return name, *cells, f"{min(shares)[0]:.3f}", f"{min(shares)[1]:.3f}"


def _star(graph: Graph, sellers: Sellers) -> tuple[object, ...]:
    """The worst star: three roots that share what is bought and endorse as many others as it can feed."""
    cells = []
    star = Attack(1, reach=3, camouflage=0, sellers=sellers, placement=Placement.CONCENTRATED)
    rule = accepted_by("trustgraph")
    for edges in EDGES:
        stars = [replace(star, edges=edges, fan=fan, each=-(-edges // star.reach)) for fan in FANS]
        worst = max(fmean(one.sybils for one in _judge(graph, each, rule, SEEDS[:3], DEFAULT)) for each in stars)
        cells.append(f"{worst:.1f}")
    return f"the worst star, bought from {sellers} hosts", *cells, "", ""


def _bound(graph: Graph) -> tuple[object, ...]:
    """c of invariant 4 on this graph, over the honest hosts that may sell."""
    attacked = graft(graph, Attack(1, sybils=10, camouflage=0), seed=1)
    problem = pose(attacked.snapshot, attacked.anchors, Parameters())
    mass, p = Trustgraph(problem).mass.mass, problem.parameters
    carried = (mass / np.maximum(problem.network.out_degree, 1))[~attacked.sybil & ~problem.anchors]
    c = p.damping / (1.0 - p.damping) * carried / (p.mass_floor * typical_mass(mass, problem.anchors))
    return f"{c.mean():.1f}", f"{np.median(c):.1f}", f"{np.quantile(c, 0.99):.1f}", f"{c.max():.1f}"


def run(directory: Path) -> None:
    """Print the tables; nothing is written to ``directory``."""
    del directory
    if not (given := os.environ.get("TRUSTGRAPH_GRAPHS")):
        raise UsageError("the sybil benchmark needs real trust graphs: name their directory in TRUSTGRAPH_GRAPHS")
    head = ("accepted by", *(f"{edges} bought" for edges in EDGES), "honest", "with a quorum")
    for name, graph in read_graphs(Path(given)).items():
        title = f"{name}: {graph.size:,} hosts, {len(graph.endorser):,} endorsements; sybils accepted of 1,000"
        rows = [_row(graph, rule, RULES[rule]) for rule in RULES]
        for algorithm in ALGORITHMS:
            rows.append(_row(graph, algorithm, accepted_by(algorithm)))
            if algorithm != "history":  # without mail it rates everybody alike
                rows.append(_row(graph, f"{algorithm}, at {EQUAL_SHARE:.0%}", as_many_as(algorithm)))
        print_table(title, head, rows)
        ours = accepted_by("trustgraph")
        rows = [
            _row(graph, f"{parameter} {value:g}", ours, parameters=Parameters(**{parameter: value}))  # type: ignore[arg-type]
            for parameter, values in CURVES.items()
            for value in values
        ]
        print_table("  trustgraph, one parameter at a time", head, rows)
        rows = [_row(graph, name, ours, attack) for name, attack in HARSHER.items()]
        rows += [_star(graph, sellers) for sellers in Sellers]
        print_table("  trustgraph under harsher attacks", head, rows)
        print_table(
            "  c: sybils that one endorsement can feed at most",
            ("mean", "median", "99 % of hosts", "most"),
            [_bound(graph)],
        )
