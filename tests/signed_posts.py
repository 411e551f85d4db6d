"""Posts to a list, signed in each of the three ways, by keys made here in no time or by any program's.

    anna = make_key("anna@example.org")
    pgp_mime(anna, "Hello")              RFC 3156
    inline(anna, "Hello")                clear-signed, RFC 9580 section 7
    header(anna, "Hello")                PGP-Header-Signature

All give a whole message, CRLF line ends, From the key's address, to :data:`LIST`, signed at :data:`AT`. Nothing of the
code under test makes PGP/MIME or clear-signed text here. A program that signs is whatever has :class:`Signs`'s methods.
"""

from __future__ import annotations

import base64
import hashlib
import quopri
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count
from typing import Any, Protocol

from tests.unit.openpgp import openpgp_maker as maker
from trustgraph.headersig.canonical import body_hash
from trustgraph.headersig.message import Field, join_message, split_message
from trustgraph.headersig.signing import Envelope, Signing, sign
from trustgraph.model import UnixSeconds

DAY = 86_400
#: 2026-09-01, when everything is signed unless something else is said, and ten minutes later.
AT = UnixSeconds(1_788_220_800)
NOW = UnixSeconds(AT + 600)
BORN = maker.BORN

LIST = "birds@lists.example"
BINARY, TEXT = 0x00, 0x01
CERTIFY, SIGN = 1, 2

_numbers = count(1)


