"""``ingest keys``: files in, certificates and counts out, whatever state the files are in."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import pytest
import zstandard

from trustgraph.errors import NoInput, UsageError
from trustgraph.ingest.keys import KeyringCounts, ingest_keys
from trustgraph.model import Certification, HostKey, UnixSeconds
from trustgraph.openpgp.sections import Fate
from trustgraph.openpgp.selfsigned import KeyPolicy

GOLDEN = Path(__file__).parents[2] / "golden" / "openpgp"
AT = UnixSeconds(1_800_000_000)


class MemoryStore:
    """Keeps what it is given."""

    def __init__(self, *known: HostKey) -> None:
        self.known = known
        self.batches: list[Sequence[tuple[HostKey, Sequence[Certification]]]] = []

    def known_keys(self) -> Iterable[tuple[str, str, bytes]]:
        return [(key.fingerprint, key.key_id, key.key_packet) for key in self.known]

    def add_certificates(self, batch: Sequence[tuple[HostKey, Sequence[Certification]]]) -> None:
        self.batches.append(list(batch))

    @property
    def keys(self) -> list[HostKey]:
        return [key for batch in self.batches for key, _certifications in batch]

    @property
    def certifications(self) -> list[Certification]:
        return [made for batch in self.batches for _key, certifications in batch for made in certifications]


def ingest(*paths: Path, store: MemoryStore | None = None, workers: int = 1) -> KeyringCounts:
    return ingest_keys(paths, store or MemoryStore(), KeyPolicy(at=AT, workers=workers))


def packets(path: Path) -> list[bytes]:
    """The packets of a golden keyring, which have old and new headers without partial lengths."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        if data[at] & 0x40:
            first = data[at + 1]
            size, length = (2, first) if first < 192 else (3, (first - 192 << 8) + data[at + 2] + 192)
        else:
            size = (2, 3, 5)[data[at] & 3]
            length = int.from_bytes(data[at + 1 : at + size])
        found.append(data[at : at + size + length])
        at += size + length
    return found


PEERS = GOLDEN / "gpg-peers.pgp"
HOST = GOLDEN / "gpg-host.pgp"


def test_issuers_may_be_in_any_file_or_in_the_store() -> None:
    both, swapped, alone, peers = ingest(HOST, PEERS), ingest(PEERS, HOST), ingest(HOST), ingest(PEERS)
    assert both == swapped
    assert (both.good, both.revocation, both.unverifiable) == (9, 1, 0)
    assert (alone.good, alone.unverifiable, peers.good) == (0, 9, 1)
    store = MemoryStore()
    ingest(PEERS, store=store)
    assert ingest(HOST, store=MemoryStore(*store.keys)).good == 8


def test_every_signature_has_one_fate() -> None:
    counts = ingest(HOST, PEERS)
    assert counts.signatures == sum(getattr(counts, fate.value) for fate in Fate)
    read = sum(part[0] >> 2 & 15 == 2 or part[0] == 0xC2 for path in (HOST, PEERS) for part in packets(path))
    assert counts.signatures == read


def test_compressed_files(tmp_path: Path) -> None:
    path = tmp_path / "keys.zst"
    path.write_bytes(zstandard.compress(HOST.read_bytes() + PEERS.read_bytes()))
    assert ingest(path) == ingest(HOST, PEERS)


def test_several_processes_say_the_same_as_one(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes((HOST.read_bytes() + PEERS.read_bytes()) * 300)
    one, two = MemoryStore(), MemoryStore()
    assert ingest(path, store=one) == ingest(path, store=two, workers=2)
    assert one.certifications == two.certifications


def test_a_missing_file_stops_before_anything_is_stored(tmp_path: Path) -> None:
    store = MemoryStore()
    with pytest.raises(NoInput, match="absent"):
        ingest(HOST, tmp_path / "absent", store=store)
    assert store.batches == []


def test_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("-"), tmp_path / "pipe"):
        with pytest.raises(UsageError, match="must be a file"):
            ingest(path)


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\xff" * 1000, b"\0" * 1000])
def test_a_file_without_a_certificate_is_a_problem_and_no_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(content)
    counts = ingest(path, HOST, PEERS)
    assert counts.good == ingest(HOST, PEERS).good
    assert counts.problems[-1].endswith("no certificate in it: expected OpenPGP public keys, binary or armored")
    assert counts.problems[0].startswith(str(path))


