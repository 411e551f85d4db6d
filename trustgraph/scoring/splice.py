"""Sorted tables, an array a column, and some of their rows in place of others."""

from __future__ import annotations

import numpy as np

from trustgraph.scoring.snapshot import Ints

#: The columns of one table, an array each.
Columns = tuple[Ints, ...]


def rows_of(sorted_column: Ints, values: Ints) -> Ints:
    """Which rows of a sorted column have one of the values, which are sorted too."""
    wanted = values.astype(sorted_column.dtype)  # of another type, the whole column would be converted
    first, last = np.searchsorted(sorted_column, wanted), np.searchsorted(sorted_column, wanted, side="right")
    lengths = last - first
    ends = np.cumsum(lengths)
    rows: Ints = np.arange(int(lengths.sum())) + np.repeat(first - (ends - lengths), lengths)
    return rows


def spliced(columns: Columns, whose: Ints, rows: Columns) -> Columns:
    """``columns``, sorted by the first of them, with all rows of some identities replaced by ``rows``, sorted alike."""
    if not len(whose):
        return columns
    # Whole runs are copied between what changes, which is several times faster than a permutation of all rows.
    wanted = whose.astype(columns[0].dtype)
    first, last = np.searchsorted(columns[0], wanted), np.searchsorted(columns[0], wanted, side="right")
    begin, end = np.searchsorted(rows[0], whose), np.searchsorted(rows[0], whose, side="right")
    kept = [slice(a, b) for a, b in zip([0, *last.tolist()], [*first.tolist(), len(columns[0])], strict=True)]
    put = [slice(a, b) for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
    result = []
    for column, values in zip(columns, rows, strict=True):
        pieces = [column[kept[0]]]
        for new, run in zip(put, kept[1:], strict=True):
            pieces += (values[new], column[run])
        result.append(np.concatenate(pieces, dtype=column.dtype))
    return tuple(result)
