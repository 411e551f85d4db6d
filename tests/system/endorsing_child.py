"""A process that runs `endorse` in forks of itself and has each killed with SIGKILL at a given step.

A step is a line of Python about to be executed, in any thread, of the files that are asked for. So a run can be cut off
anywhere between signing, each statement of a transaction, each piece of a request and each mark. Commands are lines of
JSON on standard input; each gets a line of JSON in answer.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.steps import Steps
from trustgraph.model import UnixSeconds
from trustgraph.services.endorsing import endorse
from trustgraph.settings import load_settings
from trustgraph.store import open_store


def run(command: dict[str, Any]) -> int:
    """Run `endorse` on the site in ``home``; returns the number of steps."""
    settings = load_settings(Path(command["home"]) / "trustgraph.toml", {})
    store = open_store(settings.database.url)
    steps = Steps(command["parts"], command["kill_at"])
    return steps.during(lambda: endorse(store, settings, UnixSeconds(command["now"]), publish=True))


def main() -> None:
    """Until standard input ends."""
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.write(writing, str(run(json.loads(line))).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status), "steps": int(said or 0)}), flush=True)


if __name__ == "__main__":
    main()
