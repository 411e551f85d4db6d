"""What processes count together: exactly, within limits, and an error wherever it cannot be counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.verifier import children
from tests.unit.verifier.scripted import NOW
from trustgraph.errors import ServiceUnavailable
from trustgraph.model import Day, UnixSeconds, day_of
from trustgraph.policy.allowance import Draw
from trustgraph.verifier import counters as counters_module
from trustgraph.verifier.counters import Counters, drawn_on

TODAY = day_of(NOW)
LATER = UnixSeconds(NOW + 1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counters.db"


@pytest.fixture
def counters(path: Path) -> Iterator[Counters]:
    made = Counters(path)
    yield made
    made.close()


def draw(operator: str, day: int = TODAY, each: int = 5, in_all: int = 8, recipients: int = 1) -> Draw:
    return Draw(Day(day), recipients, {operator: each, "all": in_all})


def admitted(counters: Counters, operator: str, times: int, **limits: int) -> int:
    return sum(counters.admit(draw(operator, **limits)) for _ in range(times))


def test_newcomers_are_limited_each_and_in_all_by_the_day(counters: Counters) -> None:
    assert admitted(counters, "a.example", 9) == 5
    assert admitted(counters, "b.example", 9) == 3
    assert admitted(counters, "c.example", 9) == 0
    assert admitted(counters, "a.example", 9, day=TODAY + 1) == 5
    assert admitted(counters, "a.example", 1, each=0) == 0
    assert admitted(counters, "a.example", 1, day=TODAY + 2, in_all=0) == 0


def test_what_is_not_let_in_takes_nothing_however_often_it_comes(counters: Counters) -> None:
    assert [counters.admit(draw("a.example", recipients=n)) for n in (4, 2, 2, 2, 1, 1)] == [
        *(True, False, False, False, True, False)
    ]


def test_what_is_given_back_can_be_drawn_again(counters: Counters) -> None:
    taken = draw("a.example", recipients=4)
    assert counters.admit(taken)
    counters.give_back(taken)
    assert admitted(counters, "a.example", 9) == 5
    counters.give_back(draw("a.example", recipients=99))  # of a file that was deleted in between
    assert admitted(counters, "b.example", 9, each=9) == 8


def test_who_only_looks_gets_the_answer_and_counts_nothing(path: Path, counters: Counters) -> None:
    looking = Counters(path, counting=False)
    assert admitted(looking, "a.example", 9) == 9
    assert looking.delivered(b"s" * 16, [b"a@x.example"], LATER) == 1
    assert admitted(counters, "a.example", 9) == 5
    assert admitted(looking, "a.example", 1) == 0
    assert counters.delivered(b"s" * 16, [b"b@x.example"], LATER) == 1
    looking.close()


def test_what_was_drawn_can_be_read_without_writing(path: Path, counters: Counters) -> None:
    admitted(counters, "a.example", 3)
    admitted(counters, "b.example", 1, day=TODAY - 1)
    assert drawn_on(path, TODAY) == {"a.example": 3, "all": 3}
    assert drawn_on(path.with_name("other.db"), TODAY) == {}
    assert not path.with_name("other.db").exists()
    path.with_name("other.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(ServiceUnavailable, match=r"other\.db: cannot be read"):
        drawn_on(path.with_name("other.db"), TODAY)


def test_recipients_are_counted_once_each_for_each_signature(counters: Counters) -> None:
    assert counters.delivered(b"s" * 16, [b"a@x.example"], LATER) == 1
    assert counters.delivered(b"s" * 16, [b"A@X.example"], LATER) == 1  # a retry
    assert counters.delivered(b"s" * 16, [b"a@x.example", b"b@x.example", b"b@x.example"], LATER) == 2
    assert counters.delivered(b"t" * 16, [b"a@x.example"], LATER) == 1


def test_what_is_remembered_of_a_signature_is_bounded(path: Path) -> None:
    few = Counters(path, most_recipients=10)
    many = [f"{number}@x.example".encode() for number in range(200)]
    assert [few.delivered(b"s" * 16, many[at : at + 20], LATER) for at in range(0, 200, 20)] == [20] + [11] * 9
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT count(*) FROM delivered").fetchone() == (20,)
    few.close()


def test_a_large_limit_is_told_apart_too(path: Path) -> None:
    many = Counters(path, most_recipients=15_000)
    for start in range(0, 16_000, 4_000):
        count = many.delivered(b"s" * 16, [b"%d" % number for number in range(start, start + 4_000)], LATER)
    assert count > 15_000
    many.close()


def test_what_is_over_is_forgotten_in_small_portions(
    path: Path, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters_module, "_DROPPED_AT_ONCE", 3)
    for number in range(10):
        counters.delivered(b"%016d" % number, [b"a", b"b"], UnixSeconds(NOW + number))
    admitted(counters, "a.example", 5)
    admitted(counters, "a.example", 1, day=TODAY - 1)
    counters.forget(UnixSeconds(NOW + 7))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT min(expires_at), count(*) FROM delivered").fetchone() == (NOW + 8, 4)
        assert other.execute("SELECT day, messages FROM newcomer").fetchall() == [(TODAY, 5)] * 2


def test_several_processes_at_once_admit_no_more_than_one_would(path: Path) -> None:
    def work() -> None:
        mine = Counters(path)
        count = admitted(mine, "a.example", 40, each=50, in_all=70)
        count += admitted(mine, "b.example", 40, each=50, in_all=70)
        mine.delivered(b"s" * 16, [b"%d" % number for number in range(count)], LATER)
        with sqlite3.connect(path.parent / "sums.db", timeout=20) as sums:
            sums.execute("CREATE TABLE IF NOT EXISTS s (n)")
            sums.execute("INSERT INTO s VALUES (?)", (count,))

    assert children.in_children(work, 4) == [0] * 4
    with sqlite3.connect(path.parent / "sums.db") as sums:
        assert sums.execute("SELECT sum(n) FROM s").fetchone() == (70,)


def test_a_process_that_is_killed_in_the_middle_leaves_nothing_open(path: Path, counters: Counters) -> None:
    def work() -> None:
        mine = Counters(path)
        with mine._writing() as database:
            database.execute("INSERT INTO newcomer VALUES (?, 'a.example', 5)", (TODAY,))
            children.die()

    assert children.in_child(work) < 0
    assert admitted(counters, "a.example", 9) == 5


def test_a_locked_database_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters_module, "_WAIT_SECONDS", 0.0)
    counters = Counters(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for attempt in (
        lambda: counters.admit(draw("a.example")),
        lambda: counters.give_back(draw("a.example")),
        lambda: counters.delivered(b"s" * 16, [b"a"], LATER),
        lambda: counters.forget(NOW),
    ):
        with pytest.raises(ServiceUnavailable, match="cannot count: database is locked"):
            attempt()
    other.execute("ROLLBACK")
    assert counters.admit(draw("a.example"))
    other.close()
    counters.close()


def test_who_counts_keeps_others_out_from_the_beginning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read is still so when it is written: two who read the same would both let one in."""
    monkeypatch.setattr(counters_module, "_WAIT_SECONDS", 0.0)
    one, other = Counters(path), Counters(path)
    with one._writing(), pytest.raises(ServiceUnavailable, match="locked"):
        other.admit(draw("a.example"))
    one.close()
    other.close()


