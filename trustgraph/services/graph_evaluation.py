"""The attack suite on real trust graphs: how many grafted sybils each algorithm accepts, and how many honest hosts.

The protocol: 1,000 new keys in a ring, each endorsing the next three and 20 honest hosts; k honest hosts, drawn alike,
endorse one sybil each, drawn alike among the first k / 2; the anchors are the three that endorse most others; nobody
has a mail history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from trustgraph.errors import BadInput, NoInput
from trustgraph.lab.grafting import Attack, Graft, graft
from trustgraph.lab.realgraphs import GRAPHS, Graph
from trustgraph.scoring.algorithms import Parameters, pose
from trustgraph.scoring.registry import ALGORITHMS, algorithm_named
from trustgraph.scoring.snapshot import Flags, Floats
from trustgraph.services.processes import Progress, run_all

#: Numbers of attack edges, unless others are asked for.
EDGES = (6, 20, 100)
#: The attack; how many edges it has is said apart.
PROTOCOL = Attack(EDGES[0])
#: Share of the honest hosts with a quorum at which algorithms with scales of their own are compared.
EQUAL_SHARE = 0.93
#: Columns of a trial that are averaged; each has its standard error beside it.
MEASURES = ("sybils", "honest", "with_quorum", "sybils_at_equal_share")

_PARAMETERS = Parameters()
#: What one algorithm does under one attack: graph, algorithm, edges and the :data:`MEASURES`.
Trial: TypeAlias = dict[str, str | int | float | None]


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many ``sybils``; which share of ``honest`` hosts, and of those ``with_quorum`` of honest endorsers."""

    sybils: int
    honest: float
    with_quorum: float


@dataclass(frozen=True, slots=True)
class Task:
    """One attack on one graph, and the algorithms to try on it."""

    name: str
    graph: Graph
    attack: Attack
    seed: int
    algorithms: tuple[str, ...]


def read_graphs(directory: Path) -> dict[str, Graph]:
    """Those of :data:`GRAPHS` that are in the directory.

    Raises :class:`NoInput` if none is, and :class:`BadInput` for a file of something else.
    """
    found = {}
    for name, (file, read) in GRAPHS.items():
        path = directory / file
        if not path.exists():
            continue
        graph = found[name] = read(path)
        if not with_quorum(graph).any():
            raise BadInput(f"{path}: nobody in it has {_PARAMETERS.quorum} endorsers, so no quorum can be reached")
    if not found:
        files = {name: file for name, (file, _) in GRAPHS.items()}
        raise NoInput(
            f"{directory}: expected one or more of {files['debian']} and {files['archlinux']} (certifications in "
            f"Debian's and Arch Linux's keyrings, as CSV) and {files['bitcoin-alpha']} (Bitcoin Alpha, of SNAP's "
            "network datasets); docs/lab.md says how to make them"
        )
    return found


def with_quorum(graph: Graph) -> Flags:
    """Which hosts have a quorum of endorsers."""
    quorum: Flags = graph.endorsements_of >= _PARAMETERS.quorum
    return quorum


def evaluate_graphs(
    graphs: Mapping[str, Graph],
    algorithms: Sequence[str],
    *,
    seeds: Sequence[int],
    jobs: int,
    progress: Progress,
    edges: Sequence[int] = EDGES,
) -> pd.DataFrame:
    """One row for each ``graph``, ``algorithm`` (all if none is named) and number of attack ``edges``.

    Columns, means over ``runs`` (one a seed): ``sybils`` accepted, the shares of ``honest`` hosts and of those
    ``with_quorum`` of honest endorsers that are, and ``sybils_at_equal_share``: how many rate as high as the best
    :data:`EQUAL_SHARE` of the latter, NaN where the algorithm tells fewer of them from the unknown. Each has its
    standard error beside it, named ``…_error``, 0 for a single run. Raises :class:`UsageError` for names that there
    are not, before anything is tried, and for edges below 1.
    """
    names = tuple(dict.fromkeys(algorithms)) or tuple(ALGORITHMS)
    for name in names:
        algorithm_named(name)
    tasks = [
        Task(name, graph, replace(PROTOCOL, edges=each), seed, names)
        for name, graph in graphs.items()
        for each in sorted(set(edges))
        for seed in seeds
    ]
    return summarise(run_all(run, tasks, jobs=jobs, progress=progress))


def run(task: Task) -> list[Trial]:
    """Graft the sybils on, and let each algorithm rate everybody."""
    attacked = graft(task.graph, task.attack, seed=task.seed, quorum=_PARAMETERS.quorum)
    problem = pose(attacked.snapshot, attacked.anchors, _PARAMETERS)
    trials = []
    for algorithm in task.algorithms:
        rating = ALGORITHMS[algorithm](problem).scores().rating
        equal = judge(attacked, at_equal_share(attacked, rating))
        trial: Trial = {"graph": task.name, "algorithm": algorithm, "edges": task.attack.edges}
        trial |= asdict(judge(attacked, rating >= _PARAMETERS.accept))
        trial["sybils_at_equal_share"] = equal.sybils if equal.with_quorum >= EQUAL_SHARE else None
        trials.append(trial)
    return trials


def judge(attacked: Graft, accepted: Flags) -> Accepted:
    """Whom it is right and wrong to accept."""
    return Accepted(
        sybils=int(accepted[attacked.sybil].sum()),
        honest=float(accepted[~attacked.sybil].mean()),
        with_quorum=float(accepted[attacked.capable].mean()),
    )


def at_equal_share(attacked: Graft, rating: Floats) -> Flags:
    """Who rates as high as :data:`EQUAL_SHARE` of the honest hosts with a quorum, and above the unknown."""
    least = np.quantile(rating[attacked.capable], 1.0 - EQUAL_SHARE, method="lower")
    equal: Flags = (rating >= least) & (rating > rating.min())
    return equal


def summarise(trials: Sequence[Trial]) -> pd.DataFrame:
    """Means and standard errors of :data:`MEASURES`, in the order in which graphs, edges and algorithms come."""
    table = pd.DataFrame(list(trials)).astype(dict.fromkeys(MEASURES, "float64"))
    groups = table.groupby(["graph", "edges", "algorithm"], sort=False)
    columns: dict[str, pd.Series[float] | pd.Series[int]] = {"runs": groups.size()}
    for measure in MEASURES:
        # A mean over some of the runs alone would say that it can what it cannot.
        mean = groups[measure].mean(skipna=False)
        columns |= {measure: mean, f"{measure}_error": groups[measure].sem().fillna(0.0).where(mean.notna())}
    return pd.DataFrame(columns).reset_index()
