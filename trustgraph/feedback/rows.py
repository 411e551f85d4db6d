"""Feedback as a table or as JSON lines: ``message_id,recipient,outcome,at``. The operator vouches for it.

    message_id,recipient,outcome,at
    <a@example.com>,anna@example.org,spam,2026-11-02T09:30:00Z

    {"message_id": "<a@example.com>", "recipient": "anna@example.org", "outcome": "spam", "at": "2026-11-02T09:30:00Z"}

The message may be named by our own queue ID as well. ``unknown`` takes back what the recipient said before.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from trustgraph.errors import BadInput
from trustgraph.model import Outcome, UnixSeconds, from_rfc3339

COLUMNS = ("message_id", "recipient", "outcome", "at")


class Row(NamedTuple):
    """One recipient's word."""

    message: str
    recipient: str
    outcome: Outcome
    at: UnixSeconds


class _Json(msgspec.Struct):
    message_id: str
    recipient: str
    outcome: Outcome
    at: str


_decoder = msgspec.json.Decoder(_Json)


def is_table(line: bytes) -> bool:
    """Whether a first line names the columns."""
    try:
        return set(COLUMNS) <= set(_names(line))
    except BadInput:
        return False


def is_json(line: bytes) -> bool:
    """Whether a first line is one of JSON lines."""
    return line.lstrip().startswith(b"{")


def read_json(line: bytes) -> Row:
    """One line. Raises :class:`BadInput`."""
    try:
        row = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"not a line of feedback: {error}") from None
    return _row(row.message_id, row.recipient, row.outcome, row.at)


class TableReader:
    """Reads rows of a table whose first line is given."""

    def __init__(self, first: bytes) -> None:
        self._names = _names(first)

    def read(self, line: bytes) -> Row:
        """One line. Raises :class:`BadInput`."""
        cells = _cells(line)
        if len(cells) != len(self._names):
            raise BadInput(f"expected {len(self._names)} columns, found {len(cells)}")
        row = dict(zip(self._names, cells, strict=True))
        try:
            outcome = Outcome(row["outcome"].strip().lower())
        except ValueError:
            expected = ", ".join(Outcome)
            raise BadInput(f"outcome {row['outcome'][:40]!r}: expected one of {expected}") from None
        return _row(row["message_id"], row["recipient"], outcome, row["at"])


def _row(message: str, recipient: str, outcome: Outcome, at: str) -> Row:
    if not message.strip():
        raise BadInput("message_id is empty")
    return Row(message.strip(), recipient, outcome, from_rfc3339(at))


def _names(line: bytes) -> Sequence[str]:
    return [name.strip().lower() for name in _cells(line.removeprefix(b"\xef\xbb\xbf"))]


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8", "replace")], strict=True), [])
    except csv.Error as error:
        raise BadInput(f"not a row of a table: {error}") from None
