"""Trust mass: personalised PageRank from the anchors, in which every endorser has one fixed budget.

    x = (1 - a) p + a P^T x,    P[u, v] = 1 / out_degree(u) for each endorsement u -> v

Source: Page et al. 1999; as a trust metric, Gyoengyi et al. 2004 (TrustRank). p is the anchors' weights, a the damping.
A host without endorsements of its own keeps its mass; a disqualified host's endorsements carry none, and what they
would have carried is lost rather than handed to others, so that nobody gains from somebody else's misbehaviour.

Cost: a pass over the edges an iteration (:mod:`gather`). Plainly iterated the error shrinks by a each time, which takes
87 at a damping of 0.7; taking from the last few steps how the rest would go on (Anderson 1965; for a linear map this is
GMRES with a short memory) halves that on the webs of trust measured, and is never much slower. Guarantee: what enters a
set of hosts by endorsements from outside is amplified inside it by at most 1 / (1 - a^2) (a ring of two), 1 / (1 - a)
along any walk; mass is never made, so ``x.sum() <= 1``.

Iteration always begins at the anchors, never at an earlier result: two starts end a few units of the last place apart,
and then the same input could give two ratings (invariant 7). After a change of a thousandth an earlier result would
save a fifth of the iterations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trustgraph.errors import NotConverged
from trustgraph.scoring.gather import Block, Each, in_threads, matrices
from trustgraph.scoring.network import Network
from trustgraph.scoring.snapshot import Flags, Floats

#: Above this an iteration is wrong, not slow: at damping 0.9 a tolerance of 1e-12 takes 263.
MAX_ITERATIONS = 1_000
#: Below this an L1 distance of sums near 1 is rounding.
LEAST_TOLERANCE = 1e-14
#: Earlier steps to go by; each keeps two numbers a host.
_MEMORY = 3


@dataclass(frozen=True, slots=True)
class Mass:
    """``mass``: trust mass of each identity. ``residual``: L1 distance of the last two iterates."""

    mass: Floats
    iterations: int
    residual: float


def trust_mass(
    network: Network,
    preference: Floats,
    damping: float,
    *,
    disqualified: Flags | None = None,
    tolerance: float | None = None,
    threads: int | None = None,
) -> Mass:
    """Iterate to an L1 change below ``tolerance``; ``preference`` sums to 1. Nothing but time depends on ``threads``.

    By default the tolerance is 1e-14, or that for each thousand hosts if there are more: an error of 1e-11 over a
    million hosts is on average one part in 10^11 of what each of them holds.

    The error is then at most ``tolerance * damping / (1 - damping)`` in the L1 norm. Raises :class:`NotConverged`
    instead of returning what it has.
    """
    if tolerance is None:
        tolerance = LEAST_TOLERANCE * max(1.0, network.size / 1_000)
    if not 0.0 <= damping < 1.0:
        raise NotConverged(f"trust mass has no limit at damping {damping:g}: expected 0 or more and below 1")
    budget = damping * _budgets(network, disqualified)
    constant = (1.0 - damping) * preference
    with in_threads(matrices(network), threads) as each:
        steps = _Steps(each, constant, budget)
        best = np.inf
        for iteration in range(1, MAX_ITERATIONS + 1):
            residual = steps.take()
            if residual < tolerance:
                return Mass(steps.image, iteration, residual)
            if residual >= best:  # a plain step always shrinks the error, whatever network somebody thinks up
                steps.go_back()
            else:
                best = residual
                steps.go_on()
    raise NotConverged(f"trust mass: after {MAX_ITERATIONS} iterations the residual is {best:g}, not {tolerance:g}")


class _Steps:
    """An iterate ``x``, its ``image`` under a pass and the change between them; and what the last steps were.

    All is done a block of hosts at a time and sums are added up block by block, so that no bit of them depends on the
    number of threads; BLAS would sum in another order with more of them.
    """

    def __init__(self, each: Each[Block], constant: Floats, budget: Floats) -> None:
        self._each, self._constant, self._budget = each, constant, budget
        self._x, self._sent = constant.copy(), constant * budget
        self.image, self._change = np.empty_like(constant), np.empty_like(constant)
        self._last: tuple[Floats, Floats] | None = None  # image and change of the best step so far
        self._images: list[Floats] = []  # differences of the last steps' images, and of their changes
        self._changes: list[Floats] = []
        self._products = np.zeros((0, 0))  # of each of these changes with each

    def take(self) -> float:
        """Make the pass; returns the L1 norm of the change."""

        def one(block: Block) -> float:
            rows, matrix = block
            image, change = self.image[rows], self._change[rows]
            np.add(self._constant[rows], matrix @ self._sent, out=image)
            np.subtract(image, self._x[rows], out=change)
            return float(np.abs(change).sum())

        return sum(self._each(one), 0.0)

    def go_on(self) -> None:
        """Next is the combination of the last steps' images that would change least, if all went on as it went."""
        weights = self._weights(*self._last) if self._last else np.zeros(0)

        def one(block: Block) -> None:
            rows, _ = block
            x = self._x[rows]
            x[:] = self.image[rows]
            for weight, image in zip(weights, self._images, strict=True):
                x -= weight * image[rows]
            np.multiply(x, self._budget[rows], out=self._sent[rows])

        self._each(one)
        spare = self._last or (np.empty_like(self.image), np.empty_like(self.image))
        self._last = self.image, self._change
        self.image, self._change = spare

    def go_back(self) -> None:
        """Next is the image of the best step so far, and nothing is remembered but that."""
        assert self._last is not None  # noqa: S101 - the first step is the best so far
        self._x[:] = self._last[0]
        self._sent = self._x * self._budget
        self._images, self._changes, self._products = [], [], np.zeros((0, 0))

    def _weights(self, image: Floats, change: Floats) -> Floats:
        """Remember the step since that image and its change; weights of all that is remembered, by least squares."""
        full = len(self._images) == _MEMORY
        self._images.append(self._images.pop(0) if full else np.empty_like(image))
        self._changes.append(self._changes.pop(0) if full else np.empty_like(change))
        newest = self._changes[-1]

        def one(block: Block) -> Floats:
            rows, _ = block
            np.subtract(self.image[rows], image[rows], out=self._images[-1][rows])
            np.subtract(self._change[rows], change[rows], out=newest[rows])
            pair = newest[rows], self._change[rows]
            return np.array([[np.einsum("i,i->", u[rows], v) for v in pair] for u in self._changes])

        sums = sum(self._each(one), np.zeros((len(self._changes), 2)))
        known = self._products[1:, 1:] if full else self._products
        self._products = np.block([[known, sums[:-1, :1]], [sums[:, 0]]])
        return np.asarray(np.linalg.lstsq(self._products, sums[:, 1], rcond=1e-12)[0])


def _budgets(network: Network, disqualified: Flags | None) -> Floats:
    """What share of its mass one endorsement of each host carries."""
    budget = 1.0 / np.maximum(network.out_degree, 1)
    if disqualified is not None:
        budget[disqualified] = 0.0
    return budget


def typical_mass(mass: Floats, anchors: Flags) -> float:
    """The median of trust mass over mass: half of all trust outside the anchors lies with hosts above it.

    A median over hosts could be moved by anybody who makes many keys; this one only by who holds the mass. 0 if there
    is no mass outside the anchors.
    """
    held = np.sort(mass[~anchors & (mass > 0)])
    if not len(held):
        return 0.0
    return float(held[np.searchsorted(np.cumsum(held), held.sum() / 2)])
