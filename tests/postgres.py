"""A PostgreSQL server in a directory of its own, reachable through a socket there, stopped by its process id."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from types import TracebackType

from tests.conftest import find_program


def find_server() -> Path | None:
    """The directory of PostgreSQL's programs, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if debian:
        return debian[-1]
    postgres = find_program("postgres")
    return Path(postgres).resolve().parent if postgres else None


class PrivatePostgres:
    """``with PrivatePostgres(programs) as server: server.new_database()`` gives URLs."""

    def __init__(self, programs: Path) -> None:
        # Not pytest's directory: that one is closed to the user postgres.
        self._directory = Path(tempfile.mkdtemp(prefix="trustgraph-postgres-"))
        self._programs, self._data, self._numbers = programs, self._directory / "data", count(1)
        # PostgreSQL refuses to run as root; Debian's package brings the user postgres.
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def __enter__(self) -> PrivatePostgres:
        if os.geteuid() == 0:
            shutil.chown(self._directory, self._user)
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories={self._directory} -c fsync=off"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._directory / "log"), "-o", options, "start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._directory)

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(self._numbers)}"
        self._run("createdb", "-h", str(self._directory), "-U", "postgres", name)
        return f"postgresql+psycopg://postgres@/{name}?host={self._directory}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            user=self._user if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self._directory,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise AssertionError(f"{program}: {done.stderr.decode(errors='replace')}")
