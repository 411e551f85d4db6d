"""Real servers or none: a test that needs a program says so with ``require``.

Without the program the test skips and a closing summary names it; with TRUSTGRAPH_REQUIRE_SERVERS=1 it fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"

#: Debian package of each program that a test may need.
PACKAGES = {
    "opendkim": "opendkim",
    "opendkim-genkey": "opendkim-tools",
    "opendmarc": "opendmarc",
    "rspamd": "rspamd",
    "exim4": "exim4-daemon-light",
    "postfix": "postfix",
    "postgres": "postgresql",
    "gpg": "gnupg",
    "sks": "sks",
    "sq": "sq",
    "sq-wot": "sq-wot",
    "faketime": "faketime",
}

_missing: dict[str, list[str]] = {}


def find_program(name: str) -> str | None:
    """Absolute path of a program, system directories included."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/lib/postgresql/15/bin"])
    return shutil.which(name, path=path)


@pytest.fixture
def require(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """``require("opendkim")`` gives its path, or skips (or, where servers are required, fails) the test."""
    return _requiring(request.node.nodeid)


@pytest.fixture(scope="module")
def require_for_module(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The same for what a whole module shares."""
    return _requiring(request.node.nodeid)


def _requiring(test: str) -> Callable[[str], str]:
    def check(name: str) -> str:
        found = find_program(name)
        if found:
            return found
        need(test, f"{name} (Debian package {PACKAGES[name]})")
        raise AssertionError("unreachable")

    return check


def need(test: str, what: str) -> None:
    """Skip a test for want of a real part, or fail it where real parts are required."""
    _missing.setdefault(what, []).append(test)
    if os.environ.get("TRUSTGRAPH_REQUIRE_SERVERS") == "1":
        pytest.fail(f"needs {what}, and TRUSTGRAPH_REQUIRE_SERVERS=1")
    pytest.skip(f"needs {what}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every test that had to skip and what would let it run."""
    if not _missing:
        return
    terminalreporter.section("real servers not found")
    for what, tests in sorted(_missing.items()):
        terminalreporter.write_line(f"{what}: {len(tests)} tests")
        for test in tests:
            terminalreporter.write_line(f"    {test}")
