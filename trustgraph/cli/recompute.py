"""``trustgraph recompute``: everything that recurs, on schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trustgraph.cli.context import JsonOption, now, shared
from trustgraph.cli.output import print_json, say
from trustgraph.errors import UsageError
from trustgraph.model import to_rfc3339
from trustgraph.settings import Settings, parse_duration

if TYPE_CHECKING:
    from trustgraph.services.schedule_run import Run


def recompute(
    context: typer.Context,
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="How often to rate, such as 15m; default schedule.score.")
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="Do what is due, rate in any case, and end.")] = False,
    json: JsonOption = False,
) -> None:
    """Follow logs, read feedback, refresh keys, rate, endorse, report and prune, each as often as [schedule] says.

    Runs until SIGTERM; events go to standard error as JSON, one a line. What fails is tried again, and the last good
    ratings stay in force. With --once the exit code is that of what failed first. Exits 75 while another one runs.
    """
    from trustgraph.services.log import open_log
    from trustgraph.services.schedule import run_once, serve

    settings = _settings(shared(context).settings, every)

    def told(run: Run) -> None:
        if json:
            told_as = {"job": run.job, "began_at": to_rfc3339(run.began_at), "seconds": run.seconds, "ok": not run.why}
            print_json(told_as | ({"why": run.why} if run.why else {}) | dict(run.facts))
        elif once:
            facts = ", ".join(f"{name} {value}" for name, value in run.facts.items() if value is not None)
            say(f"{run.job}: {f'failed: {run.why}' if run.why else facts} ({run.seconds:.1f} s)")

    if once:
        raise typer.Exit(run_once(settings, open_log(), now, told))
    raise typer.Exit(serve(settings, open_log(), now, told))


COMMANDS = (recompute,)


def _settings(settings: Settings, every: str) -> Settings:
    if not every:
        return settings
    try:
        seconds = parse_duration(every)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--every: {error}") from None
    if seconds < 1:
        raise UsageError(f"--every {every}: expected a second or more")
    schedule = settings.schedule.model_copy(update={"score_seconds": seconds})
    return settings.model_copy(update={"schedule": schedule})
