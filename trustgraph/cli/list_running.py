"""``trustgraph list``: where posts and letters come in from the mail system."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli.context import JsonOption, now, shared
from trustgraph.cli.output import note, print_json, say
from trustgraph.errors import ConfigurationError, NoInput, Undeliverable
from trustgraph.settings import Settings

if TYPE_CHECKING:
    from email.message import EmailMessage

    from trustgraph.services.list_stash import Stash

EX_TEMPFAIL, EX_NOPERM = 75, 77

ListArgument = Annotated[str, typer.Argument(metavar="LIST", help="The list's address.")]


def pipe(
    context: typer.Context,
    list_: ListArgument,
    program: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- PROGRAM…]",
            help="Takes accepted posts, with {sender} and {recipient} filled in; default: where the list delivers.",
        ),
    ] = None,
    sender: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Envelope sender: ${sender} in Postfix."),
    ] = None,
    delivery: Annotated[
        str, typer.Option(metavar="ID", help="Names this delivery, as ${queue_id} does; default: by its octets.")
    ] = "",
    bounce: Annotated[
        bool, typer.Option("--bounce", help="Exit 77 for a refused post, so that a bounce is made.")
    ] = False,
) -> None:
    """Take a post on standard input through the gate and pass it on; for Postfix's pipe(8) and aliases.

    Exits 0 when the mail system need keep it no longer: it is passed on, held, or refused (a letter goes to
    subscribers; a bounce would go to whomever a forger names). Exits 75 whenever it has to come again.
    """
    from trustgraph.services.log import open_log

    common, log = shared(context), open_log()
    try:  # imports too: while the program is being upgraded they fail, and any code but 75 is a bounce
        from trustgraph.services.list_gate import PostGate
        from trustgraph.services.list_pipe import Fate
        from trustgraph.services.list_pipe import pipe as run_pipe
        from trustgraph.services.list_stash import open_stash

        settings = common.settings
        octets = sys.stdin.buffer.read(settings.lists.max_post_bytes + 1)
        with common.store() as store:
            stash = open_stash(store, list_, settings)
            target = _target(stash, program or [])
            given = delivery.encode("utf-8", "surrogateescape") if delivery else None
            done = run_pipe(PostGate(stash), octets, target, now(), sender=sender, delivery=given)
    except Exception as error:  # noqa: BLE001 - the post has not been judged, so it must come again
        code = _exit_code(error)
        log("list_post_not_taken", list=list_, why=f"{type(error).__name__}: {error}", exit_code=code)
        raise typer.Exit(code) from None
    log(
        "list_post_taken",
        list=stash.list.address,
        fate=done.fate,
        verdict=done.checked.decision.verdict,
        reason=done.checked.decision.reason,
        message_id=done.checked.post.message_id or None,
        held=done.checked.held_name or None,
        letters=done.letters or None,
        trouble=done.trouble or None,
    )
    if done.fate is Fate.LATER:
        raise typer.Exit(EX_TEMPFAIL)
    raise typer.Exit(EX_NOPERM if bounce and done.fate is Fate.REFUSED else 0)


def mail(
    context: typer.Context,
    list_: ListArgument,
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="The letter; - is standard input.")] = "-",
    sender: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Envelope sender; a null one is a bounce, and not answered.")
    ] = None,
    print_letters: Annotated[bool, typer.Option("--print-letters", help="Print answers, send none.")] = False,
    json: JsonOption = False,
) -> None:
    """Take a letter to the list's address for keys (LIST-keys@…): a deposit, a signed token, a revocation.

    Answers go to subscribers alone. Exits 0 when the letter is done with, whatever came of it, and 75 when it has to
    come again.
    """
    from trustgraph.services.list_letters import send as run_send
    from trustgraph.services.list_robot import MAX_LETTER_OCTETS, handle
    from trustgraph.services.list_stash import open_stash

    common = shared(context)

    def send(letter: EmailMessage) -> None:
        if print_letters:
            typer.echo(letter.as_string())
        else:
            run_send(common.settings, letter)

    try:
        octets = _read(file, MAX_LETTER_OCTETS)
        with common.store() as store:
            done = handle(open_stash(store, list_, common.settings), octets, now(), send, sender=sender)
    except Exception as error:  # noqa: BLE001 - the letter has not been read, so it must come again
        note(f"error: {type(error).__name__}: {error}")
        raise typer.Exit(_exit_code(error)) from None
    if json:
        print_json(done)
    else:
        about = " ".join(one for one in (done.address, done.fingerprint) if one)
        say(f"{done.action}" + (f": {done.why}" if done.why else "") + (f" ({about})" if about else ""))


def milter(
    context: typer.Context,
    listen: Annotated[str, typer.Option(help="unix:PATH or inet:HOST:PORT.")] = "unix:/run/trustgraph/lists.sock",
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Processes; default milter.workers.")] = None,
) -> None:
    """Serve an MTA (Postfix smtpd_milters): gate posts to this host's lists while their client waits.

    Mail for no list passes untouched. SIGHUP reads the settings anew without dropping a post; SIGTERM ends. Events go
    to standard error as JSON, one a line.
    """
    from trustgraph.services.list_daemon import run_list_milter

    common = shared(context)

    def load() -> Settings:
        settings = common.load()
        over = {"workers": workers} if workers else {}
        return settings.model_copy(update={"milter": settings.milter.model_copy(update=over)})

    run_list_milter(load, listen)


COMMANDS: tuple[Callable[..., Any], ...] = (pipe, mail, milter)


def _target(stash: Stash, program: list[str]) -> str:
    if program:
        return shlex.join(program)
    if not stash.list.deliver:
        raise ConfigurationError(
            f"{stash.list.address}: no place to pass posts on to: give a program behind --, or say so with "
            f"`trustgraph list set {stash.list.address} --deliver …`"
        )
    return stash.list.deliver


def _exit_code(error: Exception) -> int:
    """A refusal for good is told the mail system as one; anything else is somebody's to mend, while the mail waits."""
    return EX_NOPERM if isinstance(error, Undeliverable) else EX_TEMPFAIL


def _read(file: str, at_most: int) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(at_most + 1)
        with Path(file).open("rb") as stream:
            return stream.read(at_most + 1)
    except OSError as error:
        raise NoInput(f"{file}: cannot be read: {error.strerror}") from None
