"""The attack suite: every scenario of the lab against every algorithm, judged by the truth.

Each world is written to files, ingested into a store of its own and replayed as our site would have lived it, so what
is judged is the whole road from log lines and keyrings to verdicts.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trustgraph.ingest.formats.base import LogContext
from trustgraph.ingest.logs import LogOptions, ingest_logs
from trustgraph.lab import writing
from trustgraph.lab.judging import Course, TrueMessage, judge
from trustgraph.lab.scenarios import SCENARIOS, make_scenario
from trustgraph.lab.summary import Better, Case, Row, better_than, summarise
from trustgraph.lab.world import Kind, Parameters
from trustgraph.lab.writing import WrittenWorld, simulate
from trustgraph.model import Outcome, UnixSeconds, from_rfc3339
from trustgraph.scoring.algorithms import Scores
from trustgraph.scoring.registry import ALGORITHMS, algorithm_named
from trustgraph.scoring.snapshot import Floats, Ints
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.services.processes import Progress, run_all
from trustgraph.services.replay import Past, play, read_past, rules_of
from trustgraph.settings import Scoring, Settings, load_settings
from trustgraph.store import Store, open_store
from trustgraph.store.observations import message_digest

#: Algorithms that look at bad mail. To the others what is not trusted is not thereby bad, so they refuse nobody: what
#: does not stand has the newcomers' allowance. (With ``refuse`` in force they would refuse every newcomer outright.)
KNOW_BAD_MAIL = frozenset({"trustgraph", "history"})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Rows by scenario and algorithm, and who beats the ``default`` algorithm where."""

    default: str
    rows: list[Row]
    better: list[Better]


@dataclass(frozen=True, slots=True)
class Task:
    """A world to make and the algorithms to try in it. ``parameters`` None: the scenario's own."""

    scenario: str
    seed: int
    algorithms: tuple[str, ...]
    every_seconds: int
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Parameters | None = None


def evaluate(
    scenarios: Sequence[str],
    algorithms: Sequence[str],
    *,
    seeds: Sequence[int],
    every_seconds: int,
    settings: Mapping[str, str],
    jobs: int,
    progress: Progress,
    parameters: Parameters | None = None,
) -> Evaluation:
    """Judge algorithms in scenarios, all of either if none are named; ``settings`` are the scenarios' own.

    Raises :class:`UsageError` for names that there are not, before anything is made.
    """
    kinds, names = list(algorithms) or list(ALGORITHMS), list(scenarios) or list(SCENARIOS)
    for kind in kinds:
        algorithm_named(kind)
    for name in names:
        make_scenario(name, settings)
    tasks = [Task(name, seed, tuple(kinds), every_seconds, settings, parameters) for name in names for seed in seeds]
    cases = run_all(run, tasks, jobs=jobs, progress=progress)
    order = {name: place for place, name in enumerate([*names, *kinds])}
    rows = sorted(summarise(cases), key=lambda row: (order[row.scenario], order[row.algorithm]))
    default = str(Scoring.model_fields["algorithm"].default)
    return Evaluation(default, rows, better_than(cases, default))


def run(task: Task) -> list[Case]:
    """Make the world, ingest it, and let each algorithm keep the gate."""
    size = task.parameters or SCENARIOS[task.scenario].parameters
    with TemporaryDirectory(prefix="trustgraph-lab-") as directory:
        written = simulate(task.scenario, replace(size, seed=task.seed), Path(directory), task.settings)
        site = load_settings(written.directory / writing.SETTINGS, environment={})
        store = open_store(f"sqlite:///{directory}/trustgraph.db", create=True)
        try:
            ingest_world(store, site, written)
            start = written.parameters.day_start(written.parameters.history_days)
            past = read_past(store, site, start, written.parameters.until)
        finally:
            store.close()
        truth = _read_truth(written.directory, past)
    cases = []
    for algorithm in task.algorithms:
        rules = replace(rules_of(site), algorithm=algorithm_named(algorithm))
        if algorithm not in KNOW_BAD_MAIL:
            rules = replace(rules, policy=replace(rules.policy, refuse=0.0))
        watched = _Watched(truth.positions, rules.policy.accept, rules.policy.refuse)
        played = play(past, rules, every_seconds=task.every_seconds, watch=watched.step)
        cases.append(
            Case(task.scenario, task.seed, algorithm, judge(played, truth.messages, truth.kinds, watched.course()))
        )
    return cases


def ingest_world(store: Store, settings: Settings, world: WrittenWorld) -> None:
    """Read its keyring and its logs, as anybody would who was given them."""
    now = world.parameters.until
    ingest_keyrings(store, settings, [world.directory / writing.KEYRING], now)
    for log in world.logs:
        options = LogOptions(LogContext(log.observer, settings.ingest.tzinfo))
        for _ in ingest_logs(store, [world.directory / log.file], options, now):
            pass


@dataclass(frozen=True, slots=True)
class _Truth:
    """``messages``: one a message of the past. ``kinds``, ``positions``: one a host; -1 for one never heard of."""

    messages: list[TrueMessage]
    kinds: list[Kind]
    positions: Ints


def _read_truth(directory: Path, past: Past) -> _Truth:
    with (directory / writing.TRUTH).open(newline="", encoding="utf-8") as stream:
        hosts = list(csv.DictReader(stream))
    place = {(host["identity"], host["host"]): number for number, host in enumerate(hosts)}
    with gzip.open(directory / writing.TRUTH_OF_MESSAGES, "rt", encoding="utf-8", newline="") as stream:
        true = {
            (message_digest(row["message_id"]), from_rfc3339(row["observed_at"])): TrueMessage(
                row["truth"] == Outcome.SPAM, place[row["identity"], row["host"]]
            )
            for row in csv.DictReader(stream)
        }
    names = past.record.identity_name
    positions = np.searchsorted(names, [host["identity"] for host in hosts])
    known = np.array(
        [at < len(names) and names[at] == host["identity"] for at, host in zip(positions, hosts, strict=True)]
    )
    return _Truth(
        [true[message.message, message.at] for message in past.messages],
        [Kind(host["kind"]) for host in hosts],
        np.where(known, positions, -1),
    )


class _Watched:
    """How the hosts of the truth table stand at each step."""

    def __init__(self, positions: Ints, accept: float, refuse: float) -> None:
        self._positions, self._accept, self._refuse = positions, accept, refuse
        self._at: list[UnixSeconds] = []
        self._ratings: list[Floats] = []

    def step(self, at: UnixSeconds, scores: Scores) -> None:
        """Remember the ratings of one step; a host never heard of has none."""
        self._at.append(at)
        self._ratings.append(np.where(self._positions >= 0, scores.rating[self._positions], np.nan))

    def course(self) -> Course:
        """All steps together."""
        ratings = np.array(self._ratings)
        return Course(np.array(self._at, dtype=np.int64), ratings >= self._accept, ratings < self._refuse)
