"""What the mail hosts of the tests have in common: a directory with a Postfix and a milter in it, and what they say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

_SECONDS = 60.0


class PostfixHome:
    """``home`` holds Postfix's ``config`` and ``postfix.log``, and the milter's ``milter.log``."""

    home: Path

    def events(self, name: str) -> list[dict[str, object]]:
        """Events of one name in the milter's log so far."""
        path = self.home / "milter.log"
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [event for line in lines if line.startswith(b"{") and (event := json.loads(line))["event"] == name]

    def log(self) -> str:
        """Postfix's log so far."""
        path = self.home / "postfix.log"
        return path.read_text() if path.exists() else ""

    def queue(self) -> list[dict[str, object]]:
        """What postqueue -j says."""
        command = ["/usr/sbin/postqueue", "-c", str(self.home / "config"), "-j"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def flush(self) -> None:
        """Try everything in the queue now."""
        command = ["/usr/sbin/postqueue", "-c", str(self.home / "config"), "-f"]
        subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS)
