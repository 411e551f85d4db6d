"""Which list a recipient of an SMTP transaction leads to, however it is spelled.

A milter is told recipients as the client wrote them, and the MTA goes on rewriting afterwards (trivial-rewrite(8) in
Postfix): ``birds``, ``birds+x@…``, ``lists.example!birds`` and ``birds@[192.0.2.1]`` are the list, too. Where it is not
plain, the answer is the list: what passes by mistake is posted unread, what is gated by mistake is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from trustgraph.errors import BadInput
from trustgraph.mailinglist.address import canonical_address

T = TypeVar("T")

_ESCAPED = re.compile(r"\\(.)")
_AT_MOST = 16


def list_of(recipient: str, known: Mapping[str, T]) -> T | None:
    """The list, of those ``known`` by their canonical addresses, that a recipient leads to; None for other mail."""
    try:
        if found := known.get(canonical_address(recipient)):
            return found
    except BadInput:
        pass
    local, domain = _reduced(recipient, {one.rpartition("@")[2] for one in known})
    for address, one in known.items():
        own_local, _, own_domain = address.rpartition("@")
        if domain in ("", own_domain) and local in _with_extensions(own_local, local):
            return one
    return None


def _with_extensions(own: str, local: str) -> Iterable[str]:
    return (own, local) if local.startswith(own + "+") else (own,)


def _reduced(recipient: str, own_domains: set[str]) -> tuple[str, str]:
    """Local part and domain in the end, as an MTA rewrites them; the domain is empty where it is this host's."""
    text = recipient.strip().lower()
    if text.startswith("@") and ":" in text:  # a route (RFC 5321 appendix C)
        text = text.partition(":")[2]
    local, at, domain = text.rpartition("@")
    if not at:
        local, domain = text, ""
    for _ in range(_AT_MOST):
        domain = "" if domain.startswith("[") else domain.rstrip(".")
        if len(local) > 1 and local.startswith('"') and local.endswith('"'):
            local = _ESCAPED.sub(r"\1", local[1:-1])
        if domain and domain not in own_domains:
            break
        if "!" in local:
            domain, _, local = local.partition("!")
        elif "@" in local or "%" in local:
            local, _, domain = local.rpartition("@" if "@" in local else "%")
        else:
            break
    return local, domain
