"""The same ratings in plain networkx and dicts: short and slow, written from the formulas and not from the fast path.

:func:`graph_of` and :func:`work_out` are what people see in notebooks, and the oracle of the array code; the other
algorithms are in :mod:`reference_plain`. What each formula is for stands in :mod:`mass`, :mod:`gate`, :mod:`history`
and :mod:`trustgraph`. Good for a few thousand hosts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import fsum, sqrt
from typing import TypeAlias

import networkx as nx

from trustgraph.errors import NoAnchors, NotConverged
from trustgraph.model import Identity, IdentityKind, day_of
from trustgraph.scoring.algorithms import Parameters
from trustgraph.scoring.history import HistoryParameters
from trustgraph.scoring.snapshot import Snapshot

Graph: TypeAlias = "nx.DiGraph[Identity]"
Weights: TypeAlias = Mapping[Identity, float]
Ratings: TypeAlias = dict[Identity, float]

#: Where mass goes that nobody passes on: no identity has this name.
_SINK = Identity("")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Good and bad evidence on one identity (weights, not messages) and the messages that it comes from."""

    good: float = 0.0
    bad: float = 0.0
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Workings:
    """The default algorithm's steps: one entry an identity, and the sets it works with."""

    disqualified: set[Identity]
    mass: Ratings
    typical: float
    gated: set[Identity]
    weight: Ratings
    evidence: dict[Identity, Evidence]
    endorsement: Ratings
    blame: Ratings
    rating: Ratings


def graph_of(snapshot: Snapshot) -> Graph:
    """Endorsements that count, endorser → subject.

    Every identity is a node with ``identity``, ``host``, ``operator`` (its own name if none is known) and ``live``.
    """
    s, now, names = snapshot, snapshot.reference_time, [Identity(name) for name in snapshot.identity_name]
    keys = zip(s.key_identity, s.key_created_at, s.key_expires_at, s.key_revoked_at, strict=True)
    dead = {names[i] for i, made, expires, revoked in keys if made > now or expires <= now or revoked <= now}
    graph: Graph = nx.DiGraph()
    for name, host, operator in zip(names, s.identity_host, s.identity_operator, strict=True):
        graph.add_node(name, identity=name, host=str(host), operator=str(operator) or str(name), live=name not in dead)
    for endorser, subject in _standing_certifications(snapshot):
        u, v = names[endorser], names[subject]
        if _live(graph, u) and _live(graph, v) and _operator(graph, u) != _operator(graph, v):
            graph.add_edge(u, v)
    return graph


def known_anchors(graph: Graph, anchors: Weights) -> Ratings:
    """The anchors that are in the graph, with live keys. Raises :class:`NoAnchors` when there is none."""
    known = {anchor: weight for anchor, weight in anchors.items() if anchor in graph and _live(graph, anchor)}
    if not known:
        raise NoAnchors("scoring needs a trust anchor, and none of those given is in the graph")
    return known


def _standing_certifications(snapshot: Snapshot) -> set[tuple[int, int]]:
    """(endorser, subject) of which the newest certification over some User ID is in force."""
    s = snapshot
    of = zip(s.certification_endorser, s.certification_subject, s.certification_user_id, strict=True)
    newest = dict(zip(of, s.certification_live, strict=True))
    return {(endorser, subject) for (endorser, subject, _), live in newest.items() if live}


def _live(graph: Graph, node: Identity) -> bool:
    return bool(graph.nodes[node]["live"])


def _operator(graph: Graph, node: Identity) -> str:
    return str(graph.nodes[node]["operator"])


def trust_mass(graph: Graph, anchors: Weights, damping: float, silent: Collection[Identity] = ()) -> Ratings:
    """Personalised PageRank in which what is not passed on is lost.

    The endorsements of ``silent`` hosts carry nothing. Raises :class:`NotConverged`, also for a ``damping`` at which
    there is nothing to converge to.
    """
    if not 0.0 <= damping < 1.0:
        raise NotConverged(f"trust mass has no limit at damping {damping:g}: expected 0 or more and below 1")
    walk = graph.copy()
    walk.remove_edges_from([(u, v) for u, v in graph.edges if u in silent])
    walk.add_node(_SINK)
    # Starting at the anchors rather than everywhere keeps what they do not reach at exactly 0.
    sink = {_SINK: 1.0}
    try:
        mass = nx.pagerank(walk, damping, anchors, max_iter=10_000, tol=1e-15, nstart=anchors, dangling=sink)
    except nx.PowerIterationFailedConvergence as error:
        raise NotConverged(f"trust mass: {error}") from error
    return {node: mass[node] for node in graph}


