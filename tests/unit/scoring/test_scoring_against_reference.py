"""The fast path and the plain networkx code, written apart from the same formulas, agree on random worlds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from tests.unit.scoring.worlds import World, checked, parameters, ratings, snapshot_of, worlds
from trustgraph.errors import NoAnchors, NotConverged, UsageError
from trustgraph.model import Identity
from trustgraph.scoring import reference
from trustgraph.scoring.algorithms import Parameters
from trustgraph.scoring.registry import ALGORITHMS
from trustgraph.scoring.trustgraph import Trustgraph


@checked(100)
@given(worlds(), parameters())
def test_every_step_of_the_default_agrees(world: World, p: Parameters) -> None:
    problem = world.problem(p)
    names = problem.snapshot.identity_name
    fast, slow = Trustgraph(problem), reference.work_out(problem.snapshot, world.anchors, p)
    assert set(names[fast.gate.gated]) == slow.gated
    assert set(names[fast.disqualified]) == slow.disqualified
    for quick, plain in (
        (fast.mass.mass, slow.mass),
        (fast.endorsement, slow.endorsement),
        (fast.blame, slow.blame),
        (fast.scores().rating, slow.rating),
    ):
        np.testing.assert_allclose(quick, [plain[name] for name in names], rtol=0, atol=1e-9)
    messages = [slow.evidence[name].messages if name in slow.evidence else 0 for name in names]
    assert fast.history.messages_of.tolist() == messages


@pytest.mark.parametrize("algorithm", sorted(set(ALGORITHMS) - {"trustgraph"}))
@checked(40)
@given(worlds(), parameters())
def test_the_plain_algorithms_agree(algorithm: str, world: World, p: Parameters) -> None:
    slow = reference.rate(algorithm, snapshot_of(world), world.anchors, p)
    assert ratings(algorithm, world, p) == pytest.approx(slow, rel=0, abs=1e-9)


@checked(40)
@given(worlds())
def test_the_graph_that_people_see_is_the_network_that_is_scored(world: World) -> None:
    problem = world.problem()
    names, network = problem.snapshot.identity_name, problem.network
    graph = reference.graph_of(problem.snapshot)
    assert set(graph.edges) == set(zip(names[network.endorser], names[network.subject], strict=True))
    assert [graph.nodes[name]["live"] for name in names] == network.live.tolist()
    for member in world.members:
        attributes = graph.nodes[member.name]
        assert attributes["identity"] == member.name
        assert attributes["host"] == member.host
        assert attributes["operator"] == (member.operator or member.name)


def test_the_reference_refuses_what_has_no_answer() -> None:
    graph = reference.graph_of(snapshot_of(World(())))
    with pytest.raises(NoAnchors):
        reference.known_anchors(graph, {Identity.dkim("example.org"): 1.0})
    with pytest.raises(NotConverged):
        reference.trust_mass(graph, {Identity.dkim("example.org"): 1.0}, 1.0)
    with pytest.raises(UsageError, match="pagerank"):
        reference.rate("guesswork", snapshot_of(World(())), {}, Parameters())
