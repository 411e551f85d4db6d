"""Passes over edges in blocks and threads: the same numbers as the plain ones, whatever the blocks and threads."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import checked
from trustgraph.errors import NotConverged
from trustgraph.scoring import gather, mass
from trustgraph.scoring.gate import Tally, count_votes, group_votes
from trustgraph.scoring.gather import in_threads, matrices, row_blocks
from trustgraph.scoring.mass import trust_mass
from trustgraph.scoring.network import Network, network_of

HOSTS = 200


def network(seed: int, hosts: int = HOSTS, each: int = 9) -> Network:
    """Some hosts with many endorsers, some with none, operators of one to many hosts."""
    dice = np.random.default_rng(seed)
    subject = (dice.random(hosts * each) ** 3 * hosts).astype(int)
    pairs = np.unique(subject * hosts + dice.integers(0, hosts, len(subject)))
    start = np.searchsorted(pairs // hosts, np.arange(hosts + 1))
    return network_of(pairs % hosts, start, (dice.random(hosts) ** 2 * hosts).astype(np.int32))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "BLOCK", 64)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_a_pass_sums_over_the_endorsers(threads: int) -> None:
    n, x = network(1), np.random.default_rng(2).random(HOSTS)
    with in_threads(matrices(n), threads) as each:
        found = np.concatenate(each(lambda block: block[1] @ x))
    assert len(row_blocks(n)) > 7
    expected = [sum((float(x[u]) for u in n.into(v)), 0.0) for v in range(HOSTS)]
    assert found.tolist() == expected


@pytest.mark.usefixtures("small_blocks")
def test_blocks_hold_every_host_once_and_no_more_edges_than_needed() -> None:
    n = network(1)
    rows = row_blocks(n)
    assert [v for r in rows for v in range(r.start, r.stop)] == list(range(HOSTS))
    most = int(np.diff(n.start).max())
    assert all(n.start[r.stop] - n.start[r.start] < 64 + most for r in rows)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("damping", [0.3, 0.7, 0.95])
def test_trust_mass_is_the_same_bits_for_any_number_of_threads(damping: float) -> None:
    n, p = network(3), np.zeros(HOSTS)
    p[:3] = 1 / 3
    one, two, many = (trust_mass(n, p, damping, threads=threads) for threads in (1, 2, 5))
    assert one.mass.tobytes() == two.mass.tobytes() == many.mass.tobytes()


@pytest.mark.parametrize("damping", [0.0, 0.5, 0.7, 0.85, 0.99])
@pytest.mark.parametrize("seed", range(5))
def test_trust_mass_solves_its_equation(seed: int, damping: float) -> None:
    n, p = network(seed, each=2 + seed), np.zeros(HOSTS)
    p[seed : seed + 2] = 0.25, 0.75
    out = np.arange(HOSTS) % 7 == 3
    step = np.zeros((HOSTS, HOSTS))
    step[n.subject, n.endorser] = np.where(out, 0.0, 1.0 / np.maximum(n.out_degree, 1))[n.endorser]
    exact = np.linalg.solve(np.eye(HOSTS) - damping * step, (1.0 - damping) * p)
    found = trust_mass(n, p, damping, disqualified=out)
    assert np.abs(found.mass - exact).sum() < 1e-13 / (1 - damping)
    assert found.mass.min() > -1e-15
    plainly = max(1, np.ceil(np.log(1e-14) / np.log(damping))) if damping else 2
    assert found.iterations <= plainly + 2


def test_extrapolation_halves_the_iterations_where_trust_mixes() -> None:
    p = np.zeros(2_000)
    p[0] = 1.0
    plainly = np.log(1e-14) / np.log(0.85)
    assert trust_mass(network(4, 2_000), p, 0.85).iterations < plainly / 2


def test_a_long_path_takes_no_longer_than_plain_iteration() -> None:
    """Nothing to learn from the last steps: each reaches one host more."""
    hosts, p = 400, np.zeros(400)
    p[0] = 1.0
    path = network_of(np.arange(hosts - 1), np.array([0, *range(hosts)]), np.arange(hosts))
    assert trust_mass(path, p, 0.85).iterations <= np.log(1e-14) / np.log(0.85) + 5


@pytest.mark.parametrize("nonsense", [-3.0, 0.5, 40.0])
def test_no_extrapolation_however_wrong_keeps_it_from_the_answer(
    nonsense: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, p = network(6), np.zeros(HOSTS)
    p[0] = 1.0
    right = trust_mass(n, p, 0.7)
    weights = mass._Steps._weights
    monkeypatch.setattr(mass._Steps, "_weights", lambda *step: np.full(len(weights(*step)), nonsense))
    wrong = trust_mass(n, p, 0.7)
    assert np.abs(wrong.mass - right.mass).sum() < 1e-13


def test_what_cannot_be_reached_is_not_converged() -> None:
    with pytest.raises(NotConverged, match="residual"):
        trust_mass(network(1), np.full(HOSTS, 1 / HOSTS), 0.9, tolerance=0.0)


@pytest.mark.usefixtures("small_blocks")
@checked(20)
@given(st.integers(0, 1_000))
def test_votes_are_grouped_by_subject_and_operator(seed: int) -> None:
    n = network(seed, 60)
    votes = group_votes(n)
    members = defaultdict(set)
    for edge, group in enumerate(votes.group.tolist()):
        members[group].add((int(n.subject[edge]), int(n.operator[n.endorser[edge]])))
    assert sorted(members) == list(range(len(votes.subject)))
    assert [next(iter(members[group])) for group in sorted(members)] == sorted(set().union(*members.values()))
    assert all(len(pairs) == 1 for pairs in members.values())
    assert votes.subject.tolist() == [next(iter(members[group]))[0] for group in sorted(members)]


@checked(20)
@given(st.integers(0, 1_000), st.lists(st.integers(1, 59), max_size=6))
def test_a_tally_counts_what_counting_anew_would(seed: int, additions: list[int]) -> None:
    n = network(seed, 60)
    votes, voices = group_votes(n), np.zeros(60, dtype=np.bool_)
    with in_threads([slice(0, 20), slice(20, 60)]) as each:
        tally = Tally(n, votes, each)
        for number in (0, *additions):
            voices[np.random.default_rng(number).integers(0, 60, number)] = True
            assert tally.with_voices(voices).tolist() == count_votes(n, votes, voices).tolist()


def test_what_a_thread_raises_is_raised() -> None:
    def fail(number: int) -> None:
        raise ArithmeticError(number)

    for threads in (1, 3):
        with pytest.raises(ArithmeticError), in_threads([1, 2, 3], threads) as each:
            each(fail)


def test_a_network_of_nobody() -> None:
    empty = network_of(np.arange(0), np.zeros(1, dtype=int), np.arange(0))
    assert trust_mass(empty, np.zeros(0), 0.5).mass.tolist() == []
    assert group_votes(empty).group.tolist() == []