def typical_mass(mass: Weights, anchors: Weights) -> float:
    """The mass at which half of all mass outside the anchors is reached, going up; 0 if there is none."""
    held = sorted(x for node, x in mass.items() if node not in anchors and x > 0)
    half = fsum(held) / 2
    return next((x for x, reached in zip(held, accumulate(held), strict=True) if reached >= half), 0.0)


def operators_behind(graph: Graph, node: Identity, trusted: Collection[Identity]) -> set[str]:
    """Operators with a trusted host among the endorsers of ``node``: each has one vote."""
    return {_operator(graph, u) for u in graph.predecessors(node) if u in trusted}


def grown_gate(
    graph: Graph,
    anchors: Weights,
    quorum: int,
    able: Collection[Identity] | None = None,
    silent: Collection[Identity] = (),
) -> tuple[set[Identity], set[Identity]]:
    """Those gated, and those with a voice.

    A voice have the core, grown from the anchors by the voices of ``quorum`` operators; and, if ``able`` is given,
    those of them whom an anchor endorses itself and those whom ``quorum - 1`` operators of the core endorse. Gated are
    the anchors and each host, among ``able``, with voices from ``quorum`` operators.
    """
    may = {v for v in graph if _live(graph, v) and (able is None or v in able)}
    direct = {v for v in may if able is not None and any(u in anchors for u in graph.predecessors(v))}
    core, grown = set(anchors), set(anchors)
    while grown:
        core |= grown
        voices = (core | direct) - set(silent)
        grown = {v for v in may if len(operators_behind(graph, v, voices)) >= quorum} - core
    if able is None:
        return core, voices
    heard = core - set(silent)
    voices |= {v for v in may if len(operators_behind(graph, v, heard)) >= max(1, quorum - 1)} - set(silent)
    return core | {v for v in may if len(operators_behind(graph, v, voices)) >= quorum}, voices


def observer_trust(graph: Graph, trust: Weights) -> Ratings:
    """Trust of each identity as an observer; ``helo:<fqdn>`` also speaks with the best of that host's identities."""
    voice: dict[str, float] = defaultdict(float)
    for node in graph:
        voice[graph.nodes[node]["host"]] = max(voice[graph.nodes[node]["host"]], trust.get(node, 0.0))
    voice[""] = 0.0
    named = {node: voice[node.value] for node in graph if node.kind == IdentityKind.HELO}
    return {node: max(trust.get(node, 0.0), named.get(node, 0.0)) for node in graph}


def weigh_evidence(snapshot: Snapshot, trust: Weights, p: HistoryParameters) -> dict[Identity, Evidence]:
    """r and s of :mod:`history` for every identity that a trusted observer had mail from."""
    days: dict[Identity, dict[int, tuple[float, float]]] = defaultdict(lambda: defaultdict(lambda: (0.0, 0.0)))
    messages: dict[Identity, int] = defaultdict(int)
    s, names = snapshot, [Identity(name) for name in snapshot.identity_name]
    where = zip(s.count_subject, s.count_observer, s.count_day.tolist(), strict=True)
    what = zip(s.count_good.tolist(), s.count_bad.tolist(), s.count_unknown.tolist(), strict=True)
    for (subject, observer, day), (good, bad, unknown) in zip(where, what, strict=True):
        t = trust[names[observer]]
        if t > 0:
            good_so_far, bad_so_far = days[names[subject]][day]
            seen_good = good + p.unknown_weight * unknown
            excess = max(0.0, bad - p.tolerance * seen_good)
            days[names[subject]][day] = good_so_far + t * seen_good, bad_so_far + t * excess
            messages[names[subject]] += good + bad + unknown
    return {
        subject: Evidence(
            good=fsum(min(p.weight * good, p.cap) * _decay(snapshot, day, p) for day, (good, _) in seen.items()),
            bad=fsum(p.penalty * bad * _decay(snapshot, day, p) for day, (_, bad) in seen.items()),
            messages=messages[subject],
        )
        for subject, seen in days.items()
    }


