"""Which Python runs a program: this one, or the distribution's of the same version with this one's packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def this_trustgraph() -> list[str]:
    """`trustgraph` under this Python, as the beginning of a command."""
    return [sys.executable, "-m", "trustgraph"]


def distribution_trustgraph() -> list[str] | None:
    """`trustgraph` under /usr/bin/python3.N, None where there is none; the same as :func:`this_trustgraph` where that
    is this Python.

    It is what a mail host has: anybody may run it, and it is built with what its profile says of where time goes.
    """
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    if not system.exists():
        return None
    if system.resolve() == Path(os.path.realpath(sys.executable)):
        return this_trustgraph()
    packages = [path for path in sys.path if path.endswith("site-packages")]
    return ["/usr/bin/env", f"PYTHONPATH={':'.join([str(ROOT), *packages])}", str(system), "-m", "trustgraph"]
