"""What operators, and their cron jobs, do at a host, by the command line; and what can be seen there."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tests.system.gate_lab import wait_for
from tests.system.internet.host import InternetHost
from tests.system.internet.post import is_spam, message_id_of
from tests.system.internet.told import Rated, View
from trustgraph.services.export import export
from trustgraph.settings import load_settings
from trustgraph.store import open_store

_TRIES = 3
_COLUMNS = "message_id,recipient,outcome,at\n"


@dataclass(frozen=True, slots=True)
class Sorted:
    """Letters that the content filter sorted."""

    good: int
    junk: int


def publish_key(host: InternetHost) -> None:
    """To both keyservers of the host, and read back from them."""
    _until_done(host, "key", "publish")


def sort_mail(host: InternetHost, at: datetime) -> Sorted:
    """The content filter sorts what came in, and leaves its verdicts where trustgraph looks for feedback."""
    counts = {"good": 0, "Junk": 0}
    verdicts = [] if host.verdicts.exists() else [_COLUMNS]
    for path in host.mail("box"):
        message_id = message_id_of(path)
        if f"-to-{host.name}@" not in message_id:
            continue  # a bounce, which nobody judges
        folder, outcome = ("Junk", "spam") if is_spam(path) else ("good", "good")
        path.rename(host.home / "mail" / folder / "new" / path.name)
        counts[folder] += 1
        verdicts.append(f"{message_id},box@{host.name},{outcome},{at:%Y-%m-%dT%H:%M:%SZ}\n")
    with host.verdicts.open("a") as file:
        file.writelines(verdicts)
    return Sorted(counts["good"], counts["Junk"])


def recompute(host: InternetHost) -> Mapping[str, Mapping[str, object]]:
    """The job of the evening: feedback, keys that are due, ratings, endorsements. What each part told, by its name.

    The milter takes what it judged and fetched to the store once a second; only then it can be counted.
    """
    wait_for(lambda: _stored(host), f"{host.name}: what was judged should reach the store")
    told = [json.loads(line) for line in _until_done(host, "recompute", "--once", "--json").splitlines()]
    return {one["job"]: one for one in told}


def pin(host: InternetHost, subject: InternetHost, note: str) -> None:
    """Endorse a host by hand, for whatever reason, and publish that."""
    pinned = ("--pin", f"openpgp:{subject.fingerprint}", "--note", note)
    _until_done(host, "endorse", *pinned, "--no-dry-run", "--publish")


def _until_done(host: InternetHost, *command: str) -> str:
    """What a command says; run again where a keyserver of a busy machine does not show yet what it was given."""
    for _ in range(_TRIES - 1):
        try:
            return host.trustgraph(*command)
        except AssertionError:
            continue
    return host.trustgraph(*command)


def _stored(host: InternetHost) -> bool:
    taken = sum(int(str(event["lines"])) for event in host.events("spool_drained"))
    return taken >= len(host.events("message_judged")) and not any((host.home / "state/keys").glob("*"))


def look(hosts: Iterable[InternetHost], names: Mapping[str, str]) -> View:
    """What each host's store says; ``names`` gives the host of each identity."""
    ratings, endorsements = {}, {}
    for host in hosts:
        ratings[host.name] = {
            names[row["identity"]]: Rated(float(row["rating"]), row["standing"], int(row["endorsers"]))
            for row in _exported(host, "ratings")
            if row["identity"] in names
        }
        pairs = {(names.get(row["endorser"]), names.get(row["subject"])) for row in _exported(host, "endorsements")}
        endorsements[host.name] = frozenset((one, other) for one, other in pairs if one and other)
    return View(ratings, endorsements)


def _exported(host: InternetHost, kind: str) -> list[dict[str, str]]:
    """As `trustgraph export` writes it, without a process for each."""
    path = host.home / f"{kind}.csv"
    settings = load_settings(host.home / "trustgraph.toml")
    store = open_store(settings.database.url)
    try:
        export(store, settings, kind, path)
    finally:
        store.close()
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
