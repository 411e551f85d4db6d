"""The gate behind a milter socket, in a thread of its own, at a site that knows and rates one peer."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.milter_client import Message, MilterClient, Outcome
from tests.unit.services.site import NOW
from tests.unit.verifier.letters import MESSAGE_BODY, PEER, RECIPIENT, SENDER, certificate_of, key_of, signed_by
from trustgraph.headersig.message import Field
from trustgraph.milter.listen import Listener, UnixAddress
from trustgraph.milter.server import Limits, MilterServer
from trustgraph.model import Identity, UnixSeconds
from trustgraph.openpgp.signer import MessageSigner
from trustgraph.scoring.algorithms import Scores
from trustgraph.services.gate import Gate, open_gate
from trustgraph.services.milter import Hook
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.store.accepting import CachedCertificate, write_certificate
from trustgraph.store.generations import Generation, write_generation
from trustgraph.store.identities import number_identities

PEER_KEY = Identity.openpgp(key_of(PEER).fingerprint)
BROKEN = b"y451 4.3.0 "
ACCEPTED = b"a"
DEADLINE = 20.0


def rate(store: Store, identity: Identity, rating: float) -> None:
    with store.writing() as connection:
        number = number_identities(connection, {identity: PEER})[identity]
    scores = Scores(np.array([rating]), np.array([0.9]), np.array([40]), np.array([4]), 1)
    generation = Generation("trustgraph", NOW, NOW, UnixSeconds(NOW + 86_400), 1, 1, 1, 0.1, {})
    write_generation(store, generation, np.array([number]), scores, keep=5)


def know_peer(settings: Settings, rating: float = 0.9) -> None:
    """The peer's key in the cache and a rating for it."""
    store = open_store(settings.database.url)
    certificate = certificate_of(PEER)
    write_certificate(store, CachedCertificate(certificate.fingerprint, certificate.octets, NOW))
    rate(store, PEER_KEY, rating)
    store.close()


def message(fields: list[Field] | None = None, body: bytes = MESSAGE_BODY, **more: Any) -> Message:
    """As the peer sends it, unless told otherwise."""
    sender, recipients = more.pop("sender", SENDER), more.pop("recipients", (RECIPIENT,))
    return Message(
        b"<" + sender + b">",
        [b"<" + one + b">" for one in recipients],
        signed_by(PEER) if fields is None else fields,
        body,
        **more,
    )


class Serving:
    """``gate`` and ``hook`` to break, ``events`` as they were logged, ``errors`` as the server reported them."""

    def __init__(self, settings: Settings, path: Path, signer: MessageSigner | None, limits: Limits) -> None:
        self.settings, self.address = settings, f"unix:{path}"
        self.events: list[dict[str, Any]] = []
        self.errors: list[BaseException] = []
        self.gate: Gate
        self.hook: Hook
        self._listener = Listener(UnixAddress(path))
        self._signer, self._limits = signer, limits
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def log(self, event: str, /, **fields: object) -> None:
        self.events.append({"event": event} | fields)

    async def _main(self) -> None:
        try:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            async with open_gate(self.settings, recording=True, clock=lambda: NOW) as self.gate:
                self.hook = Hook(self.settings, self.gate, self._signer, self.log, lambda: NOW)
                server = MilterServer(self.hook, limits=self._limits, on_error=self.errors.append)
                await server.listen(self._listener.sockets)
                self._ready.set()
                await self._stop.wait()
                await server.drain(1, close_idle=True)
        finally:
            self._ready.set()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(DEADLINE)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        self._listener.close()

    def run(self, work: Callable[[], Any]) -> None:
        """In the event loop's thread."""
        done = threading.Event()

        def act() -> None:
            try:
                work()
            finally:
                done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(DEADLINE)

    def client(
        self, host: bytes = PEER.encode(), address: bytes = b"192.0.2.1", helo: bytes = b"", **more: Any
    ) -> MilterClient:
        client = MilterClient(self.address, greet=False, timeout=DEADLINE)
        client.negotiate()
        client.connect(host, address=address, helo=helo or host, **more)
        return client

    def send(self, one: Message | None = None, **client: Any) -> Outcome:
        with self.client(**client) as connection:
            return connection.send(one or message())


@contextmanager
def serving(settings: Settings, signer: MessageSigner | None = None, limits: Limits | None = None) -> Iterator[Serving]:
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        made = Serving(settings, Path(folder) / "s", signer, limits or Limits())
        made.start()
        try:
            yield made
        finally:
            made.stop()
