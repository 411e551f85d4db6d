"""The part of a message's header that our own hosts wrote: where it ends, when, and who the client was.

The topmost Received field was written by the host that filed the message. A Received field whose client is one of our
hosts vouches for the one below it; the first whose client is not ours is our border's, and what is below is the
sender's word. Fields above the border's are ours. Directly below it stand the fields of verifiers that insert at
index 1 (OpenDKIM, OpenDMARC), because Postfix and Sendmail put their Received above those; that run ends at the first
field of another kind or with another's authserv-id. There our fields and forged ones cannot be told apart by place, so
the border has to delete what claims to be its own, as RFC 8601 section 5 requires of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.auth_results_field import authserv_id_of
from trustgraph.model import UnixSeconds, parse_address

#: Far more than any real header has.
MAX_FIELDS = 10_000

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
#: What border verifiers insert beside Authentication-Results.
VERIFIERS_FIELDS = frozenset({"authentication-results", "received-spf", "dkim-filter"})

#: ``from <helo> (<verified name> [<address>])`` as Postfix and Sendmail write it, and ``from <name> ([<address>] …)``
#: as Exim and Dovecot do. What is not in parentheses in the first kind is the client's word; Sendmail adds "may be
#: forged" behind the address when the name is not verified.
_FROM_VERIFIED = re.compile(r"from \S+ \((\S+) \[(?:IPv6:)?([0-9A-Fa-f:.]+)\]\)")
_FROM_ADDRESS = re.compile(r"from \S+ \((?:\S+ )?\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]")
#: LMTP is spoken inside a site only (RFC 2033 section 5: never on the SMTP port).
_WITH_LMTP = re.compile(r"from \S+ (?:\([^()]*\) )?by \S+ (?:\([^()]*\) )?with LMTPS?A?\b")


class Field(NamedTuple):
    """A header field: name in lower case, value with its folding."""

    name: str
    value: bytes


class Trace(NamedTuple):
    """What our hosts wrote, top first. ``received_at`` is None when no Received field of the border tells."""

    results: tuple[bytes, ...]
    received_at: UnixSeconds | None
    host: str
    client_ip: str


def fields_of(header: bytes) -> Iterator[Field]:
    """The fields of a raw header (without the blank line that ends it). Raises :class:`BadInput`."""
    pending: list[bytes] = []
    for count, line in enumerate(header.split(b"\n")):
        if count > MAX_FIELDS:
            raise BadInput(f"a header of more than {MAX_FIELDS} lines")
        if line[:1] in (b" ", b"\t") and pending:
            pending.append(line)
        elif line.strip():
            if pending:
                yield _field(b"\n".join(pending))
            pending = [line]
    if pending:
        yield _field(b"\n".join(pending))


def _field(text: bytes) -> Field:
    found = _FIELD.match(text)
    if found is None:
        raise BadInput(f"expected a header field, found {text[:80]!r}")
    return Field(found[1].decode("ascii").lower(), found[2].strip())


def trace_of(fields: list[Field], authserv_ids: frozenset[str], our_hosts: frozenset[str]) -> Trace:
    """The Authentication-Results values that are believed, and what the border's Received field says.

    Raises :class:`BadInput` when there is no border's Received field.
    """
    border = border_of(fields, our_hosts)
    received = " ".join(fields[border].value.decode("utf-8", "replace").split())
    results = [field.value for field in fields[:border] if _is_ours(field, authserv_ids)]
    for field in fields[border + 1 :]:
        is_foreign = field.name == "authentication-results" and not _is_ours(field, authserv_ids)
        if is_foreign or field.name not in VERIFIERS_FIELDS:
            break
        if field.name == "authentication-results":
            results.append(field.value)
    return Trace(tuple(results), _received_at(received), *_client(received))


def _is_ours(field: Field, authserv_ids: frozenset[str]) -> bool:
    return field.name == "authentication-results" and authserv_id_of(field.value) in authserv_ids


def border_of(fields: list[Field], our_hosts: frozenset[str]) -> int:
    """Where our border's Received field is: the fields above it are ours. Raises :class:`BadInput` without one."""
    for at, field in enumerate(fields):
        if field.name == "received":
            received = " ".join(field.value.decode("utf-8", "replace").split())
            if received.startswith("from ") and not _from_our_host(received, our_hosts):
                return at
    raise BadInput("expected a Received field from a host that is not ours: who wrote the results cannot be known")


def _from_our_host(received: str, our_hosts: frozenset[str]) -> bool:
    host, address = _client(received)
    is_loopback = address != "" and ip_address(address).is_loopback
    return host in our_hosts or is_loopback or _WITH_LMTP.match(received) is not None


def _client(received: str) -> tuple[str, str]:
    """Verified name (empty if there is none) and address of the client."""
    if found := _FROM_VERIFIED.match(received):
        host, address = found[1].lower().rstrip("."), found[2]
    elif found := _FROM_ADDRESS.match(received):
        host, address = "", found[1]
    else:
        return "", ""
    try:
        return "" if host == "unknown" else host, parse_address(address)
    except BadInput:
        return "", ""


def _received_at(received: str) -> UnixSeconds | None:
    """The date-time after the last semicolon (RFC 5321 section 4.4)."""
    try:
        moment = parsedate_to_datetime(received.rpartition(";")[2].strip()[:100])
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
    return UnixSeconds(seconds) if seconds >= 0 else None
