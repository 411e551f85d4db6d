"""Whether a HELO name resolves to the client's address, by the system's resolver, in bounded time.

The name is the client's own choice, and so are its DNS servers, which may never answer. So look-ups have a few threads
of their own, and whoever finds these busy goes unconfirmed.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from trustgraph.errors import BadInput
from trustgraph.model import parse_address

_THREADS = 4
_SECONDS = 3.0
_REMEMBERED = 4_096
_VALID_SECONDS = 600.0
_FAILED_SECONDS = 60.0


class HeloNames:
    """Belongs to one event loop. What cannot be resolved in time is not confirmed."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="helo")
        self._busy = 0
        self._known: OrderedDict[tuple[str, str], tuple[float, bool]] = OrderedDict()

    async def confirm(self, helo: str, address: str) -> bool:
        """Whether ``address`` is one of the name's."""
        loop = asyncio.get_running_loop()
        known = self._known.get((helo, address))
        if known and loop.time() < known[0]:
            return known[1]
        if self._busy >= _THREADS:
            return False
        self._busy += 1
        work = loop.run_in_executor(self._threads, _resolves_to, helo, address)
        work.add_done_callback(self._freed)
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

    def _freed(self, _work: asyncio.Future[bool]) -> None:
        self._busy -= 1


def _resolves_to(name: str, address: str) -> bool:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return any(parse_address(str(info[4][0])) == address for info in found)
    except (OSError, UnicodeError, BadInput):
        return False
