"""Which observations a report is about.

A Message-ID is anybody's to reuse, so a report is joined by everything that it carries: when our border received the
copy and from which address, which identities our own results say passed, what the header signature signs, to whom it
was delivered. All of it has to agree with what was seen. What may be one message or another moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from trustgraph.model import Identity, IdentityKind, UnixSeconds

#: How far an observation's time may lie before and after the date in our border's Received field: clocks differ by
#: little, a slow body or a filter behind the queue takes its time.
EARLIEST_SECONDS = 300
LATEST_SECONDS = 3_600

#: observed_at, message, observer_id, identity_id
Key: TypeAlias = tuple[int, int, int, int]


class Seen(NamedTuple):
    """An observation."""

    key: Key
    identity: Identity
    passed: bool

    @property
    def at(self) -> int:
        """When it was made."""
        return self.key[0]


class Delivered(NamedTuple):
    """A message that the gate let in, to one of its recipients. ``signature`` is 0 where none passed."""

    key: Key
    identity: Identity
    signature: int
    recipient: int


class Reported(NamedTuple):
    """What a report carries.

    ``recipients`` are digests of whom the message was for, empty if that is not said. ``is_copy``: there is a copy of
    the header, with what :class:`trustgraph.feedback.copies.Copy` has.
    """

    recipients: frozenset[int] = frozenset()
    is_copy: bool = False
    passed: frozenset[Identity] | None = None
    signatures: frozenset[int] = frozenset()
    received_at: UnixSeconds | None = None
    client_ip: str = ""


class Missed(StrEnum):
    """Why a report is about no observation."""

    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"


def join(
    reported: Reported, seen: Sequence[Seen], delivered: Sequence[Delivered], *, results_expected: bool
) -> tuple[Key, ...] | Missed:
    """The observations, at most one of an observer and identity.

    ``seen`` and ``delivered`` are all of any of the message's names. ``results_expected``: our border writes its
    results into each message, so a copy without any is cut down or another's.
    """
    near = _nearness(reported)
    seen = [one for one in seen if near(one.at)]
    delivered = [one for one in delivered if near(one.key[0])]
    if not seen:
        return Missed.UNKNOWN
    if reported.is_copy and reported.passed is None and (results_expected or delivered):
        return Missed.AMBIGUOUS
    if delivered:
        arrival = _arrival([one for one in delivered if _is_of(one, reported)], reported.received_at)
        if isinstance(arrival, Missed):
            return arrival
        seen = _of_arrival(seen, arrival, delivered)
    seen = _from_client(seen, reported.client_ip)
    if reported.passed is not None:
        seen = [one for one in seen if one.identity in reported.passed]
    elif not _is_one_message(seen):
        return Missed.AMBIGUOUS
    return _nearest([one for one in seen if one.passed], reported.received_at)


def _nearness(reported: Reported) -> Callable[[int], bool]:
    at = reported.received_at
    if at is None:
        return lambda _: True
    return lambda moment: at - EARLIEST_SECONDS <= moment <= at + LATEST_SECONDS


def _is_of(delivered: Delivered, reported: Reported) -> bool:
    """Whether the report may be about what was delivered: recipient, signature and passing key agree."""
    if reported.recipients and delivered.recipient not in reported.recipients:
        return False
    if not reported.is_copy or reported.passed is None:
        return True
    if not delivered.signature:
        return not any(one.kind is IdentityKind.OPENPGP for one in reported.passed)
    return delivered.signature in reported.signatures and delivered.identity in reported.passed


def _arrival(delivered: Sequence[Delivered], at: int | None) -> Delivered | Missed:
    """The one delivery that it can be; of one signed message that came twice, the nearest."""
    if not delivered:
        return Missed.UNKNOWN
    messages = {(one.key[1:], one.signature) for one in delivered}
    times = {one.key[0] for one in delivered}
    if len(messages) > 1 or (len(times) > 1 and (at is None or not delivered[0].signature)):
        return Missed.AMBIGUOUS
    return min(delivered, key=lambda one: (abs(one.key[0] - (at or 0)), one.key))


def _of_arrival(seen: Sequence[Seen], arrival: Delivered, delivered: Sequence[Delivered]) -> list[Seen]:
    """Without the gate's observations of other messages, and of earlier attempts to deliver this one."""
    others = {one.key for one in delivered} - {arrival.key}
    _, _, observer, identity = arrival.key
    return [
        one for one in seen if one.key == arrival.key or (one.key not in others and one.key[2:] != (observer, identity))
    ]


def _from_client(seen: Sequence[Seen], client_ip: str) -> list[Seen]:
    """Without what an observer saw at one moment from another address."""
    elsewhere: set[tuple[int, int]] = set()
    for one in seen:
        if client_ip and one.identity.kind is IdentityKind.IP and one.identity.value != client_ip:
            elsewhere.add((one.at, one.key[2]))
    return [one for one in seen if (one.at, one.key[2]) not in elsewhere]


#: Kinds of which a message has one at most.
_SINGLE = (IdentityKind.IP, IdentityKind.SPF, IdentityKind.HELO, IdentityKind.OPENPGP)


def _is_one_message(seen: Sequence[Seen]) -> bool:
    """Whether nothing speaks against all of it being about one message."""
    times = [one.at for one in seen]
    if times and max(times) - min(times) > LATEST_SECONDS:
        return False
    return all(len({one.identity for one in seen if one.identity.kind is kind}) <= 1 for kind in _SINGLE)


def _nearest(seen: Sequence[Seen], at: int | None) -> tuple[Key, ...] | Missed:
    """One of each observer and identity: the nearest in time where two filters, or one twice, saw the same."""
    times = [one.at for one in seen]
    if at is None and times and max(times) - min(times) > LATEST_SECONDS:
        return Missed.AMBIGUOUS
    best: dict[tuple[int, ...], Key] = {}
    for one in sorted(seen, key=lambda one: (0 if at is None else abs(one.at - at), one.key)):
        best.setdefault(one.key[2:], one.key)
    return tuple(sorted(best.values())) or Missed.UNKNOWN
