"""The driver of ``ingest logs``: idempotent, unstoppable by bad lines, whatever the compression; rotation followed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import zstandard

from trustgraph.errors import BadInput, NoInput, UsageError
from trustgraph.ingest.formats.base import MAX_LINE_BYTES, LogContext
from trustgraph.ingest.logs import LogCounts, LogOptions, follow_log, ingest_logs
from trustgraph.ingest.source import bounded_lines, open_bytes
from trustgraph.model import UnixSeconds
from trustgraph.store import Store, open_store

NOW = UnixSeconds(1_800_000_000)


def line(number: int, outcome: str = "good") -> bytes:
    return (
        f'{{"at":"2026-11-01T10:00:{number % 60:02d}Z","observer":"mx1.example.org","identity":"dkim:example.com",'
        f'"result":"pass","outcome":"{outcome}","message_id":"<{number}@example.com>"}}\n'
    ).encode()


LINES = b"".join(line(i) for i in range(20))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'test.db'}", create=True)
    yield opened
    opened.close()


def ingest(store: Store, *paths: Path, **options: object) -> list[LogCounts]:
    return list(ingest_logs(store, paths, LogOptions(LogContext(), **options), NOW))  # type: ignore[arg-type]


def good_mails(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(sa.text("SELECT coalesce(sum(good), 0) FROM daily_count")).scalar_one())


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("plain", bytes),
        ("gz", gzip.compress),
        ("xz", lzma.compress),
        ("zst", zstandard.compress),
        ("bz2", bz2.compress),
        ("two gz members", lambda data: gzip.compress(data[:500]) + gzip.compress(data[500:])),
        ("two zst frames", lambda data: zstandard.compress(data[:500]) + zstandard.compress(data[500:])),
    ],
)
def test_every_compression_is_known_by_its_content(
    store: Store, tmp_path: Path, name: str, compress: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "log").write_bytes(compress(LINES))
    (counts,) = ingest(store, tmp_path / "log")
    assert (counts.format, counts.lines, counts.new, counts.rejected, counts.problem) == ("native", 20, 20, 0, "")


def test_ingesting_twice_and_overlapping_files_change_nothing(store: Store, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"".join(line(i) for i in range(15)))
    second.write_bytes(b"".join(line(i) for i in range(10, 20)))
    ingest(store, first, second, first, second)
    assert good_mails(store) == 20


def test_a_malformed_line_is_counted_kept_with_its_place_and_stops_nothing(store: Store, tmp_path: Path) -> None:
    log, rejects = tmp_path / "log", tmp_path / "rejects"
    log.write_bytes(line(1) + b'{"at":"yesterday","identity":"x\xff"}\n' + line(2) + b"\n" + line(3))
    (counts,) = ingest(store, log, rejects=rejects)
    assert (counts.lines, counts.new, counts.rejected) == (5, 3, 1)
    assert counts.rejects[0].startswith("line 2: not an observation")
    assert rejects.read_text().startswith(f"{log}:2: not an observation")
    assert "yesterday" in rejects.read_text()
    assert good_mails(store) == 3


def test_a_truncated_file_is_read_as_far_as_it_goes(store: Store, tmp_path: Path) -> None:
    noise = b"".join(line(i) for i in range(3000))
    (tmp_path / "log.gz").write_bytes(gzip.compress(noise)[:-2000])
    (counts,) = ingest(store, tmp_path / "log.gz")
    assert "damaged" in counts.problem
    assert 0 < counts.new < 3000


@pytest.mark.parametrize("content", [b"", b"hello\nworld\n", bytes(range(256)) * 50], ids=["empty", "text", "binary"])
def test_what_is_no_log_is_said_to_be_none(store: Store, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log").write_bytes(content)
    (counts,) = ingest(store, tmp_path / "log")
    assert counts.observations == 0
    assert counts.problem


def test_an_absent_file_is_no_input(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="absent"):
        ingest(store, tmp_path / "absent")


def test_an_unknown_format_names_those_there_are(store: Store, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(LINES)
    with pytest.raises(UsageError, match="rspamd"):
        ingest(store, tmp_path / "log", format="sendmail")


def test_a_directory_that_is_no_maildir_is_bad_input(store: Store, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    with pytest.raises(BadInput, match="Maildir"):
        ingest(store, tmp_path / "dir")


def test_an_endless_line_is_cut_and_the_next_one_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * (5 * MAX_LINE_BYTES) + b"\n" + b"next\r\n")
    with open_bytes(tmp_path / "log") as stream:
        lines = list(bounded_lines(stream))
    assert [(number, len(text)) for number, text in lines] == [(1, MAX_LINE_BYTES), (2, 4)]


def follow(store: Store, path: Path, *steps: Callable[[], object], format_name: str = "auto") -> LogCounts:
    """Follow a log; each time it has nothing new the next step happens; after the last, stop."""
    remaining = iter(steps)

    def wait() -> bool:
        step = next(remaining, None)
        if step:
            step()
        return step is not None

    return follow_log(store, path, LogOptions(LogContext(), format_name), wait)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


def test_following_a_log_reads_what_is_added_and_is_on_disk_before_each_wait(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(line(1))
    seen: list[int] = []

    def step() -> None:
        seen.append(good_mails(store))
        append(log, line(2) + line(3)[:20])

    def finish_the_line() -> None:
        seen.append(good_mails(store))
        append(log, line(3)[20:])

    counts = follow(store, log, step, finish_the_line)
    assert seen == [1, 2]
    assert (counts.lines, counts.new, counts.rejected) == (3, 3, 0)


def test_following_goes_on_after_rotation_and_truncation(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(line(1))

    def rotate() -> None:
        append(log, line(2))
        os.replace(log, tmp_path / "log.1")
        log.write_bytes(line(3))

    def truncate() -> None:
        log.write_bytes(b"")

    counts = follow(store, log, rotate, truncate, lambda: append(log, line(4)))
    assert good_mails(store) == 4
    assert counts.format == "native"


@pytest.mark.parametrize("format_name", ["auto", "native"])
def test_following_waits_for_a_log_that_is_not_there_yet(store: Store, tmp_path: Path, format_name: str) -> None:
    follow(store, tmp_path / "log", lambda: append(tmp_path / "log", line(1)), format_name=format_name)
    assert good_mails(store) == 1


def test_a_damaged_message_in_a_maildir_costs_only_itself(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mail" / "cur").mkdir(parents=True)
    (tmp_path / "mail" / "new").mkdir()
    (tmp_path / "mail" / "new" / "a").write_bytes(b"\x1f\x8b\x08garbage")
    (tmp_path / "mail" / "new" / "b").write_bytes(
        b"Authentication-Results: mx1.example.org; dkim=pass header.d=example.com\n"
        b"Received: from out.example.com (out.example.com [192.0.2.1])\n"
        b" by mx1.example.org; Sun, 1 Nov 2026 10:00:00 +0000\n"
        b"Message-ID: <a@example.com>\n\nhello\n"
    )
    options = LogOptions(LogContext("mx1.example.org", authserv_ids=frozenset({"mx1.example.org"})))
    (counts,) = ingest_logs(store, [tmp_path / "mail"], options, NOW)
    assert counts.new == 1
    assert "1 messages: damaged" in counts.problem
