"""``explain --picture``: the neighbourhood that carries a rating, drawn from the same problem."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from trustgraph.errors import NoInput, UsageError
from trustgraph.reports.neighbourhood import carrying_edges, neighbourhood_picture
from trustgraph.scoring.explanation import Explanation
from trustgraph.scoring.trustgraph import Trustgraph
from trustgraph.services.scoring import require_generation, solve
from trustgraph.settings import Settings
from trustgraph.store import Store


def draw(store: Store, settings: Settings, explanation: Explanation, path: Path) -> None:
    """Write the picture; the ending says the format.

    Raises :class:`UsageError` for an ending other than .png and .svg, :class:`NoInput` when it cannot be written.
    """
    formats: dict[str, Literal["png", "svg"]] = {".png": "png", ".svg": "svg"}
    if path.suffix not in formats:
        raise UsageError(f"--picture {path}: expected a name that ends in .png or .svg")
    picture = neighbourhood_of(store, settings, explanation, formats[path.suffix])
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise NoInput(f"{path}: cannot be written: {error.strerror or error}") from None


def neighbourhood_of(
    store: Store, settings: Settings, explanation: Explanation, image: Literal["png", "svg"] = "png"
) -> bytes:
    """The picture as octets."""
    problem, algorithm = solve(store, settings, require_generation(store))
    if not isinstance(algorithm, Trustgraph):
        algorithm = Trustgraph(problem)
    position = int(np.searchsorted(problem.snapshot.identity_name, explanation.identity))
    shown = carrying_edges(problem, algorithm, position)
    return neighbourhood_picture(
        explanation,
        shown.edges,
        shown.labels,
        standings=shown.standings,
        anchors=shown.anchors,
        omitted=shown.omitted,
        image=image,
    )
