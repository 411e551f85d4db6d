"""Whether the store has ever heard of what an override speaks of, and by which host it knows an identity."""

from __future__ import annotations

import ipaddress

import sqlalchemy as sa

from trustgraph.model import Identity, IdentityKind
from trustgraph.store import schema
from trustgraph.store.engine import Store

_IP = f"{IdentityKind.IP}:"


def is_known(store: Store, match: str) -> bool | None:
    """``match`` is an identity, a domain or ``ip:`` and a network, as :func:`parse_match` spells them.

    None for a network of more than one address: identities are not kept by network.
    """
    c = schema.identity.c
    if match.startswith(_IP):
        network = ipaddress.ip_network(match.removeprefix(_IP))
        if network.num_addresses > 1:
            return None
        where = c.name == f"{_IP}{network.network_address}"
    elif ":" in match:
        where = c.name == match
    else:
        below = f".{match}"
        where = sa.or_(
            c.host == match,
            c.host.endswith(below, autoescape=True),
            c.name.endswith(below, autoescape=True),
            c.name.endswith(f":{match}", autoescape=True),
        )
    with store.reading() as connection:
        return connection.execute(sa.select(c.id).where(where).limit(1)).first() is not None


def host_of(store: Store, identity: Identity) -> str:
    """The host that an identity is known by; empty without one, and for an identity that is not in the store."""
    c = schema.identity.c
    with store.reading() as connection:
        return str(connection.execute(sa.select(c.host).where(c.name == str(identity))).scalar() or "")
