"""What the real Postfix writes about clients, refusals by milters and the end of messages, beside OpenDKIM's lines."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Callable
from pathlib import Path

from tests.system.dkim_signer import Signer, message
from tests.system.mail_stack import FilterSetup, mixed_log, running
from tests.system.refusing_milter import RefusingMilter
from trustgraph.ingest.formats import mail_syslog
from trustgraph.ingest.formats.base import LogContext
from trustgraph.model import Observation, UnixSeconds

ORG = Signer("example.org")
REFUSALS = {
    b"spam": b"554 5.7.1 Spam message rejected",
    b"virus": b'554 5.7.1 clamav: virus found: "Eicar-Test-Signature"',
    b"greylisted": b"451 4.7.1 Try again later",
    b"policy": b"550 5.7.1 rejected by DMARC policy for spam.example",
}
OUTCOMES = {"clean": "unknown", "spam": "spam", "virus": "malware", "greylisted": "unknown", "policy": "unknown"}


def test_clients_and_outcomes(tmp_path: Path, require: Callable[[str], str]) -> None:
    dkim = FilterSetup(require("opendkim"), "Mode v\nTestPublicKeys /keys\nLogResults yes\n", {"keys": ORG.record})
    with (
        RefusingMilter(REFUSALS) as content_filter,
        running(tmp_path, require("postfix"), dkim, milter=content_filter.milter) as (server, filters),
    ):
        for number, subject in enumerate(OUTCOMES, 1):
            host = "mail.example.org" if subject == "clean" else "[UNAVAILABLE]"
            reply = server.send(ORG.sign(message(subject)), f"192.0.2.{number}", host)
            assert reply == REFUSALS.get(subject.encode(), reply)[4:] or subject == "clean"
        server.wait_for_line(b": removed", 1)
        log = mixed_log(server, filters)

    parser = mail_syslog.PARSERS[0]
    found = list(parser.parse(enumerate(log, 1), LogContext(written_at=UnixSeconds(int(time.time())))))
    assert {
        (str(entry.identity), entry.result.value, entry.outcome.value, entry.host, entry.client_ip)
        for entry in found
        if isinstance(entry, Observation)
    } == {
        told
        for number, (subject, outcome) in enumerate(OUTCOMES.items(), 1)
        for address in [f"192.0.2.{number}"]
        for host in ["mail.example.org" if subject == "clean" else ""]
        for told in [
            ("dkim:example.org", "pass", outcome, host, address),
            (f"ip:{address}", "pass" if host else "none", outcome, host, address),
        ]
    }
    assert len(found) == 2 * len(OUTCOMES)
    jobs = {entry.message for entry in found if isinstance(entry, Observation)}
    assert all(re.fullmatch(r"[0-9A-F]{6,}", job) for job in jobs)
    assert len(jobs) == len(OUTCOMES)


def test_this_hosts_own_connection_is_no_client(tmp_path: Path, require: Callable[[str], str]) -> None:
    with running(tmp_path, require("postfix")) as (server, _):
        with smtplib.SMTP("127.0.0.1", server.port, local_hostname="mx.example.net") as session:
            session.sendmail("a@example.org", "someone@example.net", message())
        server.wait_for_line(b": removed", 1)
        log = server.lines()
    parser = mail_syslog.PARSERS[0]
    assert list(parser.parse(enumerate(log, 1), LogContext(written_at=UnixSeconds(int(time.time()))))) == []
