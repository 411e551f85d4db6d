"""How commands speak: facts to standard output (text or JSON), progress and notes to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from trustgraph.errors import NoInput

# Piped tables are read by programs and pagers: they must not be folded to a terminal's width.
stdout = Console(soft_wrap=True, highlight=False, markup=False, width=None if sys.stdout.isatty() else 1000)
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def print_json(value: Any) -> None:
    """One JSON object on one line."""
    sys.stdout.write(json.dumps(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value) + "\n")


def say(text: str) -> None:
    """A line of result."""
    stdout.print(shown(text))


def note(text: str) -> None:
    """A line that is not a result: what the operator should know."""
    stderr.print(shown(f"trustgraph: {text}"))


def shown(text: str) -> str:
    """Text from outside made safe for a terminal: control characters and bidi overrides are escaped."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def print_table(title: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """A plain table; numbers to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    numeric = [all(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(
            name,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=name in ("identity", "host", "standing"),
        )
    for row in rows:
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else shown(str(cell)) for cell in row))
    stdout.print(table)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, silence elsewhere. Call with (name, done, total); total 0 is unknown."""
    if not stderr.is_terminal:
        yield lambda name, done, total: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(f"{what} {shown(name)}", total=None)
            bars.update(tasks[name], completed=done, total=total or None)

        yield show


class _Unwritten(NoInput, BrokenPipeError):
    """Standard output that somebody has closed."""


@contextmanager
def written() -> Iterator[None]:
    """What is printed is written when this ends, or it is an error: at its own end the interpreter would say 120."""
    try:
        yield
        sys.stdout.flush()
    except (OSError, SystemExit) as error:  # rich exits by itself when nobody reads
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise NoInput(f"standard output: cannot be written: {error.strerror}") from None
        raise _Unwritten("standard output: nobody reads it") from None
