"""Exim asks `trustgraph gate` over a local socket, with the configuration that docs/gate.md gives."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.system.exim_server import running_exim
from tests.system.gate_lab import MailHost, letter, wait_for
from trustgraph.model import UnixSeconds
from trustgraph.services.hostkeys import open_signer
from trustgraph.settings import load_settings
from trustgraph.store import open_store
from trustgraph.store.accepting import CachedCertificate, write_certificate

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "gate.md").read_text()


def documented(section: str) -> str:
    """The indented block of the documentation that starts with this comment, as a mail operator would copy it."""
    found = re.search(rf"^    # {section}\n((?:    .*\n)+)", DOCUMENTED, re.MULTILINE)
    assert found is not None
    return re.sub(r"^    ", "", found[1], flags=re.MULTILINE)


@contextmanager
def gate(host: MailHost) -> Iterator[str]:
    path = host.home / "gate.sock"
    command = [sys.executable, "-m", "trustgraph", "--config", str(host.home / "trustgraph.toml")]
    with (host.home / "gate.log").open("wb") as log:
        process = subprocess.Popen([*command, "gate", "--listen", f"unix:{path}"], stderr=log)
    try:
        wait_for(lambda: b"milter_serving" in (host.home / "gate.log").read_bytes(), "the gate should serve")
        yield str(path)
    finally:
        process.terminate()
        process.wait(60)


def signed(host: MailHost, text: bytes, recipient: str = "reader@example.com") -> bytes:
    command = [sys.executable, "-m", "trustgraph", "--config", str(host.home / "trustgraph.toml"), "sign"]
    arguments = ["--mail-from", f"sender@{host.name}", "--rcpt", recipient]
    return subprocess.run([*command, *arguments], input=text, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture
def peer(tmp_path: Path) -> MailHost:
    """A host whose key is at hand, allowed by the operator; no keyserver answers for any other key."""
    host = MailHost("peer.example", "127.0.0.1", tmp_path / "peer", "", ["hkp://127.0.0.1:9"])
    host.prepare()
    allow = f'[[policy.override]]\nmatch = "openpgp:{host.fingerprint}"\naction = "allow"\nnote = "a test"\n'
    host.configure(more=allow)
    settings = load_settings(host.home / "trustgraph.toml")
    now = UnixSeconds(int(time.time()))
    certificate = open_signer(settings, now).certificate
    store = open_store(settings.database.url, create=True)
    write_certificate(store, CachedCertificate(certificate.fingerprint, certificate.octets, now))
    store.close()
    return host


def test_exim_accepts_refuses_and_defers_as_it_is_told(tmp_path: Path, exim: str, peer: MailHost) -> None:
    good = signed(peer, letter("peer.example", "reader@example.com", "good", 1))
    large = signed(peer, letter("peer.example", "reader@example.com", "large", 2) + b"A line of it.\r\n" * 100_000)
    changed = good.replace(b"Subject: good", b"Subject: gone")
    unknown = good.replace(peer.fingerprint.encode(), b"ab" * 20)
    (tmp_path / "exim").mkdir()
    with gate(peer) as path:
        judge = documented("DATA ACL").replace("/run/trustgraph/gate.sock", path)
        with running_exim(
            *(exim, tmp_path / "exim", "127.0.0.1"), judge=judge, settings=documented("main section"), keep=True
        ) as server:
            sender = "sender@peer.example"
            assert server.reply_to(good, sender=sender).startswith("250 ")
            assert server.reply_to(large, sender=sender).startswith("250 ")
            assert server.reply_to(changed, sender=sender).startswith("550 5.7.7 ")
            assert server.reply_to(unknown, sender=sender).startswith("451 4.7.5 ")
            assert server.reply_to(letter("peer.example", "reader@example.com", "bare", 3), sender=sender).startswith(
                "550 5.7.0 "
            )
            peer.home.joinpath("gate.sock").unlink()
            assert server.reply_to(good, sender=sender).startswith("451 4.3.0 ")
            wait_for(lambda: len(list((tmp_path / "exim/mail/new").glob("*"))) == 2, "both should be delivered")
    messages = [message_from_bytes(one.read_bytes()) for one in (tmp_path / "exim/mail/new").iterdir()]
    assert {one["Subject"] for one in messages} == {"good", "large"}
    for one in messages:
        (results,) = one.get_all("Authentication-Results") or []
        assert results.startswith("peer.example; x-pgp-header=pass header.d=peer.example")
