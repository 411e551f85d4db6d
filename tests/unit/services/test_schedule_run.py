"""One run of a job: what is told of it, and that nothing it raises goes any further."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.services.site import NOW, site_in
from trustgraph.errors import NoAnchors
from trustgraph.model import UnixSeconds
from trustgraph.services.metrics import Meter
from trustgraph.services.schedule_run import Facts, Job, Run, Runner, due_at
from trustgraph.store import Store, open_store
from trustgraph.store.jobs import last_successes

DAY = 86_400


class Telling:
    """A runner, and what it told."""

    def __init__(self, store: Store) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        self.ended: list[Run] = []
        self.meter = Meter(lambda: NOW)
        self.runner = Runner(store, self.log, self.meter, lambda: NOW, lambda _job, run: self.ended.append(run))

    def log(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    def number(self, name: str, job: str) -> float | None:
        return self.meter.registry.get_sample_value(f"trustgraph_{name}", {"job": job})


@pytest.fixture
def telling(tmp_path: Path) -> Iterator[Telling]:
    store = open_store(site_in(tmp_path).database.url)
    yield Telling(store)
    store.close()


def works(now: UnixSeconds) -> Facts:
    return {"asked_at": now}


def raises(now: UnixSeconds) -> Facts:
    raise NoAnchors("there is nobody to trust")


def test_a_run_that_succeeds_is_recorded_logged_and_counted(telling: Telling) -> None:
    telling.runner.run(Job("score", 60, works))
    assert last_successes(telling.runner.store) == {"score": NOW}
    ((event, fields),) = telling.events
    assert (event, fields["job"], fields["asked_at"]) == ("job_done", "score", NOW)
    assert (telling.number("job_runs_total", "score"), telling.number("job_failures_total", "score")) == (1, None)
    assert telling.number("job_last_success_timestamp_seconds", "score") == NOW
    assert [(run.job, run.why) for run in telling.ended] == [("score", "")]


def test_a_run_that_fails_says_why_and_is_no_success(telling: Telling) -> None:
    telling.runner.announce([Job("score", 60, raises)])
    run = telling.runner.run(Job("score", 60, raises))
    assert run is not None
    assert (run.why, run.exit_code) == ("there is nobody to trust", 78)
    assert last_successes(telling.runner.store) == {}
    assert [(event, fields["why"]) for event, fields in telling.events] == [("job_failed", run.why)]
    assert (telling.number("job_runs_total", "score"), telling.number("job_failures_total", "score")) == (1, 1)
    assert telling.number("job_last_success_timestamp_seconds", "score") == 0


def test_a_bug_in_a_job_is_told_and_ends_nothing_else(telling: Telling) -> None:
    run = telling.runner.run(Job("report", 60, lambda now: {"x": 1 / (now - now)}))
    assert run is not None
    assert (run.why, run.exit_code) == ("ZeroDivisionError: division by zero", 70)
    assert telling.runner.run(Job("score", 60, works)) is not None


def test_nothing_begins_after_the_stop_and_what_runs_is_waited_for(telling: Telling) -> None:
    runner, begun, go_on = telling.runner, threading.Event(), threading.Event()

    def slow(now: UnixSeconds) -> Facts:
        begun.set()
        go_on.wait()
        return {}

    thread = threading.Thread(target=runner.run, args=(Job("keys", 60, slow),))
    thread.start()
    assert begun.wait(20)
    runner.stop.set()
    assert runner.run(Job("score", 60, works)) is None
    assert runner.wait_until_idle(0) == ["keys"]
    go_on.set()
    assert runner.wait_until_idle(20) == []
    thread.join()
    assert last_successes(runner.store) == {"keys": NOW}


def test_a_failing_store_does_not_pass_for_a_success(telling: Telling) -> None:
    with telling.runner.store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE fact")
    run = telling.runner.run(Job("score", 60, works))
    assert run is not None
    assert "fact" in run.why


@given(last=st.integers(1, 2 * NOW), period=st.integers(1, 90 * DAY))
def test_a_job_is_due_a_period_after_its_last_success_and_never_later_than_that_from_now(
    last: int, period: int
) -> None:
    due = due_at(Job("x", period, works), {"x": UnixSeconds(last)}, NOW)
    assert NOW <= due <= NOW + period
    if last <= NOW:
        assert due == max(NOW, last + period)
    else:  # the clock was wrong then
        assert due == NOW


def test_a_job_that_never_succeeded_is_due_at_once() -> None:
    assert due_at(Job("x", DAY, works), {"y": NOW}, NOW) == NOW
