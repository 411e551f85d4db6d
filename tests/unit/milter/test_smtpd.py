"""OpenSMTPD's filter protocol: whole dialogues of each version, bounds, and that nothing passes without a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import GOLDEN
from trustgraph.milter.protocol import ProtocolError
from trustgraph.milter.server import FAILED, TOO_LARGE
from trustgraph.milter.smtpd import (
    BUSY,
    LONGEST_CUT_LINE,
    REGISTRATION,
    Bounds,
    Conversation,
    Dropped,
    Event,
    Message,
    OverBounds,
    Received,
    Write,
)
from trustgraph.milter.transaction import Client, Refuse

NO = Refuse("550 5.7.7 no")
READY = b"config|ready\n"
SESSION, TOKEN = b"00e824cba48db8ed", b"2002faff84d9e3de"


def report(event: str, *more: bytes, session: bytes = SESSION, version: str = "0.6") -> bytes:
    return b"|".join([f"report|{version}|1.000001|smtp-in|{event}".encode(), session, *more]) + b"\n"


def ask(phase: str, *more: bytes, session: bytes = SESSION, version: str = "0.6") -> bytes:
    return b"|".join([f"filter|{version}|1.000001|smtp-in|{phase}".encode(), session, TOKEN, *more]) + b"\n"


def data(*lines: bytes, session: bytes = SESSION, version: str = "0.6") -> bytes:
    return b"".join(ask("data-line", line, session=session, version=version) for line in lines)


CONNECT = report("link-connect", b"mx.peer.example", b"pass", b"192.0.2.1:25000", b"198.51.100.1:25")
BEGIN = report("tx-begin", b"8adc76a6")
MAIL = report("tx-mail", b"8adc76a6", b"ok", b"anna@peer.example")
RCPT = report("tx-rcpt", b"8adc76a6", b"ok", b"boris@example.org")
ENVELOPE = CONNECT + BEGIN + MAIL + RCPT
COMMIT = ask("commit", b"")
LINE = b"filter-dataline|" + SESSION + b"|" + TOKEN + b"|"
RESULT = b"filter-result|" + SESSION + b"|" + TOKEN + b"|"


def told(events: list[Event]) -> bytes:
    return b"".join(event.octets for event in events if isinstance(event, Write))


def ready(bounds: Bounds | None = None) -> Conversation:
    conversation = Conversation(bounds)
    assert told(conversation.receive(READY)) == REGISTRATION
    return conversation


def message_of(events: list[Event]) -> Message:
    (received,) = [event for event in events if isinstance(event, Received)]
    return received.message


def replay(octets: bytes) -> tuple[bytes, list[Message]]:
    """What smtpd says in a dialogue, with the answers to it: accepted with a field on top unless told otherwise."""
    conversation, said, seen = Conversation(), b"", []
    for line in octets.splitlines(keepends=True):
        if not line.startswith(b"< "):
            continue
        said += line
        events = conversation.receive(line[2:])
        answer = told(events)
        for message in [event.message for event in events if isinstance(event, Received)]:
            seen.append(message)
            if b"Subject: refuse" in message.text:
                answer += conversation.refuse(message, NO)
            else:
                answer += b"".join(conversation.accept(message, b"X-Judged: yes\r\n" + message.text))
        said += b"".join(b"> " + one for one in answer.splitlines(keepends=True))
    return said, seen


@pytest.mark.parametrize("path", sorted((GOLDEN / "smtpd").glob("*.txt")), ids=lambda path: path.stem)
def test_golden_dialogues(path: Path) -> None:
    """0.6 is as OpenSMTPD 6.8.0p2 said it, the others follow smtpd-filters(7) and the history of lka_filter.c."""
    said, seen = replay(path.read_bytes())
    assert said.decode("latin-1").splitlines() == path.read_bytes().decode("latin-1").splitlines()
    if path.stem != "0.6":
        assert {message.session.user for message in seen} == {b"an|na"}
        assert {message.session.client for message in seen} == {Client("mail.example.net", "2001:db8::25")}
        assert {message.session.helo for message in seen} == {b"mail.example.net"}
        assert {message.mail_from for message in seen} == {b"an|na@example.net"}
        assert [message.recipients for message in seen] == [[b"boris@example.org"]] * 2
    else:
        assert [message.session.client for message in seen] == [Client("localhost", "127.0.0.1"), Client("localhost")]
        assert [message.recipients for message in seen] == [[b"r@e.example"]] * 2


def test_a_message_is_octets_without_the_dots_of_the_wire() -> None:
    conversation = ready()
    message = message_of(
        conversation.receive(ENVELOPE + data(b"A: \xff\x80", b"", b"..dot", b".one", b"..", b"x\r", b"."))
    )
    assert bytes(message.text) == b"A: \xff\x80\r\n\r\n.dot\r\none\r\n.\r\nx\r\r\n"
    given_back = b"".join(conversation.accept(message, bytes(message.text)))
    assert given_back == b"".join(
        LINE + line + b"\n" for line in (b"A: \xff\x80", b"", b"..dot", b"one", b"..", b"x\r", b".")
    )


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_any_cut_of_the_stream_gives_the_same(size: int) -> None:
    stream = READY + ENVELOPE + data(b"A: b", b"", b"text", b".")
    conversation, events = Conversation(), []
    for start in range(0, len(stream), size):
        events += conversation.receive(stream[start : start + size])
    assert told(events) == REGISTRATION
    assert bytes(message_of(events).text) == b"A: b\r\n\r\ntext\r\n"


def test_many_sessions_at_once_in_any_order() -> None:
    conversation = ready()
    numbers = [b"%016x" % number for number in range(20)]
    messages = []
    for number in numbers:
        conversation.receive(b"".join(line.replace(SESSION, number) for line in (CONNECT, BEGIN, MAIL, RCPT)))
    for text in (b"A: b", b"", b"%s"):
        for number in numbers:
            conversation.receive(data(text.replace(b"%s", number), session=number))
    for number in reversed(numbers):
        messages.append(message_of(conversation.receive(data(b".", session=number))))
    for message in messages:
        assert message.text.endswith(message.session.number + b"\r\n")
        if int(message.session.number, 16) % 2:
            conversation.refuse(message, NO)
        else:
            b"".join(conversation.accept(message, bytes(message.text)))
    for number in numbers:
        answer = told(conversation.receive(ask("commit", b"", session=number)))
        assert answer.endswith(b"|reject|550 5.7.7 no\n" if int(number, 16) % 2 else b"|proceed\n")
        assert number in answer


FAILED_ANSWER = RESULT + b"reject|" + FAILED.line.encode() + b"\n"


def test_without_a_verdict_commit_is_refused() -> None:
    for before in (b"", CONNECT, ENVELOPE, ENVELOPE + data(b"A: b", b""), ENVELOPE + data(b"A: b", b"", b".")):
        assert told(ready().receive(before + COMMIT)) == FAILED_ANSWER


def test_a_verdict_is_good_for_one_commit() -> None:
    conversation = ready()
    message = message_of(conversation.receive(ENVELOPE + data(b"A: b", b"", b".")))
    b"".join(conversation.accept(message, bytes(message.text)))
    assert told(conversation.receive(COMMIT)) == RESULT + b"proceed\n"
    assert told(conversation.receive(COMMIT)) == FAILED_ANSWER
    assert told(conversation.receive(BEGIN + COMMIT)) == FAILED_ANSWER


@pytest.mark.parametrize(
    "gone", [report("tx-reset", b"8adc76a6"), report("tx-reset"), report("link-disconnect"), BEGIN]
)
def test_a_verdict_that_comes_too_late_says_nothing(gone: bytes) -> None:
    conversation = ready()
    message = message_of(conversation.receive(ENVELOPE + data(b"A: b", b"", b".")))
    assert conversation.receive(gone) == [Dropped(message)]
    assert conversation.refuse(message, NO) == b""
    assert list(conversation.accept(message, b"A: b\r\n\r\n")) == []
    # Lines of it that were under way: nothing is given back but the end.
    assert told(conversation.receive(report("tx-reset") + data(b"A: b", b"."))) == LINE + b".\n"
    assert told(conversation.receive(COMMIT)) == FAILED_ANSWER


def test_a_large_message_is_given_back_in_pieces_until_nobody_waits() -> None:
    conversation = ready()
    message = message_of(conversation.receive(ENVELOPE + data(b"A: b", b"", *[b"x" * 900] * 1_000, b".")))
    pieces = conversation.accept(message, bytes(message.text))
    assert next(pieces).startswith(LINE + b"A: b\n")
    conversation.receive(report("link-disconnect"))
    assert list(pieces) == []


def test_nothing_is_given_back_after_the_end_but_what_was_judged() -> None:
    conversation = ready()
    message = message_of(conversation.receive(ENVELOPE + data(b"A: b", b"", b".")))
    assert conversation.receive(data(b"more", b".")) == []
    assert b"".join(conversation.accept(message, bytes(message.text))).count(LINE) == 3


BOUNDS = Bounds(
    sessions=2, line_octets=100, header_octets=200, message_octets=400, held_octets=700, recipients=3,
    protocol_line_octets=1_000,
)  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        [b"A: b", b"", b"x" * 101],
        [b"A: " + b"x" * 90] * 3,
        [b"A: b", b"", *[b"x" * 90] * 5],
    ],
    ids=["line", "header", "message"],
)
def test_over_its_bounds_a_message_is_refused(lines: list[bytes]) -> None:
    conversation = ready(BOUNDS)
    events = conversation.receive(ENVELOPE + data(*lines, b"", b"end", b"."))
    assert [type(event) for event in events] == [OverBounds, Write]
    assert told(events) == LINE + b".\n"
    assert told(conversation.receive(COMMIT)) == RESULT + b"reject|552 5.3.4 " + TOO_LARGE.line[10:].encode() + b"\n"


def test_too_many_recipients_are_refused() -> None:
    conversation = ready(BOUNDS)
    assert told(conversation.receive(ENVELOPE + RCPT * 3 + data(b"A: b", b".") + COMMIT)).startswith(
        LINE + b".\n" + RESULT + b"reject|552 5.3.4 "
    )


def test_what_is_held_in_all_is_bounded_and_freed() -> None:
    conversation = ready(BOUNDS)
    other = b"%016x" % 7
    text = data(b"A: b", b"", *[b"x" * 90] * 4)
    conversation.receive(ENVELOPE + text)
    second = (ENVELOPE + text + data(b".")).replace(SESSION, other)
    events = conversation.receive(second)
    assert [event.verdict for event in events if isinstance(event, OverBounds)] == [BUSY]
    conversation.receive(report("tx-reset"))
    again = (report("tx-reset") + BEGIN + MAIL + RCPT + text + data(b".")).replace(SESSION, other)
    assert message_of(conversation.receive(again)).verdict is None


def test_sessions_over_the_bound_have_to_come_again() -> None:
    conversation = ready(BOUNDS)
    for number in range(2):
        conversation.receive(CONNECT.replace(SESSION, b"%016x" % number))
    events = conversation.receive(ENVELOPE + data(b"A: b", b"", b".") + COMMIT)
    assert told(events) == LINE + b".\n" + FAILED_ANSWER
    conversation.receive(report("link-disconnect", session=b"%016x" % 0) + report("link-disconnect"))
    assert message_of(conversation.receive(ENVELOPE + data(b"A: b", b".")))


@pytest.mark.parametrize(("version", "longest"), [("0.4", LONGEST_CUT_LINE), ("0.6", 1_997), ("0.7", 65_535)])
def test_lines_that_smtpd_would_cut_off_are_refused(version: str, longest: int) -> None:
    envelope = ENVELOPE.replace(b"|0.6|", b"|0.7|")
    end = data(b".", version=version)
    for length in (longest, longest + 1):
        conversation = ready()
        events = conversation.receive(envelope + data(b"A: b", b"", b"." * length, version=version) + end)
        assert bool([event for event in events if isinstance(event, OverBounds)]) == (length > longest)


def test_a_line_of_the_filter_itself_may_not_be_cut_off_either() -> None:
    conversation = ready()
    message = message_of(conversation.receive(ENVELOPE + data(b"A: b", b".")))
    assert list(conversation.accept(message, b"B: " + b"x" * 2_000 + b"\r\n" + message.text)) == [LINE + b".\n"]
    assert b"|reject|552 5.3.4 " in told(conversation.receive(COMMIT))


@pytest.mark.parametrize(
    ("source", "confirmed", "client"),
    [
        (b"192.0.2.1:25000", b"pass", Client("a|b", "192.0.2.1")),
        (b"192.0.2.1:25000", b"fail", Client("", "192.0.2.1")),
        (b"[2001:db8::1]:25", b"error", Client("", "2001:db8::1")),
        (b"unix:/var/run/smtpd.sock", b"pass", Client("localhost", "")),
        (b"", b"pass", Client("a|b", "?")),
    ],
)
def test_who_the_client_is(source: bytes, confirmed: bytes, client: Client) -> None:
    conversation = ready()
    conversation.receive(report("link-connect", b"a|b", confirmed, source, b"198.51.100.1:25"))
    message = message_of(conversation.receive(BEGIN + MAIL + RCPT + data(b"A: b", b".")))
    assert message.session.client == client


def test_only_accepted_addresses_of_this_transaction_count() -> None:
    conversation = ready()
    stale = report("tx-rcpt", b"00000001", b"ok", b"x@example.org")
    events = conversation.receive(ENVELOPE + stale + RCPT.replace(b"|ok|", b"|tempfail|") + data(b"A: b", b"."))
    assert message_of(events).recipients == [b"boris@example.org"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"config|protocol|0.7",
        b"register|ready",
        b"report",
        b"report|0.6|1.0|smtp-in",
        report("link-connect", b"too", b"few", b"parts")[:-1],
        report("link-disconnect", version="0.8")[:-1],
        report("link-disconnect", version="1")[:-1],
        report("link-disconnect", session=b"")[:-1],
        report("link-disconnect", session=b"xyz")[:-1],
        report("tx-begin", b"not hexadecimal")[:-1],
        report("tx-mail", b"8adc76a6")[:-1],
        report("tx-mail", b"8adc76a6", b"ok")[:-1],
        report("link-disconnect").replace(b"smtp-in", b"smtp-out")[:-1],
        CONNECT[:-1],
        ask("connect", b"mx", b"192.0.2.1")[:-1],
        ask("data-line")[:-1],
        b"filter|0.6|1.0|smtp-in|commit|" + SESSION,
        b"filter|0.6|1.0|smtp-in|commit|" + SESSION + b"|" + b"f" * 17,
        b"x" * 2_000_000,
    ],
)
def test_what_breaks_the_protocol_ends_the_conversation(line: bytes) -> None:
    conversation = ready()
    conversation.receive(CONNECT)
    with pytest.raises(ProtocolError):
        conversation.receive(line + b"\n")


@pytest.mark.parametrize("line", [CONNECT, b"ready\n", b"config\n", b"\n", b"register|ready\n"])
def test_before_the_configuration_there_is_nothing_else(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        Conversation().receive(line)


def test_a_line_that_does_not_end_is_an_error() -> None:
    conversation = ready(BOUNDS)
    with pytest.raises(ProtocolError):
        conversation.receive(b"x" * 1_001)


def test_other_reports_are_passed_over() -> None:
    assert ready().receive(CONNECT + report("link-tls", b"TLSv1.3") + report("timeout")) == []


PARTS = st.sampled_from(
    [
        *(b"|", b"\n", b".", b"..", b"", b"0.4", b"0.5", b"0.7", b"ok", b"pass", b"\x00", b"\xff", b"\r"),
        *(READY, CONNECT, BEGIN, MAIL, RCPT, COMMIT, data(b"A: b"), data(b""), data(b"."), report("tx-reset")),
        *(report("link-disconnect"), report("link-auth", b"pass", b"anna"), b"report|0.6|1|smtp-in|", SESSION, TOKEN),
    ]
)


@given(st.lists(PARTS | st.binary(max_size=8), max_size=60))
def test_of_any_octets_nothing_comes_but_the_projects_error(parts: list[bytes]) -> None:
    conversation = Conversation(BOUNDS)
    try:
        events = conversation.receive(READY + b"".join(parts))
    except ProtocolError:
        return
    assert b"|proceed" not in told(events)
    for event in events:
        if isinstance(event, Received):
            assert conversation.refuse(event.message, NO) in (b"", LINE + b".\n")


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=20))
def test_any_body_comes_back_as_it_was(lines: list[bytes]) -> None:
    conversation = ready()
    stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
    message = message_of(conversation.receive(ENVELOPE + data(b"A: b", b"", *stuffed, b".")))
    assert bytes(message.text) == b"".join(line + b"\r\n" for line in (b"A: b", b"", *lines))
    given_back = b"".join(conversation.accept(message, bytes(message.text)))
    assert given_back == b"".join(LINE + line + b"\n" for line in (b"A: b", b"", *stuffed, b"."))
