"""Workers behind one socket, and one process that takes their decisions to the store."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeAlias

from trustgraph.errors import ConfigurationError
from trustgraph.milter.listen import Listener, parse_listen
from trustgraph.milter.protocol import Wishes
from trustgraph.milter.server import Limits, MilterServer
from trustgraph.milter.workers import Server, Timing, run_workers
from trustgraph.model import UnixSeconds
from trustgraph.services.gate import REFRESH_SECONDS, Gate, open_gate, state_of
from trustgraph.services.gate_socket import GateSocket
from trustgraph.services.hostkeys import open_signer, signing_file
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.services.log import EventLog, open_log
from trustgraph.services.milter import Hook
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.verifier.spool import Drain

DRAIN_SECONDS = 1.0

#: So much of fetched certificates is ingested between two looks at the spool.
INGESTED_AT_ONCE_BYTES = 16 * 1024 * 1024

_COLLECT_AFTER = 20_000

#: The spool can wait for a moment in which no message does.
_NICENESS = 10

#: Makes the server of one worker, given settings, the gate (None where nothing is judged), the log and the clock.
MakeServer: TypeAlias = Callable[[Settings, Gate | None, EventLog, Callable[[], UnixSeconds]], Server]


def run_milter(load: Callable[[], Settings]) -> None:
    """`trustgraph milter`: serve until SIGTERM; SIGHUP reads settings and key anew. ``load`` reads the settings.

    Raises :class:`ConfigurationError` for settings that cannot work, before the socket is there.
    """
    _serve(load, load().milter.listen, _milter)


def run_gate(load: Callable[[], Settings], listen: str) -> None:
    """`trustgraph gate`: the same for MTAs that ask over a socket (:mod:`trustgraph.services.gate_socket`)."""
    _serve(load, listen, _socket_gate)


def _serve(load: Callable[[], Settings], listen: str, make: MakeServer) -> None:
    settings = load()
    log = open_log()
    address = parse_listen(listen)
    # Before the listener, whose socket the other process must not hold open once the workers are gone.
    with prepared(settings):
        listener = Listener(address, int(settings.milter.socket_mode, 8))
        run_workers(listener, lambda: _worker(load(), make, log), settings.milter.workers, Timing(), log)


@contextmanager
def prepared(settings: Settings) -> Iterator[None]:
    """Database and directory, and while it lasts a process that takes decisions to the store.

    Raises :class:`ConfigurationError` for settings that cannot work.
    """
    if not settings.site.hostname:
        raise ConfigurationError("site.hostname: expected this host's FQDN")
    open_store(settings.database.url, create=True).close()
    state_of(settings, "").mkdir(mode=0o750, parents=True, exist_ok=True)
    draining = multiprocessing.get_context("fork").Process(target=_keep_draining, args=(settings, os.getpid()))
    draining.start()
    try:
        yield
    finally:
        draining.terminate()
        draining.join()


@asynccontextmanager
async def _worker(settings: Settings, make: MakeServer, log: EventLog) -> AsyncIterator[Server]:
    if not settings.site.hostname:  # it may have been taken out since the start
        raise ConfigurationError("site.hostname: expected this host's FQDN")
    _spare_the_collector()
    if settings.milter.mode == "sign" and make is _milter:
        server = make(settings, None, log, clock)
        async with refreshing(settings, None, _hook_of(server), log):
            yield server
        return
    async with open_gate(settings, recording=True, create=False) as gate:
        server = make(settings, gate, log, clock)
        async with refreshing(settings, gate, _hook_of(server), log):
            yield server


def _hook_of(server: Server) -> Hook | None:
    return server.handler if isinstance(server, MilterServer) and isinstance(server.handler, Hook) else None


@asynccontextmanager
async def refreshing(settings: Settings, gate: Gate | None, hook: Hook | None, log: EventLog) -> AsyncIterator[None]:
    """While it lasts, what others find out and what the operator does to the host key is taken up."""
    tasks = [asyncio.create_task(_refresh_for_ever(gate, log))] if gate else []
    if hook and settings.milter.mode != "verify":
        tasks.append(asyncio.create_task(_follow_hostkey(hook, settings, log)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _spare_the_collector() -> None:
    """What is there now stays for good, and messages make no cycles: so look rarely, and never at the former again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _milter(settings: Settings, gate: Gate | None, log: EventLog, clock: Callable[[], UnixSeconds]) -> Server:
    signer = open_signer(settings, clock()) if settings.milter.mode in ("sign", "both") else None
    milter = settings.milter
    limits = Limits(
        body_bytes=milter.max_body_bytes, message_seconds=milter.timeout_seconds, connections=milter.connections
    )

    def on_error(error: BaseException) -> None:
        log("message_not_judged", why=f"{type(error).__name__}: {error}")

    # Each answer that the MTA waits for costs a switch to it and back; one a message, if it is to be.
    wishes = Wishes(answer_body=False, answer_end_of_header=milter.early)
    return MilterServer(Hook(settings, gate, signer, log, clock), wishes=wishes, limits=limits, on_error=on_error)


