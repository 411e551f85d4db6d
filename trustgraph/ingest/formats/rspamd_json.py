"""rspamd's JSON, one object a line, in the three shapes that its versions write.

- the log with ``json = true`` (rspamd after 3.4): the text of :mod:`trustgraph.ingest.formats.rspamd` in ``message``;
- rows of the history (what the ``history_redis`` module stores and the controller shows);
- the rows of the ``elastic`` module (3.4: ``rspamd_meta`` beside ``@timestamp`` in milliseconds). The action lines of
  Elasticsearch's bulk format in between are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite

import msgspec

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.base import LogContext, LogParser, NumberedLine, Reject, line_reference
from trustgraph.ingest.formats.rspamd import read_task
from trustgraph.ingest.formats.rspamd_task import Symbols, Task, authentication, observations_of, outcome_of
from trustgraph.model import Observation, UnixSeconds, parse_domain

_TASK_FUNCTION = b'"rspamd_task_write_log"'
_HISTORY, _ELASTIC = b'"sender_smtp"', b'"rspamd_meta"'

#: rspamd's word for what it does not know.
_UNKNOWN = ("", "unknown", "undef")


class _Symbol(msgspec.Struct):
    name: str = ""
    options: list[str] = []


class _LogLine(msgspec.Struct):
    ts: float
    function: str
    message: str


class _HistoryRow(msgspec.Struct, rename={"message_id": "message-id"}):
    unix_time: float
    action: str
    symbols: dict[str, _Symbol]
    message_id: str = ""
    ip: str = ""
    sender_smtp: str = ""


class _Meta(msgspec.Struct):
    action: str
    symbols: list[_Symbol]
    message_id: str = ""
    qid: str = ""
    ip: str = ""
    sender: str = msgspec.field(name="from", default="")
    hostname: str = ""
    rspamd_server: str = ""


class _ElasticRow(msgspec.Struct, rename={"timestamp": "@timestamp"}):
    timestamp: float
    rspamd_meta: _Meta


_log_line = msgspec.json.Decoder(_LogLine)
_history_row = msgspec.json.Decoder(_HistoryRow)
# The Lua that writes them makes the time a string.
_elastic_row = msgspec.json.Decoder(_ElasticRow, strict=False)


class RspamdJson:
    """rspamd's JSON lines: log, history and elastic rows."""

    name = "rspamd-json"
    title = "rspamd's JSON: log lines (json = true), history rows, elastic rows"

    def recognises(self, line: bytes) -> bool:
        """Whether it is an object with the members of one of the three shapes."""
        if not line.startswith(b"{"):
            return False
        is_log = b'"worker_type"' in line and b'"severity"' in line
        return is_log or _ELASTIC in line or (_HISTORY in line and b'"unix_time"' in line)

    def parse(self, lines: Iterable[NumberedLine], context: LogContext) -> Iterator[Observation | Reject]:
        """Client, SPF and DKIM observations of each task; other objects are passed over."""
        for number, line in lines:
            try:
                task = _task(line, context)
            except (msgspec.DecodeError, UnicodeDecodeError, BadInput) as error:
                yield Reject(number, f"expected rspamd's JSON: {error}", line)
                continue
            if task is not None:
                yield from observations_of(task, number, line)


def _task(line: bytes, context: LogContext) -> Task | None:
    if _TASK_FUNCTION in line:
        return _from_log(_log_line.decode(line), context)
    if _ELASTIC in line:
        return _from_elastic(_elastic_row.decode(line), line, context)
    if _HISTORY in line:
        return _from_history(_history_row.decode(line), line, context)
    return None


def _from_log(entry: _LogLine, context: LogContext) -> Task | None:
    if entry.function != "rspamd_task_write_log":
        return None
    return read_task(entry.message.encode(), _moment(entry.ts), _observer(context.observer))


def _from_history(row: _HistoryRow, line: bytes, context: LogContext) -> Task:
    symbols = {name: symbol.options for name, symbol in row.symbols.items()}
    return Task(
        at=_moment(row.unix_time),
        observer=_observer(context.observer),
        message=_message(row.message_id) or line_reference(line),
        outcome=outcome_of(row.action, virus=_has_virus(symbols)),
        authentication=authentication(symbols),
        client_ip=_known(row.ip),
        sender=_known(row.sender_smtp),
    )


def _from_elastic(row: _ElasticRow, line: bytes, context: LogContext) -> Task:
    meta = row.rspamd_meta
    symbols = {symbol.name: symbol.options for symbol in meta.symbols}
    return Task(
        at=_moment(row.timestamp / 1000),
        observer=_observer(context.observer or _known(meta.rspamd_server)),
        message=_message(meta.message_id) or _known(meta.qid) or line_reference(line),
        outcome=outcome_of(meta.action, virus=_has_virus(symbols)),
        authentication=authentication(symbols),
        client_ip=_known(meta.ip),
        sender=_known(meta.sender),
        host=_known(meta.hostname),
    )


def _moment(seconds: float) -> UnixSeconds:
    if not isfinite(seconds) or not 0 <= seconds < 1 << 40:
        raise BadInput(f"{seconds!r} is not a time in Unix seconds")
    return UnixSeconds(int(seconds))


def _observer(name: str) -> str:
    if not name:
        raise BadInput("it does not say whose log it is: name the observer")
    return parse_domain(name)


def _known(value: str) -> str:
    return "" if value in _UNKNOWN else value


def _message(message_id: str) -> str:
    known = _known(message_id)
    return f"<{known}>" if known else ""


def _has_virus(symbols: Symbols) -> bool:
    return any(name.endswith("VIRUS") for name in symbols)


PARSERS: tuple[LogParser, ...] = (RspamdJson(),)
