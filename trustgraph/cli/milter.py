"""``trustgraph milter``: the MTA hook."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from trustgraph.cli.context import shared
from trustgraph.errors import UsageError
from trustgraph.settings import Settings


def milter(
    context: typer.Context,
    listen: Annotated[str, typer.Option(help="unix:PATH or inet:HOST:PORT; default milter.listen.")] = "",
    mode: Annotated[str, typer.Option(help="sign, verify or both; default milter.mode.")] = "",
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Processes; default milter.workers.")] = None,
) -> None:
    """Serve an MTA (Postfix smtpd_milters): sign what goes out, judge what comes in.

    SIGHUP reads settings and host key anew without dropping a message; SIGTERM ends. Events go to standard error as
    JSON, one a line.
    """
    from trustgraph.services.daemon import run_milter

    common = shared(context)
    if mode not in ("", "sign", "verify", "both"):
        raise UsageError(f"--mode {mode}: expected sign, verify or both")
    given: dict[str, Any] = {"listen": listen, "mode": mode, "workers": workers}
    over = {name: value for name, value in given.items() if value}

    def load() -> Settings:
        settings = common.load()
        return settings.model_copy(update={"milter": settings.milter.model_copy(update=over)})

    run_milter(load)


def gate(
    context: typer.Context,
    listen: Annotated[str, typer.Option(help="unix:PATH or inet:HOST:PORT.")] = "unix:/run/trustgraph/gate.sock",
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Processes; default milter.workers.")] = None,
) -> None:
    """Serve an MTA that speaks no milter protocol (Exim's readsocket): judge one message a connection.

    docs/gate.md has the protocol and what to put into Exim's configuration. Signals and events are as for milter.
    """
    from trustgraph.services.daemon import run_gate

    common = shared(context)

    def load() -> Settings:
        settings = common.load()
        over = {"mode": "verify"} | ({"workers": workers} if workers else {})
        return settings.model_copy(update={"milter": settings.milter.model_copy(update=over)})

    run_gate(load, listen)


def smtpd_filter(
    context: typer.Context,
    mode: Annotated[str, typer.Option(help="sign, verify or both; default milter.mode.")] = "",
) -> None:
    """Serve OpenSMTPD, which starts this itself (filter … proc-exec) and talks to it over standard input and output.

    docs/gate.md has what to put into smtpd.conf. Events go to standard error, from where smtpd takes them to its log.
    """
    from trustgraph.services.smtpd_filter import run_smtpd_filter

    common = shared(context)
    if mode not in ("", "sign", "verify", "both"):
        raise UsageError(f"--mode {mode}: expected sign, verify or both")

    def load() -> Settings:
        settings = common.load()
        over = {"mode": mode} if mode else {}
        return settings.model_copy(update={"milter": settings.milter.model_copy(update=over)})

    run_smtpd_filter(load)


COMMANDS = (milter, gate, smtpd_filter)
