"""Web-of-trust authentication (:mod:`authentication`) as one of the algorithms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

import numpy as np

from trustgraph.scoring.algorithms import Problem, Scores
from trustgraph.scoring.authentication import FULL, UNLIMITED, CertificationNetwork, Edge, Path, network_of_edges
from trustgraph.scoring.explanation import Contribution
from trustgraph.scoring.network import counting
from trustgraph.scoring.snapshot import Delegation, Flags, Ints

#: Double authentication: more is not looked for.
WANTED = 2 * FULL

_PLAIN = (0, FULL, "")


class Authentication:
    """How far the anchors vouch for a host's name, through introducers: Sequoia's web of trust, host by host.

    With a the amount (0 to 240) to which the best of a host's User IDs is authenticated,

        rating = accept * min(1, a / 120) + (1 - accept) * max(0, a / 120 - 1)

    so that a fully authenticated host is just accepted, a partially authenticated one is not, and a doubly
    authenticated one rates 1. An anchor is a root of 120 times its weight, and authenticates itself that far. What
    counts is stricter here than in Sequoia: both keys have to live now, an operator does not vouch for itself, and only
    what the snapshot holds is asked (of host keys, certifications over ``smtp://`` User IDs; a row of an operator's
    table vouches for its subject whatever its name).

    A plain certification (depth 0, amount 120) delegates nothing: among hosts that only endorse each other, those are
    authenticated which an anchor endorsed itself. Anybody further needs trust signatures (RFC 9580 section 5.2.3.21)
    on the way; without :class:`Delegation` in the snapshot every certification is taken for a plain one.

    Cost: that of :mod:`authentication` for each User ID that an introducer certified; what nobody introduced by an
    anchor said is not looked at. Guarantee: no quorum, but no trust either that an anchor did not hand out: a ring, of
    any size, has what its members were delegated. Source: the specification of sequoia-wot.
    """

    name = "authentication"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        names = problem.snapshot.identity_name
        weights = problem.anchor_weight
        self.roots = {str(names[i]): max(1, round(FULL * float(weights[i]))) for i in np.flatnonzero(problem.anchors)}
        self.network = _delegated(problem)
        self._position = {str(name): i for i, name in enumerate(names)}
        self.paths: dict[int, tuple[Path, ...]] = {}
        self._augmentations = 0
        for subject, user_id in sorted(self.network.bindings):
            paths = self.network.authenticate(self.roots, subject, user_id, wanted=WANTED)
            self._augmentations += len(paths)
            known = self.paths.get(self._position[subject], ())
            if _amount(paths) > _amount(known):
                self.paths[self._position[subject]] = paths

    def scores(self) -> Scores:
        """Ratings of all identities; the sample is the operators who certified at the end of a path."""
        size = self._problem.network.size
        rating, endorsers = np.zeros(size), np.zeros(size, dtype=np.int64)
        operator = self._problem.network.operator
        for position, paths in self.paths.items():
            rating[position] = self._rate(_amount(paths))
            vouching = {self._position[path.edges[-1].issuer] for path in paths if path.edges}
            endorsers[position] = len({int(operator[u]) for u in vouching})
        return Scores(rating, rating.copy(), endorsers.copy(), endorsers, self._augmentations)

    def contributions(self, position: int) -> list[Contribution]:
        """What each path adds, in the order in which they were found, by who certified at its end."""
        parts, reached = [], 0
        paths = self.paths.get(position, ())
        for path in paths:
            amount = self._rate(reached + path.amount) - self._rate(reached)
            who = ("endorser", path.edges[-1].issuer) if path.edges else ("anchor", "itself")
            parts.append(Contribution(*who, amount=amount, mass_share=path.amount / _amount(paths)))
            reached += path.amount
        return parts

    def _rate(self, amount: int) -> float:
        accept, full = self._problem.parameters.accept, min(amount, WANTED) / FULL
        return accept * min(1.0, full) + (1.0 - accept) * max(0.0, full - 1.0)


def _amount(paths: Iterable[Path]) -> int:
    return sum(path.amount for path in paths)


def _delegated(problem: Problem) -> CertificationNetwork:
    """Certifications by the anchors and by whom they may have introduced, and the User IDs that those are over."""
    names, told = problem.snapshot.identity_name, problem.snapshot.delegation
    introducers = _introducers(problem)
    edges = list(_certifications(problem, introducers))
    bindings = {(edge.subject, edge.user_id) for edge in edges}
    if told is not None:
        own = introducers[told.user_id_identity]
        who = zip(told.user_id_identity[own], told.user_id_text[own], strict=True)
        bindings |= {(str(names[identity]), text) for identity, text in who}
    named = {subject for subject, _ in bindings}
    bindings |= {(str(names[i]), "") for i in np.flatnonzero(problem.anchors) if names[i] not in named}
    return network_of_edges(edges, bindings)


def _certifications(problem: Problem, introducers: Flags) -> Iterator[Edge]:
    """Every certification that an introducer made, if it counts."""
    snapshot, network = problem.snapshot, problem.network
    names, told = snapshot.identity_name, snapshot.delegation
    special: dict[tuple[int, int, int], tuple[int, int, str]] = {}
    texts: dict[int, str] = {}
    if told is not None:
        special = {(s, e, u): (depth, amount, regexes) for s, e, u, depth, amount, regexes in _rows(told)}
        texts = dict(zip(told.user_id_number.tolist(), told.user_id_text, strict=True))
    counts = counting(snapshot, network.live, network.operator) & introducers[snapshot.certification_endorser]
    columns = (snapshot.certification_subject, snapshot.certification_endorser, snapshot.certification_user_id)
    for s, e, u in zip(*(column[counts].tolist() for column in columns), strict=True):
        depth, amount, regexes = special.get((s, e, u), _PLAIN)
        # Where there are no texts nothing is confined by them, and a number tells User IDs apart as well.
        yield Edge(str(names[e]), str(names[s]), texts.get(u, str(u or "")), depth, amount, regexes)


def _rows(told: Delegation) -> Iterator[tuple[int, int, int, int, int, str]]:
    columns: tuple[Ints, ...] = (told.subject, told.endorser, told.user_id, told.depth, told.amount)
    return zip(*(column.tolist() for column in columns), told.regexes, strict=True)


def _introducers(problem: Problem) -> Flags:
    """Who may stand on a path after an anchor and certify: the depth limits allow it, whatever else speaks against."""
    told = problem.snapshot.delegation
    introducers = problem.anchors.copy()
    if told is None:
        return introducers
    onward: dict[int, list[tuple[int, int]]] = {}
    for subject, endorser, _user_id, depth, amount, _regexes in _rows(told):
        if depth and amount:
            onward.setdefault(endorser, []).append((subject, depth))
    # Who is left with most steps goes first, so that nobody is visited twice.
    waiting = [(-UNLIMITED, int(anchor)) for anchor in np.flatnonzero(introducers)]
    left: dict[int, int] = {}
    while waiting:
        steps, endorser = heappop(waiting)
        if endorser in left:
            continue
        left[endorser] = -steps
        for subject, depth in onward.get(endorser, ()):
            further = min(depth, -steps if -steps == UNLIMITED else -steps - 1)
            if further and subject not in left:
                heappush(waiting, (-further, subject))
    introducers[list(left)] = True
    return introducers
