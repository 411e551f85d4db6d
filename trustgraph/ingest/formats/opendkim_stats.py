"""OpenDKIM's statistics file (the ``Statistics`` setting), as ``opendkim-importstats`` reads it.

One record a line, its kind in the first letter, its columns separated by tabs; version 3, OpenDKIM 2.5 and later::

    V3
    M<job> <reporter> <From domain> <client> <Unix time> <length> <signatures> <ATPS> <spam: -1, 0 or 1>
    S<d=> <verified: 0 or 1> <body changed: 0 or 1> <l= or -1> <signature error> <DNSSEC>

The S lines belong to the M line before them. X lines hold a site's extensions, U lines a later report about a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.base import LogContext, LogParser, NumberedLine, Reject
from trustgraph.ingest.formats.mail_facts import better
from trustgraph.ingest.formats.opendkim import SIGNATURE_ERRORS
from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds, parse_address, parse_domain

_MESSAGE = re.compile(
    rb"M([!-~]{1,64})\t([^\t]{1,255})\t[^\t]{0,255}\t([^\t]{1,64})\t(\d{1,10})\t\d{1,20}\t\d{1,9}\t(?:-1|\d)\t(-1|0|1)"
)
_SIGNATURE = re.compile(rb"S([^\t]{1,255})\t([01])\t([01])\t-?\d{1,20}\t(-1|\d{1,3})\t-?\d{1,3}")
_RESULTS = {error.code: error.result for error in SIGNATURE_ERRORS}
_VERSION = b"V3"

# Set only where the filter was built to ask a reputation service or a user's report was merged in.
_OUTCOMES = {b"-1": Outcome.UNKNOWN, b"0": Outcome.GOOD, b"1": Outcome.SPAM}


@dataclass(slots=True)
class _Message:
    job: str
    observer: str
    client_ip: str
    received: UnixSeconds
    outcome: Outcome
    results: dict[Identity, Result] = field(default_factory=dict)

    def observations(self) -> list[Observation]:
        return [
            Observation(
                self.received, self.observer, identity, result, self.outcome, self.job, client_ip=self.client_ip
            )
            for identity, result in self.results.items()
        ]


class OpenDkimStatsParser:
    """A :class:`LogParser` for the statistics file."""

    name = "opendkim-stats"
    title = "OpenDKIM's statistics file (its Statistics setting)"

    def recognises(self, line: bytes) -> bool:
        """Whether a line is a version, message or signature record."""
        return line == _VERSION or bool(_MESSAGE.fullmatch(line) or _SIGNATURE.fullmatch(line))

    def parse(self, lines: Iterable[NumberedLine], context: LogContext) -> Iterator[Observation | Reject]:
        """A message's observations when the next one begins or the input ends."""
        message: _Message | None = None
        for number, line in lines:
            if line.startswith(b"M") and message is not None:
                yield from message.observations()
                message = None
            try:
                if line.startswith(b"M"):
                    message = _begin_message(line, context.observer)
                elif line.startswith(b"S"):
                    _add_signature(message, line)
                else:
                    _check_other(line)
            except BadInput as error:
                yield Reject(number, str(error), line)
        if message is not None:
            yield from message.observations()


def _begin_message(line: bytes, observer: str) -> _Message:
    record = _MESSAGE.fullmatch(line)
    if record is None:
        raise BadInput(
            "expected M and nine columns: job, reporter, domain, client, time, length, signatures, ATPS, spam"
        )
    job, reporter, client, received, spam = (value.decode("utf-8", "replace") for value in record.groups())
    return _Message(
        job,
        observer or parse_domain(reporter),
        "" if client == "unknown" else parse_address(client),
        UnixSeconds(int(received)),
        _OUTCOMES[spam.encode()],
    )


def _add_signature(message: _Message | None, line: bytes) -> None:
    record = _SIGNATURE.fullmatch(line)
    if record is None:
        raise BadInput("expected S and six columns: domain, verified, body changed, length, signature error, DNSSEC")
    if message is None:
        raise BadInput("a signature record without a message record before it")
    result = _result(verified=record[2] == b"1", body_changed=record[3] == b"1", error=int(record[4]))
    identity = Identity.dkim(record[1].decode("utf-8", "replace"))
    known = message.results.get(identity)
    if result is not None and (known is None or better(result, known)):
        message.results[identity] = result


def _result(*, verified: bool, body_changed: bool, error: int) -> Result | None:
    """The result of one signature; None when it was not evaluated, because another had passed before it."""
    if error == -1:
        return None
    if error not in _RESULTS:
        raise BadInput(f"{error} is none of OpenDKIM's signature errors")
    # "verified" is about the header alone: a changed body leaves it at 1 and shows in the error.
    if error == 0 and (body_changed or not verified):
        return Result.FAIL
    return _RESULTS[error]


def _check_other(line: bytes) -> None:
    if line.startswith(b"V") and line != _VERSION:
        raise BadInput(f"expected version 3, got {line[:16]!r}")
    if not line.startswith((b"V", b"X", b"U")) and line.strip():
        raise BadInput("expected a record that begins with V, M, S, X or U")


PARSERS: Final[tuple[LogParser, ...]] = (OpenDkimStatsParser(),)
