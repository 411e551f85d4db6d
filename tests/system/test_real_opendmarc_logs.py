"""What the real OpenDMARC writes into syslog and its history file, behind the real OpenDKIM and Postfix."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.system.dkim_signer import Signer, message
from tests.system.loopback_dns import LoopbackDns
from tests.system.mail_stack import FilterSetup, mixed_log, running
from trustgraph.ingest.formats import mail_syslog, opendmarc_history
from trustgraph.ingest.formats.base import LogContext, LogParser
from trustgraph.model import Observation, UnixSeconds

# The filter asks the name server of its own root directory: a loopback address that nobody else uses.
DNS = "127.9.8.7"
RECORDS = {
    ("example.org", "TXT"): "v=spf1 ip4:192.0.2.1 -all",
    ("_dmarc.example.org", "TXT"): "v=DMARC1; p=reject",
    ("relay.example.org", "TXT"): "v=spf1 ip4:192.0.2.1 -all",
}
OPTIONS = (
    "HistoryFile /history\nSPFSelfValidate yes\nSPFIgnoreResults yes\nRejectFailures no\n"
    "AuthservID mx.example.net\nTrustedAuthservIDs mx.example.net\n"
)

ORG = Signer("example.org")
WHOLE = ORG.sign(message())
BROKEN = WHOLE + b"more\r\n"

# (message, client, MAIL FROM): what syslog tells, what the history file tells.
DELIVERIES = {
    "aligned": (
        (WHOLE, "192.0.2.1", "a@example.org"),
        {"spf:example.org": "pass"},
        {"spf:example.org": "pass", "dkim:example.org": "pass"},
    ),
    "broken": (
        (BROKEN, "198.51.100.7", "a@example.org"),
        {"spf:example.org": "fail"},
        {"spf:example.org": "fail", "dkim:example.org": "fail"},
    ),
    "bounce": ((message(), "192.0.2.1", ""), {"helo:relay.example.org": "pass"}, {}),
}


def read(parser: LogParser, lines: Iterable[bytes]) -> list[Observation]:
    found = list(parser.parse(enumerate(lines, 1), LogContext(written_at=UnixSeconds(int(time.time())))))
    assert all(isinstance(entry, Observation) for entry in found), found
    return [entry for entry in found if isinstance(entry, Observation)]


def results_of(observations: Iterable[Observation], job: str) -> dict[str, str]:
    return {str(entry.identity): entry.result.value for entry in observations if entry.message == job}


def test_syslog_and_history(tmp_path: Path, require: Callable[[str], str]) -> None:
    dkim = FilterSetup(
        require("opendkim"), "Mode v\nTestPublicKeys /keys\nAuthservID mx.example.net\n", {"keys": ORG.record}
    )
    dmarc = FilterSetup(require("opendmarc"), OPTIONS, {"etc/resolv.conf": f"nameserver {DNS}\n"})
    jobs = {}
    with LoopbackDns(RECORDS, DNS, 53), running(tmp_path, require("postfix"), dkim, dmarc) as (server, filters):
        for name, ((text, client, sender), _, _) in DELIVERIES.items():
            jobs[name] = server.send(text, client, sender=sender).rpartition(b" ")[2].decode()
        server.wait_for_line(b": removed", len(jobs))
        log = mixed_log(server, filters)
        history = (filters[1].root / "history").read_bytes().splitlines()

    parser = next(parser for parser in mail_syslog.PARSERS if parser.name == "opendmarc")
    found = read(parser, log)
    assert {name: results_of(found, job) for name, job in jobs.items()} == {
        name: syslog for name, (_, syslog, _) in DELIVERIES.items()
    }
    found = read(opendmarc_history.PARSERS[0], history)
    assert {name: results_of(found, job) for name, job in jobs.items()} == {
        name: told for name, (_, _, told) in DELIVERIES.items()
    }
    assert {entry.observer for entry in found} == {"mx.example.net"}
    assert {entry.client_ip for entry in found} == {"192.0.2.1", "198.51.100.7"}
    assert all(abs(entry.observed_at - time.time()) < 120 for entry in found)
