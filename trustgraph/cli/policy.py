"""``trustgraph policy``: the rules in force, and trying others before they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli import policy_show
from trustgraph.cli.context import JsonOption, seconds_between_ratings, shared
from trustgraph.cli.output import note, print_json, print_table, progress_bar, say
from trustgraph.errors import BadInput, UsageError
from trustgraph.model import from_rfc3339, to_rfc3339

if TYPE_CHECKING:
    from trustgraph.services.replay import Comparison, Difference
    from trustgraph.settings import Settings

app = typer.Typer(
    help="The rules in force, and what others would have done to the recorded past.", no_args_is_help=True
)
app.command()(policy_show.check)
app.command()(policy_show.show)


@app.command()
def replay(
    context: typer.Context,
    changed: Annotated[
        Path | None, typer.Option(help="Settings file with the changed rules; by default the one in force.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.KEY=VALUE", help="Change one, such as policy.quorum=2; may be repeated."
        ),
    ] = None,
    since: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Begin, RFC 3339; default 30 days before the end.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="End; default after the newest day on record.")] = "",
    every: Annotated[str, typer.Option(help='How often everything is rated anew, such as "15m".')] = "6h",
    limit: Annotated[int, typer.Option(min=0, help="Differences shown; --json has them all.")] = 20,
    json: JsonOption = False,
) -> None:
    """Say what changed rules would have done to the recorded past, message by message.

    Both the rules in force and the changed ones are played over the same messages; nothing is published.
    """
    from trustgraph.services.replay import compare, play, read_past, rules_of

    common = shared(context)
    settings = common.settings
    other = _changed(changed or common.config, set_ or [])
    if not set_ and changed is None:
        raise UsageError("nothing is changed: name a settings file with --changed, or use --set SECTION.KEY=VALUE")
    every_seconds = seconds_between_ratings(every)
    with common.store() as store:
        past = read_past(
            *(store, settings),
            start=from_rfc3339(since) if since else None,
            until=from_rfc3339(until) if until else None,
        )
    steps = -(-(past.until - past.start) // every_seconds)
    played = []
    with progress_bar("replaying") as show:
        for name, rules in (("rules in force", rules_of(settings)), ("changed rules", rules_of(other))):
            played.append(
                play(
                    *(past, rules),
                    every_seconds=every_seconds,
                    watch=lambda at, _, name=name: show(name, (at - past.start) // every_seconds + 1, steps),  # type: ignore[misc]
                )
            )
    comparison = compare(past, *played)
    if json:
        period = {"from": to_rfc3339(past.start), "until": to_rfc3339(past.until)}
        print_json(period | _as_json(comparison))
        return
    say(f"{comparison.messages} messages from {to_rfc3339(past.start)} to {to_rfc3339(past.until)}")
    _print(comparison, limit)


def _changed(path: Path | None, assignments: list[str]) -> Settings:
    """The settings of a file with single ones laid over them, as environment variables would."""
    from trustgraph.settings import load_settings, variable_of

    overlay = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadInput(f"--set {text[:80]}: expected SECTION.KEY=VALUE")
        overlay[variable_of(name.strip())] = value.strip()
    return load_settings(path, os.environ | overlay)


def _as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "messages": comparison.messages,
        "fates": [
            {"outcome": outcome, "before": before, "after": after, "messages": number}
            for (outcome, before, after), number in sorted(comparison.fates.items())
        ],
        "differences": [_difference(one) for one in comparison.differences],
    }


def _difference(one: Difference) -> dict[str, Any]:
    from trustgraph.services.replay import digest_text, fate_of

    return {
        "at": to_rfc3339(one.before.message.at),
        "message": digest_text(one.before.message),
        "identity": one.identity,
        "host": one.host,
        "outcome": one.before.message.outcome.value,
        "before": {"fate": fate_of(one.before), "reason": one.before.last.reason, "rating": one.before.rating},
        "after": {"fate": fate_of(one.after), "reason": one.after.last.reason, "rating": one.after.rating},
    }


def _print(comparison: Comparison, limit: int) -> None:
    rows = [
        (outcome, before, after, number, "" if before == after else "<- changed")
        for (outcome, before, after), number in sorted(comparison.fates.items())
    ]
    print_table("\nwhat became of them", ["turned out", "in force", "changed", "messages", ""], rows)
    if not comparison.differences:
        say("\nno message would have been treated otherwise")
        return
    shown = comparison.differences[:limit]
    details = [
        (d["at"], d["message"], d["host"] or d["identity"], d["outcome"], *_side(d["before"]), *_side(d["after"]))
        for d in map(_difference, shown)
    ]
    columns = ["at", "message", "host", "turned out", "in force", "rated", "changed", "rated"]
    print_table(f"\n{len(comparison.differences)} messages treated otherwise", columns, details)
    if len(comparison.differences) > len(shown):
        note(f"{len(comparison.differences) - len(shown)} more; --limit or --json shows them")


def _side(side: dict[str, Any]) -> tuple[str, str]:
    return f"{side['fate']} ({side['reason']})", "" if side["rating"] is None else f"{side['rating']:.3f}"
