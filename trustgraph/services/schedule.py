"""`trustgraph recompute`: one process that keeps a site's ratings, keys, endorsements and reports current.

Jobs run in two lanes, one at a time in each: what asks keyservers keeps nothing else waiting. A job whose last success
is older than its period runs at once, however that came about: the process was down, the machine asleep, the clock
wrong. Many missed runs are made up for by one. Whatever a job raises, the last good state stays in force, and it is
tried again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from trustgraph.errors import TrustgraphError
from trustgraph.ingest.formats import parser_named
from trustgraph.model import UnixSeconds
from trustgraph.services.log import EventLog
from trustgraph.services.metrics import Meter, serving_metrics
from trustgraph.services.schedule_jobs import SCORE, jobs_of
from trustgraph.services.schedule_lock import alone
from trustgraph.services.schedule_logs import ingest_once
from trustgraph.services.schedule_run import Job, Run, Runner, describe_error, due_at
from trustgraph.services.schedule_service import Service, signals_to_stop
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store


def run_once(settings: Settings, log: EventLog, clock: Callable[[], UnixSeconds], told: Callable[[Run], None]) -> int:
    """Read the logs, do what is due, rate in any case; the exit code of what failed first, else 0.

    What comes of each job is ``told``, and not logged as well. Raises as :func:`serve`.
    """
    _require_format(settings)
    with alone(settings), _opened(settings) as store:
        runner = Runner(
            *(store, _without_jobs(log), Meter(clock), clock, lambda _job, run: told(run)), settings.metrics.textfile
        )
        jobs = jobs_of(store, settings, log)
        succeeded, now = runner.announce(jobs), clock()
        due = [job for job in jobs if job.name == SCORE or due_at(job, succeeded, now) <= now]
        if settings.schedule.logs:
            due.insert(0, Job("logs", 0.0, lambda now: ingest_once(store, settings, now)))
        runs = [run for job in due if (run := runner.run(job))]
        runner.publish()
        return next((run.exit_code for run in runs if run.why), 0)


def serve(settings: Settings, log: EventLog, clock: Callable[[], UnixSeconds], told: Callable[[Run], None]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    Raises :class:`StoreBusy` while another process does so, and what settings that cannot work do. Where something does
    not end in time, the process is ended here.
    """
    _require_format(settings)
    with ExitStack() as stack:
        stack.enter_context(alone(settings))
        store = stack.enter_context(_opened(settings))
        signals = stack.enter_context(signals_to_stop())
        meter = Meter(clock)
        if settings.metrics.listen:
            stack.enter_context(serving_metrics(meter, settings.metrics.listen))
        service = Service(store, settings, log, clock, meter, told)
        log("recompute_started", pid=os.getpid(), jobs={job.name: job.period_seconds for job in service.jobs})
        code = 0
        try:
            service.run(signals)
        except Exception as error:  # noqa: BLE001 - whoever watches this process starts it again
            log("recompute_failed", why=describe_error(error))
            code = TrustgraphError.exit_code
        left = service.end()
        log("recompute_stopped", cut_off=left or None)
        if left:
            os._exit(code)  # their threads cannot be ended otherwise
        return code


def _without_jobs(log: EventLog) -> EventLog:
    """Leave out what is returned."""

    def some(event: str, /, **fields: object) -> None:
        if not event.startswith("job_"):
            log(event, **fields)

    return some


def _require_format(settings: Settings) -> None:
    if settings.schedule.log_format != "auto":
        parser_named(settings.schedule.log_format)


@contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    store = open_store(settings.database.url, create=True)
    try:
        yield store
    finally:
        store.close()
