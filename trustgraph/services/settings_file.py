"""A settings file that shows everything that can be set, each at its default, out of the settings' own definition."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trustgraph.settings import Settings

_HEAD = """\
# Settings of trustgraph. What is commented out is the default; docs/settings.md says what each is for.
# Durations are written "90s", "15m", "24h", "7d", and "0" turns a thing off; sizes "64KiB", "1MiB".
"""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))

#: An identity is a name that nobody could guess the form of.
_EXAMPLES = {"anchors": '# "openpgp:0123456789abcdef0123456789abcdef01234567" = 1.0\n# "dkim:example.org" = 0.5\n'}


def render_settings(chosen: Mapping[str, Mapping[str, object]]) -> str:
    """TOML with every section, in which ``chosen`` (by section and key) is set. Values as TOML has them."""
    return _HEAD + "".join(_section(name, field, chosen.get(name, {})) for name, field in Settings.model_fields.items())


def _section(name: str, field: FieldInfo, chosen: Mapping[str, object]) -> str:
    model = field.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return (
            f"\n# Whom you trust to begin with, and how much: weights above 0, at most 1.\n[{name}]\n{_EXAMPLES[name]}"
        )
    about = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    about = about.partition("; see :")[0].rstrip(".") + "."
    return f"\n# {about}\n[{name}]\n" + "".join(_lines(name, model, chosen))


def _lines(section: str, model: type[BaseModel], chosen: Mapping[str, object]) -> Iterator[str]:
    tables = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if table := _table_of(field):
            tables.append(f"# [[{section}.{key}]]\n" + "".join(f'# {one} = ""\n' for one in table.model_fields))
        elif key in chosen:
            yield f"{key} = {_literal(name, chosen[key])}\n"
        else:
            yield f"# {key} = {_literal(name, field.get_default(call_default_factory=True))}\n"
    yield from tables


def _table_of(field: FieldInfo) -> type[BaseModel] | None:
    """What a key that is an array of tables has in each."""
    found = [one for one in get_args(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
    return found[0] if found else None


def _literal(name: str, value: object) -> str:
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML takes no bare DEL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(name, value)
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{json.dumps(k)} = {_literal('', v)}" for k, v in value.items()) + " }" if value else "{}"
        )
    if isinstance(value, tuple | list):
        return f"[{', '.join(_literal('', one) for one in value)}]"
    raise TypeError(f"{name}: no TOML for {type(value).__name__}")


def _number(name: str, value: float) -> str:
    if name.endswith("_seconds"):
        if not value:
            return '"0"'
        size, unit = next(one for one in _UNITS if value % one[0] == 0)
        return f'"{int(value // size)}{unit}"'
    if name.endswith("_bytes"):
        size, unit = next((one for one in _SIZES if value % one[0] == 0), (1, ""))
        return f'"{int(value // size)}{unit}"'
    return json.dumps(value)