def test_an_error_in_the_middle_holds_up_nobody(path: Path, counters: Counters) -> None:
    with pytest.raises(OverflowError):
        counters.delivered(b"s" * 16, [b"a"], UnixSeconds(2**70))
    other = Counters(path)
    assert other.admit(draw("a.example"))
    assert counters.delivered(b"s" * 16, [b"a"], LATER) == 1
    other.close()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_an_error_that_says_what_to_do(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ServiceUnavailable, match=r"counters\.db: cannot be used for counting.*may be deleted"):
        Counters(path)


def test_a_database_with_other_tables_is_an_error(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE newcomer (x)")
        other.execute("CREATE TABLE delivered (signature, recipient, expires_at)")
    counters = Counters(path)
    with pytest.raises(ServiceUnavailable, match="cannot count"):
        counters.admit(draw("a.example"))
    counters.close()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="cannot be used"):
        Counters(tmp_path / "absent" / "counters.db")


def test_a_file_deleted_while_in_use_serves_on_and_corruption_is_an_error(path: Path) -> None:
    counters = Counters(path)
    path.unlink()
    assert counters.admit(draw("a.example"))
    counters.close()
    with pytest.raises(ServiceUnavailable):
        counters.admit(draw("a.example"))


def test_recipients_are_not_kept_in_clear_and_others_cannot_read(path: Path, counters: Counters) -> None:
    counters.delivered(b"s" * 16, [b"secret.address@x.example"], LATER)
    found = [one for one in path.parent.iterdir() if one.is_file()]
    assert not any(b"secret" in one.read_bytes() for one in found)
    assert path.stat().st_mode & 0o777 == 0o640
    assert all(one.stat().st_mode & 0o007 == 0 for one in found if one.suffix.startswith(".db"))
