"""Who wrote a post and whom it is for (RFC 5322 section 3.4), in one spelling and read strictly.

Whatever two programs could take for two different authors is none. Obsolete syntax (section 4.4) is refused: routes,
comments within an address, white space around its dots.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from trustgraph.errors import BadInput
from trustgraph.headersig.canonical import relaxed_value
from trustgraph.headersig.message import Field
from trustgraph.mailinglist.encodedwords import decode_words
from trustgraph.mailinglist.problem import PostProblem
from trustgraph.model import parse_domain

#: RFC 5321 section 4.5.3.1.3, twice over for SMTPUTF8.
MAX_ADDRESS = 512
#: Longer values of From and Sender, and of To and Cc, are not read.
MAX_AUTHOR_OCTETS = 4 * 1024
MAX_RECIPIENTS_OCTETS = 64 * 1024
MAX_RECIPIENTS = 1_000

_DOT_ATOM = re.compile(r"[^\s\x00-\x20\x7f()<>\[\]:;@\\,.\"]++(?:\.[^\s\x00-\x20\x7f()<>\[\]:;@\\,.\"]++)*+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_ESCAPED = re.compile(r"\\(.)")
_TOKEN = re.compile(
    r"(?P<space>[ \t]++)"
    r'|(?P<quoted>"(?:[^"\\]|\\.)*+")'
    r"|(?P<comment>\([^()\\]*+\))"
    r'|(?P<angle><(?:"(?:[^"\\]|\\.)*+"@)?[^<>"\s]*+>)'
    r'|(?P<atom>[^\x00-\x20\x7f"()<>@,:;\\\[\]]++)'
    r"|(?P<special>[@,:;])"
)
_Token = tuple[str, str]
_BETWEEN_WORDS = re.compile(r"[\s<>\"'(),:;\[\]]+")
#: IDNA 2003, which Python has, maps these to other letters, and so to somebody else's domain (RFC 5894 section 7.2).
_MAPPED = "\N{LATIN SMALL LETTER SHARP S}\N{GREEK SMALL LETTER FINAL SIGMA}\u200c\u200d"
_MARKS = frozenset({"Mn", "Mc"})
_BESIDE = frozenset({"space", "comment"})


@lru_cache(maxsize=8192)
def canonical_address(text: str) -> str:
    """The whole address in lower case, as Mailman compares it, its domain in ASCII (IDNA).

    Raises :class:`BadInput` for what is no address, has a domain that is an IP address literal, or a local part that
    only a quoted string can hold.
    """
    address = text.strip(" \t")
    local, at, domain = address.rpartition("@")
    if quoted := _QUOTED.fullmatch(local):
        local = _ESCAPED.sub(r"\1", quoted[1])
    if any(one in domain for one in _MAPPED):
        raise BadInput(f"{text[:80]!r}: write the domain in its ASCII form")
    if not at or len(address) > MAX_ADDRESS or not _is_local(local) or domain != domain.strip().rstrip("."):
        raise BadInput(f"{text[:80]!r} is not an address: expected one such as anna@example.org")
    return f"{unicodedata.normalize('NFC', local.lower())}@{parse_domain(domain)}"


def _is_local(local: str) -> bool:
    """Letters, digits and what RFC 5322 allows beside them; of the rest of Unicode only letters, digits and marks."""
    if not _DOT_ATOM.fullmatch(local) or ("=?" in local and "?=" in local):
        return False
    return local.isascii() or all(
        one.isascii() or one.isalnum() or unicodedata.category(one) in _MARKS for one in local
    )


def author_of(fields: Sequence[Field]) -> str:
    """The canonical address of the one author.

    Raises :class:`PostProblem` with ``no-author``, ``several-authors``, ``malformed-author``, or ``misleading-name``
    where the name beside the address has another address in it.
    """
    values = [value for name, value in fields if name.lower() == b"from"]
    if not values:
        raise PostProblem("no-author", "the post has no From field")
    if len(values) > 1:
        raise PostProblem("several-authors", f"the post has {len(values)} From fields")
    return _sole_mailbox(values[0])


def check_sender(fields: Sequence[Field], author: str) -> None:
    """A Sender field (RFC 5322 section 3.6.2) is shown beside or above the author by some programs.

    Raises :class:`PostProblem` with ``other-sender`` unless it is absent or names the author.
    """
    for name, value in fields:
        if name.lower() != b"sender":
            continue
        try:
            sender = _sole_mailbox(value)
        except PostProblem as error:
            raise PostProblem("other-sender", f"Sender: {error}") from None
        if sender != author:
            raise PostProblem("other-sender", f"sent by {sender} in the name of {author}")


def recipients_of(values: Iterable[bytes]) -> frozenset[str]:
    """Canonical addresses in the values of To and Cc fields, groups included; what cannot be read is passed over."""
    found: set[str] = set()
    for value in values:
        for tokens in _pieces(value):
            try:
                found.add(_address_in(tokens)[0])
            except BadInput:
                continue
            if len(found) >= MAX_RECIPIENTS:
                return frozenset(found)
    return frozenset(found)


def _sole_mailbox(value: bytes) -> str:
    if len(value) > MAX_AUTHOR_OCTETS:
        raise PostProblem("malformed-author", f"an address field of {len(value):,} octets")
    try:
        text = relaxed_value(value).decode("utf-8", "replace")
        tokens = list(_tokens(text))
        is_list = any(kind == "special" and symbol != "@" for kind, symbol in tokens)
        address, names = ("", []) if is_list else _address_in(tokens)
    except BadInput as error:
        raise PostProblem("malformed-author", str(error)) from None
    if is_list:
        raise PostProblem("several-authors", "expected one address, found a list or a group")
    for name in names:
        if other := _another_address(name, address):
            raise PostProblem("misleading-name", f"the name says {other[:80]!r}, the address is {address}")
    return address


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadInput(f"{text[at : at + 40]!r} cannot stand in an address field")
        yield found.lastgroup or "", found[0]
        at = found.end()


def _pieces(value: bytes) -> Iterator[list[_Token]]:
    """What stands between commas, colons and semicolons, as far as it can be read."""
    piece: list[_Token] = []
    try:
        text = relaxed_value(value[:MAX_RECIPIENTS_OCTETS]).decode("utf-8", "replace")
        for token in _tokens(text):
            if token[0] == "special" and token[1] != "@":
                yield piece
                piece = []
            else:
                piece.append(token)
    except BadInput:
        return
    yield piece


def _address_in(tokens: list[_Token]) -> tuple[str, list[str]]:
    """The address of one mailbox, and the texts that are shown beside it. Raises :class:`BadInput`."""
    names = [token[1:-1] for kind, token in tokens if kind == "comment"]
    rest = list(tokens)
    while rest and rest[-1][0] in _BESIDE:
        rest.pop()
    while rest and rest[0][0] in _BESIDE:
        rest.pop(0)
    kinds = [kind for kind, _ in rest]
    starts_with_dot = bool(rest) and rest[0][1].startswith(".")
    if kinds and kinds[-1] == "angle" and set(kinds[:-1]) <= _BESIDE | {"atom", "quoted"} and not starts_with_dot:
        phrase = [one for one in rest[:-1] if one[0] != "comment"]
        shown = "".join(_ESCAPED.sub(r"\1", t[1:-1]) if kind == "quoted" else t for kind, t in phrase)
        return canonical_address(rest[-1][1][1:-1]), [*names, shown]
    if len(rest) == 3 and kinds[0] in ("atom", "quoted") and rest[1][1] == "@" and kinds[2] == "atom":
        return canonical_address("".join(token for _, token in rest)), names
    raise BadInput("expected an address, or a name and an address in angle brackets")


def _another_address(name: str, address: str) -> str:
    """An address in a text that is not this one; empty if there is none. Looks through encodings and lookalikes."""
    if "@" not in name and "=?" not in name and name.isascii():
        return ""
    shown = unicodedata.normalize("NFKC", decode_words(name)).replace("\N{IDEOGRAPHIC FULL STOP}", ".")
    shown = " ".join("".join(one for one in shown if unicodedata.category(one) != "Cf").split())
    for word in _BETWEEN_WORDS.split(shown.replace(" @", "@").replace("@ ", "@")):
        local, _, domain = word.partition("@")
        if not local or "." not in domain.strip("."):
            continue
        try:
            if canonical_address(word.rstrip(".")) == address:
                continue
        except BadInput:
            pass
        return word
    return ""
