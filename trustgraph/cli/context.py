"""What every command shares: settings, the store they name, and the errors they may end in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustgraph.errors import BadInput
from trustgraph.model import Identity, UnixSeconds, from_rfc3339
from trustgraph.settings import Settings, load_settings, parse_duration

if TYPE_CHECKING:
    from trustgraph.store import Store

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object, or one a line, instead of text.")]


@dataclass
class Shared:
    """The global options; settings are read when first needed, so that --help works without them."""

    config: Path | None
    database: str | None

    @cached_property
    def settings(self) -> Settings:
        """Settings, read once."""
        return self.load()

    def load(self) -> Settings:
        """Settings as they are now, with --database laid over them."""
        settings = load_settings(self.config)
        if self.database is None:
            return settings
        return settings.model_copy(update={"database": settings.database.model_copy(update={"url": self.database})})

    @contextmanager
    def store(self, *, create: bool = False) -> Iterator[Store]:
        """The open store; ``create`` makes an absent one."""
        from trustgraph.store import open_store

        store = open_store(self.settings.database.url, create=create)
        try:
            yield store
        finally:
            store.close()


def shared(context: typer.Context) -> Shared:
    """The global options of this run."""
    found = context.obj
    assert isinstance(found, Shared)  # noqa: S101 - set by the callback of the application
    return found


def now() -> UnixSeconds:
    """The clock: read here at the edge, handed down as an argument."""
    return UnixSeconds(int(time.time()))


def moment(text: str | None) -> UnixSeconds:
    """A time given on the command line, or now."""
    return from_rfc3339(text) if text else now()


def anchor_weights(given: list[str]) -> dict[Identity, float]:
    """``ID[=WEIGHT]`` options. Raises :class:`BadInput` naming the one that is wrong."""
    anchors: dict[Identity, float] = {}
    for text in given:
        name, equals, weight = text.partition("=")
        try:
            value = float(weight) if equals else 1.0
        except ValueError:
            value = 0.0
        if not 0.0 < value <= 1.0:
            raise BadInput(f"--anchor {text}: the weight must be a number above 0 and at most 1")
        bare = name.lower().removeprefix("0x")
        anchors[Identity.openpgp(name) if ":" not in bare else Identity.parse(name)] = value
    return anchors


def seconds_between_ratings(every: str) -> int:
    """What --every of a replay says. Raises :class:`BadInput` for less than a minute."""
    try:
        seconds = int(parse_duration(every))
    except (ValueError, OverflowError) as error:
        raise BadInput(f"--every: {error}") from None
    if seconds < 60:
        raise BadInput(f"--every {every}: expected a minute or more")
    return seconds
