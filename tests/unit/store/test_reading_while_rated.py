"""Whoever looks while a generation is being written sees the one before or the whole of it, never a part."""

from __future__ import annotations

import threading

import numpy as np

from trustgraph.model import Identity, UnixSeconds
from trustgraph.scoring.algorithms import Scores
from trustgraph.store import Store, open_store
from trustgraph.store.accepting import ratings_of
from trustgraph.store.generations import Generation, latest_generation, read_ratings, write_generation
from trustgraph.store.identities import number_identities

HOSTS = [Identity.dkim(f"d{n}.example") for n in range(400)]
GENERATIONS = 25


def write(store: Store, turn: int) -> None:
    """All of them get the same rating, which tells the generation."""
    with store.writing() as connection:
        numbers = np.array(sorted(number_identities(connection, dict.fromkeys(HOSTS, "")).values()))
    each = np.full(len(HOSTS), turn / 100)
    ones = np.full(len(HOSTS), 1)
    at = UnixSeconds(turn)
    made = Generation("trustgraph", at, at, UnixSeconds(turn + 100), len(HOSTS), 0, 1, 0.1, {})
    write_generation(store, made, numbers, Scores(each, each, ones, ones, 1), keep=GENERATIONS + 1)


def test_readers_never_see_half_a_generation(store: Store, url: str) -> None:
    write(store, 1)
    looked, done = threading.Barrier(3, timeout=60), threading.Event()
    seen: list[list[float]] = []
    bad: list[str] = []

    def look(mine: Store) -> float:
        rows = ratings_of(mine, HOSTS)
        values = {row.rating for row in rows.values()}
        if len(rows) != len(HOSTS) or len(values) != 1:
            bad.append(f"{len(rows)} hosts with {len(values)} ratings")
        newest = latest_generation(mine)
        assert newest is not None
        listed = {rating.rating for rating in read_ratings(mine, newest)}
        if listed != {newest.generated_at / 100}:
            bad.append(f"generation {newest.generated_at} lists {listed}")
        return max(values)

    def read() -> None:
        mine = open_store(url)  # as another process would
        try:
            turns = [look(mine)]
            looked.wait()
            while not done.is_set():
                turns.append(look(mine))
            turns.append(look(mine))
            seen.append(turns)
        finally:
            mine.close()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    looked.wait()  # each has seen the first generation before there is a second
    for turn in range(2, GENERATIONS + 1):
        write(store, turn)
    done.set()
    for reader in readers:
        reader.join()
    assert bad == []
    assert len(seen) == 2, "a reader failed"
    for turns in seen:
        assert turns == sorted(turns)
        assert (turns[0], turns[-1]) == (1 / 100, GENERATIONS / 100)
