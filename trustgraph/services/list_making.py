"""Lists made, changed and deleted, and what each asks of its posts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from trustgraph.errors import BadInput, UsageError
from trustgraph.mailinglist.address import canonical_address
from trustgraph.mailinglist.letter import keys_address
from trustgraph.mailinglist.model import Action, MailingList, Rules
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.box import new_sealed_key
from trustgraph.openpgp.making import new_list_key
from trustgraph.services.hostkeys import read_secret, write_secret
from trustgraph.services.list_stash import lists_passphrase
from trustgraph.settings import Settings, parse_duration
from trustgraph.store import Store
from trustgraph.store.lists import all_lists, change_list, create_list, read_list

_LIST_ID = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)+")
_MAX_HELD = 100_000

#: Rules of this ending are written as durations, without it.
_SECONDS = "_seconds"


def new_list(
    store: Store,
    settings: Settings,
    address: str,
    now: UnixSeconds,
    *,
    list_id: str = "",
    rules: Sequence[str] = (),
    deliver: str = "",
    moderators: Iterable[str] = (),
    encrypt: bool = False,
    key_file: Path | None = None,
) -> MailingList:
    """Make a list; ``list_id`` is by default the address with a dot in the place of the @.

    With ``encrypt`` or ``key_file`` its stash is encrypted with the key in that file (by default beside the host key),
    which is made if need be. Raises :class:`BadInput` for what is not as it should be, and for a list that there is.
    """
    canonical = canonical_address(address)
    if read_list(store, canonical):
        raise BadInput(f"{canonical}: there is a list with this address already; `trustgraph list set` changes it")
    made = MailingList(
        number=0,
        address=canonical,
        list_id=parse_list_id(list_id or canonical.replace("@", ".")),
        rules=with_rules(Rules(), rules),
        deliver=parse_deliver(deliver),
        moderators=tuple(dict.fromkeys(map(canonical_address, moderators))),
        created_at=now,
    )
    _check_addresses(made)
    if encrypt or key_file:
        made = _encrypted(settings, made, key_file or _key_path(settings, canonical), now)
    return create_list(store, made)


def change(
    store: Store,
    address: str,
    *,
    list_id: str | None = None,
    rules: Sequence[str] = (),
    deliver: str | None = None,
    moderators: Sequence[str] | None = None,
) -> MailingList:
    """Change a list's settings; None leaves one as it is. Raises :class:`BadInput` as above, and if there is none."""

    def changed(known: MailingList) -> MailingList:
        new = replace(
            known,
            list_id=known.list_id if list_id is None else parse_list_id(list_id),
            rules=with_rules(known.rules, rules),
            deliver=known.deliver if deliver is None else parse_deliver(deliver),
            moderators=known.moderators
            if moderators is None
            else tuple(dict.fromkeys(map(canonical_address, moderators))),
        )
        _check_addresses(new)
        return new

    return change_list(store, canonical_address(address), changed)


def _check_addresses(list_: MailingList) -> None:
    """Letters to the list itself would come back as posts. Raises :class:`BadInput`."""
    if list_.rules.keys_to == list_.address:
        raise BadInput(f"rule keys_to: {list_.address} is the list itself: expected another address")
    if own := {list_.address, keys_address(list_)} & set(list_.moderators):
        raise BadInput(f"--moderator {', '.join(sorted(own))}: expected a person's address, not one of the list")


def named_lists(store: Store, addresses: Sequence[str]) -> list[MailingList]:
    """The lists of these addresses, all of them if none is given. Raises :class:`BadInput` saying which there are."""
    known = {one.address: one for one in all_lists(store)}
    if not addresses:
        return list(known.values())
    wanted = [canonical_address(one) for one in addresses]
    for one in wanted:
        if one not in known:
            raise BadInput(f"{one}: there is no such list; there are: {', '.join(known) or 'none'}")
    return [known[one] for one in wanted]


def with_rules(rules: Rules, texts: Iterable[str]) -> Rules:
    """Rules with some changed, each given as ``name=value``. Raises :class:`BadInput` naming the one that is wrong."""
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in rule_texts(rules):
            raise BadInput(
                f"rule {text[:80]!r}: expected NAME=VALUE with one of the names {', '.join(rule_texts(rules))}"
            )
        try:
            rules = replace(rules, **_rule(name, value))
        except ValueError as error:
            raise BadInput(f"rule {name}: {error}") from None
    return rules


def rule_texts(rules: Rules) -> dict[str, str]:
    """Each rule as :func:`with_rules` takes it."""
    texts: dict[str, str] = {}
    for field in fields(rules):
        value = getattr(rules, field.name)
        is_time = field.name.endswith(_SECONDS)
        texts[field.name.removesuffix(_SECONDS)] = _duration(value) if is_time else _text(value)
    return texts


def parse_list_id(text: str) -> str:
    """A List-Id in lower case, without brackets (RFC 2919 section 3). Raises :class:`BadInput`."""
    bare = text.strip().removeprefix("<").removesuffix(">").lower()
    if not _LIST_ID.fullmatch(bare) or len(bare) > 255:
        raise BadInput(f"{text[:80]!r} is not a List-Id: expected one such as birds.lists.example")
    return bare


def parse_deliver(text: str) -> str:
    """Where posts go on to. Raises :class:`BadInput` for a URL that is neither lmtp:// nor smtp://."""
    scheme, separator, _ = text.partition("://")
    if separator and " " not in scheme and scheme not in ("lmtp", "smtp"):
        raise BadInput(f"--deliver {text[:80]}: expected lmtp://HOST:PORT, smtp://HOST:PORT or a command line")
    return text.strip()


def _rule(name: str, value: str) -> dict[str, Any]:
    if name in ("window", "overlap"):
        seconds = int(parse_duration(value))
        if name == "window" and seconds <= 0:
            raise ValueError("expected more than nothing: older signatures would all be refused")
        return {name + _SECONDS: seconds}
    if name == "held_at_most":
        if not value.isdecimal() or not 0 < int(value) <= _MAX_HELD:
            raise ValueError(f"expected a number from 1 to {_MAX_HELD:,}, not {value[:40]!r}")
        return {name: int(value)}
    if name == "keys_to":
        return {name: canonical_address(value) if value else ""}
    if name == "open":
        if value not in ("yes", "no"):
            raise ValueError(f"expected yes or no, not {value[:40]!r}")
        return {name: value == "yes"}
    words = [*Action, "none"] if name == "on_unbound" else [*Action]
    if value not in words:
        raise ValueError(f"expected {', '.join(words[:-1])} or {words[-1]}, not {value[:40]!r}")
    return {name: None if value == "none" else Action(value)}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return str(value)


def _duration(seconds: int) -> str:
    """As :func:`parse_duration` takes it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _key_path(settings: Settings, address: str) -> Path:
    return settings.hostkey.path.parent / "lists" / f"{address.replace('/', '%2f')}.pgp"


def _encrypted(settings: Settings, list_: MailingList, path: Path, now: UnixSeconds) -> MailingList:
    passphrase = lists_passphrase(settings)
    path = path.absolute()
    if not path.exists():
        write_secret(path, new_list_key(list_.address, now, passphrase))
    try:
        _, sealed = new_sealed_key(read_secret(path), passphrase)
    except BadInput as error:
        raise UsageError(f"{path}: {error}") from None
    return replace(list_, key_path=str(path), sealed_key=sealed)
