"""OpenSMTPD's filter: verdicts and edits as smtpd is told them, and that whatever breaks is 451 4.3.0."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.milter.running import Scripted
from tests.unit.milter.test_smtpd import (
    BEGIN,
    COMMIT,
    CONNECT,
    ENVELOPE,
    LINE,
    MAIL,
    RCPT,
    READY,
    RESULT,
    SESSION,
    ask,
    data,
    report,
)
from tests.unit.services.site import site_in
from trustgraph.milter.protocol import ProtocolError
from trustgraph.milter.smtpd import REGISTRATION
from trustgraph.milter.transaction import (
    Accept,
    AddHeader,
    ChangeHeader,
    Client,
    Discard,
    InsertHeader,
    Refuse,
    Response,
    Transaction,
)
from trustgraph.services.smtpd_filter import Sink, SmtpdFilter, edited

TEXT = data(b"Subject: hello", b"To: boris@example.org", b"", b"text", b".")
BROKEN = RESULT + b"reject|451 4.3.0 "

Answer = Callable[[Transaction], Awaitable[Response]]


class Smtpd:
    """The other side: gives what it is told, and waits for answers."""

    def __init__(self, tmp_path: Path, handler: Scripted, **milter: Any) -> None:
        self.settings = site_in(tmp_path, milter=milter)
        self.handler = handler
        self.events: list[dict[str, Any]] = []
        self.said = b""
        self._more = asyncio.Event()
        self.reader = asyncio.StreamReader()

    async def write(self, octets: bytes) -> None:
        self.said += octets
        self._more.set()

    def log(self, event: str, /, **fields: Any) -> None:
        self.events.append({"event": event, **fields})

    def serve(self) -> asyncio.Task[None]:
        return asyncio.create_task(SmtpdFilter(self.handler, self.settings, self.log, self.write).serve(self.reader))

    async def tell(self, octets: bytes, until: bytes) -> bytes:
        """Everything that was said up to and with an answer."""
        self.said = b""
        self.reader.feed_data(octets)
        async with asyncio.timeout(30):
            while until not in self.said:
                self._more.clear()
                await self._more.wait()
        return self.said


def one_message(smtpd: Callable[[], Smtpd], before: bytes = ENVELOPE, text: bytes = TEXT) -> tuple[bytes, bytes, Smtpd]:
    """What is given back, what commit is answered, and the other side."""

    async def dialogue() -> tuple[bytes, bytes, Smtpd]:
        side = smtpd()
        serving = side.serve()
        assert await side.tell(READY, b"register|ready\n") == REGISTRATION
        back = await side.tell(before + text, LINE + b".\n")
        result = await side.tell(COMMIT, b"\n")
        side.reader.feed_eof()
        await serving
        return back, result, side

    return asyncio.run(dialogue())


def handled_by(tmp_path: Path, answer: Answer, **milter: Any) -> tuple[bytes, bytes, Smtpd]:
    return one_message(lambda: Smtpd(tmp_path, Scripted(answer), **milter))


def test_an_accepted_message_comes_back_with_its_edits(tmp_path: Path) -> None:
    async def answer(_transaction: Transaction) -> Response:
        edits = (ChangeHeader(1, b"to", b""), InsertHeader(0, b"Authentication-Results", b"us;\r\n\tx=pass"))
        return Response(Accept(), edits)

    back, result, side = handled_by(tmp_path, answer)
    expected = (b"Authentication-Results: us;", b"\tx=pass", b"Subject: hello", b"", b"text", b".")
    assert back == b"".join(LINE + line + b"\n" for line in expected)
    assert result == RESULT + b"proceed\n"
    assert side.handler.bodies == [b"text\r\n"]


def test_the_handler_is_told_who_and_what(tmp_path: Path) -> None:
    before = CONNECT + report("link-identify", b"EHLO", b"helo.\xff") + BEGIN + MAIL + RCPT
    _, _, side = one_message(lambda: Smtpd(tmp_path, Scripted()), before)
    (transaction,) = side.handler.transactions
    assert transaction.client == Client("mx.peer.example", "192.0.2.1")
    assert (transaction.helo, transaction.queue_id) == ("helo.\\xff", "8adc76a6")
    assert (transaction.mail_from, transaction.recipients) == (b"anna@peer.example", [b"boris@example.org"])
    assert transaction.fields == [(b"Subject", b" hello"), (b"To", b" boris@example.org")]
    assert transaction.leading_space
    assert transaction.macro("auth_authen") == ""


def test_an_authenticated_client_is_named(tmp_path: Path) -> None:
    before = CONNECT + report("link-auth", b"anna", b"pass") + BEGIN + MAIL + RCPT
    _, _, side = one_message(lambda: Smtpd(tmp_path, Scripted()), before)
    assert side.handler.transactions[0].macro("auth_authen") == "anna"


@pytest.mark.parametrize(
    ("response", "reply"),
    [
        (Response(Refuse("550 5.7.7 forged")), b"550 5.7.7 forged"),
        (Response(Refuse("451 4.7.5 later")), b"451 4.7.5 later"),
        (Response(Accept(), quarantine="trustgraph: unreachable"), b"451 4.7.1 this message has to wait"),
        (Response(Discard()), b"550 5.7.7 the signature does not fit"),
    ],
)
def test_a_message_that_is_not_accepted_does_not_come_back(tmp_path: Path, response: Response, reply: bytes) -> None:
    async def answer(_transaction: Transaction) -> Response:
        return response

    back, result, side = handled_by(tmp_path, answer)
    assert back == LINE + b".\n"
    assert result.startswith(RESULT + b"reject|" + reply)
    replaced = [event["reply"] for event in side.events if event["event"] == "verdict_replaced"]
    assert len(replaced) == (not isinstance(response.verdict, Refuse))


def test_a_verdict_on_the_header_alone_counts(tmp_path: Path) -> None:
    async def early(_transaction: Transaction) -> Refuse:
        return Refuse("550 5.7.7 early")

    _, result, side = one_message(lambda: Smtpd(tmp_path, Scripted(end_of_header=early)))
    assert result == RESULT + b"reject|550 5.7.7 early\n"
    assert side.handler.bodies == [b""]


async def _raises(_transaction: Transaction) -> Response:
    raise RuntimeError("broken")


async def _nothing(_transaction: Transaction) -> Response:
    return None  # type: ignore[return-value]


async def _never(_transaction: Transaction) -> Response:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def _edits_what_is_not_there(_transaction: Transaction) -> Response:
    return Response(Accept(), (ChangeHeader(3, b"X-None", b""),))


@pytest.mark.parametrize("answer", [_raises, _nothing, _never, _edits_what_is_not_there])
def test_whatever_breaks_is_a_temporary_failure(tmp_path: Path, answer: Answer) -> None:
    back, result, side = handled_by(tmp_path, answer, timeout="0.2s")
    assert back == LINE + b".\n"
    assert result.startswith(BROKEN)
    assert [event["event"] for event in side.events] == ["message_not_judged"]


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (CONNECT + BEGIN + RCPT, TEXT),
        (CONNECT + BEGIN + MAIL, TEXT),
        (ENVELOPE, data(b"no field", b"", b"text", b".")),
        (ENVELOPE, data(*[b"A: b"] * 1_001, b"", b".")),
    ],
    ids=["no-sender", "no-recipient", "no-header", "too-many-fields"],
)
def test_what_is_no_message_has_to_come_again(tmp_path: Path, before: bytes, text: bytes) -> None:
    _, result, side = one_message(lambda: Smtpd(tmp_path, Scripted()), before, text)
    assert result.startswith(BROKEN)
    assert side.handler.transactions == []


def test_a_message_over_the_bound_is_refused(tmp_path: Path) -> None:
    text = data(b"A: b", b"", *[b"x" * 900] * 20, b".")
    _, result, side = one_message(lambda: Smtpd(tmp_path, Scripted(), max_body="10KiB"), text=text)
    assert result.startswith(RESULT + b"reject|552 5.3.4 ")
    assert side.handler.transactions == []
    assert [event["event"] for event in side.events] == ["message_not_judged"]


def test_sessions_do_not_wait_for_each_other(tmp_path: Path) -> None:
    other = b"%016x" % 7

    async def answer(transaction: Transaction) -> Response:
        return await _never(transaction) if transaction.client.address == "192.0.2.1" else Response(Accept())

    async def dialogue() -> None:
        side = Smtpd(tmp_path, Scripted(answer))
        serving = side.serve()
        await side.tell(READY, b"register|ready\n")
        second = (ENVELOPE + TEXT).replace(SESSION, other).replace(b"192.0.2.1:", b"192.0.2.2:")
        await side.tell(ENVELOPE + TEXT + second, LINE.replace(SESSION, other) + b".\n")
        assert (await side.tell(ask("commit", b"", session=other), b"\n")).endswith(b"|proceed\n")
        # A client that leaves takes its message with it.
        side.said = b""
        side.reader.feed_data(report("link-disconnect"))
        side.reader.feed_eof()
        await serving
        assert side.said == b""

    asyncio.run(dialogue())


def test_a_broken_protocol_leaves_everything_unanswered(tmp_path: Path) -> None:
    async def dialogue() -> None:
        side = Smtpd(tmp_path, Scripted(_never))
        serving = side.serve()
        await side.tell(READY, b"register|ready\n")
        side.said = b""
        side.reader.feed_data(ENVELOPE + TEXT + b"nonsense\n")
        with pytest.raises(ProtocolError):
            await serving
        assert side.said == b""

    asyncio.run(dialogue())


def test_edits_are_done_one_after_the_other() -> None:
    fields = [(b"A", b" 1"), (b"B", b" 2"), (b"a", b" 3")]
    edits = (
        ChangeHeader(2, b"A", b""),
        ChangeHeader(1, b"B", b"x\n\ty"),
        AddHeader(b"C", b"4"),
        InsertHeader(1, b"D", b"5"),
    )
    assert edited(fields, edits) == [(b"A", b" 1"), (b"D", b" 5"), (b"B", b" x\r\n\ty"), (b"C", b" 4")]


def test_a_slow_reader_gets_everything_in_order() -> None:
    async def dialogue() -> bytes:
        ours, theirs = socket.socketpair()
        sink = Sink(ours.fileno())
        written = asyncio.gather(*[sink.write(bytes([number]) * 300_000) for number in range(5)])
        await asyncio.sleep(0)  # all have begun, and the first fills the socket
        got = b""
        while len(got) < 1_500_000:
            got += await asyncio.to_thread(theirs.recv, 65_536)
        await written
        ours.close()
        theirs.close()
        return got

    assert asyncio.run(dialogue()) == b"".join(bytes([number]) * 300_000 for number in range(5))


@pytest.mark.parametrize(("sent", "answer", "code"), [(READY, REGISTRATION, 0), (b"nonsense\n", b"", 65)])
def test_the_command_speaks_over_one_socket(tmp_path: Path, sent: bytes, answer: bytes, code: int) -> None:
    site_in(tmp_path, milter={"mode": "verify"})
    command = [sys.executable, "-m", "trustgraph", "--config", str(tmp_path / "trustgraph.toml"), "smtpd-filter"]
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    with ours, (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=log)
        theirs.close()
        ours.sendall(sent)
        got = b""
        while len(got) < len(answer) and (more := ours.recv(65_536)):
            got += more
        ours.shutdown(socket.SHUT_WR)
        assert process.wait(60) == code
        assert got == answer
        assert ours.recv(65_536) == b""
