"""What a User ID claims (RFC 9580 section 5.11; host keys after Monkeysphere's URI User IDs). Pure and total.

A claim has one spelling: the whole text, the host in its canonical form, ASCII. Anything beside it, whether white
space, a second word, upper case or a NUL, makes it a mere text, so that no decoy reads like a host.
"""

from __future__ import annotations

import re

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds, UserId, UserIdScope, parse_domain

_SMTP = re.compile(r"smtp://([a-z0-9_.-]{1,253})(?::([1-9][0-9]{0,4}))?")
_POSTMASTER = re.compile(
    r"(?:[^<>\x00-\x1f\x7f]{0,200}<postmaster@([a-z0-9_.-]{1,253})>|postmaster@([a-z0-9_.-]{1,253}))"
)
_MAX_PORT = 65_535


def user_id_text(octets: bytes) -> str:
    """A User ID as text; what is not UTF-8, and NUL, which not every database takes, is written ``\\xNN``."""
    return octets.decode(errors="backslashreplace").replace("\0", "\\x00")


def parse_user_id(text: str, revoked_at: UnixSeconds | None = None) -> UserId:
    """A User ID with its scope and, for ``smtp`` and ``postmaster``, the host it claims."""
    smtp = _SMTP.fullmatch(text)
    if smtp and int(smtp[2] or 0) <= _MAX_PORT and _is_canonical_fqdn(smtp[1]):
        return UserId(text, UserIdScope.SMTP, smtp[1], revoked_at)
    postmaster = _POSTMASTER.fullmatch(text)
    if postmaster:
        host = postmaster[1] or postmaster[2]
        if _is_canonical_fqdn(host):
            return UserId(text, UserIdScope.POSTMASTER, host, revoked_at)
    return UserId(text, UserIdScope.OTHER, "", revoked_at)


def _is_canonical_fqdn(host: str) -> bool:
    """Two labels and more, the last not a number: an address is no name (RFC 3696 section 2)."""
    last = host.rpartition(".")[2]
    try:
        return "." in host and not last.isdigit() and parse_domain(host) == host
    except BadInput:
        return False
