"""Rings: dense sets of hosts that endorse each other, into which hardly any trust comes, and without good mail.

Candidates are D-cores of the hosts outside the gate (or disqualified): sets in which everybody endorses at least k
others of the set and is endorsed by as many (Giatsidis, Thilikos & Vazirgiannis 2013), with k rising until a connected
part is dense enough. In both directions, since a ring endorses honest hosts for free to draw them in, and an honest
host may have been talked into endorsing a member. A dense set is a ring only if, besides, hardly any trust mass enters
it from outside and few of its members have a good mail history: an honest community that nobody far away knows is just
as dense. A member that has such a history is not named.

What it misses: rings so large and sparse, or chained so loosely, that their density stays below the threshold; rings
that trusted hosts feed well enough to pass the gate (their mail then speaks: endorsed with bad mail); rings in which
nobody endorses two others. A new honest community of which no mail has been judged yet looks like a ring to it.

Cost: a pass over the edges for each peeling of a core and one for its connected parts, at up to twenty values of k,
each of which sees fewer edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from trustgraph.reports.advice import counted, listed
from trustgraph.reports.evidence import Evidence, wilson_low
from trustgraph.reports.findings import Finding, FindingKind, Member
from trustgraph.reports.thresholds import Thresholds
from trustgraph.scoring.mass import typical_mass
from trustgraph.scoring.snapshot import Flags, Floats, Ints

#: Members listed of one ring; the rest is counted.
MAX_MEMBERS = 50


@dataclass(frozen=True, slots=True)
class DenseSet:
    """Identities that endorse each other: positions in order, and the endorsements among them."""

    members: Ints
    endorsements: int

    @property
    def density(self) -> float:
        """Endorsements inside over those possible."""
        return self.endorsements / (len(self.members) * (len(self.members) - 1))


@dataclass(frozen=True, slots=True)
class _Inflow:
    """Into a set from outside: endorsements, those that count, and trust mass; beside the mass within."""

    endorsements: int
    trusted: int
    entering: float
    within: float


def ring(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """One finding a ring, under the member with most bad mail.

    Severity: density * (1 - trusted endorsements from outside over all into the ring) * (1 + b) / 2, b the lower bound
    of the bad share of the members' mail together.
    """
    typical = typical_mass(evidence.algorithm.mass.mass, evidence.problem.anchors)
    passed = mass_passed(evidence)
    for candidate in candidates(evidence, thresholds):
        inflow = _inflow(evidence, candidate.members, passed)
        proven = evidence.proven[candidate.members].mean()
        near_none = inflow.entering <= thresholds.ring_trust * typical * len(candidate.members)
        if near_none and proven <= thresholds.ring_proven:
            yield _finding(evidence, candidate, inflow)


def candidates(evidence: Evidence, thresholds: Thresholds) -> list[DenseSet]:
    """Dense sets among those whose endorsements carry no trust, in order of their first members."""
    network, algorithm = evidence.network, evidence.algorithm
    outside = (~algorithm.gate.gated | algorithm.disqualified) & ~evidence.problem.anchors & network.live
    kept = outside[network.endorser] & outside[network.subject]
    return dense_sets(network.endorser[kept], network.subject[kept], network.size, thresholds)


def dense_sets(endorser: Ints, subject: Ints, size: int, thresholds: Thresholds) -> list[DenseSet]:
    """Connected parts of ever tighter cores, each taken out as soon as it is dense enough; edges sorted by subject."""
    found: list[DenseSet] = []
    least = thresholds.ring_size - 1
    while len(endorser):
        endorser, subject = _core(endorser, subject, size, least)
        part = _components(endorser, subject, size)
        members = np.bincount(part, minlength=size)
        inside = np.bincount(part[endorser], minlength=size)
        # A part of one has nothing inside, so what it is divided by does not matter.
        density = inside / np.maximum(members * (members - 1.0), 1.0)
        dense = (density >= thresholds.ring_density) & (members >= thresholds.ring_size)
        found += _sets(part, dense, inside)
        rest = ~dense[part[endorser]]
        endorser, subject = endorser[rest], subject[rest]
        least = max(least + 1, least * 5 // 4)
    return sorted(found, key=lambda dense_set: int(dense_set.members[0]))


def _core(endorser: Ints, subject: Ints, size: int, least: int) -> tuple[Ints, Ints]:
    """The edges among those who endorse at least ``least`` others of them and are endorsed by as many."""
    while len(endorser):
        given, taken = np.bincount(endorser, minlength=size), np.bincount(subject, minlength=size)
        inside = (given >= least) & (taken >= least)
        kept = inside[endorser] & inside[subject]
        if kept.all():
            break
        endorser, subject = endorser[kept], subject[kept]
    return endorser, subject


def _sets(part: Ints, dense: Flags, inside: Ints) -> list[DenseSet]:
    positions = np.flatnonzero(dense[part])
    positions = positions[np.argsort(part[positions], kind="stable")]
    cuts = np.flatnonzero(np.diff(part[positions])) + 1
    return [DenseSet(m, int(inside[part[m[0]]])) for m in np.split(positions, cuts) if len(m)]


def _components(endorser: Ints, subject: Ints, size: int) -> Ints:
    start = np.append(0, np.cumsum(np.bincount(subject, minlength=size)))
    graph = sparse.csr_array((np.ones(len(endorser)), endorser, start), shape=(size, size))
    _, labels = csgraph.connected_components(graph, directed=True, connection="weak")
    return np.asarray(labels, dtype=np.int64)


def _inflow(evidence: Evidence, members: Ints, passed: Floats) -> _Inflow:
    network, algorithm = evidence.network, evidence.algorithm
    edges = np.concatenate([np.arange(network.start[v], network.start[v + 1]) for v in members])
    endorsers = network.endorser[edges]
    foreign = endorsers[~np.isin(endorsers, members)]
    return _Inflow(
        endorsements=len(foreign),
        trusted=int(evidence.trusted[foreign].sum()),
        entering=float(passed[foreign].sum()),
        within=float(algorithm.mass.mass[members].sum()),
    )


def mass_passed(evidence: Evidence) -> Floats:
    """Trust mass that one endorsement of each identity carries."""
    mass, degree = evidence.algorithm.mass.mass, evidence.network.out_degree
    passed = evidence.parameters.damping * mass / np.maximum(degree, 1)
    passed[evidence.algorithm.disqualified] = 0.0
    return np.asarray(passed)


def _finding(evidence: Evidence, found: DenseSet, inflow: _Inflow) -> Finding:
    members = found.members[~evidence.proven[found.members]]
    members = members[np.argsort(-evidence.bad[members], kind="stable")]
    good, bad = int(evidence.good[members].sum()), int(evidence.bad[members].sum())
    low = float(wilson_low(np.array([bad]), np.array([good + bad]))[0])
    into = found.endorsements + inflow.endorsements
    mail = (
        f"{bad} of their {good + bad} judged messages lately were bad" if good + bad else "no mail of theirs was judged"
    )
    return Finding(
        kind=FindingKind.RING,
        identity=evidence.identity(int(members[0])),
        host=evidence.host(int(members[0])),
        severity=found.density * (1.0 - inflow.trusted / into) * (1.0 + low) / 2.0,
        evidence=(
            f"{len(found.members)} hosts endorse each other {found.endorsements} times ({found.density:.0%} of what is "
            f"possible) and have {counted(inflow.trusted, 'endorsement')} from trusted hosts outside; "
            f"{len(found.members) - len(members)} of them have a good mail history; {mail}: "
            f"{listed([evidence.name(int(v)) for v in members])}"
        ),
        action=_action(evidence, members),
        facts={
            "members": len(found.members),
            "endorsements_inside": found.endorsements,
            "density": round(found.density, 6),
            "endorsements_from_outside": inflow.endorsements,
            "trusted_from_outside": inflow.trusted,
            "mass_within": inflow.within,
            "mass_entering": inflow.entering,
            "proven": len(found.members) - len(members),
            "good": good,
            "bad": bad,
            "bad_share_low": round(low, 6),
        },
        members=tuple(Member(evidence.identity(int(v)), evidence.host(int(v))) for v in members[:MAX_MEMBERS]),
    )


def _action(evidence: Evidence, members: Ints) -> str:
    """Cut what little trust enters, and deny the members."""
    network, inside = evidence.network, set(map(int, members))
    feeding = {int(u) for v in members for u in network.into(int(v)) if evidence.trusted[u]} - inside
    names = sorted(evidence.name(u) for u in feeding)
    ask = f"ask {listed(names)} to revoke their endorsements of members; " if names else ""
    return f"{ask}refuse the members at your gateway; count none of their endorsements as a recommendation"