class Signs(Protocol):
    """Somebody who signs. ``public`` is the certificate, binary."""

    @property
    def address(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def public(self) -> bytes: ...
    def detached(self, text: bytes) -> bytes:
        """An armored signature over octets."""
        ...

    def clear(self, text: bytes) -> bytes:
        """The clear-signed text, LF line ends in and out, from BEGIN to the end of END's line."""
        ...


@dataclass(frozen=True)
class PostKey:
    """A key of a subscriber: ``secret`` and ``public`` are binary, without a passphrase. ``signer`` makes packets.

    ``at`` is when it signs next; ``options`` go to the maker of packets.
    """

    address: str
    signer: maker.Key
    primary: maker.Key
    secret: bytes
    public: bytes
    at: int = AT
    options: Mapping[str, Any] | None = None

    @property
    def fingerprint(self) -> str:
        return self.primary.fingerprint

    def signing(self, **changes: Any) -> PostKey:
        """The same key with another ``at`` or ``options``."""
        return PostKey(**{**{name: getattr(self, name) for name in self.__dataclass_fields__}, **changes})

    def packet(self, text: bytes, kind: int) -> bytes:
        """A signature packet of type ``kind`` over canonical octets."""
        return maker.sign_document(self.signer, text, **{"at": self.at, "type": kind, **(self.options or {})})

    def detached(self, text: bytes) -> bytes:
        return armor(self.packet(text, BINARY))

    def clear(self, text: bytes) -> bytes:
        return clear_signed(text, self.packet(clear_canonical(text), TEXT))


def make_key(
    address: str,
    name: str = "",
    *,
    born: int = BORN,
    lives_seconds: int | None = None,
    flags: int | None = CERTIFY | SIGN,
    subkey_flags: int | None = None,
    subkey_born: int | None = None,
    subkey_lives_seconds: int | None = None,
    after_key: bytes = b"",
    user_id: str = "",
) -> PostKey:
    """An Ed25519 key (version 4, algorithm 22, as every program reads it). The same ``name`` gives the same key.

    ``name`` defaults to the address. With ``subkey_flags`` there is a subkey, and it is the one that signs; a subkey
    with flag :data:`SIGN` agrees to be bound. ``after_key`` are packets put after the primary key's: revocations.
    """
    name = name or address
    primary = maker.eddsa_key(name, born=born)
    text = user_id or f"Somebody <{address}>"
    said = (b"" if flags is None else maker.key_flags(flags)) + _lives(lives_seconds)
    claim = maker.user_id(text) + maker.certify(primary, primary, text, type=0x13, at=born, extra=said)
    public = primary.packet + after_key + claim
    secret = _secret(5, name, primary) + after_key + claim
    signer = primary
    if subkey_flags is not None:
        signer = maker.eddsa_key(name + " subkey", born=subkey_born or born)
        bound_at, back = subkey_born or born, None if subkey_flags & SIGN else b""
        bound = maker.bind(
            primary, signer, at=bound_at, flags=subkey_flags, back=back, extra=_lives(subkey_lives_seconds)
        )
        public += maker.subkey_packet(signer) + bound
        secret += _secret(7, name + " subkey", signer) + bound
    return PostKey(address, signer, primary, secret, public)


def revocation(key: PostKey, at: int, reason: int | None = 2) -> bytes:
    """The key's own revocation, for the end of a certificate read with it: 1 superseded and 3 retired are soft."""
    return maker.revoke_key(key.primary, at=at, reason=reason)


def revoked(key: PostKey, at: int, reason: int | None = 2) -> bytes:
    """The certificate with a revocation of the key in it."""
    head = key.primary.packet
    assert key.public.startswith(head)
    return head + revocation(key, at, reason) + key.public.removeprefix(head)


def public_block(key: Signs) -> bytes:
    """The certificate in armor."""
    return armor(key.public, b"PUBLIC KEY BLOCK")


def _lives(seconds: int | None) -> bytes:
    return b"" if seconds is None else maker.subpacket(9, seconds.to_bytes(4))


def _secret(tag: int, name: str, key: maker.Key) -> bytes:
    """An unlocked secret-key packet (RFC 9580 section 5.5.3): the public body, no protection, scalar, checksum."""
    scalar = maker.mpi(int.from_bytes(hashlib.sha256(name.encode()).digest()))
    return maker.packet(tag, key.body + b"\0" + scalar + (sum(scalar) % 65_536).to_bytes(2))


def armor(octets: bytes, what: bytes = b"SIGNATURE") -> bytes:
    """LF line ends, no checksum (RFC 9580 section 6.1)."""
    text = base64.b64encode(octets)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN PGP %b-----" % what, b"", *lines, b"-----END PGP %b-----" % what, b""])


def clear_canonical(text: bytes) -> bytes:
    """What a clear signature is over (RFC 9580 section 7.2): the text as it is given, its last line end included."""
    lines = text.removesuffix(b"\n").split(b"\n")
    return b"\r\n".join(line.rstrip(b" \t") for line in lines)


def clear_signed(text: bytes, *packets: bytes) -> bytes:
    """The framework around a text with LF line ends; every line that could be mistaken is dash-escaped."""
    lines = text.removesuffix(b"\n").split(b"\n")
    escaped = [b"- " + line if line.startswith((b"-", b"From ")) else line for line in lines]
    head = [b"-----BEGIN PGP SIGNED MESSAGE-----", b"Hash: SHA256", b""]
    return b"\n".join([*head, *escaped, armor(b"".join(packets))])


def part(text: str, kind: str = "text/plain", encoding: str = "7bit", charset: str = "utf-8", more: str = "") -> bytes:
    """A MIME entity with CRLF line ends: ``encoding`` is 7bit, 8bit, quoted-printable or base64; ``more`` header lines
    end in CRLF."""
    octets = text.encode(charset)
    head = f"Content-Type: {kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n{more}\r\n"
    return head.encode() + encoded(octets, encoding)


def encoded(octets: bytes, encoding: str) -> bytes:
    """Octets with LF line ends as they stand in a part, with CRLF."""
    if encoding == "quoted-printable":
        return quopri.encodestring(octets).replace(b"\n", b"\r\n")
    if encoding == "base64":
        return base64.encodebytes(octets.replace(b"\n", b"\r\n")).replace(b"\n", b"\r\n")
    return octets.replace(b"\n", b"\r\n")


def multipart(*parts: bytes, kind: str = "mixed", boundary: str = "", more: str = "") -> bytes:
    """A multipart entity of entities."""
    mark = boundary or f"part-{next(_numbers)}"
    head = f'Content-Type: multipart/{kind}; boundary="{mark}"\r\n{more}\r\n'.encode()
    return head + b"".join(b"--%b\r\n%b\r\n" % (mark.encode(), one) for one in parts) + f"--{mark}--\r\n".encode()


def protected(entity: bytes, *fields: str, legacy: bool = False) -> bytes:
    """A MIME entity whose header carries these fields under protection (RFC 9788; ``legacy``: as before it)."""
    word = 'protected-headers="v1"' if legacy else 'hp="clear"'
    marked = re.sub(rb"^(Content-Type: [^\r]*)", rb"\1; " + word.encode(), entity, count=1, flags=re.IGNORECASE)
    return "".join(f"{field}\r\n" for field in fields).encode() + marked


def message(fields: Mapping[str, str], entity: bytes) -> bytes:
    """A message whose MIME fields are those at the head of ``entity``."""
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + entity


def usual_fields(author: str, at: int = AT, **changes: str | None) -> dict[str, str]:
    """From, To, Subject, Date, Message-ID, MIME-Version. ``changes`` by name with ``_`` for ``-``; None leaves out."""
    fields: dict[str, str | None] = {
        "From": author,
        "To": LIST,
        "Subject": "Swifts",
        "Date": format_datetime(datetime.fromtimestamp(at, UTC)),
        "Message-ID": f"<{next(_numbers)}.{at}@example.org>",
        "MIME-Version": "1.0",
    }
    fields |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in fields.items() if value is not None}


