"""One run of scoring: snapshot, problem, algorithm, generation; and why a rating is what it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from trustgraph.errors import BadInput, NoInput
from trustgraph.model import Identity, IdentityKind, Rating, UnixSeconds, parse_domain
from trustgraph.scoring.algorithms import Algorithm, Parameters, Problem, pose
from trustgraph.scoring.authenticator import Authentication
from trustgraph.scoring.explanation import Discarded, Explanation, reason_discarded
from trustgraph.scoring.history import HistoryParameters
from trustgraph.scoring.network import live_keys
from trustgraph.scoring.registry import algorithm_named
from trustgraph.scoring.standing import standing_of
from trustgraph.scoring.trustgraph import Trustgraph
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.arrays import read_snapshot
from trustgraph.store.certificates import certifications_on, labels_of, scopes_in_use
from trustgraph.store.generations import (
    Generation,
    identities_of_host,
    latest_generation,
    read_ratings,
    write_generation,
)


@dataclass(frozen=True, slots=True)
class ScoreRun:
    """A published generation and what the operator should know about it."""

    generation: Generation
    notes: tuple[str, ...]


def parameters_of(settings: Settings) -> Parameters:
    """What the settings say about rating."""
    history = HistoryParameters(
        half_life_days=settings.scoring.half_life_seconds / 86_400, unknown_weight=settings.scoring.unknown_weight
    )
    policy = settings.policy
    return Parameters(quorum=policy.quorum, accept=policy.accept, refuse=policy.refuse, history=history)


def anchors_of(settings: Settings, given: Mapping[Identity, float] | None = None) -> dict[Identity, float]:
    """Anchors given on the command line, else those of the settings; this host's own observations always count."""
    anchors = dict(given or {Identity(name): weight for name, weight in settings.anchors.items()})
    if settings.site.hostname:
        anchors.setdefault(Identity.helo(settings.site.hostname), 1.0)
    return anchors


def score(
    store: Store,
    settings: Settings,
    *,
    anchors: Mapping[Identity, float],
    algorithm: str,
    reference_time: UnixSeconds,
    now: UnixSeconds,
) -> ScoreRun:
    """Rate everything at ``reference_time`` and publish it as one generation.

    Raises :class:`NoAnchors`, :class:`NotConverged`, :class:`UsageError` for an unknown algorithm.
    """
    started = time.perf_counter()
    kind = algorithm_named(algorithm)
    problem, notes = _problem(store, settings, anchors, reference_time, kind)
    run = publish(store, settings, problem, anchors, algorithm, started=started, now=now)
    return replace(run, notes=(*notes, *run.notes))


def publish(
    store: Store,
    settings: Settings,
    problem: Problem,
    anchors: Mapping[Identity, float],
    algorithm: str,
    *,
    started: float,
    now: UnixSeconds,
) -> ScoreRun:
    """Solve a problem and write its generation; ``started`` is what ``time.perf_counter()`` said at the beginning."""
    scores = algorithm_named(algorithm)(problem).scores()
    generation = Generation(
        algorithm=algorithm,
        reference_time=problem.snapshot.reference_time,
        generated_at=now,
        expires_at=UnixSeconds(int(now + settings.scoring.valid_for_seconds)),
        identities=len(scores.rating),
        endorsements=len(problem.network.endorser),
        iterations=scores.iterations,
        seconds=round(time.perf_counter() - started, 3),
        parameters=asdict(problem.parameters) | {"anchors": {str(k): v for k, v in anchors.items()}},
    )
    number = write_generation(
        store, generation, problem.snapshot.identity_number, scores, keep=settings.scoring.keep_generations
    )
    return ScoreRun(replace(generation, number=number), tuple(_notes(problem, anchors)))


def solve(store: Store, settings: Settings, generation: Generation) -> tuple[Problem, Algorithm]:
    """The problem of a generation solved again, from what the store holds now."""
    anchors = {Identity(name): weight for name, weight in generation.parameters["anchors"].items()}
    kind = algorithm_named(generation.algorithm)
    problem, _ = _problem(store, settings, anchors, generation.reference_time, kind)
    return problem, kind(problem)


