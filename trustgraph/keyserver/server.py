"""One keyserver, one question over HTTP, one answer. Never raises: whatever goes wrong is Unreachable.

Everything is bounded: the time for connecting, for each read and for all of it, the octets of a body, the redirects.

Each question has its own connection. An idle one may be closed by the server just as a question is written to it, which
would read as a failure of the server; and httpcore's connection pool (1.0.9) loses a place for every request that is
cancelled between being given a connection and using it, which hedging does all the time.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx

from trustgraph import __version__
from trustgraph.keyserver.address import parse_server
from trustgraph.keyserver.answer import Answer, Unreachable, read_response, unreachable
from trustgraph.openpgp.transferable import enarmor

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

#: No compression: a body is as long as what arrives, so that the cap is one on what is held.
_HEADERS = {
    "User-Agent": f"trustgraph/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}

MAX_REDIRECTS = 3
_MAX_PORT = 65_535
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: Each piece of a body counts as at least this much: one octet a chunk costs as much to read.
_PIECE_BYTES = 16

#: Longer bodies are judged in a thread, so that nobody else in the process waits for it (a MiB can take a second).
_INLINE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """Bounds of one question: seconds to connect, between octets, and for the whole with its redirects; body octets."""

    connect_seconds: float = 1.5
    read_seconds: float = 2.5
    total_seconds: float = 4.0
    max_body_bytes: int = 1024 * 1024


class _Refused(Exception):
    """A response that is not read any further; the message is the reason."""


class _Closing(Protocol):
    async def aclose(self) -> None: ...


class KeyServer:
    """``url`` is written as an operator writes it; ``tls`` gives the context for https when it is first needed.

    Raises :class:`ConfigurationError` for a URL that is none.
    """

    def __init__(self, url: str, tls: Callable[[], ssl.SSLContext], policy: ServerPolicy | None = None) -> None:
        self.url = parse_server(url)
        self._tls = tls
        self._policy = policy or ServerPolicy()

    async def lookup(self, fingerprint: str) -> Answer:
        """Ask for one certificate; ``fingerprint`` is lower-case hex, 40 or 64 digits."""
        url = httpx.URL(f"{self.url}/pks/lookup?op=get&options=mr&search=0x{fingerprint}")
        return await self._bounded(self._get(url, fingerprint))

    async def submit(self, certificate: bytes) -> int | Unreachable:
        """Hand in a certificate's packets; returns the HTTP status, which proves nothing either way."""
        return await self._bounded(self._post({"keytext": enarmor(certificate).decode("ascii")}))

    async def _bounded(self, work: Coroutine[None, None, _T]) -> _T | Unreachable:
        """The result of ``work`` within the total deadline, or why there is none."""
        try:
            async with asyncio.timeout(self._policy.total_seconds):
                return await work
        except _Refused as refused:
            return unreachable(self.url, str(refused))
        except Exception as error:  # noqa: BLE001 - for the caller an error of any library is a server without an answer
            reason = _reason(error)
            if reason == "internal-error":
                _LOG.exception("keyserver request failed unexpectedly", extra={"server": self.url})
            return unreachable(self.url, reason)

    async def _get(self, url: httpx.URL, fingerprint: str) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._exchange(httpx.Request("GET", url, headers=_HEADERS)) as response:
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    body = await self._read(response) if response.status_code == 200 else b""
                    return await self._judge(response.status_code, body, fingerprint)
                url = _redirected(url, response.headers["location"])
        raise _Refused("redirect-loop")

    async def _post(self, form: dict[str, str]) -> int:
        request = httpx.Request("POST", f"{self.url}/pks/add", headers=_HEADERS, data=form)
        async with self._exchange(request) as response:
            return response.status_code

    async def _judge(self, status: int, body: bytes, fingerprint: str) -> Answer:
        if len(body) <= _INLINE_BYTES:
            return read_response(self.url, status, body, fingerprint)
        return await asyncio.to_thread(read_response, self.url, status, body, fingerprint)

    @asynccontextmanager
    async def _exchange(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        """A response whose body is still to be read, on a connection that ends with the block.

        The transport without its client: no proxies or passwords from the environment, no cookies, no decoding, no log
        of who is asked for what.
        """
        policy = self._policy
        timeout = httpx.Timeout(policy.read_seconds, connect=policy.connect_seconds)
        connections: list[_Closing] = []

        async def note(event: str, info: Mapping[str, Any]) -> None:
            if event == "connection.connect_tcp.complete":
                connections.append(info["return_value"])

        request.extensions |= {"timeout": timeout.as_dict(), "trace": note}
        try:
            async with httpx.AsyncHTTPTransport(verify=self._tls(), trust_env=False) as transport:
                response = await transport.handle_async_request(request)
                try:
                    yield response
                finally:
                    await response.aclose()
        finally:
            # httpcore 1.0.9 forgets a connection that is cancelled in its TLS handshake, and it stays open
            for connection in connections:
                await connection.aclose()

    async def _read(self, response: httpx.Response) -> bytes:
        """The whole body, never more of it than the cap and one piece."""
        limit = self._policy.max_body_bytes
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _Refused("content-encoding")
        announced = response.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limit:
            raise _Refused("oversize")
        pieces: list[bytes] = []
        cost = 0
        try:
            async for piece in response.aiter_raw():
                cost += max(len(piece), _PIECE_BYTES)
                if cost > limit:
                    raise _Refused("oversize")
                pieces.append(piece)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            raise _Refused("truncated") from None
        return b"".join(pieces)


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    """Where a redirect leads, if one may go there: what was asked over TLS is not asked again without."""
    try:
        target = url.join(location)
    except (httpx.InvalidURL, ValueError):
        raise _Refused("redirect-refused") from None
    secure = {"https"} if url.scheme == "https" else {"http", "https"}
    if target.scheme not in secure or not target.host or target.userinfo or (target.port or 0) > _MAX_PORT:
        raise _Refused("redirect-refused")
    return target


def _reason(error: Exception) -> str:
    """A static word for an exception of httpx or of what is below it; nothing of its text, which a server can write."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "timeout"
    roots = tuple(_roots(error))
    for kind, reason in _ROOT_REASONS:
        if any(isinstance(root, kind) for root in roots):
            return reason
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "internal-error")


def _roots(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it was raised from or while handling, and so on; all of a group."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _roots(one)
    before = error.__cause__ or error.__context__  # httpcore raises "from None" and so drops the cause
    if before is not None:
        yield from _roots(before)


_ROOT_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "connect-refused"),
    (ssl.SSLError, "tls"),
    (socket.gaierror, "no-such-host"),
    (UnicodeError, "no-such-host"),
)
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (httpx.RemoteProtocolError, "bad-http"),
    (httpx.ConnectError, "connect-failed"),
    (httpx.TransportError, "connection-lost"),
    (OSError, "connection-lost"),
)
