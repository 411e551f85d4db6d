"""Keys in a mail to a list's own address, to be deposited."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence

from trustgraph.errors import BadInput
from trustgraph.headersig.message import Field, split_message, with_network_line_ends
from trustgraph.headersig.tags import parse_tags
from trustgraph.mailinglist.address import author_of, canonical_address
from trustgraph.mailinglist.bodies import check_line_ends
from trustgraph.mailinglist.mime import Entity, decoded, walk
from trustgraph.mailinglist.reading import MAX_POST_OCTETS

MAX_KEYS = 8
MAX_KEY_OCTETS = 1024 * 1024

# Secret ones too: whoever sends one by mistake has to be told.
_BEGIN = re.compile(rb"^-----BEGIN PGP (?:PUBLIC|PRIVATE) KEY BLOCK-----", re.MULTILINE)
_END = re.compile(rb"^-----END PGP (?:PUBLIC|PRIVATE) KEY BLOCK-----", re.MULTILINE)
_KEY_TYPE = "application/pgp-keys"


def enclosed_keys(octets: bytes) -> list[bytes]:
    """The keys in a message, each as it came, armored or binary: attached ones, those in its text, then Autocrypt's.

    At most :data:`MAX_KEYS`, each different; one of more than :data:`MAX_KEY_OCTETS` is passed over. Raises
    :class:`BadInput` for what is no message, or cannot be cut into parts.
    """
    if len(octets) > MAX_POST_OCTETS:
        raise BadInput(f"a message of {len(octets):,} octets: expected at most {MAX_POST_OCTETS:,}")
    message = with_network_line_ends(octets)
    fields, body = split_message(message)
    check_line_ends(message)
    root = Entity(fields, message, 0, len(message) - len(body), len(message))
    parts = [(part.content_type.type, decoded(part)) for part in walk(root) if _may_hold_key(part)]
    attached = [content for kind, content in parts if kind == _KEY_TYPE]
    in_text = [found for kind, content in parts if kind != _KEY_TYPE for found in _blocks(content)]
    keys = dict.fromkeys([*attached, *in_text, *_autocrypt(fields)])
    return [key for key in keys if len(key) <= MAX_KEY_OCTETS][:MAX_KEYS]


def _may_hold_key(part: Entity) -> bool:
    return part.content_type.type in (_KEY_TYPE, "text/plain")


def _blocks(text: bytes) -> Iterator[bytes]:
    """Armored keys, from BEGIN to END."""
    at = 0
    while (begin := _BEGIN.search(text, at)) and (end := _END.search(text, begin.end())):
        yield text[begin.start() : end.end()]
        at = end.end()


def _autocrypt(fields: Sequence[Field]) -> Iterator[bytes]:
    """The key of the author's own Autocrypt field (Autocrypt level 1, section 2), if there is just one."""
    values = [value for name, value in fields if name.lower() == b"autocrypt"]
    if len(values) != 1 or len(values[0]) > 2 * MAX_KEY_OCTETS:
        return
    try:
        # Base64 may be folded with white space, and its attributes are a tag list but for names with a hyphen.
        tags = parse_tags(values[0].replace(b"prefer-encrypt", b"prefer_encrypt"))
        own = canonical_address(tags.get(b"addr", b"").decode("utf-8", "replace")) == author_of(fields)
        key = binascii.a2b_base64(b"".join(tags.get(b"keydata", b"").split()), strict_mode=True)
    except (BadInput, binascii.Error):
        return
    if own and key:
        yield key
