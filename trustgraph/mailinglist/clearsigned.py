"""Clear-signed text (RFC 9580 section 7): what is signed, and what a reader would take for signed.

Stricter than the programs that verify it: they pass over what stands around the block, or behind ``Hash:`` within
it, and readers do not.
"""

from __future__ import annotations

import re

from trustgraph.mailinglist.pgpmime import MAX_SIGNATURE_OCTETS
from trustgraph.mailinglist.problem import PostProblem

_HASH = rb"(?:SHA(?:1|224|256|384|512|3-256|3-512)|RIPEMD160|MD5)"
_BEGIN = re.compile(
    rb"(?:[ \t]*+\r\n)*+-----BEGIN PGP SIGNED MESSAGE-----\r\n(?:Hash: %b(?:, ?%b){0,5}\r\n){0,5}\r\n" % (_HASH, _HASH)
)
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"

#: Header lines of the signature's armor are shown as a part of the message and not signed: only what programs write.
_ARMOR_HEADERS = re.compile(
    rb"(?:(?:Version: (?:GnuPG|OpenPGP\.js|Mailvelope|FlowCrypt|PGPy|BCPG|Sequoia|Encryption Desktop|PGP)"
    rb"(?:/MacGPG2)?(?: v?[0-9][0-9.]{0,15})?(?: \((?:GNU/Linux|MingW32|Darwin|OpenBSD|FreeBSD|Android)\))?"
    rb"|Charset: [A-Za-z0-9_-]{1,20}|Hash: %b"
    rb"|Comment: (?:GPGTools - https?://(?:www\.)?gpgtools\.org/?"
    rb"|Using GnuPG with [A-Za-z]{1,20} - https?://(?:www\.)?enigmail\.(?:net|mozdev\.org)/?"
    rb"|https?://(?:www\.)?(?:gpgtools\.org|openpgpjs\.org|mailvelope\.com|protonmail\.com)/?))\r\n){0,4}\r\n" % _HASH
)
_BASE64_LINES = re.compile(rb"(?:[A-Za-z0-9+/=]{1,80}\r\n)+")
#: What marks text that some program would verify.
MARK = re.compile(rb"^-----BEGIN PGP SIGNED MESSAGE-----", re.MULTILINE)


def read_clear_signed(text: bytes) -> tuple[bytes, bytes]:
    """The canonical form of what is signed, and the armored signature, of a text with CRLF line ends.

    Of each line trailing spaces and tabs are left out, and so is the last line end (section 7.2). Raises
    :class:`PostProblem`: ``partly-signed`` where there is anything but white space around the block,
    ``malformed-clear-text`` for a block that is not just as it should be.
    """
    mark = MARK.search(text)
    if mark is None or text[: mark.start()].strip(b" \t\r\n"):
        raise PostProblem("partly-signed", "text before the clear-signed block")
    begin = _BEGIN.match(text)
    if begin is None:
        raise _malformed("its first lines: expected BEGIN, Hash and an empty line")
    # The empty line's end is also that of an empty text.
    signature_at = text.find(b"\r\n" + _SIGNATURE + b"\r\n", begin.end() - 2)
    if signature_at < 0:
        raise _malformed("no signature")
    lines = text[begin.end() : signature_at].split(b"\r\n")
    return b"\r\n".join(map(_unescaped, lines)), _sole_signature(text[signature_at + 2 :])


def _unescaped(line: bytes) -> bytes:
    if line.startswith(b"-"):
        if not line.startswith(b"- "):
            raise _malformed("a line with a dash that is not escaped")
        line = line[2:]
    return line.rstrip(b" \t")


def _sole_signature(text: bytes) -> bytes:
    block, end, after = text.partition(b"\r\n" + _END)
    if not end or (after and not after.startswith(b"\r\n")):
        raise _malformed("a signature that does not end")
    if after.strip(b" \t\r\n"):
        raise PostProblem("partly-signed", "text after the clear-signed block")
    if len(block) > MAX_SIGNATURE_OCTETS:
        raise _malformed(f"a signature of more than {MAX_SIGNATURE_OCTETS:,} octets")
    inside = block[len(_SIGNATURE) + 2 :] + b"\r\n"
    headers = _ARMOR_HEADERS.match(inside)
    if headers is None:
        raise _malformed("header lines of its signature")
    if not _BASE64_LINES.fullmatch(inside, headers.end()):
        raise _malformed("a signature that is not base64")
    return block + end + b"\r\n"


def _malformed(what: str) -> PostProblem:
    return PostProblem("malformed-clear-text", f"a clear-signed block that is not as it should be: {what}")
