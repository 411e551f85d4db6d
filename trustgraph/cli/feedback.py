"""``trustgraph feedback``: what one message turned out to be, from a mail program's pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trustgraph.cli.context import JsonOption, now, shared
from trustgraph.cli.output import note, print_json, say
from trustgraph.errors import BadInput, TrustgraphError, UsageError
from trustgraph.model import Outcome

#: sysexits: what a mail system makes of them is done, bounce, try later.
EX_OK, EX_DATAERR, EX_TEMPFAIL = 0, 65, 75

_CHUNK_BYTES = 1 << 16


def feedback(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="The message; - is standard input.")] = "-",
    outcome: Annotated[
        Outcome | None, typer.Option(help="What it is; unknown takes back. Without: what an abuse report says.")
    ] = None,
    recipient: Annotated[
        list[str] | None,
        typer.Option(help="The mailbox that says so, as an address; again for each of its aliases. Else Delivered-To."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say what one message turned out to be, as from Dovecot's sieve pipe. It counts if this site saw the message.

    Exits 0 when nothing more is to be done (the message may be unknown here), 65 for what is no message or names no
    recipient, 75 when trying again helps, which includes settings that have to be mended first.
    """
    try:
        fate = _reported(context, file, outcome, recipient or [])
    except (BadInput, UsageError):
        raise
    except (TrustgraphError, OSError) as error:
        note(f"error: {error}")
        raise typer.Exit(EX_TEMPFAIL) from None
    if json:
        print_json({"fate": fate})
    else:
        say(_SAID[fate])


def _reported(context: typer.Context, file: str, outcome: Outcome | None, recipients: list[str]) -> str:
    from trustgraph.services.feedback import report_message

    octets = _read(file)
    common = shared(context)
    with common.store() as store:
        fate = report_message(store, common.settings, octets, now(), outcome=outcome, recipients=recipients)
    return fate.value


def _read(file: str) -> bytes:
    """The message as far as it is needed; a pipe is read to its end, or its writer would fail."""
    from trustgraph.ingest.feedback import MAX_MESSAGE_BYTES, as_message

    with sys.stdin.buffer if file == "-" else Path(file).open("rb") as stream:
        octets = stream.read(MAX_MESSAGE_BYTES)
        while stream.read(_CHUNK_BYTES):
            pass
    if not octets.strip():
        raise BadInput(f"{file}: expected a message, found nothing")
    return as_message(octets)


_SAID = {
    "moved": "counted: the message is taken for something else now",
    "same": "counted: the message is taken for what it was",
    "unknown": "not counted: no such message passed here",
    "unauthenticated": "not counted: a report from somebody who is none of feedback.reporters",
    "ambiguous": "not counted: it may be about more than one message",
    "too_old": "not counted: what was seen of it is not kept any more (ingest.retention)",
    "no_verdict": "not counted: it does not say what the message is",
}

COMMANDS = (feedback,)
