"""Armor is taken off block by block, and damage to one costs nothing of the next."""

from __future__ import annotations

import base64
import io

import pytest

from trustgraph.openpgp import armor
from trustgraph.openpgp.armor import open_blocks

DATA = bytes(range(256)) * 3


def wrap(data: bytes, *, headers: str = "", kind: str = "PUBLIC KEY BLOCK", end: bool = True, width: int = 64) -> bytes:
    text = base64.b64encode(data).decode()
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    closing = f"-----END PGP {kind}-----\n" if end else ""
    return f"-----BEGIN PGP {kind}-----\n{headers}\n{chr(10).join(lines)}\n{closing}".encode()


def blocks(data: bytes) -> tuple[list[bytes], list[str]]:
    problems: list[str] = []
    return [block.read() for block in open_blocks(io.BytesIO(data), problems.append)], problems


def test_binary_is_one_stream_as_it_is() -> None:
    assert blocks(b"\x99" + DATA) == ([b"\x99" + DATA], [])


def test_binary_from_a_stream_that_cannot_seek() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert [block.read() for block in open_blocks(Pipe(b"\x99" + DATA * 300), print)] == [b"\x99" + DATA * 300]


def test_garbage_before_binary_is_not_taken_for_text() -> None:
    assert blocks(b"\x01\x02\xff" + DATA)[0] == [b"\x01\x02\xff" + DATA]


def test_an_armor_line_inside_binary_is_content() -> None:
    data = b"\x99 x\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    assert blocks(data)[0] == [data]


@pytest.mark.parametrize("width", [4, 64, 76, 9_999])
def test_lines_of_any_length(width: int) -> None:
    assert blocks(wrap(DATA * 20, width=width)) == ([DATA * 20], [])


def test_blocks_amid_other_text() -> None:
    page = b"<html><pre>\n" + wrap(DATA, headers="Version: 1\nComment: x\n") + b"</pre>\n" + wrap(DATA[:5]) + b"bye\n"
    assert blocks(page) == ([DATA, DATA[:5]], [])


def test_carriage_returns() -> None:
    assert blocks(wrap(DATA).replace(b"\n", b"\r\n")) == ([DATA], [])


@pytest.mark.parametrize("checksum", [b"=AAAA\n", b"=njUN\n"])
def test_a_checksum_is_passed_over_right_or_wrong(checksum: bytes) -> None:
    assert blocks(wrap(DATA).replace(b"-----END", checksum + b"-----END")) == ([DATA], [])


def test_padding_may_be_missing() -> None:
    assert blocks(wrap(DATA[:5]).replace(b"=", b""))[0] == [DATA[:5]]


def test_a_block_without_end_gives_what_it_has() -> None:
    found, problems = blocks(wrap(DATA, end=False))
    assert found == [DATA]
    assert problems == ["armored block without its END line: cut off"]


def test_a_block_that_begins_inside_another_is_not_lost() -> None:
    found, problems = blocks(wrap(DATA, end=False) + wrap(DATA[:9]))
    assert found == [DATA, DATA[:9]]
    assert len(problems) == 1


def test_lines_that_are_not_base64_are_left_out_and_counted() -> None:
    found, problems = blocks(wrap(DATA).replace(b"-----END", b"?? no ??\n-----END"))
    assert found == [DATA]
    assert problems == ["1 lines of an armored block are not base64: left out"]


def test_other_blocks_are_named() -> None:
    found, problems = blocks(wrap(DATA, kind="PRIVATE KEY BLOCK") + wrap(DATA[:9]))
    assert found == [DATA[:9]]
    assert problems == ["armored private key block is not read: expected a public key block"]


def test_text_without_armor_is_said_to_be_that() -> None:
    assert blocks(b"hello\nworld\n") == ([], ["text without an armored OpenPGP block"])


def test_a_block_that_is_not_read_is_passed_over() -> None:
    streams = open_blocks(io.BytesIO(wrap(DATA * 999) + wrap(DATA[:9])), print)
    next(streams)
    assert next(streams).read() == DATA[:9]


def test_no_line_is_held_whole() -> None:
    class Watched(io.BytesIO):
        longest = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            line = super().readline(size)
            Watched.longest = max(Watched.longest, len(line))
            return line

    list(open_blocks(Watched(b"x" * 10_000_000), lambda _problem: None))
    assert Watched.longest <= armor.MAX_LINE_BYTES
