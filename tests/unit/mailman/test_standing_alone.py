"""The plugin runs in Mailman's Python, where nothing of ours is installed but its own source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "trustgraph"
OF_MAILMAN = {"mailman", "zope", "click"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module or ""


@pytest.mark.parametrize("path", sorted((PACKAGE / "mailman").rglob("*.py")), ids=lambda path: path.stem)
def test_the_plugin_imports_itself_mailman_and_the_standard_library(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | OF_MAILMAN
    foreign = {name for name in imported(path) if name.partition(".")[0] not in allowed}
    assert all(name.startswith("trustgraph.mailman.") for name in foreign), foreign


def test_the_package_above_it_imports_nothing_but_the_standard_library() -> None:
    names = {name.partition(".")[0] for name in imported(PACKAGE / "__init__.py")}
    assert names <= set(sys.stdlib_module_names)
