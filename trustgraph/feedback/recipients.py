"""Who a recipient is, whatever his address is written like, and which recipients are spamtraps.

One mailbox has one vote: letter case, quotation marks that need not be there, a trailing dot and everything from a plus
sign on are left out of an address before it is compared. That two addresses are aliases of one mailbox cannot be known
here, so a voter is the mailbox that the mail ended up in where that is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from trustgraph.errors import BadInput
from trustgraph.model import parse_domain

#: RFC 5321 section 4.5.3.1.3, twice over for SMTPUTF8.
MAX_ADDRESS = 512

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
#: A path's brackets, or those around the address in ``Name <address>``; a source route goes (RFC 5321 appendix F.2).
_IN_BRACKETS = re.compile(r"<(?:@[^:<>]*:)?([^<>]*)>\s*\Z")


def parse_recipient(text: str) -> str:
    """The mailbox of an address in its one spelling. Raises :class:`BadInput` for what is no address with a domain."""
    address = text.strip()[: MAX_ADDRESS + 1]
    if found := _IN_BRACKETS.search(address):
        address = found[1].strip()
    local, at, domain = address.rpartition("@")
    if quoted := _QUOTED.fullmatch(local):
        local = re.sub(r"\\(.)", r"\1", quoted[1])
    # A plus sign in front is part of the name.
    local = (local[:1] + local[1:].partition("+")[0]).lower()
    if not at or not local or len(address) > MAX_ADDRESS:
        raise BadInput(f"{text[:80]!r} is not a recipient: expected an address such as anna@example.org")
    return f"{local}@{parse_domain(domain)}"


def voter_digest(name: str) -> int:
    """A signed 64-bit number for a voter: a mailbox by :func:`parse_recipient`, or an identity that reports."""
    octets = name.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(octets, digest_size=8, person=b"voter").digest(), "big", signed=True)


@lru_cache(maxsize=1 << 14)
def recipient_digest(address: str) -> int | None:
    """The same for an address as it is written; None for what is none."""
    try:
        return voter_digest(parse_recipient(address))
    except BadInput:
        return None


def parse_trap(text: str) -> str:
    """A spamtrap of the settings: an address, or ``*@domain`` for all of a domain. Raises :class:`BadInput`."""
    if text.strip().startswith("*@"):
        return f"*@{parse_domain(text.strip()[2:])}"
    return parse_recipient(text)


class Traps:
    """Addresses that belong to nobody, as :func:`parse_trap` gives them."""

    def __init__(self, traps: Iterable[str]) -> None:
        self._traps = frozenset(traps)

    def catch(self, addresses: Iterable[str]) -> list[str]:
        """Mailboxes among ``addresses``, in their one spelling, that are traps."""
        if not self._traps:
            return []
        caught = []
        for address in addresses:
            try:
                mailbox = parse_recipient(address)
            except BadInput:
                continue
            if mailbox in self._traps or "*@" + mailbox.rpartition("@")[2] in self._traps:
                caught.append(mailbox)
        return caught


NO_TRAPS = Traps(())
