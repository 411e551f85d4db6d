"""``trustgraph list``: mailing lists, their stash of subscribers' keys and the gate before their posts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli import list_keys, list_posts, list_running
from trustgraph.cli.context import JsonOption, now, shared
from trustgraph.cli.output import note, print_json, print_table, say
from trustgraph.errors import UsageError
from trustgraph.model import to_rfc3339

if TYPE_CHECKING:
    from trustgraph.mailinglist.model import MailingList
    from trustgraph.store import Store

app = typer.Typer(help="Mailing lists: subscribers' keys, and no post that does not match them.", no_args_is_help=True)

ListArgument = Annotated[str, typer.Argument(metavar="LIST", help="The list's address.")]
RuleOption = Annotated[
    list[str] | None, typer.Option("--rule", metavar="NAME=VALUE", help="What the list asks; docs/lists.md has them.")
]
ModeratorOption = Annotated[
    list[str] | None, typer.Option("--moderator", metavar="ADDRESS", help="Who is told of held posts; repeatable.")
]
DeliverOption = Annotated[
    str | None, typer.Option(metavar="TARGET", help="Where accepted posts go on to: lmtp://, smtp:// or a command.")
]
ListIdOption = Annotated[str | None, typer.Option(metavar="ID", help="Its List-Id; default the address with a dot.")]


@app.command()
def create(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Where posts to the list are sent.")],
    list_id: ListIdOption = None,
    rule: RuleOption = None,
    deliver: DeliverOption = None,
    moderator: ModeratorOption = None,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Keep its stash under a key of the list's own.")] = False,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="That key's file; made if there is none. Implies --encrypt.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a list. Its subscribers write about their keys to NAME-keys@DOMAIN."""
    from trustgraph.mailinglist.letter import keys_address
    from trustgraph.services.list_making import new_list

    common = shared(context)
    with common.store(create=True) as store:
        made = new_list(
            store,
            common.settings,
            address,
            now(),
            list_id=list_id or "",
            rules=rule or (),
            deliver=deliver or "",
            moderators=moderator or (),
            encrypt=encrypt,
            key_file=key,
        )
        if json:
            print_json(_facts(store, made))
            return
    say(f"{made.address}  List-Id {made.list_id}")
    if made.key_path:
        say(f"its stash is encrypted with the key in {made.key_path}: without a copy of that file it is lost")
    say(f"next: have mail to {keys_address(made)} go to `trustgraph list mail {made.address}`, then")
    say(f"      `trustgraph list subscribe {made.address} ADDRESS`")


@app.command("set")
def set_(
    context: typer.Context,
    address: ListArgument,
    list_id: ListIdOption = None,
    rule: RuleOption = None,
    deliver: DeliverOption = None,
    moderator: ModeratorOption = None,
    no_moderators: Annotated[bool, typer.Option("--no-moderators", help="Have none.")] = False,
    json: JsonOption = False,
) -> None:
    """Change what a list asks of its posts, where they go, or who its moderators are."""
    from trustgraph.services.list_making import change

    if moderator and no_moderators:
        raise UsageError("--no-moderators leaves none to name")
    common = shared(context)
    with common.store() as store:
        changed = change(
            store,
            address,
            list_id=list_id,
            rules=rule or (),
            deliver=deliver,
            moderators=moderator or ([] if no_moderators else None),
        )
        _print(store, changed, json)


@app.command()
def show(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="[LIST]", help="One list; default all.")] = "",
    json: JsonOption = False,
) -> None:
    """Show lists, what they ask of posts, and how many subscribers and keys they have."""
    from trustgraph.services.list_making import named_lists

    common = shared(context)
    with common.store() as store:
        found = named_lists(store, [address] if address else [])
        for one in found:
            _print(store, one, json)
    if not found:
        note("there is no list yet: `trustgraph list create` makes one")


@app.command()
def delete(
    context: typer.Context,
    address: ListArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: subscribers, keys and held posts are gone.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete a list with its subscribers, their keys and what it holds. The file of its own key stays."""
    from trustgraph.services.list_making import named_lists
    from trustgraph.store.lists import delete_list

    common = shared(context)
    with common.store() as store:
        (found,) = named_lists(store, [address])
        facts = _facts(store, found)
        if not yes:
            counts = f"{facts['subscribers']} subscribers, {facts['keys']} keys and {facts['held']} held posts"
            raise UsageError(f"{found.address} has {counts}: `--yes` deletes them all")
        delete_list(store, found.number)
    if json:
        print_json(facts | {"deleted": True})
    else:
        say(f"{found.address} is deleted, with {facts['subscribers']} subscribers and {facts['keys']} keys")


for command in (*list_keys.COMMANDS, *list_posts.COMMANDS, *list_running.COMMANDS):
    app.command()(command)


def _print(store: Store, list_: MailingList, json: bool) -> None:
    facts = _facts(store, list_)
    if json:
        print_json(facts)
        return
    rows = [
        ("List-Id", facts["list_id"]),
        *((f"rule {name}", value) for name, value in facts["rules"].items()),
        ("deliver", facts["deliver"] or "by whoever calls the gate"),
        ("moderators", ", ".join(facts["moderators"]) or "none"),
        ("encrypted", f"with the key in {facts['key_path']}" if facts["encrypted"] else "no"),
        ("made", facts["created_at"]),
        *((name, str(facts[name])) for name in ("subscribers", "keys", "held")),
    ]
    print_table(list_.address, ["what", "value"], rows)


def _facts(store: Store, list_: MailingList) -> dict[str, Any]:
    from trustgraph.mailinglist.letter import keys_address
    from trustgraph.services.list_making import rule_texts
    from trustgraph.store.lists import count_contents

    return {
        "list": list_.address,
        "keys_address": keys_address(list_),
        "list_id": list_.list_id,
        "rules": rule_texts(list_.rules),
        "deliver": list_.deliver,
        "moderators": list(list_.moderators),
        "encrypted": bool(list_.sealed_key),
        "key_path": list_.key_path,
        "created_at": to_rfc3339(list_.created_at),
        **count_contents(store, list_.number),
    }
