"""The metric as an algorithm: what of a snapshot it takes, how it rates, and how it explains itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import NOW, Cert, Key, Member, World, checked, key, member, snapshot_of
from trustgraph.model import Identity
from trustgraph.scoring.algorithms import Parameters, pose
from trustgraph.scoring.authentication import Edge as Certified
from trustgraph.scoring.authentication import Path, network_of_edges
from trustgraph.scoring.authenticator import Authentication
from trustgraph.scoring.snapshot import Delegation

ANCHOR, BOB, CAT, TOM = (key(i) for i in range(4))
Terms = Mapping[tuple[Identity, Identity], tuple[int, int, str]]


def delegating(world: World, terms: Terms, parameters: Parameters | None = None) -> Authentication:
    """A world in which some of the certifications say more; everybody has one User ID, which is his host."""
    snapshot = snapshot_of(world)
    place = {name: i for i, name in enumerate(snapshot.identity_name)}
    rows = [(place[subject], place[endorser], *rest) for (endorser, subject), rest in terms.items()]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    numbers = [np.array(column, dtype=np.int64) for column in columns[:4]]
    owners = [i for i, name in enumerate(snapshot.identity_name) if name.startswith("openpgp:")]
    told = Delegation(
        *(numbers[0], numbers[1], numbers[0] + 1, numbers[2], numbers[3]),
        regexes=np.array(columns[4], dtype=object),
        user_id_number=np.array(owners, dtype=np.int64) + 1,
        user_id_identity=np.array(owners, dtype=np.int64),
        user_id_text=snapshot.identity_host[owners],
    )
    users = snapshot.certification_subject + 1
    snapshot = replace(snapshot, certification_user_id=users, delegation=told)
    return Authentication(pose(snapshot, world.anchors, parameters or Parameters()))


def rating(solved: Authentication, name: Identity) -> float:
    position = list(solved._problem.snapshot.identity_name).index(name)
    assert sum(part.amount for part in solved.contributions(position)) == pytest.approx(
        solved.scores().rating[position]
    )
    return float(solved.scores().rating[position])


PEOPLE = tuple(member(i) for i in range(4))
CHAIN = World(PEOPLE, (Cert(ANCHOR, BOB), Cert(BOB, TOM)), (), {ANCHOR: 1.0})


def test_among_plain_certifications_only_the_anchors_own_count() -> None:
    solved = delegating(CHAIN, {})
    assert [rating(solved, name) for name in (ANCHOR, BOB, CAT, TOM)] == [0.5, 0.5, 0.0, 0.0]
    assert set(solved.network.into) == {BOB}


def test_an_introducer_is_believed_as_deep_as_wide_and_about_whom_he_was_trusted() -> None:
    assert rating(delegating(CHAIN, {(ANCHOR, BOB): (1, 120, "")}), TOM) == 0.5
    assert rating(delegating(CHAIN, {(ANCHOR, BOB): (1, 60, "")}), TOM) == 0.25
    assert rating(delegating(CHAIN, {(ANCHOR, BOB): (1, 0, "")}), TOM) == 0.0
    assert rating(delegating(CHAIN, {(ANCHOR, BOB): (1, 120, "op3.example$")}), TOM) == 0.5
    assert rating(delegating(CHAIN, {(ANCHOR, BOB): (1, 120, "op4.example$")}), TOM) == 0.0
    assert rating(delegating(CHAIN, {(ANCHOR, BOB): (1, 120, ""), (BOB, TOM): (0, 30, "")}), TOM) == 0.125


def test_depth_runs_out() -> None:
    world = World(PEOPLE, (Cert(ANCHOR, BOB), Cert(BOB, CAT), Cert(CAT, TOM)), (), {ANCHOR: 1.0})
    for depth, expected in ((1, 0.0), (2, 0.5), (255, 0.5)):
        assert rating(delegating(world, {(ANCHOR, BOB): (depth, 120, ""), (BOB, CAT): (1, 120, "")}), TOM) == expected


def test_full_is_accepted_partial_is_not_double_is_one() -> None:
    certs = tuple(Cert(name, TOM) for name in (ANCHOR, BOB, CAT))
    for weights, expected in (
        ((1 / 3,), 1 / 3),
        ((1 / 3,) * 3, 1.0),
        ((1.0, 0.5), 1.5),
        ((0.75, 0.75, 0.75), 2.0),
        ((1.0,) * 3, 2.0),
        ((1e-9,), 1 / 120),
    ):
        anchors = dict(zip((ANCHOR, BOB, CAT), weights, strict=False))
        solved = delegating(replace(CHAIN, certs=certs, anchors=anchors), {}, Parameters(accept=0.6))
        full = min(expected, 1.0) * 0.6 + max(0.0, expected - 1.0) * 0.4
        assert rating(solved, TOM) == pytest.approx(full, rel=0, abs=1e-12)


def test_a_host_is_as_good_as_the_best_of_its_names() -> None:
    for first, second in ((1, 2), (2, 1)):
        anchors = {ANCHOR: 0.2, BOB: 0.9}
        snapshot = snapshot_of(replace(CHAIN, certs=(Cert(ANCHOR, TOM, first), Cert(BOB, TOM, second))))
        assert rating(Authentication(pose(snapshot, anchors, Parameters())), TOM) == 0.45


def test_an_introducer_is_believed_about_a_name_that_nobody_certified() -> None:
    # The anchor lets BOB speak for names under other.example; his own certified one is not, his second one is.
    solved = delegating(CHAIN, {(ANCHOR, BOB): (1, 90, "other.example$")})
    assert rating(solved, BOB) == 0.0
    told = solved._problem.snapshot.delegation
    assert told is not None
    position = list(solved._problem.snapshot.identity_name).index(BOB)
    more = replace(
        told,
        user_id_number=np.append(told.user_id_number, 99),
        user_id_identity=np.append(told.user_id_identity, position),
        user_id_text=np.append(told.user_id_text, "smtp://mx.other.example"),
    )
    snapshot = replace(solved._problem.snapshot, delegation=more)
    assert rating(Authentication(pose(snapshot, CHAIN.anchors, Parameters())), BOB) == 0.375


@pytest.mark.parametrize("dead", [Key(expires_at=NOW), Key(revoked_at=NOW), Key(created_at=NOW + 1)])
def test_a_dead_introducer_introduces_nobody(dead: Key) -> None:
    world = replace(CHAIN, members=(*PEOPLE[:1], member(1, dead=dead), *PEOPLE[2:]))
    assert rating(delegating(world, {(ANCHOR, BOB): (1, 120, "")}), TOM) == 0.0


def test_an_operator_does_not_introduce_itself() -> None:
    one = "op0.example"
    world = replace(CHAIN, members=(*PEOPLE[:1], Member(BOB, f"mx1.{one}", one, Key()), *PEOPLE[2:]))
    assert rating(delegating(world, {(ANCHOR, BOB): (1, 120, "")}), TOM) == 0.0


def test_contributions_name_who_certified_at_the_end() -> None:
    certs = (Cert(ANCHOR, BOB), Cert(ANCHOR, CAT), Cert(BOB, TOM), Cert(CAT, TOM))
    solved = delegating(replace(CHAIN, certs=certs), {(ANCHOR, BOB): (1, 90, ""), (ANCHOR, CAT): (1, 60, "")})
    position = list(solved._problem.snapshot.identity_name).index(TOM)
    parts = [(p.kind, p.name, p.amount, p.mass_share) for p in solved.contributions(position)]
    assert parts == [("endorser", BOB, 0.375, 0.6), ("endorser", CAT, pytest.approx(0.25), 0.4)]
    assert solved.scores().endorsers[position] == 2


@checked(60)
@given(st.data())
def test_leaving_out_whom_no_anchor_introduced_changes_nothing(data: st.DataObject) -> None:
    people = tuple(member(i) for i in range(6))
    names = [m.name for m in people]
    pairs = data.draw(
        st.lists(st.sampled_from([(u, v) for u in names for v in names if u != v]), unique=True, max_size=14)
    )
    depth, amount = st.sampled_from([0, 1, 2, 255]), st.sampled_from([0, 40, 120])
    terms = {p: (data.draw(depth), data.draw(amount), data.draw(st.sampled_from(["", "mx[1-4]"]))) for p in pairs}
    world = World(people, tuple(Cert(u, v) for u, v in pairs), (), {names[0]: 1.0, names[1]: 0.5})
    solved = delegating(world, terms)
    hosts = {m.name: m.host for m in people}
    whole = network_of_edges([Certified(u, v, hosts[v], *terms[u, v]) for u, v in pairs], hosts.items())
    for i, name in enumerate(solved._problem.snapshot.identity_name):
        paths: tuple[Path, ...] = whole.authenticate({names[0]: 120, names[1]: 60}, name, hosts[name], wanted=240)
        assert solved.paths.get(i, ()) == paths
