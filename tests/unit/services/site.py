"""A mail site in a directory: settings, host key, state and an empty database copied from one made once."""

from __future__ import annotations

import atexit
import json
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.unit.headersig.signed import AT, NOW
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.making import new_host_key
from trustgraph.settings import Settings, load_settings
from trustgraph.store import open_store

US = "mx.example.net"

__all__ = ["AT", "NOW", "US"]


@cache
def empty_database() -> Path:
    folder = Path(mkdtemp(prefix="trustgraph-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "trustgraph.db"
    open_store(f"sqlite:///{path}", create=True).close()
    return path


def toml(home: Path, over: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    given: dict[str, dict[str, Any]] = {
        "site": {"hostname": US},
        "database": {"url": f"sqlite:///{home}/trustgraph.db"},
        "hostkey": {"path": f"{home}/hostkey.pgp"},
        "milter": {"state": f"{home}/state", "internal_hosts": ["127.0.0.0/8"], "listen": f"unix:{home}/milter.sock"},
    }
    for section, values in (over or {}).items():
        given[section] = given.get(section, {}) | dict(values)
    lines = []
    for section, values in given.items():
        lines += [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def site_in(home: Path, **sections: Mapping[str, Any]) -> Settings:
    """Settings by section, as in ``site_in(home, policy={"profile": "strict"})``, and the database."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "trustgraph.toml"
    path.write_text(toml(home, sections))
    if not (home / "trustgraph.db").exists():
        shutil.copy(empty_database(), home / "trustgraph.db")
    return load_settings(path, {})


@cache
def secret_key(host: str = US, at: int = AT) -> Any:
    """A key that is always the same, for tests that do not make one."""
    return new_host_key(host, UnixSeconds(at - 86_400), seed=host.encode().ljust(32, b"."), postmaster=True)
