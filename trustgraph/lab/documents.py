"""The papers of a world: a configuration to read it with, and what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields

from trustgraph.lab.loglist import Log
from trustgraph.lab.scenarios import Scenario, settings_of
from trustgraph.lab.world import OBSERVERS, Parameters, World
from trustgraph.model import Identity, to_rfc3339


def configuration(world: World, fingerprints: Mapping[int, str]) -> str:
    """A trustgraph.toml for our own site in this world, anchored on the three observers."""
    anchors = "".join(
        f'"{Identity.openpgp(fingerprints[number])}" = 1.0  # {world.hosts[number].name}\n'
        for number in world.observers
    )
    return f"""\
# Settings for reading this simulated world as {OBSERVERS[0]} sees it.

[site]
hostname = "{OBSERVERS[0]}"
authserv_id = "{OBSERVERS[0]}"

[database]
url = "sqlite:///trustgraph.db"  # in the working directory

# Whom this site trusts to begin with: itself and two operators that it knows.
[anchors]
{anchors}
[ingest]
authserv_ids = ["{OBSERVERS[0]}"]
zone = "UTC"  # of log lines that name no zone
"""


_FORMATS = dict(zip(OBSERVERS, ("native format", "rspamd", "OpenDKIM and Postfix through syslog"), strict=True))


def command(scenario: Scenario, parameters: Parameters) -> str:
    """The command line that makes this world again: the seed and whatever else is not the default."""
    options = [f"--seed {parameters.seed}"]
    for each in fields(parameters):
        value = getattr(parameters, each.name)
        if each.name != "seed" and value != getattr(scenario.parameters, each.name):
            text = to_rfc3339(value) if each.name == "until" else str(value)
            options.append(f"--{each.name.replace('_', '-')} {text}")
    for setting in settings_of(type(scenario)):
        if (value := getattr(scenario, setting.name)) != setting.default:
            options.append(f"--set {setting.name}={str(value).lower()}")
    return f"trustgraph simulate {scenario.name} {' '.join(options)} --out DIR"


def readme(world: World, scenario: Scenario, logs: Sequence[Log], counts: Mapping[str, int]) -> str:
    """What the world is, how it was made, and how much there is of everything."""
    parameters = world.parameters
    start = to_rfc3339(parameters.day_start(parameters.history_days))
    kinds = Counter(host.kind for host in world.hosts)
    rows = [(f"hosts: {kind}", kinds[kind]) for kind in kinds] + list(counts.items())
    table = "\n".join(f"| {what} | {number} |" for what, number in rows)
    files = "\n".join(
        f"| `{log.file}` | log of {log.observer}, {_FORMATS.get(log.observer, 'native format')} |" for log in logs
    )
    ingest = "\n".join(f"    trustgraph ingest logs {log.file} --observer {log.observer}" for log in logs[1:])
    return f"""\
# A simulated mail world: {scenario.name}

Made by `{command(scenario, parameters)}`. The same command makes the same octets again.

The logs run from {start} to {to_rfc3339(parameters.until)}; mail flowed for {parameters.history_days} days before,
and earlier certifications come from that. Every host, address and message is invented, with names and addresses that
are reserved for documentation.

| file | what |
|---|---|
| `keys.pgp` | binary keyring: every host key with its certifications and revocations |
{files}
| `logs.csv` | which log is whose |
| `truth.csv` | what each host truly is; not for scoring, only for judging it |
| `truth-days.csv.gz` | how much good mail and spam each host truly sent to our site on each day |
| `truth-endorsements.csv.gz` | every certification, when and why it was made |
| `truth-messages.csv.gz` | every message of our own site's log, and whether it truly is spam |
| `trustgraph.toml` | settings to read this world with |

The partners' logs do not name their host in full, so ingestion is told:

    trustgraph ingest keys keys.pgp
    trustgraph ingest logs {logs[0].file}
{ingest}
    trustgraph score --at {to_rfc3339(parameters.until)}

| count | |
|---|---|
{table}
"""
