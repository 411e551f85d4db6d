"""A list's stash under its own key: AES-256-GCM for what is stored, HMAC-SHA256 for what it is looked up by.

The stash's key is random and lies in the database sealed to the list's OpenPGP key; that one's secret half is a file.
So a copy of the database alone tells neither addresses nor keys. Both uses have a key of their own (RFC 5869).
"""

from __future__ import annotations

import hmac
import io
import os
from contextlib import suppress
from hashlib import sha256

import pysequoia
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from trustgraph.errors import BadInput
from trustgraph.mailinglist.box import Box
from trustgraph.openpgp.framing import Tag, read_packets
from trustgraph.openpgp.signature import parse_signature, parse_statement

__all__ = ["Box", "PlainBox", "SealedBox", "new_sealed_key", "open_sealed_key"]

KEY_OCTETS = 32

#: Chosen at random; with one key for at most millions of records no two are the same (NIST SP 800-38D section 8.3).
_NONCE_OCTETS = 12


class PlainBox:
    """No box: names and records are stored as they are."""

    def name(self, text: str) -> bytes:
        """The text itself."""
        return text.encode()

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """As it is."""
        return plain

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """As it is."""
        return sealed


class SealedBox:
    """Under a key of 32 octets. Sealed is a nonce and the AES-256-GCM ciphertext with its tag."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_OCTETS:
            raise BadInput(f"the key of a stash has {KEY_OCTETS} octets, not {len(key)}")
        self._names = _derived(key, b"trustgraph stash names")
        self._records = AESGCM(_derived(key, b"trustgraph stash records"))

    def name(self, text: str) -> bytes:
        """A keyed digest: 32 octets that tell nothing without the key."""
        return hmac.digest(self._names, text.encode(), sha256)

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """Encrypted and authenticated, ``about`` authenticated with it."""
        nonce = os.urandom(_NONCE_OCTETS)
        return nonce + self._records.encrypt(nonce, plain, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Decrypted. Raises :class:`BadInput` when anything of it was changed, or it belongs elsewhere."""
        try:
            return self._records.decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], about)
        except (InvalidTag, ValueError):
            raise BadInput("a record of the stash does not open: it was changed, or is under another key") from None


def new_sealed_key(secret: bytes, passphrase: str = "") -> tuple[bytes, bytes]:
    """A new key for a stash, and the same sealed to the list's OpenPGP key (its secret half, armored or binary).

    Raises :class:`BadInput` when that key cannot encrypt, does not open what it encrypts, or expires.
    """
    certificate = _secret_key(secret).extract_certificate()
    if _ever_expires(bytes(certificate)):
        raise BadInput("the list's key has an expiry date, after which nothing could be read any more: take it off")
    key = os.urandom(KEY_OCTETS)
    try:
        sealed = bytes(pysequoia.encrypt(key, [certificate], armor=False))
    except RuntimeError as error:
        raise BadInput(f"the list's key cannot encrypt: {_first_line(error)}") from None
    if open_sealed_key(sealed, secret, passphrase) != key:
        raise BadInput("the list's key does not open what was encrypted to it")
    return key, sealed


def open_sealed_key(sealed: bytes, secret: bytes, passphrase: str = "") -> bytes:
    """The stash's key. A key file that is not locked needs no passphrase.

    Raises :class:`BadInput` when this is not the list's key or the passphrase does not open it.
    """
    secret_key = _secret_key(secret)
    try:
        opened = bytes(pysequoia.decrypt(sealed, _decryptor(secret_key, passphrase)).bytes or b"")
    except RuntimeError:
        raise BadInput("the stash is not encrypted to this key") from None
    if len(opened) != KEY_OCTETS:
        raise BadInput(f"expected a key of {KEY_OCTETS} octets, found {len(opened)}")
    return opened


def _secret_key(secret: bytes) -> pysequoia.Tsk:
    try:
        return pysequoia.Tsk.from_bytes(secret)
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"expected an OpenPGP secret key: {_first_line(error)}") from None


def _decryptor(key: pysequoia.Tsk, passphrase: str) -> pysequoia.PyDecryptor:
    for attempt in [(passphrase,)] * bool(passphrase) + [()]:
        with suppress(RuntimeError):
            return key.decryptor(*attempt)
    reason = "the passphrase does not open it" if passphrase else "it is locked"
    raise BadInput(f"{reason}, or it has no part that decrypts")


def _ever_expires(certificate: bytes) -> bool:
    """Whether any signature in it sets an end to a key; expired, Sequoia would decrypt no more."""
    for packet in read_packets(io.BytesIO(certificate), lambda _problem: None):
        if packet.tag is Tag.SIGNATURE and packet.body:
            with suppress(BadInput):
                if parse_statement(parse_signature(packet.body)).key_expires_in:
                    return True
    return False


def _derived(key: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), KEY_OCTETS, salt=None, info=use).derive(key)


def _first_line(error: Exception) -> str:
    """Its text carries a stack trace."""
    return (str(error).splitlines() or ["no reason given"])[0][:200]
