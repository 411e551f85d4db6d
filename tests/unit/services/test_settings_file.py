"""The settings file of a new site says the truth about defaults, and takes whatever names there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from trustgraph.services.settings_file import render_settings
from trustgraph.settings import Settings, load_settings

_DEFAULT = re.compile(r"^# (?=[a-z0-9_]+ = )", re.MULTILINE)


def test_as_it_is_it_sets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trustgraph.toml"
    path.write_text(render_settings({}), encoding="utf-8")
    assert load_settings(path, {}) == Settings()
    assert all(not values for values in tomllib.loads(path.read_text(encoding="utf-8")).values())


def test_each_default_uncommented_is_the_default(tmp_path: Path) -> None:
    lines = render_settings({}).split("\n")
    while any(line.startswith("# [[") for line in lines):  # a table in an array is no default, but a form to fill in
        start = next(number for number, line in enumerate(lines) if line.startswith("# [["))
        end = next(number for number in range(start, len(lines)) if not lines[number])
        del lines[start:end]
    path = tmp_path / "trustgraph.toml"
    path.write_text(_DEFAULT.sub("", "\n".join(lines)), encoding="utf-8")
    shown = tomllib.loads(path.read_text(encoding="utf-8"))
    assert sum(len(values) for values in shown.values()) > 70
    assert load_settings(path, {}) == Settings()


def test_every_section_and_key_is_there_once() -> None:
    sections = dict(re.findall(r"^\[(\w+)\]\n((?:.+\n)*)", render_settings({}), re.MULTILINE))
    assert list(sections) == list(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            before_tables = sections[name].partition("# [[")[0]
            keys = re.findall(r"^# (\w+) = ", before_tables, re.MULTILINE)
            tables = re.findall(rf"^# \[\[{name}\.(\w+)\]\]$", sections[name], re.MULTILINE)
            assert sorted(keys + tables) == sorted(key.alias or one for one, key in model.model_fields.items())
    assert re.findall(r"^# (\w+) = ", sections["policy"].partition("# [[policy.override]]")[2], re.MULTILINE) == [
        "match",
        "action",
        "note",
        "expires",
    ]


def test_durations_and_sizes_are_written_as_people_write_them() -> None:
    text = render_settings({})
    for line in ('positive_ttl = "1d"', 'negative_ttl = "15m"', 'timeout = "5s"', 'endorse = "0"', 'keys = "6h"'):
        assert f"\n# {line}\n" in text
    assert '\n# max_answer = "64MiB"\n' in text


def test_what_is_chosen_is_set_and_no_default_beside_it() -> None:
    text = render_settings({"site": {"hostname": "mx.example.net"}})
    assert '\n[site]\nhostname = "mx.example.net"\n# authserv_id = ""\n' in text
    assert text.count("hostname = ") == 1


@pytest.mark.parametrize(
    "odd",
    ['/srv/a "b"/key', "/srv/a\\nb", "/srv/ä/…", "/srv/a\nb", "/srv/a # b", "/srv/'''", '"""', "/srv/\x7f", "\u2028"],
)
def test_odd_paths_come_back(odd: str, tmp_path: Path) -> None:
    path = tmp_path / "trustgraph.toml"
    chosen = {"hostkey": {"path": Path(odd)}, "site": {"authserv_id": odd}, "database": {"url": f"sqlite:///{odd}"}}
    path.write_text(render_settings(chosen), encoding="utf-8")
    settings = load_settings(path, {})
    assert (settings.hostkey.path, settings.site.authserv_id) == (Path(odd), odd)
    assert settings.database.url == f"sqlite:///{odd}"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_and_sets_nothing_else(text: str) -> None:
    rendered = render_settings({"site": {"authserv_id": text}}).encode()
    shown = {section: values for section, values in tomllib.loads(rendered.decode()).items() if values}
    assert shown == {"site": {"authserv_id": text}}
