"""What is signed in a message's body: all of it that is shown, or nothing, or less than that, which is a problem."""

from __future__ import annotations

import re

from trustgraph.headersig.message import with_network_line_ends
from trustgraph.mailinglist.clearsigned import MARK, read_clear_signed
from trustgraph.mailinglist.mime import (
    IDENTITY_ENCODINGS,
    ContentType,
    Entity,
    decoded,
    has_mime_version,
    walk,
)
from trustgraph.mailinglist.model import Binding, Kind, SignedContent
from trustgraph.mailinglist.pgpmime import SIGNATURE_TYPE, is_pgp_mime, read_pgp_mime
from trustgraph.mailinglist.problem import PostProblem, malformed

_ENCRYPTED = re.compile(rb"^-----BEGIN PGP MESSAGE-----", re.MULTILINE)

#: In these an octet below 128 is that ASCII character wherever it stands. In others (UTF-7, UTF-16, ISO-2022) whoever
#: names the charset, which no clear signature covers, chooses what the text says.
_CHARSET = re.compile(
    rb"(?:us-)?ascii|utf-?8|iso-8859-[0-9]{1,2}|windows-125[0-8]|cp125[0-8]|koi8-[ru]|euc-(?:jp|kr|cn)|gb2312",
    re.IGNORECASE,
)


def signed_in_body(message: Entity) -> SignedContent | None:
    """The signed content, None for a body that has no signature in it.

    Raises :class:`PostProblem`: ``partly-signed`` where a signature covers less than what is shown, ``encrypted`` for
    what nobody here can read, and what the parts of it raise.
    """
    content_type = message.content_type
    if is_pgp_mime(content_type):
        return read_pgp_mime(message)
    if content_type.is_multipart:
        _require_mime(message)
        for part in walk(message):
            _require_nothing(part)
        return None
    if content_type.type != "text/plain":
        _require_nothing(message)
        return None
    if message.encoding not in IDENTITY_ENCODINGS:
        _require_mime(message)
    text = _text(message)
    if MARK.search(text) is None:
        _require_unencrypted(text)
        return None
    _check_charset(content_type)
    signed, signature = read_clear_signed(text)
    return SignedContent(Kind.INLINE, signed, signature, Binding())


def _require_mime(message: Entity) -> None:
    if not has_mime_version(message.fields):
        raise malformed("MIME without MIME-Version")


def _require_nothing(part: Entity) -> None:
    """Raises :class:`PostProblem` for a part that some program would verify, decrypt, or take for a signature."""
    kind = part.content_type.type
    if kind in ("multipart/encrypted", "application/pgp-encrypted"):
        raise PostProblem("encrypted", f"a part of type {kind}")
    if kind in (SIGNATURE_TYPE, "application/pgp") or is_pgp_mime(part.content_type):
        raise PostProblem("partly-signed", f"a part of type {kind}")
    if kind.startswith("text/"):
        text = _text(part)
        if MARK.search(text):
            raise PostProblem("partly-signed", "a clear-signed block in a part of the message")
        _require_unencrypted(text)


def _require_unencrypted(text: bytes) -> None:
    if _ENCRYPTED.search(text):
        raise PostProblem("encrypted", "an encrypted block in a text")


def _text(part: Entity) -> bytes:
    text = with_network_line_ends(decoded(part))
    if part.encoding not in IDENTITY_ENCODINGS:
        check_line_ends(text)
    return text


def check_line_ends(octets: bytes) -> None:
    """Raises :class:`PostProblem` for NUL, and for CR or LF on its own: some programs end a line there."""
    ends = octets.count(b"\r\n")
    if octets.count(b"\n") != ends or octets.count(b"\r") != ends or b"\0" in octets:
        raise PostProblem("odd-line-ends", "a NUL, or a CR or LF on its own")


def _check_charset(content_type: ContentType) -> None:
    charset = content_type.parameters.get("charset", b"us-ascii")
    encoded = any(name.startswith("charset*") for name in content_type.parameters)
    if encoded or not _CHARSET.fullmatch(charset):
        raise PostProblem("odd-charset", f"clear-signed text in charset {charset[:40]!r}")