def signed_entity(entity: bytes, *signers: Signs, boundary: str = "signed", signature: bytes | None = None) -> bytes:
    """multipart/signed around an entity (RFC 3156 section 5); several signers give one block of several packets."""
    made = joined([one.detached(entity) for one in signers]) if signature is None else signature
    return (
        f'Content-Type: multipart/signed; micalg=pgp-sha256;\r\n protocol="application/pgp-signature"; '
        f'boundary="{boundary}"\r\n\r\n--{boundary}\r\n'.encode()
        + entity
        + f"\r\n--{boundary}\r\nContent-Type: application/pgp-signature; name=signature.asc\r\n\r\n".encode()
        + made.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        + f"--{boundary}--\r\n".encode()
    )


def pgp_mime(
    key: Signs,
    text: str = "The swifts are back.\n",
    *,
    author: str = "",
    entity: bytes | None = None,
    also: Sequence[Signs] = (),
    bound: bool | Sequence[str] = False,
    **fields: str | None,
) -> bytes:
    """A PGP/MIME post. ``bound``: From, To and Subject stand in the signed part too (or the fields given do)."""
    usual = usual_fields(author or key.address, **fields)
    inner = part(text) if entity is None else entity
    if bound:
        names = ("From", "To", "Subject") if bound is True else ()
        given = () if bound is True else bound
        inner = protected(inner, *(f"{name}: {usual[name]}" for name in names), *given)
    return message(usual, signed_entity(inner, key, *also))


def inline(
    key: Signs,
    text: str = "The swifts are back.\n",
    *,
    author: str = "",
    encoding: str = "7bit",
    charset: str = "utf-8",
    kind: str = "text/plain",
    **fields: str | None,
) -> bytes:
    """A clear-signed post."""
    clear = key.clear(text.encode(charset)).replace(b"\r\n", b"\n")
    head = f"Content-Type: {kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    return message(usual_fields(author or key.address, **fields), head + encoded(clear, encoding))


def header(
    key: PostKey,
    text: str = "The swifts are back.\n",
    *,
    author: str = "",
    entity: bytes | None = None,
    domain: str = "laptop.example.org",
    lifetime_seconds: int = 7 * DAY,
    with_body: bool = True,
    **fields: str | None,
) -> bytes:
    """A post with our own header signature, by the subscriber's key; ``with_body`` False signs the header alone."""
    plain = message(usual_fields(author or key.address, **fields), part(text) if entity is None else entity)
    return header_signed(key, plain, domain=domain, lifetime_seconds=lifetime_seconds, with_body=with_body)


def header_signed(
    key: PostKey,
    octets: bytes,
    *,
    domain: str = "laptop.example.org",
    lifetime_seconds: int = 7 * DAY,
    with_body: bool = True,
) -> bytes:
    """A message with a header signature on top."""
    given, body = split_message(octets)
    nonce = next(_numbers).to_bytes(8)
    signing = Signing(domain, key.fingerprint, UnixSeconds(key.at), nonce, lifetime_seconds)
    digest = body_hash(body) if with_body else None
    field: Field = sign(given, digest, Envelope(), signing, lambda signed: key.packet(signed, BINARY))
    return join_message([field, *given], body)


def unsigned(author: str, text: str = "The swifts are back.\n", **fields: str | None) -> bytes:
    """A post that nobody signed."""
    return message(usual_fields(author, **fields), part(text))


def joined(blocks: Sequence[bytes]) -> bytes:
    """One armored signature of the packets of several."""
    return blocks[0] if len(blocks) == 1 else armor(b"".join(map(dearmored, blocks)))


def dearmored(block: bytes) -> bytes:
    """The octets of an armored block; its header and checksum are passed over."""
    lines = block.replace(b"\r\n", b"\n").strip().split(b"\n")[1:-1]
    body = lines[lines.index(b"") + 1 :]
    return base64.b64decode(b"".join(line for line in body if not line.startswith(b"=")))
