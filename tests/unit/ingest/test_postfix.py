"""Postfix's lines, and the joining of all programs' lines about a message."""

from __future__ import annotations

import pytest

from tests.unit.ingest.mail_log_cases import CONTEXT, check_golden, parse, told
from trustgraph.ingest.formats import mail_join, mail_syslog
from trustgraph.ingest.formats.base import Reject
from trustgraph.model import Observation, Outcome

SYSLOG, OPENDKIM, _, POSTFIX = mail_syslog.PARSERS
PASSED = 'opendkim[9]: {}: signature=a domain=example.org selector=s result="no signature error"'


def line(text: str, minute: int = 5, host: str = "mx") -> bytes:
    return f"Nov  3 04:{minute:02d}:06 {host} {text}".encode()


def client(queue_id: str, name: str = "mail.example.org[192.0.2.1]", process: int = 1) -> bytes:
    return line(f"postfix/smtpd[{process}]: {queue_id}: client={name}")


def observations(*lines: bytes) -> list[Observation]:
    found = parse(SYSLOG, *lines)
    assert not any(isinstance(entry, Reject) for entry in found)
    return [entry for entry in found if isinstance(entry, Observation)]


def test_golden() -> None:
    check_golden(SYSLOG, "postfix/milter_outcomes.log")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mail.example.org[192.0.2.1]", [("ip:192.0.2.1", "pass")]),
        ("mail.example.org[192.0.2.1]:4711", [("ip:192.0.2.1", "pass")]),
        ("unknown[2001:db8::1]", [("ip:2001:db8::1", "none")]),
        ("mail.example.org[192.0.2.1], sasl_method=PLAIN, sasl_username=a@example.net", []),
        ("localhost[127.0.0.1]", []),
        ("localhost[::1]", []),
        ("localhost[127.0.0.1], orig_queue_id=4F12C33EA4, orig_client=mail.example.org[192.0.2.1]", []),
    ],
)
def test_clients(name: str, expected: list[tuple[str, str]]) -> None:
    assert told(parse(POSTFIX, client("4F12C33EA4", name))) == expected


@pytest.mark.parametrize("name", ["mail.example.org", "a..b[192.0.2.1]", "unknown[192.0.2.999]"])
def test_malformed_clients_are_rejected(name: str) -> None:
    assert [kind for kind, _ in told(parse(POSTFIX, client("4F12C33EA4", name)))] == ["reject"]


def test_handed_back_message_keeps_its_first_client() -> None:
    name = "localhost[127.0.0.1], orig_client=mail.example.org[192.0.2.1]"
    (found,) = observations(client("4F12C33EA4", name), line(PASSED.format("4F12C33EA4")))
    assert (found.client_ip, found.host) == ("192.0.2.1", "mail.example.org")


@pytest.mark.parametrize("service", ["postfix/smtpd", "postfix/submission/smtpd", "postfix-in/smtpd"])
def test_instances_and_services(service: str) -> None:
    text = line(f"{service}[1]: 4F12C33EA4: client=unknown[192.0.2.1]")
    assert POSTFIX.recognises(text)
    assert told(parse(POSTFIX, text)) == [("ip:192.0.2.1", "none")]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 5.7.1 Spam message rejected; from=<a@b>", "spam"),
        ("milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 5.7.1 Gtube pattern; from=<a@b>", "spam"),
        ("milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 5.7.1 Blocked by SpamAssassin; from=<a@b>", "spam"),
        ("milter-discard: END-OF-MESSAGE from x[192.0.2.1]: Spam message rejected; from=<a@b>", "spam"),
        ('milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 5.7.1 clam: virus found: "E"; from=<a@b>', "malware"),
        ("milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 5.7.1 Blocked by ClamAV - E; from=<a@b>", "malware"),
        ("milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 4.7.1 Try again later; from=<a@b>", "unknown"),
        ("milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 5.7.1 no; from=<Spam message rejected@b>", "unknown"),
        (
            "milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 5.7.1 rejected by DMARC policy for spam.example;",
            "unknown",
        ),
    ],
)
def test_outcomes(text: str, outcome: str) -> None:
    found = observations(
        client("4F12C33EA4"), line(PASSED.format("4F12C33EA4")), line(f"postfix/cleanup[2]: 4F12C33EA4: {text}")
    )
    assert {entry.outcome.value for entry in found} == {outcome}
    assert len(found) == 2


