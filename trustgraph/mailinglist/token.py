"""The text whose signature proves that a key is a subscriber's: it says what for, so that it is good for nothing else.

    I hold this key and sign my posts to this list with it.
    list: dev@lists.example
    address: anna@example.org
    key: 0123456789abcdef0123456789abcdef01234567
    nonce: 00112233445566778899aabbccddeeff
    until: 2026-09-02T12:00:00Z

Lines are short, since a reply quotes and may fold them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds, from_rfc3339, to_rfc3339

#: So long a proof may take.
LIFETIME_SECONDS = 86_400

#: A reply quotes one letter, or a thread of a few.
MAX_TOKENS = 8

#: What an older key says to one that takes over from it, on a line of its own and not quoted: programs sign replies,
#: protests among them, and quote what they answer.
CONSENT = "I replace my key on this list."

_STATEMENT = "I hold this key and sign my posts to this list with it."
_WORDS = ("list", "address", "key", "nonce", "until")
_QUOTING = re.compile(r"[>|\s]*")
_NONCE = re.compile(r"[0-9a-f]{32,64}")

#: Blank lines that a mail program may have put between two lines of a token.
_MAX_GAP = 2


@dataclass(frozen=True, slots=True)
class Token:
    """Who is to prove what until when. ``nonce`` is at least 16 random octets in hex; addresses are canonical."""

    list_address: str
    address: str
    fingerprint: str
    nonce: str
    until: UnixSeconds


def token_text(token: Token) -> str:
    """The lines to be signed, each ended. Raises :class:`BadInput` for a nonce that is too short to be one."""
    if not _NONCE.fullmatch(token.nonce):
        raise BadInput("the nonce of a token has 16 to 32 octets, in lower-case hex")
    values = (token.list_address, token.address, token.fingerprint, token.nonce, to_rfc3339(token.until))
    return "".join(f"{line}\n" for line in (_STATEMENT, *map(": ".join, zip(_WORDS, values, strict=True))))


def token_digest(token: Token) -> str:
    """What is kept of a token that is awaited: whoever reads the database cannot answer in the subscriber's place."""
    return sha256(token_text(token).encode()).hexdigest()


def read_tokens(text: str) -> tuple[Token, ...]:
    """The tokens in a signed text, quoted or not, each once, the first :data:`MAX_TOKENS`; others are passed over."""
    lines = [line[_QUOTING.match(line).end() :].rstrip() for line in text.splitlines()]  # type: ignore[union-attr]
    starts = (at for at, line in enumerate(lines) if line == _STATEMENT)
    found = (_token(lines[at + 1 : at + 1 + len(_WORDS) * (_MAX_GAP + 1)]) for at in islice(starts, 4 * MAX_TOKENS))
    return tuple(dict.fromkeys(token for token in found if token))[:MAX_TOKENS]


def consents(text: str) -> bool:
    """Whether a signed text says :data:`CONSENT` in its author's own words."""
    return any(line.strip() == CONSENT for line in text.splitlines())


def _token(lines: Sequence[str]) -> Token | None:
    given = [line.partition(": ") for line in lines if line][: len(_WORDS)]
    if tuple(word for word, _, _ in given) != _WORDS:
        return None
    list_address, address, fingerprint, nonce, until = (value.strip() for _, _, value in given)
    if not _NONCE.fullmatch(nonce):
        return None
    try:
        return Token(list_address, address, fingerprint, nonce, from_rfc3339(until))
    except BadInput:
        return None
