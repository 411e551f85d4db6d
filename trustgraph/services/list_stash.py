"""A list's stash, opened: whose key is whose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trustgraph.errors import BadInput, ConfigurationError
from trustgraph.mailinglist.address import canonical_address
from trustgraph.mailinglist.box import Box
from trustgraph.mailinglist.model import MailingList, StashKey, Subscriber
from trustgraph.openpgp.box import PlainBox, SealedBox, open_sealed_key
from trustgraph.services.hostkeys import passphrase_in, read_secret
from trustgraph.settings import Settings
from trustgraph.store import Store, list_keys
from trustgraph.store.list_records import Keep
from trustgraph.store.lists import all_lists, read_list

_CREDENTIAL = "trustgraph-lists-passphrase"

# Within the class "list" is the mailing list.
Subscribers = list[Subscriber]
Keys = list[StashKey]


@dataclass(frozen=True)
class Stash:
    """One list's subscribers and their keys. What comes out of it is for this host alone: never published, not logged.

    Whoever wrote to an open list and has proved nothing yet is no subscriber here.
    """

    store: Store
    box: Box
    list: MailingList
    settings: Settings

    @property
    def keep(self) -> Keep:
        """What :mod:`trustgraph.store.list_keys` asks for."""
        return Keep(self.store, self.box, self.list.number)

    def subscriber(self, address: str) -> Subscriber | None:
        """Whose address or alias this is; None if it is nobody's, or no address."""
        try:
            canonical = canonical_address(address)
        except BadInput:
            return None
        found = list_keys.read_subscriber(self.keep, canonical)
        return found if found and not found.provisional else None

    def subscribers(self) -> Subscribers:
        """All of them."""
        return [one for one in list_keys.subscribers(self.keep) if not one.provisional]

    def holders(self, fingerprint: str) -> Subscribers:
        """Who has a key with this primary fingerprint, in whatever state: pending ones may be anybody's."""
        return list_keys.holders(self.keep, fingerprint)

    def by_key(self, name: str) -> Keys:
        """The keys that a signature may mean by a fingerprint (of a primary key or subkey) or key ID, in any state."""
        return list_keys.keys_named(self.keep, name)


def open_stash(store: Store, address: str, settings: Settings) -> Stash:
    """The stash of a list.

    Raises :class:`BadInput` naming the lists that there are, and :class:`ConfigurationError` or :class:`NoInput` when
    an encrypted one cannot be opened.
    """
    found = read_list(store, canonical_address(address))
    if found is None:
        known = ", ".join(one.address for one in all_lists(store)) or "none: `trustgraph list create` makes one"
        raise BadInput(f"{address}: there is no such list; there are: {known}")
    return stash_of(store, found, settings)


def stash_of(store: Store, list_: MailingList, settings: Settings) -> Stash:
    """The same of a list already read."""
    return Stash(store, _open_box(list_, settings), list_, settings)


def lists_passphrase(settings: Settings) -> str:
    """That of the lists' own keys; empty where none is configured. Raises :class:`ConfigurationError`."""
    return passphrase_in("lists", settings.lists.passphrase_file, _CREDENTIAL)


def _open_box(list_: MailingList, settings: Settings) -> Box:
    if not list_.sealed_key:
        return PlainBox()
    path = Path(list_.key_path)
    try:
        return SealedBox(open_sealed_key(list_.sealed_key, read_secret(path), lists_passphrase(settings)))
    except BadInput as error:
        raise ConfigurationError(f"{path}: the key of {list_.address}: {error}") from None
