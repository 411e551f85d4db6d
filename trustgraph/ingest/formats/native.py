"""Our own log format: JSON lines, one observation a line.

    {"at": "2026-11-01T10:00:00Z", "observer": "mx1.example.org", "identity": "dkim:example.com", "result": "pass",
     "outcome": "good", "message_id": "<a@example.com>", "host": "out.example.com", "client_ip": "192.0.2.1"}

``at``, ``identity`` and ``result`` are required; ``observer`` may come from the command line instead. Unknown members
are ignored, so that newer writers can be read by older readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Annotated

import msgspec

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.base import LogContext, NumberedLine, Reject, line_reference, make_observation
from trustgraph.model import (
    Identity,
    Observation,
    Outcome,
    Result,
    parse_domain,
    to_rfc3339,
)


class _Record(msgspec.Struct):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    identity: str
    result: Result
    outcome: Outcome = Outcome.UNKNOWN
    observer: str = ""
    message_id: str = ""
    host: str = ""
    client_ip: str = ""


_domain = lru_cache(maxsize=1 << 14)(parse_domain)
_decoder = msgspec.json.Decoder(_Record)


class NativeParser:
    """JSON lines."""

    name = "native"
    title = "trustgraph's own JSON lines"

    def recognises(self, line: bytes) -> bool:
        """A JSON object with the members that only this format has."""
        return line.startswith(b"{") and b'"identity"' in line and b'"at"' in line

    def parse(self, lines: Iterable[NumberedLine], context: LogContext) -> Iterator[Observation | Reject]:
        """One observation or reject a line; blank lines are skipped."""
        for number, line in lines:
            if not line:
                continue
            try:
                yield _observation(line, context)
            except (msgspec.MsgspecError, UnicodeDecodeError, BadInput) as error:
                yield Reject(number, f"not an observation: {error}", line)


PARSERS = (NativeParser(),)


def _observation(line: bytes, context: LogContext) -> Observation:
    record = _decoder.decode(line)
    observer = record.observer or context.observer
    if not observer:
        raise BadInput('no observer: expected a member "observer", or --observer FQDN')
    at = int(record.at.timestamp())
    if at < 0:
        raise BadInput(f"{record.at.isoformat()} lies before 1970")
    return make_observation(
        (
            at,
            _domain(observer),
            Identity.parse(record.identity),
            record.result,
            record.outcome,
            record.message_id or line_reference(line),
            _domain(record.host) if record.host else "",
            record.client_ip,
        )
    )


def encode(observation: Observation) -> bytes:
    """One line of this format, without its end."""
    return msgspec.json.encode(
        {
            "at": to_rfc3339(observation.observed_at),
            "observer": observation.observer,
            "identity": str(observation.identity),
            "result": observation.result,
            "outcome": observation.outcome,
            "message_id": observation.message,
            "host": observation.host,
            "client_ip": observation.client_ip,
        }
    )
