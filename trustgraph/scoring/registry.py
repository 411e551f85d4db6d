"""The algorithms by the name given to ``score --algorithm``."""

from __future__ import annotations

from trustgraph.errors import UsageError
from trustgraph.scoring.algorithms import Algorithm
from trustgraph.scoring.authenticator import Authentication
from trustgraph.scoring.eigentrust import EigenTrust
from trustgraph.scoring.flow import MaxFlow
from trustgraph.scoring.simple import EndorsementCount, HistoryOnly, Pagerank
from trustgraph.scoring.sybilrank import SybilRank
from trustgraph.scoring.trustgraph import Trustgraph

ALGORITHMS: dict[str, type[Algorithm]] = {
    algorithm.name: algorithm
    for algorithm in (
        Trustgraph,
        EndorsementCount,
        Pagerank,
        EigenTrust,
        SybilRank,
        MaxFlow,
        Authentication,
        HistoryOnly,
    )
}


def algorithm_named(name: str) -> type[Algorithm]:
    """The algorithm, or :class:`UsageError` naming those that there are."""
    try:
        return ALGORITHMS[name]
    except KeyError:
        raise UsageError(f"there is no algorithm {name!r}; there are {', '.join(ALGORITHMS)}") from None
