"""Every reason that a log can show is explained to the operator, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trustgraph.policy.decide import REASONS

GATE = (Path(__file__).parents[3] / "docs" / "gate.md").read_text()
TABLE = GATE.partition("| reason | means |\n|---|---|\n")[2].partition("\n\n")[0]


def test_the_table_of_reasons_is_whole() -> None:
    named = [name for row in TABLE.splitlines() for name in row.split("|")[1].strip().split(", ")]
    assert sorted(named) == sorted(REASONS)
    assert all(row.count("|") == 3 and row.split("|")[2].strip() for row in TABLE.splitlines())


@pytest.mark.parametrize("reply", sorted({f"{r.code} {r.enhanced}" for r in REASONS.values() if r}))
def test_every_reply_is_in_the_table_of_evidence(reply: str) -> None:
    assert re.search(rf"^\|.*\b{re.escape(reply)}\b", GATE, re.MULTILINE)


def test_replies_are_for_people_and_fit_a_line() -> None:
    for reason, reply in REASONS.items():
        if reply:
            assert reply.rule.isascii()
            assert reply.rule.isprintable()
            assert len(reply.rule) < 100
            assert reason not in reply.rule or " " not in reason
