"""GnuPG, Sequoia's ``sq`` and PGPy as signers of posts (:class:`tests.signed_posts.Signs`), each with keys of its own.

All sign at :data:`~tests.signed_posts.AT` unless told another time. ``take`` gives a program a key made elsewhere.
"""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pgpy import PGPUID, PGPKey, PGPMessage
from pgpy.constants import EllipticCurveOID, HashAlgorithm, KeyFlags, PubKeyAlgorithm

from tests.signed_posts import AT, BORN
from trustgraph.model import to_rfc3339

Signing = Callable[[bytes, int, bool], bytes]


@dataclass(frozen=True)
class Program:
    """A key in the hands of a program. ``sign`` takes octets, the time, and whether to clear-sign them."""

    address: str
    fingerprint: str
    public: bytes
    secret: bytes
    sign: Signing
    at: int = AT

    def detached(self, text: bytes) -> bytes:
        return self.sign(text, self.at, False)

    def clear(self, text: bytes) -> bytes:
        return self.sign(text, self.at, True)

    def signing_at(self, at: int) -> Program:
        return replace(self, at=at)


class GnuPG:
    """``gpg`` with a home of its own; stop its agent when done."""

    def __init__(self, program: str, home: Path) -> None:
        self._program, self._home = program, home
        home.mkdir(mode=0o700)

    def run(self, *arguments: str, at: int = AT, given: bytes = b"") -> bytes:
        done = self._run(arguments, at, given)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def status(self, *arguments: str) -> str:
        """What it says for programs, whether or not it is content."""
        return self._run(["--status-fd", "1", *arguments], AT, b"").stdout.decode(errors="replace")

    def _run(self, arguments: Sequence[str], at: int, given: bytes) -> subprocess.CompletedProcess[bytes]:
        clock = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S!")
        options = ["--batch", "--no-tty", "--yes", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
        command = [self._program, "--homedir", str(self._home), "--faked-system-time", clock, *options, *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)

    def new(self, address: str, algorithm: str = "ed25519", *, subkey: bool = False, expires: str = "never") -> Program:
        """A key that signs, or whose subkey does; ``expires`` as gpg takes it."""
        usage = "cert" if subkey else "cert,sign"
        self.run("--quick-generate-key", f"Somebody <{address}>", algorithm, usage, expires, at=BORN)
        fingerprint = self._fingerprint(address)
        if subkey:
            self.run("--quick-add-key", fingerprint, algorithm, "sign", expires, at=BORN)
        return self._of(address, fingerprint)

    def take(self, address: str, fingerprint: str, secret: bytes) -> Program:
        self.run("--import", given=secret)
        return self._of(address, fingerprint)

    def _of(self, address: str, fingerprint: str) -> Program:
        def sign(text: bytes, at: int, clear: bool) -> bytes:
            how = ["--clearsign"] if clear else ["--armor", "--detach-sign"]
            return self.run("--local-user", fingerprint, "--digest-algo", "SHA256", *how, at=at, given=text)

        secret = self.run("--export-secret-keys", fingerprint)
        return Program(address, fingerprint.lower(), self.run("--export", fingerprint), secret, sign)

    def _fingerprint(self, address: str) -> str:
        lines = self.run("--with-colons", "--list-keys", f"<{address}>").decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def prepared_revocation(self, fingerprint: str) -> bytes:
        """The one that it makes with a key, which is of no given reason, without the colon that keeps it from use."""
        path = self._home / "openpgp-revocs.d" / f"{fingerprint.upper()}.rev"
        return path.read_bytes().replace(b":-----BEGIN", b"-----BEGIN")

    def stop(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=False, timeout=60)


class Sequoia:
    """``sq``, which keeps nothing: its keys are files in a directory."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program, self._directory = program, directory

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run([self._program, *arguments], input=given, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def new(self, address: str, *options: str, expires: str = "never") -> Program:
        path = self._directory / f"{address}.pgp"
        made = ["--userid", f"Somebody <{address}>", "--creation-time", to_rfc3339(BORN), "--export", str(path)]
        self.run("key", "generate", "--expires", expires, *made, *options)
        text = self.run("inspect", str(path)).decode()
        fingerprint = next(line.split()[-1] for line in text.splitlines() if "Fingerprint:" in line)
        return self._of(address, fingerprint, path, self.run("dearmor", str(path)))

    def revocation(self, key: Program, reason: str, at: int) -> bytes:
        """A revocation packet of a key."""
        path = self._directory / f"{key.address}.pgp"
        made = self.run("revoke", "certificate", "--time", to_rfc3339(at), reason, "no more", given=path.read_bytes())
        return self.run("dearmor", given=made)

    def take(self, address: str, fingerprint: str, secret: bytes) -> Program:
        path = self._directory / f"{fingerprint}.pgp"
        path.write_bytes(secret)
        return self._of(address, fingerprint, path, secret)

    def _of(self, address: str, fingerprint: str, path: Path, secret: bytes) -> Program:
        def sign(text: bytes, at: int, clear: bool) -> bytes:
            how = "--cleartext-signature" if clear else "--detached"
            return self.run("sign", how, "--signer-key", str(path), "--time", to_rfc3339(at), given=text)

        public = self.run("key", "extract-cert", "--binary", str(path))
        return Program(address, fingerprint.lower(), public, secret, sign)


class PGPy:
    """PGPy in this process. It does not strip what trails a line when it clear-signs (0.6.0), as RFC 9580 wants it."""

    def new(self, address: str) -> Program:
        born: dict[str, Any] = {"created": datetime.fromtimestamp(BORN, UTC)}
        key = PGPKey.new(PubKeyAlgorithm.EdDSA, EllipticCurveOID.Ed25519, **born)
        hashes = {"hash": HashAlgorithm.SHA256, "hashes": [HashAlgorithm.SHA256]}
        usage = {KeyFlags.Certify, KeyFlags.Sign}
        key.add_uid(PGPUID.new("Somebody", email=address), usage=usage, **hashes, **born)
        return self._of(address, key)

    def take(self, address: str, fingerprint: str, secret: bytes) -> Program:
        key, _ = PGPKey.from_blob(secret)
        assert key.fingerprint == fingerprint.upper()
        return self._of(address, key)

    def _of(self, address: str, key: PGPKey) -> Program:
        def sign(text: bytes, at: int, clear: bool) -> bytes:
            options: dict[str, Any] = {"created": datetime.fromtimestamp(at, UTC), "hash": HashAlgorithm.SHA256}
            with warnings.catch_warnings(action="ignore"):  # that the key has no preferences
                if not clear:
                    return str(key.sign(text, **options)).encode()
                message = PGPMessage.new(text.decode(), cleartext=True)
                message |= key.sign(message, **options)
                return str(message).encode()

        fingerprint = str(key.fingerprint).replace(" ", "").lower()
        return Program(address, fingerprint, bytes(key.pubkey), bytes(key), sign)
