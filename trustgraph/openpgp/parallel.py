"""Verification on every processor.

Processes, not threads: ``cryptography`` holds the interpreter's lock while it verifies (measured: two threads are no
faster than one), and one operation is too short to be worth a message, so jobs travel by the batch.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TypeVar

from trustgraph.errors import TrustgraphError
from trustgraph.openpgp.verification import Job, Verdict, verify_all

#: Jobs a batch: about 50 ms of work.
BATCH_JOBS = 512

_Batch = TypeVar("_Batch")


def verify_batches(batches: Iterable[tuple[_Batch, list[Job]]], workers: int) -> Iterator[tuple[_Batch, list[Verdict]]]:
    """Each batch with the verdicts on its jobs, in order; at most ``2 * workers`` batches are ahead of the reader.

    With one worker, or one batch, everything happens in this process. Raises :class:`TrustgraphError` when a worker
    process dies.
    """
    remaining = iter(batches)
    first = list(islice(remaining, 2))
    if workers <= 1 or len(first) < 2:
        for batch, jobs in chain(first, remaining):
            yield batch, verify_all(jobs)
        return
    # "spawn" starts clean: forking a process that has threads is undefined
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[tuple[_Batch, Future[list[Verdict]]]] = deque()
        try:
            for batch, jobs in chain(first, remaining):
                waiting.append((batch, pool.submit(verify_all, jobs)))
                if len(waiting) >= 2 * workers:
                    ready, verdicts = waiting.popleft()
                    yield ready, verdicts.result()
            for ready, verdicts in waiting:
                yield ready, verdicts.result()
        except BrokenProcessPool as error:
            raise TrustgraphError(
                "a verifying process died: out of memory, or the main module is not importable"
            ) from error
