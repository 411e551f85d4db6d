"""Opening the database: SQLite in WAL mode, or PostgreSQL by URL; schema checked at start, migrated on request.

Every write is one transaction that holds SQLite's write lock from its beginning (no upgrade from read to write, hence
no deadlock); every read is one snapshot. A commit is on disk before it is acknowledged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from trustgraph.errors import ConfigurationError, SchemaMismatch, ServiceUnavailable, StoreBusy
from trustgraph.store import schema

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_TIMEOUT_MS = 30_000

#: Where Alembic keeps the revision that a database is at.
_VERSIONS = "alembic_version"


class Store:
    """A checked, open database. All else in this package goes through :meth:`reading` and :meth:`writing`."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded default."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One snapshot, read only by convention."""
        with _translated(self.engine), self.engine.connect() as connection:
            # SQLite's snapshot comes with BEGIN; PostgreSQL would take a new one for every statement.
            level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
            yield connection.execution_options(trustgraph_read=True, **level)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction: committed at the end, rolled back on any exception."""
        with _translated(self.engine), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def open_store(url: str, *, create: bool = False) -> Store:
    """The store at an SQLAlchemy URL; with ``create`` an empty or absent database gets its schema.

    Raises :class:`ConfigurationError` for a URL that cannot be one, :class:`SchemaMismatch` when the schema is not this
    version's, :class:`ServiceUnavailable` when the database does not answer.
    """
    with _opened(url) as engine:
        revision = _revision(engine, absent_ok=create)
        shown = _shown(engine)
    if revision is None and create:
        upgrade(url)
    elif revision != schema.REVISION:
        have = f"has schema {revision}" if revision else "has no schema"
        raise SchemaMismatch(f"{shown} {have}, this version needs {schema.REVISION}: run `trustgraph db upgrade`")
    return Store(_make_engine(url))


def upgrade(url: str) -> str:
    """Run all migrations that are due, each in one transaction; returns the revision reached."""
    # Every command opens a store and hardly any migrates it: loading Alembic takes a tenth of a second.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with _opened(url) as engine:
        _prepare(engine)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return schema.REVISION


def schema_revision(url: str) -> tuple[str | None, str]:
    """(the database's revision or None, the one this version needs)."""
    with _opened(url) as engine:
        return _revision(engine, absent_ok=False), schema.REVISION


@contextmanager
def _opened(url: str) -> Iterator[sa.Engine]:
    """An engine for one task, its connections closed at the end."""
    engine = _make_engine(url)
    try:
        with _translated(engine):
            yield engine
    finally:
        engine.dispose()


def _revision(engine: sa.Engine, *, absent_ok: bool) -> str | None:
    file = _sqlite_file(engine)
    if file is not None and not file.exists():
        if absent_ok:
            return None
        raise SchemaMismatch(f"there is no database at {file}: run `trustgraph db upgrade`, or ingest something first")
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(_VERSIONS):
            return None
        return connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(_VERSIONS))).scalar()


def _prepare(engine: sa.Engine) -> None:
    file = _sqlite_file(engine)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)


def _sqlite_file(engine: sa.Engine) -> Path | None:
    return Path(engine.url.database) if engine.dialect.name == "sqlite" and engine.url.database else None


def _shown(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _make_engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            f"database.url: {url!r} is not a database URL such as sqlite:///trustgraph.db"
        ) from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ConfigurationError(f"database.url: {parsed.drivername!r} is not supported: use sqlite or postgresql")
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError("database.url: SQLite needs a file: sqlite:///trustgraph.db")
    if parsed.drivername == "sqlite" and parsed.query:
        raise ConfigurationError("database.url: a sqlite URL takes no options: sqlite:///trustgraph.db")
    engine = sa.create_engine(parsed)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "page_size=16384",  # of a new database; a tenth faster for rows that come by the million
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-65536",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("trustgraph_read", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _translated(engine: sa.Engine) -> Iterator[None]:
    """Database trouble becomes this project's errors, without the statement and its values."""
    try:
        yield
    except sa.exc.OperationalError as error:
        reason = (str(error.orig).strip() or "no reason given").splitlines()[0]
        if any(word in reason for word in ("locked", "busy", "deadlock")):
            raise StoreBusy(f"{_shown(engine)} is held by another process: {reason}") from error
        raise ServiceUnavailable(f"{_shown(engine)} does not answer: {reason}") from error
    except sa.exc.DatabaseError as error:
        if isinstance(error.orig, sqlite3.DatabaseError) and "not a database" in str(error.orig):
            raise ConfigurationError(f"{_shown(engine)}: {error.orig}") from error
        if isinstance(error, sa.exc.ProgrammingError) and not error.statement:  # while connecting: an unknown option
            raise ConfigurationError(f"database.url: {_shown(engine)}: {error.orig}") from error
        raise
