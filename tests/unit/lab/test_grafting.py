"""Sybils grafted onto an honest graph: what was there stays, and what is added is what was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trustgraph.errors import UsageError
from trustgraph.lab.grafting import Attack, Graft, Placement, Sellers, graft, name_of
from trustgraph.lab.realgraphs import Graph
from trustgraph.scoring.algorithms import Parameters, pose

#: Host 0 endorses everybody, each host the next five, and everybody host 59.
_PAIRS = np.unique(
    [
        *([0, v] for v in range(1, 60)),
        *([u, (u + step) % 60] for u in range(60) for step in range(1, 6)),
        *([u, 59] for u in range(59)),
    ],
    axis=0,
)
GRAPH = Graph(60, _PAIRS[:, 0], _PAIRS[:, 1])
ATTACK = Attack(20, sybils=200)


def edges(attacked: Graft) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    """Endorsers and subjects, as the product counts them."""
    network = pose(attacked.snapshot, attacked.anchors, Parameters()).network
    return network.endorser.astype(np.int64), network.subject.astype(np.int64)


def test_the_honest_graph_stays_as_it_was() -> None:
    endorser, subject = edges(graft(GRAPH, ATTACK, seed=1))
    honest = (endorser < 60) & (subject < 60)
    assert set(zip(endorser[honest], subject[honest], strict=True)) == set(map(tuple, _PAIRS.tolist()))


def test_the_ring_is_one_and_everybody_in_it_looks_like_a_host() -> None:
    attacked = graft(GRAPH, replace(ATTACK, camouflage=7), seed=1)
    endorser, subject = edges(attacked)
    assert attacked.sybil.tolist() == [False] * 60 + [True] * 200
    inside = (endorser >= 60) & (subject >= 60)
    assert (
        np.bincount((subject[inside] - endorser[inside]) % 200, minlength=200).tolist()
        == [0, 200, 200, 200] + [0] * 196
    )
    out = np.bincount(endorser[(endorser >= 60) & (subject < 60)], minlength=260)[60:]
    assert out.max() == 7  # drawn with replacement, so a few have less
    assert out.mean() > 6


@pytest.mark.parametrize(
    ("placement", "among"), [(Placement.TARGETED, 10), (Placement.SCATTERED, 200), (Placement.CONCENTRATED, 7)]
)
def test_what_is_bought_goes_where_it_was_said(placement: Placement, among: int) -> None:
    endorser, subject = edges(graft(GRAPH, replace(ATTACK, placement=placement), seed=1))
    bought = (endorser < 60) & (subject >= 60)
    assert len(np.unique(endorser[bought])) == bought.sum() == 20
    targets = subject[bought] - 60
    assert targets.max() < among
    if placement is Placement.CONCENTRATED:
        assert np.bincount(targets).tolist() == [3] * 6 + [2]
    else:
        assert targets.max() > among // 2


@pytest.mark.parametrize(
    ("sellers", "among"), [(Sellers.TRUSTED, GRAPH.endorsements_of), (Sellers.SPARING, -GRAPH.endorsements_by)]
)
def test_sellers_are_the_tenth_asked_for(sellers: Sellers, among: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    endorser, subject = edges(graft(GRAPH, replace(ATTACK, edges=6, sellers=sellers), seed=3))
    bought = endorser[(endorser < 60) & (subject >= 60)]
    assert among[bought].min() >= np.sort(among)[-6]


def test_the_first_of_a_star_endorse_the_rest() -> None:
    endorser, subject = edges(graft(GRAPH, replace(ATTACK, reach=2, fan=50, camouflage=0), seed=1))
    assert np.bincount(endorser[endorser >= 60] - 60)[:4].tolist() == [
        51,
        50,
        2,
        2,
    ]  # the ring's two are among them, but 1
    assert set(subject[endorser == 60] - 60) == {1, *range(2, 52)}


def test_the_anchors_are_those_that_endorse_most_and_the_capable_have_a_quorum_of_honest_endorsers() -> None:
    attacked = graft(GRAPH, ATTACK, seed=1, anchors=2, quorum=8)
    assert name_of(0) in attacked.anchors
    assert attacked.anchors == {name_of(0): 1.0, name_of(1): 1.0}
    assert np.flatnonzero(attacked.capable).tolist() == [59]


def test_the_same_seed_gives_the_same_graft_and_another_seed_another() -> None:
    first, again, other = (edges(graft(GRAPH, ATTACK, seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("attack", [Attack(0), Attack(5, sybils=3), Attack(5, sybils=10, fan=7), Attack(5, each=0)])
def test_an_attack_that_cannot_be_is_refused(attack: Attack) -> None:
    with pytest.raises(UsageError):
        graft(GRAPH, attack, seed=1)
