"""Measuring one thing in a process of its own, so that its memory is its own too."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Measured:
    """``result`` of the call, wall clock in seconds, peak resident memory in bytes."""

    result: Any
    seconds: float
    peak_bytes: int


def measure(call: Callable[..., Any], *arguments: Any, cores: int | None = None) -> Measured:
    """Run ``call(*arguments)`` in a fresh process, bound to so many cores."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, cores, call, arguments))
    process.start()
    sender.close()
    measured: Measured = receiver.recv()
    process.join()
    return measured


def _run(sender: Any, cores: int | None, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    started = time.perf_counter()
    result = call(*arguments)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sender.send(Measured(result, seconds, peak))


def print_table(title: str, head: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """A plain table: the first column to the left, the rest to the right."""
    cells = [head, *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        print(
            "  "
            + row[0].ljust(widths[0])
            + "".join("  " + c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))
        )
