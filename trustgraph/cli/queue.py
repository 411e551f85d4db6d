"""``trustgraph queue``: mail that waits in Postfix's hold queue."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustgraph.cli.context import JsonOption, Shared, now, shared
from trustgraph.cli.output import note, print_json, print_table, progress_bar, say
from trustgraph.errors import UsageError
from trustgraph.model import to_rfc3339

if TYPE_CHECKING:
    from trustgraph.services.holdqueue import HoldQueue, Outcome

app = typer.Typer(help="Mail held because no keyserver could say: list it, judge it again.", no_args_is_help=True)

PostfixOption = Annotated[
    Path | None, typer.Option("--postfix", help="Postfix's configuration directory; default milter.postfix.")
]


@app.command("list")
def list_held(context: typer.Context, postfix: PostfixOption = None, json: JsonOption = False) -> None:
    """List what the milter has put on hold."""
    from trustgraph.services.holdqueue import is_ours

    common = shared(context)
    queue = _queue(common, postfix)
    ours = [one for one in queue.held() if is_ours(queue.message(one.queue_id), common.settings.site.name_in_results)]
    if json:
        for one in ours:
            print_json(asdict(one) | {"arrived_at": to_rfc3339(one.arrived_at)})
        return
    rows = [
        (one.queue_id, to_rfc3339(one.arrived_at), one.size, one.sender or "<>", ", ".join(one.recipients))
        for one in ours
    ]
    print_table(f"{len(rows)} messages on hold", ["queue ID", "arrived", "octets", "from", "to"], rows)


@app.command()
def release(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(help="Queue IDs; all that the milter holds by default.")] = None,
    postfix: PostfixOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    every: Annotated[str, typer.Option(help='Go on for ever, looking so often, such as "1m".')] = "",
    json: JsonOption = False,
) -> None:
    """Judge held mail again: release what is accepted now, remove what proves bad, keep the rest.

    Exits 75 while something is kept.
    """
    from trustgraph.settings import parse_duration

    common = shared(context)
    queue = _queue(common, postfix)
    if not every:
        kept = asyncio.run(_run(common, queue, ids or [], dry_run, json))
        raise typer.Exit(75 if kept else 0)
    try:
        seconds = parse_duration(every)
    except ValueError as error:
        raise UsageError(f"--every: {error}") from None
    while True:
        asyncio.run(_run(common, queue, ids or [], dry_run, json))
        time.sleep(max(1.0, seconds))


async def _run(common: Shared, queue: HoldQueue, ids: list[str], dry_run: bool, json: bool) -> int:
    """How many messages are kept or failed."""
    from trustgraph.services.gate import open_gate
    from trustgraph.services.holdqueue import judge_held

    kept = 0
    async with open_gate(common.settings, recording=not dry_run) as gate:
        with progress_bar("judging") as show:
            outcomes = judge_held(
                gate, queue, ids, dry_run=dry_run, progress=lambda done, of: show("messages", done, of)
            )
            async for outcome in outcomes:
                kept += outcome.action in ("kept", "failed")
                _print(outcome, json, dry_run)
    return kept


def _print(outcome: Outcome, json: bool, dry_run: bool) -> None:
    if json:
        print_json(asdict(outcome) | {"at": to_rfc3339(now()), "dry_run": dry_run})
    elif outcome.action == "failed":
        note(f"{outcome.queue_id}: left on hold: {outcome.reason}")
    else:
        say(f"{outcome.queue_id}: {'would be ' if dry_run else ''}{outcome.action}: {outcome.reason}")


def _queue(common: Shared, postfix: Path | None) -> HoldQueue:
    from trustgraph.services.holdqueue import HoldQueue

    return HoldQueue(postfix or common.settings.milter.postfix)
