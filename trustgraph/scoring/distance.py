"""How many endorsements lie between the anchors and each identity."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from trustgraph.scoring.network import Network
from trustgraph.scoring.snapshot import Flags, Ints


def distances(network: Network, anchors: Flags) -> Ints:
    """Endorsements on the shortest way from an anchor to each identity; -1 where there is no way.

    One pass over the edges, however far they reach: a chain of keys must not cost a pass a link.
    """
    root, seeds = network.size, np.flatnonzero(anchors)
    source = np.concatenate([network.endorser, np.full(len(seeds), root)])
    target = np.concatenate([network.subject, seeds])
    edges = sparse.csr_array((np.ones(len(source), dtype=np.int8), (source, target)), shape=(root + 1, root + 1))
    order, before = csgraph.breadth_first_order(edges, root)
    rank = np.zeros(root + 1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    # Breadth first, predecessors come in order too: a level ends where they leave the level before.
    rank_before = rank[before[order[1:]]]
    level = np.zeros(len(order), dtype=np.int64)
    first, end, depth = 0, 1, 0
    while end < len(order):
        first, end, depth = end, 1 + int(np.searchsorted(rank_before, end)), depth + 1
        level[first:end] = depth
    found = np.full(root + 1, -1)
    found[order] = level - 1
    return found[:root]
