"""The list of a world's logs: which file is whose, for formats that do not name their observer in full."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from trustgraph.errors import BadInput

FILE = "logs.csv"


class Log(NamedTuple):
    """One log: its file's name and the FQDN of its observer."""

    file: str
    observer: str


def write_list(logs: Sequence[Log]) -> str:
    """CSV with a header line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Log._fields, *logs])
    return text.getvalue()


def read_list(world: Path) -> tuple[Log, ...]:
    """The logs of the world in a directory. Raises :class:`BadInput` when their list is not one."""
    with (world / FILE).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    if not rows or rows[0] != list(Log._fields) or any(len(row) != len(Log._fields) for row in rows):
        raise BadInput(f"{world / FILE}: expected the columns {', '.join(Log._fields)}")
    return tuple(Log(*row) for row in rows[1:])
