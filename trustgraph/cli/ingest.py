"""``trustgraph ingest``: logs, keys, feedback, tables."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustgraph.cli.context import JsonOption, Shared, now, shared
from trustgraph.cli.output import note, print_json, progress_bar, say
from trustgraph.errors import BadInput, NoInput, UsageError
from trustgraph.model import Outcome, parse_domain

if TYPE_CHECKING:
    from trustgraph.ingest.logs import LogCounts, LogOptions
    from trustgraph.services.fetched_keys import FetchedKeys
    from trustgraph.store import Store

app = typer.Typer(help="Read verification logs, keyrings, feedback and tables into the store.", no_args_is_help=True)

_POLL_SECONDS = 0.5
_TEMPORARY_FAILURE = 75


@app.command()
def logs(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Log files (plain, .gz, .xz, .zst, .bz2), Maildirs, or - .")],
    format: Annotated[str, typer.Option(help="Log format; auto looks at the first lines.")] = "auto",
    observer: Annotated[
        str, typer.Option(help="FQDN of the host whose logs these are; default ingest.observer, else what they say.")
    ] = "",
    rejects: Annotated[Path | None, typer.Option(help="Append malformed lines with place and reason here.")] = None,
    follow: Annotated[bool, typer.Option(help="Go on reading as the log grows; rotation is noticed.")] = False,
    json: JsonOption = False,
) -> None:
    """Ingest verification logs: native JSON lines, OpenDKIM, OpenDMARC, rspamd, Exim, Postfix, Authentication-Results.

    Ingesting a log twice, or logs that overlap, changes nothing. A malformed line never stops anything. Exits 65 when a
    file is in none of these formats.
    """
    from trustgraph.ingest.logs import LogOptions, ingest_logs

    common = shared(context)
    options = LogOptions(_log_context(common, observer), format, rejects)
    with common.store(create=True) as store:
        if follow:
            _follow(store, paths, options, json)
            return
        with progress_bar("reading") as show:
            unread = False
            for counts in ingest_logs(store, paths, options, now(), lambda name, lines: show(name, lines, 0)):
                _print_log_counts(counts, options, json)
                unread |= counts.format == "unknown" and counts.lines > 0
    if unread:
        raise typer.Exit(BadInput.exit_code)


@app.command()
def keys(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…",
            help="OpenPGP keyrings or keyserver dumps, binary or armored; with --keyserver full fingerprints.",
        ),
    ],
    keyserver: Annotated[
        list[str] | None,
        typer.Option("--keyserver", metavar="URL", help="Fetch the keys from here; may be given several times."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Ingest keyrings: every certification by a known key is verified; only good ones are kept.

    Anybody can flood a key on a keyserver with signatures: all are looked at, those that count are kept. Exits 66 if no
    keyserver has one of the keys, 75 if none could say.
    """
    from trustgraph.model import parse_fingerprint
    from trustgraph.services.fetched_keys import ingest_from_keyservers
    from trustgraph.services.keyrings import describe, ingest_keyrings

    common = shared(context)
    started = time.perf_counter()
    with common.store(create=True) as store, progress_bar("verifying") as show:

        def progress(done: int, signatures: int) -> None:
            show(f"{signatures} signatures", done, 0)

        fetched = None
        if keyserver:
            wanted = [parse_fingerprint(name) for name in names]
            fetched = ingest_from_keyservers(store, common.settings, keyserver, wanted, now(), progress)
            counts = fetched.counts
        else:
            counts = ingest_keyrings(store, common.settings, [Path(name) for name in names], now(), progress)
    seconds = time.perf_counter() - started
    if counts and json:
        print_json(asdict(counts) | {"weak": counts.weak, "seconds": round(seconds, 3)})
    elif counts:
        for line in describe(counts):
            say(line)
        say(f"took {seconds:.1f} s")
        for problem in counts.problems:
            note(problem)
    if fetched:
        _report_unfetched(fetched)
    elif not counts or not counts.certificates:
        raise typer.Exit(BadInput.exit_code)


