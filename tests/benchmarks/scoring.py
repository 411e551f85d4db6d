"""Scoring a million hosts and ten million: beside networkx, beside memory, from a database, and after a change."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import networkx as nx
import numpy as np

from tests.benchmarks.measure import measure, print_table
from trustgraph.model import Endorsement, Identity, UnixSeconds, day_of
from trustgraph.scoring.algorithms import Parameters, pose
from trustgraph.scoring.gather import available_cores
from trustgraph.scoring.mass import trust_mass
from trustgraph.scoring.network import build_network
from trustgraph.scoring.registry import algorithm_named
from trustgraph.scoring.snapshot import NEVER, Ints, Snapshot
from trustgraph.services.recomputation import Recomputation
from trustgraph.services.scoring import score
from trustgraph.settings import Settings
from trustgraph.store import open_store
from trustgraph.store.tables import add_endorsements

HOSTS = 1_000_000
BIG = 10_000_000
EACH = 10  # endorsements a host
ANCHORS = 5
OBSERVERS = 100
NOW = UnixSeconds(1_793_491_200)
ROUNDS = 15
CHANGES = 5


def anchors() -> dict[Identity, float]:
    return {Identity(name_of(i)): 1.0 for i in range(ANCHORS)}


def name_of(host: int) -> str:
    return f"openpgp:{host:040x}"


def edges(hosts: int) -> tuple[Ints, Ints]:
    """(endorser, subject) of about ten endorsements a host, by heavy-tailed endorsers, sorted by subject."""
    dice = np.random.default_rng(1)
    found = []
    for first in range(0, hosts, HOSTS):
        size = min(HOSTS, hosts - first)
        subject = dice.integers(first, first + size, size * EACH)
        endorser = (dice.random(len(subject)) ** 2 * hosts).astype(np.int64)
        pairs = np.sort(subject * hosts + endorser)
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        found.append(((pairs % hosts).astype(np.int32), (pairs // hosts).astype(np.int32)))
    return np.concatenate([e for e, _ in found]), np.concatenate([s for _, s in found])


def snapshot(hosts: int) -> Snapshot:
    """A network of so many hosts, two of them an operator, each of whose mail was seen on one day."""
    endorser, subject = edges(hosts)
    dice = np.random.default_rng(2)
    domains = [f"d{i}.example" for i in range((hosts + 1) // 2)]
    domain = np.array(domains, dtype=np.object_).repeat(2)[:hosts]
    everybody = np.arange(hosts, dtype=np.int32)
    always = np.broadcast_to(np.int64(NEVER), hosts)
    return Snapshot(
        reference_time=NOW,
        identity_number=everybody,
        identity_name=np.array([name_of(i) for i in range(hosts)], dtype=np.object_),
        identity_host=np.array([f"mx{i % 2}.{domains[i // 2]}" for i in range(hosts)], dtype=np.object_),
        identity_operator=domain,
        key_identity=everybody,
        key_created_at=np.broadcast_to(np.int64(0), hosts),
        key_expires_at=always,
        key_revoked_at=always,
        certification_subject=subject,
        certification_endorser=endorser,
        certification_user_id=np.zeros(len(subject), dtype=np.int32),
        certification_live=np.ones(len(subject), dtype=np.int8),
        count_subject=everybody,
        count_observer=dice.integers(0, OBSERVERS, hosts, dtype=np.int32),
        count_day=(day_of(NOW) - dice.integers(0, 90, hosts)).astype(np.int32),
        count_good=dice.integers(0, 20, hosts, dtype=np.int32),
        count_bad=np.where(dice.random(hosts) < 0.02, 30, 0).astype(np.int32),
        count_unknown=np.zeros(hosts, dtype=np.int32),
    )


#: What networkx stops at by default, a host.
NETWORKX_TOLERANCE = 1e-6


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def ours(hosts: int, algorithm: str) -> tuple[int, int, float]:
    """(edges, iterations, seconds) from arrays to ratings."""
    data = snapshot(hosts)

    def rate() -> Any:
        problem = pose(data, anchors(), Parameters())
        return len(problem.network.endorser), algorithm_named(algorithm)(problem).scores()

    (size, scores), seconds = timed(rate)
    return size, scores.iterations, seconds


def ours_as_far_as_theirs() -> tuple[int, float]:
    """(iterations, seconds) from arrays to PageRank with networkx's own rule to stop, its default."""
    data = snapshot(HOSTS)

    def rank() -> Any:
        problem = pose(data, anchors(), Parameters())
        return trust_mass(
            problem.network, problem.preference, Parameters().damping, tolerance=HOSTS * NETWORKX_TOLERANCE
        )

    mass, seconds = timed(rank)
    return mass.iterations, seconds