def weigh_hearsay(
    snapshot: Snapshot, graph: Graph, anchors: Weights, weight: Weights, p: HistoryParameters
) -> dict[Identity, Evidence]:
    """R and S of :mod:`hearsay` for every identity: each operator's reports by themselves, then the limits."""
    first_hand, trust = observer_trust(graph, anchors), observer_trust(graph, weight)
    by_operator: dict[str, Ratings] = defaultdict(dict)
    for node, t in trust.items():
        if t > 0 and first_hand[node] == 0:
            by_operator[_reporting_operator(graph, node, weight)][node] = t
    told: dict[Identity, list[Evidence]] = defaultdict(list)
    for observers in by_operator.values():
        heard = {node: observers.get(node, 0.0) for node in graph}
        for subject, e in weigh_evidence(snapshot, heard, p).items():
            told[subject].append(Evidence(min(e.good, p.hearsay_good), min(e.bad, p.hearsay_bad), e.messages))
    return {
        subject: Evidence(
            good=min(fsum(e.good for e in each), p.hearsay_good_in_all),
            bad=fsum(e.bad for e in each),
            messages=sum(e.messages for e in each),
        )
        for subject, each in told.items()
    }


def _reporting_operator(graph: Graph, node: Identity, weight: Weights) -> str:
    """Of the most trusted identity of the host that a HELO name names, of equals the first; else its own."""
    if node.kind == IdentityKind.HELO:
        keys = [k for k in graph if graph.nodes[k]["host"] == node.value and weight.get(k, 0.0) > 0]
        if keys:
            return _operator(graph, min(keys, key=lambda k: (-weight[k], k)))
    return _operator(graph, node)


def _added(a: Evidence, b: Evidence) -> Evidence:
    return Evidence(a.good + b.good, a.bad + b.bad, a.messages + b.messages)


def _decay(snapshot: Snapshot, day: int, p: HistoryParameters) -> float:
    return float(0.5 ** ((day_of(snapshot.reference_time) - day) / p.half_life_days))


def work_out(snapshot: Snapshot, anchors: Weights, p: Parameters) -> Workings:
    """Every step of the default algorithm; the names are those of the formula in :mod:`trustgraph`."""
    graph = graph_of(snapshot)
    anchors = known_anchors(graph, anchors)
    seen = weigh_evidence(snapshot, observer_trust(graph, anchors), p.history)
    disqualified = {
        v for v, e in seen.items() if v not in anchors and e.bad > 0 and _lower_bound(p, e.good, e.bad) < p.refuse
    }
    mass = trust_mass(graph, anchors, p.damping, disqualified)
    typical = typical_mass(trust_mass(graph, anchors, p.damping), anchors)
    able = {v for v in graph if mass[v] > 0 and mass[v] >= p.mass_floor * typical}
    gated, voices = grown_gate(graph, anchors, p.quorum, able, disqualified)
    full = p.full_mass * typical or 1.0
    weight = {v: min(1.0, mass[v] / full) for v in voices} | dict(anchors)
    told = weigh_hearsay(snapshot, graph, anchors, weight, p.history)
    evidence = {v: _added(seen.get(v, Evidence()), told.get(v, Evidence())) for v in graph}
    vouched = {v: _vouched(graph, v, voices, weight, p) if v in gated else 0.0 for v in graph}
    endorsement = {v: min(p.endorsement_limit, p.endorsement_limit * anchors.get(v, 0.0) + vouched[v]) for v in graph}
    blame = {v: fsum(min(p.blame * evidence[x].bad, p.blame_limit) for x in graph.successors(v)) for v in graph}
    rating = {v: _lower_bound(p, endorsement[v] + evidence[v].good, evidence[v].bad + blame[v]) for v in graph}
    rating |= {v: min(rating[v], _lower_bound(p, seen[v].good, seen[v].bad)) for v in disqualified}
    return Workings(disqualified, mass, typical, gated, weight, evidence, endorsement, blame, rating)


def _vouched(graph: Graph, v: Identity, voices: Collection[Identity], weight: Weights, p: Parameters) -> float:
    """Each operator's weightiest endorser, if a quorum of operators vouches."""
    if len(operators_behind(graph, v, voices)) < p.quorum:
        return 0.0
    best: dict[str, float] = defaultdict(float)
    for u in graph.predecessors(v):
        best[_operator(graph, u)] = max(best[_operator(graph, u)], weight.get(u, 0.0))
    return p.endorsement * fsum(best.values())


def _lower_bound(p: Parameters, good: float, bad: float) -> float:
    """The beta mean of prior and evidence less ``caution`` standard deviations, at least 0."""
    n = p.prior_good + p.prior_bad + good + bad
    mean = (p.prior_good + good) / n
    return max(0.0, mean - p.caution * sqrt(mean * (1.0 - mean) / (n + 1.0)))
