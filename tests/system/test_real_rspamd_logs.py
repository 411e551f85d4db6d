"""A real rspamd checks DKIM and SPF against a loopback DNS server; its log and its JSON rows are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.bulk_catcher import BulkCatcher
from tests.system.dkim_mail import DkimSigner, plain_message
from tests.system.loopback_dns import LoopbackDns
from tests.system.rspamd_server import RspamdServer, running_rspamd
from trustgraph.ingest.formats import rspamd, rspamd_json
from trustgraph.ingest.formats.base import LogContext, LogParser, Reject
from trustgraph.model import Observation

CONTEXT = LogContext(observer="mx1.example.org")
#: rspamd's test string, which it answers with reject.
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

#: The elastic module sends one for each message but the test string's, behind an action line.
ROWS = 7

Told = list[tuple[str, str, str]]
EXPECTED: Told = [
    ("spf:example.org", "pass", "good"),
    ("dkim:example.org", "pass", "good"),
    ("spf:example.org", "fail", "good"),
    ("dkim:example.org", "fail", "good"),
    ("spf:example.net", "policy", "good"),
    ("dkim:example.net", "fail", "good"),
    ("spf:nokey.example", "none", "good"),
    ("dkim:nokey.example", "permerror", "good"),
    ("spf:neutral.example", "neutral", "good"),
]


def _send_all(server: RspamdServer, good: DkimSigner, other: DkimSigner) -> None:
    signed = good.sign(plain_message("a@example.org", "m1@example.org"))
    keyless = DkimSigner("nokey.example").sign(plain_message("a@nokey.example", "m3@nokey.example"))
    gtube = plain_message("a@example.org", "m6@example.org").replace(b"The cat", GTUBE + b"\r\nThe cat")
    server.check(signed, ip="192.0.2.1", from_="a@example.org")
    server.check(signed.replace(b"cat", b"dog"), ip="192.0.2.77", from_="a@example.org")
    server.check(other.sign(plain_message("a@example.net", "m2@example.net")), ip="2001:db8::1", from_="a@example.net")
    server.check(keyless, ip="192.0.2.1", from_="a@nokey.example")
    server.check(plain_message("a@neutral.example", "m4@neutral.example"), ip="192.0.2.1", from_="a@neutral.example")
    server.check(plain_message("a@example.org", "m5@example.org"), ip="192.0.2.1", from_="")
    server.check(gtube, ip="192.0.2.1", from_="")
    forged = '"a>, (default: F (no action): [0.00/15.00] [R_SPF_ALLOW(-0.20){+all;}]), len: 1"@evil.example'
    server.check(plain_message("a@example.org", "m7@example.org"), ip="192.0.2.1", from_=forged)


def _told(parser: LogParser, lines: list[bytes]) -> tuple[Told, list[Reject]]:
    found = list(parser.parse(enumerate(lines, 1), CONTEXT))
    told = [(str(o.identity), o.result.value, o.outcome.value) for o in found if isinstance(o, Observation)]
    return told, [entry for entry in found if isinstance(entry, Reject)]


@pytest.fixture
def written(require: Callable[[str], str], tmp_path: Path) -> tuple[list[bytes], list[bytes]]:
    """The lines of the log and of the elastic module's rows, for the same messages."""
    program = require("rspamd")
    good, other = DkimSigner("example.org"), DkimSigner("example.net")
    records = {
        (good.name, "TXT"): good.record,
        (other.name, "TXT"): good.record,
        ("example.org", "TXT"): "v=spf1 ip4:192.0.2.1 -all",
        ("example.net", "TXT"): "v=spf1 ip4:192.0.2.2 ~all",
        ("neutral.example", "TXT"): "v=spf1 ?all",
    }
    with (
        LoopbackDns(records) as dns,
        BulkCatcher() as elastic,
        running_rspamd(program, tmp_path, dns.port, elastic.port) as server,
    ):
        _send_all(server, good, other)
        rows = [elastic.lines.get(timeout=60) for _ in range(2 * ROWS)]
    return server.log_lines(), rows


def test_log_and_elastic_rows(written: tuple[list[bytes], list[bytes]]) -> None:
    log, rows = written
    told, rejects = _told(rspamd.PARSERS[0], log)
    assert told == EXPECTED
    assert len(rejects) == 1
    assert b"evil.example" in rejects[0].line
    assert all(rspamd.PARSERS[0].recognises(line) for line in log)

    told, rejects = _told(rspamd_json.PARSERS[0], rows)
    assert not rejects
    # Here nothing is ambiguous, so the forged sender's message counts as well.
    assert told == [*EXPECTED, ("spf:evil.example", "none", "good")]