def test_a_cut_file_keeps_what_came_before(tmp_path: Path) -> None:
    whole = PEERS.read_bytes() + HOST.read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(whole[:-20])
    counts = ingest(path)
    assert counts.certificates == ingest(PEERS, HOST).certificates
    assert counts.signatures == ingest(PEERS, HOST).signatures - 1
    assert any("goes beyond the end" in problem for problem in counts.problems)


def open_gzip(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path))


def test_a_cut_compressed_file_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(PEERS.read_bytes() + os.urandom(100_000))[:-50_000])
    counts = ingest_keys([path], MemoryStore(), KeyPolicy(at=AT), open_file=open_gzip)
    assert counts.certificates == ingest(PEERS).certificates
    assert any("reading ends early" in problem for problem in counts.problems)


def test_a_flooded_key_is_named_and_loses_nothing(tmp_path: Path) -> None:
    """100,000 signatures by issuers that nobody knows, put before the real ones."""
    sound = packets(HOST)
    real = next(part for part in sound if b"\x21\x04" in part[:60] and part[0] >> 2 & 15 == 2)
    at = real.index(b"\x21\x04") + 2
    flood = b"".join(real[:at] + index.to_bytes(20) + real[at + 20 :] for index in range(1, 100_001))
    path = tmp_path / "flooded"
    path.write_bytes(b"".join(sound[:2]) + flood + b"".join(sound[2:]))
    counts, expected = ingest(path, PEERS), ingest(HOST, PEERS)
    assert counts.unverifiable == 100_000
    assert (counts.good, counts.revocation, counts.user_ids) == (expected.good, expected.revocation, expected.user_ids)
    assert any("flooded with 100,000 signatures that prove nothing" in problem for problem in counts.problems)


def test_decoy_user_ids_are_named_and_lose_nothing(tmp_path: Path) -> None:
    sound = packets(HOST)
    path = tmp_path / "decoys"
    decoys = b"".join(
        b"\xcd" + bytes((len(text),)) + text for text in (b"smtp://d%d.example" % n for n in range(20_000))
    )
    huge = b"\xcd\xff" + (10_000_000).to_bytes(4) + b"A" * 10_000_000
    path.write_bytes(sound[0] + decoys + huge + b"".join(sound[1:]))
    counts, expected = ingest(path, PEERS), ingest(HOST, PEERS)
    assert (counts.good, counts.user_ids) == (expected.good, expected.user_ids)
    assert any("20,001 User IDs left out: not signed by the key itself" in problem for problem in counts.problems)
    assert any("user id of 10,000,000 bytes skipped" in problem for problem in counts.problems)


def test_problems_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_bytes(b"\x99\x00\x01\x03" * 5_000)
    problems = ingest(path).problems
    assert len(problems) == 1001
    assert problems[-1] == "4,001 more problems"


def test_progress_is_told(tmp_path: Path) -> None:
    path, told = tmp_path / "keys", []
    path.write_bytes((HOST.read_bytes() + PEERS.read_bytes()) * 300)
    counts = ingest_keys([path], MemoryStore(), KeyPolicy(at=AT), lambda *done: told.append(done))
    assert len(told) > 2
    assert told[-1][0] == counts.certificates


def test_large_batches_reach_the_store_in_parts(tmp_path: Path) -> None:
    path, store = tmp_path / "keys", MemoryStore()
    path.write_bytes(PEERS.read_bytes() * 300)
    counts = ingest(path, store=store)
    assert len(store.batches) > 1
    assert len(store.keys) == counts.certificates
