"""Golden mail logs, written by the real programs: ``<name>`` beside ``<name>.expected`` with the reason on top."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trustgraph.ingest.formats.base import LogContext, LogParser, Reject
from trustgraph.model import Observation, from_rfc3339, to_rfc3339

GOLDEN = Path(__file__).parents[2] / "golden"
WRITTEN_AT = from_rfc3339("2026-11-23T16:40:00Z")
CONTEXT = LogContext(written_at=WRITTEN_AT)


def parse(parser: LogParser, *lines: bytes, context: LogContext = CONTEXT) -> list[Observation | Reject]:
    """What the parser makes of some lines."""
    return list(parser.parse(enumerate(lines, 1), context))


def shown(found: Iterable[Observation | Reject]) -> list[str]:
    """One line each, without what is the same everywhere."""
    return [
        f"line {entry.line_number}: {entry.reason}"
        if isinstance(entry, Reject)
        else " ".join(
            [
                to_rfc3339(entry.observed_at),
                entry.observer,
                entry.message,
                entry.identity,
                entry.result.value,
                entry.outcome.value,
                entry.client_ip or "-",
                entry.host or "-",
            ]
        )
        for entry in found
    ]


def told(found: Iterable[Observation | Reject]) -> list[tuple[str, str]]:
    """Identity and result of each; a reject is ("reject", reason)."""
    return [
        ("reject", entry.reason) if isinstance(entry, Reject) else (str(entry.identity), entry.result.value)
        for entry in found
    ]


def check_golden(parser: LogParser, name: str) -> None:
    """The parser gives what the golden file says, and recognises lines of it."""
    lines = (GOLDEN / name).read_bytes().splitlines()
    reason, *expected = (GOLDEN / f"{name}.expected").read_text().splitlines()
    assert reason.startswith("# ")
    assert shown(parse(parser, *lines)) == expected
    assert any(map(parser.recognises, lines))
