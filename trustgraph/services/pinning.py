"""Keys that the operator vouches for by hand, whatever their mail: a pin holds until it is taken back."""

from __future__ import annotations

from trustgraph.errors import BadInput, NoInput, UsageError
from trustgraph.model import Identity, IdentityKind, UnixSeconds, parse_domain
from trustgraph.services.endorsement_planning import own_fingerprint, own_host
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.endorsement_facts import key_facts, keys_of_host
from trustgraph.store.identities import operator_of
from trustgraph.store.own_endorsements import pin_key, unpin_key


def pin(store: Store, settings: Settings, name: str, note: str, now: UnixSeconds) -> str:
    """Vouch by hand for a host's key, given by host or fingerprint; returns the fingerprint.

    Raises :class:`UsageError` for ourselves and our own operator's, :class:`NoInput` for a host whose key is not known.
    """
    if not note.strip():
        raise UsageError("--note: expected a few words on why this host is vouched for by hand")
    fingerprint = _resolve(store, name)
    operator = operator_of(own_host(settings))
    with store.reading() as connection:
        key = key_facts(connection, [fingerprint]).get(fingerprint)
    if operator in (key.operators if key else ()) or own_fingerprint(settings) == fingerprint:
        raise UsageError(f"{name}: is of our own operator, {operator}, and nobody vouches for himself")
    pin_key(store, fingerprint, note.strip(), now)
    return fingerprint


def unpin(store: Store, name: str) -> str:
    """Take a pin back; returns the fingerprint. Raises :class:`NoInput` when there is no such pin."""
    fingerprint = _resolve(store, name)
    if not unpin_key(store, fingerprint):
        raise NoInput(f"{name}: is not pinned")
    return fingerprint


def _resolve(store: Store, name: str) -> str:
    """The fingerprint that a host name, an identity or a fingerprint means."""
    if name.partition(":")[0].lower() in set(IdentityKind):
        identity = Identity.parse(name)
        if identity.kind is not IdentityKind.OPENPGP:
            raise UsageError(
                f"{name}: only OpenPGP keys can be endorsed; give the host's name or openpgp:<fingerprint>"
            )
        return identity.value
    try:
        return Identity.openpgp(name).value
    except BadInput:
        host = parse_domain(name)
    with store.reading() as connection:
        found = keys_of_host(connection, host)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name}: several keys claim this host: give one of {', '.join(found)}")
    raise NoInput(f"{name}: no key of this host is known here; give its full fingerprint instead")
