"""systemd units: they run this program with these settings, and may do no more than they have to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import find_program
from trustgraph.errors import UsageError
from trustgraph.services.units import hidden_places, settings_file_in_use, units, write_units
from trustgraph.settings import Database, Settings

PROGRAM, FILE = Path("/opt/trustgraph/bin/trustgraph"), Path("/etc/mail/trust.toml")
SERVICES = ["trustgraph-endorse", "trustgraph-lists", "trustgraph-milter", "trustgraph-recompute", "trustgraph-score"]
SYSTEM = Settings(database=Database(url="sqlite:////var/lib/trustgraph/trustgraph.db"))
HARDENING = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "User=trustgraph",
    "UMask=0027",
    "MemoryDenyWriteExecute=yes",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
)


def elsewhere(home: Path) -> Settings:
    """Settings as `trustgraph init` makes them outside /etc."""
    return Settings.model_validate(
        {
            "database": {"url": f"sqlite:///{home}/trustgraph.db"},
            "hostkey": {"path": f"{home}/hostkey.pgp"},
            "milter": {"listen": f"unix:{home}/milter.sock", "state": f"{home}/state"},
            "schedule": {"report_directory": f"{home}/report"},
            "metrics": {"textfile": "/var/lib/node/trustgraph.prom"},
        }
    )


def line_of(text: str, key: str) -> str:
    (found,) = (line for line in text.splitlines() if line.startswith(f"{key}="))
    return found.removeprefix(f"{key}=")


def test_a_service_for_each_work_and_timers_for_two() -> None:
    assert sorted(units(PROGRAM, FILE, SYSTEM)) == sorted(
        [f"{name}.service" for name in SERVICES] + ["trustgraph-endorse.timer", "trustgraph-score.timer"]
    )


@pytest.mark.parametrize(
    ("name", "command"),
    list(
        zip(
            SERVICES,
            [
                *("endorse --no-dry-run --publish", "list milter --listen unix:/run/trustgraph-lists/milter.sock"),
                *("milter", "recompute", "recompute --once"),
            ],
            strict=True,
        )
    ),
)
def test_each_service_runs_this_program_with_these_settings(name: str, command: str) -> None:
    text = units(PROGRAM, FILE, SYSTEM)[f"{name}.service"]
    assert line_of(text, "ExecStart") == f"{PROGRAM} --config {FILE} {command}"
    assert "/usr/bin/trustgraph" not in text
    assert "/etc/trustgraph" not in text


@pytest.mark.parametrize("settings", [SYSTEM, elsewhere(Path("/srv/trust graph"))])
@pytest.mark.parametrize("name", SERVICES)
def test_no_service_lacks_hardening(name: str, settings: Settings) -> None:
    lines = units(PROGRAM, FILE, settings)[f"{name}.service"].splitlines()
    assert [line for line in HARDENING if line not in lines] == []
    assert not [line for line in lines if line.startswith(("CapabilityBoundingSet=C", "AmbientCapabilities=C"))]


def test_usual_places_need_no_exception() -> None:
    assert "ReadWritePaths" not in "".join(units(PROGRAM, FILE, SYSTEM).values())


@pytest.mark.parametrize("name", SERVICES)
def test_other_places_may_be_written_and_only_those(name: str) -> None:
    text = units(PROGRAM, FILE, elsewhere(Path("/srv/mail")))[f"{name}.service"]
    assert line_of(text, "ReadWritePaths") == "-/srv/mail -/srv/mail/report -/srv/mail/state -/var/lib/node"


def test_odd_names_are_escaped_where_systemd_would_expand_them() -> None:
    text = units(Path("/opt/a b/trustgraph"), Path("/srv/50%/$HOME.toml"), elsewhere(Path("/srv/$x 5%")))[
        "trustgraph-milter.service"
    ]
    assert line_of(text, "ExecStart") == '"/opt/a b/trustgraph" --config /srv/50%%/$$HOME.toml milter'
    # Variables are expanded in command lines only.
    assert line_of(text, "ReadWritePaths").startswith('-"/srv/$x 5%%" -"/srv/$x 5%%/report" ')


@pytest.mark.parametrize("odd", ["/srv/a\nExecStartPre=/bin/evil", "/srv/a\rb", "/srv/\x7f"])
def test_a_path_cannot_add_a_line(odd: str) -> None:
    for program, file, settings in (
        (Path(odd), FILE, SYSTEM),
        (PROGRAM, Path(odd), SYSTEM),
        (PROGRAM, FILE, elsewhere(Path(odd))),
    ):
        with pytest.raises(UsageError, match="control characters"):
            units(program, file, settings)


@pytest.mark.parametrize("home", ["/srv/mail", "/srv/trust graph 5%"])
def test_systemd_finds_nothing_wrong(home: str, tmp_path: Path) -> None:
    analyze = find_program("systemd-analyze")
    if analyze is None:  # the texts are held to the rules above in any case
        return
    written = write_units(units(Path(sys.executable), FILE, elsewhere(Path(home))), tmp_path)
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", *map(str, written)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line or "trustgraph-" in line] == []
    assert done.returncode == 0, done.stderr


def test_home_directories_are_named_since_units_hide_them() -> None:
    home = Path("/home/me/trust")
    assert hidden_places(PROGRAM, FILE, SYSTEM) == []
    hidden = hidden_places(Path("/root/venv/bin/trustgraph"), home / "trustgraph.toml", elsewhere(home))
    assert {Path("/root/venv/bin/trustgraph"), home / "trustgraph.toml", home / "hostkey.pgp", home} <= set(hidden)
    assert Path("/var/lib/node") not in hidden


def test_units_are_written_once_and_a_changed_one_stops_all(tmp_path: Path) -> None:
    found, directory = units(PROGRAM, FILE, SYSTEM), tmp_path / "new" / "system"
    assert [path.name for path in write_units(found, directory)] == sorted(found)
    assert write_units(found, directory) == []
    changed = directory / "trustgraph-score.timer"
    changed.write_text("mine\n")
    (directory / "trustgraph-milter.service").unlink()
    with pytest.raises(UsageError, match=r"trustgraph-score\.timer is there already and differs"):
        write_units(found, directory)
    assert changed.read_text() == "mine\n"
    assert not (directory / "trustgraph-milter.service").exists()


def test_the_settings_file_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings_file_in_use(None, {}) == Path("/etc/trustgraph/trustgraph.toml")
    (tmp_path / "trustgraph.toml").touch()
    assert settings_file_in_use(None, {}) == tmp_path / "trustgraph.toml"
    assert settings_file_in_use(None, {"TRUSTGRAPH_CONFIG": "other.toml"}) == tmp_path / "other.toml"
    assert settings_file_in_use(Path("/a.toml"), {"TRUSTGRAPH_CONFIG": "other.toml"}) == Path("/a.toml")
