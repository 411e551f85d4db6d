"""What one line of a mail log tells, whichever program wrote it, and how two findings about one identity combine."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from trustgraph.model import Identity, Outcome, Result, parse_address, parse_domain

#: An identity and what authentication found for it.
Finding = tuple[Identity, Result]

_ORDER = (Result.PASS, Result.POLICY, Result.NEUTRAL, Result.FAIL, Result.PERMERROR, Result.TEMPERROR, Result.NONE)
_RANK = {result: rank for rank, result in enumerate(_ORDER)}


def better(new: Result, old: Result) -> bool:
    """Whether ``new`` says more for the domain than ``old``, when one message carries several of its signatures.

    The order is pass, policy, neutral, fail, permerror, temperror, none. One signature that verifies is enough (RFC
    6376 section 4.2), so pass comes first; then those that nothing was found wrong with; then one that was tested and
    failed; then those that could not be tested, for good or for now, which tell nothing about the message.
    """
    return _RANK[new] < _RANK[old]


class MessageFacts(NamedTuple):
    """What a line tells of the message with this queue ID; what it does not tell stays at its default.

    ``verdict`` is a result without the domain that it is about, ``signer`` a domain whose result is the verdict of
    another line. ``begins``: the process that wrote the line serves the client of this message. ``ends``: no further
    line can change what is known. ``complaint`` says what part of the line was malformed and left out.
    """

    queue_id: str
    findings: tuple[Finding, ...] = ()
    verdict: Result | None = None
    signer: Identity | None = None
    client_ip: str = ""
    host: str = ""
    outcome: Outcome = Outcome.UNKNOWN
    begins: bool = False
    ends: bool = False
    complaint: str = ""


class ClientGone(NamedTuple):
    """The client of the process that wrote the line has left: the messages it began are complete."""


@lru_cache(maxsize=1 << 14)
def host_and_address(name: bytes, address: bytes) -> tuple[str, str]:
    """A client's verified name, empty if it has none, and its address; both empty if it is this host itself.

    A milter or Postfix writes ``unknown`` or the address in brackets for a name that could not be verified. Raises
    :class:`~trustgraph.errors.BadInput` when either is malformed.
    """
    client = parse_address(address.decode("ascii", "replace"))
    if client.startswith("127.") or client == "::1":
        return "", ""
    if name == b"unknown" or name.startswith(b"["):
        return "", client
    return parse_domain(name.decode("ascii", "replace")), client


Facts = MessageFacts | ClientGone
