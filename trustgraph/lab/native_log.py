"""Our own site's log: this project's native format, one JSON object a line and identity."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from trustgraph.lab.messages import Message
from trustgraph.lab.world import World
from trustgraph.model import Identity, Result, to_rfc3339


def native_lines(
    world: World, observer: int, messages: Iterable[Message], fingerprints: Mapping[int, str]
) -> Iterator[str]:
    """A line for the OpenPGP signature of each message, where it has one, and a line for its DKIM signature."""
    for message in messages:
        if message.openpgp is not None:
            yield _line(world, observer, message, Identity.openpgp(fingerprints[message.sender]), message.openpgp)
        yield _line(world, observer, message, Identity.dkim(world.hosts[message.sender].dkim_domain), message.dkim)


def _line(world: World, observer: int, message: Message, identity: Identity, result: Result) -> str:
    host = world.hosts[message.sender]
    facts = {
        "at": to_rfc3339(message.at),
        "observer": world.hosts[observer].name,
        "identity": identity,
        "result": result,
        "outcome": message.outcome,
        "message_id": message.message_id(host),
        "host": host.client_name,
        "client_ip": host.address,
    }
    return json.dumps(facts, separators=(",", ":"))
