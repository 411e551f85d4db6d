"""What several system tests start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import find_program, need
from tests.system.exim_server import lacks

UNPACKED = Path(__file__).parents[2] / ".venv" / "exim" / "usr" / "sbin" / "exim4"


@pytest.fixture
def exim(request: pytest.FixtureRequest) -> str:
    """The path of an Exim that can run here."""
    for candidate in (os.environ.get("TRUSTGRAPH_EXIM"), find_program("exim4"), str(UNPACKED)):
        if candidate and Path(candidate).exists():
            break
    else:
        need(request.node.nodeid, "exim4 (unpacked by tests/system/unpack_exim.sh DIR; TRUSTGRAPH_EXIM names it)")
    if missing := lacks():
        need(request.node.nodeid, f"{missing} for exim4")
    return str(candidate)
