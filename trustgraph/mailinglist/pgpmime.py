"""PGP/MIME signed messages (RFC 3156 section 5, RFC 1847 section 2.1), accepted only where nothing but the signed part
can be shown."""

from __future__ import annotations

import re

from trustgraph.mailinglist.mime import IDENTITY_ENCODINGS, ContentType, Entity, has_mime_version, parts_of
from trustgraph.mailinglist.model import Kind, SignedContent
from trustgraph.mailinglist.problem import PostProblem, malformed
from trustgraph.mailinglist.protected import protected_binding

SIGNATURE_TYPE = "application/pgp-signature"
#: Two signatures by RSA keys of 16,384 bits, armored, and room for notations.
MAX_SIGNATURE_OCTETS = 16 * 1024

#: What mail programs write above the first delimiter, for readers that know no MIME.
_PREAMBLE = re.compile(
    rb"\s*+(?:This is (?:an OpenPGP/MIME signed message \(RFC (?:2440|4880|9580)(?: and 3156)?\)"
    rb"|a multi-part message in MIME format|a MIME-encapsulated message"
    rb"|a cryptographically signed message in MIME format)\.{0,3}"
    rb"|This message is in MIME format and has been PGP signed\."
    rb"|This is a message in Mime Format\.  If you see this, your mail reader does not support this format\.)?\s*"
)


def is_pgp_mime(content_type: ContentType) -> bool:
    """Whether it says that it is signed by OpenPGP. Other multipart/signed (S/MIME) is none of ours."""
    protocol = content_type.parameters.get("protocol", b"")
    return content_type.type == "multipart/signed" and protocol.lower() == SIGNATURE_TYPE.encode()


def read_pgp_mime(entity: Entity) -> SignedContent:
    """The signed part, octet for octet, and the signature; the line end before a delimiter belongs to the delimiter.

    Raises :class:`PostProblem`: ``partly-signed`` where something stands beside the signed part, ``malformed-mime`` for
    what programs could cut in another way.
    """
    if not has_mime_version(entity.fields):
        raise malformed("a multipart without MIME-Version")
    if entity.encoding not in IDENTITY_ENCODINGS:
        raise malformed("multipart/signed with a transfer encoding")
    if any("*" in name for name in entity.content_type.parameters):
        raise malformed("multipart/signed with a parameter encoded by RFC 2231")
    found = parts_of(entity)
    if not _PREAMBLE.fullmatch(found.preamble) or found.epilogue.strip(b" \t\r\n"):
        raise PostProblem("partly-signed", "text before or after the signed part")
    if len(found.parts) != 2:
        raise PostProblem("partly-signed", f"multipart/signed of {len(found.parts)} parts: expected 2")
    signed, signature = found.parts
    if signature.content_type.type != SIGNATURE_TYPE or signature.encoding not in ("7bit", "8bit"):
        raise malformed(f"the second part is {signature.content_type.type}, {signature.encoding}")
    # Without this, a text that was clear-signed could be shown as a part whose header is the text's beginning.
    if signed.fields and not any(name.lower() == b"content-type" for name, _ in signed.fields):
        raise malformed("a signed part with a header that has no Content-Type")
    if signature.end - signature.body_at > MAX_SIGNATURE_OCTETS:
        raise malformed(f"a signature of more than {MAX_SIGNATURE_OCTETS:,} octets")
    return SignedContent(Kind.PGP_MIME, signed.whole, signature.body, protected_binding(signed))
