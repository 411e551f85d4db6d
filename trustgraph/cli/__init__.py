"""Arguments in, text or JSON and an exit code out; no logic. Exit codes are sysexits (:mod:`trustgraph.errors`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from trustgraph import __version__
from trustgraph.cli import (
    database,
    endorse,
    feedback,
    ingest,
    init,
    key,
    lab,
    lists,
    message,
    milter,
    policy,
    queue,
    rating,
    recompute,
    report,
    world,
)
from trustgraph.cli.context import Shared
from trustgraph.cli.output import note
from trustgraph.errors import NoInput, TrustgraphError

EX_USAGE = 64
EX_SOFTWARE = 70

app = typer.Typer(
    name="trustgraph",
    help="Rate mail servers by who vouches for them and by the mail they send.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Start with `trustgraph demo`. Every command has --help; settings are in trustgraph.toml.",
)
app.add_typer(ingest.app, name="ingest")
app.add_typer(report.app, name="report")
app.add_typer(key.app, name="key")
app.add_typer(lab.app, name="lab")
app.add_typer(lists.app, name="list")
app.add_typer(policy.app, name="policy")
app.add_typer(queue.app, name="queue")
app.add_typer(database.app, name="db")
for command in (
    *rating.COMMANDS,
    *recompute.COMMANDS,
    *init.COMMANDS,
    *message.COMMANDS,
    *milter.COMMANDS,
    *world.COMMANDS,
    *endorse.COMMANDS,
    *feedback.COMMANDS,
):
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trustgraph {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings file; else $TRUSTGRAPH_CONFIG, ./trustgraph.toml, /etc/trustgraph/.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="Database URL (sqlite or postgresql), over the settings.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = Shared(config, database)


def main() -> None:
    """The command ``trustgraph``."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:  # noqa: PLR0911 - one return for each way to end
    """Run one command line; returns the exit code."""
    try:
        code = app(arguments, standalone_mode=False)
    except TrustgraphError as error:
        for line in str(error).splitlines():
            note(f"error: {line}")
        return error.exit_code
    except TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # a group without a command: what is wanted is its help
            typer.echo(message)
        else:
            note(f"error: {message}")
            note("`trustgraph COMMAND --help` says what a command takes")
        return EX_USAGE
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a file that cannot be read or written, where nobody said so more exactly
        note(f"error: {error.filename or 'system'}: {error.strerror or error}")
        return NoInput.exit_code
    except Exception as error:
        if os.environ.get("TRUSTGRAPH_DEBUG"):
            raise
        note(f"bug: {type(error).__name__}: {error} (set TRUSTGRAPH_DEBUG=1 for the trace, and please report it)")
        return EX_SOFTWARE
    return code if isinstance(code, int) else 0
