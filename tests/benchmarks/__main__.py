"""All benchmarks, or those named: ``python -m tests.benchmarks [ingest] [scoring] [keys] [gate] [lists] [sybils]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.benchmarks import gate, ingest, keys, lists, scoring, sybils
from trustgraph.errors import NoInput, UsageError

BENCHMARKS = {
    "ingest": ingest.run,
    "keys": keys.run,
    "scoring": scoring.run,
    "gate": gate.run,
    "lists": lists.run,
    "sybils": sybils.run,
}


def main() -> None:
    """Run them in a directory that goes afterwards."""
    for name in sys.argv[1:] or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="trustgraph-bench-") as directory:
            BENCHMARKS[name](Path(directory))


try:
    main()
except (NoInput, UsageError) as error:
    sys.exit(str(error))
