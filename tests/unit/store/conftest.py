"""Every store test runs on SQLite and on a real PostgreSQL that the tests start in a directory of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.postgres import PrivatePostgres, find_server
from trustgraph.store import Store, open_store, upgrade


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres | None]:
    """The server, started once; None where it is not installed."""
    binaries = find_server()
    if binaries is None:
        yield None
        return
    with PrivatePostgres(binaries) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgres: PrivatePostgres | None,
    require: Callable[[str], str],
) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    if postgres is None:
        require("postgres")
    assert postgres is not None
    return postgres.new_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    upgrade(url)
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def count(store: Store) -> Callable[[str], int]:
    """``count("observation")``: rows of a table."""

    def rows(table: str) -> int:
        with store.reading() as connection:
            return int(connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())

    return rows
