"""``trustgraph demo``: the whole road on the sample world, each step with its numbers, held against the truth table."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trustgraph.ingest.formats.base import LogContext
from trustgraph.ingest.logs import LogOptions, ingest_logs
from trustgraph.lab.loglist import read_list
from trustgraph.lab.world import Kind, Parameters
from trustgraph.lab.writing import simulate
from trustgraph.model import SECONDS_PER_DAY, Identity, Rating, Standing, UnixSeconds, to_rfc3339
from trustgraph.scoring.standing import standing_of
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.services.relay_report import relay_report
from trustgraph.services.scoring import anchors_of, explain, require_generation, score
from trustgraph.settings import Settings, load_settings
from trustgraph.store import Store, open_store
from trustgraph.store.generations import read_ratings
from trustgraph.store.observations import newest_day

#: Kinds of host in the truth table that ought to be kept out; newcomers may stand or not yet.
BAD_KINDS = frozenset(kind.value for kind in Kind if kind.is_bad)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Truth:
    """One line of the truth table. ``identity`` is what the host is rated by, ``names`` all it is known by."""

    host: str
    kind: str
    identity: Identity
    names: frozenset[str]


def run_demo(out: Path, say: Say) -> dict[str, Any]:
    """Run it in the directory ``out`` (its old database goes); returns the figures that were said."""
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("demo.db*"):
        old.unlink()
    world = sample_world(out, say)
    settings = load_settings(world / "trustgraph.toml", environment={})
    store = open_store(f"sqlite:///{out / 'demo.db'}", create=True)
    try:
        ingest_world(store, settings, world, say)
        return _rate_and_report(store, settings, read_truth(world / "truth.csv"), out, say, started)
    finally:
        store.close()


def sample_world(out: Path, say: Say) -> Path:
    """The sample data of the source tree; where there is none (installed from a wheel), the same made again."""
    shipped = Path(__file__).parents[2] / "data" / "world"
    if (shipped / "truth.csv").is_file():
        say(f"1. the sample world is in {shipped}: a simulated internet of mail servers with a known truth")
        return shipped
    say("1. making the sample world, a simulated internet of mail servers with a known truth")
    return simulate("baseline", Parameters(), out / "world").directory


def read_truth(path: Path) -> list[Truth]:
    """The truth table, hosts without a host key by their DKIM domain."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            Truth(
                row["host"],
                row["kind"],
                Identity.parse(row["identity"] or f"dkim:{row['dkim_domain']}"),
                frozenset({row["identity"], f"dkim:{row['dkim_domain']}"} - {""}),
            )
            for row in csv.DictReader(stream)
        ]


def ingest_world(store: Store, settings: Settings, world: Path, say: Say) -> None:
    """Read the keyring and the logs of a simulated world, saying how much there was of each."""
    now = UnixSeconds(int(time.time()))
    counts = ingest_keyrings(store, settings, [world / "keys.pgp"], now)
    say(
        f"2. ingested the keyring: {counts.certificates} host keys, {counts.signatures} signatures, "
        f"{counts.good} certifications verified good, {counts.bad} bad"
    )
    for name, observer in read_list(world):
        options = LogOptions(LogContext(observer, settings.ingest.tzinfo))
        for log in ingest_logs(store, [world / name], options, now):
            say(
                f"3. ingested {name} ({log.format}): {log.lines} lines, {log.new} observations, {log.rejected} rejected"
            )


