"""The Wilson score interval: how large a share may be, given what was counted (Wilson 1927, equation for p')."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trustgraph.errors import BadInput

#: Two-sided 95 %.
Z95 = 1.959963984540054

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


def bounds(hits: Counts, total: Counts, z: float = Z95) -> tuple[Shares, Shares]:
    """Lower and upper bound of the share of hits, element by element; (0, 1) where nothing was counted.

    Raises :class:`BadInput` when hits are negative or exceed the total.
    """
    if np.any(hits < 0) or np.any(hits > total):
        raise BadInput("hits must lie between 0 and the total")
    counted = np.maximum(total, 1)
    share = hits / counted
    centre = share + z * z / (2 * counted)
    spread = z * np.sqrt(share * (1 - share) / counted + z * z / (4 * counted * counted))
    scale = 1 + z * z / counted
    empty = total == 0
    return np.where(empty, 0.0, (centre - spread) / scale), np.where(empty, 1.0, (centre + spread) / scale)
