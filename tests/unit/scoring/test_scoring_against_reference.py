"""The fast path and the plain networkx code, written apart from the same formulas, agree on random worlds."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from tests.unit.scoring.worlds import Cert, World, checked, key, member, parameters, ratings, snapshot_of, worlds
from trustgraph.errors import NoAnchors, NotConverged, UsageError
from trustgraph.model import Identity
from trustgraph.scoring import reference, reference_plain
from trustgraph.scoring.algorithms import Parameters
from trustgraph.scoring.distance import distances
from trustgraph.scoring.flow import MaxFlow
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
    assert fast.scores().sample_size.tolist() == messages
    for quick, plain in (
        (fast.good, [slow.evidence[name].good for name in names]),
        (fast.bad, [slow.evidence[name].bad for name in names]),
    ):
        np.testing.assert_allclose(quick, plain, rtol=0, atol=1e-9)


@pytest.mark.parametrize("algorithm", sorted(set(ALGORITHMS) - {"trustgraph", "max-flow"}))
@checked(40)
@given(worlds(), parameters())
def test_the_plain_algorithms_agree(algorithm: str, world: World, p: Parameters) -> None:
    slow = reference_plain.rate(algorithm, snapshot_of(world), world.anchors, p)
    assert ratings(algorithm, world, p) == pytest.approx(slow, rel=0, abs=1e-9)


@checked(60)
@given(worlds(), parameters())
def test_a_maximum_flow_delivers_as_many_units_as_there_can_be_and_to_hosts_that_can_have_one_each(
    world: World, p: Parameters
) -> None:
    # A maximum flow is not unique, but its value is: the number of hosts accepted.
    problem = world.problem(p)
    accepted = set(problem.snapshot.identity_name[MaxFlow(problem).accepted])
    graph = reference.graph_of(problem.snapshot)
    assert len(accepted) == reference_plain.units_delivered(graph, world.anchors, p)
    assert len(accepted) == reference_plain.units_delivered(graph, world.anchors, p, wanted=accepted)


@checked(60)
@given(worlds(), parameters())
def test_every_host_hands_on_the_units_that_it_gets_but_one(world: World, p: Parameters) -> None:
    problem = world.problem(p)
    solved = MaxFlow(problem)
    gets, capacity = solved.flow.through, solved.flow.capacity
    hands_on = np.zeros(len(gets))
    for position in np.flatnonzero(solved.accepted):
        parts = solved.contributions(position)
        for part in parts:
            giver = problem.snapshot.position_of(part.name)
            if part.kind == "endorser" and giver is not None:
                hands_on[giver] += part.mass_share * gets[position]
    assert (gets <= capacity).all()
    np.testing.assert_allclose(hands_on, np.maximum(gets - 1, 0), rtol=0, atol=1e-9)


@checked(40)
@given(worlds())
def test_distances_are_those_of_the_shortest_way(world: World) -> None:
    problem = world.problem()
    graph, anchors = reference.graph_of(problem.snapshot), problem.snapshot.identity_name[problem.anchors]
    shortest = nx.multi_source_dijkstra_path_length(graph, set(anchors), weight=None)
    found = distances(problem.network, problem.anchors).tolist()
    assert found == [shortest.get(name, -1) for name in problem.snapshot.identity_name]


def test_a_chain_of_keys_is_as_long_as_it_is() -> None:
    chain = World(
        tuple(member(i) for i in range(500)), tuple(Cert(key(i), key(i + 1)) for i in range(499)), (), {key(0): 1.0}
    )
    problem = chain.problem()
    assert distances(problem.network, problem.anchors).tolist() == list(range(500))


@checked(40)
@given(worlds())
def test_the_graph_that_people_see_is_the_network_that_is_scored(world: World) -> None:
    problem = world.problem()
    names, network = problem.snapshot.identity_name, problem.network
    graph = reference.graph_of(problem.snapshot)
    assert set(graph.edges) == set(zip(names[network.endorser], names[network.subject], strict=True))
    assert [graph.nodes[name]["live"] for name in names] == network.live.tolist()
    for m in world.members:
        attributes = graph.nodes[m.name]
        assert attributes["identity"] == m.name
        assert attributes["host"] == m.host
        assert attributes["operator"] == (m.operator or m.name)


def test_the_reference_refuses_what_has_no_answer() -> None:
    graph = reference.graph_of(snapshot_of(World(())))
    with pytest.raises(NoAnchors):
        reference.known_anchors(graph, {Identity.dkim("example.org"): 1.0})
    with pytest.raises(NotConverged):
        reference.trust_mass(graph, {Identity.dkim("example.org"): 1.0}, 1.0)
    with pytest.raises(UsageError, match="pagerank"):
        reference_plain.rate("guesswork", snapshot_of(World(())), {}, Parameters())
