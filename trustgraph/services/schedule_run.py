"""One run of a scheduled job: what it gives or why it failed goes to the log, the meter and the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from trustgraph.errors import TrustgraphError
from trustgraph.model import UnixSeconds
from trustgraph.services.log import EventLog
from trustgraph.services.metrics import Meter
from trustgraph.store import Store
from trustgraph.store.generations import latest_generation
from trustgraph.store.jobs import last_successes, record_success

#: What a run says of itself: numbers and words by name.
Facts: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is done every ``period_seconds``, given the time it begins at.

    ``asks_keyservers``: it may wait for others for long, and is not to keep those waiting that need nobody.
    """

    name: str
    period_seconds: float
    work: Callable[[UnixSeconds], Facts]
    asks_keyservers: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended; ``why`` it failed is empty if it did not."""

    job: str
    began_at: UnixSeconds
    seconds: float
    facts: Facts
    why: str = ""
    exit_code: int = 0


@dataclass
class Runner:
    """Runs jobs. What one raises is told, and ends nothing but that run. Nothing begins once ``stop`` is set.

    ``textfile`` is where the numbers are written to as well, if anywhere.
    """

    store: Store
    log: EventLog
    meter: Meter
    clock: Callable[[], UnixSeconds]
    ended: Callable[[Job, Run], None]
    textfile: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    _running: dict[str, float] = field(default_factory=dict)
    _idle: threading.Condition = field(default_factory=threading.Condition)

    def run(self, job: Job) -> Run | None:
        """None if it is too late to begin."""
        with self._idle:
            if self.stop.is_set():
                return None
            self._running[job.name] = time.monotonic()
        try:
            run = self._run(job)
            self.ended(job, run)
            return run
        finally:
            with self._idle:
                del self._running[job.name]
                self._idle.notify_all()

    def _run(self, job: Job) -> Run:
        began_at, started = self.clock(), time.perf_counter()
        try:
            facts = job.work(began_at)
            record_success(self.store, job.name, began_at)
        except Exception as error:  # noqa: BLE001 - the other jobs go on, and so does this one next time
            seconds = round(time.perf_counter() - started, 3)
            code = error.exit_code if isinstance(error, TrustgraphError) else TrustgraphError.exit_code
            run = Run(job.name, began_at, seconds, {}, describe_error(error), code)
            self.log("job_failed", job=job.name, seconds=seconds, why=run.why)
        else:
            seconds = round(time.perf_counter() - started, 3)
            run = Run(job.name, began_at, seconds, facts)
            self.log("job_done", job=job.name, seconds=seconds, **facts)
        self.meter.ran(job.name, began_at, seconds, ok=not run.why)
        return run

    def announce(self, jobs: Iterable[Job]) -> Mapping[str, UnixSeconds]:
        """Tell the meter of the jobs; when each last succeeded."""
        succeeded = last_successes(self.store)
        for job in jobs:
            self.meter.job(job.name, job.period_seconds, succeeded.get(job.name, UnixSeconds(0)))
        return succeeded

    def publish(self) -> None:
        """Bring the numbers up to date: which ratings are in force, whoever made them."""
        try:
            self.meter.generation(latest_generation(self.store))
            if self.textfile:
                self.meter.write(self.textfile)
        except Exception as error:  # noqa: BLE001 - the next time may be better
            self.log("metrics_not_current", why=describe_error(error))

    def wait_until_idle(self, seconds: float) -> list[str]:
        """Give what runs so much time to end; those that did not."""
        with self._idle:
            self._idle.wait_for(lambda: not self._running, timeout=seconds)
            return sorted(self._running)


def due_at(job: Job, succeeded: Mapping[str, UnixSeconds], now: UnixSeconds) -> float:
    """When a job is to run next; a success in the future tells of a clock that was wrong, so it is none."""
    last = succeeded.get(job.name, 0)
    return now if last > now else max(now, last + job.period_seconds) if last else now


def describe_error(error: BaseException) -> str:
    """For an operator: our own errors speak for themselves."""
    return str(error) if isinstance(error, TrustgraphError) else f"{type(error).__name__}: {error}"
