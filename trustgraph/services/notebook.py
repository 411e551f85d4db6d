"""What a notebook opens: one's own database by its settings, or the sample world in a temporary one."""

from __future__ import annotations

import csv
import gzip
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from trustgraph.lab.writing import TRUTH, TRUTH_OF_MESSAGES
from trustgraph.model import SECONDS_PER_DAY, Outcome, UnixSeconds
from trustgraph.services.demo import ingest_world, read_truth, sample_world
from trustgraph.services.replay import Past
from trustgraph.services.scoring import anchors_of, score
from trustgraph.settings import Settings, load_settings
from trustgraph.store import Store, open_store
from trustgraph.store.observations import message_digest, newest_day


@dataclass(frozen=True, slots=True)
class Site:
    """An open store and its settings. ``world`` is where the sample world's truth is; None with one's own database.

    Nothing here writes to one's own database. Close it, or use it in a ``with`` statement, and what is temporary goes.
    """

    store: Store
    settings: Settings
    world: Path | None = None
    temporary: TemporaryDirectory[str] | None = None

    def spam(self, past: Past) -> list[bool] | None:
        """Which of the messages truly were spam; None where nobody knows."""
        return None if self.world is None else true_spam(self.world, past)

    def kinds(self) -> Mapping[str, str] | None:
        """What each identity truly is, by its name; None where nobody knows."""
        if self.world is None:
            return None
        return {name: host.kind for host in reversed(read_truth(self.world / TRUTH)) for name in host.names}

    def close(self) -> None:
        """Close the store, and remove it if it is temporary."""
        self.store.close()
        if self.temporary is not None:
            self.temporary.cleanup()

    def __enter__(self) -> Site:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_site(config: str | Path = "") -> Site:
    """One's own database by the path of its settings file; without one the sample world, ingested and scored.

    Raises what :func:`load_settings` and :func:`open_store` raise.
    """
    if config:
        settings = load_settings(Path(config))
        return Site(open_store(settings.database.url), settings)
    temporary = TemporaryDirectory(prefix="trustgraph-notebook-")
    world = sample_world(Path(temporary.name), _silent)
    settings = load_settings(world / "trustgraph.toml", environment={})
    store = open_store(f"sqlite:///{temporary.name}/trustgraph.db", create=True)
    ingest_world(store, settings, world, _silent)
    score(
        *(store, settings),
        anchors=anchors_of(settings),
        algorithm=settings.scoring.algorithm,
        reference_time=UnixSeconds((newest_day(store) + 1) * SECONDS_PER_DAY),
        now=UnixSeconds(int(time.time())),
    )
    return Site(store, settings, world, temporary)


def true_spam(world: Path, past: Past) -> list[bool]:
    """What each message of the past truly was, by the truth table of a simulated world.

    Raises KeyError for a message that the table does not have.
    """
    with gzip.open(world / TRUTH_OF_MESSAGES, "rt", newline="", encoding="utf-8") as stream:
        truth = {message_digest(row["message_id"]): row["truth"] == Outcome.SPAM for row in csv.DictReader(stream)}
    return [truth[message.message] for message in past.messages]


def _silent(_line: str) -> None:
    """What the demonstration says at each step is not for a notebook."""
