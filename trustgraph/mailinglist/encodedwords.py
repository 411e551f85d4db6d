"""Encoded words (RFC 2047) for looking at what a reader is shown; forgiving, since mail programs are."""

from __future__ import annotations

import binascii
import re

_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?(.*?)\?=")
_BETWEEN = re.compile(r"(\?=)\s+(=\?)")


def decode_words(text: str) -> str:
    """The text with its encoded words decoded; white space between two of them goes (section 6.2).

    What cannot be decoded is left as it stands. Never raises.
    """
    return _WORD.sub(_decoded, _BETWEEN.sub(r"\1\2", text)) if "=?" in text else text


def _decoded(word: re.Match[str]) -> str:
    charset, encoding, encoded = word.groups()
    octets = encoded.encode("utf-8", "replace")
    try:
        if encoding in "bB":
            octets = binascii.a2b_base64(octets + b"=" * (-len(octets) % 4))
        else:
            octets = binascii.a2b_qp(octets, header=True)
        return octets.decode(charset, "replace")
    except (ValueError, LookupError):  # not base64, no such charset, or one that is no charset of text
        return word[0]
