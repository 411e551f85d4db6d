"""Logs followed for as long as the service runs, each in a thread of its own.

A log that cannot be read, or that is in no known format, stops nothing: it is looked at again after a while. Lines that
were read before are known already, so beginning at a log's start costs time only.
"""

from __future__ import annotations

import glob
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trustgraph.errors import BadInput, TrustgraphError
from trustgraph.ingest.formats.base import LogContext
from trustgraph.ingest.logs import LogCounts, LogOptions, follow_log, ingest_logs
from trustgraph.model import UnixSeconds
from trustgraph.services.log import EventLog
from trustgraph.services.metrics import Meter
from trustgraph.services.schedule_run import describe_error
from trustgraph.settings import Settings
from trustgraph.store import Store

POLL_SECONDS = 0.5

#: After trouble with a log.
RETRY_SECONDS = 60.0

#: What logrotate calls the log before this one, unless it dates it.
_NUMBERED = (".1", ".1.gz", ".1.xz", ".1.zst", ".1.bz2")


def options_of(settings: Settings) -> LogOptions:
    """How the logs of the settings are read."""
    ingest = settings.ingest
    context = LogContext(ingest.observer, ingest.tzinfo, authserv_ids=frozenset(ingest.authserv_ids))
    return LogOptions(context, settings.schedule.log_format)


def ingest_once(store: Store, settings: Settings, now: UnixSeconds) -> dict[str, int]:
    """Every configured log as it is now, for a run that does not stay.

    Raises what was wrong with one of them, after all the others.
    """
    lines = new = rejected = 0
    trouble: list[TrustgraphError] = []
    for path in settings.schedule.logs:
        try:
            for counts in ingest_logs(store, [*predecessors(path), path], options_of(settings), now):
                lines, new, rejected = lines + counts.lines, new + counts.new, rejected + counts.rejected
                _require_known(counts)
        except TrustgraphError as error:
            trouble.append(error)
    if trouble:
        raise trouble[0]
    return {"lines": lines, "new": new, "rejected": rejected}


@dataclass
class Following:
    """Follows the logs of the settings until ``stop``; what happens is told to the event log and the meter."""

    store: Store
    settings: Settings
    log: EventLog
    meter: Meter
    clock: Callable[[], UnixSeconds]
    stop: threading.Event
    _reading: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self) -> list[threading.Thread]:
        """One thread a log."""
        threads = []
        for path in self.settings.schedule.logs:
            self.meter.log_opened(str(path))
            threads.append(threading.Thread(target=self._follow_for_ever, args=(path,), name=str(path), daemon=True))
            threads[-1].start()
        return threads

    def wait_until_read(self, seconds: float) -> None:
        """Until each log has been read to its end once, or cannot be; not for longer, nor after ``stop``."""
        deadline = time.monotonic() + seconds
        for _ in self.settings.schedule.logs:
            while not self._reading.acquire(timeout=POLL_SECONDS):
                if self.stop.is_set() or time.monotonic() > deadline:
                    return

    def has_read_one(self) -> None:
        """Said once of each log."""
        self._reading.release()

    def _follow_for_ever(self, path: Path) -> None:
        self._catch_up(path)
        while not self.stop.is_set():
            try:
                options, waiting = options_of(self.settings), _Waiting(path, self)
                _require_known(follow_log(self.store, path, options, waiting, on_counts=self.meter.log_read))
            except Exception as error:  # noqa: BLE001 - whatever it is, the log is still there next time
                self.has_read_one()
                if not self.stop.is_set():
                    self.log("log_not_followed", log=str(path), why=describe_error(error))
                    self.stop.wait(RETRY_SECONDS)

    def _catch_up(self, path: Path) -> None:
        """What was rotated away while nobody followed."""
        for before in predecessors(path):
            try:
                for counts in ingest_logs(self.store, [before], options_of(self.settings), self.clock()):
                    self.log("log_caught_up", log=counts.path, lines=counts.lines, new=counts.new)
            except Exception as error:  # noqa: BLE001 - the log itself may be better
                self.log("log_not_caught_up", log=str(before), why=describe_error(error))


@dataclass
class _Waiting:
    """Called at the end of a log: notes that, and waits for more; False when it is time to stop."""

    path: Path
    following: Following
    _readable: bool | None = None

    def __call__(self) -> bool:
        readable = os.access(self.path, os.R_OK)
        if readable != self._readable:
            self.following.log("log_followed" if readable else "log_unreadable", log=str(self.path))
            if self._readable is None:
                self.following.has_read_one()
            self._readable = readable
        if readable:
            self.following.meter.log_current(str(self.path))
        return not self.following.stop.wait(POLL_SECONDS)


def predecessors(path: Path) -> list[Path]:
    """The log before this one, as logrotate names it, if there is one."""
    numbered = [found for suffix in _NUMBERED if (found := path.with_name(path.name + suffix)).is_file()]
    dated = sorted(path.parent.glob(f"{glob.escape(path.name)}-[0-9]*"))
    return numbered[:1] or dated[-1:]


def _require_known(counts: LogCounts) -> None:
    if counts.format in ("auto", "unknown") and counts.lines:
        raise BadInput(f"{counts.path}: no known log format; name it with schedule.log_format")
