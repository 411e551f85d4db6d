"""One keyserver, one question over HTTP, one answer. Never raises: whatever goes wrong is Unreachable.

Everything is bounded: the time for connecting, for each read and for all of it, the octets of a body, the redirects. A
body is read as a stream, of which little is held (:mod:`trustgraph.openpgp.finding`). Anybody can make a key long by
hanging signatures on it; a long answer may take longer, if whoever asks lets it.

Each question has its own connection. An idle one may be closed by the server just as a question is written to it, which
would read as a failure of the server; and httpcore's connection pool (1.0.9) loses a place for every request that is
cancelled between being given a connection and using it, which hedging does all the time.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, cast

import httpx

from trustgraph import __version__
from trustgraph.keyserver.address import parse_server
from trustgraph.keyserver.answer import LONG_ANSWER, Answer, BodyReader, Unreachable, read_response, unreachable
from trustgraph.model import UnixSeconds
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

#: So much of a body is judged at once. What is longer is judged in a thread, a slice at a time, so that nobody else in
#: the process waits for it.
_SLICE_BYTES = 64 * 1024

#: What is longer than this is a long answer.
LONG_BYTES = 1024 * 1024


def now() -> UnixSeconds:
    """The time by the clock."""
    return UnixSeconds(int(time.time()))


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """Bounds of one question: seconds to connect, between octets, and for the whole with its redirects; body octets.

    A long answer has ``long_seconds`` from when that is known. ``scratch`` is where very long certificates lie while
    they are looked at, by default where the system has its temporary files.
    """

    connect_seconds: float = 1.5
    read_seconds: float = 2.5
    total_seconds: float = 4.0
    max_body_bytes: int = 64 * 1024 * 1024
    long_seconds: float = 60.0
    scratch: Path | None = None


class _Refused(Exception):
    """A response that is not read any further; the message is the reason."""


class _Closing(Protocol):
    async def aclose(self) -> None: ...


class KeyServer:
    """``url`` is written as an operator writes it; ``tls`` gives the context for https when it is first needed.

    Raises :class:`ConfigurationError` for a URL that is none.
    """

    def __init__(
        self,
        url: str,
        tls: Callable[[], ssl.SSLContext],
        policy: ServerPolicy | None = None,
        clock: Callable[[], UnixSeconds] = now,
        judging: asyncio.Semaphore | None = None,
    ) -> None:
        self.url = parse_server(url)
        self._tls = tls
        self._policy = policy or ServerPolicy()
        self._clock = clock
        self._judging = judging or asyncio.Semaphore()

    async def lookup(self, fingerprint: str, may_be_long: Callable[[], bool] = lambda: True) -> Answer:
        """Ask for one certificate; ``fingerprint`` is lower-case hex, 40 or 64 digits.

        ``may_be_long`` is asked once when the answer proves to be a long one.
        """
        url = httpx.URL(f"{self.url}/pks/lookup?op=get&options=mr&search=0x{fingerprint}")
        length = _Length(may_be_long, self._policy.long_seconds)
        answer = await self._bounded(lambda deadline: self._get(url, fingerprint, length.within(deadline)))
        late = length.is_long and isinstance(answer, Unreachable) and answer.reason == "timeout"
        return unreachable(self.url, LONG_ANSWER) if late else answer

    async def submit(self, certificate: bytes) -> int | Unreachable:
        """Hand in a certificate's packets; returns the HTTP status, which proves nothing either way."""
        form = {"keytext": enarmor(certificate).decode("ascii")}
        return await self._bounded(lambda _deadline: self._post(form))

    async def _bounded(self, work: Callable[[asyncio.Timeout], Awaitable[_T]]) -> _T | Unreachable:
        """The result of ``work`` within the total deadline, or why there is none."""
        try:
            async with asyncio.timeout(self._policy.total_seconds) as deadline:
                return await work(deadline)
        except _Refused as refused:
            return unreachable(self.url, str(refused))
        except Exception as error:  # noqa: BLE001 - for the caller an error of any library is a server without an answer
            reason = _reason(error)
            if reason == "internal-error":
                _LOG.exception("keyserver request failed unexpectedly", extra={"server": self.url})
            return unreachable(self.url, reason)

    async def _get(self, url: httpx.URL, fingerprint: str, length: _Length) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._exchange(httpx.Request("GET", url, headers=_HEADERS)) as response:
                if response.status_code == 200:
                    return await self._read(response, fingerprint, length)
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    return read_response(self.url, response.status_code, b"", fingerprint, self._clock())
                url = _redirected(url, response.headers["location"])
        raise _Refused("redirect-loop")

    async def _post(self, form: dict[str, str]) -> int:
        request = httpx.Request("POST", f"{self.url}/pks/add", headers=_HEADERS, data=form)
        async with self._exchange(request) as response:
            return response.status_code

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

    async def _read(self, response: httpx.Response, fingerprint: str, length: _Length) -> Answer:
        """The answer in the body, of which no more is held than a slice, a piece and what :class:`BodyReader` holds."""
        reader = BodyReader(self.url, fingerprint, self._clock(), self._open_file)
        async for piece in self._slices(response):
            length.add(len(piece))
            if length.octets <= _SLICE_BYTES:
                reader.feed(piece)
            else:
                await self._judge(partial(reader.feed, piece))
        return reader.finish() if length.octets <= _SLICE_BYTES else await self._judge(reader.finish)

    async def _judge(self, work: Callable[[], _T]) -> _T:
        async with self._judging:
            return await asyncio.to_thread(work)

    async def _slices(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body in slices of :data:`_SLICE_BYTES` or a little more, never more of it than the cap and one piece."""
        limit = self._policy.max_body_bytes
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _Refused("content-encoding")
        announced = response.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limit:
            raise _Refused("oversize")
        pieces: list[bytes] = []
        cost = size = 0
        try:
            async for piece in response.aiter_raw():
                cost += max(len(piece), _PIECE_BYTES)
                if cost > limit:
                    raise _Refused("oversize")
                pieces.append(piece)
                size += len(piece)
                if size >= _SLICE_BYTES:
                    yield b"".join(pieces)
                    pieces, size = [], 0
        except (httpx.RemoteProtocolError, httpx.ReadError):
            raise _Refused("truncated") from None
        yield b"".join(pieces)

    def _open_file(self) -> BinaryIO:
        return cast(BinaryIO, tempfile.TemporaryFile(dir=self._policy.scratch))


class _Length:
    """How long an answer is; once it is long, it needs leave, and has more time."""

    def __init__(self, may_be_long: Callable[[], bool], more_seconds: float) -> None:
        self.octets = 0
        self._may_be_long = may_be_long
        self._more_seconds = more_seconds
        self._deadline: asyncio.Timeout | None = None

    @property
    def is_long(self) -> bool:
        return self.octets > LONG_BYTES

    def within(self, deadline: asyncio.Timeout) -> _Length:
        """With the deadline that moves."""
        self._deadline = deadline
        return self

    def add(self, count: int) -> None:
        """So many octets have come."""
        was_long = self.is_long
        self.octets += count
        if self.is_long and not was_long:
            if not self._may_be_long():
                raise _Refused(LONG_ANSWER)
            if self._deadline is not None:
                self._deadline.reschedule(asyncio.get_running_loop().time() + self._more_seconds)


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