def explain(store: Store, settings: Settings, identity: Identity) -> Explanation:
    """Where a rating comes from. Raises :class:`NoInput` for an unknown identity or when nothing was scored."""
    generation = require_generation(store)
    problem, algorithm = solve(store, settings, generation)
    names = problem.snapshot.identity_name
    position = int(np.searchsorted(names, identity))
    if position == len(names) or names[position] != identity:
        raise NoInput(f"{identity} is not in the store")
    scores, p = algorithm.scores(), problem.parameters
    rating, endorsers = float(scores.rating[position]), int(scores.endorsers[position])
    standing = standing_of(rating, int(scores.sample_size[position]), endorsers, accept=p.accept, refuse=p.refuse)
    critical = algorithm.critical(position) if isinstance(algorithm, Trustgraph) else []
    return Explanation(
        *(identity, str(problem.snapshot.identity_host[position]), rating, standing.value),
        *(generation.algorithm, generation.reference_time, tuple(algorithm.contributions(position))),
        discarded=tuple(_discarded(store, problem, position, settings.policy.require_approval)),
        critical=tuple(str(names[u]) for u in critical),
        labels=labels_of(store, [Identity(names[u]) for u in problem.network.into(position)]),
    )


def ratings(store: Store, names: list[str]) -> list[Rating]:
    """The latest rating of each identity or host name given, in that order.

    Raises :class:`NoInput` for one that nothing is known of, :class:`BadInput` for one that is neither.
    """
    generation = require_generation(store)
    found: list[Rating] = []
    for name in names:
        identities = resolve(store, name)
        rated = list(read_ratings(store, generation, identities))
        if not rated:
            raise NoInput(f"{name}: no rating; it was not known when generation {generation.number} was scored")
        found += rated
    return found


def resolve(store: Store, name: str) -> list[Identity]:
    """Identities that a name on the command line means: itself, a bare fingerprint, or all of a host."""
    kind = name.partition(":")[0].lower()
    if kind in set(IdentityKind):
        return [Identity.parse(name)]
    try:
        return [Identity.openpgp(name)]
    except BadInput:
        found = identities_of_host(store, parse_domain(name))
    if not found:
        raise NoInput(f"{name}: neither an identity (such as dkim:example.org) nor a host that the store knows")
    return found


def require_generation(store: Store) -> Generation:
    """The newest generation, or :class:`NoInput` saying how to make one."""
    generation = latest_generation(store)
    if generation is None:
        raise NoInput("nothing has been scored yet: run `trustgraph score`")
    return generation


def _problem(
    store: Store,
    settings: Settings,
    anchors: Mapping[Identity, float],
    reference_time: UnixSeconds,
    kind: type[Algorithm],
) -> tuple[Problem, list[str]]:
    approval = settings.policy.require_approval
    scopes, note = scopes_in_use(store, settings.scoring.user_ids, require_approval=approval)
    snapshot = read_snapshot(store, reference_time, scopes, delegation=kind is Authentication)
    return pose(snapshot, anchors, parameters_of(settings)), [note] if note else []


def _notes(problem: Problem, anchors: Mapping[Identity, float]) -> list[str]:
    """What makes a run count for less than the operator may think."""
    snapshot = problem.snapshot
    place = {anchor: snapshot.position_of(anchor) for anchor in anchors}
    notes = [f"anchor {a} is not in the store" for a in anchors if place[a] is None and not a.startswith("helo:")]
    live = problem.network.live
    dead = [anchor for anchor, position in place.items() if position is not None and not live[position]]
    notes += [f"anchor {anchor}: its key is expired or revoked, so it is none" for anchor in dead]
    unknown, decided = int(snapshot.count_unknown.sum()), int((snapshot.count_good + snapshot.count_bad).sum())
    if unknown > decided and not problem.parameters.history.unknown_weight:
        notes.append(
            f"{unknown} authenticated messages have no outcome and count for nothing; if mail that nobody complained "
            "about is to count as good, set scoring.unknown_weight, such as 0.1"
        )
    return notes


def _discarded(store: Store, problem: Problem, position: int, require_approval: bool) -> list[Discarded]:
    snapshot, network = problem.snapshot, problem.network
    now = snapshot.reference_time
    counting = {str(snapshot.identity_name[u]) for u in network.into(position)}
    live = live_keys(snapshot)
    place = {name: i for i, name in enumerate(snapshot.identity_name)}
    found = []
    for row in certifications_on(store, Identity(snapshot.identity_name[position]), now):
        reason = reason_discarded(
            made_at=row.made_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            weak=row.weak,
            superseded=row.superseded,
            now=now,
            approved=not require_approval if row.approved is None else row.approved,
        )
        endorser = place[row.endorser]
        if not reason and row.endorser not in counting:
            if not live[endorser]:
                reason = "its endorser's key is expired or revoked"
            elif network.operator[endorser] == network.operator[position]:
                reason = "its endorser is the same operator"
            else:
                reason = f"over a User ID that makes no endorsement: {row.user_id[:80]}"
        if reason:
            found.append(Discarded(row.endorser, row.host, reason))
    return found
