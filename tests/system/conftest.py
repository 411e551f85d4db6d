"""What several system tests start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import find_program, need
from tests.system import exim_server, opensmtpd_server

UNPACKED = Path(__file__).parents[2] / ".venv" / "exim" / "usr" / "sbin" / "exim4"
UNPACKED_SMTPD = Path(__file__).parents[2] / ".venv" / "opensmtpd" / "usr" / "sbin" / "smtpd"


@pytest.fixture
def exim(request: pytest.FixtureRequest) -> str:
    """The path of an Exim that can run here."""
    for candidate in (os.environ.get("TRUSTGRAPH_EXIM"), find_program("exim4"), str(UNPACKED)):
        if candidate and Path(candidate).exists():
            break
    else:
        need(request.node.nodeid, "exim4 (unpacked by tests/system/unpack_exim.sh DIR; TRUSTGRAPH_EXIM names it)")
    if missing := exim_server.lacks():
        need(request.node.nodeid, f"{missing} for exim4")
    return str(candidate)


@pytest.fixture
def opensmtpd(request: pytest.FixtureRequest) -> str:
    """The path of an unpacked OpenSMTPD that can run here."""
    path = Path(os.environ.get("TRUSTGRAPH_OPENSMTPD", UNPACKED_SMTPD))
    if not path.exists():
        need(request.node.nodeid, "smtpd (unpacked by tests/system/unpack_opensmtpd.sh; TRUSTGRAPH_OPENSMTPD names it)")
    if missing := opensmtpd_server.lacks():
        need(request.node.nodeid, f"{missing} for smtpd")
    return str(path)
