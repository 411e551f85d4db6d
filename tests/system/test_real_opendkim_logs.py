"""What the real OpenDKIM writes about messages that the real Postfix hands it, and what the parsers make of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.system.dkim_signer import Signer, message
from tests.system.mail_stack import Filter, FilterSetup, mixed_log, running
from trustgraph.ingest.formats import mail_syslog, opendkim_stats
from trustgraph.ingest.formats.base import LogContext, LogParser
from trustgraph.model import Observation, Outcome, UnixSeconds

ORG = Signer("example.org")
COM = Signer("example.com")

# What is sent, and what LogResults tells of each: {domain: result}.
MESSAGES = {
    "valid": (ORG.sign(message()), {"example.org": "pass"}),
    "two valid": (COM.sign(ORG.sign(message())), {"example.com": "pass", "example.org": "pass"}),
    "changed body": (ORG.sign(message()) + b"more\r\n", {"example.org": "fail"}),
    "changed header": (ORG.sign(message()).replace(b"hello\r\nDate", b"hi\r\nDate"), {"example.org": "fail"}),
    "other's key": (Signer("example.com").sign(message()), {"example.com": "fail"}),
    "unsigned": (message(), {}),
    "no such key": (ORG.sign(message(), s="none"), {"example.org": "permerror"}),
    "revoked key": (ORG.sign(message(), s="revoked"), {"example.org": "permerror"}),
    "undecodable key": (ORG.sign(message(), s="garbage"), {"example.org": "permerror"}),
    "expired": (ORG.sign(message(), t="1000000000", x="1000000100"), {"example.org": "permerror"}),
    "unknown version": (ORG.sign(message(), v="9"), {"example.org": "permerror"}),
    "no From signed": (ORG.sign(message(), h="To:Subject"), {"example.org": "permerror"}),
    "broken, then whole": (ORG.sign(ORG.sign(message(), s="none")), {"example.org": "pass"}),
    "forged result": (ORG.sign(message(), d='example.org" result="no signature error'), {}),
}

# Without LogResults only the deciding signature shows, and not every reason why it could not be tested.
PLAIN = {name: results for name, (_, results) in MESSAGES.items()} | {
    "two valid": {"example.com": "pass"},
    "expired": {},
    "unknown version": {},
    "no From signed": {},
}

KEYS = (
    ORG.record
    + COM.record
    + "revoked._domainkey.example.org v=DKIM1; k=rsa; p=\n"
    + "garbage._domainkey.example.org v=DKIM1; k=rsa; p=AAAA\n"
)


def read(parser: LogParser, lines: Iterable[bytes]) -> list[Observation]:
    found = list(parser.parse(enumerate(lines, 1), LogContext(written_at=UnixSeconds(int(time.time())))))
    assert all(isinstance(entry, Observation) for entry in found), found
    return [entry for entry in found if isinstance(entry, Observation)]


def parser_named(name: str) -> LogParser:
    return next(parser for parser in mail_syslog.PARSERS if parser.name == name)


def deliver_all(
    tmp_path: Path, require: Callable[[str], str], options: str
) -> tuple[dict[str, str], list[bytes], Filter]:
    """Sends MESSAGES; returns the queue ID of each, the mixed log and the filter."""
    setup = FilterSetup(
        require("opendkim"), f"Mode v\nTestPublicKeys /keys\nSyslogSuccess yes\n{options}", {"keys": KEYS}
    )
    with running(tmp_path, require("postfix"), setup) as (server, (opendkim,)):
        jobs = {}
        for name, (text, _) in MESSAGES.items():
            jobs[name] = server.send(text, "192.0.2.1", "mail.example.org").rpartition(b" ")[2].decode()
        server.wait_for_line(b": removed", len(MESSAGES))
        return jobs, mixed_log(server, [opendkim]), opendkim


def results_of(observations: Iterable[Observation], job: str) -> dict[str, str]:
    return {entry.identity.value: entry.result.value for entry in observations if entry.message == job}


@pytest.mark.parametrize("options", ["LogResults yes\n", "LogResults yes\nLogWhy yes\n", ""])
def test_syslog(tmp_path: Path, require: Callable[[str], str], options: str) -> None:
    jobs, log, _ = deliver_all(tmp_path, require, options)
    found = read(parser_named("opendkim"), log)
    expected = {name: results for name, (_, results) in MESSAGES.items()} if options else PLAIN
    assert {name: results_of(found, job) for name, job in jobs.items()} == expected
    assert {entry.observer for entry in found} == {"mx"}
    assert {(entry.client_ip, entry.host, entry.outcome) for entry in found} == {
        ("192.0.2.1", "mail.example.org", Outcome.UNKNOWN)
    }
    assert all(abs(entry.observed_at - time.time()) < 120 for entry in found)


def test_statistics_file(tmp_path: Path, require: Callable[[str], str]) -> None:
    jobs, _, opendkim = deliver_all(tmp_path, require, "Statistics /statistics\n")
    lines = (opendkim.root / "statistics").read_bytes().splitlines()
    parser = opendkim_stats.PARSERS[0]
    assert all(parser.recognises(line) for line in lines)
    found = read(parser, lines)
    assert {name: results_of(found, job) for name, job in jobs.items()} == {
        name: results for name, (_, results) in MESSAGES.items()
    }
    assert {entry.client_ip for entry in found} == {"192.0.2.1"}
