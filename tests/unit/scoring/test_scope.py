"""The regular expressions of trust signatures: RFC 9580's dialect, by hand and against Python's own engine."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import checked
from trustgraph.scoring.scope import MAX_NESTING, MAX_REGEX_CHARACTERS, MAX_USER_ID_CHARACTERS, in_scope

DOMAIN = r"<[^>]+[@.]example\.org>$"


@pytest.mark.parametrize(
    ("regexes", "inside", "outside"),
    [
        ("", ["", "anything"], ["a\0", "a\nb", "\x85"]),
        (DOMAIN, ["Alice <alice@example.org>", "<a@b.example.org>"], ["<alice@example.org> x", "<alice@exampleXorg>"]),
        (
            r"^smtp://[a-z0-9.-]*\.example\.org$",
            ["smtp://mx1.example.org"],
            ["smtp://example.org", "xsmtp://a.example.org"],
        ),
        ("a\nb", ["a", "b"], ["c"]),
        ("[\nb", ["b"], ["["]),
        ("ab*c", ["ac", "abbbc"], ["abb"]),
        ("ab+c", ["abc"], ["ac"]),
        ("ab?c$", ["ac", "abc"], ["abbc"]),
        ("^(ab|c)*$", ["", "abcab"], ["aab"]),
        ("^(a|)b$", ["ab", "b"], ["aab"]),
        ("^$", [""], ["a"]),
        ("^a$|^b$", ["a", "b"], ["ab"]),
        ("a^b|a$b", [], ["ab", "a", "b", "a^b"]),
        ("^*a", ["a", "ba"], ["b"]),
        ("x.y", ["x-y"], ["xy"]),
        (r"^\^\.\[\*\\$", [r"^.[*\\"[:-1]], ["x"]),
        ("^[]a]$", ["]", "a"], ["b"]),
        ("^[^]a]$", ["b", "^"], ["]", "a"]),
        ("^[a-]$", ["a", "-"], ["b"]),
        ("^[-a]$", ["a", "-"], ["b"]),
        ("^[a-c]$", ["b"], ["d", "-"]),
        ("^[c-a]$", ["b"], ["d", "-"]),
        (r"^[\]$", ["\\"], ["]"]),
        ("^[a^]$", ["^", "a"], ["b"]),
        ("a{2}", ["a{2}"], ["aa"]),
        ("^()*a$", ["a"], ["b"]),
        ("$^", [""], ["a"]),
        ("(a)" * (MAX_NESTING + 1), ["a" * (MAX_NESTING + 1)], ["a" * MAX_NESTING]),
    ],
)
def test_the_dialect(regexes: str, inside: list[str], outside: list[str]) -> None:
    assert [text for text in inside if not in_scope(regexes, text)] == []
    assert [text for text in outside if in_scope(regexes, text)] == []


@pytest.mark.parametrize(
    "regex", ["(", ")", "a)", "*", "+a", "?", "a**", "|*", "[", "[]", "[^]", "[a", "]", "\\", "(a"]
)
def test_what_does_not_parse_matches_nothing(regex: str) -> None:
    assert not any(in_scope(regex, text) for text in ("", "a", regex, "aa"))


def test_what_is_too_large_matches_nothing() -> None:
    assert in_scope("a" * MAX_REGEX_CHARACTERS, "a" * MAX_REGEX_CHARACTERS)
    assert not in_scope("a*" * MAX_REGEX_CHARACTERS, "a")
    assert in_scope("(" * MAX_NESTING + "a" + ")" * MAX_NESTING, "a")
    assert not in_scope("(" * (MAX_NESTING + 1) + "a" + ")" * (MAX_NESTING + 1), "a")
    assert in_scope("a", "a" * MAX_USER_ID_CHARACTERS)
    assert not in_scope("a", "a" * (MAX_USER_ID_CHARACTERS + 1))


_LEAVES = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\."])


def _larger(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.lists(st.lists(parts, max_size=3).map("".join), min_size=1, max_size=3).map("|".join).map("({})".format)
    return group | st.tuples(group | st.sampled_from(["a", "b", "."]), st.sampled_from("*+?")).map("".join)


@checked(400)
@given(st.lists(st.recursive(_LEAVES, _larger, max_leaves=8), max_size=3).map("".join), st.text("ab.", max_size=6))
def test_it_finds_what_a_backtracking_engine_finds(regex: str, text: str) -> None:
    # In this part of the dialect Python differs in one thing: its $ stands before a last newline as well.
    assert in_scope(regex, text) == (re.search(regex.replace("$", r"\Z"), text) is not None)


@checked(100)
@given(st.text(st.sampled_from("ab()[]^$|*+?.-\\\n"), max_size=20), st.text(max_size=8))
def test_it_never_raises(regexes: str, text: str) -> None:
    in_scope(regexes, text)


def test_what_ruins_a_backtracking_engine_is_nothing_here() -> None:
    assert not in_scope("^(a+)+$", "a" * 500 + "b")
    assert not in_scope("^(a|a)*$", "a" * 500 + "b")
    # As many sets of states as there are texts: more than are remembered.
    assert not in_scope("a" + "[ab]" * 100 + "c", "".join("ab"[i * i % 7 % 2] for i in range(1_000)))
