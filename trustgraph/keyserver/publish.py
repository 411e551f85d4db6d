"""Submitting a certificate to keyservers and reading it back: a status of 200 proves nothing."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass

from trustgraph.errors import BadInput
from trustgraph.keyserver.answer import Absent, Answer, Unreachable
from trustgraph.keyserver.server import KeyServer
from trustgraph.openpgp.transferable import find_certificate, says_all, statements


@dataclass(frozen=True, slots=True)
class Published:
    """``ok``: the server gave back every packet submitted, on the same User ID or subkey. Else ``reason``, one word."""

    server: str
    ok: bool
    reason: str = ""


async def publish_to(
    servers: Sequence[KeyServer],
    certificate: bytes,
    fingerprint: str,
    timeout_seconds: float,
    pauses: Sequence[float],
) -> list[Published]:
    """Submit to each server and read back from each, all at once; ``timeout_seconds`` is for the whole.

    ``pauses`` are seconds before each look: a server may take a moment to show what it has taken.

    Only public packets of this one certificate are sent. Raises :class:`BadInput` when ``certificate`` (binary or
    armored) does not hold it whole.
    """
    own = find_certificate(certificate, fingerprint)
    if own is None:
        raise BadInput(f"nothing to publish: expected the public certificate of {fingerprint}")
    works = (_publish(server, own, fingerprint, timeout_seconds, pauses) for server in servers)
    return list(await asyncio.gather(*works))


async def _publish(
    server: KeyServer, own: bytes, fingerprint: str, timeout_seconds: float, pauses: Sequence[float]
) -> Published:
    submitted: int | Unreachable | None = None
    missing = "timeout"
    try:
        async with asyncio.timeout(timeout_seconds):
            submitted = await server.submit(own)
            # a server that could not be reached may have it all the same; one look tells
            for pause in pauses if isinstance(submitted, int) else pauses[:1]:
                await asyncio.sleep(pause)
                answer = await server.lookup(fingerprint)
                missing = await asyncio.to_thread(_missing, answer, own)
                if not missing:
                    return Published(server.url, ok=True)
    except TimeoutError:
        pass  # said by what is known so far
    if isinstance(submitted, Unreachable):
        missing = submitted.reason
    elif submitted is not None and submitted != 200:
        missing = f"http-{submitted}"
    return Published(server.url, ok=False, reason=missing)


def _missing(answer: Answer, own: bytes) -> str:
    """Why an answer does not show that the server has the certificate; empty if it does."""
    if isinstance(answer, Unreachable):
        return answer.reason
    if isinstance(answer, Absent):
        return "absent"
    # of a long one, such as anybody can make it, only the whole has what others say
    found = answer.long.open() if answer.long else io.BytesIO(answer.certificate)
    return "" if says_all(found, statements(own)) else "incomplete"
