"""Many independent pieces of work, one after another or in processes side by side, with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeAlias, TypeVar

#: Called with how many pieces are done, of how many.
Progress: TypeAlias = Callable[[int, int], None]

Task = TypeVar("Task")
Found = TypeVar("Found")


def run_all(
    work: Callable[[Task], Sequence[Found]], tasks: Sequence[Task], *, jobs: int, progress: Progress
) -> list[Found]:
    """What ``work`` finds in each task, in the order of tasks, ``jobs`` at a time.

    The first task that fails ends it: those not yet begun are not, and its error is raised.
    """
    if jobs == 1:
        return _gather(map(work, tasks), len(tasks), progress)
    # Spawned: a fork would take the parent's threads' locks with it.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return _gather(pool.map(work, tasks), len(tasks), progress)


def _gather(found: Iterable[Sequence[Found]], total: int, progress: Progress) -> list[Found]:
    everything: list[Found] = []
    for done, some in enumerate(found, 1):
        everything += some
        progress(done, total)
    return everything