@pytest.mark.parametrize(
    "end",
    [
        "postfix/qmgr[3]: 4F12C33EA4: removed",
        "postfix/smtpd[1]: disconnect from mail.example.org[192.0.2.1] ehlo=1 quit=1 commands=2",
        "postfix/cleanup[2]: 4F12C33EA4: milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 5.7.1 no; from=<a@b>",
    ],
)
def test_emitted_when_complete(end: str) -> None:
    lines = iter([client("4F12C33EA4"), line(end), client("4F12C33EA5", process=2)])
    stream = SYSLOG.parse(enumerate(lines, 1), CONTEXT)
    assert told([next(stream)]) == [("ip:192.0.2.1", "pass")]
    assert next(lines, None) is not None  # before the next line was read


def test_disconnect_ends_the_own_messages_only() -> None:
    lines = (client("AAAAA1", process=1), client("BBBBB1", process=2), line("postfix/smtpd[2]: disconnect from x"))
    assert [entry.message for entry in observations(*lines)] == ["BBBBB1", "AAAAA1"]


def test_too_old_messages_are_emitted() -> None:
    late = "Nov  3 06:05:06 mx " + PASSED.format("BBBBB1")
    lines = iter([line(PASSED.format("AAAAA1")), late.encode(), b"last"])
    assert told([next(SYSLOG.parse(enumerate(lines, 1), CONTEXT))]) == [("dkim:example.org", "pass")]
    assert next(lines) == b"last"


def test_open_messages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_join, "MAX_OPEN_MESSAGES", 2)
    lines = iter([line(PASSED.format(job)) for job in ("AAAAA1", "BBBBB1", "CCCCC1", "DDDDD1")])
    first = next(SYSLOG.parse(enumerate(lines, 1), CONTEXT))
    assert isinstance(first, Observation)
    assert first.message == "AAAAA1"
    assert len(list(lines)) == 1


def test_key_does_not_depend_on_joined_lines() -> None:
    whole = [
        client("4F12C33EA4"),
        line(PASSED.format("4F12C33EA4"), minute=6),
        line("postfix/qmgr[3]: 4F12C33EA4: removed"),
    ]
    full, part = (parse(OPENDKIM, *lines) for lines in (whole, whole[1:2]))
    (rich,), (poor,) = full, part
    assert isinstance(rich, Observation)
    assert isinstance(poor, Observation)
    assert (rich.observed_at, rich.observer, rich.identity, rich.message) == (
        poor.observed_at,
        poor.observer,
        poor.identity,
        poor.message,
    )
    assert (rich.client_ip, poor.client_ip) == ("192.0.2.1", "")
    assert rich.outcome is Outcome.UNKNOWN


def test_same_queue_id_on_two_hosts() -> None:
    lines = [line(PASSED.format("AAAAA1"), host=host) for host in ("mx1.example.net", "mx2.example.net")]
    assert [entry.observer for entry in observations(*lines)] == ["mx1.example.net", "mx2.example.net"]


def test_each_name_gives_its_own_identities() -> None:
    lines = (
        client("AAAAA1"),
        line(PASSED.format("AAAAA1")),
        line("opendmarc[8]: AAAAA1: SPF(mailfrom): example.org pass"),
    )
    assert {parser.name: sorted(name for name, _ in told(parse(parser, *lines))) for parser in mail_syslog.PARSERS} == {
        "syslog": ["dkim:example.org", "ip:192.0.2.1", "spf:example.org"],
        "opendkim": ["dkim:example.org"],
        "opendmarc": ["spf:example.org"],
        "postfix": ["ip:192.0.2.1"],
    }


def test_other_programs_are_passed_over() -> None:
    lines = (line("CRON[5]: (root) CMD (true)"), line("dovecot: imap(a): Logged out"), b"", b"\xff\xfe" * 100)
    assert parse(SYSLOG, *lines) == []
    assert not any(map(SYSLOG.recognises, lines))
