"""``ingest logs``: files of any format and compression into the store, once each line, whatever happens in between.

Nothing that a file contains stops the rest: malformed lines go to a rejects file with their place and reason, a file
that is damaged is read as far as it goes. Each batch is on disk before the next is read.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from trustgraph.errors import BadInput, NoInput
from trustgraph.ingest.formats import SAMPLE_LINES, detect, parser_named
from trustgraph.ingest.formats.base import LogContext, LogParser, NumberedLine, Reject
from trustgraph.ingest.formats.mailbox import maildir_messages
from trustgraph.ingest.source import DAMAGED, STDIN, Follower, bounded_lines, open_bytes, written_at
from trustgraph.model import Observation, UnixSeconds
from trustgraph.store import Store
from trustgraph.store.observations import Added, ObservationWriter
from trustgraph.store.sources import record_counts, record_source

#: Observations a transaction: large enough to amortise a commit, small enough to lose little time on kill.
BATCH = 100_000

#: Rejects named on the terminal; the rejects file has them all.
SHOWN_REJECTS = 3


@dataclass(frozen=True, slots=True)
class LogCounts:
    """What became of one log. ``lines`` were read, ``observations`` found in them, of which ``new`` were stored."""

    path: str
    format: str
    lines: int = 0
    observations: int = 0
    new: int = 0
    known: int = 0
    too_old: int = 0
    rejected: int = 0
    problem: str = ""
    rejects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How logs are read. ``format``: a name or "auto". ``rejects``: file that malformed lines are appended to."""

    context: LogContext
    format: str = "auto"
    rejects: Path | None = None


#: Called with (path, lines read so far).
Progress = Callable[[str, int], None]


def ingest_logs(
    store: Store, paths: Sequence[Path], options: LogOptions, now: UnixSeconds, progress: Progress | None = None
) -> Iterator[LogCounts]:
    """Ingest each path in turn and say what became of it. Directories are Maildirs.

    Raises :class:`NoInput` for a path that cannot be opened, :class:`UsageError` for an unknown format.
    """
    writer = ObservationWriter(store)
    for path in paths:
        with _collector_at_rest():
            counts = _ingest_path(writer, path, options, progress)
        with store.writing() as connection:
            source = record_source(connection, "logs", str(path), now)
        record_counts(store, source, {k: v for k in _COUNTED if isinstance(v := getattr(counts, k), int)})
        yield counts


def follow_log(
    store: Store,
    path: Path,
    options: LogOptions,
    wait: Callable[[], bool],
    progress: Progress | None = None,
    *,
    on_counts: Callable[[LogCounts], None] | None = None,
) -> LogCounts:
    """Ingest a growing log until ``wait()`` says False; it is called whenever the log has nothing new.

    ``on_counts`` is told what has been read and stored so far, whenever that is more than before.

    The parser lives as long as this runs, so lines of one message are joined however far apart they arrive; what it has
    found by then is on disk before each wait.
    """
    writer, follower = ObservationWriter(store), Follower(path)
    pending: list[Observation | Reject] = []
    counts = LogCounts(str(path), options.format)

    def flush() -> None:
        nonlocal counts
        counts = _write(writer, iter(pending), options.rejects, counts, lambda: 0, progress)
        pending.clear()
        if on_counts:
            on_counts(counts)

    def lines() -> Iterator[NumberedLine]:
        nonlocal counts
        while True:
            new = follower.read()
            counts = replace(counts, lines=counts.lines + len(new))
            yield from new
            # Everything found in these lines is in ``pending`` now: the parser asks for more only when it is done.
            if not new or len(pending) >= BATCH:
                flush()
            if not new and not wait():
                return

    try:
        numbered = lines()
        sample = _until_known(numbered) if options.format == "auto" else []
        auto = options.format == "auto"
        parser = detect(line for _, line in sample) if auto else parser_named(options.format)
        if parser:
            counts = replace(counts, format=parser.name)
            context = replace(options.context, written_at=UnixSeconds(written_at(path)))
            for item in parser.parse(chain(sample, numbered), context):
                pending.append(item)
        flush()
        return counts
    finally:
        follower.close()


def _until_known(lines: Iterator[NumberedLine]) -> list[NumberedLine]:
    """The first lines, up to the one whose format is known."""
    sample = []
    for numbered in lines:
        sample.append(numbered)
        if detect([numbered[1]]) or len(sample) == SAMPLE_LINES:
            break
    return sample


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Without the cyclic garbage collector: nothing here makes cycles, and it costs a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _ingest_path(writer: ObservationWriter, path: Path, options: LogOptions, progress: Progress | None) -> LogCounts:
    if path.is_dir():
        return _ingest_maildir(writer, path, options, progress)
    with open_bytes(path) as stream:
        context = replace(options.context, written_at=UnixSeconds(written_at(path)))
        return _ingest_stream(writer, path, stream, replace(options, context=context), progress)


