"""``trustgraph report``: what people look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trustgraph.cli.context import JsonOption, now, shared
from trustgraph.cli.output import print_json, print_table, say

app = typer.Typer(help="Reports for people.", no_args_is_help=True)

_SHOWN_FINDINGS = 20


@app.callback()
def _group() -> None:
    """Keep ``relays`` a subcommand even while it is the only one."""


@app.command()
def relays(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Directory for relays.html, relays.csv and relays.json.")] = Path("report"),
    json: JsonOption = False,
) -> None:
    """Hosts that behave like spam relays, the evidence, and what to do about each."""
    from trustgraph.services.relay_report import relay_report

    common = shared(context)
    with common.store() as store:
        report = relay_report(store, common.settings, out, now())
    if json:
        print_json({"report": str(report.html), "findings": report.as_rows()})
        return
    rows = [(f.kind, f.host or str(f.identity), f.severity, f.evidence) for f in report.findings[:_SHOWN_FINDINGS]]
    print_table(f"{len(report.findings)} findings", ["kind", "host", "severity", "evidence"], rows)
    say(f"\nreport: {report.html}")
