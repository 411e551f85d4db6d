"""Exim's main log: DKIM results, and the client, from the lines about one message.

    2026-11-03 04:05:06 1abcde-000abc-XY DKIM: d=example.org s=sel c=relaxed/relaxed a=rsa-sha256 b=2048
        [verification succeeded]
    2026-11-03 04:05:06 1abcde-000abc-XY <= a@example.org H=mx.example.org [192.0.2.1] P=esmtp S=683 id=m@example.org

One DKIM line a signature comes with ``log_selector = +dkim_verbose``; without it the arrival line names the domain of
the first good signature as ``DKIM=``. A message ends with its arrival or its rejection. Exim knows no spam filter of
its own: mail that it accepted has an unknown outcome, and mail refused after DATA is what the text says of it.

With dkim_verbose a sender can write into the log: Exim (4.96 at least) decodes the i= tag and escapes nothing in it. A
blank in it is refused here, but a line end in it starts a line that looks like Exim's own. Where the reputation of
others hangs on the log, leave dkim_verbose off: the DKIM= of the arrival line cannot be forged so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.base import LogContext, LogParser, NumberedLine, Reject
from trustgraph.ingest.formats.local_time import local_time
from trustgraph.ingest.formats.mail_facts import Finding, MessageFacts
from trustgraph.ingest.formats.mail_join import OpenMessages
from trustgraph.model import Identity, IdentityKind, Observation, Outcome, Result, parse_domain

#: Time, zone and process as far as logged, and the message id of Exim up to 4.96 (6-6-2) or since (6-11-4).
_LINE = re.compile(
    rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d{1,6})?( [+-]\d{4})? (?:\[\d{1,10}\] )?"
    rb"([0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})) "
)
_DKIM = re.compile(rb"DKIM: d=(\S+) s=\S+ c=\S+ a=\S+ b=\d+(?: i=\S+)?(?: [txl]=\d+)* \[([^\[\]]+)\]")
#: Comes before the line with the result.
_DETAIL = b" [failed key import]"
_DKIM_RESULTS = (
    (b"verification succeeded", Result.PASS),
    (b"verification failed", Result.FAIL),
    (b"invalid - public key record (currently?) unavailable", Result.TEMPERROR),
    (b"invalid", Result.PERMERROR),
    (b"not verified", Result.NONE),
    # What the DKIM ACL set with dkim_verify_status, whatever the signature was.
    (b"pass - ", Result.POLICY),
    (b"fail - ", Result.POLICY),
    (b"none - ", Result.NONE),
)

#: The envelope sender, whose local part may be quoted and then hold anything, and then the client.
_ARRIVAL = re.compile(rb'<= (?:<>|"(?:[^"\\]|\\.)*"\S*|[^\s"]+) (.*)')
_CLIENT = re.compile(rb"H=(?:([^\s()\[\]]+) )?(?:\(([^\s()]*)\) )?\[([0-9A-Fa-f:.]+)\](?::\d+)?(?: |$)")
#: Client certificate names, SNI and the like are the client's words in quotation marks.
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_GOOD_SIGNER = re.compile(rb" S=\d+(?: M8S=\d)? DKIM=(\S+)")
_REJECTED = b" rejected after DATA"

_MALWARE = re.compile(rb"\b(?:virus|malware|trojan|worm)", re.IGNORECASE)
_SPAM = re.compile(rb"\b(?:spam|bulk mail|unsolicited|GTUBE)", re.IGNORECASE)

_KINDS = frozenset({IdentityKind.DKIM, IdentityKind.IP})


class EximLog:
    """Exim's main log, as a file (not through syslog)."""

    name = "exim"
    title = "Exim's main log; DKIM lines with log_selector = +dkim_verbose"

    def recognises(self, line: bytes) -> bool:
        """Whether it begins with Exim's time and message id."""
        return _LINE.match(line) is not None

    def parse(self, lines: Iterable[NumberedLine], context: LogContext) -> Iterator[Observation | Reject]:
        """Observations when their message has arrived, was refused or is overdue; rejects at once."""
        messages = OpenMessages(_KINDS)
        for number, line in lines:
            try:
                yield from _read(line, context, messages)
            except BadInput as error:
                yield Reject(number, str(error), line)
        yield from messages.rest()


