"""The Wilson bounds against published and hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from trustgraph.endorsement.wilson import bounds
from trustgraph.errors import BadInput


@pytest.mark.parametrize(
    ("hits", "total", "lower", "upper"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # z² / (n + z²): 381 are the fewest spotless messages that prove at most 1 %.
        (0, 380, 0.0000, 0.010007931),
        (0, 381, 0.0000, 0.009981926),
    ],
)
def test_bounds_are_the_published_ones(hits: int, total: int, lower: float, upper: float) -> None:
    found_lower, found_upper = bounds(np.array([hits]), np.array([total]))
    assert found_lower[0] == pytest.approx(lower, abs=5e-5)
    assert found_upper[0] == pytest.approx(upper, abs=5e-5 if total < 300 else 5e-8)


def test_nothing_counted_says_nothing() -> None:
    lower, upper = bounds(np.array([0]), np.array([0]))
    assert (lower[0], upper[0]) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "total"), [(2, 1), (-1, 1)])
def test_impossible_counts_are_refused(hits: int, total: int) -> None:
    with pytest.raises(BadInput):
        bounds(np.array([hits]), np.array([total]))
