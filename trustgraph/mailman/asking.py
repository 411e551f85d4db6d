"""Questions to the command `trustgraph`, and what its answers are worth. Default deny: only a clear yes is a yes."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: sysexits of `trustgraph list check`.
_ACCEPTED, _REFUSED = 0, 77

_LET_IN = frozenset({"accept", "tag"})
_REFUSALS = frozenset({"reject", "hold"})

_MAX_ANSWER_OCTETS = 1024 * 1024
_MAX_TEXT = 300

#: What is handed on of Mailman's environment: its PYTHONPATH and the like are not for another Python.
_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TZ")

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")


@dataclass(frozen=True)
class Configuration:
    """``command`` are the words of the command line, ``timeout_seconds`` how long one question may take.

    A post that nobody can judge waits for ``patience_seconds``, then for a moderator. ``authserv_id`` is whose
    Authentication-Results ``trustgraph-gated-chain`` believes (RFC 8601); with none it lets nothing in.
    """

    command: tuple[str, ...] = ("trustgraph",)
    timeout_seconds: int = 60
    patience_seconds: int = 4 * 3_600
    authserv_id: str = ""


@dataclass(frozen=True)
class Done:
    """``code`` is None for a command that could not be run or did not end in time; ``said`` is its last complaint."""

    code: int | None
    output: bytes = b""
    said: str = ""


@dataclass(frozen=True)
class Answer:
    """What became of a post: ``accept``, ``tag``, ``reject``, ``hold``, or ``unknown`` where nobody could say."""

    verdict: str
    reason: str
    author: str = ""
    automatic: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lets_in(self) -> bool:
        """Whether the post may go on."""
        return self.verdict in _LET_IN


def read_configuration(path: str) -> Configuration:
    """The section ``[trustgraph]`` of an INI file; without a path, the defaults.

    Raises :class:`ValueError` naming the file and what is wrong, and :class:`OSError`.
    """
    if not path:
        return Configuration()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as stream:
            parser.read_file(stream)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None
    if not parser.has_section("trustgraph"):
        raise ValueError(f"{path}: expected a section [trustgraph]")
    section = dict(parser["trustgraph"])
    known = ("command", "timeout", "patience", "authserv_id")
    if unknown := sorted(set(section) - set(known)):
        raise ValueError(f"{path}: {', '.join(unknown)}: no such setting; expected {', '.join(known)}")
    words = _words(path, section.get("command", "trustgraph"))
    timeout = _seconds(path, section, "timeout", "60s", at_most=600)
    patience = _seconds(path, section, "patience", "4h", at_most=30 * _UNITS["d"])
    return Configuration(words, timeout, patience, section.get("authserv_id", "").strip().lower())


def _words(path: str, line: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise ValueError(f"{path}: command: {error}") from None
    if not words:
        raise ValueError(f"{path}: command: expected a command line")
    return words


def _seconds(path: str, section: Mapping[str, str], name: str, default: str, *, at_most: int) -> int:
    text = section.get(name, default).strip()
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= at_most:
        raise ValueError(f"{path}: {name}: expected a time such as 30s, 5m or 4h, at most {at_most} s, not {text!r}")
    return seconds


def ask(configuration: Configuration, arguments: Sequence[str], octets: bytes = b"") -> Done:
    """Run the command, without a shell. Raises nothing of its own: what cannot be run has no exit code."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            [*configuration.command, *arguments],
            input=octets,
            capture_output=True,
            check=False,
            timeout=configuration.timeout_seconds,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            cwd="/",
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Done(None, said=shown(f"{type(error).__name__}: {error}"))
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return Done(done.returncode, done.stdout, shown(lines[-1]) if lines else "")


def answer_of(done: Done) -> Answer:
    """What `list check --json` has said; exit code and verdict have to say the same, or nobody has said anything."""
    if done.code not in (_ACCEPTED, _REFUSED):
        how = "could not be run" if done.code is None else f"ended with {done.code}"
        return Answer("unknown", f"the command {how}: {done.said or 'without a word'}")
    try:
        facts = json.loads(done.output) if len(done.output) <= _MAX_ANSWER_OCTETS else None
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        return Answer("unknown", f"the command ended with {done.code}, and what it printed cannot be read")
    verdict = facts.get("verdict")
    allowed = _LET_IN if done.code == _ACCEPTED else _REFUSALS
    if not isinstance(verdict, str) or verdict not in allowed:
        return Answer("unknown", shown(f"the command ended with {done.code}, and says {verdict!r}"))
    author = facts.get("author")
    return Answer(
        verdict,
        shown(facts.get("reason")),
        author if isinstance(author, str) else "",
        facts.get("automatic") is not False,
        facts,
    )


def shown(text: object) -> str:
    """On one line, printable and short: for logs and for moderators."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:_MAX_TEXT]).strip()
