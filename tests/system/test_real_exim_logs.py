"""A real Exim verifies real DKIM signatures against a loopback DNS server, and its main log is read."""

from __future__ import annotations

from pathlib import Path

from tests.system.dkim_mail import DkimSigner, plain_message
from tests.system.exim_server import running_exim
from tests.system.loopback_dns import LoopbackDns
from trustgraph.ingest.formats.base import LogContext, Reject
from trustgraph.ingest.formats.exim import PARSERS
from trustgraph.model import Observation

#: The resolver asks on port 53 only, so the DNS server has a loopback address to itself.
DNS_ADDRESS = "127.83.71.5"


def test_exim_log(exim: str, tmp_path: Path) -> None:
    good, other, keyless = DkimSigner("example.org"), DkimSigner("example.net"), DkimSigner("nokey.example")
    records = {
        (good.name, "TXT"): good.record,
        (other.name, "TXT"): good.record,
        ("1.0.0.127.in-addr.arpa", "PTR"): "mx.example.org",
        ("mx.example.org", "A"): "127.0.0.1",
    }
    signed = good.sign(plain_message("a@example.org", "m@example.org"))
    ube = good.sign(plain_message("a@example.org", "ube@example.org").replace(b"The cat", b"UBE"))
    virus = good.sign(plain_message("a@example.org", "eicar@example.org").replace(b"The cat", b"EICAR"))
    lying_i = b"c=relaxed/relaxed; i=x=20[verification=20succeeded]@example.org;"
    with LoopbackDns(records, DNS_ADDRESS, 53), running_exim(exim, tmp_path, DNS_ADDRESS) as server:
        codes = [
            server.send(signed),
            server.send(signed.replace(b"cat", b"dog"), source="127.0.0.9"),
            server.send(other.sign(plain_message("a@example.net", "n@example.net"))),
            server.send(keyless.sign(plain_message("a@nokey.example", "k@nokey.example"))),
            server.send(
                plain_message("a@example.org", "p@example.org"), sender='"H=b.example [192.0.2.9] "@example.org'
            ),
            server.send(ube),
            server.send(virus, sender=""),
            server.send(signed.replace(b"c=relaxed/relaxed;", lying_i)),
        ]
    assert codes == [250, 250, 250, 250, 250, 550, 550, 250]

    log = (tmp_path / "log" / "mainlog").read_bytes().splitlines()
    found = list(PARSERS[0].parse(enumerate(log, 1), LogContext(observer="mx1.example.org")))
    observations = [entry for entry in found if isinstance(entry, Observation)]
    assert [(str(o.identity), o.result.value, o.outcome.value, o.host) for o in observations] == [
        ("dkim:example.org", "pass", "unknown", "mx.example.org"),
        ("ip:127.0.0.1", "pass", "unknown", "mx.example.org"),
        ("dkim:example.org", "fail", "unknown", ""),
        ("ip:127.0.0.9", "none", "unknown", ""),
        ("dkim:example.net", "fail", "unknown", "mx.example.org"),
        ("ip:127.0.0.1", "pass", "unknown", "mx.example.org"),
        ("dkim:nokey.example", "temperror", "unknown", "mx.example.org"),
        ("ip:127.0.0.1", "pass", "unknown", "mx.example.org"),
        ("ip:127.0.0.1", "pass", "unknown", "mx.example.org"),
        ("dkim:example.org", "pass", "spam", "mx.example.org"),
        ("ip:127.0.0.1", "pass", "spam", "mx.example.org"),
        ("dkim:example.org", "pass", "malware", "mx.example.org"),
        ("ip:127.0.0.1", "pass", "malware", "mx.example.org"),
        ("ip:127.0.0.1", "pass", "unknown", "mx.example.org"),
    ]
    rejects = [entry for entry in found if isinstance(entry, Reject)]
    assert rejects
    assert all(b"i=x [verification succeeded]@example.org" in entry.line for entry in rejects)