def _socket_gate(settings: Settings, gate: Gate | None, log: EventLog, _clock: Callable[[], UnixSeconds]) -> Server:
    if gate is None:
        raise ConfigurationError("milter.mode: sign leaves nothing to judge")
    return GateSocket(settings, gate, log)


async def _refresh_for_ever(gate: Gate, log: EventLog) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await gate.refresh()
        except Exception as error:  # noqa: BLE001 - what is in memory holds on; the next time may be better
            log("refresh_failed", why=f"{type(error).__name__}: {error}")


async def _follow_hostkey(hook: Hook, settings: Settings, log: EventLog) -> None:
    seen: object = None
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        seen = await take_up_hostkey(hook, settings, log, clock(), seen)


async def take_up_hostkey(hook: Hook, settings: Settings, log: EventLog, now: UnixSeconds, seen: object) -> object:
    """Sign with the key that is to sign now, if that is another one than was ``seen``; returns what is there now.

    With a key that was revoked or cannot be read, what would be signed waits: signed, receivers would refuse it.
    """
    path, signer = signing_file(settings, now), hook.signer
    with suppress(OSError):
        status = path.stat()
        expired = signer is not None and (signer.certificate.expires_at or now + 1) <= now
        if seen == (found := (path, status.st_ino, status.st_mtime_ns, expired)):
            return seen
        try:
            opened = await asyncio.to_thread(open_signer, settings, now)
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no key to sign with
            hook.sign_with(None, str(error))
            log("hostkey_unusable", why=str(error))
            return found
        if signer is None or signer.certificate.fingerprint != opened.certificate.fingerprint:
            log("hostkey_taken_up", path=str(path), fingerprint=opened.certificate.fingerprint)
        hook.sign_with(opened)
        return (path, status.st_ino, status.st_mtime_ns, False)
    why = f"{path}: there is no such file"
    if signer is not None:
        log("hostkey_unusable", why=why)
    hook.sign_with(None, why)
    return None


def _keep_draining(settings: Settings, parent: int) -> None:
    """Has somebody drain the spool for as long as the parent lives, and starts another if that one dies."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log = open_log()
    while True:
        drain = multiprocessing.get_context("fork").Process(target=_drain_for_ever, args=(settings, os.getpid()))
        drain.start()
        while drain.is_alive() and not stop.is_set() and os.getppid() == parent:
            drain.join(DRAIN_SECONDS)
        if stop.is_set() or os.getppid() != parent:
            drain.terminate()
            drain.join()
            return
        log("drain_died", exit_code=drain.exitcode)
        stop.wait(DRAIN_SECONDS)


def _drain_for_ever(settings: Settings, parent: int) -> None:
    """Takes spooled decisions and fetched keys to the store, until the milter is gone and the spool is empty."""
    os.nice(_NICENESS)
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
        except Exception as error:  # noqa: BLE001 - nothing is lost: it stays in the spool
            log("drain_failed", why=f"{type(error).__name__}: {error}")
        if last:
            store.close()
            return


def _ingest_keys(settings: Settings, store: Store, log: EventLog) -> None:
    """Certificates that were fetched, with what others say of them, into the network that scoring reads.

    No more at once than takes a moment, or one that is very long: in between, decisions are taken to the store.
    """
    keys = state_of(settings, "keys")
    taken = sorted(keys.glob("*.taken"))  # left by a pass that failed
    if not taken:
        size = 0
        for path in sorted(keys.glob("*.pgp"), key=lambda path: path.stat().st_mtime):
            size += path.stat().st_size
            if taken and size > INGESTED_AT_ONCE_BYTES:
                break
            taken.append(path.rename(path.with_suffix(".taken")))  # newer ones may come
    if not taken:
        return
    counts = ingest_keyrings(store, settings, taken, clock())
    for path in taken:
        path.unlink()
    log("keys_ingested", certificates=counts.certificates, certifications=counts.good)


def clock() -> UnixSeconds:
    """Now."""
    return UnixSeconds(int(time.time()))
