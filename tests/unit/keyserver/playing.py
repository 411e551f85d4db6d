"""A pool and the servers it asks, for as long as a scenario takes."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

from tests.unit.keyserver.fault_server import Behaviour, FaultServer, until
from trustgraph.keyserver.breaker import BreakerPolicy
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.keyserver.server import ServerPolicy

_T = TypeVar("_T")

#: No second request but for a reason other than time.
UNHURRIED = PoolPolicy(timeout_seconds=20, hedge_seconds=20)
SERVER = ServerPolicy(connect_seconds=15, read_seconds=15, total_seconds=15)


def no_tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


Scenario = Callable[[Pool, list[FaultServer]], Awaitable[_T]]


def play(
    behaviours: Sequence[Behaviour],
    scenario: Scenario[_T],
    policy: PoolPolicy = UNHURRIED,
    server_policy: ServerPolicy = SERVER,
    breaker_policy: BreakerPolicy | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> _T:
    """Run a scenario against servers that behave so, and see that nothing is left of it."""

    async def run() -> _T:
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(FaultServer(behaviour)) for behaviour in behaviours]
            urls = [server.url for server in servers]
            pool = Pool(urls, policy, server_policy, breaker_policy, monotonic, no_tls)
            try:
                outcome = await asyncio.wait_for(scenario(pool, servers), 60)
            finally:
                await pool.aclose()
            await until(lambda: not any(server.busy for server in servers))
            return outcome

    return asyncio.run(run())
