"""The algorithms beside the default in plain networkx and dicts, and :func:`rate`, the oracle of all of them.

What each formula is for stands in :mod:`simple`, :mod:`eigentrust`, :mod:`sybilrank` and :mod:`flow`. A maximum flow is
not unique, so ``max-flow`` has no ratings here; its value is, and so is whether a set of hosts can all be reached at
once: :func:`units_delivered`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from math import ceil, fsum, log2

import networkx as nx

from trustgraph.errors import NotConverged, UsageError
from trustgraph.model import Identity, day_of
from trustgraph.scoring.algorithms import Parameters
from trustgraph.scoring.reference import (
    Evidence,
    Graph,
    Ratings,
    Weights,
    graph_of,
    grown_gate,
    known_anchors,
    observer_trust,
    operators_behind,
    trust_mass,
    typical_mass,
    weigh_evidence,
    work_out,
)
from trustgraph.scoring.snapshot import Snapshot

_ENOUGH = 10_000


def _endorsement_count(snapshot: Snapshot, anchors: Weights, p: Parameters) -> Ratings:
    graph = graph_of(snapshot)
    gated, _ = grown_gate(graph, known_anchors(graph, anchors), p.quorum)
    count = {v: len(operators_behind(graph, v, gated)) for v in graph}
    return {v: c / (c + p.quorum) for v, c in count.items()}


def _pagerank(snapshot: Snapshot, anchors: Weights, p: Parameters) -> Ratings:
    graph = graph_of(snapshot)
    known = known_anchors(graph, anchors)
    mass = trust_mass(graph, known, p.damping)
    half = p.mass_floor * typical_mass(mass, known) or 1.0
    return {v: x / (x + half) for v, x in mass.items()}


def _history(snapshot: Snapshot, anchors: Weights, p: Parameters) -> Ratings:
    graph, prior = graph_of(snapshot), p.prior_good + p.prior_bad
    trust = observer_trust(graph, known_anchors(graph, anchors))
    evidence = defaultdict(Evidence, weigh_evidence(snapshot, trust, p.history))
    return {v: (p.prior_good + evidence[v].good) / (prior + evidence[v].good + evidence[v].bad) for v in graph}


def _authentication(snapshot: Snapshot, anchors: Weights, p: Parameters) -> Ratings:
    """Where no certification delegates: an anchor's amount for itself, and those of the anchors on each User ID."""
    graph, names = graph_of(snapshot), snapshot.identity_name
    root = {v: max(1, round(120 * weight)) for v, weight in known_anchors(graph, anchors).items()}
    columns = (snapshot.certification_endorser, snapshot.certification_subject, snapshot.certification_user_id)
    newest = dict(zip(zip(*columns, strict=True), snapshot.certification_live, strict=True))
    vouched: dict[Identity, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for (endorser, subject, user_id), live in newest.items():
        if live and graph.has_edge(names[endorser], names[subject]):
            vouched[names[subject]][user_id] += root.get(names[endorser], 0)
    full = {v: min(2.0, (root.get(v, 0) + max(vouched[v].values(), default=0)) / 120) for v in graph}
    return {v: p.accept * min(1.0, a) + (1.0 - p.accept) * max(0.0, a - 1.0) for v, a in full.items()}


def _preference(known: Weights) -> Ratings:
    return {anchor: weight / fsum(known.values()) for anchor, weight in known.items()}


def _median_over_mass(value: Weights, mass: Weights) -> float:
    """The value at which half of all mass is reached, going up; equal halves go to the lower one."""
    reached, whole = 0.0, fsum(mass.values())
    for node in sorted(mass, key=lambda v: value[v]):
        reached += mass[node]
        if mass[node] and reached >= whole / 2 - 1e-10:
            return value[node]
    return 0.0


def _eigentrust(snapshot: Snapshot, anchors: Weights, p: Parameters) -> Ratings:
    graph = graph_of(snapshot)
    known = known_anchors(graph, anchors)
    trust = _settled(_local_trust(snapshot, graph, p), _preference(known), p.damping)
    outside = {v: t for v, t in trust.items() if v not in known}
    half = p.mass_floor * _median_over_mass(outside, outside) or 1.0
    return {v: t / (t + half) for v, t in trust.items()}


def _local_trust(snapshot: Snapshot, graph: Graph, p: Parameters) -> dict[Identity, Ratings]:
    balance = _balances(snapshot, graph, p)
    local: dict[Identity, Ratings] = {u: defaultdict(float) for u in graph}
    for u in graph:
        seen = {v: [balance[o, v] for o in _eyes(graph, u) if (o, v) in balance] for v in graph}
        for v in graph:
            local[u][v] += fsum(max(0.0, worth) for worth in seen[v])
        for v in graph.successors(u):
            local[u][v] += 1.0 if all(worth >= 0 for worth in seen[v]) else 0.0
    return local


def _eyes(graph: Graph, node: Identity) -> set[str]:
    """Under which names an identity's mail is seen: its own, and that of its host."""
    return {node, f"helo:{graph.nodes[node]['host']}"}


def _balances(snapshot: Snapshot, graph: Graph, p: Parameters) -> dict[tuple[str, Identity], float]:
    s, h, names = snapshot, p.history, [Identity(name) for name in snapshot.identity_name]
    found: dict[tuple[str, Identity], float] = defaultdict(float)
    where = zip(s.count_subject, s.count_observer, s.count_day.tolist(), strict=True)
    what = zip(s.count_good.tolist(), s.count_bad.tolist(), s.count_unknown.tolist(), strict=True)
    for (subject, observer, day), (good, bad, unknown) in zip(where, what, strict=True):
        u, v = graph.nodes[names[observer]], graph.nodes[names[subject]]
        if u["live"] and v["live"] and u["operator"] != v["operator"]:
            seen_good = good + h.unknown_weight * unknown
            worth = min(h.cap, h.weight * seen_good) - h.penalty * max(0.0, bad - h.tolerance * seen_good)
            found[names[observer], names[subject]] += worth * 0.5 ** (
                (day_of(s.reference_time) - day) / h.half_life_days
            )
    return found


def _settled(local: Mapping[Identity, Weights], preference: Weights, damping: float) -> Ratings:
    if not 0.0 <= damping < 1.0:
        raise NotConverged(f"eigentrust has no limit at damping {damping:g}")
    total = {u: fsum(row.values()) for u, row in local.items()}
    trust = {u: preference.get(u, 0.0) for u in local}
    for _ in range(_ENOUGH):
        following = {v: (1.0 - damping) * preference.get(v, 0.0) for v in local}
        for u, row in local.items():
            for v, share in (row if total[u] else preference).items():
                following[v] += damping * trust[u] * share / (total[u] or 1.0)
        moved = fsum(abs(following[v] - trust[v]) for v in local)
        trust = following
        if moved < 1e-14:
            return trust
    raise NotConverged("eigentrust")


def _sybilrank(snapshot: Snapshot, anchors: Weights, _: Parameters) -> Ratings:
    graph = graph_of(snapshot)
    known = known_anchors(graph, anchors)
    preference = _preference(known)
    reached = set(known).union(*(nx.descendants(graph, anchor) for anchor in known))
    trust = {v: preference.get(v, 0.0) for v in graph}
    # What each host has from each endorser, and from itself what comes from p.
    parts: dict[Identity, Ratings] = {v: defaultdict(float, {v: trust[v]}) for v in graph}
    for _round in range(ceil(log2(max(2, len(reached))))):
        idle = fsum(trust[u] for u in graph if not graph.out_degree(u))
        for v in graph:
            parts[v][v] = (parts[v][v] + idle * preference.get(v, 0.0)) / 2
            for u in graph.predecessors(v):
                parts[v][u] = (parts[v][u] + trust[u] / graph.out_degree(u)) / 2
        trust = {v: fsum(parts[v].values()) for v in graph}
    strength = {v: fsum(x * x for x in parts[v].values()) / trust[v] if trust[v] else 0.0 for v in graph}
    typical = _median_over_mass(strength, {v: t for v, t in trust.items() if v not in known}) or 1.0
    return {v: h / (h + typical / 2) for v, h in strength.items()}


def units_delivered(graph: Graph, anchors: Weights, p: Parameters, wanted: Collection[Identity] | None = None) -> int:
    """Hosts (among those ``wanted``, if given) that a flow through Advogato's network can reach at once."""
    known = known_anchors(graph, anchors)
    room = _capacities(graph, known, p)
    network: nx.DiGraph[tuple[str, str]] = nx.DiGraph()
    seed, sink = ("seed", ""), ("sink", "")
    for v, units in room.items():
        network.add_edge(("exit", v), sink, capacity=0)
        network.add_edge(("entrance", v), ("exit", v), capacity=units - 1)
        network.add_edge(("entrance", v), sink, capacity=1 if wanted is None or v in wanted else 0)
        if v in known:
            network.add_edge(seed, ("entrance", v), capacity=units)
    network.add_edges_from((("exit", u), ("entrance", v)) for u, v in graph.edges if u in room)
    return int(nx.maximum_flow_value(network, seed, sink))


def _capacities(graph: Graph, known: Weights, p: Parameters) -> dict[Identity, int]:
    mass = {v: x for v, x in trust_mass(graph, known, p.damping).items() if v not in known}
    floor = p.mass_floor * _median_over_mass(mass, mass)
    held = fsum(min(1.0, x / floor) if floor else float(x > 0) for x in mass.values())
    supply = len(known) + ceil(held - 1e-9 * held)
    level = nx.multi_source_dijkstra_path_length(graph, set(known), weight=None)
    sharing = Counter(level[v] for v in level if graph.out_degree(v))
    heaviest = max(known.values())
    return {
        v: ceil(supply * known[v] / heaviest)
        if v in known
        else min([supply] + [ceil(supply / max(1, sharing[d])) for d in range(1, int(level[v]) + 1)])
        for v in level
    }


_ALGORITHMS: dict[str, Callable[[Snapshot, Weights, Parameters], Ratings]] = {
    "trustgraph": lambda snapshot, anchors, p: work_out(snapshot, anchors, p).rating,
    "endorsement-count": _endorsement_count,
    "pagerank": _pagerank,
    "eigentrust": _eigentrust,
    "sybilrank": _sybilrank,
    "history": _history,
    "authentication": _authentication,
}


def rate(algorithm: str, snapshot: Snapshot, anchors: Weights, parameters: Parameters) -> Ratings:
    """Ratings of all identities by the algorithm of that name; raises as the fast path does."""
    if algorithm not in _ALGORITHMS:
        raise UsageError(f"the reference has no algorithm {algorithm!r}; it has {', '.join(_ALGORITHMS)}")
    return _ALGORITHMS[algorithm](snapshot, anchors, parameters)
