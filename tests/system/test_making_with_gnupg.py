"""GnuPG's opinion of the keys, certifications and revocations that making.py makes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from trustgraph.model import SECONDS_PER_DAY, UnixSeconds
from trustgraph.openpgp import making

MADE = UnixSeconds(1_760_000_000)
NOW = UnixSeconds(MADE + 100 * SECONDS_PER_DAY)


@dataclass(frozen=True)
class Gpg:
    """GnuPG with a home of its own, to which it is always ``NOW``."""

    program: str
    home: Path

    def run(self, *arguments: str, given: bytes = b"") -> str:
        command = [self.program, "--homedir", str(self.home), "--batch", "--no-tty", "--faked-system-time", str(NOW)]
        done = subprocess.run([*command, *arguments], input=given, capture_output=True, check=True, timeout=60)
        return done.stdout.decode()

    def signatures(self) -> list[list[str]]:
        """Fields of each ``sig`` and ``rev`` record: 1 is "!" for good, 12 the issuer (doc/DETAILS of GnuPG)."""
        lines = self.run("--with-colons", "--check-sigs").splitlines()
        return [line.split(":") for line in lines if line.startswith(("sig:", "rev:"))]


@pytest.fixture
def gpg(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpg]:
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    yield Gpg(require("gpg"), home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, timeout=30)


def test_certifications_and_their_revocations_are_good(gpg: Gpg) -> None:
    names = ["mail.acorn.example", "mail.birch.example", "mail.cedar.example"]
    subject, first, second = (making.new_host_key(name, MADE, postmaster=True) for name in names)
    certificate = subject.certificate()
    user_id = "smtp://mail.acorn.example"
    at = UnixSeconds(NOW - 10 * SECONDS_PER_DAY)
    expiry = UnixSeconds(NOW + 80 * SECONDS_PER_DAY)
    notations = [("good-mail@trustgraph", "512"), ("since@trustgraph", "2025-10")]
    for endorser in (first, second):
        making.certify(endorser, certificate, user_id, at, expires_at=expiry, notations=notations)
    making.revoke_certification(second, certificate, user_id, UnixSeconds(at + 60), comment="too much spam")
    gpg.run("--import", given=making.export_public(certificate, armored=True))
    gpg.run("--import", given=b"".join(making.export_public(each.certificate()) for each in (first, second)))

    found = gpg.signatures()
    assert {record[1] for record in found} == {"!"}
    third_party = [record for record in found if record[12] != record[4] and record[9] != "" and record[10] == "10x"]
    assert sorted(record[12].lower() for record in third_party) == sorted([first.fingerprint, second.fingerprint])
    assert {record[6] for record in third_party} == {str(expiry)}
    assert [record[12].lower() for record in found if record[0] == "rev"] == [second.fingerprint]
    listed = gpg.run("--list-options", "show-notations", "--list-sigs", subject.fingerprint)
    assert listed.count("good-mail@trustgraph=512") == 2


@pytest.mark.parametrize(
    ("expires_at", "revoked", "validity"),
    [(None, False, "-"), (UnixSeconds(NOW - 1), False, "e"), (UnixSeconds(NOW + 1), False, "-"), (None, True, "r")],
)
def test_expiry_and_revocation_of_a_key_are_honoured(
    gpg: Gpg, expires_at: UnixSeconds | None, revoked: bool, validity: str
) -> None:
    key = making.new_host_key("mail.acorn.example", MADE, expires_at=expires_at)
    certificate = key.certificate()
    if revoked:
        making.revoke_key(key, certificate, UnixSeconds(NOW - 60), reason=making.Reason.RETIRED)
    gpg.run("--import", given=making.export_public(certificate))
    (public,) = [line for line in gpg.run("--with-colons", "--list-keys").splitlines() if line.startswith("pub:")]
    assert public.split(":")[1] == validity


def test_a_locked_secret_key_opens_in_gnupg(gpg: Gpg) -> None:
    key = making.new_host_key("mail.acorn.example", MADE)
    gpg.run("--import", given=making.export_secret(key, passphrase="open sesame"))
    unlock = ["--pinentry-mode", "loopback", "--passphrase", "open sesame"]
    signature = gpg.run(*unlock, "--armor", "--detach-sign", given=b"text")
    assert "BEGIN PGP SIGNATURE" in signature
