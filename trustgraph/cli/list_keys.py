"""``trustgraph list``: subscribers and their keys."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli.context import JsonOption, Shared, now, shared
from trustgraph.cli.list_output import key_json, print_confirmed, print_deposited, print_reminder, print_subscriber
from trustgraph.cli.output import note, print_json, print_table, say
from trustgraph.errors import NoInput, ServiceUnavailable, UsageError
from trustgraph.model import to_rfc3339

if TYPE_CHECKING:
    from email.message import EmailMessage

    from trustgraph.services.list_stash import Stash

ListArgument = Annotated[str, typer.Argument(metavar="LIST", help="The list's address.")]
AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="A subscriber's address or alias.")]
KeyOption = Annotated[str, typer.Option("--key", metavar="FILE", help="The public key, armored or binary; - is stdin.")]
LetterOption = Annotated[
    bool, typer.Option("--letter/--no-letter", help="Write to the subscriber what was done and what is to be done.")
]
PrintLetterOption = Annotated[
    bool, typer.Option("--print-letter", help="Print the letter instead of sending it, for your own mail program.")
]


def subscribe(
    context: typer.Context,
    list_: ListArgument,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The subscriber's address.")],
    key: KeyOption = "",
    alias: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="Another address of the same person; repeatable.")
    ] = None,
    drop_alias: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="An alias that is none any more; repeatable.")
    ] = None,
    vouch: Annotated[
        str, typer.Option(metavar="FINGERPRINT", help="You compared it with the subscriber: the key counts at once.")
    ] = "",
    additional: Annotated[
        bool, typer.Option("--additional", help="Let the subscriber's other keys stay as they are.")
    ] = False,
    letter: LetterOption = True,
    print_letter: PrintLetterOption = False,
    json: JsonOption = False,
) -> None:
    """Subscribe an address, with its aliases and, if you have it, its key; again, to add some.

    Unless you vouch for it, the key counts once the subscriber has signed the token in the letter with it.
    """
    from trustgraph.services import list_key_letters, list_subscribers
    from trustgraph.services.list_deposits import deposit

    _check(print_letter, json)
    if (vouch or additional) and not key:
        raise UsageError("--vouch and --additional: go with --key")
    common, at = shared(context), now()
    blob = _read(key) if key else b""
    with _stash(common, list_) as stash:
        subscriber = list_subscribers.subscribe(stash, address, at, alias or ())
        if drop_alias:
            subscriber = list_subscribers.drop_aliases(stash, subscriber.address, drop_alias)
        if not blob:
            made = list_key_letters.letter_on_subscription(stash, subscriber, at) if not subscriber.keys else None
            print_subscriber(subscriber, json)
        else:
            done = deposit(
                stash, subscriber.address, blob, at, fingerprint_vouched=vouch or None, additional=additional
            )
            made = list_key_letters.letter_on_deposit(stash, done, at)
            print_deposited(done, json, token=not letter)
    _send(common, made, letter, print_letter)


def rotate(
    context: typer.Context,
    list_: ListArgument,
    address: AddressArgument,
    key: KeyOption,
    approve: Annotated[
        bool, typer.Option("--approve", help="Your word in the place of the old key's signature; it may be lost.")
    ] = False,
    letter: LetterOption = True,
    print_letter: PrintLetterOption = False,
    json: JsonOption = False,
) -> None:
    """Deposit a key that takes over from those that a subscriber has; these stay good for the list's overlap.

    The subscriber signs the token in the letter with the new key and, unless you approve, with an old one.
    """
    from trustgraph.services.list_deposits import rotate as run_rotate
    from trustgraph.services.list_key_letters import letter_on_deposit

    _check(print_letter, json)
    common, at = shared(context), now()
    blob = _read(key)
    with _stash(common, list_) as stash:
        done = run_rotate(stash, address, blob, at, approved=approve)
        made = letter_on_deposit(stash, done, at)
    print_deposited(done, json, token=not letter)
    _send(common, made, letter, print_letter)


def confirm(
    context: typer.Context,
    list_: ListArgument,
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="The signed token, or the whole reply.")] = "-",
    letter: LetterOption = True,
    print_letter: PrintLetterOption = False,
    json: JsonOption = False,
) -> None:
    """Take in a signed token: from then on the key counts. Exits 65, saying why, if it proves nothing."""
    from trustgraph.services.list_deposits import confirm as run_confirm
    from trustgraph.services.list_key_letters import letter_on_confirmation

    _check(print_letter, json)
    common, at = shared(context), now()
    octets = _read(file)
    with _stash(common, list_) as stash:
        done = run_confirm(stash, octets, at)
        made = letter_on_confirmation(stash, done, at)
    print_confirmed(done, json)
    _send(common, made, letter, print_letter)


def keys(
    context: typer.Context,
    list_: ListArgument,
    address: Annotated[str, typer.Argument(metavar="[ADDRESS]", help="One subscriber; default all.")] = "",
    json: JsonOption = False,
) -> None:
    """Show subscribers' keys: state, since when, until when, and when they expire."""
    from trustgraph.services.list_subscribers import key_facts, named_subscribers

    common, at = shared(context), now()
    with _stash(common, list_) as stash:
        found = named_subscribers(stash, address)
        rows = [key_json(one, facts) for one in found for facts in key_facts(one, at)]
    if json:
        for row in rows:
            print_json(row)
        return
    columns = ["address", "fingerprint", "state", "since", "until", "expires", "note"]
    without = [(one.address, "none", "", "", "", "", "") for one in found if not one.keys]
    shown = [tuple(row[name] or "" for name in columns) for row in rows]
    print_table(f"keys of {list_} as of {to_rfc3339(at)}", columns, shown + without)
    for one in found:
        if one.aliases:
            say(f"{one.address} also posts as {', '.join(one.aliases)}")


