"""The host's own key on disk, opened for signing mail.

Three files lie beside each other: the key in use, ``.next`` while a rotation is under way, and ``.revocation.asc``, the
revocation made with the key, for the day on which the key itself is lost. All are of mode 0600, written whole or not at
all, and none is ever written over by making a key.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trustgraph.errors import BadInput, ConfigurationError, NoInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.signer import MessageSigner, load_signer
from trustgraph.settings import Settings

_MAX_KEY_FILE_BYTES = 1024 * 1024
_CREDENTIAL = "trustgraph-hostkey-passphrase"


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where the parts of a host key lie."""

    current: Path

    @property
    def next(self) -> Path:
        """The key that takes over."""
        return self.current.with_name(self.current.name + ".next")

    @property
    def revocation(self) -> Path:
        """The current key's revocation, ready to be published."""
        return self.current.with_name(self.current.name + ".revocation.asc")

    def old(self, fingerprint: str) -> Path:
        """A key that has been replaced."""
        return self.current.with_name(f"{self.current.name}.{fingerprint[:16]}.old")


def signing_file(settings: Settings, now: UnixSeconds) -> Path:
    """The key that signs now: the next one once every server has had the time to learn of it, else the current one."""
    files = KeyFiles(settings.hostkey.path)
    try:
        made_at = files.next.stat().st_mtime
    except OSError:
        return files.current
    return files.next if made_at + settings.hostkey.switch_after_seconds <= now else files.current


def open_signer(settings: Settings, now: UnixSeconds) -> MessageSigner:
    """The host key, for signing mail.

    Raises :class:`ConfigurationError` naming the file and what is wrong with it, :class:`NoInput` when it is not there.
    """
    chosen, passphrase = signing_file(settings, now), read_passphrase(settings)
    try:
        signer = load_signer(read_host_key(chosen), passphrase, now)
    except BadInput as error:
        raise ConfigurationError(f"{chosen}: {error}") from None
    if settings.site.hostname not in signer.certificate.hosts:
        hosts = ", ".join(sorted(signer.certificate.hosts)) or "no host"
        raise ConfigurationError(f"{chosen}: is the key of {hosts}, but site.hostname is {settings.site.hostname!r}")
    return signer


def read_passphrase(settings: Settings, environment: Mapping[str, str] | None = None) -> str:
    """From ``hostkey.passphrase_file``, else the systemd credential ``trustgraph-hostkey-passphrase``, else none.

    Raises :class:`ConfigurationError` for a file without a passphrase in it: with it the key would lie there unlocked.
    """
    return passphrase_in("hostkey", settings.hostkey.passphrase_file, _CREDENTIAL, environment)


def passphrase_in(section: str, file: str, credential: str, environment: Mapping[str, str] | None = None) -> str:
    """From a file, else a systemd credential, else none; ``section`` is whose setting it is. Raises as above."""
    environment = os.environ if environment is None else environment
    if file:
        path = Path(file)
        octets = _read_passphrase_file(section, path, 0o077)
    elif "CREDENTIALS_DIRECTORY" in environment:
        path = Path(environment["CREDENTIALS_DIRECTORY"]) / credential
        if not path.exists():
            return ""
        # systemd lets the service's user in by an access list, whose mask shows as the group's rights.
        octets = _read_passphrase_file(section, path, 0o007)
    else:
        return ""
    try:
        passphrase = octets.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:  # which would show what is in the file
        passphrase = ""
    if not passphrase:
        raise ConfigurationError(f"{path}: expected a passphrase, in UTF-8")
    return passphrase


def _read_passphrase_file(section: str, path: Path, others: int) -> bytes:
    try:
        return read_secret(path, others)
    except NoInput as error:
        raise ConfigurationError(f"{section} passphrase: {error}") from None


def read_secret(path: Path, others: int = 0o077) -> bytes:
    """A file that only its owner may read: none of the mode bits ``others``.

    Raises :class:`NoInput` or :class:`ConfigurationError` with the way out.
    """
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if mode & others:
                raise ConfigurationError(f"{path}: has mode {mode:04o}, so others may read it: chmod 600 {path}")
            return stream.read(_MAX_KEY_FILE_BYTES)
    except FileNotFoundError:
        raise NoInput(f"{path}: there is no such file") from None
    except OSError as error:
        raise NoInput(f"{path}: cannot be read: {error.strerror}") from None


def read_host_key(path: Path) -> bytes:
    """:func:`read_secret`, with the way to a host key where there is none."""
    if not path.exists():
        raise NoInput(f"{path}: there is no such file; `trustgraph key new` makes a host key")
    return read_secret(path)


def sync_directory(directory: Path) -> None:
    """Have new names in a directory on disk."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def write_secret(path: Path, octets: bytes, *, replace: bool = False) -> None:
    """Write a file of mode 0600, whole and on disk, or not at all. Raises :class:`NoInput` when that cannot be done."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(octets)
                stream.flush()
                os.fsync(stream.fileno())
            if replace:
                os.replace(draft, path)
            else:
                os.link(draft, path)  # fails where another has made it meanwhile
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise NoInput(f"{path}: cannot be written: {error.strerror}") from None
