"""OpenSMTPD runs `trustgraph smtpd-filter`, with the configuration that docs/gate.md gives."""

from __future__ import annotations

import os
import signal
import smtplib
import sys
from contextlib import closing
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.system.gate_lab import MailHost, letter, wait_for
from tests.system.opensmtpd_server import SmtpdServer, running_opensmtpd
from tests.system.test_gate_with_exim import documented, peer, signed

__all__ = ["peer"]

SENDER = "sender@peer.example"
READER = "reader@example.com"


def settings_for(host: MailHost) -> str:
    """The documented lines, with this program, its settings, and the loopback."""
    command = f"{sys.executable} -m trustgraph --config {host.home}/trustgraph.toml smtpd-filter"
    lines = documented("smtpd.conf").replace("/usr/bin/trustgraph smtpd-filter", command)
    lines = lines.replace('user "trustgraph" group "trustgraph"', 'user "root" group "root"')
    return lines.replace("listen on egress", "listen on 127.0.0.1 port {port}")


@pytest.fixture
def folder(peer: MailHost) -> Path:
    """Where smtpd lives."""
    return peer.home / "smtpd"


def arrived(server: SmtpdServer, count: int) -> list[bytes]:
    wait_for(lambda: len(server.delivered()) >= count, f"{count} messages should be delivered")
    messages = server.delivered()
    assert len(messages) == count
    return messages


def above_received(message: bytes) -> bytes:
    """What is above the Received field that smtpd has put in, without what the delivery has put there."""
    top, _, _ = message.partition(b"Received: from ")
    return b"".join(
        line for line in top.splitlines(keepends=True) if not line.startswith((b"Return-Path:", b"Delivered-To:"))
    )


def reply_of(client: smtplib.SMTP, message: bytes) -> str:
    """The reply after DATA, empty where the server has gone away before."""
    try:
        code, reply = client.data(message)
    except (smtplib.SMTPException, OSError):
        return ""
    return f"{code} {reply.decode()}"


def test_opensmtpd_accepts_refuses_and_defers_as_the_filter_says(opensmtpd: str, peer: MailHost, folder: Path) -> None:
    good = signed(peer, letter("peer.example", READER, "good", 1) + b".dots\r\n..\r\n\r\n")
    forged = b"Authentication-Results: peer.example; x-pgp-header=pass header.d=forged.example\r\n"
    large = signed(peer, letter("peer.example", READER, "large", 2) + b"A line of it.\r\n" * 100_000)
    with running_opensmtpd(opensmtpd, folder, settings_for(peer)) as server:
        assert server.reply_to(forged + good, sender=SENDER).startswith("250 ")
        assert server.reply_to(large, sender=SENDER).startswith("250 ")
        assert server.reply_to(good.replace(b"Subject: good", b"Subject: gone"), sender=SENDER).startswith("550 5.7.7 ")
        assert server.reply_to(good.replace(b"Message 1", b"Message 2"), sender=SENDER).startswith("550 5.7.7 ")
        unknown = good.replace(peer.fingerprint.encode(), b"ab" * 20)
        assert server.reply_to(unknown, sender=SENDER).startswith("451 4.7.5 ")
        bare = letter("peer.example", READER, "bare", 3)
        assert server.reply_to(bare, sender=SENDER).startswith("550 5.7.0 ")
        long = letter("peer.example", READER, "long", 4) + b"x" * 3_000 + b"\r\n"
        assert server.reply_to(long, sender=SENDER).startswith("552 5.3.4 ")
        messages = arrived(server, 2)
    by_subject = {message_from_bytes(one)["Subject"]: one for one in messages}
    assert set(by_subject) == {"good", "large"}
    for message in messages:
        (results,) = message_from_bytes(message).get_all("Authentication-Results") or []
        assert " ".join(results.split()).startswith("peer.example; x-pgp-header=pass header.d=peer.example")
        assert above_received(message).startswith(b"Authentication-Results: peer.example;\n\tx-pgp-header=pass ")
    assert by_subject["good"].endswith(b"\n\nMessage 1.\n.dots\n..\n\n")
    assert by_subject["large"].count(b"A line of it.\n") == 100_000


def test_mail_of_the_machine_itself_is_signed(opensmtpd: str, peer: MailHost, folder: Path) -> None:
    text = letter("peer.example", READER, "outgoing", 1).replace(b"\r\n", b"\n")
    with running_opensmtpd(opensmtpd, folder, settings_for(peer)) as server:
        server.submit(text, sender=SENDER, recipient=READER)
        (message,) = arrived(server, 1)
        assert above_received(message).startswith(b"PGP-Header-Signature: v=1; d=peer.example;")
        # What another host gets of it, smtpd's own completions included, passes there.
        _, _, sent = message.partition(above_received(message)[:20])
        again = (above_received(message)[:20] + sent).replace(b"\n", b"\r\n")
        assert server.reply_to(again, sender=SENDER).startswith("250 ")


def test_when_the_filter_is_killed_nothing_is_accepted(opensmtpd: str, peer: MailHost, folder: Path) -> None:
    good = signed(peer, letter("peer.example", READER, "good", 1))
    with running_opensmtpd(opensmtpd, folder, settings_for(peer)) as server:
        with closing(smtplib.SMTP("127.0.0.1", server.port, "helo.example.net", timeout=60)) as client:
            client.ehlo()
            client.mail(SENDER)
            client.rcpt(READER)
            os.kill(server.filter_process(), signal.SIGKILL)
            assert reply_of(client, good)[:1] not in ("2", "3")
        server.process.wait(60)  # and smtpd itself ends
        assert "lost processor" in server.log()
        with pytest.raises(ConnectionRefusedError):
            server.reply_to(good, sender=SENDER)
        assert server.delivered() == []
