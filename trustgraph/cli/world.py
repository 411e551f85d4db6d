"""``demo`` and ``simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trustgraph.cli.context import JsonOption
from trustgraph.cli.output import print_json, say


def demo(
    out: Annotated[Path, typer.Option(help="Directory for the database and the report.")] = Path("demo-out"),
    json: JsonOption = False,
) -> None:
    """Ingest the sample world, score it, find its relays, and check all that against its truth table."""
    from trustgraph.services.demo import run_demo

    result = run_demo(out, (lambda _line: None) if json else say)
    if json:
        print_json(result)


def simulate(
    scenario: Annotated[str, typer.Argument(help="Which world; baseline.")] = "baseline",
    out: Annotated[Path, typer.Option(help="Directory for keyring, logs and truth table.")] = Path("world"),
    seed: Annotated[int, typer.Option(help="Same seed, same world.")] = 1,
    hosts: Annotated[int, typer.Option(min=40, help="Hosts, relays included.")] = 150,
    relays: Annotated[int, typer.Option(min=0, help="Spam relays among them.")] = 20,
    ring: Annotated[int, typer.Option(min=0, help="Relays that form one ring.")] = 8,
    traitors: Annotated[int, typer.Option(min=0, help="Hosts that turn after a good history.")] = 1,
    newcomers: Annotated[int, typer.Option(min=0, help="Honest hosts that appear during the logs.")] = 8,
    impersonators: Annotated[int, typer.Option(min=0, help="Second keys for known hosts.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="Days of logs.")] = 30,
    messages: Annotated[int, typer.Option(min=1, help="Messages in all logs together, about.")] = 14_500,
    json: JsonOption = False,
) -> None:
    """Make a mail world with a known truth: keyring, logs in three formats, truth table."""
    from trustgraph.lab.world import Parameters
    from trustgraph.lab.writing import simulate as run_simulation

    parameters = Parameters(
        seed=seed,
        hosts=hosts,
        relays=relays,
        ring=ring,
        traitors=traitors,
        newcomers=newcomers,
        impersonators=impersonators,
        days=days,
        messages=messages,
    )
    written = run_simulation(scenario, parameters, out)
    if json:
        print_json({"directory": str(written.directory), "scenario": written.scenario, **written.counts})
        return
    say(f"{written.scenario} world in {written.directory}")
    for name, count in written.counts.items():
        say(f"  {name}: {count}")


COMMANDS = (demo, simulate)
