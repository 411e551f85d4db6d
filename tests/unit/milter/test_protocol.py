"""Bytes to events: each packet by hand, the order of commands, and that nothing but ProtocolError comes of anything."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.milter_client import ALL_ACTIONS, ALL_FLAGS, LEADING_SPACE, SILENT, Message, MilterClient, packet, strings
from trustgraph.milter import protocol
from trustgraph.milter.protocol import Action, Decoder, Event, Flag, ProtocolError, Stage, State, Wishes, negotiate

OFFER = packet(b"O", struct.pack("!III", 6, ALL_ACTIONS, ALL_FLAGS))
CONNECT = packet(b"C", b"mx.example.org\0" + b"4\x00\x19192.0.2.1\0")
MAIL, RCPT = packet(b"M", b"<a@b>\0"), packet(b"R", b"<c@d>\0")
FIELD, END_OF_HEADER = packet(b"L", b"From\0 a@b\0"), packet(b"N")
ENVELOPE = OFFER + CONNECT + MAIL + RCPT

#: What brings a connection into each state.
PATHS = {
    State.NEGOTIATING: b"",
    State.READY: OFFER,
    State.CONNECTED: OFFER + CONNECT,
    State.MAIL: OFFER + CONNECT + MAIL,
    State.RCPT: ENVELOPE,
    State.DATA: ENVELOPE + packet(b"T"),
    State.HEADER: ENVELOPE + FIELD,
    State.BODY: ENVELOPE + END_OF_HEADER,
    State.CLOSED: OFFER + packet(b"Q"),
}
COMMANDS = {
    "O": OFFER,
    "D": packet(b"D", b"M"),
    "C": CONNECT,
    "H": packet(b"H", b"mx\0"),
    "M": MAIL,
    "R": RCPT,
    "T": packet(b"T"),
    "L": FIELD,
    "N": END_OF_HEADER,
    "B": packet(b"B", b"text"),
    "E": packet(b"E"),
    "A": packet(b"A"),
    "Q": packet(b"Q"),
    "K": packet(b"K"),
    "U": packet(b"U", b"XYZZY\0"),
}
#: Written down a second time, by hand, so that a slip in the module's table shows.
LEGAL = {
    State.NEGOTIATING: "O",
    State.READY: "DCQK",
    State.CONNECTED: "DHMUAQK",
    State.MAIL: "DRUHMAQK",
    State.RCPT: "DRUTLNHMAQK",
    State.DATA: "DRUTLNHMAQK",
    State.HEADER: "DLNAQK",
    State.BODY: "DBEAQK",
    State.CLOSED: "",
}


def events(data: bytes, limit: int = protocol.MAX_PACKET_BYTES) -> list[Event]:
    decoder = Decoder(limit)
    decoder.feed(data)
    return list(decoder.events())


def last(prefix: bytes, data: bytes) -> Event:
    return events(prefix + data)[-1]


def typed(found: Iterable[Event]) -> list[tuple[type[Event], Event]]:
    """Named tuples of different types can be equal."""
    return [(type(event), event) for event in found]


@pytest.mark.parametrize(
    ("prefix", "command", "data", "event"),
    [
        (State.NEGOTIATING, b"O", struct.pack("!III", 2, 1, 0), protocol.Negotiate(2, 1, 0)),
        (State.CONNECTED, b"D", b"M" + strings(b"i", b"Q1"), protocol.Macros(b"M", ((b"i", b"Q1"),))),
        (State.CONNECTED, b"D", b"R", protocol.Macros(b"R", ())),
        (
            State.CONNECTED,
            b"D",
            b"E" + strings(b"x", b"", b"", b"y"),
            protocol.Macros(b"E", ((b"x", b""), (b"", b"y"))),
        ),
        (State.READY, b"C", b"h\0U", protocol.Connect(b"h", b"U", 0, b"")),
        (State.READY, b"C", b"h\x004\x01\x021.2.3.4\0", protocol.Connect(b"h", b"4", 258, b"1.2.3.4")),
        (State.READY, b"C", b"[::1]\x006\0\0IPv6:::1\0", protocol.Connect(b"[::1]", b"6", 0, b"IPv6:::1")),
        (State.READY, b"C", b"\0L\0\0/run/x\0", protocol.Connect(b"", b"L", 0, b"/run/x")),
        (State.CONNECTED, b"H", b"\xffmx\0", protocol.Helo(b"\xffmx")),
        (State.CONNECTED, b"M", b"<>\0", protocol.Mail(b"<>", ())),
        (State.CONNECTED, b"M", strings(b"<\xc3\xa9@b>", b"SIZE=1"), protocol.Mail(b"<\xc3\xa9@b>", (b"SIZE=1",))),
        (State.MAIL, b"R", strings(b"<c@d>", b"NOTIFY=NEVER"), protocol.Rcpt(b"<c@d>", (b"NOTIFY=NEVER",))),
        (State.RCPT, b"T", b"", protocol.Data()),
        (State.RCPT, b"L", b"Subject\0 \xe9\n\tb\0", protocol.Header(b"Subject", b" \xe9\n\tb")),
        (State.HEADER, b"L", b"X\0\0", protocol.Header(b"X", b"")),
        (State.HEADER, b"N", b"", protocol.EndOfHeader()),
        (State.BODY, b"B", b"a\0b\r\n", protocol.Body(b"a\0b\r\n")),
        (State.BODY, b"E", b"", protocol.EndOfMessage(b"")),
        (State.BODY, b"E", b"rest", protocol.EndOfMessage(b"rest")),
        (State.BODY, b"A", b"", protocol.Abort()),
        (State.BODY, b"Q", b"", protocol.Quit()),
        (State.CONNECTED, b"K", b"", protocol.QuitNewConnection()),
        (State.MAIL, b"U", b"VRFY x\0", protocol.Unknown(b"VRFY x")),
    ],
)
def test_one_packet_of_each_kind(prefix: State, command: bytes, data: bytes, event: Event) -> None:
    found = last(PATHS[prefix], packet(command, data))
    assert (type(found), found) == (type(event), event)


@pytest.mark.parametrize(
    ("prefix", "data"),
    [
        (State.NEGOTIATING, packet(b"O", b"\0" * 11)),
        (State.NEGOTIATING, packet(b"O", b"\0" * 13)),
        (State.READY, packet(b"C", b"no end")),
        (State.READY, packet(b"C", b"h\0")),
        (State.READY, packet(b"C", b"h\0X\0\0a\0")),
        (State.READY, packet(b"C", b"h\0U\0")),
        (State.READY, packet(b"C", b"h\x004\0")),
        (State.READY, packet(b"C", b"h\x004\0\x191.2.3.4")),
        (State.READY, packet(b"C", b"h\x004\0\x191.2.3.4\0more\0")),
        (State.CONNECTED, packet(b"H", b"")),
        (State.CONNECTED, packet(b"H", b"mx")),
        (State.CONNECTED, packet(b"H", b"mx\0more\0")),
        (State.CONNECTED, packet(b"M", b"")),
        (State.CONNECTED, packet(b"M", b"<a@b>")),
        (State.CONNECTED, packet(b"M", b"<a@b>\0SIZE=1")),
        (State.MAIL, packet(b"R", b"<a@b>")),
        (State.RCPT, packet(b"T", b"x")),
        (State.RCPT, packet(b"L", b"Name\0value")),
        (State.RCPT, packet(b"L", b"Name\0")),
        (State.RCPT, packet(b"L", b"Name\0value\0more\0")),
        (State.RCPT, packet(b"L", b"Name\0value\0x")),
        (State.RCPT, packet(b"L", b"\0value\0")),
        (State.RCPT, packet(b"L", b"")),
        (State.HEADER, packet(b"N", b"\0")),
        (State.BODY, packet(b"A", b"\0")),
        (State.BODY, packet(b"Q", b"\0")),
        (State.CONNECTED, packet(b"D", b"")),
        (State.CONNECTED, packet(b"D", b"x")),
        (State.CONNECTED, packet(b"D", b"Mi")),
        (State.CONNECTED, packet(b"D", b"Mi\0")),
        (State.CONNECTED, packet(b"U", b"VRFY")),
        (State.CONNECTED, packet(b"Z")),
        (State.CONNECTED, b"\0\0\0\0A"),
        (State.CONNECTED, b"\xff\xff\xff\xffA"),
    ],
)
def test_what_is_malformed_is_refused_for_good(prefix: State, data: bytes) -> None:
    decoder = Decoder()
    decoder.feed(PATHS[prefix])
    list(decoder.events())
    assert decoder.state is prefix
    decoder.feed(data)
    with pytest.raises(ProtocolError):
        list(decoder.events())
    decoder.feed(packet(b"A"))
    with pytest.raises(ProtocolError):
        list(decoder.events())


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("letter", COMMANDS)
def test_the_order_of_commands(state: State, letter: str) -> None:
    data = PATHS[state] + COMMANDS[letter]
    if letter in LEGAL[state]:
        events(data)
    else:
        with pytest.raises(ProtocolError, match="state"):
            events(data)


def test_after_the_final_answer_no_more_of_the_message_may_come() -> None:
    for state in (State.HEADER, State.BODY):
        decoder = Decoder()
        decoder.feed(PATHS[state])
        list(decoder.events())
        decoder.end_transaction()
        decoder.feed(MAIL)
        assert len(list(decoder.events())) == 1
        decoder.end_transaction()
        decoder.feed(packet(b"B", b"late"))
        with pytest.raises(ProtocolError):
            list(decoder.events())


def test_a_packet_over_the_limit_is_refused_by_its_length_alone() -> None:
    allowed = packet(b"B", b"x" * 99)
    assert last(PATHS[State.BODY], allowed) == protocol.Body(b"x" * 99)
    events(PATHS[State.BODY] + allowed, limit=100)
    with pytest.raises(ProtocolError, match="101"):
        events(PATHS[State.BODY] + struct.pack("!I", 101) + b"B", limit=100)


def test_repeated_macros_of_header_fields_are_given_once_and_those_of_others_each_time() -> None:
    again = packet(b"D", b"L" + strings(b"i", b"Q1"))
    found = events(ENVELOPE + (again + FIELD) * 3 + again + END_OF_HEADER)
    assert sum(isinstance(event, protocol.Macros) for event in found) == 1
    begin = packet(b"D", b"M" + strings(b"i", b"Q1"))
    found = events(OFFER + CONNECT + (begin + begin + MAIL + packet(b"A")) * 2)
    assert sum(isinstance(event, protocol.Macros) for event in found) == 4


def test_events_can_be_left_and_taken_up_again_with_more_data_in_between() -> None:
    decoder = Decoder()
    decoder.feed(ENVELOPE + FIELD[:7])
    for event in decoder.events():
        if isinstance(event, protocol.Mail):
            break
    assert decoder.peek() == ord("R")
    assert decoder.held_bytes == len(RCPT) + 7
    decoder.feed(FIELD[7:])
    assert list(decoder.events()) == [protocol.Rcpt(b"<c@d>", ()), protocol.Header(b"From", b" a@b")]
    assert decoder.held_bytes == 0
    assert decoder.peek() is None


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6, 7])
def test_negotiation_takes_the_older_version_and_nothing_that_was_not_offered(version: int) -> None:
    offered = Flag.NO_BODY | Flag.SILENT_HEADER if version < 6 else Flag(ALL_FLAGS)
    agreement = negotiate(protocol.Negotiate(version, 0x1F, offered), Wishes())
    assert agreement.version == min(version, 6)
    assert agreement.actions == Action.ADD_HEADERS | Action.CHANGE_HEADERS
    assert agreement.flags & ~offered == 0
    assert Flag.NO_BODY not in agreement.flags
    assert agreement.leading_space == agreement.can_skip == (version >= 6)
    assert (protocol.Helo in agreement.answered) == (version < 6)
    assert protocol.Header not in agreement.answered
    assert {protocol.EndOfHeader, protocol.Body} <= agreement.answered
    assert agreement.packet == packet(b"O", struct.pack("!III", agreement.version, 0x11, agreement.flags))


def test_a_version_before_all_is_refused() -> None:
    with pytest.raises(ProtocolError, match="version 1"):
        negotiate(protocol.Negotiate(1, 0x1F, 0x7F), Wishes())


def test_wishes_are_asked_for_and_no_others() -> None:
    offer = protocol.Negotiate(6, ALL_ACTIONS, ALL_FLAGS)
    macros = {Stage.MAIL: b"i {auth_authen}"}
    quiet = Wishes(Action.ADD_HEADERS, body=False, answer_end_of_header=False, answer_body=False, macros=macros)
    agreement = negotiate(offer, quiet)
    assert agreement.actions == Action.ADD_HEADERS | Action.SET_MACROS
    assert {Flag.NO_BODY, Flag.SILENT_END_OF_HEADER, Flag.SILENT_BODY} <= set(agreement.flags)
    assert not agreement.answered
    assert not agreement.can_skip
    assert agreement.packet[17:] == struct.pack("!I", 2) + b"i {auth_authen}\0"
    assert len(negotiate(offer, Wishes(macros={})).packet) == 17
    assert Action.SET_MACROS not in negotiate(offer, Wishes(macros={})).actions
    assert protocol.Connect in negotiate(offer, quiet, answer_connect=True).answered


texts = st.binary(max_size=12).map(lambda value: value.replace(b"\0", b"."))
messages = st.builds(
    Message,
    mail_from=texts,
    recipients=st.lists(texts, min_size=1, max_size=3),
    fields=st.lists(st.tuples(texts.filter(bool), texts), max_size=5),
    body=st.binary(max_size=50),
    header_macros=st.sampled_from([(), (b"i", b"Q1")]),
)


class Unconnected(MilterClient):
    """A client that only prepares bytes."""

    def __init__(self, version: int, flags: int) -> None:
        self.version, self.flags = version, flags


@given(st.lists(messages, max_size=3), st.sampled_from([2, 4, 6]), st.lists(st.integers(1, 30), min_size=1), st.data())
def test_any_chunking_gives_the_same_events_and_what_was_put_in_comes_out(
    sent: list[Message], version: int, sizes: list[int], data: st.DataObject
) -> None:
    client = Unconnected(version, data.draw(st.sampled_from([0, sum(SILENT.values()) | LEADING_SPACE])))
    stream = OFFER + CONNECT + b"".join(part.data for message in sent for part in client.prepare(message))
    whole = typed(events(stream))
    decoder, found, at, turn = Decoder(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        decoder.feed(stream[at : at + size])
        found += typed(decoder.events())
        at, turn = at + size, turn + 1
    assert found == whole

    keeps = client.flags & Flag.LEADING_SPACE
    assert [event.address for kind, event in whole if isinstance(event, protocol.Mail)] == [m.mail_from for m in sent]
    assert [event.address for kind, event in whole if isinstance(event, protocol.Rcpt)] == [
        recipient for message in sent for recipient in message.recipients
    ]
    assert [tuple(event) for kind, event in whole if kind is protocol.Header] == [
        (name, value if keeps else value.removeprefix(b" ")) for message in sent for name, value in message.fields
    ]
    assert b"".join(event.chunk for kind, event in whole if isinstance(event, protocol.Body)) == b"".join(
        message.body for message in sent
    )


packets = st.builds(packet, st.sampled_from(sorted(COMMANDS)).map(str.encode), st.binary(max_size=20))


@given(st.sampled_from(list(State)), st.lists(st.one_of(packets, st.binary(max_size=30)), max_size=8))
def test_random_bytes_give_events_or_a_protocol_error_and_nothing_else(state: State, pieces: list[bytes]) -> None:
    decoder = Decoder()
    decoder.feed(PATHS[state])
    list(decoder.events())
    try:
        for piece in pieces:
            decoder.feed(piece)
            for event in decoder.events():
                assert isinstance(event, tuple)
    except ProtocolError:
        pass
