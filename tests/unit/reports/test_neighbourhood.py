"""The picture of a neighbourhood: the edges that carry a rating, bounded, placed and drawn the same every time."""

from __future__ import annotations

from math import hypot

import pytest

from tests.unit.reports.small_world import ANCHORS, NOW, by_anchors, everybody, position, scene
from trustgraph.model import Identity
from trustgraph.reports.evidence import Evidence
from trustgraph.reports.neighbourhood import MAX_RING, Neighbourhood, carrying_edges, layout, neighbourhood_picture
from trustgraph.scoring.explanation import Explanation

TOWN = [f"t{i:02}" for i in range(20)]


def around(evidence: Evidence, host: str) -> Neighbourhood:
    return carrying_edges(evidence.problem, evidence.algorithm, position(evidence, host))


def explained(evidence: Evidence, host: str) -> Explanation:
    at = position(evidence, host)
    contributions = tuple(evidence.algorithm.contributions(at))
    rating = float(evidence.rating[at])
    return Explanation(
        *(evidence.identity(at), evidence.host(at), rating, evidence.standing(at), "trustgraph", NOW), contributions
    )


def test_the_shares_of_the_endorsers_make_one() -> None:
    found = around(scene([*by_anchors("host"), ("x", "host")]), "host")
    shares = {u: share for u, v, share in found.edges if v == "dkim:host.example"}
    assert shares == {f"dkim:{a}.example": pytest.approx(1 / 3) for a in ("a1", "a2", "a3")}
    assert found.anchors == set(shares)
    assert found.omitted == (0, 0)


def test_endorsers_of_endorsers_lead_to_the_anchors() -> None:
    found = around(scene([*by_anchors("t0", "t1", "t2"), *((t, "host") for t in ("t0", "t1", "t2"))]), "host")
    assert ("dkim:a1.example", "dkim:t0.example") in {(u, v) for u, v, _ in found.edges}
    assert found.anchors == {f"dkim:{a}.example" for a in ("a1", "a2", "a3")}
    assert found.standings["dkim:t0.example"] == "accepted"


def test_both_rings_are_bounded_and_the_rest_is_counted() -> None:
    crowd = [f"c{i:02}" for i in range(30)]
    found = around(scene([*by_anchors(*TOWN, *crowd), *everybody(TOWN), *((t, "host") for t in TOWN)]), "host")
    inner = {u for u, v, _ in found.edges if v == "dkim:host.example"}
    outer = {u for u, _, _ in found.edges} - inner
    assert (len(inner), found.omitted[0]) == (MAX_RING, len(TOWN) - MAX_RING)
    assert 0 < len(outer) <= MAX_RING
    # Anchors and the rest of the town: each of them endorses some of the twelve drawn.
    assert found.omitted[1] == len(ANCHORS) + len(TOWN) - MAX_RING - len(outer)


def test_where_nothing_counts_the_endorsers_are_shown_with_no_share() -> None:
    found = around(scene([("x", "y"), ("y", "x"), *by_anchors("good")]), "x")
    assert found.edges == (("dkim:y.example", "dkim:x.example", 0.0),)


def test_nobody_lies_on_somebody_else() -> None:
    evidence = scene([*by_anchors(*TOWN), *everybody(TOWN), *((t, "host") for t in TOWN)])
    found = around(evidence, "host")
    points = list(layout("dkim:host.example", found.edges).values())
    assert len(points) == len({identity for edge in found.edges for identity in edge[:2]})
    gaps = [hypot(p[0] - q[0], p[1] - q[1]) for i, p in enumerate(points) for q in points[:i]]
    assert min(gaps) > 0.3


@pytest.mark.parametrize(("image", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_same_picture_every_time(image: str, start: bytes) -> None:
    evidence = scene([*by_anchors("t0", "t1", "t2", "host"), ("t0", "host")])
    found = around(evidence, "host")
    labels = {**found.labels, "dkim:t0.example": "<b>$\\frac{x}$\u202e.example"}

    def draw() -> bytes:
        return neighbourhood_picture(
            *(explained(evidence, "host"), found.edges, labels),
            standings=found.standings,
            anchors=found.anchors,
            omitted=(3, 0),
            image="svg" if image == "svg" else "png",
        )

    assert draw() == draw()
    assert draw().startswith(start)
    assert b"<b>" not in draw()


def test_an_identity_that_nobody_endorses_has_a_picture_too() -> None:
    evidence = scene([], [("lone", 9, 0, 1, 0, 0)])
    assert neighbourhood_picture(explained(evidence, "lone"), (), {}).startswith(b"\x89PNG")
    assert around(evidence, "lone") == Neighbourhood(
        (), {"dkim:lone.example": "lone.example"}, {"dkim:lone.example": "probation"}, frozenset(), (0, 0)
    )
    assert Identity("dkim:lone.example") == evidence.identity(position(evidence, "lone"))
