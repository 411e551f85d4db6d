"""The formats of verification logs, each a pure parser, and the vote that tells them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from trustgraph.errors import UsageError
from trustgraph.ingest.formats import (
    auth_results,
    exim,
    mail_syslog,
    native,
    opendkim_stats,
    opendmarc_history,
    rspamd,
    rspamd_json,
)
from trustgraph.ingest.formats.base import LogParser

PARSERS: dict[str, LogParser] = {
    parser.name: parser
    for module in (
        native,
        mail_syslog,
        rspamd,
        rspamd_json,
        exim,
        auth_results,
        opendkim_stats,
        opendmarc_history,
    )
    for parser in module.PARSERS
}

#: How many lines are looked at before a file's format is decided.
SAMPLE_LINES = 500


def parser_named(name: str) -> LogParser:
    """The parser of a format, or :class:`UsageError` naming those that there are."""
    try:
        return PARSERS[name]
    except KeyError:
        raise UsageError(f"there is no log format {name!r}; there are auto, {', '.join(PARSERS)}") from None


def detect(lines: Iterable[bytes]) -> LogParser | None:
    """The format that recognises most of the lines; of equals the first in ``PARSERS``; None if none does."""
    votes: Counter[str] = Counter()
    for line in lines:
        votes.update(name for name, parser in PARSERS.items() if parser.recognises(line))
    return max(PARSERS.values(), key=lambda parser: votes[parser.name]) if votes else None
