"""Complaints by mail, through a real Postfix and its gate: forged ones change no rating, a genuine one moves one count.

The forger knows everything: he sends back the very message that was delivered, with our own results in it.
"""

from __future__ import annotations

import csv
import json
import smtplib
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.gate_lab import DEADLINE, MailHost, hosts, wait_for
from trustgraph.model import UnixSeconds
from trustgraph.store import open_store
from trustgraph.store.accepting import CachedCertificate, write_certificate

US = "receiver.example"
SCORED_AT = "2036-01-01T00:00:00Z"
FORGED = 1_000


@dataclass
class Lab:
    receiver: MailHost
    peer: MailHost
    reporter: MailHost


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, require_for_module: Callable[[str], str]) -> Iterator[Lab]:
    home, postfix = tmp_path_factory.mktemp("complaints"), require_for_module("postfix")
    known = '[milter.known_clients]\n"127.0.1.22" = "peer.example"\n"127.0.1.23" = "reporter.example"\n'
    receiver = MailHost(US, "127.0.1.21", home / "receiver", postfix, [], profile="monitor", more=known)
    peer = MailHost("peer.example", "127.0.1.22", home / "peer", postfix, [], relay=receiver)
    reporter = MailHost("reporter.example", "127.0.1.23", home / "reporter", postfix, [], relay=receiver)
    with hosts(receiver, peer, reporter):
        store = open_store(f"sqlite:///{receiver.home}/trustgraph.db", create=True)
        for host in (peer, reporter):
            write_certificate(store, CachedCertificate(host.fingerprint, certificate_of(host), UnixSeconds(1 << 32)))
        store.close()
        receiver.configure(more=f'{known}[feedback]\nreporters = ["openpgp:{reporter.fingerprint}"]\n')
        for host in (receiver, peer, reporter):
            host.start()
        yield Lab(receiver, peer, reporter)


def certificate_of(host: MailHost) -> bytes:
    armor = host.trustgraph("key", "show", "--armor").strip().splitlines()
    return b64decode("".join(line for line in armor if line and line[0] not in "-=" and ":" not in line))


def mailbox(host: MailHost, subject: str) -> Path:
    """A Maildir of the delivered messages of one subject, their clients' addresses changed: loopback is our own."""
    made = host.home / f"copies-{subject}"
    for name in ("cur", "new", "tmp"):
        (made / name).mkdir(parents=True, exist_ok=True)
    for path in (host.home / "mail/box/new").iterdir():
        octets = path.read_bytes()
        if f"\nSubject: {subject}\n".encode() in octets.replace(b"\r\n", b"\n"):
            (made / "new" / path.name).write_bytes(octets.replace(b"[127.0.1.", b"[198.51.100."))
    return made


def complaint(number: int, about: bytes, sender: str, *first: str, subject: str = "complaint") -> bytes:
    lines = [
        *first,
        f"From: Complaints <complaints@{sender}>",
        f"To: box@{US}",
        f"Subject: {subject}",
        "Date: Mon, 23 Nov 2026 10:00:00 +0000",
        f"Message-ID: <{subject}-{number}@{sender}>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=feedback-report; boundary="cut"',
        *("", "--cut", "Content-Type: text/plain", "", "Not wanted."),
        *("--cut", "Content-Type: message/feedback-report", ""),
        *("Feedback-Type: abuse", "User-Agent: Complainer/1", "Version: 1", f"Original-Rcpt-To: <box@{US}>"),
        *("", "--cut", "Content-Type: message/rfc822", ""),
    ]
    return (
        "\r\n".join(lines).encode()
        + b"\r\n"
        + about.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        + b"\r\n--cut--\r\n"
    )


def forged(number: int, about: bytes, reporter: MailHost, signature: bytes) -> bytes:
    """One after the other, everything that a stranger can write."""
    passed = f"x-pgp-header=pass header.d={reporter.name} header.fp={reporter.fingerprint}"
    received = (
        f"Received: from {US} (localhost [127.0.0.1]) by {US} with LMTP id 4Fake; Mon, 23 Nov 2026 10:00:00 +0000"
    )
    tricks: list[list[str]] = [
        [],
        [f"Authentication-Results: {US}; {passed}"],
        [f"Authentication-Results: {US.upper()} 1; {passed}"],
        [f'Authentication-Results: "{US}"; {passed}'],
        [f"Authentication-Results: (x) {US}; {passed}"],
        [received, f"Authentication-Results: {US}; {passed}", received],
        [f"Delivered-To: box@{US}", f"X-Original-To: box@{US}", f"Authentication-Results: other.example; {passed}"],
        [f"PGP-Header-Signature:{signature.decode()}"],
    ]
    return complaint(number, about, reporter.name, *tricks[number % len(tricks)], subject="forged")


