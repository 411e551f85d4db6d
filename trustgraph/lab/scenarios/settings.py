"""A scenario's own settings: fields of its dataclass with a default, a meaning and bounds, read from ``name=value``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from trustgraph.errors import UsageError

Value = bool | int | float

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is documented. ``least`` and ``most`` are None for a yes or no."""

    name: str
    default: Value
    help: str
    least: float | None
    most: float | None


def setting(default: Any, text: str, least: float | None = None, most: float | None = None) -> Any:
    """A field of a scenario; its type is that of its default. A number has bounds."""
    return field(default=default, metadata={"help": text, "least": least, "most": most})


def settings_of(scenario: type[Any]) -> tuple[Setting, ...]:
    """The settings of a scenario, in the order in which they are declared."""
    return tuple(Setting(each.name, cast(Value, each.default), **each.metadata) for each in fields(scenario))


def read_settings(scenario: type[Any], given: Mapping[str, str]) -> dict[str, Value]:
    """Values by name. Raises :class:`UsageError` that names the possible settings, or what was expected of one."""
    known = {each.name: each for each in settings_of(scenario)}
    unknown = [name for name in given if name not in known]
    if unknown:
        possible = ", ".join(known) or "none"
        raise UsageError(f"scenario {scenario.name} has no setting {unknown[0]!r}: expected one of {possible}")
    return {name: _read(scenario.name, known[name], text) for name, text in given.items()}


def check(name: str, each: Setting, value: Value) -> None:
    """Raises :class:`UsageError` for a value out of bounds."""
    if each.least is not None and each.most is not None and not each.least <= value <= each.most:
        raise UsageError(f"{name}: {each.name} must be {each.least:g} to {each.most:g}, not {value:g}")


def _read(scenario: str, each: Setting, text: str) -> Value:
    kind = type(each.default)
    try:
        value = _WORDS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise UsageError(f"{scenario}: {each.name} must be {expected}, not {text!r}") from None
    check(scenario, each, value)
    return value
