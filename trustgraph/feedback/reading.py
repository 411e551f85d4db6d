"""What a piece of feedback says: of which message, by whom, and what it is to be joined by.

| piece | counts if | voter |
|---|---|---|
| a message and an outcome | who gives it may write to the store | the recipient |
| an abuse report that came as mail | our own results name one of the reporters | the recipient it names, or reporter |
| a stored message with a verdict field | our filter wrote the field | the classifier |
| a stored message to a spamtrap | our hosts wrote to whom it was delivered | the trap |
| a row of a table | the operator vouches for it | the recipient |
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.feedback.copies import Copy, Us, names_of, read_copy
from trustgraph.feedback.joining import Reported
from trustgraph.feedback.multipart import split_header
from trustgraph.feedback.recipients import NO_TRAPS, Traps, parse_recipient, recipient_digest, voter_digest
from trustgraph.feedback.reports import is_report, read_report
from trustgraph.feedback.rows import Row
from trustgraph.feedback.verdicts import believed_fields, verdict_in
from trustgraph.feedback.votes import Source, Vote
from trustgraph.model import Identity, Outcome, UnixSeconds

#: How far clocks may be apart.
_SKEW_SECONDS = 300


class Rules(NamedTuple):
    """Whom this site believes. ``trusted_fields`` are verdict fields that its filter deletes from what comes in."""

    us: Us
    reporters: Collection[Identity] = ()
    traps: Traps = NO_TRAPS
    trusted_fields: Collection[str] = ()


class Said(NamedTuple):
    """Votes on a message that observations may call by any of ``names``."""

    names: tuple[str, ...]
    reported: Reported
    votes: tuple[Vote, ...]


class Dismissed(StrEnum):
    """Why a piece that can be read says nothing."""

    UNAUTHENTICATED = "unauthenticated"
    NO_VERDICT = "no_verdict"


def read_opinion(octets: bytes, outcome: Outcome, recipients: Sequence[str], at: UnixSeconds, rules: Rules) -> Said:
    """A message that a recipient calls something. ``recipients`` are addresses of the one who votes, the mailbox first;
    empty: what our hosts wrote into the copy. Raises :class:`BadInput`.
    """
    copy = read_copy(split_header(octets)[0], rules.us)
    given = [parse_recipient(one) for one in recipients] or _mailboxes(copy)
    if not given:
        raise BadInput("nothing says whose opinion this is: expected --recipient, or a field Delivered-To of our hosts")
    trap = rules.traps.catch(given[:1])
    vote = Vote(Source.TRAP if trap else Source.USER, voter_digest(given[0]), Outcome.SPAM if trap else outcome, at)
    return _said(copy, given, [vote])


def read_mail(octets: bytes, at: UnixSeconds, rules: Rules) -> Said | Dismissed:
    """A message from a mailbox: an abuse report, or one that a filter or a spamtrap says something about.

    ``at`` stands in where our border did not write when it came. Raises :class:`BadInput`.
    """
    header, body = split_header(octets)
    copy = read_copy(header, rules.us)
    at = min(at, at if copy.received_at is None else copy.received_at)
    if is_report(copy.fields):
        return _read_report(copy, body, at, rules)
    mailboxes = _mailboxes(copy)
    votes = [Vote(Source.TRAP, voter_digest(trap), Outcome.SPAM, at) for trap in rules.traps.catch(mailboxes)]
    verdict = verdict_in(believed_fields(copy.ours, copy.fields, rules.trusted_fields))
    if verdict is not None:
        votes.append(Vote(Source.CLASSIFIER, 0, verdict, at))
    return _said(copy, mailboxes, votes) if votes else Dismissed.NO_VERDICT


def read_row(row: Row, now: UnixSeconds, rules: Rules) -> Said:
    """A row of a table. Raises :class:`BadInput`."""
    if row.at > now + _SKEW_SECONDS:
        raise BadInput("at lies in the future")
    mailbox = parse_recipient(row.recipient)
    trap = bool(rules.traps.catch([mailbox]))
    outcome = Outcome.SPAM if trap else row.outcome
    vote = Vote(Source.TRAP if trap else Source.USER, voter_digest(mailbox), outcome, row.at)
    return Said(tuple(names_of(row.message)), Reported(frozenset({voter_digest(mailbox)})), (vote,))


def _read_report(outer: Copy, body: bytes, at: UnixSeconds, rules: Rules) -> Said | Dismissed:
    """First who sent it: what a stranger sends is not even looked into."""
    senders = sorted((outer.passed or frozenset()) & frozenset(rules.reporters))
    if not senders:
        return Dismissed.UNAUTHENTICATED
    report = read_report(outer.fields, body)
    if report.outcome is None:
        return Dismissed.NO_VERDICT
    digest = recipient_digest(report.recipient)
    # A recipient that is left out or made unreadable (RFC 6590) leaves the word of the reporter.
    vote = Vote(Source.USER, voter_digest(senders[0]) if digest is None else digest, report.outcome, at)
    copy = read_copy(report.header, rules.us)
    return _said(copy, [] if digest is None else [parse_recipient(report.recipient)], [vote])


def _said(copy: Copy, mailboxes: Sequence[str], votes: Sequence[Vote]) -> Said:
    if not copy.names:
        raise BadInput("the message has no Message-ID")
    reported = Reported(
        recipients=frozenset(voter_digest(one) for one in mailboxes),
        is_copy=True,
        passed=copy.passed,
        signatures=copy.signatures,
        received_at=copy.received_at,
        client_ip=copy.client_ip,
    )
    return Said(copy.names, reported, tuple(votes))


def _mailboxes(copy: Copy) -> list[str]:
    found = []
    for address in copy.recipients:
        try:
            found.append(parse_recipient(address))
        except BadInput:
            continue
    return list(dict.fromkeys(found))
