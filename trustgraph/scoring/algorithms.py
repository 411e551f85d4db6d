"""The algorithms behind one interface, so that they can be compared on the same data.

Each takes the same :class:`Problem` and gives the same :class:`Scores`; each can say exactly where a rating comes from.
The names given to ``score --algorithm`` are in :mod:`registry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from trustgraph.errors import NoAnchors
from trustgraph.model import Identity, IdentityKind
from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.history import HistoryParameters
from trustgraph.scoring.network import Network, build_network
from trustgraph.scoring.snapshot import Flags, Floats, Ints, Snapshot
from trustgraph.scoring.texts import places_of


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the operator may turn; units in the names.

    ``quorum``: independent endorsers with a voice needed. ``accept``, ``refuse``: ratings at which a host stands and
    falls. ``damping``: share of trust mass passed on at each endorsement. ``mass_floor``: share of the typical trust
    mass a host needs to be gated or have a voice; ``full_mass``: share from which on its endorsement weighs full.
    ``prior_good``, ``prior_bad``: evidence everybody starts with. ``endorsement``: what one full endorsement weighs as
    good evidence, ``endorsement_limit``: what all weigh at most. ``blame``: share of a host's bad evidence charged to
    each endorser, ``blame_limit``: at most that much for each endorsed host. ``caution``: standard deviations that a
    rating stays below its mean.
    """

    quorum: int = 3
    accept: float = 0.5
    refuse: float = 0.1
    damping: float = 0.7
    mass_floor: float = 0.03
    full_mass: float = 1.0
    prior_good: float = 12.0
    prior_bad: float = 48.0
    endorsement: float = 44.0
    endorsement_limit: float = 80.0
    blame: float = 0.05
    blame_limit: float = 5.0
    caution: float = 1.28
    history: HistoryParameters = field(default_factory=HistoryParameters)


@dataclass(frozen=True, slots=True)
class Problem:
    """A snapshot, the endorsements of it that count, and anchor weights in (0, 1], one an identity, 0 for the rest.

    ``helo``: observers that are HELO names. ``host_of``: for each identity the place among these of its host, or -1.
    """

    snapshot: Snapshot
    network: Network
    anchor_weight: Floats
    parameters: Parameters
    helo: Ints
    host_of: Ints

    @property
    def anchors(self) -> Flags:
        """Which identities are anchors."""
        return self.anchor_weight > 0

    @property
    def preference(self) -> Floats:
        """Anchor weights normalised to sum 1."""
        return np.asarray(self.anchor_weight / self.anchor_weight.sum())


def pose(
    snapshot: Snapshot, anchors: Mapping[Identity, float], parameters: Parameters, *, network: Network | None = None
) -> Problem:
    """The problem that algorithms solve; ``network`` is that of the snapshot, if it has been built already.

    An anchor whose key is dead is none. Raises :class:`NoAnchors` when no anchor given is known and live: no symmetric
    reputation is sybil-proof.
    """
    network = build_network(snapshot) if network is None else network
    weight = np.zeros(len(snapshot.identity_name))
    for anchor, value in anchors.items():
        position = snapshot.position_of(anchor)
        if position is not None and network.live[position]:
            weight[position] = value
    if not weight.any():
        given = f"none of the {len(anchors)} given is a live key in the store" if anchors else "none is given"
        raise NoAnchors(
            f"scoring needs a trust anchor and {given}: name one with --anchor IDENTITY, or under [anchors] in "
            "trustgraph.toml (without anchors any ring of keys could rate itself)"
        )
    return Problem(snapshot, network, weight, parameters, *_named_observers(snapshot))


@dataclass(frozen=True, slots=True)
class Scores:
    """One value an identity. ``endorsers`` counts operators whose endorsement counted."""

    rating: Floats
    confidence: Floats
    sample_size: Ints
    endorsers: Ints
    iterations: int


class Algorithm(Protocol):
    """A way to rate. Objects are cheap and hold a solved problem, so that explaining repeats no work."""

    def __init__(self, problem: Problem) -> None: ...

    def scores(self) -> Scores:
        """Ratings of all identities. Raises :class:`NotConverged`."""
        ...

    def contributions(self, position: int) -> list[Contribution]:
        """Named parts that add up to the rating of one identity (invariant 9)."""
        ...


def observer_trust(problem: Problem, trust: Floats) -> Floats:
    """Trust of identities as observers: their own, and for ``helo:<fqdn>`` the best of that host's keys.

    A log names its observer by FQDN; who may speak for it is whoever holds a trusted key for that name.
    """
    helo, speaking = problem.helo, np.flatnonzero((problem.host_of >= 0) & (trust > 0))
    result, best = trust.copy(), np.zeros(len(helo))
    np.maximum.at(best, problem.host_of[speaking], trust[speaking])
    result[helo] = np.maximum(result[helo], best)
    return result


def observers_operators(problem: Problem, trust: Floats) -> Ints:
    """Codes of the operators of identities as observers: for ``helo:<fqdn>`` that of its host's most trusted key."""
    result = problem.network.operator.copy()
    speaking = np.flatnonzero((problem.host_of >= 0) & (trust > 0))
    # The most trusted is assigned last, and of equals the first.
    speaking = speaking[np.lexsort((-speaking, trust[speaking]))]
    result[problem.helo[problem.host_of[speaking]]] = problem.network.operator[speaking]
    return result


def _named_observers(snapshot: Snapshot) -> tuple[Ints, Ints]:
    """:attr:`Problem.helo` and :attr:`Problem.host_of`."""
    seen = np.flatnonzero(np.bincount(snapshot.count_observer, minlength=len(snapshot.identity_name)))
    helo = [int(i) for i in seen if snapshot.identity_name[i].startswith(f"{IdentityKind.HELO}:")]
    if not helo:
        return np.array([], dtype=np.int64), np.full(len(snapshot.identity_name), -1, dtype=np.int64)
    hosts = (snapshot.identity_name[i].partition(":")[2] for i in helo)
    return np.array(helo), places_of(snapshot.identity_host, hosts)
