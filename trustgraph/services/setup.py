"""`trustgraph init`: settings, database and host key of a new site. What is there is used, and never written over."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from trustgraph.errors import BadInput, NoInput, UsageError
from trustgraph.model import UnixSeconds, parse_domain
from trustgraph.services.hostkeys import sync_directory
from trustgraph.services.keymaking import create_key, open_key
from trustgraph.services.settings_file import render_settings
from trustgraph.settings import Settings, load_settings
from trustgraph.store import open_store

_SYSTEM = Path("/etc")
_SYSTEM_DATABASE = "sqlite:////var/lib/trustgraph/trustgraph.db"


@dataclass(frozen=True, slots=True)
class Site:
    """What there is now. ``made`` names what was not there before; ``fingerprint`` is empty without a host key."""

    settings_file: Path
    settings: Settings
    database: str
    fingerprint: str
    made: tuple[str, ...]

    def next_steps(self) -> list[str]:
        """What is left to do, a line each."""
        command = f"trustgraph --config {self.settings_file}"
        steps = []
        if not self.settings.keyservers.urls:
            steps.append(f"put two keyservers or more into {self.settings_file}: [keyservers] urls")
        if not self.settings.anchors:
            steps.append(f"put whom you trust to begin with into {self.settings_file}: [anchors]")
        if self.fingerprint:
            key = self.settings.hostkey.path
            steps.append(
                f"keep copies of {key} and {key}.revocation.asc where this machine's disk cannot take them along"
            )
            steps.append(f"{command} key publish")
        else:
            steps.append(f"{command} key new")
        return [
            *steps,
            f"{command} ingest logs /var/log/mail.log",
            f"{command} recompute --once",
            f"{command} init --systemd --out /etc/systemd/system",
            f"have the MTA ask {self.settings.milter.listen} (docs/gate.md)",
        ]


def set_up(out: Path, hostname: str, now: UnixSeconds, *, database: str = "", with_key: bool = True) -> Site:
    """Write the settings file ``out`` unless it is there, then make the database and the key that it names.

    Cut short anywhere it can be run again. Raises :class:`UsageError` where no FQDN is known, or another one than the
    file's is given, :class:`NoInput` for what cannot be written, and what making database and key raises.
    """
    path = Path(os.path.abspath(out))
    made = []
    if path.exists():
        settings = load_settings(path)
        _require_same(path, settings, hostname, database)
    else:
        _write_new(path, render_settings(choices(path, own_fqdn(hostname), database)))
        made.append(str(path))
        settings = load_settings(path)
    url = sa.make_url(settings.database.url)
    existed = url.database is not None and Path(url.database).exists()
    open_store(settings.database.url, create=True).close()
    shown = url.render_as_string(hide_password=True)
    if url.drivername == "sqlite" and not existed:
        made.append(shown)
    if settings.hostkey.path.exists():
        fingerprint = open_key(settings).fingerprint
    elif with_key:
        fingerprint = create_key(settings, now).fingerprint
        made.append(str(settings.hostkey.path))
    else:
        fingerprint = ""
    return Site(path, settings, shown, fingerprint, tuple(made))


def own_fqdn(given: str) -> str:
    """The name given, else this machine's own. Raises :class:`UsageError` if that is no FQDN."""
    name = given or socket.getfqdn()
    try:
        found = parse_domain(name)
    except BadInput as error:
        raise UsageError(f"--hostname: {error}") from None
    if "." not in found or found.startswith("localhost."):
        said = "got" if given else "this machine says"
        raise UsageError(f"--hostname: expected this host's FQDN, as in mx1.example.org; {said} {name!r}")
    return found


def choices(path: Path, hostname: str, database: str) -> Mapping[str, Mapping[str, object]]:
    """What is set in a new file: below /etc a system's usual places, elsewhere everything beside the file."""
    if path.is_relative_to(_SYSTEM):
        return {"site": {"hostname": hostname}, "database": {"url": database or _SYSTEM_DATABASE}}
    home = path.parent
    return {
        "site": {"hostname": hostname},
        "database": {"url": database or f"sqlite:///{home}/trustgraph.db"},
        "hostkey": {"path": home / "hostkey.pgp"},
        "milter": {"listen": f"unix:{home}/milter.sock", "state": home / "state"},
        "schedule": {"report_directory": home / "report"},
    }


def _require_same(path: Path, settings: Settings, hostname: str, database: str) -> None:
    """What is there is not changed, so it has to be what is asked for."""
    if hostname and own_fqdn(hostname) != settings.site.hostname:
        raise UsageError(f"{path} is there already, for {settings.site.hostname!r}; change it, or give another --out")
    if database and database != settings.database.url:
        raise UsageError(f"{path} is there already, with another database.url; change it, or give another --out")
    if not settings.site.hostname:
        raise UsageError(f"{path} is there already, without site.hostname: put this host's FQDN there")


def _write_new(path: Path, text: str) -> None:
    """A file of mode 0640, since a database URL may have a password in it; whole, or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            with os.fdopen(file, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.link(draft, path)  # fails where another has made it meanwhile
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise NoInput(f"{path}: cannot be written: {error.strerror}") from None
    except UnicodeEncodeError:
        raise UsageError(f"{str(path)!r}: expected a path in UTF-8, since the settings name it") from None
