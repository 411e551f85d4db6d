"""``trustgraph list``: the gate and the hold queue."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli.context import JsonOption, Shared, now, shared
from trustgraph.cli.list_post_output import held_json, held_row, print_checked, show_held
from trustgraph.cli.output import note, print_json, print_table, say, written
from trustgraph.errors import NoInput, ServiceUnavailable, TrustgraphError, UsageError

if TYPE_CHECKING:
    from trustgraph.services.list_stash import Stash

#: sysexits: what a mail system makes of them is deliver, try later, bounce.
EX_OK, EX_TEMPFAIL, EX_NOPERM = 0, 75, 77

ListArgument = Annotated[str, typer.Argument(metavar="LIST", help="The list's address.")]
NamesArgument = Annotated[list[str], typer.Argument(metavar="ID…", help="Held posts, as `list held` names them.")]


def check(
    context: typer.Context,
    list_: ListArgument,
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="The post; - is standard input.")] = "-",
    delivery: Annotated[
        str, typer.Option(metavar="ID", help="Names this delivery: the same again is a retry and no replay.")
    ] = "",
    client: Annotated[str, typer.Option(metavar="IP", help="Address of the connecting client.")] = "",
    sender: Annotated[str, typer.Option(metavar="ADDRESS", help="Envelope sender, kept with a held post.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look: remember, hold and answer nothing.")] = False,
    no_answer: Annotated[bool, typer.Option("--no-answer", help="Write no letters to poster and moderators.")] = False,
    no_keep: Annotated[
        bool, typer.Option("--no-keep", help="Keep no held post: the list program holds it itself.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Compare a post with the stash and print what becomes of it.

    Exits 0 to let it in (tagged or not), 75 to try later, 77 for what is refused or held. Whatever goes wrong exits 75
    or, where only the operator can mend it, with another code; never 0. Without --delivery the same octets from the
    same client are the same delivery.
    """
    from trustgraph.services.list_answers import follow_up
    from trustgraph.services.list_gate import PostGate

    common = shared(context)
    octets = _read(file, common.settings.lists.max_post_bytes)
    with _stash(common, list_) as stash:
        gate = PostGate(stash)
        given = delivery.encode("utf-8", "surrogateescape") if delivery else None
        checked = gate.check(octets, delivery=given, client=client, sender=sender, record=not dry_run, keep=not no_keep)
        if not (dry_run or no_answer):
            try:
                follow_up(stash, checked, now())
            except TrustgraphError as error:  # what was decided stands; it is on record
                note(f"a letter could not be sent: {error}")
        with suppress(BrokenPipeError), written():  # who reads no further still asks for the exit code
            print_checked(checked, stash, json)
    raise typer.Exit({"accept": EX_OK, "tag": EX_OK, "tempfail": EX_TEMPFAIL}.get(checked.decision.verdict, EX_NOPERM))


def held(
    context: typer.Context,
    list_: ListArgument,
    name: Annotated[str, typer.Argument(metavar="[ID]", help="Show one of them.")] = "",
    raw: Annotated[bool, typer.Option("--raw", help="Print that one's octets as they came, and nothing else.")] = False,
    json: JsonOption = False,
) -> None:
    """List the posts that wait for a moderator, or show one."""
    from trustgraph.services import list_moderation

    if raw and not name:
        raise UsageError("--raw: say which post")
    with _stash(shared(context), list_) as stash:
        if name:
            post, octets = list_moderation.show(stash, name)
            if raw:
                with written():
                    sys.stdout.buffer.write(octets)
            elif json:
                print_json(held_json(post) | {"message": octets.decode("utf-8", "backslashreplace")})
            else:
                show_held(post, octets)
            return
        waiting = list_moderation.held(stash)
        if json:
            for one in waiting:
                print_json(held_json(one))
            return
        at = now()
        rows = [held_row(one, at) for one in waiting]
        title = f"{len(rows)} {'post' if len(rows) == 1 else 'posts'} to {stash.list.address} on hold"
        print_table(title, ["ID", "age", "octets", "author", "subject", "reason", "signed by", "expected"], rows)


def approve(
    context: typer.Context,
    list_: ListArgument,
    names: NamesArgument,
    add_key: Annotated[
        bool, typer.Option("--add-key", help="Make the key that signed it, enclosed or deposited, its author's.")
    ] = False,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The same with the key in this file.")] = None,
    json: JsonOption = False,
) -> None:
    """Let held posts in: each goes on to where the list delivers, then leaves the queue.

    Before you add a key, compare its fingerprint with the author: what it signs will be accepted from then on.
    """
    from trustgraph.openpgp.deposits import MAX_DEPOSIT_BYTES
    from trustgraph.services.list_moderation import approve as run_approve

    given = _read(str(key), MAX_DEPOSIT_BYTES) if key else add_key
    with _stash(shared(context), list_) as stash:

        def run(name: str) -> None:
            done = run_approve(stash, name, now(), add_key=given)
            if json:
                print_json({"id": name, "action": "approved", "author": done.post.author, "key": done.fingerprint})
                return
            say(f"{name}: approved" + (f"; key {done.fingerprint} is {done.post.author}'s" if done.fingerprint else ""))

        _each(names, run)


def reject(
    context: typer.Context,
    list_: ListArgument,
    names: NamesArgument,
    silent: Annotated[bool, typer.Option("--silent", help="Do not tell the author.")] = False,
    json: JsonOption = False,
) -> None:
    """Drop held posts, and tell their authors if they are subscribers."""
    from trustgraph.services.list_moderation import reject as run_reject

    with _stash(shared(context), list_) as stash:

        def run(name: str) -> None:
            done = run_reject(stash, name, now(), silent=silent)
            if json:
                print_json({"id": name, "action": "rejected", "letters": done.letters})
            else:
                say(f"{name}: rejected" + ("; its author was told" if done.letters else ""))
            if done.trouble:
                note(f"{name}: its author was not told: {done.trouble}")

        _each(names, run)


COMMANDS: tuple[Callable[..., Any], ...] = (check, held, approve, reject)


@contextmanager
def _stash(common: Shared, address: str) -> Iterator[Stash]:
    from trustgraph.services.list_stash import open_stash

    with common.store() as store:
        yield open_stash(store, address, common.settings)


def _each(names: list[str], run: Callable[[str], None]) -> None:
    """Do it to each of them; one that fails keeps no other waiting, and the first error is what it ends in."""
    errors: list[TrustgraphError] = []
    for name in dict.fromkeys(names):
        try:
            run(name)
        except ServiceUnavailable:
            raise
        except TrustgraphError as error:
            errors.append(error)
    for other in errors[1:]:
        note(f"error: {other}")
    if errors:
        raise errors[0]


def _read(file: str, at_most: int) -> bytes:
    """The post, or so much of it that it shows to be too long."""
    try:
        if file == "-":
            return sys.stdin.buffer.read(at_most + 1)
        with Path(file).open("rb") as stream:
            return stream.read(at_most + 1)
    except OSError as error:
        raise NoInput(f"{file}: cannot be read: {error.strerror}") from None
