"""What the header of a stored copy tells of the message's arrival: only what our own hosts wrote there.

The sender writes everything below the Received field of our border (:mod:`trustgraph.ingest.formats.trace_fields`), a
forged Authentication-Results or X-Spam-Status included. So fields above it count, and directly below it the results of
filters that are known to take out forged ones (``milter.trusted_results``). A copy without that Received field, such as
one cut down to a few fields, tells nothing but the name that its sender gave it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.headersig.checking import MAX_SIGNATURES, Presented, replay_key
from trustgraph.headersig.coverage import FIELD
from trustgraph.ingest.formats.auth_results import best_findings
from trustgraph.ingest.formats.auth_results_field import AuthenticationResults, authserv_id_of, parse_field
from trustgraph.ingest.formats.trace_fields import VERIFIERS_FIELDS, Field, border_of, fields_of, trace_of
from trustgraph.model import Identity, Result, UnixSeconds

#: RFC 5322 section 2.1.1: no line is longer, so no Message-ID.
_MAX_NAME = 998
_RESULTS = "authentication-results"
_IN_BRACKETS = re.compile(r"<([^<>]+)>")
_CLIENT = re.compile(r"from \S+\s+\(")
_COMMENT = re.compile(r"\([^()]*\)")
#: What is left of a Received field without its comments, in the order of RFC 5321 section 4.4.
_QUEUED = re.compile(r"from \S+ by \S+ with \S+ id ([A-Za-z0-9.-]{4,64})(?=[ ;]|\Z)")
_FOR = re.compile(r"from \S+ by \S+ with \S+ id \S+ for (\S+@[^\s;]+)")
_RECIPIENT_FIELDS = ("delivered-to", "x-original-to", "envelope-to")


class Us(NamedTuple):
    """Our names: of our own results, of filters that take out forged results, and of hosts, all in lower case."""

    results: frozenset[str] = frozenset()
    filters: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()


class Copy(NamedTuple):
    """What a copy tells.

    ``names`` are what observations may call the message: its Message-ID as it is written and in brackets, the queue IDs
    of our hosts. ``recipients`` are addresses, the mailbox first. ``passed`` are the identities that our own results
    say passed, None where the copy carries no results of ours. ``signatures`` are digests of what each header signature
    signs. ``ours`` are the fields that our hosts put above the border's Received field, ``fields`` are all.
    """

    names: tuple[str, ...]
    recipients: tuple[str, ...]
    passed: frozenset[Identity] | None
    signatures: frozenset[int]
    received_at: UnixSeconds | None
    client_ip: str
    ours: tuple[Field, ...]
    fields: tuple[Field, ...]


def read_copy(header: bytes, us: Us) -> Copy:
    """A copy by its raw header, line ends LF. Raises :class:`BadInput` for what is no header."""
    fields = list(fields_of(header))
    try:
        border = border_of(fields, us.hosts)
    except BadInput:
        border = -1
    ours = fields[: max(border, 0)]
    received = [text for field in fields[: border + 1] if field.name == "received" and (text := _plain(field.value))]
    trace = trace_of(fields, frozenset(), us.hosts) if border >= 0 else None
    queued = [found[1] for text in received if (found := _QUEUED.match(text))]
    return Copy(
        names=tuple(dict.fromkeys([*names_of(_message_id(fields)), *queued])),
        recipients=tuple(_recipients(ours, received)),
        passed=_passed(fields, border, us) if border >= 0 else None,
        signatures=frozenset(_signatures(fields)),
        received_at=trace.received_at if trace else None,
        client_ip=trace.client_ip if trace else "",
        ours=tuple(ours),
        fields=tuple(fields),
    )


def names_of(message_id: str) -> list[str]:
    """What a message with this Message-ID may be called by who observed it; nothing for an empty one."""
    text = message_id.strip()
    if not text or len(text) > _MAX_NAME:
        return []
    inner = found[1] if (found := _IN_BRACKETS.search(text)) else text.strip("<> ")
    return list(dict.fromkeys([text, f"<{inner}>"]))


def signature_digest(key: bytes) -> int:
    """What a delivery keeps of a signature's replay key (:func:`trustgraph.headersig.checking.replay_key`); not 0."""
    return int.from_bytes(key[:8], "big", signed=True) or 1


def _message_id(fields: Sequence[Field]) -> str:
    return next((field.value for field in fields if field.name == "message-id"), b"").decode("utf-8", "replace")


def _recipients(ours: Sequence[Field], received: Sequence[str]) -> Iterator[str]:
    for name in _RECIPIENT_FIELDS:
        for field in ours:
            if field.name == name:
                yield field.value.decode("utf-8", "replace")
    for text in received:
        if found := _FOR.match(text):
            yield found[1]


def _plain(value: bytes) -> str:
    """A Received field unfolded and without its comments, which may stand in each other.

    Empty where no comment follows the first word: then a client may have called itself several words.
    """
    text = value.decode("utf-8", "replace")
    if not _CLIENT.match(text):
        return ""
    for _ in range(3):
        text = _COMMENT.sub(" ", text)
    return " ".join(text.split())


def _passed(fields: Sequence[Field], border: int, us: Us) -> frozenset[Identity] | None:
    believed = list(_parsed(field.value for field in fields[:border] if _is_by(field, us.results)))
    below = []
    for field in fields[border + 1 :]:
        if field.name not in VERIFIERS_FIELDS or (field.name == _RESULTS and not _is_by(field, us.filters)):
            break
        if field.name == _RESULTS:
            below.append(field.value)
    believed += _parsed(iter(below))
    if not believed:
        return None
    findings, _complaints = best_findings(believed)
    return frozenset(identity for identity, result in findings.items() if result is Result.PASS)


def _is_by(field: Field, names: frozenset[str]) -> bool:
    return field.name == _RESULTS and authserv_id_of(field.value) in names


def _parsed(values: Iterator[bytes]) -> Iterator[AuthenticationResults]:
    for value in values:
        try:
            yield parse_field(value)
        except BadInput:
            continue


def _signatures(fields: Sequence[Field]) -> Iterator[int]:
    own = FIELD.decode().lower()
    for value in [field.value for field in fields if field.name == own][:MAX_SIGNATURES]:
        try:
            yield signature_digest(replay_key(Presented(value, None)))
        except BadInput:
            continue
