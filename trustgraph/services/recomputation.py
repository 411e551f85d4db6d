"""Scoring again and again: everything is read once, and then only what changed since the last generation.

The ratings are those of `trustgraph score` at the same time, bit for bit: what is kept between two runs is what was
read, and the network as long as nothing changes it, never a result that another would be derived from.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from trustgraph.model import Identity, UnixSeconds
from trustgraph.scoring.algorithms import pose
from trustgraph.scoring.authenticator import Authentication
from trustgraph.scoring.facts import Facts, network_after, patched
from trustgraph.scoring.network import Network, build_network
from trustgraph.scoring.registry import algorithm_named
from trustgraph.services.scoring import ScoreRun, parameters_of, publish, score
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.certificates import scopes_in_use
from trustgraph.store.changes import Cursor
from trustgraph.store.facts import read_changes, read_facts


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is known after a run: the facts up to ``cursor``, and the network as it was at ``moment``."""

    facts: Facts
    cursor: Cursor
    scopes: frozenset[int]
    network: Network
    moment: UnixSeconds


class Recomputation:
    """Scores one store, as often as wanted. Holds all that it has read in memory; not for two threads at once."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._kept: _Kept | None = None

    def run(
        self, *, anchors: Mapping[Identity, float], algorithm: str, reference_time: UnixSeconds, now: UnixSeconds
    ) -> ScoreRun:
        """As :func:`trustgraph.services.scoring.score`; the notes say if everything had to be read, and why.

        After an error everything is read again.
        """
        started = time.perf_counter()
        if algorithm_named(algorithm) is Authentication:
            run = score(
                *(self._store, self._settings),
                anchors=anchors,
                algorithm=algorithm,
                reference_time=reference_time,
                now=now,
            )
            return replace(run, notes=(*run.notes, f"everything was read: {algorithm} needs more than is kept"))
        approval = self._settings.policy.require_approval
        scopes, note = scopes_in_use(self._store, self._settings.scoring.user_ids, require_approval=approval)
        kept, self._kept = self._kept, None
        kept, why = self._read(kept, scopes, reference_time)
        problem = pose(
            kept.facts.snapshot_at(reference_time), anchors, parameters_of(self._settings), network=kept.network
        )
        run = publish(self._store, self._settings, problem, anchors, algorithm, started=started, now=now)
        self._kept = kept
        notes = (note, f"everything was read: {why}" if why else "", *run.notes)
        return replace(run, notes=tuple(each for each in notes if each))

    def _read(self, kept: _Kept | None, scopes: frozenset[int], moment: UnixSeconds) -> tuple[_Kept, str]:
        """The facts as they are now, and why everything had to be read, if so."""
        if kept is None:
            return self._read_all(scopes, moment), "this is the first run"
        if kept.scopes != scopes:
            return self._read_all(scopes, moment), "other User IDs make endorsements now"
        found = read_changes(self._store, scopes, kept.cursor)
        if found is None:
            return self._read_all(scopes, moment), "what changed since the last run is not on record"
        delta, cursor = found
        try:
            facts, changed = patched(kept.facts, delta)
        except LookupError as error:
            return self._read_all(scopes, moment), f"what changed does not fit what was known ({error})"
        network = network_after(kept.network, kept.facts, kept.moment, facts, moment, changed)
        return _Kept(facts, cursor, scopes, network, moment), ""

    def _read_all(self, scopes: frozenset[int], moment: UnixSeconds) -> _Kept:
        facts, cursor = read_facts(self._store, scopes)
        return _Kept(facts, cursor, scopes, build_network(facts.snapshot_at(moment)), moment)
