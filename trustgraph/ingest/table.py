"""``ingest table``: endorsements and daily history from CSV or Parquet, for which the operator vouches.

Columns by name, in any order: ``endorser,subject,made_at[,expires_at,amount,depth]`` and
``observer,subject,day,good,spam``. A row that is wrong is rejected with its line and reason; the rest is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import csv, parquet

from trustgraph.errors import BadInput, NoInput
from trustgraph.model import DailyCount, Day, Endorsement, Identity, UnixSeconds, from_rfc3339
from trustgraph.store import Store
from trustgraph.store.sources import record_counts, record_source
from trustgraph.store.tables import add_endorsements, add_history

T = TypeVar("T")
Row = dict[str, Any]

_BLOCK_BYTES = 16 << 20
_SHOWN_REJECTS = 5
MAX_TRUST_AMOUNT = 255


@dataclass(frozen=True, slots=True)
class TableCounts:
    """What became of one table. ``rejects`` shows the first few rejected rows with their reasons."""

    path: str
    kind: str
    rows: int = 0
    stored: int = 0
    rejected: int = 0
    rejects: tuple[str, ...] = ()


def ingest_endorsements(store: Store, path: Path, now: UnixSeconds) -> TableCounts:
    """Endorsements into the store. Raises :class:`NoInput` or :class:`BadInput` (no table, or columns missing)."""
    return _ingest(store, path, "endorsements", now, ("endorser", "subject", "made_at"), _endorsement, add_endorsements)


def ingest_history(store: Store, path: Path, now: UnixSeconds) -> TableCounts:
    """Daily counts into the store. Raises as :func:`ingest_endorsements`."""
    return _ingest(
        store, path, "history", now, ("observer", "subject", "day", "good", "spam"), _daily_count, add_history
    )


def _ingest(
    store: Store,
    path: Path,
    kind: str,
    now: UnixSeconds,
    required: Sequence[str],
    parse: Callable[[Row], T],
    add: Callable[[Store, Sequence[T], int], int],
) -> TableCounts:
    counts = TableCounts(str(path), kind)
    wrong: list[str] = []
    blocks = _blocks(path, required, wrong)
    first = next(blocks, [])
    with store.writing() as connection:
        source = record_source(connection, kind, str(path), now)
    for block in (first, *blocks):
        good: list[T] = []
        for row in block:
            counts = replace(counts, rows=counts.rows + 1)
            try:
                good.append(parse(row))
            except BadInput as error:
                shown = (*counts.rejects, f"row {counts.rows}: {error}")[:_SHOWN_REJECTS]
                counts = replace(counts, rejected=counts.rejected + 1, rejects=shown)
        add(store, good, source)
        counts = replace(counts, stored=counts.stored + len(good))
    shown = tuple(f"wrong number of columns: {text[:80]!r}" for text in wrong)
    counts = replace(
        counts,
        rows=counts.rows + len(wrong),
        rejected=counts.rejected + len(wrong),
        rejects=(*counts.rejects, *shown)[:_SHOWN_REJECTS],
    )
    record_counts(store, source, {"rows": counts.rows, "stored": counts.stored, "rejected": counts.rejected})
    return counts


def _blocks(path: Path, required: Sequence[str], wrong: list[str]) -> Iterator[list[Row]]:
    """Rows by column name; texts of rows with too few or too many columns go to ``wrong``."""
    try:
        if path.suffix == ".parquet":
            file = parquet.ParquetFile(path)
            _require(path, file.schema_arrow.names, required)
            yield from (batch.to_pylist() for batch in file.iter_batches(batch_size=100_000))
            return
        names = _header(path)
        _require(path, names, required)
        # As octets: Arrow would give up on the whole table for one row that is not UTF-8.
        octets = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.binary()))
        read = csv.ReadOptions(block_size=_BLOCK_BYTES, column_names=names, skip_rows=1)
        skip = csv.ParseOptions(invalid_row_handler=partial(_skip, wrong))
        with csv.open_csv(path, read, skip, octets) as reader:
            for batch in reader:
                yield [{name: _decoded(value) for name, value in row.items()} for row in batch.to_pylist()]
    except OSError as error:
        raise NoInput(f"{path}: cannot be read: {error}") from None
    except pa.ArrowInvalid as error:
        raise BadInput(f"{path}: not a {path.suffix or 'CSV'} table: {error}") from None


def _header(path: Path) -> list[str]:
    with path.open("rb") as stream:
        line = stream.readline(1 << 16)
    return [name.strip().strip('"') for name in line.decode("utf-8-sig", "replace").strip().split(",")]


def _skip(wrong: list[str], row: Any) -> str:
    wrong.append(row.text)
    return "skip"


def _decoded(value: object) -> object:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _require(path: Path, names: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in names]
    if missing:
        raise BadInput(
            f"{path}: no column {', '.join(missing)}; expected {','.join(required)}, found {','.join(names)}"
        )


def _endorsement(row: Row) -> Endorsement:
    expires = row.get("expires_at")
    return Endorsement(
        Identity.parse(_text(row, "endorser")),
        Identity.parse(_text(row, "subject")),
        _time(row["made_at"]),
        _time(expires) if expires not in (None, "") else None,
        amount=_whole(row, "amount", 120, MAX_TRUST_AMOUNT),
        depth=_whole(row, "depth", 0, MAX_TRUST_AMOUNT),
    )


def _daily_count(row: Row) -> DailyCount:
    day = row["day"]
    if isinstance(day, datetime):
        day = day.date()
    if not isinstance(day, date):
        try:
            day = date.fromisoformat(_text(row, "day"))
        except ValueError:
            raise BadInput(f"day {str(day)[:40]!r}: expected YYYY-MM-DD") from None
    if day < date(1970, 1, 1):
        raise BadInput(f"day {day} lies before 1970")
    return DailyCount(
        Identity.parse(_text(row, "observer")),
        Identity.parse(_text(row, "subject")),
        Day((day - date(1970, 1, 1)).days),
        good=_whole(row, "good", None, 1 << 53),
        spam=_whole(row, "spam", None, 1 << 53),
    )


def _text(row: Row, name: str) -> str:
    value = row[name]
    if not isinstance(value, str) or not value:
        raise BadInput(f"{name} is empty")
    return value


def _time(value: object) -> UnixSeconds:
    if isinstance(value, datetime):
        return from_rfc3339(value.isoformat())
    return from_rfc3339(str(value))


def _whole(row: Row, name: str, default: int | None, most: int) -> int:
    value = row.get(name)
    if value in (None, "") and default is not None:
        return default
    try:
        number = int(str(value))
    except ValueError:
        raise BadInput(f"{name} {str(value)[:40]!r}: expected a whole number") from None
    if not 0 <= number <= most:
        raise BadInput(f"{name} {number}: expected 0 to {most}")
    return number
