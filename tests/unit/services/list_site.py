"""A host of mailing lists in a directory: lists, subscribers with keys, a sendmail that keeps what it is given."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from tests.signed_posts import AT, DAY, LIST, NOW, PostKey, make_key
from tests.unit.services.site import site_in
from trustgraph.mailinglist.model import MailingList, Rules
from trustgraph.model import UnixSeconds
from trustgraph.services.list_deposits import deposit
from trustgraph.services.list_stash import Stash, open_stash
from trustgraph.services.list_subscribers import subscribe
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.store.lists import create_list

OTHER_LIST = "mice@lists.example"
OWNER = "owner@lists.example"
LONG_AGO = UnixSeconds(AT - 30 * DAY)

ANNA, BORIS = make_key("anna@example.org"), make_key("boris@example.net")
ANNAS_ALIAS = "a.bell@work.example"

_SENDMAIL = """#!/bin/sh
cat > "{letters}/$(date +%s%N).$$"
"""


def list_settings(home: Path, **lists: Any) -> Settings:
    """Settings whose sendmail puts letters into a directory, and an empty database."""
    letters = home / "letters"
    letters.mkdir(parents=True, exist_ok=True)
    program = home / "sendmail"
    program.write_text(_SENDMAIL.format(letters=letters))
    program.chmod(0o755)
    return site_in(home, lists={"sendmail": str(program), **lists})


def letters_in(home: Path) -> list[EmailMessage]:
    """What the sendmail was given, in turn."""
    return [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)  # type: ignore[arg-type]
        for path in sorted((home / "letters").iterdir())
    ]


def add_list(store: Store, address: str = LIST, *, deliver: str = "", **rules: Any) -> MailingList:
    local, _, domain = address.partition("@")
    made = MailingList(0, address, f"{local}.{domain}", Rules(**rules), deliver, (OWNER,), LONG_AGO)
    return create_list(store, made)


def add_key(stash: Stash, key: PostKey, at: UnixSeconds = LONG_AGO, aliases: Sequence[str] = ()) -> None:
    """Subscribe the key's address, if it is not yet, and vouch for the key."""
    subscribe(stash, key.address, at, aliases)
    deposit(stash, key.address, key.public, at, fingerprint_vouched=key.fingerprint)


@contextmanager
def list_site(home: Path, *, deliver: str = "", **rules: Any) -> Iterator[Stash]:
    """Two lists with Anna and Boris on both; the stash of the first."""
    settings = list_settings(home)
    store = open_store(settings.database.url)
    try:
        for address in (LIST, OTHER_LIST):
            add_list(store, address, deliver=deliver, **rules)
            stash = open_stash(store, address, settings)
            add_key(stash, ANNA, aliases=[ANNAS_ALIAS])
            add_key(stash, BORIS)
        yield open_stash(store, LIST, settings)
    finally:
        store.close()


def another(stash: Stash, address: str = OTHER_LIST) -> Stash:
    """The stash of another list of the same host."""
    return open_stash(stash.store, address, stash.settings)


def at(moment: int = NOW) -> Any:
    """A clock that stands still."""
    return lambda: UnixSeconds(moment)