def _rate_and_report(
    store: Store, settings: Settings, truth: Sequence[Truth], out: Path, say: Say, started: float
) -> dict[str, Any]:
    reference_time = UnixSeconds((newest_day(store) + 1) * SECONDS_PER_DAY)
    run = score(
        *(store, settings),
        anchors=anchors_of(settings),
        algorithm=settings.scoring.algorithm,
        reference_time=reference_time,
        now=UnixSeconds(int(time.time())),
    )
    g = run.generation
    say(
        f"4. scored {g.identities} identities from {g.endorsements} endorsements as of {to_rfc3339(reference_time)}: "
        f"{g.iterations} iterations, {g.seconds:.2f} s"
    )
    rated = {r.identity: r for r in read_ratings(store, require_generation(store))}
    table = standings_by_kind(truth, rated, settings)
    say("5. against the truth table (hosts by what they are and how they stand):")
    for line in _lines_of(table):
        say("   " + line)
    accepted_bad = sum(row[Standing.ACCEPTED] for kind, row in table.items() if kind in BAD_KINDS)
    bad = sum(sum(row.values()) for kind, row in table.items() if kind in BAD_KINDS)
    honest = table["honest"]
    say(
        f"   {accepted_bad} of {bad} bad hosts accepted, "
        f"{honest[Standing.ACCEPTED]} of {sum(honest.values())} honest hosts accepted"
    )
    _say_examples(store, settings, truth, rated, say)
    report = relay_report(store, settings, out, g.generated_at)
    named = {str(f.identity) for f in report.findings}
    relays = [t for t in truth if t.kind in BAD_KINDS]
    caught = sum(not named.isdisjoint(t.names) for t in relays)
    wrong = sum(not named.isdisjoint(t.names) for t in truth if t.kind == "honest")
    say(
        f"7. relay report: {len(report.findings)} findings; it names {caught} of {len(relays)} bad hosts "
        f"and {wrong} of {sum(honest.values())} honest ones"
    )
    seconds = time.perf_counter() - started
    say(f"done in {seconds:.1f} s; the report is {report.html}")
    return {
        "report": str(report.html),
        "generation": g.number,
        "identities": g.identities,
        "endorsements": g.endorsements,
        "standings": {kind: {s.value: n for s, n in row.items()} for kind, row in table.items()},
        "findings": len(report.findings),
        "bad_hosts_named": caught,
        "honest_hosts_named": wrong,
        "seconds": round(seconds, 1),
    }


def standings_by_kind(
    truth: Sequence[Truth], rated: Mapping[Identity, Rating], settings: Settings
) -> dict[str, Counter[Standing]]:
    """How hosts of each kind stand; one that was never seen is unrated."""
    table: dict[str, Counter[Standing]] = {}
    for host in truth:
        rating = rated.get(host.identity)
        standing = Standing.UNRATED if rating is None else _standing(rating, settings)
        table.setdefault(host.kind, Counter())[standing] += 1
    return dict(sorted(table.items()))


def _standing(r: Rating, settings: Settings) -> Standing:
    policy = settings.policy
    return standing_of(r.rating, r.sample_size, r.endorsers, accept=policy.accept, refuse=policy.refuse)


def _lines_of(table: Mapping[str, Counter[Standing]]) -> list[str]:
    head = f"{'kind':<14}" + "".join(f"{standing.value:>11}" for standing in Standing)
    return [head] + [f"{kind:<14}" + "".join(f"{row[s]:>11}" for s in Standing) for kind, row in table.items()]


def _say_examples(
    store: Store, settings: Settings, truth: Sequence[Truth], rated: Mapping[Identity, Rating], say: Say
) -> None:
    """One good and one bad host in full: the rating and the three parts that weigh most."""
    known = [t for t in truth if t.identity in rated and t.identity.startswith("openpgp:")]
    best = max((t for t in known if t.kind == "honest"), key=lambda t: (rated[t.identity].rating, t.host))
    worst = min((t for t in known if t.kind == "relay"), key=lambda t: (-rated[t.identity].endorsers, t.host))
    say("6. why, for the best honest host and the best endorsed relay (`trustgraph explain HOST` says all):")
    for example in (best, worst):
        why = explain(store, settings, example.identity)
        parts = sorted(why.contributions, key=lambda c: -abs(c.amount))[:3]
        named = ", ".join(f"{c.amount:+.3f} {c.kind} {c.name[:24]}" for c in parts)
        say(f"   {example.host} ({example.kind}) rates {why.rating:.3f}, {why.standing}: {named}, …")
