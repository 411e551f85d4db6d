"""The text in what a subscriber signed, to look for a token in. Pure and bounded."""

from __future__ import annotations

from trustgraph.errors import BadInput
from trustgraph.mailinglist.mime import decoded, read_entity, walk
from trustgraph.mailinglist.model import Kind, SignedContent

#: A reply quotes one letter.
MAX_SIGNED_OCTETS = 256 * 1024


def signed_text(content: SignedContent) -> str:
    """What its plain text says, of all parts together.

    Raises :class:`BadInput` for more than :data:`MAX_SIGNED_OCTETS`, for a signature over a header, and for a part that
    could be read in more than one way.
    """
    if len(content.text) > MAX_SIGNED_OCTETS:
        raise BadInput(f"a signed text of {len(content.text):,} octets: at most {MAX_SIGNED_OCTETS:,} are read")
    if content.kind is Kind.INLINE:
        return content.text.decode("utf-8", "replace")
    if content.kind is not Kind.PGP_MIME:
        raise BadInput("expected a message whose text is signed, not its header")
    parts = walk(read_entity(content.text, 0, len(content.text)))
    texts = [decoded(part) for part in parts if part.content_type.type == "text/plain"]
    return "\n".join(text.decode("utf-8", "replace") for text in texts)
