"""Algorithms among sybils on graphs read from files; the figures against the same done by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made_graphs import HOSTS, write_graphs
from trustgraph.errors import BadInput, NoInput, UsageError
from trustgraph.lab.grafting import Attack, graft
from trustgraph.lab.realgraphs import Graph
from trustgraph.scoring.algorithms import Parameters, pose
from trustgraph.scoring.registry import ALGORITHMS
from trustgraph.services.graph_evaluation import (
    EQUAL_SHARE,
    PROTOCOL,
    Accepted,
    Trial,
    at_equal_share,
    evaluate_graphs,
    judge,
    read_graphs,
    summarise,
)

#: Hosts with a quorum are all but the first few of a chain in which each endorses the next three.
_CHAIN = np.array([(u, v) for v in range(HOSTS) for u in range(max(0, v - 3), v)])
RING_OF_TEN = graft(Graph(HOSTS, _CHAIN[:, 0], _CHAIN[:, 1]), Attack(6, sybils=10), seed=1)


def evaluated(directory: Path, algorithms: Sequence[str] = (), edges: Sequence[int] = (2, 40)) -> pd.DataFrame:
    graphs = read_graphs(write_graphs(directory))
    return evaluate_graphs(
        graphs, algorithms, seeds=range(1, 4), edges=edges, jobs=1, progress=lambda done, total: None
    )


def test_the_protocol_is_what_is_written() -> None:
    assert replace(PROTOCOL, edges=1) == Attack(1, sybils=1_000, reach=3, camouflage=20)


def test_rows_are_what_the_algorithm_says_of_each_graft(tmp_path: Path) -> None:
    table = evaluated(tmp_path, ["pagerank"]).set_index(["graph", "edges"])
    graph = read_graphs(tmp_path)["archlinux"]
    sybils, honest, capable, equal = [], [], [], []
    for seed in (1, 2, 3):
        attacked = graft(graph, replace(PROTOCOL, edges=40), seed=seed)
        rating = ALGORITHMS["pagerank"](pose(attacked.snapshot, attacked.anchors, Parameters())).scores().rating
        sybils.append(int((rating[HOSTS:] >= 0.5).sum()))
        honest.append(fmean((rating[:HOSTS] >= 0.5).tolist()))
        able = graph.endorsements_of >= 3
        capable.append(fmean((rating[:HOSTS][able] >= 0.5).tolist()))
        # The highest rating that enough of them reach.
        ordered = np.sort(rating[:HOSTS][able])[::-1]
        equal.append(int((rating[HOSTS:] >= ordered[int(np.ceil(EQUAL_SHARE * len(ordered))) - 1]).sum()))
    row = table.loc[("archlinux", 40)]
    assert len(set(sybils)) > 1
    assert row["runs"] == 3
    for name, values in {
        "sybils": sybils,
        "honest": honest,
        "with_quorum": capable,
        "sybils_at_equal_share": equal,
    }.items():
        assert row[name] == pytest.approx(fmean(values)), name
        assert row[f"{name}_error"] == pytest.approx(stdev(values) / 3**0.5), name


def test_every_graph_number_of_edges_and_algorithm_has_its_row(tmp_path: Path) -> None:
    table = evaluated(tmp_path, edges=(40, 2, 40))
    assert list(zip(table["graph"], table["edges"], table["algorithm"], strict=True)) == [
        (graph, edges, name) for graph in ("archlinux", "bitcoin-alpha") for edges in (2, 40) for name in ALGORITHMS
    ]


def test_fewer_edges_than_a_quorum_get_no_sybil_in_and_many_get_in_whoever_counts_only(tmp_path: Path) -> None:
    table = evaluated(tmp_path, ["trustgraph", "endorsement-count"]).set_index(["graph", "edges", "algorithm"])
    assert table.loc[("archlinux", 2, "trustgraph"), "sybils"] == 0
    assert table.loc[("archlinux", 2, "trustgraph"), "with_quorum"] > 0.9
    assert table.loc[("archlinux", 40, "endorsement-count"), "sybils"] == 1_000
    assert table.loc[("archlinux", 40, "trustgraph"), "sybils"] < 100


def test_who_accepts_nobody_has_no_equal_share(tmp_path: Path) -> None:
    (row,) = evaluated(tmp_path, ["history"], edges=[6]).query("graph == 'archlinux'").to_dict("records")
    assert (row["sybils"], row["honest"], row["with_quorum"]) == (0.0, 0.0, 0.0)
    assert np.isnan([row["sybils_at_equal_share"], row["sybils_at_equal_share_error"]]).all()


def test_one_run_has_no_error(tmp_path: Path) -> None:
    graphs = read_graphs(write_graphs(tmp_path))
    table = evaluate_graphs(graphs, ["pagerank"], seeds=[1], jobs=1, progress=lambda done, total: None)
    assert table["sybils"].any()
    assert (table.filter(like="_error") == 0.0).all(axis=None)


def test_an_equal_share_that_one_run_misses_is_missed() -> None:
    same: Trial = {"graph": "a", "edges": 6, "algorithm": "b", "sybils": 4, "honest": 0.5, "with_quorum": 1.0}
    (row,) = summarise(
        [{**same, "sybils_at_equal_share": 3}, {**same, "sybils": 6, "sybils_at_equal_share": None}]
    ).to_dict("records")
    assert (row["runs"], row["sybils"], row["sybils_error"]) == (2, 5.0, pytest.approx(1.0))
    assert np.isnan([row["sybils_at_equal_share"], row["sybils_at_equal_share_error"]]).all()


def test_hosts_and_sybils_are_counted_apart(tmp_path: Path) -> None:
    attacked = graft(read_graphs(write_graphs(tmp_path))["bitcoin-alpha"], Attack(6, sybils=10, reach=2), seed=1)
    accepted = np.zeros(HOSTS + 10, dtype=np.bool_)
    accepted[[0, 3, 6, HOSTS, HOSTS + 9]] = True
    able = np.flatnonzero(attacked.capable)
    assert 0 < len(able) < HOSTS
    assert judge(attacked, accepted) == Accepted(2, 3 / HOSTS, len({0, 3, 6} & set(able.tolist())) / len(able))


@given(st.lists(st.integers(0, 20), min_size=HOSTS, max_size=HOSTS), st.integers(0, 5))
def test_an_equal_share_is_reached_as_narrowly_as_can_be_and_never_by_the_unknown(
    rated: list[int], sybils: int
) -> None:
    attacked = RING_OF_TEN
    rating = np.array([*rated, *[sybils] * 10], dtype=np.float64)
    accepted = at_equal_share(attacked, rating)
    assert not accepted[rating == rating.min()].any()
    if accepted.any():
        least = rating[accepted].min()
        assert (accepted == (rating >= least)).all()
        assert (rating[attacked.capable] > least).mean() < EQUAL_SHARE
    able = rating[attacked.capable]
    assert (accepted[attacked.capable].mean() >= EQUAL_SHARE) == ((able > rating.min()).mean() >= EQUAL_SHARE)


def test_no_graph_is_said_with_the_names_of_those_that_could_be(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match=r"debian_wot\.csv and archlinux_wot\.csv .*alpha_network\.csv .*docs/lab\.md"):
        read_graphs(tmp_path)


@pytest.mark.parametrize("text", ["signer_keyid,subject_keyid,sigtype,signer_in_ring\n", "a,b\n1,2\n"])
def test_a_graph_without_a_quorum_or_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (write_graphs(tmp_path) / "debian_wot.csv").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"debian_wot\.csv: "):
        read_graphs(tmp_path)


@pytest.mark.parametrize(("algorithms", "edges"), [(["nothing"], [6]), ([], [0])])
def test_what_there_is_not_is_a_usage_error(tmp_path: Path, algorithms: list[str], edges: list[int]) -> None:
    with pytest.raises(UsageError):
        evaluated(tmp_path, algorithms, edges)
