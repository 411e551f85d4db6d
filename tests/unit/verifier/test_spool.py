"""Nothing that was written to the spool is lost, and nothing is counted twice, whoever is killed and when."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.unit.verifier.children import die, in_child
from tests.unit.verifier.scripted import AT, FP
from trustgraph.errors import ServiceUnavailable, StoreBusy
from trustgraph.model import Identity, Result, UnixSeconds, to_rfc3339
from trustgraph.store import Store
from trustgraph.store.accepting import is_signing_host
from trustgraph.verifier import spool as spool_module
from trustgraph.verifier.spool import Drain, Drained, Record, Spool

OBSERVER = "mx.example.net"


def record(number: int = 0, **more: object) -> Record:
    given = {
        "at": to_rfc3339(AT + number),
        "observer": OBSERVER,
        "identity": f"openpgp:{FP}",
        "result": Result.PASS,
        "message_id": f"<{number}@example.org>",
    }
    return Record(**given | more)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def writer(folder: Path) -> Iterator[Spool]:
    made = Spool(folder, "one")
    yield made
    made.close()


def observations(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM observation").scalar_one())


def counted(store: Store) -> int:
    with store.reading() as connection:
        query = "SELECT coalesce(sum(good + spam + malware + unknown + unauthenticated), 0) FROM daily_count"
        return int(connection.exec_driver_sql(query).scalar_one())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_line_is_on_disk_when_append_returns(folder: Path, store: Store, writer: Spool) -> None:
    writer.append(record(1))
    assert (folder / "one-1.jsonl").read_bytes().endswith(b'"message_id":"<1@example.org>"}\n')
    drain = Drain(folder, store)
    assert drain.run_once() == Drained(lines=1, new=1)
    assert drain.run_once() == Drained()
    assert files(folder) == ["one-1.jsonl"]  # its writer lives
    writer.append(record(2))
    assert drain.run_once() == Drained(lines=1, new=1)
    writer.close()
    assert drain.run_once() == Drained(files=1)
    assert files(folder) == []
    assert observations(store) == counted(store) == 2


def test_it_is_private(folder: Path, writer: Spool) -> None:
    assert folder.stat().st_mode & 0o777 == 0o750
    assert (folder / "one-1.jsonl").stat().st_mode & 0o777 == 0o640
    assert not os.get_inheritable(writer._file or 0)


def test_lines_of_a_writer_that_was_killed_are_drained(folder: Path, store: Store) -> None:
    def work() -> None:
        mine = Spool(folder, "killed")
        for number in range(50):
            mine.append(record(number))
        die()

    assert in_child(work) == -signal.SIGKILL
    assert Drain(folder, store).run_once() == Drained(lines=50, new=50, files=1)
    assert files(folder) == []


def test_two_writers_and_a_drain_at_once(folder: Path, store: Store, writer: Spool) -> None:
    other = Spool(folder, "two")
    drain = Drain(folder, store)
    total = Drained()
    for number in range(40):
        (writer, other)[number % 2].append(record(number))
        if number % 7 == 0:
            total += drain.run_once()
    other.close()
    total += drain.run_once()
    assert total == Drained(lines=40, new=40, files=1)
    assert observations(store) == 40


def test_a_part_of_a_line_waits_while_its_writer_lives_and_is_rejected_when_it_is_gone(
    folder: Path, store: Store, writer: Spool
) -> None:
    writer.append(record(1))
    line = spool_module._encoder.encode(record(2)) + b"\n"
    os.write(writer._file or 0, line[:30])
    drain = Drain(folder, store)
    assert drain.run_once() == Drained(lines=1, new=1)
    os.write(writer._file or 0, line[30:])
    assert drain.run_once() == Drained(lines=1, new=1)
    os.write(writer._file or 0, line[:30])
    writer.close()
    assert drain.run_once() == Drained(lines=1, rejected=1, files=1)


def test_a_whole_last_line_without_its_end_counts(folder: Path, store: Store, writer: Spool) -> None:
    os.write(writer._file or 0, spool_module._encoder.encode(record(2)))
    writer.close()
    assert Drain(folder, store).run_once() == Drained(lines=1, new=1, files=1)


def test_it_rotates_and_the_old_file_can_go(
    folder: Path, store: Store, writer: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_MAX_FILE_BYTES", 1000)
    for number in range(20):
        writer.append(record(number))
    assert Drain(folder, store).run_once().new == 20
    left = files(folder)
    assert len(left) <= 1  # the one in use, if the last line did not fill it
    assert not [name for name in left if name.endswith(".new")]


@pytest.mark.parametrize("chunk", [1, 7, 200, 201, 4096])
def test_any_size_of_piece_gives_the_same(
    folder: Path, store: Store, writer: Spool, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """A line longer than a piece can only come of a disk gone bad; it is rejected, and no line after it is lost."""
    longest = len(spool_module._encoder.encode(record(19))) + 1
    monkeypatch.setattr(spool_module, "_CHUNK_BYTES", max(chunk, longest))
    os.write(writer._file or 0, b"\0" * 3 * longest + b"\n")
    for number in range(20):
        writer.append(record(number))
    drain = Drain(folder, store)
    if chunk > 3 * longest:
        assert drain.run_once() == Drained(lines=21, new=20, rejected=1)
    writer.close()
    done = drain.run_once()
    assert done.files == 1
    assert observations(store) == 20


def test_a_drain_killed_between_commit_and_removal_loses_and_doubles_nothing(
    folder: Path, store: Store, writer: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        writer.append(record(number, signing_host="mx.peer.example"))
    writer.close()

    def work() -> None:
        monkeypatch.setattr(Path, "unlink", die)
        Drain(folder, store).run_once()

    store.close()  # a database connection does not survive a fork
    assert in_child(work) == -signal.SIGKILL
    assert files(folder) == ["one-1.jsonl"]
    assert observations(store) == 30
    assert Drain(folder, store).run_once() == Drained(lines=30, new=0, files=1)
    assert observations(store) == counted(store) == 30


def test_a_drain_killed_before_its_commit_loses_nothing(
    folder: Path, store: Store, writer: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append(record(1, signing_host="mx.peer.example"))
    writer.close()

    def work() -> None:
        monkeypatch.setattr(spool_module, "record_signing_hosts", die)
        Drain(folder, store).run_once()

    store.close()
    assert in_child(work) == -signal.SIGKILL
    assert not is_signing_host(store, "mx.peer.example", UnixSeconds(0))
    assert Drain(folder, store).run_once() == Drained(lines=1, new=0, files=1)
    assert is_signing_host(store, "mx.peer.example", UnixSeconds(0))


def test_a_store_that_is_busy_leaves_everything_for_later(
    folder: Path, store: Store, writer: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append(record(1))
    writer.close()
    drain = Drain(folder, store)

    def busy(*_: object) -> None:
        raise StoreBusy("held")

    with monkeypatch.context() as patch:
        patch.setattr(drain._writer, "add", busy)
        with pytest.raises(StoreBusy):
            drain.run_once()
    assert files(folder) == ["one-1.jsonl"]
    assert drain.run_once() == Drained(lines=1, new=1, files=1)


def test_two_drains_do_not_mind_each_other(folder: Path, store: Store, writer: Spool) -> None:
    writer.append(record(1))
    writer.close()
    one, other = Drain(folder, store), Drain(folder, store)
    taken = one._take

    def take(*given: object) -> Drained:
        assert other.run_once().files == 1
        return taken(*given)  # type: ignore[arg-type]

    one._take = take  # type: ignore[assignment]
    assert one.run_once() == Drained(lines=1, new=0, files=1)
    assert observations(store) == counted(store) == 1


def test_a_full_disk_is_an_error_and_costs_only_what_was_not_acknowledged(folder: Path, store: Store) -> None:
    """With a limit on the size of files in the place of a full disk: the write that crosses it is cut short."""
    acknowledged = folder.parent / "acknowledged"

    def work() -> None:
        mine = Spool(folder, "full")
        size = len(spool_module._encoder.encode(record(1))) + 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * 2.5), resource.RLIM_INFINITY))
        written = []
        for number in range(1, 6):
            with suppress(ServiceUnavailable):
                mine.append(record(number))
                written.append(number)
        acknowledged.write_text(",".join(map(str, written)))

    assert in_child(work) == 0
    assert acknowledged.read_text() == "1,2,4,5"  # after a cut line comes a new file
    done = Drain(folder, store).run_once()
    assert (done.new, done.rejected, done.files) == (4, 1, 2)


def test_a_disk_that_stays_full_is_an_error_each_time_and_writes_into_no_other_file(folder: Path) -> None:
    """The file was given back after a cut line, and its number may be another file's by now."""
    mine = Spool(folder, "full")
    other = folder.parent / "database"

    def work() -> None:
        size = len(spool_module._encoder.encode(record(1))) + 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
        with pytest.raises(ServiceUnavailable, match="no space"):
            mine.append(record(1))
        folder.rename(folder.with_name("away"))
        folder.write_bytes(b"")  # so that no new file can be made
        with other.open("wb"):
            for number in range(3):
                with pytest.raises(ServiceUnavailable, match="cannot be made"):
                    mine.append(record(number))
        assert other.read_bytes() == b""

    assert in_child(work) == 0
    mine.close()


