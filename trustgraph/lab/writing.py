"""Make a world and write it in the formats that ingestion reads. The only part of the lab that touches files."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trustgraph.errors import UsageError
from trustgraph.lab.documents import configuration, readme, truth_table
from trustgraph.lab.endorsements import vouches
from trustgraph.lab.keyring import make_keyring
from trustgraph.lab.messages import received
from trustgraph.lab.native_log import native_lines
from trustgraph.lab.population import baseline
from trustgraph.lab.rspamd_log import rspamd_lines
from trustgraph.lab.syslog_log import syslog_lines
from trustgraph.lab.traffic import simulate_traffic
from trustgraph.lab.world import Parameters, World

#: Who lives in the world of each scenario; what they then do is the same for all.
SCENARIOS: Mapping[str, Callable[[Parameters], World]] = {"baseline": baseline}

KEYRING = "keys.pgp"
LOGS = ("mx1.jsonl.gz", "partner-one.rspamd.log.gz", "partner-two.mail.log.gz")
TRUTH = "truth.csv"
SETTINGS = "trustgraph.toml"
README = "README.md"


@dataclass(frozen=True, slots=True)
class WrittenWorld:
    """Where a world is and how much there is of everything, by name."""

    directory: Path
    scenario: str
    parameters: Parameters
    counts: Mapping[str, int]


def simulate(scenario: str, parameters: Parameters, out: Path) -> WrittenWorld:
    """Write the world of ``scenario`` into the directory ``out``, made if need be; files of the same names go.

    The same arguments write the same octets. Raises :class:`UsageError` for an unknown scenario and
    :class:`OSError` when ``out`` cannot be written.
    """
    if scenario not in SCENARIOS:
        raise UsageError(f"unknown scenario {scenario!r}: expected one of {', '.join(sorted(SCENARIOS))}")
    world = SCENARIOS[scenario](parameters)
    traffic = simulate_traffic(world)
    made = vouches(world, traffic)
    keyring = make_keyring(world, made)
    inboxes = [received(world, traffic, observer) for observer in world.observers]
    logs: list[Iterable[str]] = [
        native_lines(world, 0, inboxes[0], keyring.fingerprints),
        rspamd_lines(world, 1, inboxes[1]),
        syslog_lines(world, 2, inboxes[2]),
    ]
    counts = {
        "host keys": len(keyring.fingerprints),
        "certifications": len(made),
        "revoked certifications": sum(vouch.revoked_at is not None for vouch in made),
        "certifications expired at the end": sum(vouch.expires_at <= parameters.until for vouch in made),
        "logged messages": sum(map(len, inboxes)),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, lines in zip(LOGS, logs, strict=True):
        counts[f"lines: {name}"] = _write_log(out / name, lines)
    (out / KEYRING).write_bytes(keyring.octets)
    _write_text(out / TRUTH, truth_table(world, keyring.fingerprints))
    _write_text(out / SETTINGS, configuration(world, keyring.fingerprints))
    _write_text(out / README, readme(world, scenario, counts))
    return WrittenWorld(out, scenario, parameters, counts)


def _write_log(path: Path, lines: Iterable[str]) -> int:
    """Gzip without name and time, so that equal lines are equal octets; returns the number of lines."""
    texts = [f"{line}\n" for line in lines]
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write("".join(texts).encode())
    return len(texts)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
