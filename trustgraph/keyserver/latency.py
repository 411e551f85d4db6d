"""How quickly and how reliably a server answers, to know whom to ask first and when to ask a second one. Pure.

Mean and mean deviation are smoothed as TCP smooths its round-trip times (RFC 6298 section 2). What is known of a server
fades: one that was slow an hour ago is not asked first, but sooner or later it is asked again.
"""

from __future__ import annotations

_MEAN_GAIN = 1 / 8
_DEVIATION_GAIN = 1 / 4
_FAILURE_GAIN = 1 / 4

#: What a server is worth waiting for that fails every time, against one that never does.
FAILURE_SECONDS = 2.0

#: A bad record counts half after this long.
HALF_LIFE_SECONDS = 300.0

#: 95 of 100 answers come within the mean and so many mean deviations, if they are spread like a normal distribution.
_DEVIATIONS = 2.0

#: A server on the same network answers in a millisecond; a second request would be made for every hiccup.
SHORTEST_HEDGE_SECONDS = 0.02


class Latency:
    """One server's. ``now`` is seconds of any clock that only goes forward."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._deviation = 0.0
        self._failing = 0.0
        self._at = 0.0

    def answered(self, now: float, seconds: float) -> None:
        """It answered, after so long."""
        self._fade(now)
        self._failing -= self._failing * _FAILURE_GAIN
        if self._mean is None:
            self._mean, self._deviation = seconds, seconds / 2
            return
        self._deviation += (abs(seconds - self._mean) - self._deviation) * _DEVIATION_GAIN
        self._mean += (seconds - self._mean) * _MEAN_GAIN

    def failed(self, now: float) -> None:
        """It did not answer, or answered nothing of use."""
        self._fade(now)
        self._failing += (1 - self._failing) * _FAILURE_GAIN

    def overtaken(self, now: float, seconds: float) -> None:
        """It was not waited for any longer than so long: counts only when that is more than what it usually takes."""
        self._fade(now)
        if self._mean is None or seconds > self._mean:
            self._mean = seconds

    def cost(self, now: float) -> float:
        """What asking it costs, in seconds; nothing for a server that was never asked, so that each is tried."""
        return ((self._mean or 0.0) + self._failing * FAILURE_SECONDS) * self._left_of_it(now)

    def hedge_after(self, longest: float) -> float:
        """Seconds after which its answer is late and another server should be asked, ``longest`` at most."""
        if self._mean is None:
            return longest
        return min(longest, max(SHORTEST_HEDGE_SECONDS, self._mean + _DEVIATIONS * self._deviation))

    def _left_of_it(self, now: float) -> float:
        return float(0.5 ** ((now - self._at) / HALF_LIFE_SECONDS))

    def _fade(self, now: float) -> None:
        """Failures fade for good; the mean is measured anew by what made us look."""
        self._failing *= self._left_of_it(now)
        self._at = now
