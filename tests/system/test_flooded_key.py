"""A key on a real SKS node that anybody has hung 100,000 signatures on: fetched, cut to what counts, and rated."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.flood import bogus_certifications, days_ago, slices, submit, with_certifications
from tests.sks import SksNode, gossiping_nodes
from trustgraph.keyserver.answer import Answer, Found
from trustgraph.keyserver.pool import Pool, PoolPolicy
from trustgraph.keyserver.server import ServerPolicy
from trustgraph.lab.quick_keys import QuickKey
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.ownparts import read_host_certificate

FLOOD = 100_000
FORGED = 3_000

MAX_SECONDS = 5.0
MAX_MIB = 300

BORN = UnixSeconds(days_ago(300))
ENDORSED_AT = UnixSeconds(days_ago(20))
EXPIRES = UnixSeconds(days_ago(-70))


class Run(NamedTuple):
    """A command that has ended: what it printed, what it took of a processor and of memory."""

    printed: str
    seconds: float
    mebibytes: float


def host(name: str) -> QuickKey:
    return QuickKey(name, BORN, name.encode().ljust(32, b"."))


SUBJECT = host("mx.flooded.example")
ENDORSERS = [host(f"mx.endorser{number}.example") for number in range(4)]
LATECOMER = host("mx.latecomer.example")


#: Runs a command and writes what it came to. A process inherits the mark of its parent's memory, which here is small.
MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], file)
"""


def trustgraph(folder: Path, *arguments: str) -> Run:
    """Run a command as a process of its own and measure it."""
    database = f"sqlite:///{folder / 'trustgraph.db'}"
    command = [sys.executable, "-m", "trustgraph", "--database", database, *arguments]
    measured = [sys.executable, "-c", MEASURE, str(folder / "used"), *command]
    done = subprocess.run(measured, capture_output=True, text=True, check=True, timeout=120, cwd=folder)
    # Seconds of a processor: by the clock it takes as long as others on the machine leave.
    code, seconds, mebibytes = json.loads((folder / "used").read_text())
    assert code == 0, done.stderr
    return Run(done.stdout, seconds, mebibytes)


@pytest.fixture(scope="module")
def node(require_for_module: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SksNode]:
    """A keyserver with the endorsers' keys, and the subject's under the flood."""
    for endorser in ENDORSERS:
        endorser.certify(SUBJECT, ENDORSED_AT, EXPIRES, ())
    with gossiping_nodes(require_for_module("sks"), tmp_path_factory.mktemp("sks"), 1) as [node]:
        for key in ENDORSERS:
            submit(node, key.certificate())
        flood = bogus_certifications(FLOOD, BORN)
        flood += bogus_certifications(FORGED, ENDORSED_AT + 1, [key.fingerprint for key in ENDORSERS], seed=1)
        for packets in slices(flood):
            submit(node, with_certifications(SUBJECT, packets))
        yield node


def test_it_is_fetched_cut_and_rated_in_time_and_memory(node: SksNode, tmp_path: Path) -> None:
    names = [key.fingerprint for key in ENDORSERS]
    trustgraph(tmp_path, "ingest", "keys", "--keyserver", node.url, *names)
    anchors = [part for name in names for part in ("--anchor", f"openpgp:{name}")]

    def fetch_and_rate() -> tuple[Run, Run]:
        fetched = trustgraph(tmp_path, "ingest", "keys", "--keyserver", node.url, SUBJECT.fingerprint, "--json")
        return fetched, trustgraph(tmp_path, "score", *anchors, "--json")

    # The least of three: two who share a core each take longer, by its seconds too.
    fetched, scored = min((fetch_and_rate() for _ in range(3)), key=lambda runs: sum(one.seconds for one in runs))
    counts = json.loads(fetched.printed)
    assert (counts["good"], counts["unverifiable"], counts["bad"]) == (len(ENDORSERS), FLOOD, FORGED)
    rating = json.loads(trustgraph(tmp_path, "rating", SUBJECT.fingerprint, "--json").printed)
    assert rating["endorsers"] == len(ENDORSERS)
    assert fetched.seconds + scored.seconds <= MAX_SECONDS, (fetched, scored)
    assert max(fetched.mebibytes, scored.mebibytes) <= MAX_MIB, (fetched, scored)


def ask(node: SksNode, question: Callable[[Pool], Awaitable[Any]]) -> Any:
    """Of a pool with the bounds of the gate, but for a busy machine's sake."""

    async def run() -> Any:
        bounds = ServerPolicy(connect_seconds=10, read_seconds=20, total_seconds=30)
        pool = Pool([node.url], PoolPolicy(timeout_seconds=30), bounds)
        try:
            return await question(pool)
        finally:
            await pool.aclose()

    return asyncio.run(run())


def test_the_gate_gets_what_the_key_says_of_itself_and_mail_goes_on_meanwhile(node: SksNode) -> None:
    turns = 0

    async def question(pool: Pool) -> Answer:
        nonlocal turns
        lookup = asyncio.create_task(pool.lookup(SUBJECT.fingerprint, patient=True))
        while not lookup.done():
            await asyncio.sleep(0.001)
            turns += 1
        return lookup.result()

    answer = ask(node, question)
    assert isinstance(answer, Found)
    own = read_host_certificate([SUBJECT.certificate()], SUBJECT.fingerprint, UnixSeconds(days_ago(0)))
    assert answer.certificate == own.octets
    assert turns > 50, "the event loop stood still while 16 MB were judged"


def test_what_is_published_on_it_is_read_back(node: SksNode) -> None:
    before = SUBJECT.certificate()
    LATECOMER.certify(SUBJECT, ENDORSED_AT, EXPIRES, ())
    fingerprint = SUBJECT.fingerprint
    [published] = ask(node, lambda pool: pool.publish(SUBJECT.certificate(), fingerprint))
    assert published.ok, published
    assert len(SUBJECT.certificate()) > len(before)
