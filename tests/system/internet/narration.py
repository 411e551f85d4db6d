"""The story for a person: acts, lines and tables, on a terminal as it happens and in a text file to keep."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.system.internet.cast import CAST, Role, players
from tests.system.internet.claims import Claim
from tests.system.internet.told import View

_STYLES = {"accepted": "bold blue", "probation": "yellow", "refused": "bold red", "unrated": "dim"}
_MARKS = {"accepted": "+", "probation": "?", "refused": "x", "unrated": "."}
#: Columns; the table of ratings needs them, whatever the terminal has.
_WIDTH = 130
_FATES = ("delivered", "refused", "waiting", "lost")


class Narrator:
    """Writes to ``out/story.txt``, and to the terminal unless ``quiet``."""

    def __init__(self, out: Path, *, quiet: bool = False) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._file = (out / "story.txt").open("w", encoding="utf-8")
        consoles = [Console(file=self._file, width=_WIDTH, highlight=False, markup=False)]
        if not quiet:
            consoles.append(Console(width=_WIDTH, highlight=False, markup=False))
        self._consoles = consoles
        self._began = time.monotonic()
        self._acts = 0

    def act(self, title: str, what: str) -> None:
        """A new part of the story, and in a line what it is about."""
        self._acts += 1
        self._print(Text(f"\n{self._acts}. {title}", style="bold"))
        self._print(Text(f"   {what}"))

    def say(self, line: str) -> None:
        """What happened, with the seconds since the beginning."""
        self._print(Text(f"{time.monotonic() - self._began:6.0f} s  {line}"))

    def cast(self) -> None:
        """Who is who."""
        table = Table(title="The cast", title_justify="left", box=None, pad_edge=False)
        for column in ("host", "address", "is truly"):
            table.add_column(column)
        for player in CAST:
            what = str(player.role)
            what += ", its operator careless once" if player.careless else ""
            what += ", spared by the relay" if player.spared else ""
            table.add_row(player.name, player.address, what)
        self._print(table)

    def ratings(self, view: View, subjects: Sequence[str]) -> None:
        """How each honest host rates all others."""
        table = Table(title="Ratings (0 to 1), by the host whose gate it is", title_justify="left", box=None)
        table.add_column("at")
        for subject in subjects:
            table.add_column(_word(subject), justify="right")
        for player in players(Role.HONEST):
            cells = [self._cell(view, player.name, subject) for subject in subjects]
            table.add_row(player.word, *cells)
        self._print(table)
        self._print(Text("  " + ", ".join(f"{mark} {word}" for word, mark in _MARKS.items()), style="dim"))

    def letters(self, tally: Mapping[str, Counter[str]], queues: Mapping[str, int]) -> None:
        """What became of the letters of each host, and what waits in its queue."""
        table = Table(title="Letters by sender, and queues", title_justify="left", box=None)
        table.add_column("host")
        for column in ("sent", *_FATES, "in its queue now"):
            table.add_column(column, justify="right")
        for name, counts in tally.items():
            figures = [counts.total(), *(counts[fate] for fate in _FATES), queues.get(name, 0)]
            table.add_row(name, *map(str, figures))
        total = sum(tally.values(), Counter())
        sums = [total.total(), *(total[fate] for fate in _FATES), sum(queues.values())]
        table.add_row("all", *map(str, sums), style="bold")
        self._print(table)

    def claims(self, claims: Iterable[Claim]) -> None:
        """What should have come true, and what of it did."""
        self._print(Text("\nDid it come true?", style="bold"))
        for claim in claims:
            mark, style = ("yes", "green") if claim.held else ("NO", "bold red")
            self._print(Text.assemble((f"{mark:>4}  ", style), claim.text, (f"  ({claim.seen})", "dim")))

    def close(self) -> None:
        """The file is whole."""
        self._file.close()

    @staticmethod
    def _cell(view: View, observer: str, subject: str) -> Text:
        if observer == subject:
            return Text("-", style="dim")
        standing = view.standing(observer, subject)
        rated = view.ratings.get(observer, {}).get(subject)
        figure = f"{rated.rating:.2f}" if rated else ""
        return Text(f"{figure} {_MARKS[standing]}", style=_STYLES[standing])

    def _print(self, what: Text | Table) -> None:
        for console in self._consoles:
            console.print(what, soft_wrap=isinstance(what, Text))
        self._file.flush()


def _word(name: str) -> str:
    return name.partition(".")[0]
