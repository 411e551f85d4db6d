"""Small worlds written as literals: who endorses whom, and who sent what on which days.

A host ``x`` is the identity ``dkim:x.example`` of operator x.example, unless ``identities`` says otherwise. The three
anchors a1, a2, a3 are also the observers whose counts are given. Days count back from the reference time: 0 is today.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from trustgraph.model import SECONDS_PER_DAY, Identity, UnixSeconds, from_rfc3339
from trustgraph.reports.evidence import Evidence, gather
from trustgraph.reports.thresholds import Thresholds
from trustgraph.scoring.algorithms import Parameters, pose
from trustgraph.scoring.snapshot import NEVER, Snapshot
from trustgraph.scoring.trustgraph import Trustgraph

NOW = from_rfc3339("2026-11-01T00:00:00Z")
TODAY = NOW // SECONDS_PER_DAY
ANCHORS = ("a1", "a2", "a3")
LIMITS = Thresholds()

#: host, first and last day ago, good, bad and unknown messages on each of these days
Mail = tuple[str, int, int, int, int, int]


def by_anchors(*hosts: str) -> list[tuple[str, str]]:
    """Every anchor endorses each of them: a quorum."""
    return [(anchor, host) for anchor in ANCHORS for host in hosts]


def everybody(hosts: Iterable[str]) -> list[tuple[str, str]]:
    """Each endorses each other."""
    names = list(hosts)
    return [(u, v) for u in names for v in names if u != v]


def name_of(host: str) -> str:
    return host if ":" in host else f"dkim:{host}.example"


def scene(
    endorsements: Sequence[tuple[str, str]],
    mail: Sequence[Mail] = (),
    *,
    hosts: Mapping[str, str] | None = None,
    dead: Collection[str] = (),
    own_host: str = "",
    limits: Thresholds = LIMITS,
) -> Evidence:
    """The evidence of a world. ``hosts``: those of identities that are no ``dkim:``. ``dead``: expired keys."""
    known = {name_of(x) for pair in endorsements for x in pair} | {name_of(row[0]) for row in mail}
    names = sorted(known | {name_of(anchor) for anchor in ANCHORS} | set(hosts or {}))
    place = {name: i for i, name in enumerate(names)}
    host = [(hosts or {}).get(name, name.partition(":")[2]) for name in names]
    operator = [".".join(h.split(".")[-2:]) for h in host]
    keys = [place[name] for name in names if name.startswith("openpgp:")]
    edges = sorted({(place[name_of(v)], place[name_of(u)]) for u, v in endorsements})
    counts = sorted(
        (place[name_of(subject)], place[name_of("a1")], TODAY - ago, good, bad, unknown)
        for subject, first, last, good, bad, unknown in mail
        for ago in range(last, first + 1)
    )
    snapshot = Snapshot(
        NOW,
        _ints(range(len(names))),
        *(np.array(column, dtype=object) for column in (names, host, operator)),
        *(_ints(keys), _ints([0] * len(keys))),
        *(_ints([1 if names[k] in dead else NEVER for k in keys]), _ints([NEVER] * len(keys))),
        *(_ints([v for v, _ in edges]), _ints([u for _, u in edges]), _ints([0] * len(edges)), _ints([1] * len(edges))),
        *(_ints([row[i] for row in counts]) for i in range(6)),
    )
    problem = pose(snapshot, {Identity(name_of(anchor)): 1.0 for anchor in ANCHORS}, Parameters())
    return gather(problem, Trustgraph(problem), limits, own_host)


def position(evidence: Evidence, host: str) -> int:
    """Where a host is."""
    return list(evidence.snapshot.identity_name).index(name_of(host))


def moment(days_ago: int, hour: int = 0) -> UnixSeconds:
    """That many days before the reference time."""
    return UnixSeconds(NOW - days_ago * SECONDS_PER_DAY + hour * 3600)


def _ints(values: Iterable[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(list(values), dtype=np.int64)
