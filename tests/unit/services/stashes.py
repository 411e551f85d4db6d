"""A list with a stash on a database of its own, and subscribers who answer its letters as people do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.signed_posts import AT, LIST, NOW, Signs, inline, make_key, pgp_mime
from tests.unit.services.site import site_in
from trustgraph.mailinglist.model import MailingList, Rules
from trustgraph.mailinglist.token import CONSENT
from trustgraph.model import UnixSeconds
from trustgraph.services.list_deposits import Confirmed, Deposited, confirm, deposit
from trustgraph.services.list_stash import Stash, stash_of
from trustgraph.services.list_subscribers import subscribe
from trustgraph.store import open_store
from trustgraph.store.lists import create_list

ANNA, BERT, OWNER = "anna@example.org", "bert@example.net", "owner@lists.example"

__all__ = ["ANNA", "AT", "BERT", "LIST", "NOW", "OWNER", "make_key"]


def stash_in(home: Path, address: str = LIST, *, rules: Rules | None = None, **sections: dict[str, Any]) -> Stash:
    """The stash of a new list at a site."""
    settings = site_in(home, **sections)
    store = open_store(settings.database.url)
    made = MailingList(0, address, address.replace("@", "."), rules or Rules(), "", (OWNER,), AT)
    return stash_of(store, create_list(store, made), settings)


def answer(token: str | None, *signers: Signs, quoted: str = "> ") -> bytes:
    """A reply that quotes the letter, as PGP/MIME."""
    assert token is not None
    lines = "".join(f"{quoted}{line}\n" for line in token.splitlines())
    return pgp_mime(signers[0], f"Yes, that is mine.\n{CONSENT}\n\n{lines}", also=signers[1:])


def clear(token: str | None, signer: Signs) -> bytes:
    """What `gpg --clearsign` makes of the token."""
    assert token is not None
    return signer.clear(token.encode())


def with_key(stash: Stash, key: Any, *, now: UnixSeconds = NOW, also: Sequence[Signs] = ()) -> Confirmed:
    """Subscribed, if not yet, and a key that counts."""
    if stash.subscriber(key.address) is None:
        subscribe(stash, key.address, now)
    made: Deposited = deposit(stash, key.address, key.public, now)
    return confirm(stash, answer(made.token_text, key, *also), now)


__all__ += ["inline"]