def _report_unfetched(fetched: FetchedKeys) -> None:
    for fingerprint in fetched.absent:
        note(f"error: {fingerprint}: no keyserver has it")
    for fingerprint, reason in fetched.unreachable:
        note(f"error: {fingerprint}: no keyserver could say ({reason})")
    if fetched.unreachable:
        raise typer.Exit(_TEMPORARY_FAILURE)
    if fetched.absent:
        raise typer.Exit(NoInput.exit_code)


@app.command()
def feedback(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Maildirs, mbox files, messages, tables, JSON lines, or - .")],
    outcome: Annotated[
        Outcome | None, typer.Option(help="What each message is, such as spam for a folder Junk; unknown takes back.")
    ] = None,
    recipient: Annotated[str, typer.Option(help="Whose mailbox it is; else by Delivered-To of our hosts.")] = "",
    json: JsonOption = False,
) -> None:
    """Ingest what mail turned out to be: abuse reports, verdict fields of filters, mail to spamtraps, rows of a table.

    Only what is joined to mail that this site saw counts, each recipient once; reading twice changes nothing. Exits 66
    when a path cannot be read, 65 when all of it is malformed.
    """
    from trustgraph.services.feedback import describe, ingest_feedback

    common = shared(context)
    with common.store() as store:
        counts = ingest_feedback(store, common.settings, paths, now(), outcome=outcome, recipient=recipient, again=True)
    if json:
        print_json(counts)
    else:
        say(describe(counts))
    for problem in counts.problems:
        note(problem)
    if counts.unread:
        raise typer.Exit(NoInput.exit_code)
    if counts.pieces and counts.malformed == counts.pieces:
        raise typer.Exit(BadInput.exit_code)


@app.command()
def table(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="endorsements or history")],
    file: Annotated[Path, typer.Argument(help="CSV, or Parquet if the name ends in .parquet.")],
    json: JsonOption = False,
) -> None:
    """Ingest a table that you vouch for: its rows count as verified.

    endorsements: endorser,subject,made_at[,expires_at,amount,depth]; history: observer,subject,day,good,spam.
    """
    from trustgraph.ingest.table import ingest_endorsements, ingest_history

    readers = {"endorsements": ingest_endorsements, "history": ingest_history}
    if kind not in readers:
        raise UsageError(f"cannot ingest a table of {kind!r}: expected endorsements or history")
    with shared(context).store(create=True) as store:
        counts = readers[kind](store, file, now())
    if json:
        print_json(counts)
        return
    say(f"{counts.path}: {counts.rows} rows, {counts.stored} stored, {counts.rejected} rejected")
    for reject in counts.rejects:
        note(f"{counts.path}: {reject}")


def _log_context(common: Shared, observer: str):  # type: ignore[no-untyped-def]  # the type would load every parser
    from trustgraph.ingest.formats.base import LogContext

    settings = common.settings.ingest
    try:
        name = parse_domain(observer) if observer else settings.observer
    except BadInput as error:
        raise UsageError(f"--observer: {error}") from None
    return LogContext(name, settings.tzinfo, authserv_ids=frozenset(settings.authserv_ids))


def _follow(store: Store, paths: list[Path], options: LogOptions, json: bool) -> None:
    from trustgraph.ingest.logs import follow_log

    if len(paths) != 1 or not (paths[0].is_file() or not paths[0].exists()) or str(paths[0]) == "-":
        raise UsageError("--follow takes one log file")

    def wait() -> bool:
        try:
            time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            return False
        return True

    _print_log_counts(follow_log(store, paths[0], options, wait), options, json)


def _print_log_counts(counts: LogCounts, options: LogOptions, json: bool) -> None:
    if json:
        print_json(counts)
        return
    say(
        f"{counts.path} ({counts.format}): {counts.lines} lines, {counts.observations} observations, "
        f"{counts.new} new, {counts.known} known already, {counts.rejected} rejected"
        + (f", {counts.too_old} older than what is kept" if counts.too_old else "")
    )
    if counts.problem:
        note(f"{counts.path}: {counts.problem}")
    for reject in counts.rejects:
        note(f"{counts.path}: {reject}")
    if counts.rejected and options.rejects:
        note(f"all {counts.rejected} rejected lines are in {options.rejects}")
    elif counts.rejected > len(counts.rejects):
        note(f"{counts.rejected - len(counts.rejects)} more rejected lines; --rejects FILE keeps them all")
