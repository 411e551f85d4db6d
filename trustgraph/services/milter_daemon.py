"""`trustgraph milter`: workers behind one socket, and one process that takes their decisions to the store."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from trustgraph.errors import ConfigurationError, TrustgraphError
from trustgraph.milter.listen import Listener, parse_listen
from trustgraph.milter.protocol import Wishes
from trustgraph.milter.server import Limits, MilterServer
from trustgraph.milter.workers import Timing, run_workers
from trustgraph.model import UnixSeconds
from trustgraph.services.gate import REFRESH_SECONDS, Gate, open_gate, state_of
from trustgraph.services.hostkeys import open_signer
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.services.log import EventLog, open_log
from trustgraph.services.milter import Hook
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.verifier.spool import Drain

DRAIN_SECONDS = 1.0

#: Pieces of the body are not answered: that costs a round trip each, and one saved is worth more than a body skipped.
WISHES = Wishes(answer_body=False)


def run_milter(load: Callable[[], Settings]) -> None:
    """Serve until SIGTERM; SIGHUP reads settings and key anew. ``load`` reads the settings.

    Raises :class:`ConfigurationError` for settings that cannot work, before the socket is there.
    """
    settings = load()
    log = open_log()
    if not settings.site.hostname:
        raise ConfigurationError("site.hostname: expected this host's FQDN")
    open_store(settings.database.url, create=True).close()
    state_of(settings, "").mkdir(mode=0o750, parents=True, exist_ok=True)
    address = parse_listen(settings.milter.listen)
    # Before the listener, whose socket this process must not hold open once the milter is gone.
    draining = multiprocessing.get_context("fork").Process(target=_drain_for_ever, args=(settings, os.getpid()))
    draining.start()
    try:
        listener = Listener(address, int(settings.milter.socket_mode, 8))
        run_workers(listener, lambda: _worker(load(), log), settings.milter.workers, Timing(), log)
    finally:
        draining.terminate()
        draining.join()


@asynccontextmanager
async def _worker(settings: Settings, log: EventLog) -> AsyncIterator[MilterServer]:
    clock = _clock
    mode = settings.milter.mode
    signer = open_signer(settings, clock()) if mode in ("sign", "both") else None
    limits = Limits(body_bytes=settings.milter.max_body_bytes, message_seconds=settings.milter.timeout_seconds)

    def on_error(error: BaseException) -> None:
        log("message_not_judged", why=f"{type(error).__name__}: {error}")

    if mode == "sign":
        yield MilterServer(Hook(settings, None, signer, log, clock), wishes=WISHES, limits=limits, on_error=on_error)
        return
    async with open_gate(settings, recording=True) as gate:
        refreshing = asyncio.create_task(_refresh_for_ever(gate, log))
        try:
            yield MilterServer(
                Hook(settings, gate, signer, log, clock), wishes=WISHES, limits=limits, on_error=on_error
            )
        finally:
            refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await refreshing


async def _refresh_for_ever(gate: Gate, log: EventLog) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await gate.refresh()
        except TrustgraphError as error:  # what is in memory holds on; the next time may be better
            log("refresh_failed", why=str(error))


def _drain_for_ever(settings: Settings, parent: int) -> None:
    """Takes spooled decisions and fetched keys to the store, until the milter is gone and the spool is empty."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log = open_log()
    store = open_store(settings.database.url)
    drain = Drain(state_of(settings, "spool"), store)
    while True:
        last = stop.wait(DRAIN_SECONDS) or os.getppid() != parent
        try:
            done = drain.run_once()
            if done.new or done.rejected:
                log("spool_drained", lines=done.lines, new=done.new, rejected=done.rejected or None)
            _ingest_keys(settings, store, log)
        except (TrustgraphError, OSError) as error:  # nothing is lost: it stays in the spool
            log("drain_failed", why=str(error))
        if last:
            store.close()
            return


def _ingest_keys(settings: Settings, store: Store, log: EventLog) -> None:
    """Certificates that were fetched, with what others say of them, into the network that scoring reads."""
    waiting = sorted(state_of(settings, "keys").glob("*.pgp"))
    if not waiting:
        return
    taken: list[Path] = []
    for path in waiting:
        taken.append(path.rename(path.with_suffix(".taken")))  # a newer copy may come meanwhile
    counts = ingest_keyrings(store, settings, taken, _clock())
    for path in taken:
        path.unlink()
    log("keys_ingested", certificates=counts.certificates, certifications=counts.good)


def _clock() -> UnixSeconds:
    return UnixSeconds(int(time.time()))
