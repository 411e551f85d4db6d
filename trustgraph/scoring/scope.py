"""What a delegation is confined to: the regular expressions of a trust signature, over the User ID it is to vouch for.

The dialect is RFC 9580 section 8 (Henry Spencer's): ``|``, ``( )``, ``* + ?``, ``^ $``, ``.``, ``[ ]`` and the
backslash, nothing else. They come from strangers, so none goes to a backtracking engine: each becomes an automaton
(Thompson 1968) whose sets of states are remembered, and a User ID costs one step a character, whatever the expression.
Of several the User ID has to match one (section 5.2.3.22). What does not parse matches nothing: default deny.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from trustgraph.errors import BadInput

#: Stands between the expressions of one trust signature; control characters are in no User ID that counts.
SEPARATOR = "\n"

MAX_REGEX_CHARACTERS = 512
MAX_USER_ID_CHARACTERS = 1_024
MAX_NESTING = 32
_MAX_REMEMBERED = 4_096


def in_scope(regexes: str, user_id: str) -> bool:
    """Whether a User ID matches one of the expressions, joined by ``SEPARATOR``; an empty text confines nothing.

    A User ID with control characters, or longer than ``MAX_USER_ID_CHARACTERS``, never is in scope.
    """
    if len(user_id) > MAX_USER_ID_CHARACTERS or _has_control(user_id):
        return False
    return not regexes or any(automaton.finds(user_id) for automaton in _compiled(regexes))


@lru_cache(maxsize=4_096)
def _has_control(text: str) -> bool:
    return any(unicodedata.category(character) == "Cc" for character in text)


@lru_cache(maxsize=512)
def _compiled(regexes: str) -> tuple[_Automaton, ...]:
    found = []
    for regex in regexes.split(SEPARATOR) if len(regexes) <= MAX_REGEX_CHARACTERS else ():
        try:
            found.append(_Automaton(_Parser(regex).whole()))
        except BadInput:
            continue
    return tuple(found)


class _Class(NamedTuple):
    """One character out of ranges, or out of everything else."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def has(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) is not self.negated


class _Edge(NamedTuple):
    """``^`` or ``$``: an edge of the text."""

    end: bool


class _Repeat(NamedTuple):
    part: _Part
    none: bool
    many: bool


class _Choice(NamedTuple):
    branches: tuple[tuple[_Part, ...], ...]


_Part = _Class | _Edge | _Repeat | _Choice
_ANY = _Class((("\n", "\n"),), negated=True)
_REPEATS = {"*": (True, True), "+": (False, True), "?": (True, False)}


class _Parser:
    """RFC 9580 section 8, one method a rule. Raises :class:`BadInput`."""

    def __init__(self, text: str) -> None:
        self._rest = list(reversed(text))
        self._nesting = 0

    def whole(self) -> _Choice:
        choice = self._choice()
        if self._rest:
            raise BadInput("regular expression with a ) too many")
        return choice

    def _next(self) -> str:
        return self._rest[-1] if self._rest else ""

    def _take(self) -> str:
        if not self._rest:
            raise BadInput("regular expression ends early")
        return self._rest.pop()

    def _choice(self) -> _Choice:
        branches = [self._branch()]
        while self._next() == "|":
            self._take()
            branches.append(self._branch())
        return _Choice(tuple(branches))

    def _branch(self) -> tuple[_Part, ...]:
        parts: list[_Part] = []
        while self._next() not in ("", "|", ")"):
            part = self._atom()
            if self._next() in _REPEATS:
                part = _Repeat(part, *_REPEATS[self._take()])
            parts.append(part)
        return tuple(parts)

    def _atom(self) -> _Part:
        character = self._take()
        match character:
            case "(":
                return self._group()
            case "[":
                return self._range()
            case ".":
                return _ANY
            case "^" | "$":
                return _Edge(end=character == "$")
            case "*" | "+" | "?" | "]":
                raise BadInput(f"regular expression with a {character} that belongs to nothing")
            case "\\":
                character = self._take()
        return _Class(((character, character),))

    def _group(self) -> _Choice:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise BadInput("regular expression nested too deep")
        choice = self._choice()
        if self._take() != ")":
            raise BadInput("regular expression with a ( too many")
        self._nesting -= 1
        return choice

    def _range(self) -> _Class:
        """A ``]`` at the start is a character, and so is a ``-`` at either end."""
        negated = self._next() == "^"
        if negated:
            self._take()
        characters = [self._take()]
        while self._next() != "]":
            characters.append(self._take())
        self._take()
        ranges = []
        while characters:
            low = high = characters.pop(0)
            if len(characters) > 1 and characters[0] == "-":
                high = characters[1]
                del characters[:2]
            ranges.append((min(low, high), max(low, high)))
        return _Class(tuple(ranges), negated)


class _Node(NamedTuple):
    """A state: ``part`` None moves on to all of ``then`` at once, an edge does where it holds, a class by reading."""

    part: _Class | _Edge | None
    then: tuple[int, ...]


_States = frozenset[int]
_FOUND = 0


class _Automaton:
    """Finds an expression anywhere in a text. State 0 is having found it."""

    def __init__(self, choice: _Choice) -> None:
        self._nodes = [_Node(None, ())]
        self._start = self._add(choice, _FOUND)
        self._first = self._closure([self._start], at_start=True)
        self._steps: dict[tuple[_States, str], _States] = {}

    def finds(self, text: str) -> bool:
        states = self._first
        for character in text:
            if _FOUND in states:
                return True
            states = self._step(states, character)
        return _FOUND in self._closure(states, at_start=not text, at_end=True)

    def _step(self, states: _States, character: str) -> _States:
        known = self._steps.get((states, character))
        if known is None:
            read = [self._nodes[state] for state in states]
            then = [n.then[0] for n in read if isinstance(n.part, _Class) and n.part.has(character)]
            known = self._closure([self._start, *then])
            if len(self._steps) >= _MAX_REMEMBERED:
                self._steps.clear()
            self._steps[states, character] = known
        return known

    def _closure(self, states: Iterable[int], *, at_start: bool = False, at_end: bool = False) -> _States:
        """Everything that is reached without reading."""
        found: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state in found:
                continue
            found.add(state)
            part, then = self._nodes[state]
            if part is None or (isinstance(part, _Edge) and (at_end if part.end else at_start)):
                waiting += then
        return frozenset(found)

    def _add(self, part: _Part, then: int) -> int:
        """The state from which a part leads to ``then``."""
        if isinstance(part, _Choice):
            return self._node(None, tuple(self._add_all(branch, then) for branch in part.branches))
        if isinstance(part, _Repeat):
            # Where the loop comes back to is known only when its body is there.
            again = self._node(None, (then,))
            body = self._add(part.part, again if part.many else then)
            self._nodes[again] = _Node(None, (body, then))
            return again if part.none else body
        return self._node(part, (then,))

    def _add_all(self, parts: tuple[_Part, ...], then: int) -> int:
        for part in reversed(parts):
            then = self._add(part, then)
        return then

    def _node(self, part: _Class | _Edge | None, then: tuple[int, ...]) -> int:
        self._nodes.append(_Node(part, then))
        return len(self._nodes) - 1
