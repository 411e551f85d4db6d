"""Trust that identities hold, measured and divided: what a typical one has, and where a rating came from."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import numpy as np

from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.snapshot import Floats

#: Equal halves of the mass go to the lower value, whatever rounding makes of the sums.
_TIES = 1.0 - 1e-9


def median_over_mass(value: Floats, mass: Floats) -> float:
    """The value at which half of all mass is reached, going up; 0 if there is no mass.

    Over mass and not over identities, which anybody can make more of: only who holds mass can move it.
    """
    held = np.flatnonzero(mass > 0)
    if not len(held):
        return 0.0
    order = held[np.argsort(value[held], kind="stable")]
    reached = np.cumsum(mass[order])
    return float(value[order[np.searchsorted(reached, reached[-1] / 2 * _TIES)]])


def divide(rating: float, parts: Sequence[tuple[str, str, float]], power: int = 1) -> list[Contribution]:
    """A rating divided among (kind, name, flow) in proportion to ``flow ** power``.

    The share of trust is in proportion to the flow itself. Parts of a rating of 0 are 0.
    """
    whole, weight = fsum(flow for _, _, flow in parts), fsum(flow**power for _, _, flow in parts)
    return [
        Contribution(kind, name, rating * flow**power / weight if weight else 0.0, flow / whole if whole else 0.0)
        for kind, name, flow in parts
    ]
