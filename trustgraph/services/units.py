"""systemd units for this installation and these settings, from those in the package (``trustgraph/systemd``)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import sqlalchemy as sa

from trustgraph.errors import UsageError
from trustgraph.settings import DEFAULT_PATHS, Settings

_COMMAND = "/usr/bin/trustgraph --config /etc/trustgraph/trustgraph.toml"
_OWN_PLACES = (Path("/var/lib/trustgraph"), Path("/run/trustgraph"))
_AFTER = "StateDirectoryMode=0750\n"
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))


def settings_file_in_use(given: Path | None, environment: Mapping[str, str] | None = None) -> Path:
    """The file that settings are read from now, or else where services look for it. Absolute."""
    named = given or (os.environ if environment is None else environment).get("TRUSTGRAPH_CONFIG")
    found = named or next((path for path in DEFAULT_PATHS if path.is_file()), DEFAULT_PATHS[-1])
    return Path(found).absolute()


def units(program: Path, settings_file: Path, settings: Settings) -> Mapping[str, str]:
    """The text of each unit by its name. ``program`` and ``settings_file`` are absolute.

    Raises :class:`UsageError` for a path with control characters in it, which could add lines to a unit.
    """
    command = f"{_quoted(program)} --config {_quoted(settings_file)}".replace("$", "$$")  # for command lines alone
    places = sorted({str(place) for place in _other_places(settings)})
    more = f"ReadWritePaths={' '.join(f'-{_quoted(Path(place))}' for place in places)}\n" if places else ""
    found = {}
    for file in sorted(files("trustgraph").joinpath("systemd").iterdir(), key=lambda file: file.name):
        text = file.read_text(encoding="utf-8")
        found[file.name] = text.replace(_COMMAND, command).replace(_AFTER, _AFTER + more)
    return found


def hidden_places(program: Path, settings_file: Path, settings: Settings) -> list[Path]:
    """What services need and these units hide from them, in home directories."""
    needed = (program, settings_file, settings.hostkey.path, *_other_places(settings))
    return [place for place in needed if any(place.is_relative_to(hidden) for hidden in _HIDDEN)]


def write_units(found: Mapping[str, str], directory: Path) -> list[Path]:
    """Write units into a directory; those that are there as they are to be are left alone.

    Raises :class:`UsageError` for one that is there and differs, before anything is written.
    """
    wanted = {directory / name: text for name, text in found.items()}
    there = {path for path in wanted if path.exists()}
    for path in sorted(there):
        if path.read_text(encoding="utf-8", errors="replace") != wanted[path]:
            raise UsageError(f"{path} is there already and differs: move it away, or give another --out")
    directory.mkdir(parents=True, exist_ok=True)
    for path in sorted(wanted.keys() - there):
        with path.open("x", encoding="utf-8") as stream:
            stream.write(wanted[path])
    return sorted(wanted.keys() - there)


def _other_places(settings: Settings) -> Iterator[Path]:
    """Directories that services write to, other than those that the units make for them."""
    places = [settings.milter.state, settings.schedule.report_directory]
    url = sa.make_url(settings.database.url)
    if url.drivername == "sqlite" and url.database:
        places.append(Path(url.database).absolute().parent)
    if settings.metrics.textfile:
        places.append(Path(settings.metrics.textfile).absolute().parent)
    if settings.milter.listen.startswith("unix:"):
        places.append(Path(settings.milter.listen.removeprefix("unix:")).parent)
    return (place for place in places if not any(place.is_relative_to(own) for own in _OWN_PLACES))


def _quoted(path: Path) -> str:
    """As systemd.syntax(7) has it: specifiers and quotes escaped."""
    if any(ord(one) < 0x20 or one == "\x7f" for one in str(path)):
        raise UsageError(f"{str(path)!r}: a unit cannot name a path with control characters")
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if set(text) & set(" \t'\"\\;") else text
