"""The host key on disk: private, never written over, rotated without a gap, revoked for good."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.endorsing_site import signatures_by
from tests.unit.openpgp.openpgp_reading import read
from tests.unit.services.site import NOW, US, secret_key, site_in
from tests.unit.verifier.children import die, in_child
from trustgraph.errors import BadInput, ConfigurationError, NoInput, UsageError
from trustgraph.model import UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.making import Reason, export_public
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.openpgp.publickey import KeyAlgorithm
from trustgraph.services import hostkeys, keymaking
from trustgraph.services.hostkeys import KeyFiles, open_signer, read_passphrase, read_secret, signing_file, write_secret
from trustgraph.services.keymaking import create_key, finish_rotation, open_key, revoke
from trustgraph.settings import Settings

MADE = UnixSeconds(NOW - 1000)
DAY = 86_400


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return site_in(tmp_path)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def make(settings: Settings, **how: Any) -> Any:
    return create_key(settings, MADE, **how)


def rotated(settings: Settings, made_at: int) -> str:
    """Make the next key as of then; returns its fingerprint."""
    fingerprint = create_key(settings, UnixSeconds(made_at), rotate=True).fingerprint
    os.utime(KeyFiles(settings.hostkey.path).next, (made_at, made_at))
    return str(fingerprint)


def signs(settings: Settings, now: int = NOW) -> str:
    return open_signer(settings, UnixSeconds(now)).certificate.fingerprint


def test_a_new_key_signs_and_its_revocation_lies_beside_it(settings: Settings) -> None:
    key = make(settings)
    files = KeyFiles(settings.hostkey.path)
    assert (mode(files.current), mode(files.revocation)) == (0o600, 0o600)
    assert {path.name for path in files.current.parent.iterdir() if "hostkey" in path.name} == {
        "hostkey.pgp",
        "hostkey.pgp.revocation.asc",
    }
    signer = open_signer(settings, NOW)
    assert signer.certificate.fingerprint == key.fingerprint
    assert set(signer.certificate.hosts) == {US}
    assert signer(b"text")[:1] >= b"\x80"
    armored = making.read_certificate(files.revocation.read_bytes())
    revoked = read_host_certificate([making.export_public(armored)], key.fingerprint, NOW)
    assert revoked.revoked
    assert not signer.certificate.revoked


def test_whatever_the_umask_it_is_private(settings: Settings) -> None:
    before = os.umask(0)
    try:
        make(settings)
    finally:
        os.umask(before)
    assert mode(settings.hostkey.path) == 0o600


def test_no_key_is_ever_written_over(settings: Settings) -> None:
    make(settings)
    files = KeyFiles(settings.hostkey.path)
    was = files.current.read_bytes()
    with pytest.raises(UsageError, match="exists: `trustgraph key rotate`"):
        make(settings)
    rotated(settings, MADE)
    with pytest.raises(UsageError, match="exists"):
        make(settings, rotate=True)
    assert files.current.read_bytes() == was
    files.current.unlink()
    with pytest.raises(UsageError, match=r"hostkey\.pgp\.revocation\.asc exists, and may be all that is left"):
        make(settings)


def test_two_who_make_one_at_once_do_not_write_over_each_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings.hostkey.path

    def linked_first(_source: object, target: Path) -> None:
        target.write_bytes(b"another's")
        os.close(os.open(target, os.O_CREAT | os.O_EXCL))

    monkeypatch.setattr(hostkeys.os, "link", linked_first)
    with pytest.raises(NoInput, match="File exists"):
        write_secret(path, b"mine")
    assert path.read_bytes() == b"another's"
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []


@pytest.mark.parametrize("bits", [0o644, 0o640, 0o604, 0o601, 0o666])
def test_a_key_that_others_may_read_is_refused(settings: Settings, bits: int) -> None:
    make(settings)
    settings.hostkey.path.chmod(bits)
    for use in (lambda: signs(settings), lambda: open_key(settings), lambda: rotated_finish(settings)):
        with pytest.raises(ConfigurationError, match=f"has mode {bits:04o}.*chmod 600"):
            use()


def rotated_finish(settings: Settings) -> object:
    files = KeyFiles(settings.hostkey.path)
    files.next.write_bytes(b"")
    try:
        return finish_rotation(settings)
    finally:
        files.next.unlink()


def test_no_key_is_an_error_that_names_the_way_to_one(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="`trustgraph key new` makes a host key"):
        signs(settings)
    with pytest.raises(NoInput, match="Is a directory"):
        read_secret(tmp_path)
    (tmp_path / "hostkey.pgp").write_bytes(b"rubbish")
    (tmp_path / "hostkey.pgp").chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"hostkey\.pgp: expected an OpenPGP secret key"):
        signs(settings)
    with pytest.raises(BadInput, match=r"hostkey\.pgp: expected a version 4 OpenPGP key"):
        open_key(settings)


def test_without_a_host_name_no_key_is_made(tmp_path: Path) -> None:
    nameless = site_in(tmp_path, site={"hostname": ""})
    with pytest.raises(ConfigurationError, match=r"site\.hostname"):
        make(nameless)


def test_the_key_of_another_host_is_refused(settings: Settings, tmp_path: Path) -> None:
    make(settings)
    moved = site_in(tmp_path, site={"hostname": "mx2.example.net"})
    with pytest.raises(ConfigurationError, match=r"is the key of mx\.example\.net, but site\.hostname is 'mx2"):
        signs(moved)


def test_a_key_that_has_expired_is_refused(settings: Settings) -> None:
    end = 4_000_000_000  # Sequoia has a clock of its own
    make(settings, expires_at=UnixSeconds(end))
    assert signs(settings, end - 1)
    with pytest.raises(ConfigurationError, match="has expired"):
        signs(settings, end)


def test_rsa_on_request(settings: Settings) -> None:
    make(settings, rsa_bits=2048)
    (one,) = open_signer(settings, NOW).certificate.signing_keys.values()
    assert one.key.algorithm is KeyAlgorithm.RSA
    assert open_signer(settings, NOW)(b"text")


# Passphrases


def with_passphrase(tmp_path: Path, octets: bytes = b"correct horse\n", bits: int = 0o600) -> Settings:
    path = tmp_path / "passphrase"
    path.write_bytes(octets)
    path.chmod(bits)
    return site_in(tmp_path, hostkey={"passphrase_file": str(path)})


def test_a_passphrase_locks_the_key(tmp_path: Path) -> None:
    settings = with_passphrase(tmp_path)
    key = make(settings)
    assert signs(settings) == key.fingerprint
    with pytest.raises(ConfigurationError, match="it is locked"):
        signs(site_in(tmp_path))
    wrong = with_passphrase(tmp_path, b"wrong")
    for use in (lambda: signs(wrong), lambda: open_key(wrong)):
        with pytest.raises((ConfigurationError, BadInput), match="the passphrase does not open") as found:
            use()
        assert "wrong" not in str(found.value)


def test_a_revoked_key_stays_locked(tmp_path: Path) -> None:
    settings = with_passphrase(tmp_path)
    make(settings)
    revoke(settings, settings.hostkey.path, NOW, Reason.RETIRED, "")
    with pytest.raises(BadInput, match="passphrase"):
        open_key(site_in(tmp_path))
    assert mode(settings.hostkey.path) == 0o600


@pytest.mark.parametrize("octets", [b"", b"\n", b"secret \xff\xfe"])
def test_a_file_without_a_passphrase_does_not_leave_the_key_unlocked(tmp_path: Path, octets: bytes) -> None:
    settings = with_passphrase(tmp_path, octets)
    with pytest.raises(ConfigurationError, match="passphrase: expected a passphrase") as found:
        make(settings)
    assert not settings.hostkey.path.exists()
    assert found.value.__cause__ is None
    assert "secret" not in repr(found.value)


def test_a_passphrase_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has mode 0640"):
        read_passphrase(with_passphrase(tmp_path, bits=0o640), {})
    missing = site_in(tmp_path, hostkey={"passphrase_file": str(tmp_path / "absent")})
    with pytest.raises(ConfigurationError, match="absent: there is no such file"):
        read_passphrase(missing, {})


def test_a_passphrase_from_systemd(settings: Settings, tmp_path: Path) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_passphrase(settings, environment) == ""
    assert read_passphrase(settings, {}) == ""
    credential = tmp_path / "trustgraph-hostkey-passphrase"
    credential.write_text("from systemd\r\n")
    credential.chmod(0o440)  # what an access list for the service's user looks like
    assert read_passphrase(settings, environment) == "from systemd"
    credential.chmod(0o444)
    with pytest.raises(ConfigurationError, match="has mode 0444"):
        read_passphrase(settings, environment)
    assert read_passphrase(with_passphrase(tmp_path), environment) == "correct horse"


# Rotation


def test_the_next_key_signs_once_all_could_learn_of_it(settings: Settings) -> None:
    old = make(settings).fingerprint
    new = rotated(settings, NOW)
    assert settings.hostkey.switch_after_seconds == DAY
    assert [signs(settings, NOW + after) for after in (0, DAY - 1, DAY, 9 * DAY)] == [old, old, new, new]
    assert signing_file(settings, UnixSeconds(NOW + DAY)) == KeyFiles(settings.hostkey.path).next


def test_rotating_to_the_end(settings: Settings) -> None:
    old = make(settings).fingerprint
    files = KeyFiles(settings.hostkey.path)
    old_revocation = files.revocation.read_bytes()
    new = rotated(settings, NOW)
    new_revocation = files.next.with_name("hostkey.pgp.next.revocation.asc").read_bytes()
    where, current = finish_rotation(settings)
    assert (where, current) == (files.old(old), files.current)
    assert signs(settings) == new
    assert open_key(settings, where).fingerprint == old
    assert files.revocation.read_bytes() == new_revocation
    assert where.with_name(where.name + ".revocation.asc").read_bytes() == old_revocation
    assert not files.next.exists()
    assert {mode(path) for path in files.current.parent.glob("hostkey*")} == {0o600}
    with pytest.raises(UsageError, match="no rotation is under way"):
        finish_rotation(settings)


def test_the_old_key_says_that_the_new_one_is_the_same_hosts(settings: Settings) -> None:
    old = make(settings)
    rotated(settings, NOW)
    finish_rotation(settings)
    new = open_key(settings)
    (said,) = signatures_by(export_public(new.certificate()), old.fingerprint)
    assert said[:3] == (f"smtp://{US}", 0x10, NOW)
    facts = read(export_public(old.certificate()) + export_public(new.certificate()), at=NOW + 1).facts
    assert [(c.issuer, c.subject) for one in facts for c in one.certifications] == [(old.fingerprint, new.fingerprint)]


def test_rotation_needs_a_key_to_replace(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no host key to replace"):
        make(settings, rotate=True)


@pytest.mark.parametrize("step", range(6))
def test_a_rotation_cut_short_anywhere_can_be_finished(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    old = make(settings).fingerprint
    files = KeyFiles(settings.hostkey.path)
    old_revocation = files.revocation.read_bytes()
    new = rotated(settings, NOW)
    left = step

    def until(work: Any) -> Any:
        def stepped(*given: Any, **more: Any) -> Any:
            nonlocal left
            if left == 0:
                die()
            left -= 1
            return work(*given, **more)

        return stepped

    def work() -> None:
        for name in ("link", "replace"):
            monkeypatch.setattr(keymaking.os, name, until(getattr(os, name)))
        finish_rotation(settings)

    ended = in_child(work)
    assert ended == (-signal.SIGKILL if step < 4 else 0)
    assert signs(settings) == (old if step < 4 else new)  # there is a current key at any time
    if step < 4:
        finish_rotation(settings)
    assert signs(settings) == new
    assert open_key(settings, files.old(old)).fingerprint == old
    assert files.old(old).with_name(files.old(old).name + ".revocation.asc").read_bytes() == old_revocation


# Revocation


def test_a_revoked_key_signs_no_more(settings: Settings) -> None:
    key = make(settings)
    public = revoke(settings, settings.hostkey.path, NOW, Reason.SUPERSEDED, "replaced")
    assert read_host_certificate([public], key.fingerprint, NOW).revoked
    with pytest.raises(ConfigurationError, match=f"host key {key.fingerprint} is revoked"):
        signs(settings)


def test_an_old_key_can_be_revoked_while_the_new_one_signs(settings: Settings) -> None:
    make(settings)
    new = rotated(settings, NOW)
    where, _ = finish_rotation(settings)
    revoke(settings, where, NOW, Reason.SUPERSEDED, "")
    assert signs(settings) == new


def test_a_revocation_that_cannot_be_written_leaves_the_key_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make(settings)

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(hostkeys.os, "fsync", full)
        with pytest.raises(NoInput, match="cannot be written: No space left"):
            revoke(settings, settings.hostkey.path, NOW, Reason.RETIRED, "")
    assert signs(settings) == key.fingerprint


# Import


def exported(host: str = US, **how: Any) -> bytes:
    return making.export_secret(secret_key(host), **how)


def test_a_key_made_elsewhere_is_taken(settings: Settings) -> None:
    make(settings, imported=exported(armored=True))
    assert signs(settings) == secret_key().fingerprint


def test_a_key_without_our_name_gets_it(settings: Settings) -> None:
    make(settings, imported=exported("mx.elsewhere.example"))
    assert set(open_signer(settings, NOW).certificate.hosts) == {US, "mx.elsewhere.example"}


def test_what_cannot_serve_is_not_taken(settings: Settings, tmp_path: Path) -> None:
    key = making.load_host_key(exported())
    making.attach_revocation(key, making.revoke_key(key, key.certificate(), MADE))
    certificate = making.export_public(secret_key().certificate())
    locked = exported(passphrase="another")
    for blob, said in (
        (b"", "OpenPGP key"),
        (b"rubbish", "OpenPGP key"),
        (certificate, "public certificate"),
        (making.export_secret(key), "is revoked"),
        (locked, "passphrase does not open"),
    ):
        with pytest.raises(BadInput, match=said):
            make(settings, imported=blob)
        assert list(tmp_path.glob("hostkey*")) == []


def test_nothing_shows_the_secret(settings: Settings) -> None:
    key = make(settings)
    signer = open_signer(settings, NOW)
    for shown in (repr(key), repr(signer), str(signer)):
        assert "secret" not in shown.lower().replace("secrethostkey", "")
        assert "PySigner" not in shown
        assert "_passphrase" not in shown