def test_a_line_that_was_written_is_acknowledged_though_no_next_file_can_be_made(
    folder: Path, writer: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_MAX_FILE_BYTES", 10)
    (folder / "one-2.new").mkdir()
    writer.append(record(1))
    with pytest.raises(ServiceUnavailable, match="cannot be made"):
        writer.append(record(2))
    writer.append(record(2))  # in a third file


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnavailable, match="cannot be made: Not a directory"):
        Spool(tmp_path / "file" / "spool", "one")
    Spool(tmp_path / "spool", "one").close()
    (tmp_path / "spool" / "two-1.new").write_text("")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ServiceUnavailable, match="File exists"):
        Spool(tmp_path / "spool", "two")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_closed_spool_takes_up_again_and_closing_twice_is_nothing(folder: Path, writer: Spool) -> None:
    writer.close()
    writer.close()
    writer.append(record(1))
    assert files(folder) == ["one-1.jsonl", "one-2.jsonl"]


HOSTILE = [
    '<a"b\\c\n{"at":"2026-01-01T00:00:00Z"}@example.org>',
    '","signing_host":"mx.victim.example","x":"',
    "\x00\x01\x1b[31m\u202e\u2028\ufffd",
    "x" * 100_000,
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_message_says_is_one_line_and_no_more(folder: Path, store: Store, writer: Spool, text: str) -> None:
    writer.append(record(1, message_id=text, queue_id=text, reason=text))
    writer.append(record(2))
    writer.close()
    assert Drain(folder, store).run_once() == Drained(lines=2, new=2, files=1)
    assert not is_signing_host(store, "mx.victim.example", UnixSeconds(0))


def test_lines_of_other_hands_are_rejected_and_hurt_nobody(folder: Path, store: Store, writer: Spool) -> None:
    lines = [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{" * 10_000,
        b'{"at":1}',
        b'{"signing_host":"mx.victim.example"}',
        b'{"at":"2026-09-01T00:00:00Z","observer":"o.example","identity":"none:x","result":"pass","signing_host":"v.example"}',
        b'{"at":"0001-01-01T00:00:00Z","observer":"o.example","identity":"ip:192.0.2.1","result":"pass"}',
    ]
    os.write(writer._file or 0, b"\n".join(lines) + b"\n")
    writer.append(record(1))
    writer.close()
    done = Drain(folder, store).run_once()
    assert (done.new, done.rejected, done.files) == (1, 7, 1)
    assert not is_signing_host(store, "mx.victim.example", UnixSeconds(0))


def test_a_host_that_signed_is_remembered_with_its_last_time(folder: Path, store: Store, writer: Spool) -> None:
    for number in (5, 9):
        writer.append(record(number, signing_host="mx.peer.example"))
    writer.append(record(10))
    writer.close()
    Drain(folder, store).run_once()
    assert is_signing_host(store, "mx.peer.example", UnixSeconds(AT + 9))
    assert not is_signing_host(store, "mx.peer.example", UnixSeconds(AT + 10))
    with store.reading() as connection:
        names = connection.exec_driver_sql("SELECT name FROM identity").scalars().all()
    assert Identity.openpgp(FP) in names