def send(receiver: MailHost, *texts: bytes) -> None:
    """From an address that is nobody's."""
    for start in range(0, len(texts), 50):
        with smtplib.SMTP(receiver.address, receiver.port, "stranger.example", DEADLINE, ("127.0.1.66", 0)) as session:
            for text in texts[start : start + 50]:
                session.sendmail("anybody@reporter.example", [f"box@{US}"], text)


def delivered(host: MailHost, count: int) -> None:
    wait_for(lambda: host.delivered_count() == count, f"{count} messages should be delivered", 120)


def ingest(receiver: MailHost, path: Path) -> dict[str, int]:
    counts = json.loads(receiver.trustgraph("ingest", "feedback", str(path), "--json"))
    return {name: number for name, number in counts.items() if number and name != "problems"}


def exports(receiver: MailHost, peer: MailHost) -> tuple[bytes, bytes]:
    """History and ratings as they are now."""
    receiver.trustgraph("score", "--at", SCORED_AT, "--anchor", f"openpgp:{peer.fingerprint}")
    files = [receiver.home / f"{kind}.csv" for kind in ("history", "ratings")]
    for file in files:
        receiver.trustgraph("export", file.stem, str(file))
    history, ratings = (file.read_bytes() for file in files)
    return history, ratings


def bad(history: bytes, identity: str) -> int:
    rows = csv.DictReader(history.decode().splitlines())
    return sum(int(row["spam"]) for row in rows if row["subject"] == identity)


def test_forged_complaints_change_no_rating_and_a_genuine_one_moves_one_count(lab: Lab) -> None:
    receiver, peer, reporter = lab.receiver, lab.peer, lab.reporter
    peer.submit(3, f"box@{US}", "honest")
    delivered(receiver, 3)
    wait_for(lambda: observed(receiver) == 3, "they should be observed")
    copies = [path.read_bytes() for path in sorted((mailbox(receiver, "honest") / "new").iterdir())]
    signature = copies[0].partition(b"PGP-Header-Signature:")[2].partition(b"\nFrom:")[0].rstrip()
    first = exports(receiver, peer)

    for numbers in ([0], range(1, FORGED + 1)):
        send(receiver, *(forged(number, copies[number % 3], reporter, signature) for number in numbers))
        count = 3 + numbers[-1] + 1
        delivered(receiver, count)
        wait_for(lambda all_of_it=count: observed(receiver) == all_of_it, "the complaints should be observed as mail")
        before = exports(receiver, peer)
        box = mailbox(receiver, "forged")
        assert ingest(receiver, box) == {"pieces": count - 3, "unauthenticated": count - 3}
        assert exports(receiver, peer) == before
        for old, new in zip(first, before, strict=True):  # mail by nobody is all that has come in besides
            assert set(new.splitlines()) >= set(old.splitlines())

    with smtplib.SMTP(reporter.address, reporter.port, "client.example", DEADLINE, ("127.0.0.1", 0)) as session:
        for number in range(2):  # a complaint that comes twice is one
            text = complaint(number, copies[0], reporter.name)
            session.sendmail(f"complaints@{reporter.name}", [f"box@{US}"], text)
    delivered(receiver, 6 + FORGED)
    wait_for(lambda: observed(receiver) == 6 + FORGED, "the genuine ones should be observed as mail")
    assert ingest(receiver, mailbox(receiver, "complaint")) == {"pieces": 2, "moved": 1, "same": 1}
    history, ratings = exports(receiver, peer)
    identity = f"openpgp:{peer.fingerprint}"
    assert (bad(before[0], identity), bad(history, identity)) == (0, 1)
    assert ratings != before[1]

    user = receiver.trustgraph("feedback", "--outcome", "good", "--recipient", f"Box+x@{US}", stdin=copies[0])
    assert "taken for something else" in user
    assert bad(exports(receiver, peer)[0], identity) == 0


def observed(receiver: MailHost) -> int:
    return sum(int(str(event["new"])) for event in receiver.events("spool_drained"))
