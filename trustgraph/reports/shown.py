"""Outside text made fit to show: bounded, and nothing invisible or reordering left in it as it is."""

from __future__ import annotations

import unicodedata

#: RFC 1035 allows 253 octets; nobody reads that many.
MAX_SHOWN = 100

#: What spreadsheets take for a formula, or strip and then take for one (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """At most ``limit`` characters and an ellipsis; control, format (bidi), surrogate and line separators escaped."""
    cut = text[:limit]
    safe = "".join(character if _is_plain(character) else _escaped(character) for character in cut)
    return safe + ("…" if len(text) > limit else "")


def drawn(text: str, limit: int = 40) -> str:
    """The same for figures: ASCII alone, since a figure's font has no other letters for certain."""
    ascii_text = shown(text, limit).replace("…", "...")
    return ascii_text.encode("ascii", "backslashreplace").decode("ascii")


def csv_cell(text: str) -> str:
    """A cell that no spreadsheet runs as a formula."""
    return "'" + text if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


def _is_plain(character: str) -> bool:
    return unicodedata.category(character)[0] != "C" and unicodedata.category(character) not in ("Zl", "Zp")


def _escaped(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"
