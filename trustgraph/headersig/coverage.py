"""Which fields a header signature covers, and which absences it proves.

Every field is signed except those that transit adds or changes. The fields that programs act on are *oversigned*: named
once more than they occur, so that one added later breaks the signature (RFC 6376 section 5.4.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from trustgraph.headersig.message import Field

FIELD = b"PGP-Header-Signature"

#: Lower-case names, and beginnings of names, of fields that are never signed.
TRANSIT = frozenset(
    {
        *(b"received", b"return-path", b"delivered-to", b"bcc", b"resent-bcc"),
        *(b"authentication-results", b"dkim-signature", FIELD.lower()),
    }
)
TRANSIT_PREFIXES = (b"arc-", b"x-spam-", b"x-virus-")

#: Named once more than they occur; in the order in which an absent one is appended to ``h``.
OVERSIGNED = (
    *(b"From", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"Reply-To", b"Sender", b"In-Reply-To"),
    *(b"References", b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding"),
)

#: RFC 5322 section 3.6 and RFC 2045 section 3: fields that occur at most once.
SINGLETONS = frozenset(name.lower() for name in OVERSIGNED)

# A name with a semicolon cannot stand in a tag (RFC 6376 section 3.5), and no longer one keeps lines below 78 columns.
_MAX_NAME = 70


def signed_names(fields: Sequence[Field]) -> list[bytes]:
    """The names for ``h``: each field that is signed, from the top, then one more of each oversigned name."""
    names = [name for name, _ in fields if _is_signed(name)]
    return names + list(OVERSIGNED)


def uncovered_names(fields: Iterable[Field], signed: Iterable[bytes]) -> list[bytes]:
    """Names, lower case and sorted, of fields that a signature over ``signed`` leaves out, transit aside."""
    left = Counter(name.lower() for name, _ in fields if not _is_transit(name.lower()))
    return sorted((left - Counter(signed)).keys())


def _is_signed(name: bytes) -> bool:
    return len(name) <= _MAX_NAME and b";" not in name and not _is_transit(name.lower())


def _is_transit(name: bytes) -> bool:
    return name in TRANSIT or name.startswith(TRANSIT_PREFIXES)
