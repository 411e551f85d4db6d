"""An answer in pieces, however they are cut, comes to what it comes to whole: armor, checksum, packets, certificate."""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.openpgp.openpgp_maker import certificate, certify, ed25519_key, packet, user_id
from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.arriving import MAX_RESUMPTIONS, ArrivingPackets
from trustgraph.openpgp.crc24 import LANE_OCTETS, Crc24, crc24
from trustgraph.openpgp.dearmoring import MAX_HEADER_BYTES, MAX_TAIL_BYTES, Dearmorer
from trustgraph.openpgp.finding import CertificateFinder, Gathered
from trustgraph.openpgp.framing import Packet
from trustgraph.openpgp.transferable import enarmor, find_certificate

ANNA, BERT = (ed25519_key(name) for name in ("anna", "bert"))
ANNAS = certificate(ANNA, "smtp://anna.example", others=certify(BERT, ANNA, "smtp://anna.example"))
BERTS = certificate(BERT, "smtp://bert.example")
NOW = UnixSeconds(1_700_000_000)

BEGIN, END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"

PIECES = [
    *(ANNAS, BERTS, enarmor(ANNAS), enarmor(BERTS), enarmor(ANNAS).replace(b"\n", b"\r\n")),
    *(ANNAS[:70], BERTS[:-5], enarmor(ANNAS)[:120], enarmor(BERTS)[:-30], b"=AAAA\n", b"====", b"\n", b"x"),
    *(BEGIN, BEGIN + b"\n", END + b"\n", b"Comment: c\n", b"\n\n", b"<pre>", base64.encodebytes(ANNAS), b"-----"),
    *(b"\xd1\xff", b"\xc2", b"\x99\x00", packet(60, b"private"), packet(17, b"p" * 300), ANNA.packet),
]
answers = st.lists(st.sampled_from(PIECES) | st.binary(max_size=12), max_size=6).map(b"".join)
cuts = st.lists(st.integers(0, 2_000), max_size=12)


def cut(octets: bytes, at: Sequence[int]) -> Iterator[bytes]:
    places = sorted({0, len(octets), *(place % (len(octets) + 1) for place in at)})
    yield b""
    for start, end in pairwise(places):
        yield octets[start:end]


class Told:
    """What a dearmorer says, the pieces of a block joined; of a damaged one only that it is."""

    def __init__(self) -> None:
        self.blocks: list[tuple[bytes, str]] = []
        self._open = b""

    def begin(self) -> None:
        self._open = b""

    def data(self, octets: bytes) -> None:
        self._open += octets

    def end(self, damage: str) -> None:
        self.blocks.append((b"" if damage else self._open, damage))


def dearmored(*pieces: bytes) -> list[tuple[bytes, str]]:
    told = Told()
    dearmorer = Dearmorer(told)
    for piece in pieces:
        dearmorer.feed(piece)
    dearmorer.finish()
    return told.blocks


def arrived(*pieces: bytes) -> tuple[list[Packet], list[str]]:
    problems: list[str] = []
    packets = ArrivingPackets(problems.append)
    found = [one for piece in pieces for one in packets.feed(piece)]
    packets.finish()
    return found, problems


def found(*pieces: bytes, fingerprint: str = ANNA.fingerprint) -> bytes | str | None:
    finder = CertificateFinder(fingerprint, lambda: Gathered(fingerprint, NOW, tempfile.TemporaryFile))
    try:
        for piece in pieces:
            finder.feed(piece)
        one = finder.finish()
    except BadInput as error:
        return str(error)
    return None if one is None else one.octets()


@settings(deadline=None)
@given(st.binary(max_size=5 * LANE_OCTETS), cuts)
def test_the_checksum_is_that_of_the_standard(octets: bytes, at: Sequence[int]) -> None:
    expected = 0xB704CE
    for octet in octets:
        expected ^= octet << 16
        for _ in range(8):
            expected = (expected << 1) ^ (0x1864CFB if expected & 0x800000 else 0)
    crc = Crc24()
    for piece in cut(octets, at):
        crc.update(piece)
    assert int.from_bytes(crc.digest()) == crc24(octets) == expected


@settings(deadline=None)
@given(answers, cuts)
def test_armor_in_pieces(text: bytes, at: Sequence[int]) -> None:
    assert dearmored(*cut(text, at)) == dearmored(text)


@settings(deadline=None)
@given(answers, cuts)
def test_packets_in_pieces(octets: bytes, at: Sequence[int]) -> None:
    assert arrived(*cut(octets, at)) == arrived(octets)


@settings(deadline=None)
@given(answers, cuts)
def test_a_certificate_in_pieces(answer: bytes, at: Sequence[int]) -> None:
    whole = found(answer)
    assert found(*cut(answer, at)) == whole
    if isinstance(whole, str):
        with pytest.raises(BadInput, match=re.escape(whole)):
            find_certificate(answer, ANNA.fingerprint)
    else:
        assert find_certificate(answer, ANNA.fingerprint) == whole


def test_octet_by_octet() -> None:
    whole = find_certificate(ANNAS, ANNA.fingerprint)
    for answer in (ANNAS, enarmor(ANNAS), b"<html>\n" + enarmor(BERTS) + enarmor(ANNAS) + b"</html>"):
        assert found(*(bytes((octet,)) for octet in answer)) == whole


