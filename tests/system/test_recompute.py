"""`trustgraph recompute` as a process: it follows, rates and tells; what fails stops nothing; killed, it catches up."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.gate_lab import free_port
from tests.system.mail_stack import wait_for
from tests.unit.services.site import US, site_in
from trustgraph.ingest.formats.native import encode
from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds
from trustgraph.store import open_store
from trustgraph.store.generations import latest_generation, read_ratings

PEER = Identity.dkim("peer.example")


class Service:
    """One running process, and its events."""

    def __init__(self, home: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "trustgraph", "--config", str(home / "trustgraph.toml"), "recompute"]
        self._log = home / f"events-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([*command, *arguments], stdout=log, stderr=log)

    def events(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """Events of that name with these fields so far."""
        lines = [json.loads(line) for line in self._log.read_bytes().splitlines() if line.startswith(b"{")]
        wanted = [line for line in lines if line.get("event") == name]
        return [event for event in wanted if all(event.get(key) == value for key, value in fields.items())]

    def wait_for(self, count: int, name: str, **fields: Any) -> None:
        """Until there are so many of them."""
        wait_for(
            lambda: len(self.events(name, **fields)) >= count or self.process.poll() is not None, f"{name} {fields}", 60
        )
        assert self.process.poll() is None, self._log.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[Service]:
    service = Service(home, *arguments)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait(60)


def mails(log: Path, first: int, count: int) -> None:
    """So many good mails of the peer, one an hour, the last of them now."""
    now = int(time.time())
    with log.open("ab") as stream:
        for number in range(first, first + count):
            at = UnixSeconds(now - 3600 * number)
            seen = Observation(at, US, PEER, Result.PASS, Outcome.GOOD, f"<{number}@peer.example>", "mx.peer.example")
            stream.write(encode(seen) + b"\n")


def site(home: Path, **schedule: Any) -> Path:
    """A site with a log to follow; returns the log."""
    home.mkdir()
    log = home / "verification.log"
    given = {"logs": [str(log)], "report": "0", "prune": "0", **schedule}
    site_in(home, schedule=given, metrics={"listen": f"127.0.0.1:{free_port('127.0.0.1')}"})
    mails(log, 0, 5)
    return log


def metrics(home: Path) -> dict[str, float]:
    listen = re.search(r'listen = "(127[^"]+)"', (home / "trustgraph.toml").read_text())
    assert listen
    with urllib.request.urlopen(f"http://{listen[1]}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def seen_of_peer(home: Path) -> int:
    """Messages that the newest ratings know of."""
    store = open_store(f"sqlite:///{home}/trustgraph.db")
    try:
        generation = latest_generation(store)
        rated = list(read_ratings(store, generation, [PEER])) if generation else []
        return rated[0].sample_size if rated else 0
    finally:
        store.close()


def test_it_follows_rates_and_tells_until_it_is_asked_to_end(tmp_path: Path) -> None:
    home = tmp_path / "site"
    log = site(home)
    with serving(home, "--every", "1s") as service:
        wait_for(lambda: seen_of_peer(home) == 5 or service.process.poll() is not None, "what was in the log", 60)
        mails(log, 5, 3)
        wait_for(lambda: seen_of_peer(home) == 8 or service.process.poll() is not None, "what came since", 60)
        service.wait_for(2, "job_done", job="score")
        found = metrics(home)
        assert found["trustgraph_generation_number"] >= 2
        assert found["trustgraph_generation_age_seconds"] < 60
        assert found[f'trustgraph_log_lines{{log="{log}"}}'] == 8
        runs, failures = (found[f'trustgraph_job_{what}_total{{job="score"}}'] for what in ("runs", "failures"))
        assert runs - failures >= 2  # the first may have come before the log was read, when nobody was known
        assert service.end() == 0
        assert service.events("recompute_stopped")


def test_there_is_one_at_a_time(tmp_path: Path) -> None:
    home = tmp_path / "site"
    site(home)
    with serving(home) as service:
        service.wait_for(1, "job_done", job="score")
        second = Service(home, "--once")
        assert second.process.wait(60) == 75
        assert f"as process {service.process.pid}" in second._log.read_text()
        assert service.end() == 0


def test_what_fails_stops_nothing_else_and_is_told(tmp_path: Path) -> None:
    home = tmp_path / "site"
    site(home, report="1d", report_directory=str(tmp_path / "site" / "trustgraph.toml" / "no-directory"))
    with serving(home, "--every", "1s") as service:
        service.wait_for(1, "job_failed", job="report")
        before = len(service.events("job_done", job="score"))
        service.wait_for(before + 2, "job_done", job="score")
        found = metrics(home)
        assert found['trustgraph_job_failures_total{job="report"}'] >= 1
        assert found['trustgraph_job_last_success_timestamp_seconds{job="report"}'] == 0
        assert service.end() == 0


def test_ratings_that_cannot_be_renewed_stay_in_force(tmp_path: Path) -> None:
    home = tmp_path / "site"
    site(home)
    assert Service(home, "--once").process.wait(60) == 0
    settings = home / "trustgraph.toml"
    settings.write_text(settings.read_text() + '[scoring]\nalgorithm = "astrology"\n')
    with serving(home, "--every", "1s") as service:
        service.wait_for(2, "job_failed", job="score")
        found = metrics(home)
        assert (found["trustgraph_generation_number"], seen_of_peer(home)) == (1, 5)
        assert found['trustgraph_job_failures_total{job="score"}'] >= 2
        assert service.end() == 0


def test_killed_it_catches_up(tmp_path: Path) -> None:
    home = tmp_path / "site"
    log = site(home, score="1h")
    with serving(home) as service:
        wait_for(lambda: seen_of_peer(home) == 5 or service.process.poll() is not None, "the first ratings", 60)
        service.end(signal.SIGKILL)
    mails(log, 5, 4)
    log.rename(log.with_name(log.name + ".1"))  # rotated away while nobody looked
    mails(log, 9, 2)
    settings = home / "trustgraph.toml"
    settings.write_text(settings.read_text().replace('score = "1h"', 'score = "1s"'))
    with serving(home) as service:
        wait_for(lambda: seen_of_peer(home) == 11 or service.process.poll() is not None, "everything", 60)
        assert seen_of_peer(home) == 11
        assert service.end() == 0
