"""``ingest table`` and ``export``: what goes in comes out, and a wrong row costs only itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from trustgraph.errors import BadInput, NoInput, UsageError
from trustgraph.ingest.table import ingest_endorsements, ingest_history
from trustgraph.model import UnixSeconds
from trustgraph.services.export import export
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.store.tables import read_endorsements, read_history

NOW = UnixSeconds(1_800_000_000)
A, B = "openpgp:" + "a" * 40, "openpgp:" + "b" * 40


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'test.db'}", create=True)
    yield opened
    opened.close()


def test_endorsements(store: Store, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(
        "endorser,subject,made_at,expires_at,amount,depth\n"
        f"{A},{B},2026-11-01T00:00:00Z,2027-01-30T00:00:00Z,60,1\n"
        f"{B},{A},2026-11-02,,,\n"
    )
    counts = ingest_endorsements(store, tmp_path / "e.csv", NOW)
    assert (counts.rows, counts.stored, counts.rejected) == (2, 2, 0)
    assert read_endorsements(store) == [
        (B, A, 1_793_577_600, None, 120, 0),
        (A, B, 1_793_491_200, 1_801_267_200, 60, 1),
    ]


def test_history_and_ingesting_it_twice(store: Store, tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text(
        "observer,subject,day,good,spam\nhelo:mx1.example.org,dkim:example.com,2026-11-01,5,1\n"
    )
    for _ in range(2):
        ingest_history(store, tmp_path / "h.csv", NOW)
    assert read_history(store) == [("helo:mx1.example.org", "dkim:example.com", 20_758, 5, 1)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"nonsense,{B},2026-11-01,,,", "row 1: 'nonsense' is not an identity"),
        (f"{A},{B},yesterday,,,", "RFC 3339"),
        (f"{A},,2026-11-01,,,", "subject is empty"),
        (f"{A},{B},2026-11-01,,999,", "amount 999: expected 0 to 255"),
        (f"{A},{B},2026-11-01,,,deep", "depth 'deep': expected a whole number"),
    ],
)
def test_a_wrong_row_is_rejected_with_its_reason_and_the_rest_kept(
    store: Store, tmp_path: Path, row: str, reason: str
) -> None:
    head = "endorser,subject,made_at,expires_at,amount,depth\n"
    (tmp_path / "e.csv").write_text(f"{head}{row}\n{B},{A},2026-11-02,,,\n")
    counts = ingest_endorsements(store, tmp_path / "e.csv", NOW)
    assert (counts.stored, counts.rejected) == (1, 1)
    assert reason in counts.rejects[0]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("e.csv", b"endorser,subject\na,b\n", BadInput, "no column made_at"),
        ("e.parquet", b"PAR1 but not really", BadInput, "not a .parquet table"),
        ("e.csv", b"", BadInput, "no column"),
    ],
)
def test_what_is_no_such_table_is_bad_input(
    store: Store, tmp_path: Path, name: str, content: bytes, error: type[Exception], message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        ingest_endorsements(store, tmp_path / name, NOW)


def test_an_absent_table_is_no_input(store: Store, tmp_path: Path) -> None:
    for name in ("absent.csv", "absent.parquet"):
        with pytest.raises(NoInput, match="absent"):
            ingest_history(store, tmp_path / name, NOW)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_exported_can_be_ingested_again(store: Store, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "e.csv").write_text(
        f"endorser,subject,made_at,expires_at\n{A},{B},2026-11-01,2027-01-01\n{B},{A},2026-11-02,\n"
    )
    (tmp_path / "h.csv").write_text(f"observer,subject,day,good,spam\n{A},{B},2026-11-01,5,1\n")
    ingest_endorsements(store, tmp_path / "e.csv", NOW)
    ingest_history(store, tmp_path / "h.csv", NOW)
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}", create=True)
    for kind, reader in (("endorsements", ingest_endorsements), ("history", ingest_history)):
        file = tmp_path / f"{kind}.{suffix}"
        export(store, Settings(), kind, file)
        assert reader(other, file, NOW).rejected == 0
    assert read_endorsements(other) == read_endorsements(store) != []
    assert read_history(other) == read_history(store)
    other.close()


def test_export_refuses_what_it_cannot_write(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="endorsements, history, ratings"):
        export(store, Settings(), "keys", tmp_path / "x.csv")
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        export(store, Settings(), "history", tmp_path / "x.xlsx")
    with pytest.raises(NoInput, match="cannot be written"):
        export(store, Settings(), "history", tmp_path / "absent" / "x.csv")


def test_an_export_of_nothing_has_its_columns(store: Store, tmp_path: Path) -> None:
    export(store, Settings(), "history", tmp_path / "h.csv")
    assert list(pd.read_csv(tmp_path / "h.csv").columns) == ["observer", "subject", "day", "good", "spam"]


def test_rows_that_no_csv_reader_likes_cost_only_themselves(store: Store, tmp_path: Path) -> None:
    head = "\ufeffendorser,subject,made_at\n".encode()
    rows = [
        f"{A},{B},2026-11-01\n".encode(),
        b"\xff,x,2026-11-01\n",
        f"{A},{B}\n".encode(),
        f"{B},{A},2026-11-02\n".encode(),
    ]
    (tmp_path / "e.csv").write_bytes(head + b"".join(rows))
    counts = ingest_endorsements(store, tmp_path / "e.csv", NOW)
    assert (counts.rows, counts.stored, counts.rejected) == (4, 2, 2)
    assert "wrong number of columns" in counts.rejects[1]


def test_a_parquet_table_may_have_its_days_as_times(store: Store, tmp_path: Path) -> None:
    days = pd.to_datetime(["2026-11-01", "1969-12-31"])
    frame = pd.DataFrame({"observer": A, "subject": B, "day": days, "good": 5, "spam": 1})
    frame.to_parquet(tmp_path / "h.parquet", index=False)
    counts = ingest_history(store, tmp_path / "h.parquet", NOW)
    assert (counts.stored, counts.rejected) == (1, 1)
    assert read_history(store) == [(A, B, 20_758, 5, 1)]
