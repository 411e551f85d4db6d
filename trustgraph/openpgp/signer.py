"""The host key at work: detached signatures over header texts. Sequoia signs, twenty times as fast as PGPy."""

from __future__ import annotations

from dataclasses import dataclass, field

import pysequoia

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.hostcert import HostCertificate
from trustgraph.openpgp.ownparts import read_host_certificate


@dataclass(frozen=True, slots=True)
class MessageSigner:
    """Signs texts with a host key; ``certificate`` is its public half. Raises :class:`BadInput` if it no longer can."""

    certificate: HostCertificate
    _signer: pysequoia.PySigner = field(repr=False)

    def __call__(self, text: bytes) -> bytes:
        """A binary signature packet, made now."""
        try:
            return bytes(pysequoia.sign(self._signer, text, mode=pysequoia.SignatureMode.DETACHED, armor=False))
        except RuntimeError as error:
            raise BadInput(f"the host key cannot sign: {_first_line(error)}") from None


def load_signer(blob: bytes, passphrase: str, now: UnixSeconds) -> MessageSigner:
    """A signer out of a secret key, binary or armored, of any version that Sequoia reads.

    Raises :class:`BadInput` when it is none, the passphrase does not open it, or it may not sign now.
    """
    try:
        key = pysequoia.Tsk.from_bytes(blob)
        public = bytes(key.extract_certificate())
        fingerprint = key.extract_certificate().fingerprint
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"expected an OpenPGP secret key: {_first_line(error)}") from None
    certificate = read_host_certificate([public], fingerprint, now)
    if certificate.revoked:
        raise BadInput(f"host key {fingerprint} is revoked")
    if certificate.expires_at is not None and certificate.expires_at <= now:
        raise BadInput(f"host key {fingerprint} has expired")
    try:
        signer = key.signer(passphrase) if passphrase else key.signer()
    except RuntimeError:
        reason = "the passphrase does not open it" if passphrase else "it is locked, or has no part that may sign"
        raise BadInput(f"host key {fingerprint}: {reason}") from None
    return MessageSigner(certificate, signer)


def _first_line(error: Exception) -> str:
    """Its text carries a stack trace."""
    return (str(error).splitlines() or ["no reason given"])[0][:200]
