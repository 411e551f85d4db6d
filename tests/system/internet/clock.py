"""What day it is: days pass by writing one file that libfaketime reads in every process of ours.

Postfix and the keyservers stay in the present. Monotonic time stays real everywhere, so that nothing waits for days.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

_HOUR = 10


class Calendar:
    """Day 0 begins so many days ago at ten in the morning (UTC); all days lie in the past, and time goes on in each."""

    def __init__(self, faketime: str, file: Path, days: int) -> None:
        self._file = file
        self._preload = _library_of(faketime)
        now = datetime.now(UTC)
        yesterday = now.replace(hour=_HOUR, minute=0, second=0, microsecond=0) - timedelta(days=1)
        self._began = yesterday - timedelta(days=days)
        self._real_start = now
        self.day = 0
        self.turn_to(0)

    def turn_to(self, day: int) -> None:
        """From now on it is the morning of that day."""
        self.day = day
        self._offset = self._began + timedelta(days=day) - self._real_start
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{self._offset.total_seconds():.0f}\n")
        os.replace(draft, self._file)  # nobody reads half a number

    def now(self) -> datetime:
        """The faked time."""
        return datetime.now(UTC) + self._offset

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes a process live in this time; it notices a new day at once."""
        return {
            "LD_PRELOAD": self._preload,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # glibc waits by the right clock itself; "mended", each of Python's waits for its lock returns at once.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
        }


def _library_of(faketime: str) -> str:
    """The library that the program ``faketime`` would load, for programs with threads."""
    command = [faketime, "-m", "-f", "+0", "printenv", "LD_PRELOAD"]
    return subprocess.run(command, capture_output=True, check=True, timeout=30, text=True).stdout.strip()