def _ingest_stream(
    writer: ObservationWriter, path: Path, stream: BinaryIO, options: LogOptions, progress: Progress | None
) -> LogCounts:
    problems: list[str] = []
    lines = _whole_lines(stream, problems)
    sample = list(islice(lines, SAMPLE_LINES))
    parser = detect(line for _, line in sample) if options.format == "auto" else parser_named(options.format)
    counts = LogCounts("standard input" if path == STDIN else str(path), parser.name if parser else "unknown")
    if parser is None:
        problem = problems[0] if problems else "no known log format; name it with --format" if sample else "empty"
        return replace(counts, lines=len(sample), problem=problem)
    counts = _consume(writer, parser, chain(sample, lines), options.context, options.rejects, counts, progress)
    return replace(counts, problem="; ".join(problems))


def _ingest_maildir(writer: ObservationWriter, path: Path, options: LogOptions, progress: Progress | None) -> LogCounts:
    counts, problems = LogCounts(str(path), "eml"), list[str]()
    parser = parser_named("eml")

    def observations() -> Iterator[Observation | Reject]:
        for message in maildir_messages(path):
            try:
                stream = open_bytes(message)
            except NoInput:  # a mail program has moved or deleted it meanwhile
                continue
            with stream:
                context = replace(options.context, written_at=UnixSeconds(written_at(message)))
                yield from parser.parse(_whole_lines(stream, problems), context)

    if not any(path.glob("cur/..")) and not any(path.glob("new/..")):
        raise BadInput(f"{path}: is a directory but no Maildir (no cur/ or new/ in it)")
    counts = _write(writer, observations(), options.rejects, counts, lambda: 0, progress)
    problem = f"{len(problems)} messages: {problems[0]}" if problems else ""
    return replace(counts, problem=problem)


def _whole_lines(stream: BinaryIO, problems: list[str]) -> Iterator[NumberedLine]:
    """Lines until the end or until the data turn out damaged, which is then noted."""
    try:
        yield from bounded_lines(stream)
    except DAMAGED as error:
        problems.append(f"damaged after what was read: {error}")


def _consume(
    writer: ObservationWriter,
    parser: LogParser,
    lines: Iterable[NumberedLine],
    context: LogContext,
    rejects: Path | None,
    counts: LogCounts,
    progress: Progress | None,
) -> LogCounts:
    seen = 0

    def counted() -> Iterator[NumberedLine]:
        nonlocal seen
        for numbered in lines:
            seen += 1
            yield numbered

    return _write(writer, parser.parse(counted(), context), rejects, counts, lambda: seen, progress)


def _write(
    writer: ObservationWriter,
    found: Iterator[Observation | Reject],
    rejects: Path | None,
    counts: LogCounts,
    lines_read: Callable[[], int],
    progress: Progress | None,
) -> LogCounts:
    added, rejected, observations = Added(), 0, 0
    shown = list(counts.rejects)
    while batch := list(islice(found, BATCH)):
        good = [item for item in batch if isinstance(item, Observation)]
        bad = [item for item in batch if isinstance(item, Reject)]
        if bad:
            _append_rejects(rejects, counts.path, bad)
            shown += [f"line {r.line_number}: {r.reason}" for r in bad[: SHOWN_REJECTS - len(shown)]]
        added += writer.add(good)
        observations += len(good)
        rejected += len(bad)
        if progress:
            progress(counts.path, counts.lines + lines_read())
    return replace(
        counts,
        lines=counts.lines + lines_read(),
        observations=counts.observations + observations,
        new=counts.new + added.new,
        known=counts.known + added.known,
        too_old=counts.too_old + added.too_old,
        rejected=counts.rejected + rejected,
        rejects=tuple(shown),
    )


def _append_rejects(file: Path | None, path: str, rejects: Sequence[Reject]) -> None:
    """``path:line: reason`` and the line itself, bytes that are not UTF-8 escaped."""
    if file is None:
        return
    with file.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        for reject in rejects:
            text = reject.line.decode("utf-8", "backslashreplace").replace("\r", "\\r")
            stream.write(f"{path}:{reject.line_number}: {reject.reason}\n\t{text}\n")


_COUNTED = ("lines", "observations", "new", "known", "too_old", "rejected")
