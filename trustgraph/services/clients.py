"""Who delivers a message, as every MTA's hook tells it: names in one spelling, and those that the operator knows."""

from __future__ import annotations

from functools import lru_cache

from trustgraph.errors import BadInput
from trustgraph.model import parse_address, parse_domain
from trustgraph.settings import Settings
from trustgraph.verifier.examine import Client


class Clients:
    """Makes clients by the settings."""

    def __init__(self, settings: Settings) -> None:
        self._known = {parse_address(ip): name for ip, name in settings.milter.known_clients.items()}

    def client(self, ip: str, confirmed_name: str, helo: str) -> Client:
        """``confirmed_name`` is the MTA's, confirmed by address; what is no name counts for none.

        Raises :class:`BadInput` for an ``ip`` that is none; empty is unknown.
        """
        address = _address(ip) if ip else ""
        return Client(self._known.get(address) or _domain(confirmed_name), address, _domain(helo))


_address = lru_cache(maxsize=4096)(parse_address)


@lru_cache(maxsize=4096)
def _domain(text: str) -> str:
    try:
        return "" if text in ("", "unknown") else parse_domain(text)
    except BadInput:
        return ""
