"""Invariants 6 and 7: what counts nothing changes nothing, and the same input gives the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import (
    DEAD_CERTS,
    DEAD_KEYS,
    NOW,
    Cert,
    Member,
    World,
    checked,
    key,
    member,
    parameters,
    ratings,
    worlds,
)
from trustgraph.model import Identity
from trustgraph.scoring.algorithms import Parameters
from trustgraph.scoring.network import build_network
from trustgraph.scoring.registry import ALGORITHMS

EVERY_ALGORITHM = pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
NEWCOMER = key(900)


def names_of(world: World) -> list[Identity]:
    return [m.name for m in world.members]


@EVERY_ALGORITHM
@checked(25)
@given(worlds(), parameters(), st.data())
def test_invariant_6_revoked_expired_future_dated_and_weak_certifications_count_nothing(
    algorithm: str, world: World, p: Parameters, data: st.DataObject
) -> None:
    # Over a User ID of its own, since a newer one replaces what went before over the same.
    somebody = st.sampled_from(names_of(world))
    dead = [replace(Cert(data.draw(somebody), data.draw(somebody), 9), **why) for why in DEAD_CERTS]
    assert ratings(algorithm, world.plus(certs=dead), p) == ratings(algorithm, world, p)


@EVERY_ALGORITHM
@checked(20)
@given(worlds(), parameters(), st.data())
def test_invariant_6_self_made_certifications_count_nothing(
    algorithm: str, world: World, p: Parameters, data: st.DataObject
) -> None:
    pairs = [(u.name, v.name) for u in world.members for v in world.members if same_operator(u, v)]
    own = [Cert(u, v, 9) for u, v in data.draw(st.lists(st.sampled_from(pairs), min_size=1))]
    assert ratings(algorithm, world.plus(certs=own), p) == ratings(algorithm, world, p)


def same_operator(u: Member, v: Member) -> bool:
    return u.name == v.name or (u.operator == v.operator and u.operator != "")


@EVERY_ALGORITHM
@pytest.mark.parametrize("dead", DEAD_KEYS)
@checked(6)
@given(world=worlds(), p=parameters())
def test_invariant_6_certifications_by_and_of_a_dead_key_count_nothing(
    algorithm: str, dead: object, world: World, p: Parameters
) -> None:
    corpse = member(900, dead=dead)  # type: ignore[arg-type]
    before = ratings(algorithm, world.plus(members=[corpse]), p)
    certs = [Cert(NEWCOMER, name) for name in names_of(world)] + [Cert(name, NEWCOMER) for name in names_of(world)]
    assert ratings(algorithm, world.plus(members=[corpse], certs=certs), p) == before


def edges(*certs: Cert) -> int:
    people = (member(1), member(2))
    return len(build_network(World(people, certs, (), {key(1): 1.0}).problem().snapshot).endorser)


def test_invariant_6_the_newest_certification_over_a_user_id_decides() -> None:
    old, new = Cert(key(1), key(2), made_at=NOW - 20), Cert(key(1), key(2), made_at=NOW - 10)
    assert edges(old, new) == 1
    assert edges(old, replace(new, revoked_at=NOW - 5)) == 0
    assert edges(replace(old, revoked_at=NOW - 15), new) == 1
    assert edges(old, replace(new, weak=True)) == 1
    assert edges(old, replace(new, user_id=1, revoked_at=NOW - 5)) == 1


def test_three_hundred_user_ids_are_one_endorsement() -> None:
    assert edges(*(Cert(key(1), key(2), user_id) for user_id in range(300))) == 1


@EVERY_ALGORITHM
@checked(20)
@given(worlds(), parameters(), st.data())
def test_invariant_7_nothing_depends_on_order_numbering_or_spelling(
    algorithm: str, world: World, p: Parameters, data: st.DataObject
) -> None:
    anchors = data.draw(st.permutations(sorted(world.anchors.items())))
    other = World(
        members=tuple(data.draw(st.permutations(world.members))),
        certs=tuple(data.draw(st.permutations(world.certs))),
        counts=tuple(data.draw(st.permutations(world.counts))),
        anchors=dict(anchors),
        numbers=tuple(data.draw(st.permutations([7 * i + 3 for i in range(len(world.members))]))),
    )
    # User IDs are numbered as they are met, too, and an operator is a word.
    numbering = data.draw(st.permutations(range(3)))
    other = replace(
        other,
        certs=tuple(replace(c, user_id=numbering[c.user_id]) for c in other.certs),
        members=tuple(replace(m, operator=m.operator and m.operator[::-1]) for m in other.members),
    )
    assert ratings(algorithm, other, p) == ratings(algorithm, world, p)


_HEX_RATINGS = """
from test_rating_sameness import exact_ratings
for line in exact_ratings():
    print(line)
"""


def big_village() -> World:
    people = tuple(member(i) for i in range(3_000))
    certs = tuple(Cert(key(i), key(i * step % 3_001 % 3_000)) for i in range(3_000) for step in (2, 3, 5, 7))
    return World(people, certs, (), {key(i): 1.0 / (1 + i) for i in range(50)})


def exact_ratings() -> list[str]:
    """Each algorithm's ratings of the big village, to the last bit."""
    problem = big_village().problem()
    rated = [ALGORITHMS[name](problem).scores().rating for name in sorted(ALGORITHMS)]
    return [" ".join(value.hex() for value in rating.tolist()) for rating in rated]


def test_invariant_7_nothing_depends_on_threads_or_hash_seeds() -> None:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "7")
    environment = os.environ | threads | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _HEX_RATINGS]
    answer = subprocess.run(
        command, env=environment, cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=100
    )
    assert answer.stdout.splitlines() == exact_ratings()
