"""The server over real sockets: every way in which a message can end, and every way in which a client can misbehave."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest
import uvloop

from tests.milter_client import ALL_FLAGS, LEADING_SPACE, SILENT, Message, MilterClient, Outcome, packet, strings
from tests.unit.milter.running import DEADLINE, Scripted, accept, nothing, running, socket_path, wait_until
from trustgraph.milter.listen import Listener, UnixAddress
from trustgraph.milter.protocol import Action, ProtocolError, Wishes
from trustgraph.milter.server import Limits, MessageTimeout, MilterServer
from trustgraph.milter.transaction import (
    Accept,
    AddHeader,
    ChangeHeader,
    Discard,
    InsertHeader,
    Refuse,
    Response,
    Transaction,
    Verdict,
)

Judge = Callable[[Transaction], Awaitable[Response]]

FAILED = b"y451 4.3.0 The message cannot be checked at the moment, try again later\0"
TOO_LARGE = b"y552 5.3.4 The message is too large to be checked\0"
MESSAGE = Message(
    mail_from=b"<S\xc3\xb6nder@example.org>",
    recipients=(b"<one@example.net>", b"<two@example.net>"),
    fields=(
        (b"Received", b" from a\n\tby b"),
        (b"Subject", b" gr\xfc\xdfe"),
        (b"X-Tab", b"\tno space"),
        (b"X-None", b"none"),
    ),
    body=b"line\r\n" * 30_000,
)


HEADER_BYTES = sum(len(name) + len(value) + 2 for name, value in MESSAGE.fields)


def send_until_stuck(client: MilterClient, data: bytes) -> int:
    """Bytes that go out before the other side has stopped reading; a time is the only sign there is of that."""
    client.socket.settimeout(0.2)
    sent = 0
    try:
        while True:
            sent += client.socket.send(data[sent % len(data) :])
    except TimeoutError:
        client.socket.settimeout(DEADLINE)
        return sent


async def hang(transaction: Transaction) -> Response:
    await asyncio.get_running_loop().create_future()
    return Response(Accept())


async def stumble(transaction: Transaction) -> Response:
    raise LookupError(transaction.mail_from)


async def stumble_later(transaction: Transaction) -> Response:
    await asyncio.sleep(0)
    raise LookupError(transaction.mail_from)


async def accept_later(transaction: Transaction) -> Response:
    await asyncio.sleep(0)
    return Response(Accept())


@pytest.mark.parametrize("inet", ["", "127.0.0.1", "::1"])
def test_the_handler_sees_the_message_as_it_is(inet: str) -> None:
    handler = Scripted()
    with running(handler, inet=inet) as run:
        with MilterClient(run.address) as client:
            for _ in range(2):
                assert client.send(MESSAGE) == Outcome(b"a")
        wait_until(lambda: run.server.counts.open_connections == 0, "the connection should be counted out")
        assert (run.server.counts.messages, run.server.counts.connections, run.errors) == (2, 1, [])
    for transaction, body in zip(handler.transactions, handler.bodies, strict=True):
        assert (transaction.client.name, transaction.client.address) == ("mx.example.org", "192.0.2.1")
        assert (transaction.helo, transaction.queue_id, transaction.leading_space) == ("mx.example.org", "4XyZ", True)
        assert transaction.mail_from == b"S\xc3\xb6nder@example.org"
        assert transaction.recipients == [b"one@example.net", b"two@example.net"]
        assert transaction.fields == list(MESSAGE.fields)
        assert transaction.macro("j") == "mx.example.net"
        assert body == MESSAGE.body


@pytest.mark.parametrize("version", [2, 4, 6])
def test_an_mta_that_waits_for_every_answer_and_takes_the_space_away(version: int) -> None:
    handler = Scripted()
    with running(handler) as run, MilterClient(run.address, version=version, flags=0, actions=0x3F) as client:
        assert client.send(MESSAGE) == Outcome(b"a")
    (transaction,) = handler.transactions
    assert not transaction.leading_space
    assert transaction.fields == [(name, value.removeprefix(b" ")) for name, value in MESSAGE.fields]


@pytest.mark.parametrize(
    ("host", "family", "address", "name", "text"),
    [
        (b"[192.0.2.1]", b"4", b"192.0.2.1", "", "192.0.2.1"),
        (b"unknown", b"4", b"192.0.2.1", "", "192.0.2.1"),
        (b"mx.example.org", b"6", b"IPv6:2001:db8::1", "mx.example.org", "2001:db8::1"),
        (b"localhost", b"L", b"/run/socket", "localhost", ""),
        (b"localhost", b"U", b"", "localhost", ""),
        (b"m\xffx", b"4", b"192.0.2.1", "m\\xffx", "192.0.2.1"),
    ],
)
def test_who_the_client_is(host: bytes, family: bytes, address: bytes, name: str, text: str) -> None:
    handler = Scripted()
    with running(handler) as run, MilterClient(run.address, greet=False) as client:
        client.negotiate()
        client.connect(host, family, address)
        client.send()
    assert (handler.transactions[0].client.name, handler.transactions[0].client.address) == (name, text)


def test_edits_and_the_verdict_come_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    transports = asyncio.selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
    write = transports.write

    def noting(transport: asyncio.Transport, data: bytes) -> None:
        writes.append(data)
        write(transport, data)

    monkeypatch.setattr(transports, "write", noting)

    async def edit(transaction: Transaction) -> Response:
        edits = (InsertHeader(0, b"A", b"1"), ChangeHeader(2, b"B", b""), AddHeader(b"C", b"x\r\n\ty"))
        return Response(Accept(), edits, "on probation")

    for inet in ("", "127.0.0.1"):
        with running(Scripted(edit), inet=inet) as run, MilterClient(run.address) as client:
            *before, end = client.prepare(MESSAGE)
            for part in before:
                client.socket.sendall(part.data)
                assert client.receive() == b"c"
            client.socket.sendall(end.data)
            answer = b"".join(
                [
                    packet(b"i", b"\0\0\0\0A\0 1\0"),
                    packet(b"m", b"\0\0\0\2B\0\0"),
                    packet(b"h", b"C\0 x\n\ty\0"),
                    packet(b"q", b"on probation\0"),
                    packet(b"a"),
                ]
            )
            assert client.socket.recv(4096) == answer
            assert writes[-1] == answer


@pytest.mark.parametrize(
    ("verdict", "reply"),
    [
        (Refuse("550 5.7.7 100% no"), b"y550 5.7.7 100%% no\0"),
        (Refuse("451 4.7.5 later"), b"y451 4.7.5 later\0"),
        (Discard(), b"d"),
        (Accept(), b"a"),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_a_verdict_at_the_end_of_the_header_ends_the_message(verdict: Verdict, reply: bytes, waits: bool) -> None:
    async def decide(transaction: Transaction) -> Verdict | None:
        if waits:
            await asyncio.sleep(0)
        return verdict

    handler = Scripted(end_of_header=decide)
    with running(handler) as run, MilterClient(run.address) as client:
        assert client.send(MESSAGE) == Outcome(reply, answered_to=b"N")
        client.abort()
        assert client.send(MESSAGE) == Outcome(reply, answered_to=b"N")
    assert handler.bodies == [b"", b""]


def test_a_verdict_where_the_mta_does_not_wait_is_given_at_the_end() -> None:
    async def refuse(transaction: Transaction) -> Verdict | None:
        await asyncio.sleep(0)
        return Refuse("550 5.7.7 no")

    handler = Scripted(end_of_header=refuse)
    wishes = Wishes(answer_end_of_header=False, answer_body=False)
    with running(handler, wishes=wishes) as run, MilterClient(run.address) as client:
        assert client.send(MESSAGE) == Outcome(b"y550 5.7.7 no\0", answered_to=b"E")
        assert client.send(MESSAGE) == Outcome(b"y550 5.7.7 no\0", answered_to=b"E")
    assert handler.bodies == [b"", b""]


@pytest.mark.parametrize("flags", [ALL_FLAGS, 0])
def test_a_body_that_is_not_wanted_is_skipped_where_that_can_be(flags: int) -> None:
    async def no_body(transaction: Transaction) -> Verdict | None:
        transaction.body_wanted = False
        return None

    handler = Scripted(end_of_header=no_body)
    with running(handler) as run, MilterClient(run.address, flags=flags) as client:
        parts = client.prepare(MESSAGE)
        for part in parts[:-1]:
            client.socket.sendall(part.data)
            assert client.receive() == (b"s" if flags and part.command == b"B" else b"c")
        client.socket.sendall(parts[-1].data)
        assert client.receive() == b"a"
    assert handler.bodies == [b""]


def test_an_mta_that_is_asked_for_no_body_sends_none() -> None:
    with running(wishes=Wishes(body=False)) as run, MilterClient(run.address) as client:
        assert [part.command for part in client.prepare(MESSAGE)] == [b"N", b"E"]
        assert client.send(MESSAGE) == Outcome(b"a")


def test_the_last_piece_of_the_body_may_come_with_the_end() -> None:
    handler = Scripted()
    with running(handler) as run, MilterClient(run.address) as client:
        parts = client.prepare(replace(MESSAGE, body=b""))
        client.socket.sendall(parts[0].data)
        assert client.receive() == b"c"
        client.socket.sendall(packet(b"E", b"rest"))
        assert client.receive() == b"a"
    assert handler.bodies == [b"rest"]


@pytest.mark.parametrize("broken", [stumble, stumble_later])
def test_what_the_handler_raises_is_a_temporary_failure_and_reported(
    broken: Judge,
) -> None:
    with running(Scripted(broken)) as run, MilterClient(run.address) as client:
        for _ in range(2):
            assert client.send(MESSAGE) == Outcome(FAILED)
        assert [type(error) for error in run.errors] == [LookupError, LookupError]
        assert run.server.counts.failures == 2


@pytest.mark.parametrize("flags", [ALL_FLAGS & ~SILENT[b"B"], 0])
def test_what_the_handler_raises_before_the_end(flags: int) -> None:
    def spoilt(transaction: Transaction, chunk: bytes) -> None:
        raise ZeroDivisionError

    async def early(transaction: Transaction) -> Verdict | None:
        raise LookupError

    async def nonsense(transaction: Transaction) -> Verdict | None:
        return "accept"  # type: ignore[return-value]

    for handler, command in (
        (Scripted(body=spoilt), b"B"),
        (Scripted(end_of_header=early), b"N"),
        (Scripted(end_of_header=nonsense), b"N"),
    ):
        with running(handler) as run, MilterClient(run.address, flags=flags) as client:
            assert client.send(MESSAGE) == Outcome(FAILED, answered_to=command)
            assert len(run.errors) == 1
        quiet = Wishes(answer_end_of_header=False, answer_body=False)
        with running(handler, wishes=quiet) as run, MilterClient(run.address) as client:
            assert client.send(MESSAGE) == Outcome(FAILED, answered_to=b"E")


async def cancel_itself(transaction: Transaction) -> Response:
    raise asyncio.CancelledError


async def cancel_itself_later(transaction: Transaction) -> Response:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


async def say_nothing(transaction: Transaction) -> Response:
    return None  # type: ignore[return-value]


async def say_nothing_later(transaction: Transaction) -> Response:
    await asyncio.sleep(0)
    return None  # type: ignore[return-value]


async def verdict_only(transaction: Transaction) -> Response:
    return Accept()  # type: ignore[return-value]


async def bad_edit(transaction: Transaction) -> Response:
    return Response(Accept(), (AddHeader(b"X", b"a\nBcc: b"),))


@pytest.mark.parametrize(
    "odd", [cancel_itself, cancel_itself_later, say_nothing, say_nothing_later, verdict_only, bad_edit]
)
def test_nothing_but_a_response_that_accepts_accepts(
    odd: Judge,
) -> None:
    with running(Scripted(odd)) as run, MilterClient(run.address) as client:
        assert client.send(MESSAGE) == Outcome(FAILED)
        assert len(run.errors) == 1


def test_what_the_mta_does_not_grant_is_not_sent() -> None:
    async def hold(transaction: Transaction) -> Response:
        return Response(Accept(), quarantine="on probation")

    async def change(transaction: Transaction) -> Response:
        return Response(Accept(), (ChangeHeader(1, b"X", b""),))

    for handler, missing in ((hold, Action.QUARANTINE), (change, Action.CHANGE_HEADERS)):
        with running(Scripted(handler)) as run, MilterClient(run.address, actions=0x3F & ~missing) as client:
            assert client.send(MESSAGE) == Outcome(FAILED)
            assert [type(error) for error in run.errors] == [PermissionError]


def failing(error: BaseException) -> None:
    raise ZeroDivisionError


def test_a_failing_report_is_not_the_messages_fault(caplog: pytest.LogCaptureFixture) -> None:
    with running(Scripted(stumble)) as run:
        run.server._on_error = failing
        with MilterClient(run.address) as client:
            assert client.send() == Outcome(FAILED)
    assert "on_error failed" in caplog.text


def test_a_handler_that_takes_too_long_fails_the_message_and_not_the_connection() -> None:
    handler = Scripted(hang)
    with running(handler, limits=Limits(message_seconds=0.05)) as run, MilterClient(run.address) as client:
        assert client.send(MESSAGE) == Outcome(FAILED)
        assert handler.cancelled.wait(DEADLINE)
        assert [type(error) for error in run.errors] == [MessageTimeout]
        handler._message = accept
        assert client.send(MESSAGE) == Outcome(b"a")
        assert run.server.counts.timeouts == 1


@pytest.mark.parametrize(
    ("limits", "command"),
    [
        (Limits(fields=3), b"N"),
        (Limits(header_bytes=HEADER_BYTES - 1), b"N"),
        (Limits(recipients=1), b"N"),
        (Limits(body_bytes=len(MESSAGE.body) - 1), b"B"),
    ],
)
def test_over_a_limit_the_handler_is_not_asked(limits: Limits, command: bytes) -> None:
    handler = Scripted()
    with running(handler, limits=limits) as run:
        with MilterClient(run.address) as client:
            for _ in range(2):
                assert client.send(MESSAGE) == Outcome(TOO_LARGE, answered_to=command)
            assert client.send(Message()) == Outcome(b"a")
        with MilterClient(run.address, flags=LEADING_SPACE) as client:
            assert client.send(MESSAGE) == Outcome(TOO_LARGE, answered_to=command)
        assert run.server.counts.too_large == 3
    if command == b"N":
        assert [len(transaction.fields) for transaction in handler.transactions] == [2]


def test_at_the_limits_it_is_asked() -> None:
    limits = Limits(
        fields=len(MESSAGE.fields),
        header_bytes=HEADER_BYTES,
        recipients=2,
        body_bytes=len(MESSAGE.body),
    )
    with running(limits=limits) as run, MilterClient(run.address) as client:
        assert client.send(MESSAGE) == Outcome(b"a")


def test_a_body_over_the_limit_that_nobody_waits_for_is_refused_at_the_end() -> None:
    limits, wishes = Limits(body_bytes=100), Wishes(answer_body=False)
    with running(limits=limits, wishes=wishes) as run, MilterClient(run.address) as client:
        assert client.send(MESSAGE) == Outcome(TOO_LARGE)


def test_macros_are_bounded_in_number_and_size() -> None:
    handler = Scripted()
    with running(handler, limits=Limits(macros=2, macro_bytes=3)) as run, MilterClient(run.address) as client:
        client.send(replace(MESSAGE, mail_macros=(b"a", b"12345", b"b", b"2", b"c", b"3")))
    assert handler.transactions[0].macros == {b"j": b"mx.", b"a": b"123", b"b": b"2"}


def test_macros_of_one_message_are_gone_in_the_next() -> None:
    handler = Scripted()
    named = replace(MESSAGE, mail_macros=(b"i", b"Q1", b"{auth_authen}", b"mallory"))
    plain = replace(MESSAGE, mail_macros=(b"i", b"Q2"))
    with running(handler) as run, MilterClient(run.address) as client:
        client.send(named)
        client.send(plain)
        client.send(named)
        client.abort()
        client.send(plain)
        # A transaction that ends without notice, as Sendmail's do when another filter refuses a recipient.
        client.socket.sendall(
            packet(b"D", b"M" + strings(b"{auth_authen}", b"mallory"))
            + packet(b"M", b"<a@b>\0")
            + packet(b"R", b"<c>\0")
        )
        client.send(plain)
        client.send(named)
        silent = client.prepare(plain)
        without = packet(b"D", b"M" + strings(*plain.mail_macros))
        assert silent[0].data.startswith(without)
        client.transact([replace(silent[0], data=silent[0].data.removeprefix(without)), *silent[1:]])
    assert [transaction.macro("auth_authen") for transaction in handler.transactions] == [
        "mallory",
        "",
        "mallory",
        "",
        "",
        "mallory",
        "",
    ]
    assert handler.transactions[-1].recipients == [b"one@example.net", b"two@example.net"]
    assert all(transaction.macro("j") == "mx.example.net" for transaction in handler.transactions)


def test_a_new_client_over_the_same_connection_inherits_nothing() -> None:
    handler = Scripted()
    with running(handler) as run, MilterClient(run.address) as client:
        client.send()
        client.socket.sendall(
            packet(b"K") + packet(b"C", b"unknown\0U") + packet(b"M", b"<>\0") + packet(b"R", b"<c>\0")
        )
        client.socket.sendall(packet(b"N"))
        assert client.receive() == b"c"
        client.socket.sendall(packet(b"E"))
        assert client.receive() == b"a"
    last = handler.transactions[-1]
    assert (last.client.name, last.client.address, last.helo, last.macros) == ("", "", "", {})
    assert last.mail_from == b""


@pytest.mark.parametrize("judge", [accept, accept_later])
def test_messages_that_are_sent_without_waiting_are_answered_in_order(
    judge: Judge,
) -> None:
    handler = Scripted(judge)
    with running(handler) as run, MilterClient(run.address) as client:
        count, stream = 40, b""
        for number in range(count):
            small = replace(MESSAGE, mail_from=b"<%d@example.org>" % number, body=b"text")
            stream += b"".join(part.data for part in client.prepare(small))
        client.socket.sendall(stream)
        assert [client.receive() for _ in range(3 * count)] == [b"c", b"c", b"a"] * count
    assert [transaction.mail_from for transaction in handler.transactions] == [
        b"%d@example.org" % number for number in range(count)
    ]


def test_input_behind_a_message_that_is_being_judged_costs_bounded_memory() -> None:
    async def wait(transaction: Transaction) -> Response:
        await release.wait()
        return Response(Accept())

    handler = Scripted(wait)
    with running(handler) as run:
        release = asyncio.Event()
        with MilterClient(run.address) as client:
            parts = client.prepare(replace(MESSAGE, body=b"x"))
            client.socket.sendall(b"".join(part.data for part in parts))
            message = b"".join(part.data for part in client.prepare(MESSAGE))
            wait_until(lambda: len(handler.bodies) == 1, "the handler should be asked")
            sent = send_until_stuck(client, message)
            (connection,) = run.server._connections
            assert connection._decoder.held_bytes < 1024 * 1024
            assert sent < 4 * 1024 * 1024  # the kernel's buffers and ours
            run.loop.call_soon_threadsafe(release.set)
            assert [client.receive() for _ in range(3)] == [b"c", b"c", b"a"]
            assert client.receive() == b"c"  # and reading goes on


def test_a_client_that_reads_no_answers_is_not_read_either() -> None:
    with running() as run, MilterClient(run.address, flags=0) as client:
        assert send_until_stuck(client, packet(b"U", b"XYZZY\0") * 20_000) > 1024 * 1024
        (connection,) = run.server._connections
        assert connection._blocked
        assert connection._transport.get_write_buffer_size() < 4 * 1024 * 1024
        assert client.receive() == b"c"
        client.socket.close()


@pytest.mark.parametrize("ending", [packet(b"A"), packet(b"Q"), packet(b"K"), b""])
def test_a_message_that_is_given_up_while_it_is_judged_is_cancelled(ending: bytes) -> None:
    handler = Scripted(hang)
    with running(handler) as run, MilterClient(run.address) as client:
        for part in client.prepare(MESSAGE):
            handler.entered.clear()
            client.socket.sendall(part.data)
            if part.command != b"E":
                assert client.receive() == b"c"
        assert handler.entered.wait(DEADLINE)
        assert not handler.cancelled.is_set()
        if ending:
            client.socket.sendall(ending)
        else:
            client.socket.close()
        assert handler.cancelled.wait(DEADLINE)
        wait_until(lambda: run.server.counts.aborted == 1, "the message should count as aborted")
        handler._message = accept
        if ending == packet(b"A"):
            assert client.send(MESSAGE) == Outcome(b"a")
        assert run.errors == []


@pytest.mark.parametrize(
    "garbage", [packet(b"Z"), packet(b"E"), struct.pack("!I", 2**31) + b"B", packet(b"L", b"Name"), b"\0\0\0\0\0"]
)
def test_who_breaks_the_protocol_is_dropped_and_counted(garbage: bytes) -> None:
    with running() as run:
        with MilterClient(run.address) as other, MilterClient(run.address) as client:
            client.socket.sendall(garbage)
            with pytest.raises(ConnectionError):
                client.receive()
            assert other.send(MESSAGE) == Outcome(b"a")
        assert run.server.counts.protocol_errors == 1
        assert [type(error) for error in run.errors] == [ProtocolError]


def test_one_connection_too_many_is_told_to_come_later() -> None:
    with running(limits=Limits(connections=2)) as run:
        with MilterClient(run.address) as first, MilterClient(run.address):
            client = MilterClient(run.address, greet=False)
            client.negotiate()
            assert client.connect() == b"y451 4.3.2 Too many connections, try again later\0"
            with pytest.raises(ConnectionError):
                client.receive()
            client.close()
            assert first.send() == Outcome(b"a")
            assert run.server.counts.turned_away == 1
        wait_until(lambda: run.server.counts.open_connections == 0, "connections should be counted out")
        with MilterClient(run.address) as client:
            assert client.send() == Outcome(b"a")


def test_many_connections_at_once() -> None:
    handler = Scripted(accept_later)
    with running(handler, limits=Limits(connections=300)) as run, ExitStack() as stack:
        clients = [stack.enter_context(MilterClient(run.address)) for _ in range(200)]
        parts = clients[0].prepare(replace(MESSAGE, body=b"text"))
        for part in parts:
            for client in clients:
                client.socket.sendall(part.data)
            answers = {client.receive() for client in clients}
            assert answers == {b"a" if part.command == b"E" else b"c"}
        assert run.server.counts.open_connections == 200


def test_silence_is_not_waited_for_for_ever() -> None:
    limits = Limits(negotiation_seconds=0.05, idle_seconds=0.2)
    with running(Scripted(end_of_header=nothing), limits=limits) as run:
        silent = MilterClient(run.address, greet=False)
        dripping = MilterClient(run.address, greet=False)
        dripping.socket.sendall(b"\0\0")
        idle = MilterClient(run.address)
        for client in (silent, dripping, idle):
            with pytest.raises(ConnectionError):
                client.receive()
            client.close()
        assert run.server.counts.idle_closed == 3


def test_a_handler_that_takes_its_time_is_not_silence_of_the_client() -> None:
    async def slow(transaction: Transaction) -> Response:
        await asyncio.sleep(0.15)
        return Response(Accept())

    with running(Scripted(slow), limits=Limits(idle_seconds=0.1)) as run, MilterClient(run.address) as client:
        assert client.send() == Outcome(b"a")


def test_stopping_closes_idle_connections_and_finishes_messages_under_way() -> None:
    async def wait(transaction: Transaction) -> Response:
        await release.wait()
        return Response(Accept())

    handler = Scripted(wait)
    with running(handler) as run:
        release = asyncio.Event()
        idle, busy = MilterClient(run.address), MilterClient(run.address)
        parts = busy.prepare(Message())
        for part in parts[:-1]:
            busy.socket.sendall(part.data)
            assert busy.receive() == b"c"
        busy.socket.sendall(parts[-1].data)
        run.begin_stop(DEADLINE)
        with pytest.raises(ConnectionError):
            idle.receive()
        assert not run.ended()
        run.loop.call_soon_threadsafe(release.set)
        assert busy.receive() == b"a"
        with pytest.raises(ConnectionError):
            busy.receive()
        wait_until(run.ended, "the server should end with its last message")
        for client in (idle, busy):
            client.close()


def test_draining_waits_for_clients_to_close_and_no_longer_than_it_may() -> None:
    with running() as run:
        client, other = MilterClient(run.address), MilterClient(run.address)
        run.begin_stop(DEADLINE, close_idle=False)
        assert client.send() == Outcome(b"a")
        assert client.send() == Outcome(b"a")
        assert not run.ended()
        client.close()
        other.close()
        wait_until(run.ended, "the server should end with its last connection")
    with running(Scripted(hang)) as run:
        client = MilterClient(run.address)
        for part in client.prepare(Message()):
            client.socket.sendall(part.data)
        run.begin_stop(0.05, close_idle=False)
        wait_until(run.ended, "the server should not wait for ever")
        assert run.handler.cancelled.is_set()
        client.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("turns", range(4))
def test_who_has_connected_when_draining_begins_is_served(
    turns: int, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def drained_under_a_client() -> bool:
        with socket_path() as path:
            listener = Listener(UnixAddress(path))
            server = MilterServer(Scripted())
            await server.listen(listener.sockets)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                for _ in range(turns):
                    await asyncio.sleep(0)
                draining = asyncio.create_task(server.drain(DEADLINE, close_idle=False))
                for _ in range(10):
                    await asyncio.sleep(0)
                ended = draining.done()
            await draining
            listener.close()
            return ended

    with asyncio.Runner(loop_factory=loop) as runner:
        assert not runner.run(drained_under_a_client())


def test_no_packet_waits_for_a_delayed_acknowledgement() -> None:
    """A client that writes twice before it reads, with Nagle's algorithm on, as an MTA may."""
    with running(inet="127.0.0.1") as run, MilterClient(run.address) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        parts = client.prepare(Message())
        started = time.monotonic()
        for _ in range(25):
            for part in parts:
                client.socket.sendall(part.data[:5])
                client.socket.sendall(part.data[5:])
                assert client.receive() in {b"c", b"a"}
        assert time.monotonic() - started < 1.0  # 75 delays of 40 ms would be three seconds
        (connection,) = run.server._connections
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
