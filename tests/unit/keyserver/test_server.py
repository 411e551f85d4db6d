"""One server that does everything a server can do wrong: the answer is right or Unreachable, in bounded time."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.unit.keyserver.certificates import make_contexts
from tests.unit.keyserver.fault_server import (
    ANNA,
    ANNAS,
    BERTS,
    CLEOS,
    Behaviour,
    FaultServer,
    Request,
    chunked,
    endless,
    found,
    raw,
    respond,
    silent,
    until,
)
from tests.unit.keyserver.playing import no_tls
from trustgraph import __version__
from trustgraph.errors import ConfigurationError
from trustgraph.keyserver.answer import Absent, Answer, Cause, Found, Unreachable
from trustgraph.keyserver.server import KeyServer, ServerPolicy
from trustgraph.openpgp.transferable import enarmor, find_certificate

CAP = 50_000
HASTY = ServerPolicy(connect_seconds=0.3, read_seconds=0.3, total_seconds=0.5, max_body_bytes=CAP)

#: For what ends by itself, however busy the machine is.
PATIENT = ServerPolicy(connect_seconds=10, read_seconds=10, total_seconds=10, max_body_bytes=CAP)

#: Every answer comes within the total deadline; so much more is allowed to a busy machine.
MARGIN_SECONDS = 5.0

ARMORED = enarmor(ANNAS)
WHOLE = find_certificate(ANNAS, ANNA.fingerprint) or b""
CHECKSUM = ARMORED.splitlines()[-2] + b"\n"
HEAD = b"HTTP/1.1 200 OK\r\n"
CLOSING = HEAD + b"\r\n"


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds + MARGIN_SECONDS


def ask(behaviour: Behaviour, policy: ServerPolicy = PATIENT) -> tuple[Answer, FaultServer]:
    async def run() -> tuple[Answer, FaultServer]:
        async with FaultServer(behaviour) as server:
            answer = await KeyServer(server.url, no_tls, policy).lookup(ANNA.fingerprint)
            await until(lambda: not server.busy)  # every connection is closed, not just forgotten
            return answer, server

    with bounded(policy.total_seconds):
        return asyncio.run(run())


def reason(behaviour: Behaviour, policy: ServerPolicy = PATIENT) -> str:
    answer, server = ask(behaviour, policy)
    assert isinstance(answer, Unreachable)
    assert answer.causes == (Cause(server.url, answer.reason),)
    return answer.reason


def test_the_question_as_keyservers_understand_it() -> None:
    answer, server = ask(found)
    assert answer == Found(WHOLE, server.url)
    [request] = server.requests
    assert request.method == "GET"
    assert request.target == f"/pks/lookup?op=get&options=mr&search=0x{ANNA.fingerprint}"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["user-agent"] == f"trustgraph/{__version__}"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "behaviour",
    [
        raw(CLOSING + ARMORED),
        raw(chunked(ARMORED[:100], ARMORED[100:])),
        raw(HEAD + b"Content-Encoding: identity\r\n\r\n" + ARMORED),
        raw(b"HTTP/1.0 200 OK\r\n\r\n" + ARMORED),
        raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + CLOSING + ARMORED),
        raw(CLOSING + ARMORED.replace(CHECKSUM, b"")),
        respond(200, enarmor(BERTS + ANNAS + CLEOS)),
        raw(CLOSING[:9], CLOSING[9:], *(ARMORED[at : at + 50] for at in range(0, len(ARMORED), 50))),
    ],
    ids=["until-close", "chunks", "identity", "http-1.0", "continue", "no-checksum", "decoys", "pieces"],
)
def test_found_in_every_form_of_response(behaviour: Behaviour) -> None:
    answer, server = ask(behaviour)
    assert answer == Found(WHOLE, server.url)


@pytest.mark.parametrize(
    "behaviour",
    [
        respond(404),
        respond(200, b"info:1:0\r\n"),
        respond(200, b"Key not found\n"),
        respond(200, b"<pre>Key not found</pre>"),
    ],
    ids=["404", "index", "onak", "onak-pre"],
)
def test_absent(behaviour: Behaviour) -> None:
    answer, server = ask(behaviour)
    assert answer == Absent((server.url,))


@pytest.mark.parametrize("status", [400, 403, 422, 429, 500, 501, 502, 503])
def test_statuses_that_say_nothing(status: int) -> None:
    assert reason(respond(status, b"No results found")) == f"http-{status}"


INDEX = b"info:1:1\r\npub:%b:27\r\nuid:smtp%%3A//a%%3a25 %%%%::\r\n" % ANNA.fingerprint.encode()
FAULTS = {
    "silent": ("timeout", silent),
    "silent-after-header": ("timeout", raw(HEAD + b"Content-Length: 9\r\n\r\n", linger=True)),
    "silent-in-body": ("timeout", raw(HEAD + b"Content-Length: 9999\r\n\r\n" + ARMORED, linger=True)),
    "dripping-header": ("timeout", endless(HEAD, b"X: y\r\n", 0.02)),
    "dripping-body": ("timeout", endless(CLOSING, b"x", 0.02)),
    "dripping-chunks": ("timeout", endless(chunked(ended=False), b"1\r\nx\r\n", 0.02)),
    "continue-for-ever": ("timeout", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02)),
    "endless-header": ("bad-http", endless(HEAD, b"X-Filler: " + b"y" * 500 + b"\r\n")),
    "endless-header-line": ("bad-http", endless(HEAD + b"X: ", b"y" * 5000)),
    "endless-body": ("oversize", endless(CLOSING, b"x" * 5000)),
    "endless-chunks": ("oversize", endless(chunked(ended=False), b"1\r\nx\r\n" * 500)),
    "endless-chunk-extension": ("truncated", endless(chunked(ended=False) + b"1;a=", b"y" * 5000)),
    "content-length-too-long": ("truncated", raw(HEAD + b"Content-Length: 9999\r\n\r\n" + ARMORED)),
    "chunks-cut-off": ("truncated", raw(chunked(ARMORED, ended=False))),
    "chunk-cut-off": ("truncated", raw(chunked(ARMORED, ended=False)[:-10])),
    "chunk-garbage": ("truncated", raw(chunked(ARMORED, ended=False) + b"zz\r\n")),
    "armor-cut-off": ("truncated", raw(CLOSING + ARMORED[:-40])),
    "armor-cut-off-with-length": ("truncated", respond(200, ARMORED[:150])),
    "packet-cut-off": ("damaged", respond(200, enarmor(ANNAS[:-3]))),
    "checksum-wrong": ("damaged", respond(200, ARMORED.replace(CHECKSUM, b"=AAAA\n"))),
    "wrong-key": ("wrong-key", respond(200, enarmor(BERTS))),
    "oversize-announced": ("oversize", raw(HEAD + b"Content-Length: 50001\r\n\r\n", linger=True)),
    "oversize-chunked": ("oversize", raw(chunked(*[b"\n" * 5000] * 10, ARMORED))),
    "oversize-by-its-crumbs": ("oversize", raw(chunked(*[b"\n"] * (CAP // 16), ARMORED))),
    "gzip": ("content-encoding", respond(200, gzip.compress(ARMORED), ["Content-Encoding: gzip"])),
    "gzip-bomb": ("content-encoding", respond(200, gzip.compress(b"\n" * 10_000_000), ["Content-Encoding: gzip"])),
    "deflate-unnamed": ("no-certificate", respond(200, gzip.compress(ARMORED)[:1] + ARMORED[:30])),
    "index": ("no-certificate", respond(200, INDEX)),
    "empty": ("no-certificate", respond(200)),
    "nothing-said": ("bad-http", raw()),
    "closing-in-status-line": ("bad-http", raw(b"HTTP/1.1 20")),
    "closing-in-header": ("bad-http", raw(HEAD + b"Content-Le")),
    "garbage": ("bad-http", raw(b"\x16\x03\x01garbage that is no HTTP\r\n\r\n")),
    "http-0.9": ("bad-http", raw(ARMORED)),
    "two-lengths": ("bad-http", raw(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx")),
    "negative-length": ("bad-http", raw(HEAD + b"Content-Length: -1\r\n\r\n")),
    "gzip-transfer": ("bad-http", raw(HEAD + b"Transfer-Encoding: gzip\r\n\r\n")),
    "status-304": ("http-304", respond(304)),
    "redirect-to-nowhere": ("http-302", respond(302)),
    "redirect-loop": ("redirect-loop", respond(302, headers=["Location: /pks/lookup"])),
    "redirect-to-file": ("redirect-refused", respond(301, headers=["Location: file:///etc/passwd"])),
    "redirect-to-ftp": ("redirect-refused", respond(301, headers=["Location: ftp://127.0.0.1/"])),
    "redirect-with-password": ("redirect-refused", respond(301, headers=["Location: http://a:b@127.0.0.1/"])),
    "redirect-to-garbage": ("redirect-refused", respond(301, headers=["Location: http://[::1"])),
    "redirect-to-bad-port": ("redirect-refused", respond(301, headers=["Location: http://127.0.0.1:99999/"])),
    "redirect-to-same-host-without-name": ("redirect-loop", respond(301, headers=["Location: http:///x"])),
    "redirect-to-long-name": ("no-such-host", respond(301, headers=[f"Location: http://{'a' * 70}.invalid/"])),
}


@pytest.mark.parametrize(("expected", "behaviour"), FAULTS.values(), ids=FAULTS)
def test_every_fault_is_unreachable_in_time(expected: str, behaviour: Behaviour) -> None:
    assert reason(behaviour, HASTY if expected == "timeout" else PATIENT) == expected


def test_the_cap_is_the_policys() -> None:
    padded = respond(200, b"\n" * (CAP - len(ARMORED)) + ARMORED)
    assert isinstance(ask(padded)[0], Found)
    assert reason(padded, ServerPolicy(max_body_bytes=CAP - 1)) == "oversize"


def test_a_long_body_is_judged_like_a_short_one() -> None:
    policy = ServerPolicy(max_body_bytes=1024 * 1024)
    assert isinstance(ask(respond(200, b"\n" * 900_000 + ARMORED), policy)[0], Found)
    assert reason(respond(200, b"\n" * 900_000 + ARMORED[:90]), policy) == "truncated"


def test_a_redirect_is_followed() -> None:
    async def once(request: Request, writer: asyncio.StreamWriter) -> None:
        there = respond(307, headers=["Location: ../new/pks/lookup?x=1"])
        await (found if request.target.startswith("/new/") else there)(request, writer)

    answer, server = ask(once)
    assert answer == Found(WHOLE, server.url)
    assert [request.target for request in server.requests][1:] == ["/new/pks/lookup?x=1"]


def test_three_redirects_are_followed_and_no_more() -> None:
    def after(count: int) -> Behaviour:
        async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
            at = int(request.target.rpartition("/")[2]) if request.target.startswith("/hop/") else 0
            onward = respond(302, headers=[f"Location: /hop/{at + 1}"])
            await (found if at == count else onward)(request, writer)

        return behave

    assert isinstance(ask(after(3))[0], Found)
    assert reason(after(4)) == "redirect-loop"


def test_connection_refused() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening
        url = f"hkp://127.0.0.1:{closed.getsockname()[1]}"
        with bounded(PATIENT.total_seconds):
            answer = asyncio.run(KeyServer(url, no_tls, PATIENT).lookup(ANNA.fingerprint))
    assert isinstance(answer, Unreachable)
    assert answer.reason == "connect-refused"


def test_a_listener_that_never_accepts() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        with bounded(HASTY.total_seconds):
            answer = asyncio.run(KeyServer(f"hkp://127.0.0.1:{deaf.getsockname()[1]}", no_tls, HASTY).lookup("0" * 40))
    assert isinstance(answer, Unreachable)
    assert answer.reason == "timeout"


def test_a_reset_connection() -> None:
    async def reset(_request: Request, writer: asyncio.StreamWriter) -> None:
        raw_socket: socket.socket = writer.get_extra_info("socket")
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert reason(reset) == "connection-lost"


def test_cancelling_closes_the_connection() -> None:
    async def run() -> None:
        async with FaultServer(silent) as server:
            question = asyncio.create_task(KeyServer(server.url, no_tls, ServerPolicy()).lookup(ANNA.fingerprint))
            await server.seen(1)
            question.cancel()
            with pytest.raises(asyncio.CancelledError):
                await question
            await until(lambda: not server.busy)

    asyncio.run(run())


def test_an_error_nobody_thought_of_is_unreachable_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> ssl.SSLContext:
        raise ZeroDivisionError

    answer = asyncio.run(KeyServer("hkp://127.0.0.1:1", broken, PATIENT).lookup(ANNA.fingerprint))
    assert isinstance(answer, Unreachable)
    assert answer.reason == "internal-error"
    assert "unexpectedly" in caplog.text


def test_a_wrong_url_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        KeyServer("ldap://keys.example.org", no_tls)


def test_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert isinstance(ask(found)[0], Found)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return make_contexts(tmp_path_factory.mktemp("tls"))


def ask_tls(behaviour: Behaviour, serving: ssl.SSLContext, trusting: ssl.SSLContext) -> Answer:
    async def run() -> Answer:
        async with FaultServer(behaviour, serving) as server:
            url = server.url.replace("https", "hkps")
            return await KeyServer(url, lambda: trusting, PATIENT).lookup(ANNA.fingerprint)

    return asyncio.run(run())


def test_over_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    answer = ask_tls(found, *contexts)
    assert isinstance(answer, Found)
    assert answer.certificate == WHOLE
    unknown = ask_tls(found, contexts[0], ssl.create_default_context())
    assert isinstance(unknown, Unreachable)
    assert unknown.reason == "tls"


@pytest.mark.parametrize("connect_seconds", [0.2, 10])
def test_a_server_that_does_not_speak_tls(
    connect_seconds: float, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    policy = ServerPolicy(connect_seconds=connect_seconds, total_seconds=0.4)

    async def run() -> Answer:
        async with FaultServer(found) as server:
            url = server.url.replace("http", "https")
            answer = await KeyServer(url, lambda: contexts[1], policy).lookup(ANNA.fingerprint)
            await until(lambda: not server.busy)
            return answer

    with bounded(policy.total_seconds):
        answer = asyncio.run(run())
    assert isinstance(answer, Unreachable)
    assert answer.reason == "timeout"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_connection_is_left_open_wherever_a_question_is_cancelled(
    scheme: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def run() -> None:
        async with FaultServer(silent) as server:
            asking = KeyServer(server.url.replace("http", scheme), lambda: contexts[1], PATIENT)
            for steps in range(40):
                question = asyncio.create_task(asking.lookup(ANNA.fingerprint))
                for _ in range(steps):
                    await asyncio.sleep(0)
                question.cancel()
                await asyncio.wait([question])
                assert question.cancelled()
            await until(lambda: not server.busy)

    asyncio.run(run())


def test_a_redirect_never_leaves_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def run() -> tuple[Answer, Answer, int]:
        async with FaultServer(found) as plain, FaultServer(found, contexts[0]) as secure:
            to_plain = respond(302, headers=[f"Location: {plain.url}/"])
            to_secure = respond(302, headers=[f"Location: {secure.url}/"])
            async with FaultServer(to_plain, contexts[0]) as worse, FaultServer(to_secure) as better:
                policy = PATIENT
                down = await KeyServer(worse.url, lambda: contexts[1], policy).lookup(ANNA.fingerprint)
                up = await KeyServer(better.url, lambda: contexts[1], policy).lookup(ANNA.fingerprint)
                return down, up, len(plain.requests)

    down, up, asked_in_the_clear = asyncio.run(run())
    assert isinstance(down, Unreachable)
    assert (down.reason, asked_in_the_clear) == ("redirect-refused", 0)
    assert isinstance(up, Found)


@pytest.mark.parametrize("status", [200, 202, 403, 500])
def test_submitting_gives_the_status_whatever_it_is(status: int) -> None:
    async def run() -> tuple[int | Unreachable, list[Request]]:
        async with FaultServer(respond(status, b"thanks")) as server:
            return await KeyServer(server.url, no_tls, PATIENT).submit(ANNAS), server.requests

    submitted, [request] = asyncio.run(run())
    assert submitted == status
    assert (request.method, request.target) == ("POST", "/pks/add")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.form == {"keytext": ARMORED.decode()}


def test_submitting_to_a_silent_server_ends() -> None:
    async def run() -> int | Unreachable:
        async with FaultServer(silent) as server:
            return await KeyServer(server.url, no_tls, HASTY).submit(ANNAS)

    with bounded(HASTY.total_seconds):
        submitted = asyncio.run(run())
    assert isinstance(submitted, Unreachable)
    assert submitted.reason == "timeout"
