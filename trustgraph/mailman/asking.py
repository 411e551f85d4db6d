"""Questions to the command `trustgraph`, and what its answers are worth. Default deny: only a clear yes is a yes."""

from __future__ import annotations

import configparser
import json
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


@dataclass(frozen=True)
class Configuration:
    """``command`` are the words of the command line, ``timeout_seconds`` how long one question may take.

    ``authserv_id`` is whose Authentication-Results ``trustgraph-gated-chain`` believes (RFC 8601).
    """

    command: tuple[str, ...] = ("trustgraph",)
    timeout_seconds: float = 60.0
    authserv_id: str = ""


@dataclass(frozen=True)
class Answer:
    """What became of a post: ``accept``, ``tag``, ``reject``, ``hold``, or ``unknown`` where nobody could say."""

    verdict: str
    reason: str = ""
    author: str = ""
    automatic: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lets_in(self) -> bool:
        """Whether the post may go on."""
        return self.verdict in _LET_IN


def read_configuration(path: str) -> Configuration:
    """The section ``[trustgraph]`` of an INI file; without a path, the defaults. Raises ValueError or OSError."""
    if not path:
        return Configuration()
    parser = configparser.ConfigParser(interpolation=None)
    with open(path, encoding="utf-8") as stream:
        parser.read_file(stream)
    section = parser["trustgraph"] if parser.has_section("trustgraph") else {}
    known = {"command", "timeout", "authserv_id"}
    if unknown := sorted(set(section) - known):
        raise ValueError(f"{path}: {', '.join(unknown)}: no such setting; expected {', '.join(sorted(known))}")
    words = tuple(shlex.split(section.get("command", "trustgraph")))
    seconds = float(section.get("timeout", "60"))
    if not words or not 0 < seconds <= 3600:
        raise ValueError(f"{path}: expected a command, and a timeout from 1 to 3600 seconds")
    return Configuration(words, seconds, section.get("authserv_id", "").strip().lower())


def ask(configuration: Configuration, arguments: Sequence[str], octets: bytes = b"") -> tuple[int, bytes, str]:
    """Run the command; its exit code, output and the last line of what it complains of.

    Raises OSError and :class:`subprocess.SubprocessError` when it cannot be run or does not end in time.
    """
    done = subprocess.run(  # noqa: S603 - no shell
        [*configuration.command, *arguments],
        input=octets,
        capture_output=True,
        check=False,
        timeout=configuration.timeout_seconds,
    )
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return done.returncode, done.stdout, said[-1][:500] if said else ""


def check_post(configuration: Configuration, address: str, octets: bytes) -> Answer:
    """What becomes of a post to the list at ``address``. Never raises: what goes wrong is an ``unknown``, with why."""
    try:
        arguments = ["list", "check", address, "-", "--json", "--no-answer", "--no-keep"]
        code, output, said = ask(configuration, arguments, octets)
        return _answer(code, output, said)
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody has said that the post may go on
        return Answer("unknown", f"{type(error).__name__}: {error}"[:500])


def _answer(code: int, output: bytes, said: str) -> Answer:
    """Exit code and verdict have to say the same."""
    if code not in (_ACCEPTED, _REFUSED) or len(output) > _MAX_ANSWER_OCTETS:
        return Answer("unknown", said or f"the command ended with {code}")
    facts = json.loads(output)
    verdict = facts["verdict"]
    if verdict not in (_LET_IN if code == _ACCEPTED else _REFUSALS):
        return Answer("unknown", f"the command ended with {code} and says {verdict!r:.40}")
    return Answer(verdict, str(facts["reason"]), str(facts["author"]), facts["automatic"] is not False, facts)
