"""``trustgraph init``: from an installed package to a site."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from trustgraph.cli.context import JsonOption, Shared, now, shared
from trustgraph.cli.output import note, print_json, say


def init(
    context: typer.Context,
    hostname: Annotated[str, typer.Option(help="FQDN of this host; default what the machine calls itself.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Settings file to write, default --config, else trustgraph.toml; with --systemd a directory for units."
        ),
    ] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="Make no host key.")] = False,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="Only print systemd units, or write them into the directory --out.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write trustgraph.toml with all defaults in it, create the database and the host key.

    What is there already is used as it is and never written over. Below /etc a settings file names /var/lib/trustgraph;
    elsewhere everything lies beside the file.
    """
    common = shared(context)
    if systemd:
        _units(common, out, json)
        return
    from trustgraph.services.setup import set_up

    site = set_up(
        out or common.config or Path("trustgraph.toml"),
        hostname,
        now(),
        database=common.database or "",
        with_key=not no_key,
    )
    steps = site.next_steps()
    if json:
        print_json(
            {
                "settings": str(site.settings_file),
                "hostname": site.settings.site.hostname,
                "database": site.database,
                "fingerprint": site.fingerprint,
                "made": site.made,
                "next": steps,
            }
        )
        return
    for what, value in (("settings", str(site.settings_file)), ("database", site.database)):
        say(f"{what}: {value}{'' if value in site.made else ' (was there already)'}")
    if site.fingerprint:
        was_there = "" if str(site.settings.hostkey.path) in site.made else " (was there already)"
        say(f"host key: {site.fingerprint} in {site.settings.hostkey.path}{was_there}")
    say("next:")
    for step in steps:
        say(f"  {step}")


COMMANDS = (init,)


def _units(common: Shared, out: Path | None, json: bool) -> None:
    from trustgraph.services.units import hidden_places, settings_file_in_use, units, write_units

    found_program = Path(sys.executable).with_name("trustgraph")
    program = found_program if found_program.exists() else Path(shutil.which("trustgraph") or "/usr/bin/trustgraph")
    settings_file = settings_file_in_use(common.config)
    settings = common.settings
    found = units(program, settings_file, settings)
    for place in hidden_places(program, settings_file, settings):
        note(f"{place}: the units hide home directories (ProtectHome); put it elsewhere, or change that")
    if out is not None:
        written = write_units(found, out)
        if json:
            print_json({"written": [str(path) for path in written]})
        for path in [] if json else written:
            say(f"{path}")
    elif json:
        print_json(found)
    else:
        for name, text in found.items():
            say(f"# /etc/systemd/system/{name}\n{text}")
