"""DKIM signatures for test messages (RFC 6376, relaxed/relaxed), whole or broken in the ways that tests ask for."""

from __future__ import annotations

import base64
import hashlib
import re

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SIGNED = ("From", "To", "Subject", "Date", "Message-ID")


def message(subject: str = "hello", sender: str = "a@example.org") -> bytes:
    """An unsigned message with the fields that get signed."""
    return (
        f"From: {sender}\r\nTo: someone@example.net\r\nSubject: {subject}\r\n"
        "Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nhello there\r\n"
    ).encode()


class Signer:
    """One domain's RSA key: its DNS record and signatures by it."""

    def __init__(self, domain: str, selector: str = "s1", bits: int = 2048) -> None:
        self.domain = domain
        self.selector = selector
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=bits)

    @property
    def record(self) -> str:
        """The key's line for OpenDKIM's TestPublicKeys file."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"{self.selector}._domainkey.{self.domain} v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}\n"

    def sign(self, text: bytes, **tags: str) -> bytes:
        """The message with a signature on top; ``tags`` override or add tags of the signature."""
        head, _, body = text.partition(b"\r\n\r\n")
        values = {
            "v": "1",
            "a": "rsa-sha256",
            "c": "relaxed/relaxed",
            "d": self.domain,
            "s": self.selector,
            "h": ":".join(SIGNED),
            "bh": base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode(),
            **tags,
            "b": "",
        }
        field = "DKIM-Signature: " + "; ".join(f"{name}={value}" for name, value in values.items())
        fields = {line.partition(b":")[0].lower(): line for line in head.split(b"\r\n")}
        lines = [_relaxed_field(fields[name.lower().encode()]) + b"\r\n" for name in values["h"].split(":")]
        signed = b"".join(lines) + _relaxed_field(field.encode())
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        folded = re.sub(r"(.{60})", r"\1\r\n\t", base64.b64encode(signature).decode())
        return field.replace("; ", ";\r\n\t").encode() + folded.encode() + b"\r\n" + text


def _relaxed_field(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    return name.strip().lower() + b":" + re.sub(rb"[ \t\r\n]+", b" ", value).strip()


def _relaxed_body(body: bytes) -> bytes:
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip() for line in body.split(b"\r\n")]
    return b"\r\n".join(lines).rstrip(b"\r\n") + b"\r\n"
