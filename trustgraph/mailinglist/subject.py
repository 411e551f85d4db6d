"""Whether a subject that readers see is the one that was signed, however each of them is encoded."""

from __future__ import annotations

from trustgraph.mailinglist.encodedwords import decode_words

#: As many octets as :attr:`trustgraph.mailinglist.model.Post.subject` has at most; what is beyond nobody shows.
_COMPARED_OCTETS = 998


def same_subject(shown: str, signed: bytes) -> bool:
    """Compare ``shown``, of :class:`~trustgraph.mailinglist.model.Post`, with the field that the signature covers.

    Folding, white space and the choice of encoding (RFC 2047, RFC 6532) make no difference.
    """
    covered = signed[:_COMPARED_OCTETS].decode("utf-8", "backslashreplace")
    return shown == covered or _plain(shown) == _plain(covered)


def _plain(text: str) -> str:
    return " ".join(decode_words(text).split())
