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
    scenario: Annotated[str, typer.Argument(help="Which world; --list names them.")] = "baseline",
    out: Annotated[Path, typer.Option(help="Directory for keyring, logs and truth tables.")] = Path("world"),
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="One of its settings.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Name every scenario with its settings, and stop.")] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same world.")] = 1,
    hosts: Annotated[int | None, typer.Option(min=40, help="Hosts, before the scenario's own.")] = None,
    relays: Annotated[int | None, typer.Option(min=0, help="Spam relays among them; baseline only.")] = None,
    ring: Annotated[int | None, typer.Option(min=0, help="Relays that form one ring; baseline only.")] = None,
    traitors: Annotated[int | None, typer.Option(min=0, help="Hosts that turn; baseline only.")] = None,
    newcomers: Annotated[int | None, typer.Option(min=0, help="Honest hosts that appear during the logs.")] = None,
    impersonators: Annotated[int | None, typer.Option(min=0, help="Second keys; baseline only.")] = None,
    adoption: Annotated[float | None, typer.Option(help="Share of honest hosts that sign, 0.01 to 1.")] = None,
    forwarders: Annotated[float | None, typer.Option(help="Share of honest hosts that forward mail.")] = None,
    pair_rate: Annotated[float | None, typer.Option(help="Mail a day between two hosts that correspond.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3_650, help="Days of logs.")] = None,
    history_days: Annotated[int | None, typer.Option(min=200, max=3_650, help="Days of mail before.")] = None,
    messages: Annotated[int | None, typer.Option(min=1, help="Messages in all logs together, about.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="When it ends: midnight UTC, RFC 3339.")] = None,
    json: JsonOption = False,
) -> None:
    """Make a mail world with a known truth: keyring, logs in three formats, truth tables."""
    from dataclasses import replace

    from trustgraph.lab.scenarios import find_scenario
    from trustgraph.lab.writing import simulate as run_simulation
    from trustgraph.model import from_rfc3339

    if list_:
        _list_scenarios(json)
        return
    given = {
        "hosts": hosts,
        "relays": relays,
        "ring": ring,
        "traitors": traitors,
        "newcomers": newcomers,
        "impersonators": impersonators,
        "adoption": adoption,
        "forwarders": forwarders,
        "pair_rate": pair_rate,
        "days": days,
        "history_days": history_days,
        "messages": messages,
        "until": None if until is None else from_rfc3339(until),
    }
    asked = {name: value for name, value in given.items() if value is not None}
    parameters = replace(find_scenario(scenario).parameters, seed=seed, **asked)  # type: ignore[arg-type]
    written = run_simulation(scenario, parameters, out, _settings(set_ or []))
    if json:
        print_json({"directory": str(written.directory), "scenario": written.scenario, **written.counts})
        return
    say(f"{written.scenario} world in {written.directory}")
    for name, count in written.counts.items():
        say(f"  {name}: {count}")


def _settings(given: list[str]) -> dict[str, str]:
    from trustgraph.errors import UsageError

    pairs = [text.partition("=") for text in given]
    if wrong := [text for text, (_, equals, _) in zip(given, pairs, strict=True) if not equals]:
        raise UsageError(f"--set {wrong[0]!r}: expected NAME=VALUE")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _list_scenarios(json: bool) -> None:
    from trustgraph.lab.scenarios import SCENARIOS, settings_of

    for name, scenario in SCENARIOS.items():
        settings = settings_of(scenario)
        if json:
            defaults = {each.name: each.default for each in settings}
            print_json({"scenario": name, "summary": scenario.summary, "settings": defaults})
            continue
        say(f"{name}: {scenario.summary}")
        for each in settings:
            say(f"    --set {each.name}={str(each.default).lower()}: {each.help}")


COMMANDS = (demo, simulate)
