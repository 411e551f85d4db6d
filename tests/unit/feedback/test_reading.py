"""Whose word counts: the crux. Nothing that a stranger writes makes a vote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import GOLDEN
from tests.unit.feedback.copies_of_mail import AT, PEER, REPORTER, RULES, US, letter, received, report, stored
from trustgraph.errors import BadInput
from trustgraph.feedback.copies import Us
from trustgraph.feedback.reading import Dismissed, Said, read_mail, read_opinion, read_row
from trustgraph.feedback.recipients import voter_digest
from trustgraph.feedback.rows import Row
from trustgraph.feedback.votes import Source, Vote
from trustgraph.model import Outcome, UnixSeconds

GOOD, SPAM, MALWARE = Outcome.GOOD, Outcome.SPAM, Outcome.MALWARE
LATER = UnixSeconds(AT + 999)
ANNA = voter_digest("anna@example.org")
FORGED = f"Authentication-Results: {US}; dkim=pass header.d={REPORTER.value}"


def said(octets: bytes) -> Said:
    found = read_mail(octets, LATER, RULES)
    assert isinstance(found, Said)
    return found


# Reports by mail.


def test_a_report_by_a_reporter_is_the_recipients_vote() -> None:
    found = said(report())
    assert found.votes == (Vote(Source.USER, ANNA, SPAM, AT),)
    assert found.names == ("<1@peer.example>", "4XyZ0aBcD")
    assert (found.reported.passed, found.reported.recipients) == ({PEER}, {ANNA})


def test_golden_reports_are_by_the_reporter() -> None:
    votes = {}
    for path in sorted((GOLDEN / "feedback").glob("*.eml")):
        found = read_mail(path.read_bytes(), LATER, RULES)
        votes[path.stem] = found.votes[0][:3] if isinstance(found, Said) else found
    assert votes == {
        "abuse": (Source.USER, ANNA, SPAM),
        "auth-failure": Dismissed.NO_VERDICT,
        "headers-only": (Source.USER, voter_digest(REPORTER), SPAM),
        "not-spam": (Source.USER, ANNA, GOOD),
        "virus": (Source.USER, voter_digest(REPORTER), MALWARE),
    }


FORGERIES = {
    "not authenticated at all": report(results=None),
    "authenticated as somebody else": report(results="dkim=pass header.d=evil.example"),
    "the reporter's signature does not verify": report(results=f"dkim=fail header.d={REPORTER.value}"),
    "a domain below the reporter's": report(results=f"dkim=pass header.d=x.{REPORTER.value}"),
    "the same name by SPF": report(results=f"spf=pass smtp.mailfrom={REPORTER.value}"),
    "our results forged on top": report(results=None, sent_first=(FORGED,)),
    "forged below ours": report(results="dkim=none", sent_first=(FORGED,)),
    "with a Received of ours": report(results=None, sent_first=(received(), FORGED, received())),
    "as if by LMTP": report(
        results=None,
        sent_first=(f"Received: from {US} by store with LMTP id abcd; Mon, 2 Nov 2026 09:00:00 +0000", FORGED),
    ),
    "another's results": report(
        results=None, sent_first=(f"Authentication-Results: evil.example; dkim=pass header.d={REPORTER.value}",)
    ),
    "results in a comment": report(results=f"none (dkim=pass header.d={REPORTER.value})"),
    "only in the reported message": report(stored(results=f"dkim=pass header.d={REPORTER.value}"), results=None),
}


@pytest.mark.parametrize("octets", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_report_makes_no_vote(octets: bytes) -> None:
    assert read_mail(octets, LATER, RULES) is Dismissed.UNAUTHENTICATED


def test_without_reporters_no_report_counts() -> None:
    assert read_mail(report(), LATER, RULES._replace(reporters=())) is Dismissed.UNAUTHENTICATED


def test_a_strangers_report_is_not_looked_into() -> None:
    broken = report(results=None).replace(b"Feedback-Type: abuse", b"")
    assert read_mail(broken, LATER, RULES) is Dismissed.UNAUTHENTICATED
    with pytest.raises(BadInput, match="feedback-type"):
        read_mail(report().replace(b"Feedback-Type: abuse\n", b""), LATER, RULES)


def test_a_report_that_names_many_recipients_is_one_vote() -> None:
    many = "\n".join(f"Original-Rcpt-To: <u{number}@example.org>" for number in range(50))
    found = said(report(recipient=None).replace(b"Version: 1\n", f"Version: 1\n{many}\n".encode()))
    assert [vote.voter for vote in found.votes] == [voter_digest("u0@example.org")]


# Verdict fields in stored mail.


def test_a_filters_field_above_the_border_is_the_classifiers_vote() -> None:
    assert said(stored(above=("X-Spam-Status: Yes, score=9",))).votes == (Vote(Source.CLASSIFIER, 0, SPAM, AT),)


@pytest.mark.parametrize("field", ["X-Spam-Status: No", "X-Spam-Flag: YES", "X-Virus-Status: Infected (x)"])
def test_a_senders_own_field_is_no_vote(field: str) -> None:
    assert read_mail(stored(letter("<1@peer.example>", field)), LATER, RULES) is Dismissed.NO_VERDICT
    mixed = said(stored(letter("<1@peer.example>", field), above=("X-Spam-Status: Yes",)))
    assert [vote.outcome for vote in mixed.votes] == [SPAM]


def test_a_field_that_our_filter_keeps_clean_counts_wherever_it_stands() -> None:
    rules = RULES._replace(trusted_fields={"x-spam-flag"})
    sent = letter("<1@peer.example>", "X-Spam-Flag: YES")
    found = read_mail(stored(sent), LATER, rules)
    assert isinstance(found, Said)
    assert [vote.outcome for vote in found.votes] == [SPAM]
    twice = letter("<1@peer.example>", "X-Spam-Flag: NO", "X-Spam-Flag: YES")
    assert read_mail(stored(twice), LATER, rules) is Dismissed.NO_VERDICT


# Spamtraps.


def test_mail_to_a_trap_is_the_traps_vote() -> None:
    found = said(stored(to="Trap+x@example.org"))
    assert found.votes == (Vote(Source.TRAP, voter_digest("trap@example.org"), SPAM, AT),)


def test_a_trap_that_only_the_sender_names_is_none() -> None:
    sent = letter("<1@peer.example>", "Delivered-To: trap@example.org", "X-Original-To: trap@example.org")
    assert read_mail(stored(sent), LATER, RULES) is Dismissed.NO_VERDICT


# A recipient's own word.


def test_an_opinion_is_the_given_recipients() -> None:
    found = read_opinion(stored(), SPAM, ["Bert+x@example.org", "sales@example.org"], LATER, RULES)
    assert found.votes == (Vote(Source.USER, voter_digest("bert@example.org"), SPAM, LATER),)
    assert found.reported.recipients == {voter_digest(one) for one in ("bert@example.org", "sales@example.org")}


def test_else_the_mailbox_that_our_hosts_delivered_to() -> None:
    forged = letter("<1@peer.example>", "Delivered-To: boss@example.org")
    assert read_opinion(stored(forged), SPAM, [], LATER, RULES).votes[0].voter == ANNA


def test_an_opinion_without_a_voter_or_a_name_is_refused() -> None:
    with pytest.raises(BadInput, match="--recipient"):
        read_opinion(letter().encode(), SPAM, [], LATER, RULES)
    with pytest.raises(BadInput, match="anna"):
        read_opinion(stored(), SPAM, ["anna"], LATER, RULES)
    unnamed = letter().replace("Message-ID: <1@peer.example>\n", "").encode()
    with pytest.raises(BadInput, match="Message-ID"):
        read_opinion(unnamed, SPAM, ["anna@example.org"], LATER, RULES)


def test_a_report_that_a_recipient_calls_spam_is_spam_itself() -> None:
    found = read_opinion(report(results=None), SPAM, ["anna@example.org"], LATER, RULES)
    assert found.names[0] == "<report-1@fbl.example.net>"


def test_nobody_speaks_for_a_trap() -> None:
    found = read_opinion(stored(), GOOD, ["trap@example.org"], LATER, RULES)
    assert found.votes == (Vote(Source.TRAP, voter_digest("trap@example.org"), SPAM, LATER),)


# Rows.


def test_a_row_is_its_recipients_vote() -> None:
    row = Row("<1@peer.example>", "ANNA@example.org", GOOD, AT)
    assert read_row(row, LATER, RULES).votes == (Vote(Source.USER, ANNA, GOOD, AT),)
    assert read_row(row._replace(recipient="x@trap.example.org"), LATER, RULES).votes[0].source is Source.TRAP


def test_a_row_from_the_future_is_refused() -> None:
    with pytest.raises(BadInput, match="future"):
        read_row(Row("<1@peer.example>", "anna@example.org", GOOD, UnixSeconds(AT + 301)), AT, RULES)


@given(st.text(st.characters(codec="latin-1"), max_size=300).map(lambda text: text.encode("latin-1")))
def test_no_header_of_a_sender_makes_a_vote(header: bytes) -> None:
    """Whatever stands below our border's field, without results of ours and with a trusted name in reach."""
    octets = stored(results=None, to=None).replace(b"From: Bert", header.replace(b"\n\n", b"\n") + b"\nFrom: Bert", 1)
    try:
        found = read_mail(octets, LATER, RULES._replace(us=Us(frozenset({US}), frozenset(), frozenset({US}))))
    except BadInput:
        return
    assert not isinstance(found, Said)