def _read(line: bytes, context: LogContext, messages: OpenMessages) -> list[Observation]:
    """The observations that the line completes."""
    head = _LINE.match(line)
    if head is None:
        return []
    time, offset, exim_id = head.groups(b"")
    key = (b"", exim_id.decode())
    facts = _facts(key[1], line[head.end() :], first_word_of_dkim=key not in messages)
    if facts is None:
        return []
    if not context.observer:
        raise BadInput("Exim's log does not say whose it is: name the observer")
    moment = local_time(time + offset, context.zone)
    messages.add(key, context.observer, facts, moment)
    return messages.finish(key) if facts.ends else list(messages.overdue(moment))


def _facts(exim_id: str, text: bytes, *, first_word_of_dkim: bool) -> MessageFacts | None:
    """What the rest of a line tells; None if nothing of interest. Raises :class:`BadInput`."""
    if text.startswith(b"DKIM: d=") and not text.endswith(_DETAIL):
        return MessageFacts(exim_id, findings=(_dkim(text),))
    if text.startswith(b"<= "):
        return _arrival(exim_id, text, name_signer=first_word_of_dkim)
    if text.startswith(b"H=") and _REJECTED in text:
        return _refusal(exim_id, text)
    return None


def _dkim(text: bytes) -> Finding:
    found = _DKIM.fullmatch(text)
    if found is None:
        raise BadInput("expected DKIM: d=<domain> s=<selector> … [<verdict>]")
    for start, result in _DKIM_RESULTS:
        if found[2].startswith(start):
            return Identity.dkim(found[1].decode("utf-8", "replace")), result
    raise BadInput(f"unknown DKIM verdict {found[2][:80]!r}")


def _arrival(exim_id: str, text: bytes, *, name_signer: bool) -> MessageFacts:
    """``name_signer``: no DKIM line has told of the signatures, so DKIM= is news."""
    found = _ARRIVAL.fullmatch(text)
    if found is None:
        raise BadInput("expected <= <sender> H=<host> (<helo>) [<address>] …")
    rest = _QUOTED.sub(b"", found[1])
    findings: list[Finding] = []
    if name_signer and (signer := _GOOD_SIGNER.search(rest)):
        findings.append((Identity.dkim(signer[1].decode("utf-8", "replace")), Result.PASS))
    if not rest.startswith(b"H="):
        return MessageFacts(exim_id, findings=tuple(findings), ends=True)
    address, host, result = _client(rest)
    findings.append((address, result))
    return MessageFacts(exim_id, findings=tuple(findings), client_ip=address.value, host=host, ends=True)


def _refusal(exim_id: str, text: bytes) -> MessageFacts:
    """Refused after DATA. Refused for now (greylisting, a busy scanner) judges nothing."""
    address, host, result = _client(text)
    reason = text.partition(_REJECTED)[2]
    outcome = Outcome.UNKNOWN
    if b" temporarily" + _REJECTED not in text:
        outcome = Outcome.MALWARE if _MALWARE.search(reason) else outcome
        outcome = Outcome.SPAM if outcome is Outcome.UNKNOWN and _SPAM.search(reason) else outcome
    return MessageFacts(
        exim_id, findings=((address, result),), client_ip=address.value, host=host, outcome=outcome, ends=True
    )


def _client(text: bytes) -> tuple[Identity, str, Result]:
    """Address and verified name of the client. Exim puts what it could not verify, the HELO name, in parentheses:
    a name outside them has been looked up both ways (iprev, RFC 8601 section 2.7.3)."""
    found = _CLIENT.match(text)
    if found is None:
        raise BadInput("expected H=<host> (<helo>) [<address>]")
    address = Identity.ip(found[3].decode())
    if found[1] is None:
        return address, "", Result.NONE
    return address, parse_domain(found[1].decode("utf-8", "replace")), Result.PASS


PARSERS: tuple[LogParser, ...] = (EximLog(),)
