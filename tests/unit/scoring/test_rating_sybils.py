"""The default among sybils, on a made graph with a heavy tail; ``tests/benchmarks/sybils.py`` measures on real ones."""

from __future__ import annotations

from statistics import fmean

import numpy as np

from trustgraph.lab.grafting import Attack, graft
from trustgraph.lab.realgraphs import Graph
from trustgraph.scoring.algorithms import Parameters, pose
from trustgraph.scoring.registry import ALGORITHMS


def heavy_tailed(hosts: int = 400) -> Graph:
    """Few endorse many, most endorse some, and the first are endorsed most."""
    dice = np.random.default_rng(5)
    handed_out = np.minimum(hosts // 3, (3 * (1 - dice.random(hosts)) ** -0.8)).astype(int)
    endorser = np.repeat(np.arange(hosts), handed_out)
    known = (1 + np.arange(hosts)) ** -0.6
    subject = dice.choice(hosts, len(endorser), p=known / known.sum())
    pairs = np.unique((endorser * hosts + subject)[endorser != subject])
    return Graph(hosts, pairs // hosts, pairs % hosts)


def accepted(algorithm: str, edges: int) -> tuple[float, float]:
    """Sybils accepted, and the share of honest hosts with a quorum of endorsers: means of five attacks."""
    graph, found = heavy_tailed(), []
    for seed in range(1, 6):
        attacked = graft(graph, Attack(edges, sybils=300), seed=seed)
        rating = ALGORITHMS[algorithm](pose(attacked.snapshot, attacked.anchors, Parameters())).scores().rating
        stands = rating >= Parameters().accept
        found.append((int(stands[attacked.sybil].sum()), float(stands[attacked.capable].mean())))
    return fmean(sybils for sybils, _ in found), fmean(share for _, share in found)


def test_an_attack_on_one_host_in_seven_gains_a_sybil_for_three_endorsements_and_costs_few_honest_hosts() -> None:
    sybils, share = accepted("trustgraph", 60)
    assert sybils <= 20
    assert share >= 0.95
    # Counting signatures, the whole ring stands.
    assert accepted("endorsement-count", 60)[0] == 300


def test_a_handful_of_endorsements_gains_next_to_nothing() -> None:
    sybils, share = accepted("trustgraph", 6)
    assert sybils <= 1
    assert share >= 0.95
