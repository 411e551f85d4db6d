"""`trustgraph list milter`: workers behind one socket that gate the posts to this host's lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from trustgraph.milter.listen import Listener, parse_listen
from trustgraph.milter.protocol import Action, Wishes
from trustgraph.milter.server import Limits, MilterServer
from trustgraph.milter.workers import Server, Timing, run_workers
from trustgraph.services.daemon import clock
from trustgraph.services.list_hook import ListHook
from trustgraph.services.log import EventLog, open_log
from trustgraph.settings import Settings
from trustgraph.store import open_store

_ACTIONS = Action.ADD_HEADERS | Action.CHANGE_HEADERS | Action.DELETE_RECIPIENTS


def run_list_milter(load: Callable[[], Settings], listen: str) -> None:
    """Serve until SIGTERM; SIGHUP reads the settings anew. ``load`` reads them.

    Raises :class:`ConfigurationError` or :class:`SchemaMismatch` for what cannot work, before the socket is there.
    """
    settings, log, address = load(), open_log(), parse_listen(listen)
    open_store(settings.database.url).close()
    listener = Listener(address, int(settings.milter.socket_mode, 8))
    run_workers(listener, lambda: _worker(load(), log), settings.milter.workers, Timing(), log)


@asynccontextmanager
async def _worker(settings: Settings, log: EventLog) -> AsyncIterator[Server]:
    milter = settings.milter

    def on_error(error: BaseException) -> None:
        log("list_post_not_judged", why=f"{type(error).__name__}: {error}")

    store = open_store(settings.database.url)
    try:
        limits = Limits(
            body_bytes=milter.max_body_bytes, message_seconds=milter.timeout_seconds, connections=milter.connections
        )
        # Mail for no list is let go at the end of its header, so that the MTA does not send its body.
        wishes = Wishes(_ACTIONS, answer_body=False)
        yield MilterServer(ListHook(settings, store, log, clock), wishes=wishes, limits=limits, on_error=on_error)
    finally:
        store.close()
