"""Abuse reports in the Abuse Reporting Format (RFC 5965, RFC 6650), and what they say of the message they are about.

A report is a message of type multipart/report with report-type=feedback-report: a text for people, a part
message/feedback-report with fields, and the reported message or its header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.feedback.multipart import content_type, parts_of, split_header
from trustgraph.ingest.formats.trace_fields import Field, fields_of
from trustgraph.model import Outcome

#: Feedback-Type (RFC 5965 section 7.3 and its registry). The others say nothing about what the message is:
#: auth-failure (RFC 6591) is about somebody's authentication, opt-out about a subscription, other about anything.
_OUTCOMES = {
    "abuse": Outcome.SPAM,
    "fraud": Outcome.SPAM,
    "virus": Outcome.MALWARE,
    "not-spam": Outcome.GOOD,  # RFC 6430
}

_VERSIONS = ("1", "0.1")
_COPIES = (
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global-headers",
)


class Report(NamedTuple):
    """``outcome`` is None where the report is not about what the message is. ``recipient`` is the first one that the
    report names, empty if it names none. ``header`` is the reported message's, line ends LF.
    """

    type: str
    outcome: Outcome | None
    recipient: str
    header: bytes


def is_report(fields: Sequence[Field]) -> bool:
    """Whether a message with these fields says that it is an abuse report."""
    kind = content_type(fields)
    return kind.type == "multipart/report" and kind.parameters.get("report-type", "").lower() == "feedback-report"


def read_report(fields: Sequence[Field], body: bytes) -> Report:
    """The report in a message for which :func:`is_report` holds; line ends LF, the end may be cut off.

    Raises :class:`BadInput` naming what is missing or there twice.
    """
    parts = parts_of(body, content_type(fields).parameters.get("boundary", ""))
    reports = [part.content for part in parts if part.type == "message/feedback-report"]
    if len(reports) != 1:
        raise BadInput(f"expected one part message/feedback-report, found {len(reports)}")
    copies = [part.content for part in parts if part.type in _COPIES]
    said = list(fields_of(reports[0].strip(b"\n")))
    kind = _one(said, "feedback-type").lower()
    version = _one(said, "version")
    if version not in _VERSIONS:
        raise BadInput(f"version {version[:20]!r} of a report: expected 1")
    outcome = _OUTCOMES.get(kind)
    if outcome is not None and len(copies) != 1:
        raise BadInput(f"expected one reported message or header, found {len(copies)}")
    recipients = [field.value.decode("utf-8", "replace") for field in said if field.name == "original-rcpt-to"]
    header = split_header(copies[0].lstrip(b"\n"))[0] if copies else b""
    return Report(kind, outcome, recipients[0] if recipients else "", header)


def _one(fields: Sequence[Field], name: str) -> str:
    values = [field.value.decode("utf-8", "replace").strip() for field in fields if field.name == name]
    if len(values) != 1 or not values[0]:
        raise BadInput(f"expected one field {name}, found {len(values)}")
    return values[0]