def revoke(
    context: typer.Context,
    list_: ListArgument,
    address: Annotated[str, typer.Argument(metavar="[ADDRESS]", help="A subscriber's address or alias.")] = "",
    fingerprint: Annotated[str, typer.Argument(metavar="[FINGERPRINT]", help="Which key, in full.")] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Kept with the key, for you.")] = "",
    certificate: Annotated[
        str, typer.Option(metavar="FILE", help="Instead: the revocation that the owner of the key made; - is stdin.")
    ] = "",
    letter: LetterOption = True,
    print_letter: PrintLetterOption = False,
    json: JsonOption = False,
) -> None:
    """Have a key count for nothing from now on, whenever it signed. There is no way back for it."""
    from trustgraph.services import list_deposits, list_key_letters

    _check(print_letter, json)
    if bool(certificate) == bool(address and fingerprint):
        raise UsageError("expected ADDRESS and FINGERPRINT, or --certificate FILE")
    common, at = shared(context), now()
    blob = _read(certificate) if certificate else b""
    with _stash(common, list_) as stash:
        if blob:
            ended = list_deposits.take_revocations(stash, blob, at)
            if not ended:
                raise NoInput(f"{certificate}: revokes no key of a subscriber of {list_}")
        else:
            ended = [list_deposits.revoke(stash, address, fingerprint, reason)]
        letters = [list_key_letters.letter_on_revocation(stash, *one, at) for one in ended]
    for subscriber, key in ended:
        if json:
            print_json({"address": subscriber.address, "fingerprint": key.fingerprint, "state": key.state})
        else:
            say(f"{subscriber.address}: {key.fingerprint} is {key.state}")
    for made in letters:
        _send(common, made, letter, print_letter)


def unsubscribe(
    context: typer.Context,
    list_: ListArgument,
    address: AddressArgument,
    json: JsonOption = False,
) -> None:
    """Forget a subscriber, with all aliases and keys."""
    from trustgraph.services.list_subscribers import unsubscribe as run_unsubscribe
    from trustgraph.services.log import open_log

    common = shared(context)
    with _stash(common, list_) as stash:
        gone = run_unsubscribe(stash, address, open_log())
    if json:
        print_json({"address": gone.address, "aliases": list(gone.aliases), "keys": len(gone.keys)})
    else:
        say(f"{gone.address} is unsubscribed; {len(gone.aliases)} aliases and {len(gone.keys)} keys are forgotten")


def remind(
    context: typer.Context,
    list_: Annotated[str, typer.Argument(metavar="[LIST]", help="One list; default all.")] = "",
    days: Annotated[int, typer.Option(min=1, max=365, help="So long ahead of a key's expiry.")] = 14,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say who would be written to.")] = False,
    json: JsonOption = False,
) -> None:
    """Write to subscribers whose keys expire soon, once for each key and expiry, and once more when it has expired.

    For a timer; `trustgraph recompute` does it as well (schedule.remind). Exits 69 when a letter could not be sent.
    """
    from trustgraph.mailinglist.model import DAY_SECONDS
    from trustgraph.services import list_letters, list_making, list_reminders

    common, at = shared(context), now()
    with common.store() as store:
        lists = list_making.named_lists(store, [list_] if list_ else [])
        done = list_reminders.remind(
            store,
            common.settings,
            at,
            lambda letter: list_letters.send(common.settings, letter),
            addresses=[one.address for one in lists],
            ahead_seconds=days * DAY_SECONDS,
            dry_run=dry_run,
        )
    for one in done.sent:
        print_reminder(one, json, sent=not dry_run)
    if dry_run:
        note("dry run: nobody was written to")
    if done.problems:
        raise ServiceUnavailable("\n".join(done.problems))


COMMANDS: tuple[Callable[..., Any], ...] = (subscribe, confirm, keys, rotate, revoke, unsubscribe, remind)


@contextmanager
def _stash(common: Shared, address: str) -> Iterator[Stash]:
    from trustgraph.services.list_stash import open_stash

    with common.store() as store:
        yield open_stash(store, address, common.settings)


def _check(print_letter: bool, json: bool) -> None:
    if print_letter and json:
        raise UsageError("--print-letter and --json: one at a time")


def _read(name: str) -> bytes:
    """A file or standard input, no more than anybody looks at."""
    from trustgraph.openpgp.deposits import MAX_DEPOSIT_BYTES

    if name == "-":
        return sys.stdin.buffer.read(MAX_DEPOSIT_BYTES + 1)
    try:
        with Path(name).open("rb") as stream:
            return stream.read(MAX_DEPOSIT_BYTES + 1)
    except OSError as error:
        raise NoInput(f"{name}: cannot be read: {error.strerror}") from None


def _send(common: Shared, made: EmailMessage | None, letter: bool, print_letter: bool) -> None:
    from trustgraph.services.list_letters import send

    if made is None or not letter:
        return
    if print_letter:
        typer.echo(made.as_string(), nl=False)
        return
    try:
        send(common.settings, made)
    except ServiceUnavailable as error:
        raise ServiceUnavailable(f"what you asked for is done, but {made['To']} was not told: {error}") from None
    note(f"a letter is on its way to {made['To']}")