ARMORED = enarmor(ANNAS)
BODY = base64.encodebytes(ANNAS)


@pytest.mark.parametrize(
    "text",
    [
        BEGIN + b"\n" + BODY + END,
        BEGIN + b"\r\nVersion: 1\r\nComment: a:b\r\n\r\n" + BODY.replace(b"\n", b"\r\n") + END,
        BEGIN + b" \t\n\n" + BODY + b"\n\n" + END,
        BEGIN + b"\n\n" + base64.b64encode(ANNAS).rstrip(b"=") + b"\n" + END,
        b"text\n" + ARMORED,
        ARMORED.replace(b"\n=", b"\n\n=").replace(b"\n-----END", b"\n \n-----END"),
    ],
    ids=["no-checksum", "crlf", "white-space", "no-padding", "after-text", "blank-lines"],
)
def test_armor_that_is_whole(text: bytes) -> None:
    assert dearmored(text) == [(ANNAS, "")]


@pytest.mark.parametrize(
    "text",
    [
        BEGIN + b" junk\n\n" + BODY + END,
        BEGIN + b"\n" + b"A: b\n" * (MAX_HEADER_BYTES // 5 + 1) + b"\n" + BODY + END,
        BEGIN + b"\n" + b"A:" + b"b" * MAX_HEADER_BYTES + b"\n\n" + BODY + END,
        BEGIN + b"\n\n" + BODY + b"\n" * MAX_TAIL_BYTES + b"=AAAA\n" * 200 + END,
        BEGIN + b"\n\n" + BODY.replace(b"\n", b"\n%%\n", 1) + END,
        BEGIN + b"\n\n" + BODY.replace(b"\n", b"\n<br>\n", 1) + END,
        BEGIN + b"\n\n" + BODY.rstrip(b"=\n") + END,
        BEGIN + b"\n\n" + b"AAAAA\n" + END,
        BEGIN + b"\n\n" + b"AAAA=\n" + END,
        BEGIN + b"\n\n" + b"AAA==\n" + END,
        BEGIN + b"\n\n" + BODY.replace(b"\n", b"\n=AAA\n", 1) + END,
        BEGIN + b"\n\n" + BODY[:-4] + b"\n=AAAA\n" + END,
        BEGIN + b"\n\n" + BODY,
        BEGIN,
    ],
)
def test_armor_that_is_not(text: bytes) -> None:
    [(_, damage)] = dearmored(text)
    assert damage


def test_a_block_cut_off_by_another_costs_itself_only() -> None:
    first, second = dearmored(ARMORED[: ARMORED.index(b"\n=")] + b"\n" + enarmor(BERTS))
    assert (first[1], second) == ("armored block without its END line: cut off", (BERTS, ""))
    assert dearmored(b"x" + ARMORED) == dearmored(b"-----BEGIN PGP MESSAGE-----\n\n" + BODY + END) == []


def test_what_is_held_is_bounded_whatever_comes() -> None:
    told = Told()
    for endless in (b"x" * 1000, b"\n" * 1000, b"A: b\n" * 200, b"=\n" * 500, b"-" * 1000):
        for start in (b"", BEGIN + b"\n", BEGIN + b"\n\n", BEGIN + b"\n\nAAAA\n="):
            dearmorer = Dearmorer(told)
            dearmorer.feed(start)
            for _ in range(100):
                dearmorer.feed(endless)
            assert len(dearmorer._text) <= MAX_HEADER_BYTES + 1000
    packets = ArrivingPackets(lambda _problem: None)
    for octets in (b"\xc2\xff\x00\x01\x00\x00", b"\xd1\xff\xff\xff\xff\xff", b"\x00", b"\x99\x40\x00\x04"):
        for _ in range(100):
            list(packets.feed(octets + b"\x04" * 10_000))
            assert len(packets._held) <= 150_000


def test_a_long_packet_is_gone_past_and_shown_without_its_body() -> None:
    photo, signature, text = packet(17, b"p" * 200_000), packet(2, b"\x04" * 70_000), user_id(b"u" * 5_000)
    octets = ANNA.packet + photo + signature + text + BERT.packet
    shown, problems = arrived(*(octets[at : at + 999] for at in range(0, len(octets), 999)))
    assert [(one.tag, one.body is None) for one in shown] == [(6, False), (17, True), (2, True), (13, True), (6, False)]
    assert problems == []
    assert arrived(octets[: -len(BERT.packet) - 1])[1] == ["packet goes beyond the end: cut off or damaged"]


def test_damage_is_gone_past_to_the_next_key_even_into_the_packet_before() -> None:
    hiding = b"\xc2\xff" + (len(BERTS) + 9).to_bytes(4) + BERTS  # claims nine octets more than it has
    shown, problems = arrived(ANNA.packet + hiding + b"\x00" * 20 + ANNA.packet)
    assert [one.body for one in shown if one.tag == 6] == [ANNA.body, BERT.body, ANNA.body]
    assert len(problems) >= 1


def test_after_too_much_damage_nothing_more_is_read() -> None:
    octets = (ANNA.packet + b"\x00") * (MAX_RESUMPTIONS + 50)
    shown, problems = arrived(octets)
    assert len(problems) == MAX_RESUMPTIONS + 1
    assert len(shown) <= MAX_RESUMPTIONS + 1
    assert found(octets + BERTS, fingerprint=BERT.fingerprint) != BERTS
