"""A ring of sybils grafted onto a graph of honest endorsements, with the truth beside it.

The sybils are new keys of as many operators. Each endorses the next few of the ring, and honest hosts for free to look
like one of them. ``edges`` endorsements go from honest hosts to sybils: what the attacker bought, or talked somebody
into. Nothing else of the honest graph changes, and nobody has any mail history. Anchors are the hosts that endorse
most others. Pure: the same graph, attack and seed give the same graft.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from trustgraph.errors import UsageError
from trustgraph.lab.dice import stream
from trustgraph.lab.realgraphs import Graph
from trustgraph.model import Identity, UnixSeconds
from trustgraph.scoring.snapshot import Flags, Ints, Snapshot

#: The reference time of every graft; nothing in it has a date.
NOW = UnixSeconds(1_793_491_200)


class Placement(StrEnum):
    """Which sybils the bought endorsements go to.

    ``scattered``: any. ``targeted``: at random among the first edges / 2 of the ring, two for each in the mean.
    ``concentrated``: ``Attack.each`` to the first sybil, as many to the next, and so on.
    """

    SCATTERED = "scattered"
    TARGETED = "targeted"
    CONCENTRATED = "concentrated"


class Sellers(StrEnum):
    """Which honest hosts the endorsements come from, each once if there are enough.

    ``random``: any, alike. ``trusted``: any of the tenth that most others endorse. ``sparing``: any of the tenth that
    endorse fewest for how many endorse them, whose word carries most.
    """

    RANDOM = "random"
    TRUSTED = "trusted"
    SPARING = "sparing"


@dataclass(frozen=True, slots=True)
class Attack:
    """``sybils`` in the ring, each endorsing the next ``reach`` and ``camouflage`` honest hosts, with ``edges`` bought.

    ``each``: endorsements for each target of a concentrated placement. ``fan``: how many more sybils each of the first
    ``reach`` endorses; with all endorsements concentrated on these this is the strongest shape known, a star.
    """

    edges: int
    sybils: int = 1_000
    reach: int = 3
    camouflage: int = 20
    placement: Placement = Placement.TARGETED
    sellers: Sellers = Sellers.RANDOM
    each: int = 3
    fan: int = 0


@dataclass(frozen=True, slots=True)
class Graft:
    """``sybil``: which identities of the snapshot are. ``capable``: honest ones with a quorum of honest endorsers."""

    snapshot: Snapshot
    anchors: dict[Identity, float]
    sybil: Flags
    capable: Flags


def graft(graph: Graph, attack: Attack, *, seed: int, anchors: int = 3, quorum: int = 3) -> Graft:
    """The graph under attack. Raises :class:`UsageError` for an attack that cannot be."""
    if attack.reach + attack.fan >= attack.sybils or min(attack.edges, attack.each) < 1 or not graph.size:
        raise UsageError("an attack needs an honest graph, an edge or more, and a ring longer than its reach and fan")
    dice = stream(seed, "graft")
    sybils = graph.size + np.arange(attack.sybils)
    endorser = [graph.endorser, _sellers(graph, attack, dice), np.repeat(sybils, attack.reach)]
    subject = [graph.subject, graph.size + _targets(attack, dice), _next_ones(graph, attack)]
    endorser += [np.repeat(sybils, attack.camouflage), np.repeat(sybils[: attack.reach], attack.fan)]
    subject.append(dice.integers(0, graph.size, attack.sybils * attack.camouflage))
    subject.append(np.tile(sybils[attack.reach : attack.reach + attack.fan], attack.reach))
    size = graph.size + attack.sybils
    pairs = np.unique(np.concatenate(subject) * size + np.concatenate(endorser))
    first = np.argsort(-graph.endorsements_by, kind="stable")[:anchors]
    return Graft(
        snapshot=_snapshot(size, pairs % size, pairs // size),
        anchors={name_of(int(i)): 1.0 for i in first},
        sybil=np.arange(size) >= graph.size,
        capable=np.concatenate([graph.endorsements_of >= quorum, np.zeros(attack.sybils, dtype=np.bool_)]),
    )


def name_of(position: int) -> Identity:
    """Names in the order of positions."""
    return Identity.openpgp(f"{position:040x}")


def _sellers(graph: Graph, attack: Attack, dice: np.random.Generator) -> Ints:
    pool = np.arange(graph.size)
    if attack.sellers is Sellers.TRUSTED:
        pool = np.argsort(-graph.endorsements_of, kind="stable")[: max(1, graph.size // 10)]
    elif attack.sellers is Sellers.SPARING:
        word = graph.endorsements_of / np.maximum(graph.endorsements_by, 1)
        pool = np.argsort(-word, kind="stable")[: max(1, graph.size // 10)]
    return dice.choice(pool, attack.edges, replace=attack.edges > len(pool))


def _targets(attack: Attack, dice: np.random.Generator) -> Ints:
    """Numbers of sybils, one a bought endorsement."""
    if attack.placement is Placement.CONCENTRATED:
        return np.arange(attack.edges) // attack.each % attack.sybils
    among = attack.sybils if attack.placement is Placement.SCATTERED else max(1, attack.edges // 2)
    return dice.integers(0, min(among, attack.sybils), attack.edges)


def _next_ones(graph: Graph, attack: Attack) -> Ints:
    steps = np.tile(np.arange(1, attack.reach + 1), attack.sybils)
    return graph.size + (np.repeat(np.arange(attack.sybils), attack.reach) + steps) % attack.sybils


def _snapshot(size: int, endorser: Ints, subject: Ints) -> Snapshot:
    """Live endorsements sorted by (subject, endorser), every identity its own operator, no mail."""
    none = np.empty(0, dtype=np.int64)
    empty = np.full(size, "", dtype=np.object_)
    return Snapshot(
        reference_time=NOW,
        identity_number=np.arange(1, size + 1),
        identity_name=np.array([str(name_of(i)) for i in range(size)], dtype=np.object_),
        identity_host=empty,
        identity_operator=empty,
        key_identity=none,
        key_created_at=none,
        key_expires_at=none,
        key_revoked_at=none,
        certification_subject=subject,
        certification_endorser=endorser,
        certification_user_id=np.zeros(len(subject), dtype=np.int64),
        certification_live=np.ones(len(subject), dtype=np.int64),
        count_subject=none,
        count_observer=none,
        count_day=none,
        count_good=none,
        count_bad=none,
        count_unknown=none,
    )