def theirs() -> float:
    """Seconds of networkx from the same arrays to its PageRank."""
    endorser, subject = edges(HOSTS)

    def rate() -> object:
        graph = nx.DiGraph()
        graph.add_nodes_from(range(HOSTS))
        graph.add_edges_from(zip(endorser.tolist(), subject.tolist(), strict=True))
        weights = dict.fromkeys(range(ANCHORS), 1.0)
        return nx.pagerank(graph, Parameters().damping, personalization=weights, tol=NETWORKX_TOLERANCE)

    return timed(rate)[1]


def iterations() -> list[tuple[object, ...]]:
    """Rows: an iteration in one thread and in all, beside reading as many numbers at random."""
    network = build_network(snapshot(HOSTS))
    x, y = np.random.default_rng(3).random(network.size), np.empty(len(network.endorser))
    floor = _milliseconds(lambda: np.take(x, network.endorser, out=y, mode="clip"))
    results, rows = [], [("random gather of as many numbers (NumPy, one thread)", f"{floor:.0f} ms", "1.0", "")]
    preference = np.zeros(network.size)
    preference[:ANCHORS] = 1 / ANCHORS
    for threads in sorted({1, 2, available_cores()}):
        mass, seconds = timed(lambda threads=threads: trust_mass(network, preference, 0.7, threads=threads))  # type: ignore[misc]
        results.append(mass.mass)
        spent = seconds / mass.iterations * 1000
        rows.append(
            (f"an iteration of trust mass, {threads} thread(s)", f"{spent:.0f} ms", f"{spent / floor:.1f}", "3")
        )
    assert all(np.array_equal(result, results[0]) for result in results), "threads change the result"
    return rows


def _milliseconds(call: Callable[[], object]) -> float:
    return median(timed(call)[1] for _ in range(ROUNDS)) * 1000


def make_database(path: Path, hosts: int = HOSTS) -> None:
    """The same network, written past the store's own checks."""
    open_store(f"sqlite:///{path}", create=True).close()
    endorser, subject = edges(hosts)
    pairs = zip(subject.tolist(), endorser.tolist(), strict=True)
    connection = sqlite3.connect(path)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO identity (id, name, host, operator) VALUES (?, ?, ?, ?)",
        ((i + 1, name_of(i), f"mx{i % 2}.d{i // 2}.example", f"d{i // 2}.example") for i in range(hosts)),
    )
    connection.executemany(
        "INSERT INTO certification (subject_id, endorser_id, user_id_id, made_at, expires_at, scope, type, depth, "
        "amount, weak, source_id) VALUES (?, ?, 0, 1700000000, ?, 0, 16, 0, 120, 0, 1)",
        ((s + 1, e + 1, None if (s + e) % 3 else 1_900_000_000) for s, e in pairs),
    )
    connection.commit()
    connection.close()


def score_once(path: str) -> tuple[int, int, int, float]:
    """(identities, endorsements, iterations, seconds of loading and scoring) of one full run."""
    store = open_store(f"sqlite:///{path}")
    run = score(*(store, Settings()), anchors=anchors(), algorithm="trustgraph", reference_time=NOW, now=NOW)
    store.close()
    g = run.generation
    return g.identities, g.endorsements, g.iterations, g.seconds


