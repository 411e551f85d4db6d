"""Standings, and the words for what does not count."""

from __future__ import annotations

import pytest

from tests.unit.scoring.worlds import NOW
from trustgraph.errors import UsageError
from trustgraph.model import Identity, Standing
from trustgraph.scoring.explanation import Contribution, Explanation, reason_discarded
from trustgraph.scoring.registry import ALGORITHMS, algorithm_named
from trustgraph.scoring.standing import standing_of


@pytest.mark.parametrize(
    ("rating", "sample_size", "endorsers", "standing"),
    [
        (0.5, 0, 0, Standing.ACCEPTED),
        (0.4999, 9, 9, Standing.PROBATION),
        (0.4999, 1, 0, Standing.PROBATION),
        (0.4999, 0, 1, Standing.PROBATION),
        (0.4999, 0, 0, Standing.UNRATED),
        (0.1, 0, 0, Standing.UNRATED),
        (0.1, 7, 0, Standing.PROBATION),
        (0.0999, 0, 0, Standing.REFUSED),
        (0.0999, 9, 9, Standing.REFUSED),
    ],
)
def test_standing(rating: float, sample_size: int, endorsers: int, standing: Standing) -> None:
    assert standing_of(rating, sample_size, endorsers, accept=0.5, refuse=0.1) is standing


def why(
    made_at: int = 0,
    expires_at: int | None = None,
    revoked_at: int | None = None,
    weak: bool = False,
    superseded: bool = False,
) -> str:
    return reason_discarded(
        made_at=made_at, expires_at=expires_at, revoked_at=revoked_at, weak=weak, superseded=superseded, now=NOW
    )


def test_a_certification_in_force_is_not_discarded() -> None:
    assert why() == ""
    assert why(made_at=NOW, expires_at=NOW + 1, revoked_at=NOW + 1) == ""


def test_a_discarded_certification_has_its_reason() -> None:
    assert why(made_at=NOW + 1) == "dated in the future"
    assert why(weak=True) == "made with a hash that no longer counts"
    assert why(superseded=True) == "superseded by a newer certification of the same endorser"
    assert why(revoked_at=NOW) == "revoked by its endorser"
    assert why(expires_at=NOW) == "expired"
    # What made it void from the start is told before what ended it.
    assert why(made_at=NOW + 1, weak=True, revoked_at=NOW) == "dated in the future"
    assert why(revoked_at=NOW, expires_at=NOW) == "revoked by its endorser"


def test_an_explanation_adds_up_without_rounding_on_the_way() -> None:
    parts = (Contribution("prior", "everybody", 0.1),) * 10
    explanation = Explanation(Identity.dkim("example.org"), "example.org", 1.0, "accepted", "history", NOW, parts)
    assert explanation.total == 1.0


@pytest.mark.parametrize(
    "name",
    ["trustgraph", "endorsement-count", "pagerank", "eigentrust", "sybilrank", "max-flow", "authentication", "history"],
)
def test_an_algorithm_has_its_name(name: str) -> None:
    assert algorithm_named(name) is ALGORITHMS[name]


def test_an_unknown_algorithm_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="there are trustgraph, endorsement-count"):
        algorithm_named("guesswork")
