"""The exception tree is what its docstring draws, and every class exits with its sysexits code."""

from __future__ import annotations

import inspect
import re

from trustgraph import errors


def test_the_docstring_draws_the_tree() -> None:
    drawn = dict(re.findall(r"(\w+) +(\d\d)  ", errors.__doc__ or ""))
    classes = {
        name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    }
    assert {name: int(code) for name, code in drawn.items()} == {n: c.exit_code for n, c in classes.items()}
    assert all(issubclass(kind, errors.TrustgraphError) for kind in classes.values())
