"""Host keys made by real GnuPG, exported and taken over, with a signing primary key and with a signing subkey."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trustgraph.errors import BadInput, ConfigurationError
from trustgraph.headersig.signing import Envelope
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.making import Reason
from trustgraph.services.gate import open_gate
from trustgraph.services.hostkeys import open_signer
from trustgraph.services.keymaking import create_key, revoke
from trustgraph.services.messages import judge_message, sign_message
from trustgraph.settings import Settings, load_settings
from trustgraph.store import open_store
from trustgraph.store.accepting import CachedCertificate, write_certificate
from trustgraph.verifier.examine import Client

HOST = "mx.example.net"
MESSAGE = b"From: anna@example.net\r\nSubject: hello\r\n\r\nhello\r\n"


class Gpg:
    """GnuPG with a home of its own."""

    def __init__(self, program: str, home: Path) -> None:
        self._program, self._home = program, home

    def run(self, *arguments: str, passphrase: str = "") -> bytes:
        options = ["--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", passphrase]
        command = [self._program, "--homedir", str(self._home), *options, *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout

    def make(
        self, usage: str, *, subkey: str = "", passphrase: str = "", algorithm: str = "ed25519", host: str = HOST
    ) -> str:
        """A key with the name of a host; returns its fingerprint."""
        self.run("--quick-generate-key", f"smtp://{host}", algorithm, usage, "never", passphrase=passphrase)
        lines = self.run("--with-colons", "--list-keys").decode().splitlines()
        fingerprint = next(line.split(":")[9] for line in lines if line.startswith("fpr"))
        if subkey:
            self.run("--quick-add-key", fingerprint, algorithm, subkey, "never", passphrase=passphrase)
        return fingerprint.lower()

    def export(self, *, passphrase: str = "") -> bytes:
        return self.run("--armor", "--export-secret-keys", passphrase=passphrase)


@pytest.fixture
def gpg(require: Callable[[str], str]) -> Iterator[Gpg]:
    program = require("gpg")
    home = Path(tempfile.mkdtemp(prefix="tg-"))  # a short path: its agent's socket is in there
    yield Gpg(program, home)
    if killer := shutil.which("gpgconf"):
        subprocess.run([killer, "--homedir", str(home), "--kill", "all"], check=False, timeout=60)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "trustgraph.toml"
    path.write_text(
        f'[site]\nhostname = "{HOST}"\n[database]\nurl = "sqlite:///{tmp_path}/trustgraph.db"\n'
        f'[hostkey]\npath = "{tmp_path}/hostkey.pgp"\n[milter]\nstate = "{tmp_path}/state"\n'
    )
    open_store(f"sqlite:///{tmp_path}/trustgraph.db", create=True).close()
    return load_settings(path, {})


def round_trip(settings: Settings) -> str:
    """Sign a message, judge it with the certificate at hand, and say what came of it."""
    now = UnixSeconds(int(time.time()))
    signer = open_signer(settings, now)
    store = open_store(settings.database.url)
    write_certificate(store, CachedCertificate(signer.certificate.fingerprint, signer.certificate.octets, now))
    store.close()
    signed, _ = sign_message(MESSAGE, Envelope(), settings, signer, now, headers=False)

    async def run() -> str:
        async with open_gate(settings, recording=False) as gate:
            judged = await judge_message(gate, signed, Envelope(), Client(HOST, "192.0.2.1"), "")
            return f"{judged.evidence.result} {judged.evidence.reason}".strip()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("usage", "subkey", "algorithm"),
    [
        ("cert,sign", "", "ed25519"),
        ("cert", "sign", "ed25519"),
        ("cert,sign", "", "rsa2048"),
        ("cert", "sign", "rsa2048"),
    ],
)
def test_a_key_of_gnupgs_signs_mail(gpg: Gpg, settings: Settings, usage: str, subkey: str, algorithm: str) -> None:
    fingerprint = gpg.make(usage, subkey=subkey, algorithm=algorithm)
    now = UnixSeconds(int(time.time()))
    key = create_key(settings, now, imported=gpg.export())
    assert key.fingerprint == fingerprint
    certificate = open_signer(settings, now).certificate
    assert set(certificate.hosts) == {HOST}
    assert (fingerprint in certificate.signing_keys) is not bool(subkey)
    assert round_trip(settings) == "pass"
    revoke(settings, settings.hostkey.path, now, reason=Reason.RETIRED, comment="")
    with pytest.raises(ConfigurationError, match="is revoked"):
        open_signer(settings, now)


@pytest.mark.parametrize(("usage", "subkey"), [("cert,sign", ""), ("cert", "sign")])
def test_a_key_without_our_name_gets_it_and_signs(gpg: Gpg, settings: Settings, usage: str, subkey: str) -> None:
    gpg.make(usage, subkey=subkey, host="mx.before.example")
    create_key(settings, UnixSeconds(int(time.time())), imported=gpg.export())
    assert round_trip(settings) == "pass"


def test_a_key_that_only_certifies_cannot_serve(gpg: Gpg, settings: Settings) -> None:
    gpg.make("cert")
    with pytest.raises(BadInput, match="no part that may sign"):
        create_key(settings, UnixSeconds(int(time.time())), imported=gpg.export())
    assert not settings.hostkey.path.exists()


def test_a_key_that_gnupg_locked_is_opened_by_its_passphrase(gpg: Gpg, settings: Settings, tmp_path: Path) -> None:
    gpg.make("cert,sign", passphrase="correct horse")
    exported = gpg.export(passphrase="correct horse")
    with pytest.raises(BadInput, match="passphrase"):
        create_key(settings, UnixSeconds(int(time.time())), imported=exported)
    path = tmp_path / "passphrase"
    path.write_text("correct horse\n")
    os.chmod(path, 0o600)
    hostkey = settings.hostkey.model_copy(update={"passphrase_file": str(path)})
    locked = settings.model_copy(update={"hostkey": hostkey})
    create_key(locked, UnixSeconds(int(time.time())), imported=exported)
    assert round_trip(locked) == "pass"
