"""The host's own key made, imported, rotated and revoked (:mod:`trustgraph.services.hostkeys` has where it lies)."""

from __future__ import annotations

import os
from pathlib import Path

from trustgraph.errors import BadInput, ConfigurationError, UsageError
from trustgraph.model import UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.making import Reason, SecretHostKey
from trustgraph.openpgp.signer import load_signer
from trustgraph.services.hostkeys import KeyFiles, read_host_key, read_passphrase, sync_directory, write_secret
from trustgraph.settings import Settings


def create_key(
    settings: Settings,
    now: UnixSeconds,
    *,
    rsa_bits: int = 0,
    expires_at: UnixSeconds | None = None,
    imported: bytes | None = None,
    rotate: bool = False,
) -> SecretHostKey:
    """Make the host key, or take one made elsewhere, and its revocation beside it.

    With ``rotate`` it becomes the next key. Raises :class:`ConfigurationError` without ``site.hostname``,
    :class:`UsageError` when there is a key already, :class:`BadInput` for an imported key that cannot serve.
    """
    host = settings.site.hostname
    if not host:
        raise ConfigurationError("site.hostname: expected this host's FQDN, which its key is made for")
    files = KeyFiles(settings.hostkey.path)
    target = files.next if rotate else files.current
    revocation = target.with_name(target.name + ".revocation.asc")
    if target.exists():
        raise UsageError(f"{target} exists: `trustgraph key rotate` replaces a host key, `key revoke` ends it")
    if revocation.exists():
        raise UsageError(f"{revocation} exists, and may be all that is left of a key: move it to a safe place first")
    if rotate and not files.current.exists():
        raise UsageError(f"there is no host key to replace in {files.current}: `trustgraph key new` makes one")
    passphrase = read_passphrase(settings)
    if imported is None:
        key = making.new_host_key(host, now, expires_at=expires_at, postmaster=True, rsa_bits=rsa_bits)
    else:
        key = making.load_host_key(imported, passphrase)
        if f"smtp://{host}" not in key.user_ids:
            making.add_host(key, host, now)
    secret = making.export_secret(key, passphrase=passphrase)
    if imported is not None:
        load_signer(secret, passphrase, now)
    if rotate:  # who endorsed the old key can tell by this that the new one is the same host's
        making.certify_successor(open_key(settings), key, f"smtp://{host}", now)
        secret = making.export_secret(key, passphrase=passphrase)
    certificate = key.certificate()
    making.revoke_key(key, certificate, now, reason=making.Reason.UNSPECIFIED, comment="made with the key")
    write_secret(revocation, making.export_public(certificate, armored=True))
    write_secret(target, secret)
    return key


def open_key(settings: Settings, path: Path | None = None) -> SecretHostKey:
    """The host key, for certifying. Raises :class:`NoInput`, :class:`ConfigurationError`, :class:`BadInput`."""
    path = path or settings.hostkey.path
    blob, passphrase = read_host_key(path), read_passphrase(settings)
    try:
        return making.load_host_key(blob, passphrase)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def finish_rotation(settings: Settings) -> tuple[Path, Path]:
    """Put the next key in the place of the current one; returns (where the old one went, the current one's file).

    Cut short anywhere it can be run again, and there is a current key at any time.
    """
    files = KeyFiles(settings.hostkey.path)
    if not files.next.exists():
        raise UsageError(f"no rotation is under way: there is no {files.next}")
    old = files.old(open_key(settings).fingerprint)
    next_revocation = files.next.with_name(files.next.name + ".revocation.asc")
    for path, copy in ((files.current, old), (files.revocation, old.with_name(old.name + ".revocation.asc"))):
        if path.exists() and not copy.exists():
            os.link(path, copy)
    if next_revocation.exists():
        os.replace(next_revocation, files.revocation)
    os.replace(files.next, files.current)
    sync_directory(files.current.parent)
    return old, files.current


def revoke(settings: Settings, path: Path, now: UnixSeconds, reason: Reason, comment: str) -> bytes:
    """Revoke a host key by itself; its file is rewritten so that it signs no more. Returns the certificate, binary."""
    key = open_key(settings, path)
    certificate = key.certificate()
    packet = making.revoke_key(key, certificate, now, reason=reason, comment=comment)
    making.attach_revocation(key, packet)
    write_secret(path, making.export_secret(key, passphrase=read_passphrase(settings)), replace=True)
    return making.export_public(certificate)
