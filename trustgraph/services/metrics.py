"""How the scheduled service is doing, for Prometheus: over HTTP, or in a file that node_exporter picks up.

Answering takes nothing but what is in memory: asking often costs the database nothing.
"""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, make_wsgi_app, write_to_textfile

from trustgraph.errors import ConfigurationError, ServiceUnavailable
from trustgraph.ingest.logs import LogCounts
from trustgraph.milter.listen import InetAddress, parse_listen
from trustgraph.model import UnixSeconds
from trustgraph.store.generations import Generation

#: Who asks is a program on this machine; more of them at once are turned away.
MAX_CLIENTS = 8

#: A client that says nothing for so long is let go.
CLIENT_SECONDS = 5.0


class Meter:
    """The numbers. ``clock`` tells the time by which ages are measured."""

    def __init__(self, clock: Callable[[], UnixSeconds]) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._generated_at: UnixSeconds | None = None
        age = self._gauge("generation_age_seconds", "Since the ratings in force were made; NaN without any.")
        age.set_function(self._age)
        self._number = self._gauge("generation_number", "Number of the ratings in force; 0 without any.")
        self._expires = self._gauge("generation_expires_timestamp_seconds", "When the ratings in force end.")
        self._identities = self._gauge("generation_identities", "Identities rated.")
        self._endorsements = self._gauge("generation_endorsements", "Endorsements that counted.")
        self._took = self._gauge("generation_duration_seconds", "What making the ratings in force took.")
        self._period = self._gauge("job_period_seconds", "How often a job is to run.", "job")
        self._succeeded = self._gauge(
            "job_last_success_timestamp_seconds", "When a job's last run that succeeded began; 0 if none did.", "job"
        )
        self._job_took = self._gauge("job_duration_seconds", "What a job's last run took.", "job")
        self._runs = self._counter("job_runs", "Runs of a job.", "job")
        self._failures = self._counter("job_failures", "Runs of a job that failed.", "job")
        self._lines = self._gauge("log_lines", "Lines of a log read since it was opened.", "log")
        self._rejected = self._gauge("log_rejected_lines", "Of these, malformed ones.", "log")
        self._current = self._gauge(
            "log_current_timestamp_seconds", "When a followed log had last been read to its end; 0 if never.", "log"
        )

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"trustgraph_{name}", what, labels, registry=self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"trustgraph_{name}", what, labels, registry=self.registry)

    def _age(self) -> float:
        return math.nan if self._generated_at is None else self._clock() - self._generated_at

    def generation(self, generation: Generation | None) -> None:
        """The ratings in force."""
        if generation is None:
            return
        self._generated_at = generation.generated_at
        self._number.set(generation.number)
        self._expires.set(generation.expires_at)
        self._identities.set(generation.identities)
        self._endorsements.set(generation.endorsements)
        self._took.set(generation.seconds)

    def job(self, name: str, period_seconds: float, succeeded_at: UnixSeconds) -> None:
        """A job that will run."""
        self._period.labels(name).set(period_seconds)
        self._succeeded.labels(name).set(succeeded_at)
        self._runs.labels(name)
        self._failures.labels(name)

    def ran(self, name: str, began_at: UnixSeconds, seconds: float, *, ok: bool) -> None:
        """A run of a job has ended."""
        self._runs.labels(name).inc()
        self._job_took.labels(name).set(seconds)
        if ok:
            self._succeeded.labels(name).set(began_at)
        else:
            self._failures.labels(name).inc()

    def log_opened(self, path: str) -> None:
        """A log that will be followed."""
        self._current.labels(path)

    def log_read(self, counts: LogCounts) -> None:
        """So much of a log has been read."""
        self._lines.labels(counts.path).set(counts.lines)
        self._rejected.labels(counts.path).set(counts.rejected)

    def log_current(self, path: str) -> None:
        """A log has been read to its end."""
        self._current.labels(path).set(self._clock())

    def write(self, path: str) -> None:
        """Into a file, whole or not at all. Raises :class:`OSError`."""
        write_to_textfile(path, self.registry)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._places = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def metrics_address(listen: str) -> InetAddress:
    """Of ``metrics.listen``. Raises :class:`ConfigurationError`."""
    try:
        address = parse_listen(f"inet:{listen}")
    except ConfigurationError:
        address = None
    if not isinstance(address, InetAddress):
        raise ConfigurationError(
            f"metrics.listen: expected an address and a port such as 127.0.0.1:9477, not {listen!r}"
        )
    return address


@contextmanager
def serving_metrics(meter: Meter, listen: str) -> Iterator[int]:
    """While it lasts, whoever asks there gets the numbers; gives the port.

    Raises :class:`ConfigurationError` for what is no address, :class:`ServiceUnavailable` for one that cannot be had.
    """
    address = metrics_address(listen)
    kind = _Server6 if ":" in address.host else _Server
    try:
        server = make_server(address.host, address.port, make_wsgi_app(meter.registry), kind, _Handler)
    except OSError as error:
        raise ServiceUnavailable(f"metrics.listen: {listen}: {error.strerror or error}") from None
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
