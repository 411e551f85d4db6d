"""``trustgraph list``: mailing lists, their stash of subscribers' keys and the gate before their posts."""

from __future__ import annotations

import typer

from trustgraph.cli import list_keys, list_posts, list_running

app = typer.Typer(help="Mailing lists: subscribers' keys, and no post that does not match them.", no_args_is_help=True)
for command in (*list_keys.COMMANDS, *list_posts.COMMANDS, *list_running.COMMANDS):
    app.command()(command)
