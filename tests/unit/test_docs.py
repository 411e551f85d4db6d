"""Documentation that code can check is checked: settings and their defaults, commands, formats, dependencies."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer
from pydantic_core import PydanticUndefined

from trustgraph.cli import app
from trustgraph.ingest.formats import PARSERS
from trustgraph.scoring.registry import ALGORITHMS
from trustgraph.settings import Settings, parse_size

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
README = (ROOT / "README.md").read_text()


def settings() -> list[tuple[str, str, object]]:
    found = []
    for section, field in Settings.model_fields.items():
        model = field.annotation
        if hasattr(model, "model_fields"):
            for name, key in model.model_fields.items():
                found.append((section, key.alias or name, key.get_default(call_default_factory=True)))
    return found


@pytest.mark.parametrize(("section", "key", "default"), settings())
def test_every_setting_is_documented_with_its_default(section: str, key: str, default: object) -> None:
    row = re.search(rf"^\| {section} \| {key} \| ([^|]*)\|", SETTINGS, re.MULTILINE)
    assert row is not None
    assert default is not PydanticUndefined
    shown = row[1].strip()
    if isinstance(default, float) and shown[-1:] in "smhd" and shown[:-1].isdecimal():
        assert int(shown[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[shown[-1]] == default
    elif shown.endswith("iB"):
        assert parse_size(shown) == default
    elif default == {}:
        assert shown == ""
    elif isinstance(default, tuple):
        assert shown == ", ".join(default)
    else:
        assert shown == str(default)


def test_nothing_else_is_documented_as_a_setting() -> None:
    rows = set(re.findall(r"^\| (\w+) \| (\w+) \|", SETTINGS, re.MULTILINE)) - {("section", "key")}
    assert rows == {(section, key) for section, key, _ in settings()}


def test_every_format_is_documented() -> None:
    formats = (ROOT / "docs" / "formats.md").read_text()
    assert [name for name in PARSERS if not re.search(rf"^\|.*\b{re.escape(name)}\b", formats, re.MULTILINE)] == []


def test_every_algorithm_is_documented() -> None:
    rating = (ROOT / "docs" / "rating.md").read_text()
    assert [name for name in ALGORITHMS if name not in SETTINGS or f"`{name}`" not in rating] == []


def commands(group: typer.Typer, prefix: str = "") -> list[str]:
    named = [prefix + (c.name or c.callback.__name__) for c in group.registered_commands if c.callback]  # type: ignore[attr-defined]
    for sub in group.registered_groups:
        named += commands(sub.typer_instance, f"{prefix}{sub.name} ") if sub.typer_instance else []
    return named


def test_every_command_in_the_readme_exists_and_has_help() -> None:
    known = commands(app)
    used = re.findall(r"^    trustgraph ([a-z]+(?: [a-z]+)?)", README, re.MULTILINE)
    assert used
    assert [command for command in used if command not in known and command.split()[0] not in known] == []
    assert all(c.callback and c.callback.__doc__ for c in app.registered_commands)


def test_every_dependency_has_its_reason_and_its_pin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "CONTRIBUTING.md").read_text()
    pins = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    names = [re.split(r"[\[<>=;~! ]", line)[0].lower() for line in project["dependencies"]]
    assert [name for name in names if not re.search(rf"^\|.*\b{name}\b.*\|.*\|", reasons, re.MULTILINE)] == []
    assert [n for n in names if n != "standard-imghdr" and not re.search(rf"^{n}==", pins, re.MULTILINE)] == []
