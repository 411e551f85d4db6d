"""`trustgraph init`: a site out of nothing, and nothing lost of a site that is there."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from trustgraph.cli import run
from trustgraph.settings import Settings, load_settings

Run = Callable[..., tuple[int, str, str]]
HOST = ("--hostname", "mx1.example.org")


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``init(…)`` in an empty directory: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRUSTGRAPH_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, before: tuple[str, ...] = ()) -> tuple[int, str, str]:
        code = run([*before, "init", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


def test_settings_database_and_key_are_made(init: Run, tmp_path: Path) -> None:
    code, out, err = init(*HOST)
    assert (code, err) == (0, "")
    assert sorted(contents(tmp_path)) == [
        "hostkey.pgp",
        "hostkey.pgp.revocation.asc",
        "trustgraph.db",
        "trustgraph.toml",
    ]
    assert mode(tmp_path / "hostkey.pgp") == mode(tmp_path / "hostkey.pgp.revocation.asc") == 0o600
    assert mode(tmp_path / "trustgraph.toml") & 0o137 == 0
    settings = load_settings(tmp_path / "trustgraph.toml", {})
    assert settings.site.hostname == "mx1.example.org"
    assert settings.hostkey.path == tmp_path / "hostkey.pgp"
    assert settings.policy == Settings().policy
    assert "was there already" not in out
    assert f"trustgraph --config {tmp_path}/trustgraph.toml key publish" in out


def test_the_settings_file_of_the_command_line_is_the_one_written(init: Run, tmp_path: Path) -> None:
    code, _, _ = init(*HOST, before=("--config", str(tmp_path / "site/named.toml")))
    assert code == 0
    assert load_settings(tmp_path / "site/named.toml", {}).site.hostname == "mx1.example.org"
    assert not (tmp_path / "trustgraph.toml").exists()


def test_what_it_made_works(init: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(init(*HOST, "--json")[1])
    assert run(["--config", shown["settings"], "key", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == shown["fingerprint"]


def test_a_second_run_changes_no_byte(init: Run, tmp_path: Path) -> None:
    init(*HOST)
    before = contents(tmp_path)
    for arguments in ((), HOST, ("--no-key",)):
        code, out, err = init(*arguments)
        assert (code, err) == (0, "")
        assert out.count("was there already") == 3
        assert contents(tmp_path) == before


def test_another_name_than_the_file_has_is_refused(init: Run, tmp_path: Path) -> None:
    init(*HOST)
    before = contents(tmp_path)
    for arguments, given in ((("--hostname", "mx2.example.org"), ()), ((), ("--database", "sqlite:///other.db"))):
        code, out, err = init(*arguments, before=given)
        assert (code, out) == (64, "")
        assert f"{tmp_path}/trustgraph.toml is there already" in err
        assert contents(tmp_path) == before


@pytest.mark.parametrize("lost", ["trustgraph.db", "hostkey.pgp"])
def test_what_is_missing_is_made_and_the_rest_left(init: Run, tmp_path: Path, lost: str) -> None:
    """As after a run that was cut short."""
    init(*HOST)
    for path in tmp_path.glob(f"{lost}*"):
        path.unlink()
    before = contents(tmp_path)
    code, out, _ = init("--json")
    assert code == 0
    (made,) = json.loads(out)["made"]
    assert made.endswith(f"/{lost}")
    after = contents(tmp_path)
    assert lost in after
    assert {name: after[name] for name in before} == before


def test_the_revocation_of_a_lost_key_is_kept(init: Run, tmp_path: Path) -> None:
    init(*HOST)
    (tmp_path / "hostkey.pgp").unlink()
    before = contents(tmp_path)
    code, _, err = init()
    assert code == 64
    assert "may be all that is left of a key" in err
    assert contents(tmp_path) == before


def test_no_key(init: Run, tmp_path: Path) -> None:
    code, out, _ = init(*HOST, "--no-key")
    assert code == 0
    assert sorted(contents(tmp_path)) == ["trustgraph.db", "trustgraph.toml"]
    assert f"trustgraph --config {tmp_path}/trustgraph.toml key new" in out
    assert "host key:" not in out


def test_json_names_what_was_made(init: Run, tmp_path: Path) -> None:
    code, out, err = init("--hostname", "MX1.Example.ORG.", "--json")
    (line,) = out.splitlines()
    shown = json.loads(line)
    assert (code, err) == (0, "")
    assert set(shown) == {"settings", "hostname", "database", "fingerprint", "made", "next"}
    assert shown["hostname"] == "mx1.example.org"
    assert len(shown["fingerprint"]) == 40
    assert shown["made"] == [
        f"{tmp_path}/trustgraph.toml",
        f"sqlite:///{tmp_path}/trustgraph.db",
        f"{tmp_path}/hostkey.pgp",
    ]
    again = json.loads(init("--json")[1])
    assert (again["made"], again["fingerprint"]) == ([], shown["fingerprint"])


@pytest.mark.parametrize(
    "name", ["localhost", "mx1", "localhost.localdomain", "mx_1 .example.org", "a..b", "x" * 300, '"']
)
def test_a_bad_host_name_makes_nothing(init: Run, tmp_path: Path, name: str) -> None:
    code, out, err = init("--hostname", name)
    assert (code, out) == (64, "")
    assert err.startswith("trustgraph: error: --hostname: ")
    assert "this machine" not in err  # which was not asked
    assert name[:40] in err
    assert contents(tmp_path) == {}


def test_missing_directories_are_made(init: Run, tmp_path: Path) -> None:
    code, _, err = init(*HOST, "--out", "new/site/t.toml")
    assert (code, err) == (0, "")
    home = tmp_path / "new" / "site"
    assert {"t.toml", "trustgraph.db", "hostkey.pgp"} <= set(contents(home))
    assert load_settings(home / "t.toml", {}).milter.state == home / "state"


def test_a_directory_that_cannot_be_made_is_named(init: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    code, out, err = init(*HOST, "--out", "file/t.toml")
    assert (code, out) == (66, "")
    assert f"{tmp_path}/file/t.toml: cannot be written" in err
    assert contents(tmp_path) == {"file": b"mine"}


def test_a_link_to_nowhere_is_not_replaced(init: Run, tmp_path: Path) -> None:
    (tmp_path / "trustgraph.toml").symlink_to(tmp_path / "elsewhere")
    code, out, err = init(*HOST)
    assert (code, out) == (66, "")
    assert "trustgraph.toml: cannot be written: File exists" in err
    assert (tmp_path / "trustgraph.toml").is_symlink()
    assert contents(tmp_path) == {}


def test_a_path_that_is_not_utf8_is_refused(init: Run, tmp_path: Path) -> None:
    code, out, err = init(*HOST, "--out", "\udcff/t.toml")
    assert (code, out) == (64, "")
    assert "expected a path in UTF-8" in err
    assert contents(tmp_path) == {}


def test_settings_that_are_wrong_are_left_for_their_owner(init: Run, tmp_path: Path) -> None:
    (tmp_path / "trustgraph.toml").write_text("[site]\nhostnam = 1\n")
    code, _, err = init(*HOST)
    assert code == 78
    assert "site.hostnam" in err
    assert sorted(contents(tmp_path)) == ["trustgraph.toml"]


def test_systemd_units_are_printed_or_written_and_nothing_else_made(init: Run, tmp_path: Path) -> None:
    code, out, _ = init("--systemd", "--json", before=("--config", str(tmp_path / "absent.toml")))
    assert (code, out) == (66, "")
    init(*HOST, "--no-key")
    before = contents(tmp_path)
    code, out, _ = init("--systemd")
    assert code == 0
    assert f"--config {tmp_path}/trustgraph.toml milter\n" in out
    assert contents(tmp_path) == before
    code, out, _ = init("--systemd", "--json", "--out", "units")
    written = json.loads(out)["written"]
    assert sorted(Path(path).name for path in written) == sorted(path.name for path in (tmp_path / "units").iterdir())
    assert json.loads(init("--systemd", "--json", "--out", "units")[1])["written"] == []
