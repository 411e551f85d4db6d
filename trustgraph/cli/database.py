"""``trustgraph db``: care for the database."""

from __future__ import annotations

from typing import Annotated

import typer

from trustgraph.cli.context import JsonOption, now, shared
from trustgraph.cli.output import print_json, say
from trustgraph.errors import SchemaMismatch
from trustgraph.model import Day, day_of

app = typer.Typer(help="Create, migrate, check and prune the database.", no_args_is_help=True)


@app.command()
def upgrade(context: typer.Context) -> None:
    """Create the database, or bring its schema to this version."""
    from trustgraph.store import upgrade as run_migrations

    say(f"schema is at {run_migrations(shared(context).settings.database.url)}")


@app.command()
def check(context: typer.Context, json: JsonOption = False) -> None:
    """Say whether the schema is the one this version needs; exits 78 if not."""
    from trustgraph.store import schema_revision

    have, need = schema_revision(shared(context).settings.database.url)
    if json:
        print_json({"revision": have, "needed": need, "ok": have == need})
    if have != need:
        raise SchemaMismatch(
            f"schema is at {have or 'nothing'}, this version needs {need}: run `trustgraph db upgrade`"
        )
    if not json:
        say(f"schema is at {have}, as needed")


@app.command()
def prune(
    context: typer.Context,
    days: Annotated[int | None, typer.Option(min=1, help="Days of raw observations to keep.")] = None,
    json: JsonOption = False,
) -> None:
    """Drop raw observations older than ingest.retention; the daily counts that scoring reads stay."""
    from trustgraph.store.observations import prune as prune_observations

    common = shared(context)
    kept_days = days or max(1, int(common.settings.ingest.retention_seconds // 86_400))
    with common.store() as store:
        gone = prune_observations(store, Day(day_of(now()) - kept_days))
    if json:
        print_json({"dropped": gone, "kept_days": kept_days})
        return
    say(f"dropped {gone} observations older than {kept_days} days")
