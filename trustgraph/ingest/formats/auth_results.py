"""Authentication-Results in stored messages (RFC 8601): an mbox file, or one message.

Only fields with one of ``LogContext.authserv_ids`` count, and of those only the ones that our own hosts wrote
(:mod:`trustgraph.ingest.formats.trace_fields`). A method counts from the first field that reports it: one verifier
reports all of a method's results in one field, so a second such field is older or forged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.auth_results_field import AuthenticationResults, ResultInfo, authserv_id_of, parse_field
from trustgraph.ingest.formats.base import LogContext, LogParser, NumberedLine, Reject, line_reference
from trustgraph.ingest.formats.mail_facts import Finding, better
from trustgraph.ingest.formats.mbox import SEPARATOR, MboxHeader, headers_in, only_header
from trustgraph.ingest.formats.trace_fields import Field, fields_of, trace_of
from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds, parse_domain

#: RFC 8601 section 2.7.2: softfail, which our results have not, is an authorisation denied without asking for
#: refusal, so a matter of local policy; hardfail is what RFC 5451 called fail.
_OTHER_RESULTS = {"softfail": Result.POLICY, "hardfail": Result.FAIL}

#: RFC 5322 section 2.1.1: no line is longer, so no Message-ID.
_MAX_MESSAGE_ID = 998

#: How much of a header a reject carries.
_MAX_SHOWN = 1024

_TYPICAL_FIELDS = (b"received:", b"return-path:", b"authentication-results:", b"delivered-to:")


def observations_in(
    header: bytes,
    context: LogContext,
    *,
    filed_at: UnixSeconds | None = None,
    outcome: Outcome = Outcome.UNKNOWN,
    line_number: int = 1,
) -> Iterator[Observation | Reject]:
    """What our border found about the message with this raw header; nothing if it wrote no result.

    ``filed_at`` stands in where no Received field tells when (Date: is the sender's word and is not used).
    ``line_number`` is where the message begins.
    """
    try:
        found, complaints = _observations(header, context, filed_at, outcome)
    except BadInput as error:
        found, complaints = [], [str(error)]
    yield from found
    for complaint in complaints:
        yield Reject(line_number, complaint, header[:_MAX_SHOWN])


def _observations(
    header: bytes, context: LogContext, filed_at: UnixSeconds | None, outcome: Outcome
) -> tuple[list[Observation], list[str]]:
    fields = list(fields_of(header))
    ours = frozenset(name.lower() for name in context.authserv_ids)
    if not any(field.name == "authentication-results" and authserv_id_of(field.value) in ours for field in fields):
        return [], []
    trace = trace_of(fields, ours, (ours | {context.observer}) - {""})
    believed = [parse_field(value) for value in trace.results]
    if not believed:
        return [], []
    at = filed_at if trace.received_at is None else trace.received_at
    if at is None:
        raise BadInput("no time of arrival: expected a date in the Received field (RFC 5321 section 4.4)")
    observer = context.observer or parse_domain(believed[0].authserv_id)
    message = _message_id(fields) or line_reference(header)
    findings, complaints = best_findings(believed)
    return [
        Observation(at, observer, identity, result, outcome, message, trace.host, trace.client_ip)
        for identity, result in findings.items()
    ], complaints


def best_findings(believed: Iterable[AuthenticationResults]) -> tuple[dict[Identity, Result], list[str]]:
    """Each identity once, and what is wrong with the rest: one odd name must not hide the others."""
    best: dict[Identity, Result] = {}
    complaints: list[str] = []
    reported: set[str] = set()
    for field in believed:
        for info in field.results:
            if info.method in reported:
                continue
            try:
                finding = _finding(info)
            except BadInput as error:
                complaints.append(str(error))
                continue
            if finding and (finding[0] not in best or better(finding[1], best[finding[0]])):
                best[finding[0]] = finding[1]
        reported.update(info.method for info in field.results)
    return best, complaints


def _finding(info: ResultInfo) -> Finding | None:
    """The identity that a result is about; None for methods without one of their own (dmarc, arc, auth)."""
    name = _SUBJECTS[info.method](info.properties) if info.method in _SUBJECTS else ""
    return (Identity.parse(name), _result(info)) if name else None


def _result(info: ResultInfo) -> Result:
    try:
        return _OTHER_RESULTS.get(info.result) or Result(info.result)
    except ValueError:
        raise BadInput(f"{info.method}={info.result[:40]} is none of the results of RFC 8601 section 2.7") from None


def _dkim(properties: dict[str, str]) -> str:
    domain = properties.get("header.d") or _domain(properties.get("header.i", ""))
    return domain and f"dkim:{domain}"


def _spf(properties: dict[str, str]) -> str:
    sender, helo = _domain(properties.get("smtp.mailfrom", "")), properties.get("smtp.helo", "")
    if sender:
        return f"spf:{sender}"
    return helo and f"helo:{helo}"


def _iprev(properties: dict[str, str]) -> str:
    address = properties.get("policy.iprev", "")
    return address and f"ip:{address}"


def _pgp_header(properties: dict[str, str]) -> str:
    fingerprint = properties.get("header.fp", "")
    return fingerprint and f"openpgp:{fingerprint}"


_SUBJECTS: dict[str, Callable[[dict[str, str]], str]] = {
    "dkim": _dkim,
    "spf": _spf,
    "iprev": _iprev,
    "x-pgp-header": _pgp_header,
}


def _domain(address: str) -> str:
    """The domain of an address, or the text itself, which may be a bare domain."""
    return address.rpartition("@")[2].rstrip(">")


def _message_id(fields: Iterable[Field]) -> str:
    value = next((field.value for field in fields if field.name == "message-id"), b"")
    text = value.decode("utf-8", "replace")
    return text if text and len(value) <= _MAX_MESSAGE_ID else ""


class _StoredMail:
    """Both parsers: they differ in how the lines are cut into headers."""

    def __init__(
        self, name: str, title: str, headers: Callable[[Iterable[NumberedLine]], Iterator[MboxHeader]]
    ) -> None:
        self.name: str = name
        self.title: str = title
        self._headers = headers

    def recognises(self, line: bytes) -> bool:
        """Whether it is a header field that filed messages begin with, or, in an mbox, the separator.

        One more line of an mbox is its own than of a message's, so the vote of a whole file tells them apart.
        """
        if line.startswith(b"From "):
            return self._headers is headers_in and SEPARATOR.fullmatch(line) is not None
        return line.lower().startswith(_TYPICAL_FIELDS)

    def parse(self, lines: Iterable[NumberedLine], context: LogContext) -> Iterator[Observation | Reject]:
        """The observations of each message, in the order of the file."""
        for found in self._headers(lines):
            if found.fault:
                yield Reject(found.line_number, found.fault, found.header[:_MAX_SHOWN])
            else:
                yield from observations_in(
                    found.header, context, filed_at=found.filed_at, line_number=found.line_number
                )


PARSERS: tuple[LogParser, ...] = (
    _StoredMail("eml", "one stored message with the Authentication-Results of our border", only_header),
    _StoredMail("mbox", "an mbox file (RFC 4155) of such messages", headers_in),
)
