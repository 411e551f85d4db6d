"""Packets come out whole, bounded, and damage costs the certificate it is in."""

from __future__ import annotations

import io

import pytest

from tests.unit.openpgp.openpgp_maker import certificate, ed25519_key, packet, user_id
from trustgraph.openpgp.framing import CHUNK_BYTES, Packet, Tag, read_packets

ANNA, BERT, CLEO = (ed25519_key(name) for name in ("anna", "bert", "cleo"))


def frame(data: bytes, wanted: frozenset[Tag] | None = None) -> tuple[list[Packet], list[str]]:
    problems: list[str] = []
    stream = io.BytesIO(data)
    found = read_packets(stream, problems.append, wanted) if wanted else read_packets(stream, problems.append)
    return list(found), problems


def keys(data: bytes) -> list[bytes | None]:
    return [body for tag, body in frame(data)[0] if tag is Tag.PUBLIC_KEY]


@pytest.mark.parametrize(
    "header",
    [b"\xb4\x03", b"\xb5\0\x03", b"\xb6\0\0\0\x03", b"\xcd\x03", b"\xcd\xff\0\0\0\x03"],
    ids=["old-1", "old-2", "old-4", "new-1", "new-5"],
)
def test_every_form_of_length(header: bytes) -> None:
    assert frame(header + b"abc") == ([Packet(Tag.USER_ID, b"abc")], [])


def test_two_octet_length() -> None:
    assert frame(b"\xcd\xc1\x02" + b"a" * 450) == ([Packet(Tag.USER_ID, b"a" * 450)], [])


@pytest.mark.parametrize("header", [b"\xcd\xe1ab", b"\xb7ab"], ids=["partial", "indeterminate"])
def test_lengths_of_data_packets_are_refused(header: bytes) -> None:
    found, problems = frame(header + ANNA.packet)
    assert found == [Packet(Tag.PUBLIC_KEY, ANNA.body)]
    assert "not an OpenPGP packet of a keyring" in problems[0]


def test_only_what_is_wanted_is_read() -> None:
    found, _ = frame(certificate(ANNA, "a") + certificate(BERT, "b"), frozenset({Tag.PUBLIC_KEY}))
    assert found == [Packet(Tag.PUBLIC_KEY, ANNA.body), Packet(Tag.PUBLIC_KEY, BERT.body)]


def test_user_attributes_and_subkeys_are_not_read() -> None:
    found, problems = frame(packet(17, b"x" * 500_000) + packet(14, b"y") + packet(5, b"z"))
    assert found == [Packet(tag, None) for tag in (Tag.USER_ATTRIBUTE, Tag.PUBLIC_SUBKEY, Tag.SECRET_KEY)]
    assert problems == []


def test_markers_trust_padding_and_private_packets_are_passed_over() -> None:
    assert frame(b"".join(packet(tag, b"xyz") for tag in (10, 12, 21, 40, 60))) == ([], [])


@pytest.mark.parametrize(("tag", "limit"), [(2, 65_536), (6, 16_384), (13, 4_096)])
def test_a_body_longer_than_its_kind_is_skipped_and_named(tag: int, limit: int) -> None:
    found, problems = frame(packet(tag, b"A" * (limit + 1)) + user_id("next"))
    assert found == [Packet(Tag(tag), None), Packet(Tag.USER_ID, b"next")]
    assert len(problems) == 1
    assert f"{limit + 1:,} bytes skipped" in problems[0]
    assert frame(packet(tag, b"A" * limit)) == ([Packet(Tag(tag), b"A" * limit)], [])


def test_a_huge_user_id_is_never_held() -> None:
    class Endless(io.RawIOBase):
        """A header that announces 100 MB, and that many octets made as they are asked for."""

        left = 100_000_000
        started = False

        def seekable(self) -> bool:
            return False

        def read(self, size: int = -1, /) -> bytes:
            assert 0 < size <= CHUNK_BYTES
            if not self.started:
                self.started = True
                return b"\xcd\xff" + self.left.to_bytes(4)
            piece = min(size, self.left)
            self.left -= piece
            return b"A" * piece

    problems: list[str] = []
    assert list(read_packets(Endless(), problems.append)) == [Packet(Tag.USER_ID, None)]  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", [1, 5, 40, 60])
def test_a_cut_file_keeps_what_came_before(cut: int) -> None:
    whole = certificate(ANNA, "a")
    found, problems = frame(whole + BERT.packet[:cut])
    assert found == frame(whole)[0] or found[:-1] == frame(whole)[0]
    assert bool(problems) == (cut < len(BERT.packet))


def test_garbage_before_between_and_after() -> None:
    junk = bytes(range(128)) + b"\xff\x00" * 99
    assert keys(junk + certificate(ANNA, "a") + junk + certificate(BERT, "b") + junk) == [ANNA.body, BERT.body]


@pytest.mark.parametrize(
    "junk", [b"\0" * 400_000, b"\x99\x00\x33" * 100_000, b"\xc6" * 300_000], ids=["nul", "almost", "tags"]
)
def test_long_garbage_is_searched_across_chunks(junk: bytes) -> None:
    assert keys(junk + certificate(ANNA, "a"))[-1] == ANNA.body


def test_a_wrong_length_does_not_swallow_the_next_certificates() -> None:
    """One within the bound ends amid another packet; one beyond the end of the file is looked behind."""
    rest = b"".join(certificate(key, "x") for key in (ANNA, BERT, CLEO))
    for wrong in (packet(2, b"")[:-4] + (150).to_bytes(4), packet(13, b"")[:-4] + (1 << 31).to_bytes(4)):
        assert keys(certificate(CLEO, "c") + wrong + rest) == [CLEO.body, ANNA.body, BERT.body, CLEO.body]


def test_what_a_stream_that_cannot_seek_has_passed_is_gone_and_said_to_be() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    problems: list[str] = []
    wrong = packet(13, b"")[:-4] + (1 << 31).to_bytes(4) + b"A" * CHUNK_BYTES
    stream = Pipe(certificate(ANNA, "a") + wrong * 2 + certificate(BERT, "b"))
    found = list(read_packets(stream, problems.append, frozenset({Tag.PUBLIC_KEY})))
    assert found == [Packet(Tag.PUBLIC_KEY, ANNA.body)]
    assert len(problems) == 1
    assert "goes beyond the end: cut off or damaged" in problems[0]


def test_a_wrong_length_within_the_bound_is_looked_behind_in_any_stream() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    wrong = packet(2, b"")[:-4] + (60_000).to_bytes(4)
    stream = Pipe(certificate(ANNA, "a") + wrong + certificate(BERT, "b"))
    found = list(read_packets(stream, lambda _problem: None, frozenset({Tag.PUBLIC_KEY, Tag.SIGNATURE})))
    assert [body for tag, body in found if tag is Tag.PUBLIC_KEY] == [ANNA.body, BERT.body]


def test_many_lengths_beyond_the_end_are_not_all_followed() -> None:
    lying = b"".join(packet(13, b"")[:-4] + (1 << 30).to_bytes(4) + key.packet for key in (ANNA,) * 50)
    reads = 0

    class Counting(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal reads
            reads += 1
            return super().read(size)

    list(read_packets(Counting(lying), lambda _problem: None))
    assert reads < 60
