"""Lines a second from a log file into SQLite, on one core, for the formats that sites have most of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

from tests.benchmarks.measure import measure, print_table
from trustgraph.ingest.formats.base import LogContext
from trustgraph.ingest.logs import LogOptions, ingest_logs
from trustgraph.model import UnixSeconds
from trustgraph.store import open_store

LINES = 500_000
START = 1_790_812_800  # 2026-10-01
DOMAINS = [f"d{i}.example" for i in range(2_000)]


def native() -> Iterator[str]:
    """One observation a line, two lines a message."""
    for i, domain in enumerate(islice(cycle(DOMAINS), LINES // 2)):
        at = datetime.fromtimestamp(START + i // 2, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for identity in (f"openpgp:{i % 997:040x}", f"dkim:{domain}"):
            yield (
                f'{{"at":"{at}","observer":"mx1.example.org","identity":"{identity}","result":"pass","outcome":"good",'
                f'"message_id":"<{i}@{domain}>","host":"mx.{domain}","client_ip":"192.0.2.{i % 250}"}}'
            )


def rspamd() -> Iterator[str]:
    """Default task log: DKIM, SPF and the client address in each line."""
    for i, domain in enumerate(islice(cycle(DOMAINS), LINES)):
        at = datetime.fromtimestamp(START + i // 2, UTC).strftime("%Y-%m-%d %H:%M:%S")
        yield (
            f"{at} #2201(normal) <{i % 0xFFFFFF:06x}>; task; rspamd_task_write_log: id: <{i}@{domain}>, "
            f"qid: <{i:010X}>, ip: 192.0.2.{i % 250}, from: <a@{domain}>, (default: F (no action): [-3.40/15.00] "
            f"[BAYES_HAM(-2.90){{99.61%;}},R_DKIM_ALLOW(-0.20){{{domain}:s=mail;}},R_SPF_ALLOW(-0.20){{+ip4:192.0.2.1;}},"
            f"MIME_GOOD(-0.10){{text/plain;}},DKIM_TRACE(0.00){{{domain}:+;}},FROM_EQ_ENVFROM(0.00){{}}]), len: 6432, "
            f"time: 132.432ms, dns req: 21, digest: <{i:032x}>, rcpts: <t@example.org>, mime_rcpts: <t@example.org>"
        )


def opendkim() -> Iterator[str]:
    """OpenDKIM with LogResults, two lines a message."""
    for i, domain in enumerate(islice(cycle(DOMAINS), LINES // 2)):
        at = datetime.fromtimestamp(START + i // 2, UTC).strftime("%b %e %H:%M:%S")
        head = f"{at} mx1 opendkim[611]: {i:010X}:"
        yield f'{head} signature=x{i:07x} domain={domain} selector=mail result="no signature error"'
        yield f"{head} DKIM verification successful"


def ingest_once(path: str, observer: str) -> tuple[int, int, float]:
    """(lines, observations stored, seconds) for one file into a new database."""
    store = open_store(f"sqlite:///{path}.db", create=True)
    options = LogOptions(LogContext(observer))
    started = time.perf_counter()
    (counts,) = ingest_logs(store, [Path(path)], options, UnixSeconds(START))
    seconds = time.perf_counter() - started
    store.close()
    assert counts.rejected == 0
    return counts.lines, counts.new, seconds


def run(directory: Path) -> None:
    """Print the table."""
    formats: dict[str, tuple[Callable[[], Iterator[str]], int]] = {
        "native": (native, 100_000),
        "rspamd": (rspamd, 40_000),
        "opendkim": (opendkim, 40_000),
    }
    rows = []
    for name, (lines, wanted) in formats.items():
        path = directory / name
        path.write_text("\n".join(lines()) + "\n")
        measured = measure(ingest_once, str(path), "mx1.example.org", cores=1)
        count, stored, seconds = measured.result
        memory = f"{measured.peak_bytes / 1e6:.0f} MB"
        rows.append(
            (name, f"{count:,}", f"{stored:,}", f"{seconds:.2f}", f"{count / seconds:,.0f}", f"{wanted:,}", memory)
        )
    head = ("format", "lines", "stored", "seconds", "lines/s", "wanted", "peak memory")
    print_table("log file into SQLite, one core", head, rows)
