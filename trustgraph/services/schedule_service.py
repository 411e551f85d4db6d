"""The scheduler of `trustgraph recompute` in a thread, and what watches it (:mod:`trustgraph.services.schedule`)."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers import SchedulerNotRunningError
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.interval import IntervalTrigger

from trustgraph.errors import TrustgraphError
from trustgraph.model import UnixSeconds
from trustgraph.services.log import EventLog
from trustgraph.services.metrics import Meter
from trustgraph.services.schedule_jobs import SCORE, jobs_of
from trustgraph.services.schedule_logs import Following
from trustgraph.services.schedule_run import Job, Run, Runner, due_at
from trustgraph.settings import Settings
from trustgraph.store import Store

#: How often it is looked whether the clock was changed or the machine asleep, and which ratings are in force.
BEAT_SECONDS = 15.0

#: A job that failed is tried again after this, or at its next turn if that is sooner.
RETRY_SECONDS = 900.0

#: How long what runs may take to end when the service is to stop; then it is cut off. Nothing is lost by that: whatever
#: is written is written in one transaction, and what was not committed is done again.
STOP_SECONDS = 20.0

#: How long at most the first jobs wait until the logs have been read to their ends.
FIRST_READING_SECONDS = 600.0

_STORE, _KEYSERVERS = "store", "keyservers"


class Service:
    """The scheduler in a thread, and what it is watched by."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        log: EventLog,
        clock: Callable[[], UnixSeconds],
        meter: Meter,
        told: Callable[[Run], None],
    ) -> None:
        self._log, self._clock, self._told = log, clock, told
        self._runner = Runner(store, log, meter, clock, self._ended, settings.metrics.textfile)
        self.jobs = jobs_of(store, settings, log)
        self._scheduler = _scheduler()
        self._scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)
        succeeded, now = self._runner.announce(self.jobs), clock()
        for place, job in enumerate(self.jobs):
            # What is due at the same time runs in order.
            first = _moment(due_at(job, succeeded, now)) + timedelta(milliseconds=place)
            self._scheduler.add_job(
                *(self._runner.run, IntervalTrigger(seconds=job.period_seconds, start_date=first, timezone=UTC), [job]),
                id=job.name,
                executor=_KEYSERVERS if job.asks_keyservers else _STORE,
                next_run_time=first,
            )
        self._thread = threading.Thread(target=self._scheduler.start, name="scheduler", daemon=True)
        self._following = Following(store, settings, log, meter, clock, self._runner.stop)
        self._followers: list[threading.Thread] = []
        self._begun = threading.Event()

    def run(self, signals: int) -> None:
        """Until one of the signals arrives."""
        self._runner.publish()
        self._followers = self._following.start()
        threading.Thread(target=self._begin, name="begin", daemon=True).start()
        while not select.select([signals], [], [], BEAT_SECONDS)[0]:
            if self._begun.is_set() and not self._thread.is_alive():
                raise TrustgraphError("the scheduler has died")
            self._beat()

    def _begin(self) -> None:
        """Rating what is in the logs already: before that, nobody in them is known, and anchors neither."""
        self._following.wait_until_read(FIRST_READING_SECONDS)
        self._thread.start()
        self._begun.set()

    def end(self) -> list[str]:
        """Begin nothing more and wait for what runs; what has not ended in time."""
        self._runner.stop.set()
        with suppress(SchedulerNotRunningError):
            self._scheduler.shutdown(wait=False)
        deadline = time.monotonic() + STOP_SECONDS
        left = self._runner.wait_until_idle(STOP_SECONDS)
        for follower in self._followers:
            follower.join(max(0.0, deadline - time.monotonic()))
        return left + [follower.name for follower in self._followers if follower.is_alive()]

    def _beat(self) -> None:
        """The scheduler waits by a clock that stands still while the machine sleeps, so it is woken to look."""
        now = self._clock()
        for job, scheduled in ((job, self._scheduler.get_job(job.name)) for job in self.jobs):
            if scheduled and scheduled.next_run_time > _moment(now + job.period_seconds + 1):  # the clock was set back
                scheduled.modify(next_run_time=_moment(now))
        self._scheduler.wakeup()
        self._runner.publish()

    def _ended(self, job: Job, run: Run) -> None:
        if job.name == SCORE or run.why:
            self._runner.publish()
        if run.why and job.period_seconds > RETRY_SECONDS and not self._runner.stop.is_set():
            self._scheduler.modify_job(job.name, next_run_time=_moment(self._clock() + RETRY_SECONDS))
        self._told(run)

    def _skipped(self, event: JobSubmissionEvent) -> None:
        self._log("job_skipped", job=event.job_id, why="its last run has not ended")


def _scheduler() -> BlockingScheduler:
    """Late runs are run however late they are, and many missed ones once."""
    logger = logging.getLogger("apscheduler")  # what it has to say, our events say
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return BlockingScheduler(
        executors={_STORE: ThreadPoolExecutor(1), _KEYSERVERS: ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone=UTC,
        logger=logger,
    )


@contextmanager
def signals_to_stop() -> Iterator[int]:
    """A file that can be read once SIGTERM or SIGINT has arrived; handlers that take locks could meet their own."""
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def note(*_: object) -> None:
        with suppress(BlockingIOError):
            os.write(writable, b".")

    former = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield readable
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        os.close(readable)
        os.close(writable)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
