"""The papers of a world: its truth, a configuration to read it with, and what it is."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields

from trustgraph.lab.world import OBSERVERS, Parameters, World
from trustgraph.model import Identity, to_rfc3339

TRUTH_COLUMNS = ("host", "identity", "dkim_domain", "kind", "operator", "first_day", "note")


def truth_table(world: World, fingerprints: Mapping[int, str]) -> str:
    """CSV, one row a host. ``identity`` is its OpenPGP key, or its DKIM domain if it has none.

    ``first_day`` is the date of its first mail. Hosts of one operator share its DKIM domain.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(TRUTH_COLUMNS)
    for number, host in enumerate(world.hosts):
        identity = Identity.dkim(host.dkim_domain)
        if number in fingerprints:
            identity = Identity.openpgp(fingerprints[number])
        first_day = to_rfc3339(world.parameters.day_start(host.first_day))[:10]
        table.writerow((host.name, identity, host.dkim_domain, host.kind, host.operator, first_day, host.note))
    return text.getvalue()


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


def command(scenario: str, parameters: Parameters) -> str:
    """The command line that makes this world again: the seed and whatever else is not the default."""
    options = [f"--seed {parameters.seed}"]
    for each in fields(parameters):
        value = getattr(parameters, each.name)
        if each.name != "seed" and value != each.default:
            text = to_rfc3339(value) if each.name == "until" else str(value)
            options.append(f"--{each.name.replace('_', '-')} {text}")
    return f"trustgraph simulate {scenario} {' '.join(options)} --out DIR"


def readme(world: World, scenario: str, counts: Mapping[str, int]) -> str:
    """What the world is, how it was made, and how much there is of everything."""
    parameters = world.parameters
    start = to_rfc3339(parameters.day_start(parameters.history_days))
    kinds = Counter(host.kind for host in world.hosts)
    rows = [(f"hosts: {kind}", kinds[kind]) for kind in kinds] + list(counts.items())
    table = "\n".join(f"| {what} | {number} |" for what, number in rows)
    return f"""\
# A simulated mail world: {scenario}

Made by `{command(scenario, parameters)}`. The same command makes the same octets again.

The logs run from {start} to {to_rfc3339(parameters.until)}; mail flowed for {parameters.history_days} days before,
and earlier certifications come from that. Every host, address and message is invented, with names and addresses that
are reserved for documentation.

| file | what |
|---|---|
| `keys.pgp` | binary keyring: every host key with its certifications and revocations |
| `mx1.jsonl.gz` | log of {OBSERVERS[0]}, native format |
| `partner-one.rspamd.log.gz` | log of {OBSERVERS[1]}, rspamd |
| `partner-two.mail.log.gz` | log of {OBSERVERS[2]}, OpenDKIM and Postfix through syslog |
| `truth.csv` | what each host truly is; not for scoring, only for judging it |
| `trustgraph.toml` | settings to read this world with |

The partners' logs do not name their host in full, so ingestion is told:

    trustgraph ingest keys keys.pgp
    trustgraph ingest logs mx1.jsonl.gz
    trustgraph ingest logs partner-one.rspamd.log.gz --observer {OBSERVERS[1]}
    trustgraph ingest logs partner-two.mail.log.gz --observer {OBSERVERS[2]}
    trustgraph score --at {to_rfc3339(parameters.until)}

| count | |
|---|---|
{table}
"""
