"""Every reason that a log or a letter can show is explained to the operator and to the poster, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trustgraph.mailinglist.model import Action, Flaw, Rules
from trustgraph.mailinglist.reasons import REASONS
from trustgraph.mailinglist.wording import MEANINGS, rule_of

ROOT = Path(__file__).parents[3]
LISTS = (ROOT / "docs" / "lists.md").read_text()
HEAD = "| reason | class | means |\n|---|---|---|\n"
TABLE = [
    [cell.strip() for cell in row.split("|")[1:-1]]
    for row in LISTS.partition(HEAD)[2].partition("\n\n")[0].splitlines()
]
CLASSES = LISTS.partition("| class | what is done |\n|---|---|\n")[2].partition("\n\n")[0]


def test_the_table_of_reasons_is_whole() -> None:
    documented = {reason: kind for reason, kind, _ in TABLE}
    assert documented == {reason: flaw or "-" for reason, flaw in REASONS.items()}
    assert len(documented) == len(TABLE)
    assert all(means for _, _, means in TABLE)


def test_so_is_the_table_of_classes() -> None:
    documented = {row.split("|")[1].strip(): row.split("|")[2] for row in CLASSES.splitlines()}
    assert sorted(documented) == sorted(Flaw)
    for flaw, done in documented.items():
        assert "never tagged" in done if flaw == Flaw.FORGED else f"`on_{flaw}`" in done


def test_every_reason_has_its_words_for_posters() -> None:
    assert sorted(MEANINGS) == sorted(REASONS)
    assert all(words.isprintable() and words[0].islower() and words[-1] != "." for words in MEANINGS.values())


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        ("unsigned", "on_unsigned = reject"),
        ("unknown-key", "on_unknown = hold"),
        ("not-bound-to-the-list", "on_unbound = reject"),
        ("replayed", "no forgeries, on all lists"),
        ("hold-queue-full", "held_at_most"),
        ("accepted", ""),
        ("no-such-reason", ""),
    ],
)
def test_the_rule_that_decided(reason: str, rule: str) -> None:
    assert rule_of(reason, Rules(on_unknown=Action.HOLD)) == rule


def test_no_word_of_the_readers_and_judges_is_missing() -> None:
    """Whatever they may say stands in the table; a new word would show as ``unreadable``."""
    sources = [*(ROOT / "trustgraph" / "mailinglist").glob("*.py"), ROOT / "trustgraph" / "openpgp" / "posts.py"]
    sources.append(ROOT / "trustgraph" / "headersig" / "checking.py")
    text = "".join(path.read_text() for path in sources)
    words = set(re.findall(r'PostProblem\(\s*"([a-z-]+)"', text))
    words |= set(re.findall(r'Finding\(Result\.\w+, "([a-z-]+)"', text))
    words |= set(re.findall(r'return "([a-z]+(?:-[a-z]+)+)"', text))
    assert len(words) > 25
    assert words - {"expired"} - set(REASONS) == set()
