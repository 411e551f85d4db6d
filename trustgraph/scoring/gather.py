"""Passes over many edges, in blocks of rows and a few threads, with the same result for any number of them.

A block is a run of hosts with about :data:`BLOCK` endorsements in all; one thread works on a block at a time, and each
row is worked through in the order of its edges, so no result depends on the number of threads by a single bit. NumPy
and scipy let other threads run while they work on arrays.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from scipy import sparse

from trustgraph.scoring.network import Network

#: Edges a block: enough that calling scipy costs nothing beside the work, few enough that a block's ones (4 MiB) stay
#: in a processor's cache.
BLOCK = 1 << 19

#: Some hosts, and the matrix that sums over each one's endorsers.
Block: TypeAlias = tuple[slice, sparse.csr_array]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_R = TypeVar("_R")


class Each(Protocol[_T_co]):
    """Does some work once on each block; gives the results in the order of the blocks."""

    def __call__(self, work: Callable[[_T_co], _R], /) -> list[_R]:
        """Raises what the work raises."""
        ...


def matrices(network: Network) -> list[Block]:
    """The network in blocks of rows."""
    rows = row_blocks(network)
    # All share one short array of ones, so that what is read for an edge is its endorser and the value there.
    ones = np.ones(max((network.start[r.stop] - network.start[r.start] for r in rows), default=0))
    blocks = []
    for r in rows:
        start, end = network.start[r.start], network.start[r.stop]
        parts = (ones[: end - start], network.endorser[start:end], network.start[r.start : r.stop + 1] - start)
        blocks.append((r, sparse.csr_array(parts, shape=(r.stop - r.start, network.size))))
    return blocks


def row_blocks(network: Network) -> list[slice]:
    """The hosts, cut into runs of about :data:`BLOCK` edges: a block ends with the host that fills it."""
    cuts = np.searchsorted(network.start, np.arange(BLOCK, len(network.endorser), BLOCK))
    bounds = np.unique([0, *cuts, network.size]).tolist()
    return [slice(first, last) for first, last in pairwise(bounds)]


@contextmanager
def in_threads(blocks: Sequence[_T], threads: int | None = None) -> Iterator[Each[_T]]:
    """Work on blocks in so many threads, by default one for each core; never more than there are blocks."""
    workers = min(threads or available_cores(), len(blocks))
    if workers < 2:
        yield lambda work: [work(block) for block in blocks]
        return
    with ThreadPoolExecutor(workers) as pool:
        yield lambda work: list(pool.map(work, blocks))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
