"""Whether a HELO name resolves to the client's address, by the system's resolver, in bounded time.

The name is the client's own choice, and so are its DNS servers, which may never answer. So look-ups have a few threads
of their own, and whoever finds these busy goes unconfirmed. Numbers are no names, though resolvers take them: there are
many ways to write an address (``0xc0.0.2.1``), and each would be a name that nobody else has.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from trustgraph.errors import BadInput
from trustgraph.model import parse_address

_THREADS = 4
_SECONDS = 3.0
_REMEMBERED = 4_096
_VALID_SECONDS = 600.0
_FAILED_SECONDS = 60.0


class HeloNames:
    """Belongs to one event loop. What cannot be resolved in time is not confirmed. ``resolves`` may take its time."""

    def __init__(self, resolves: Callable[[str, str], bool] | None = None) -> None:
        self._resolves = resolves or _resolves_to
        self._pending: dict[tuple[str, str], asyncio.Future[bool]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="helo")
        self._known: OrderedDict[tuple[str, str], tuple[float, bool]] = OrderedDict()

    async def confirm(self, helo: str, address: str) -> bool:
        """Whether ``address`` is one of the name's."""
        if not helo.rpartition(".")[2][:1].isalpha():
            return False
        loop = asyncio.get_running_loop()
        known = self._known.get((helo, address))
        if known and loop.time() < known[0]:
            return known[1]
        work = self._pending.get((helo, address))
        if work is None:
            if len(self._pending) >= _THREADS:
                return False
            work = self._pending[helo, address] = loop.run_in_executor(self._threads, self._resolves, helo, address)
            work.add_done_callback(lambda _work: self._pending.pop((helo, address), None))
        try:
            async with asyncio.timeout(_SECONDS):
                confirmed = await asyncio.shield(work)
        except TimeoutError:
            confirmed = False
        self._known[helo, address] = loop.time() + (_VALID_SECONDS if confirmed else _FAILED_SECONDS), confirmed
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return confirmed

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _resolves_to(name: str, address: str) -> bool:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return any(parse_address(str(info[4][0])) == address for info in found)
    except (OSError, UnicodeError, BadInput):
        return False
