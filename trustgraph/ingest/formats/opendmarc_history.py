"""OpenDMARC's history file (the ``HistoryFile`` setting), as ``opendmarc-import`` reads it.

A message is a run of ``key value`` lines, written in one piece from ``job`` to ``action``; of these, the following say
what authentication found, by the numbers of the source's ``ARES_RESULT_*``::

    job 032C620C44B
    reporter mx.example.net
    received 1793613600
    ipaddr 192.0.2.1
    mfrom example.org
    dkim example.org s1 0
    spf 7
    …
    action 2
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.base import LogContext, LogParser, NumberedLine, Reject
from trustgraph.ingest.formats.mail_facts import better
from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds, parse_address, parse_domain

_LINE = re.compile(
    rb"(job|reporter|received|ipaddr|from|mfrom|spf|dkim|pdomain|policy|rua|pct|adkim|aspf|p|sp|align_dkim|align_spf"
    rb"|arc|arc_policy|action)(?: (.*))?",
    re.DOTALL,
)
_JOB = re.compile(r"[!-~]{1,64}")
_NUMBER = re.compile(r"-?\d{1,10}")
_DKIM = re.compile(r"(\S{1,255}) \S{1,255} (-?\d{1,3})")

# RFC 8601 section 2.7.2 has softfail, which our results have not: not authorised, yet no reason to refuse by itself, so
# policy, as in the other formats. The numbers left out say that nothing was evaluated.
_RESULTS = {
    0: Result.PASS,
    2: Result.POLICY,
    3: Result.NEUTRAL,
    4: Result.TEMPERROR,
    5: Result.PERMERROR,
    6: Result.NONE,
    7: Result.FAIL,
    8: Result.POLICY,
}
_NOT_EVALUATED = frozenset({-1, 1, 9, 10, 11, 12})

_MAX_SIGNATURES = 1000


@dataclass(slots=True)
class _Block:
    line_number: int
    first_line: bytes
    values: dict[str, str] = field(default_factory=dict)
    signatures: list[str] = field(default_factory=list)

    def add(self, key: str, value: str) -> None:
        if key == "dkim" and len(self.signatures) < _MAX_SIGNATURES:
            self.signatures.append(value)
        elif key != "dkim":
            self.values[key] = value  # of a repeated key the last counts, as for opendmarc-import

    def observations(self, observer: str) -> list[Observation]:
        """Raises :class:`BadInput` naming what is missing or malformed."""
        job = _checked(_JOB, self.values["job"], "a job ID after job")
        received = UnixSeconds(int(_checked(_NUMBER, self.values.get("received", ""), "a Unix time after received")))
        if received < 0:
            raise BadInput("received lies before 1970")
        client = self.values.get("ipaddr", "")
        address = parse_address(client) if client else ""
        observer = observer or parse_domain(self.values.get("reporter", ""))
        return [
            Observation(received, observer, identity, result, Outcome.UNKNOWN, job, client_ip=address)
            for identity, result in self._results().items()
        ]

    def _results(self) -> dict[Identity, Result]:
        results: dict[Identity, Result] = {}
        for signature in self.signatures:
            parts = _DKIM.fullmatch(signature)
            if parts is None:
                raise BadInput("expected dkim DOMAIN SELECTOR RESULT")
            result = _result(int(parts[2]))
            identity = Identity.dkim(parts[1])
            if result is not None and (identity not in results or better(result, results[identity])):
                results[identity] = result
        # Without a MAIL FROM domain SPF was about the HELO name, which the file does not hold.
        sender, code = self.values.get("mfrom", ""), self.values.get("spf", "")
        if sender and code:
            result = _result(int(_checked(_NUMBER, code, "a result's number after spf")))
            if result is not None:
                results[Identity.spf(sender)] = result
        return results


class OpenDmarcHistoryParser:
    """A :class:`LogParser` for the history file."""

    name = "opendmarc-history"
    title = "OpenDMARC's history file (its HistoryFile setting)"

    def recognises(self, line: bytes) -> bool:
        """Whether a line begins with one of the file's longer keys."""
        return line.startswith((b"job ", b"reporter ", b"received ", b"ipaddr ", b"mfrom ", b"pdomain ", b"align_"))

    def parse(self, lines: Iterable[NumberedLine], context: LogContext) -> Iterator[Observation | Reject]:
        """A message's observations at its ``action`` line; a message without one is rejected by its first line."""
        block: _Block | None = None
        for number, line in lines:
            parts = _LINE.fullmatch(line)
            if parts is None:
                if line.strip():
                    yield Reject(number, "expected one of the history file's keys and its value", line)
                continue
            key, value = parts[1].decode("ascii"), (parts[2] or b"").decode("utf-8", "replace").strip()
            if key == "job":
                if block is not None:
                    yield _unfinished(block)
                block = _Block(number, line)
            if block is None:
                yield Reject(number, "expected job before any other key of a message", line)
                continue
            block.add(key, value)
            if key == "action":
                yield from _finished(block, context.observer)
                block = None
        if block is not None:
            yield _unfinished(block)


def _finished(block: _Block, observer: str) -> list[Observation] | list[Reject]:
    try:
        return block.observations(observer)
    except BadInput as error:
        return [Reject(block.line_number, str(error), block.first_line)]


def _unfinished(block: _Block) -> Reject:
    return Reject(block.line_number, "the message's lines end before its action line", block.first_line)


def _result(code: int) -> Result | None:
    if code in _NOT_EVALUATED:
        return None
    if code not in _RESULTS:
        raise BadInput(f"{code} is none of OpenDMARC's results")
    return _RESULTS[code]


def _checked(pattern: re.Pattern[str], value: str, expected: str) -> str:
    if not pattern.fullmatch(value):
        raise BadInput(f"expected {expected}, got {value[:80]!r}")
    return value


PARSERS: Final[tuple[LogParser, ...]] = (OpenDmarcHistoryParser(),)
