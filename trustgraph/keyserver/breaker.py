"""When a server that keeps failing is left alone, and when it is tried again. Pure: time is an argument.

    closed     every request goes through
    open       none does, until the interval since the last failure is over
    half-open  one request, the probe, goes through; the others are refused until it is known what became of it

A probe that fails doubles the interval up to a limit; any success closes the breaker.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Whether requests go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """``failures`` in a row open it, for ``interval_seconds`` at first and ``longest_seconds`` at most."""

    failures: int = 3
    interval_seconds: float = 5.0
    longest_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission for one request, handed back with what became of it."""

    is_probe: bool


class Breaker:
    """One server's. ``now`` is seconds of any clock that only goes forward."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._interval = policy.interval_seconds
        self._retry_at: float | None = None
        self._probing = False

    def state(self, now: float) -> State:
        """What it is now; half-open also while the probe is under way."""
        if self._retry_at is None:
            return State.CLOSED
        return State.HALF_OPEN if now >= self._retry_at else State.OPEN

    def enter(self, now: float) -> Permit | None:
        """Permission for one request, if there is one; to be followed by one of the three below."""
        state = self.state(now)
        if state is State.OPEN or self._probing:
            return None
        self._probing = state is State.HALF_OPEN
        return Permit(self._probing)

    def succeed(self) -> None:
        """The server answered."""
        self._failures, self._interval = 0, self._policy.interval_seconds
        self._retry_at, self._probing = None, False

    def fail(self, now: float, permit: Permit) -> None:
        """The server did not answer as one should."""
        if permit.is_probe:
            self._interval = min(2 * self._interval, self._policy.longest_seconds)
            self._retry_at, self._probing = now + self._interval, False
        elif self._retry_at is None:  # else it was asked before the breaker opened, and adds nothing
            self._failures += 1
            if self._failures >= self._policy.failures:
                self._retry_at = now + self._interval

    def abandon(self, permit: Permit) -> None:
        """The request was given up for a reason that is not the server's; another probe may be made at once."""
        if permit.is_probe:
            self._probing = False
