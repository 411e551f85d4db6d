"""Messages with a DKIM signature made here (RFC 6376, relaxed/relaxed, rsa-sha256), for programs that verify them."""

from __future__ import annotations

import base64
from hashlib import sha256

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_SIGNED = ("from", "to", "subject", "date", "message-id")


class DkimSigner:
    """One RSA-2048 key under ``<selector>._domainkey.<domain>``."""

    def __init__(self, domain: str, selector: str = "sel") -> None:
        self.domain, self.selector = domain, selector
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def name(self) -> str:
        """Where its TXT record belongs."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record (RFC 6376 section 3.6.1)."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()

    def sign(self, message: bytes) -> bytes:
        """The message (CRLF lines, no folded field, no white space at line ends) with the signature on top."""
        header, _, body = message.partition(b"\r\n\r\n")
        fields = dict(line.split(b":", 1) for line in header.split(b"\r\n"))
        present = {name.decode().lower(): value for name, value in fields.items()}
        body_hash = base64.b64encode(sha256(body.rstrip(b"\r\n") + b"\r\n").digest()).decode()
        value = (
            f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={self.domain}; s={self.selector}; "
            f"h={':'.join(_SIGNED)}; bh={body_hash}; b="
        )
        text = b"".join(name.encode() + b":" + present[name].strip() + b"\r\n" for name in _SIGNED)
        text += b"dkim-signature:" + value.encode()
        signature = base64.b64encode(self._key.sign(text, padding.PKCS1v15(), hashes.SHA256()))
        return b"DKIM-Signature: " + value.encode() + signature + b"\r\n" + message


def plain_message(sender: str, message_id: str, subject: str = "hello") -> bytes:
    """A small text message that fits :meth:`DkimSigner.sign`."""
    lines = (
        f"From: Sender <{sender}>",
        "To: Reader <reader@example.com>",
        f"Subject: {subject}",
        "Date: Tue, 03 Nov 2026 04:05:06 +0000",
        f"Message-ID: <{message_id}>",
        "",
        "The cat sat on the mat.",
        "",
    )
    return "\r\n".join(lines).encode()
