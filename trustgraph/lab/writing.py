"""Make a world and write it in the formats that ingestion reads. The only part of the lab that writes files."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trustgraph.lab import loglist, truth
from trustgraph.lab.dice import stream
from trustgraph.lab.documents import configuration, readme
from trustgraph.lab.endorsements import earned
from trustgraph.lab.keyring import make_keyring
from trustgraph.lab.loglist import Log
from trustgraph.lab.messages import Message, made_up, received, without_keyservers
from trustgraph.lab.native_log import native_lines
from trustgraph.lab.rspamd_log import rspamd_lines
from trustgraph.lab.scenarios import Scenario, make_scenario
from trustgraph.lab.syslog_log import syslog_lines
from trustgraph.lab.traffic import Traffic, simulate_traffic
from trustgraph.lab.vouching import Vouch
from trustgraph.lab.world import OBSERVERS, Parameters, World

KEYRING = "keys.pgp"
#: The logs of the observers; witnesses have further ones.
LOGS = ("mx1.jsonl.gz", "partner-one.rspamd.log.gz", "partner-two.mail.log.gz")
TRUTH = "truth.csv"
TRUTH_OF_DAYS = "truth-days.csv.gz"
TRUTH_OF_ENDORSEMENTS = "truth-endorsements.csv.gz"
TRUTH_OF_MESSAGES = "truth-messages.csv.gz"
SETTINGS = "trustgraph.toml"
README = "README.md"


@dataclass(frozen=True, slots=True)
class SimulatedWorld:
    """A world with what happened in it. ``inboxes`` are what the observers received, our own site's first."""

    world: World
    traffic: Traffic
    vouches: tuple[Vouch, ...]
    inboxes: tuple[Sequence[Message], ...]


@dataclass(frozen=True, slots=True)
class WrittenWorld:
    """Where a world is and how much there is of everything, by name. ``logs`` has our own site's first."""

    directory: Path
    scenario: str
    parameters: Parameters
    logs: tuple[Log, ...]
    counts: Mapping[str, int]


def play(scenario: Scenario, parameters: Parameters) -> SimulatedWorld:
    """Everything that happens in a world; the same arguments give the same world.

    Raises :class:`UsageError` for parameters that do not fit the scenario.
    """
    world = scenario.populate(parameters)
    traffic = simulate_traffic(world)
    dice = stream(parameters.seed, "endorsements")
    by_policy = tuple(earned(world, traffic, dice))
    vouches = sorted(
        (*by_policy, *scenario.unearned(world, by_policy, dice)),
        key=lambda vouch: (vouch.made_at, vouch.endorser, vouch.subject),
    )
    own, *others = (received(world, traffic, observer) for observer in world.observers)
    return SimulatedWorld(world, traffic, tuple(vouches), (list(without_keyservers(world, own)), *others))


def simulate(
    scenario: str, parameters: Parameters, out: Path, settings: Mapping[str, object] | None = None
) -> WrittenWorld:
    """Write the world of ``scenario`` into the directory ``out``, made if need be; files of the same names go.

    ``settings`` are the scenario's own, by name. The same arguments write the same octets. Raises :class:`UsageError`
    for an unknown scenario or setting and :class:`OSError` when ``out`` cannot be written.
    """
    texts = {name: str(value) for name, value in (settings or {}).items()}
    played = make_scenario(scenario, texts)
    return write(play(played, parameters), played, out)


def write(simulated: SimulatedWorld, scenario: Scenario, out: Path) -> WrittenWorld:
    """Write a world that was played. Raises :class:`OSError` when ``out`` cannot be written."""
    out.mkdir(parents=True, exist_ok=True)
    world, vouches, inboxes = simulated.world, simulated.vouches, simulated.inboxes
    keyring = make_keyring(world, vouches)
    fingerprints = keyring.fingerprints
    counts = {
        "host keys": len(fingerprints),
        "certifications": len(vouches),
        "revoked certifications": sum(vouch.revoked_at is not None for vouch in vouches),
        "certifications expired at the end": sum(vouch.expires_at <= world.parameters.until for vouch in vouches),
        "logged messages": sum(map(len, inboxes)),
    }
    logs = []
    for log, lines in _logs(world, inboxes, fingerprints):
        logs.append(log)
        counts[f"lines: {log.file}"] = _write_packed(out / log.file, "".join(f"{line}\n" for line in lines))
    (out / KEYRING).write_bytes(keyring.octets)
    _write_text(out / loglist.FILE, loglist.write_list(logs))
    _write_text(out / TRUTH, truth.host_table(world, fingerprints))
    _write_packed(out / TRUTH_OF_DAYS, truth.day_table(world, simulated.traffic, fingerprints))
    _write_packed(out / TRUTH_OF_ENDORSEMENTS, truth.endorsement_table(vouches, fingerprints))
    _write_packed(out / TRUTH_OF_MESSAGES, truth.message_table(world, inboxes[0], fingerprints))
    _write_text(out / SETTINGS, configuration(world, fingerprints))
    _write_text(out / README, readme(world, scenario, logs, counts))
    return WrittenWorld(out, scenario.name, world.parameters, tuple(logs), counts)


def _logs(
    world: World, inboxes: Sequence[Sequence[Message]], fingerprints: Mapping[int, str]
) -> Iterable[tuple[Log, Iterable[str]]]:
    """Each log with its lines: the observers' in three formats, the witnesses' in our own."""
    texts = (
        native_lines(world, 0, inboxes[0], fingerprints),
        rspamd_lines(world, 1, inboxes[1]),
        syslog_lines(world, 2, inboxes[2]),
    )
    yield from zip(map(Log, LOGS, OBSERVERS), texts, strict=True)
    for witness in world.witnesses:
        name = world.hosts[witness.number].name
        yield Log(f"{name}.jsonl.gz", name), native_lines(world, witness.number, made_up(world, witness), fingerprints)


def _write_packed(path: Path, text: str) -> int:
    """Gzip without name and time, so that equal texts are equal octets; returns the number of lines."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(text.encode())
    return text.count("\n")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
