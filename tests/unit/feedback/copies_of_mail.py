"""Stored mail as it lies in a mailbox: what the sender wrote, and on top what our hosts added."""

from __future__ import annotations

from trustgraph.feedback.copies import Us
from trustgraph.feedback.reading import Rules
from trustgraph.feedback.recipients import Traps
from trustgraph.model import Identity, UnixSeconds

US = "mx1.example.org"
#: 2026-11-02 09:00:00 UTC
AT = UnixSeconds(1_793_610_000)
DATE = "Mon, 2 Nov 2026 09:00:00 +0000"
IP = "192.0.2.1"
PEER = Identity.dkim("peer.example")
REPORTER = Identity.dkim("fbl.example.net")
OUR_NAMES = Us(frozenset({US}), frozenset(), frozenset({US}))
RULES = Rules(OUR_NAMES, {REPORTER}, Traps(("trap@example.org", "*@trap.example.org")))

PASSED = f"dkim=pass header.d={PEER.value}"


def received(ip: str = IP, date: str = DATE, queue_id: str = "4XyZ0aBcD") -> str:
    return (
        f"Received: from mx.peer.example (mx.peer.example [{ip}])\n"
        f"\tby {US} (Postfix) with ESMTPS id {queue_id}\n\tfor <anna@example.org>; {date}"
    )


def letter(message_id: str = "<1@peer.example>", *more: str) -> str:
    """What a sender writes."""
    lines = [*more, "From: Bert <bert@peer.example>", "To: anna@example.org", "Subject: hello"]
    return "\n".join([*lines, f"Message-ID: {message_id}", "", "Hello.", ""])


def stored(
    sent: str = "",
    *,
    results: str | None = PASSED,
    to: str | None = "anna@example.org",
    above: tuple[str, ...] = (),
    below: tuple[str, ...] = (),
    ip: str = IP,
    date: str = DATE,
    queue_id: str = "4XyZ0aBcD",
) -> bytes:
    """A copy; ``above`` and ``below`` our border's Received field stand more fields of our hosts."""
    top = [f"Delivered-To: {to}"] if to else []
    top += above
    if results is not None:
        top.append(f"Authentication-Results: {US}; {results}")
    return "\n".join([*top, received(ip, date, queue_id), *below, sent or letter()]).encode()


def report(
    about: bytes | None = None,
    *,
    kind: str = "abuse",
    results: str | None = f"dkim=pass header.d={REPORTER.value}",
    recipient: str | None = "anna@example.org",
    sent_first: tuple[str, ...] = (),
    date: str = DATE,
    number: int = 1,
) -> bytes:
    """A complaint by mail about a stored copy, as it lies in the mailbox of the feedback address."""
    fields = [f"Feedback-Type: {kind}", "User-Agent: Complainer/1.0", "Version: 1"]
    if recipient is not None:
        fields.append(f"Original-Rcpt-To: <{recipient}>")
    copy = (stored() if about is None else about).decode()
    sent = [
        *sent_first,
        "From: reports@fbl.example.net",
        f"Message-ID: <report-{number}@fbl.example.net>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=feedback-report; boundary="=_cut"',
        "",
        "--=_cut",
        "Content-Type: text/plain",
        "",
        "Somebody did not want this.",
        "--=_cut",
        "Content-Type: message/feedback-report",
        "",
        *fields,
        "",
        "--=_cut",
        "Content-Type: message/rfc822",
        "",
        copy,
        "--=_cut--",
        "",
    ]
    return stored("\n".join(sent), results=results, to="feedback@example.org", ip="198.51.100.7", date=date)
