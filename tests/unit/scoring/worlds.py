"""Small worlds as plain records, the snapshot that the store would make of them, and hypothesis strategies for both.

A :class:`World` is what happened: who exists, who certified whom and when, who saw how much mail. Tests change one with
:func:`dataclasses.replace` and look at what that does to the ratings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from trustgraph.model import SECONDS_PER_DAY, Identity, UnixSeconds, day_of
from trustgraph.scoring.algorithms import Parameters, Problem, pose
from trustgraph.scoring.history import HistoryParameters
from trustgraph.scoring.registry import ALGORITHMS
from trustgraph.scoring.snapshot import NEVER, Snapshot

NOW = UnixSeconds(1_790_000_000)
TODAY = day_of(NOW)
LONG_AGO = NOW - 400 * SECONDS_PER_DAY
AN_HOUR = 3_600


def key(number: int) -> Identity:
    """The host key of that number."""
    return Identity.openpgp(f"{number:040x}")


@dataclass(frozen=True)
class Key:
    created_at: int = LONG_AGO
    expires_at: int | None = None
    revoked_at: int | None = None


@dataclass(frozen=True)
class Member:
    name: Identity
    host: str = ""
    operator: str = ""
    key: Key | None = None


@dataclass(frozen=True)
class Cert:
    """A certification; ``weak``, ``made_at`` and the rest are what the store decides on."""

    endorser: Identity
    subject: Identity
    user_id: int = 0
    made_at: int = NOW - 30 * SECONDS_PER_DAY
    expires_at: int | None = None
    revoked_at: int | None = None
    weak: bool = False

    @property
    def live(self) -> bool:
        return all(end is None or end > NOW for end in (self.expires_at, self.revoked_at))


@dataclass(frozen=True)
class Count:
    subject: Identity
    observer: Identity
    day: int = TODAY
    good: int = 0
    bad: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class World:
    """``numbers`` says in which order the store met the identities: row number of each, by position in ``members``."""

    members: tuple[Member, ...]
    certs: tuple[Cert, ...] = ()
    counts: tuple[Count, ...] = ()
    anchors: Mapping[Identity, float] = field(default_factory=dict)
    numbers: tuple[int, ...] | None = None

    def plus(
        self, *, members: Iterable[Member] = (), certs: Iterable[Cert] = (), counts: Iterable[Count] = ()
    ) -> World:
        """This world and more; counts of the same subject, observer and day are added up, as the store does."""
        assert self.numbers is None
        return replace(
            self,
            members=(*self.members, *members),
            certs=(*self.certs, *certs),
            counts=_folded((*self.counts, *counts)),
        )

    def problem(self, parameters: Parameters | None = None) -> Problem:
        return pose(snapshot_of(self), self.anchors, parameters or Parameters())


def _folded(counts: Iterable[Count]) -> tuple[Count, ...]:
    rows: dict[tuple[Identity, Identity, int], Count] = {}
    for c in counts:
        old = rows.get((c.subject, c.observer, c.day), Count(c.subject, c.observer, c.day))
        rows[c.subject, c.observer, c.day] = replace(
            old, good=old.good + c.good, bad=old.bad + c.bad, unknown=old.unknown + c.unknown
        )
    return tuple(rows.values())


def snapshot_of(world: World) -> Snapshot:
    """What the store reads of a world at NOW: its filters and its order (:class:`Snapshot`)."""
    order = sorted(range(len(world.members)), key=lambda i: world.members[i].name)
    members = [world.members[i] for i in order]
    numbers = world.numbers or range(1, len(members) + 1)
    number = {m.name: numbers[i] for i, m in zip(order, members, strict=True)}
    place = {m.name: i for i, m in enumerate(members)}
    keys = [(place[m.name], m.key) for m in members if m.key]
    certs = [c for c in world.certs if c.made_at <= NOW and not c.weak]
    # The store's order is that of its row numbers, which differs from that of the names.
    certs.sort(key=lambda c: (number[c.subject], number[c.endorser], c.user_id, c.made_at))
    counts = [c for c in world.counts if c.day <= TODAY]
    counts.sort(key=lambda c: (place[c.subject], place[c.observer], c.day))
    return Snapshot(
        reference_time=NOW,
        identity_number=_ints(number[m.name] for m in members),
        identity_name=_texts([str(m.name) for m in members]),
        identity_host=_texts([m.host for m in members]),
        identity_operator=_texts([m.operator for m in members]),
        key_identity=_ints(i for i, _ in keys),
        key_created_at=_ints(k.created_at for _, k in keys),
        key_expires_at=_ints(NEVER if k.expires_at is None else k.expires_at for _, k in keys),
        key_revoked_at=_ints(NEVER if k.revoked_at is None else k.revoked_at for _, k in keys),
        certification_subject=_ints(place[c.subject] for c in certs),
        certification_endorser=_ints(place[c.endorser] for c in certs),
        certification_user_id=_ints(c.user_id for c in certs),
        certification_live=_ints(c.live for c in certs),
        count_subject=_ints(place[c.subject] for c in counts),
        count_observer=_ints(place[c.observer] for c in counts),
        count_day=_ints(c.day for c in counts),
        count_good=_ints(c.good for c in counts),
        count_bad=_ints(c.bad for c in counts),
        count_unknown=_ints(c.unknown for c in counts),
    )


def _ints(values: Iterable[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.fromiter(values, dtype=np.int64)


def _texts(values: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.array(values, dtype=np.object_)


def ratings(algorithm: str, world: World, parameters: Parameters | None = None) -> dict[Identity, float]:
    """What the fast path says of a world."""
    problem = world.problem(parameters)
    rating = ALGORITHMS[algorithm](problem).scores().rating
    return {Identity(n): float(r) for n, r in zip(problem.snapshot.identity_name, rating, strict=True)}


def member(number: int, *, operator: str | None = None, host: str | None = None, dead: Key | None = None) -> Member:
    """A host with a live key (or ``dead``), by default under an operator of its own."""
    domain = f"op{number}.example" if operator is None else operator
    return Member(key(number), (f"mx{number}.{domain}" if host is None else host), domain, dead or Key())


DEAD_KEYS = (
    Key(expires_at=NOW),
    Key(revoked_at=NOW - AN_HOUR),
    Key(revoked_at=0),  # hard
    Key(created_at=NOW + AN_HOUR),
)
_LIVE_KEYS = (Key(), Key(expires_at=NOW + 1, revoked_at=NOW + 1), Key(created_at=NOW))
#: What makes a certification count nothing, and what does not.
DEAD_CERTS: tuple[dict[str, Any], ...] = (
    {"expires_at": NOW - 1},
    {"expires_at": NOW},
    {"revoked_at": NOW - 1},
    {"revoked_at": NOW},
    {"weak": True},
    {"made_at": NOW + 1},
)
_LIVE_CERTS: tuple[dict[str, Any], ...] = ({}, {"expires_at": NOW + 1}, {"revoked_at": NOW + 1}, {"made_at": NOW})
_KINDS = ("openpgp",) * 7 + ("dkim", "spf", "helo", "ip")
# Hypothesis pays by the draw, so what belongs together is drawn as one: (kind, shared operator, shared host, key) ...
_PEOPLE = st.sampled_from(
    [
        (kind, operator, shared, alive)
        for alive in (*_LIVE_KEYS * 6, *DEAD_KEYS)
        for operator in (None, None, None, 0, 1)
        for kind in _KINDS
        for shared in (False, False, True)
    ]
)
# ... and (age in days, good, bad, unknown).
_AMOUNTS = st.sampled_from(
    [
        (age, good, bad, unknown)
        for age in (0, 1, 29, 30, 60)
        for good in (0, 1, 4, 40, 400)
        for bad in (0, 0, 1, 5, 20)
        for unknown in (0, 3)
    ]
)


@st.composite
def members(draw: st.DrawFn, least: int, most: int) -> tuple[Member, ...]:
    """Identities of several kinds, some of one operator or host, some with dead keys or no known operator."""
    found = []
    for number in range(draw(st.integers(least, most))):
        kind, operator, shared, alive = draw(_PEOPLE)
        if number == 0:  # an anchor: without one that lives there is nothing to rate
            alive = Key()
        domain = f"op{number if operator is None else operator}.example"
        host = f"mx.{domain}" if shared else f"mx{number}.{domain}"
        if kind == "openpgp":
            found.append(Member(key(number), host, domain, alive))
        elif kind == "ip":
            found.append(Member(Identity.ip(f"192.0.2.{number}")))
        else:
            found.append(Member(Identity.parse(f"{kind}:h{number}.{domain}"), f"h{number}.{domain}", domain))
    return tuple(found)


@st.composite
def certifications(draw: st.DrawFn, names: Sequence[Identity]) -> tuple[Cert, ...]:
    """A dense graph of standing certifications, and some that are dead, newer, self-made or over other User IDs."""
    pairs = [(u, v) for u in names for v in names]
    bits = draw(st.binary(min_size=len(pairs) // 8 + 1, max_size=len(pairs) // 8 + 1))
    certs = [Cert(u, v) for i, (u, v) in enumerate(pairs) if bits[i // 8] >> i % 8 & 1]
    odd = st.tuples(
        st.sampled_from(pairs), st.sampled_from(DEAD_CERTS + _LIVE_CERTS), st.integers(0, 2), st.integers(1, 60)
    )
    for (endorser, subject), times, user_id, age in draw(st.lists(odd, max_size=4)):
        cert = Cert(endorser, subject, user_id, made_at=NOW - age * SECONDS_PER_DAY)
        certs.append(replace(cert, **times))
    return tuple({(c.endorser, c.subject, c.user_id, c.made_at): c for c in certs}.values())


@st.composite
def daily_counts(draw: st.DrawFn, names: Sequence[Identity], observers: Sequence[Identity]) -> tuple[Count, ...]:
    """Mail of up to ten (subject, observer, day)."""
    rows = st.tuples(st.sampled_from(names), st.sampled_from(observers), _AMOUNTS)
    return _folded(
        Count(subject, observer, TODAY - age, good, bad, unknown)
        for subject, observer, (age, good, bad, unknown) in draw(st.lists(rows, max_size=10))
    )


@st.composite
def worlds(draw: st.DrawFn, least: int = 5, most: int = 10) -> World:
    """Everything at once. Observers are identities of the world and the HELO names of its hosts."""
    people = draw(members(least, most))
    names = [m.name for m in people]
    helos = sorted({Identity.helo(m.host) for m in people if m.host} - set(names))
    weights = st.sampled_from([1.0, 0.5, 0.3])
    anchors = {names[0]: draw(weights)} | draw(st.dictionaries(st.sampled_from(names), weights, max_size=2))
    counts = draw(daily_counts(names, [*names, *helos, *sorted(anchors) * 4]))
    used = {c.observer for c in counts} - set(names)
    extra = [Member(o, o.value, next(m.operator for m in people if m.host == o.value)) for o in sorted(used)]
    return World((*people, *extra), draw(certifications(names)), counts, anchors)


def parameters() -> st.SearchStrategy[Parameters]:
    """Policies with which small worlds reach every branch: a quorum of 3 is rare among ten hosts."""
    return st.sampled_from(
        [
            Parameters(quorum=quorum, damping=damping, mass_floor=mass_floor, full_mass=full_mass, history=history)
            for history in (HistoryParameters(), HistoryParameters(hearsay_good=3.0, hearsay_good_in_all=4.0))
            for quorum in (1, 2, 3)
            for damping in (0.3, 0.5, 0.85)
            for mass_floor in (0.02, 0.3, 0.9)
            for full_mass in (0.08, 1.5)
        ]
    )


def checked(examples: int) -> settings:
    """The same examples every time; no deadline, since the machine may be busy."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )
