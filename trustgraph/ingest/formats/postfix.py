"""What Postfix says in syslog about a message: its client, what a milter made of it, and that it is done.

The client's address is an identity whose result is Postfix's own check of its name, which is RFC 8601's iprev (section
2.7.3): a name in ``client=`` has been looked up in both directions, so it is ``pass``. ``unknown`` covers no name, a
mismatch and a failed lookup alike, so it is ``none`` rather than any of the failures it may have been. Own users'
submissions (SASL) and this host's own connections are no other host's mail and give no identity.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.mail_facts import ClientGone, Facts, MessageFacts, host_and_address
from trustgraph.model import Identity, Outcome, Result

_QUEUE_ID = rb"([0-9A-Za-z]{5,32}): "
_CLIENT = re.compile(_QUEUE_ID + rb"client=([^\s\[]{1,255})\[([^\]\s]{1,64})\](?::\d+)?(, .*)?", re.DOTALL)
_ORIGIN = re.compile(rb"\borig_client=([^\s\[]{1,255})\[([^\]\s]{1,64})\]")
_MILTER = re.compile(_QUEUE_ID + rb"milter-(reject|discard|hold): (\S+) from [^;]{1,512}?\]: (.*)", re.DOTALL)
_REMOVED = re.compile(_QUEUE_ID + rb"removed")

# How content filters word a refusal, after the enhanced status code. Only whole phrases from the start count: other
# refusals quote names that a sender chose, such as "rejected by DMARC policy for spam.example".
_REFUSALS = (
    (
        Outcome.SPAM,
        re.compile(
            rb"Spam message rejected|Gtube pattern|Blocked by SpamAssassin|Message classified as spam"
            rb"|Reject, id=\S+ - spam\b",
            re.IGNORECASE,
        ),
    ),
    (
        Outcome.MALWARE,
        re.compile(
            rb"[\w-]{1,32}: virus found|Blocked by ClamAV|virus \S+ detected by ClamAV|Infected message"
            rb"|Reject, id=\S+ - (?:infected|virus)\b",
            re.IGNORECASE,
        ),
    ),
)
_STATUS_CODE = re.compile(rb"(?:\d{3} )?(?:\d\.\d{1,3}\.\d{1,3} )?")

Reader = Callable[[bytes], Facts | None]


def reader_for(service: bytes) -> Reader | None:
    """The reader of one Postfix service's lines (``smtpd``, ``cleanup``…), None if they tell nothing.

    A reader takes a line's text and returns what it tells, or None; it raises :class:`BadInput` for a line of a known
    kind that is not as expected.
    """
    return _READERS.get(service)


def _read_smtpd(text: bytes) -> Facts | None:
    if b": client=" in text:
        return _client(text)
    if text.startswith(b"disconnect from "):
        return ClientGone()
    return _read_milter(text)


def _client(text: bytes) -> MessageFacts:
    line = _CLIENT.fullmatch(text)
    if line is None:
        raise BadInput("expected QID: client=NAME[ADDRESS]")
    queue_id, extra = line[1].decode("ascii"), line[4] or b""
    origin = _ORIGIN.search(extra)
    if origin is not None:
        # Handed back by a content filter under a new queue ID; the client was counted when it first connected.
        host, address = host_and_address(origin[1], origin[2])
        return MessageFacts(queue_id, client_ip=address, host=host, begins=True)
    host, address = host_and_address(line[2], line[3])
    if not address or b"sasl_username=" in extra or b"sasl_method=" in extra:
        return MessageFacts(queue_id, begins=True)
    finding = (Identity.ip(address), Result.PASS if host else Result.NONE)
    return MessageFacts(queue_id, (finding,), client_ip=address, host=host, begins=True)


def _read_milter(text: bytes) -> MessageFacts | None:
    if b": milter-" not in text:
        return None
    line = _MILTER.match(text)
    if line is None:
        return None
    ends = line[3] == b"END-OF-MESSAGE" and line[2] != b"hold"
    return MessageFacts(line[1].decode("ascii"), outcome=_outcome(line[4]), ends=ends)


def _outcome(said: bytes) -> Outcome:
    start = _STATUS_CODE.match(said)
    words = said[start.end() :] if start else said
    return next((outcome for outcome, phrases in _REFUSALS if phrases.match(words)), Outcome.UNKNOWN)


def _read_queue(text: bytes) -> MessageFacts | None:
    line = _REMOVED.fullmatch(text)
    return MessageFacts(line[1].decode("ascii"), ends=True) if line else None


_READERS: dict[bytes, Reader] = {
    b"smtpd": _read_smtpd,
    b"cleanup": _read_milter,
    b"qmgr": _read_queue,
    b"postsuper": _read_queue,
}