def score_again(path: str, hosts: int = HOSTS) -> tuple[float, float]:
    """Seconds until the ratings are there, and until they are published, after a thousandth of the network changed.

    Medians of :data:`CHANGES` such changes, one after the other.
    """
    store = open_store(f"sqlite:///{path}")
    recomputation = Recomputation(store, Settings())

    def run() -> Any:
        return recomputation.run(anchors=anchors(), algorithm="trustgraph", reference_time=NOW, now=NOW)

    run()
    dice = np.random.default_rng(4)
    changed = hosts * EACH // 1000
    scored, published = [], []
    for number in range(CHANGES):
        pairs = zip(dice.integers(0, hosts, changed).tolist(), dice.integers(0, hosts, changed).tolist(), strict=True)
        made = UnixSeconds(1_750_000_000 + number)
        rows = [Endorsement(Identity(name_of(e)), Identity(name_of(s)), made) for e, s in pairs]
        add_endorsements(store, rows, 1)
        again, seconds = timed(run)
        assert not again.notes, again.notes
        scored.append(again.generation.seconds)
        published.append(seconds)
    store.close()
    return median(scored), median(published)


def compare_with_networkx() -> None:
    """A million hosts: end to end, and an iteration beside memory."""
    loose, quick = measure(ours_as_far_as_theirs).result
    size, count, seconds = measure(ours, HOSTS, "pagerank").result
    default = measure(ours, HOSTS, "trustgraph").result
    slow = measure(theirs).result
    title = f"{HOSTS:,} hosts, {size:,} endorsements"
    rows: list[tuple[object, ...]] = [
        ("networkx: DiGraph and pagerank, to 1e-6 a host", f"{slow:.1f}", "1", ""),
        (f"trust mass as exactly, iterations: {loose}", f"{quick:.2f}", f"{slow / quick:.0f}", "100"),
        (f"pagerank to 1e-11 in all, iterations: {count}", f"{seconds:.2f}", f"{slow / seconds:.0f}", ""),
        ("trustgraph (the default)", f"{default[2]:.2f}", f"{slow / default[2]:.0f}", ""),
    ]
    print_table(title, ("from arrays to ratings", "seconds", "times faster", "wanted"), rows)
    print_table(title, ("one iteration", "took", "ratio", "wanted"), measure(iterations).result)


def score_ten_million() -> None:
    """The default algorithm on ten million hosts, with what it takes of memory."""
    big = measure(ours, BIG, "trustgraph")
    rows: list[tuple[object, ...]] = [
        ("scored", f"{big.result[2]:.1f} s", "90 s"),
        ("peak memory, with the arrays and names", f"{big.peak_bytes / 1e9:.2f} GB", "8 GB"),
    ]
    title = f"{BIG:,} hosts, {big.result[0]:,} endorsements, {big.result[1]} iterations, the default"
    print_table(title, ("from arrays to ratings", "measured", "wanted"), rows)


def score_from_database(directory: Path) -> None:
    """A million hosts out of SQLite, in full, and again after a thousandth of the endorsements came new."""
    make_database(directory / "big.db")
    measured = measure(score_once, str(directory / "big.db"))
    identities, endorsements, count, full = measured.result
    again, published = measure(score_again, str(directory / "big.db")).result
    rows: list[tuple[object, ...]] = [
        ("loaded and scored", f"{full:.1f} s", ""),
        ("published too", f"{measured.seconds:.1f} s", "30 s"),
        ("peak memory", f"{measured.peak_bytes / 1e9:.2f} GB", "4 GB"),
        (f"scored again after 0.1 % changed (median of {CHANGES})", f"{again:.2f} s", f"{full / 5:.2f} s"),
        ("published too", f"{published:.1f} s", ""),
    ]
    title = f"{identities:,} identities, {endorsements:,} endorsements, {count} iterations, from SQLite"
    print_table(title, ("step", "measured", "wanted"), rows)


def run(directory: Path) -> None:
    """Print the tables."""
    compare_with_networkx()
    score_ten_million()
    score_from_database(directory)
