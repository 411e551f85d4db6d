"""Migrations build exactly the tables that the code reads, on both databases, and the version is checked at start."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from trustgraph.errors import ConfigurationError, SchemaMismatch, ServiceUnavailable, StoreBusy
from trustgraph.store import Store, engine, open_store, schema_revision, upgrade
from trustgraph.store.schema import REVISION, metadata


def test_migrations_and_tables_agree(store: Store) -> None:
    with store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_revision_is_that_of_the_last_migration() -> None:
    assert ScriptDirectory(str(engine._MIGRATIONS)).get_current_head() == REVISION


def test_an_absent_database_is_an_error_that_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="trustgraph db upgrade"):
        open_store(f"sqlite:///{tmp_path / 'absent.db'}")
    assert not (tmp_path / "absent.db").exists()


def test_create_makes_an_absent_database(url: str) -> None:
    open_store(url, create=True).close()
    assert schema_revision(url)[0] == schema_revision(url)[1]


def test_upgrade_twice_changes_nothing(url: str) -> None:
    assert upgrade(url) == upgrade(url)


def test_another_version_is_refused(store: Store, url: str) -> None:
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'future'"))
    with pytest.raises(SchemaMismatch, match="future"):
        open_store(url)


@pytest.mark.parametrize(
    "url",
    ["", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "nonsense", "postgresql://h:port/x", "sqlite:///x?y=z"],
)
def test_a_url_that_cannot_be_one_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.url"):
        open_store(url)


def test_a_file_that_is_no_database_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database at all, and long enough to look at" * 50)
    with pytest.raises(ConfigurationError, match="not a database"):
        open_store(f"sqlite:///{tmp_path / 'x.db'}")


def test_a_server_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable):
        open_store(f"postgresql://nobody@/nowhere?host={tmp_path}")


def test_a_database_that_another_process_holds_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_BUSY_TIMEOUT_MS", 10)
    store = open_store(f"sqlite:///{tmp_path / 'held.db'}", create=True)
    holder = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy), store.writing():
        pass
    holder.close()
    store.close()


def test_a_reader_sees_one_moment(store: Store) -> None:
    insert = sa.text("INSERT INTO fact (name, value) VALUES (:n, '1')")
    rows = sa.text("SELECT count(*) FROM fact")
    with store.reading() as reader:
        before = reader.execute(rows).scalar_one()
        with store.writing() as writer:
            writer.execute(insert, {"n": "a"})
        assert reader.execute(rows).scalar_one() == before
