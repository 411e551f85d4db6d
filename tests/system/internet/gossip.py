"""What the keyservers have, asked directly, and whether they agree on it."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence

from tests.sks import SksNode
from tests.system.gate_lab import wait_for
from trustgraph.openpgp.transferable import find_certificate, statements

#: Gossip takes 3 to 16 seconds on an idle machine.
GOSSIP_SECONDS = 100.0


def wait_for_agreement(nodes: Sequence[SksNode], fingerprints: Iterable[str]) -> float:
    """Wait until every node says the same of each key, and has it; how many seconds that took."""
    began = time.monotonic()
    left = list(fingerprints)

    def agree() -> bool:
        while left:
            answers = {statements_at(node, left[-1]) for node in nodes}
            if len(answers) > 1 or not min(answers, key=len):
                return False
            left.pop()
        return True

    wait_for(agree, "the keyservers should tell each other", GOSSIP_SECONDS)
    return time.monotonic() - began


def statements_at(node: SksNode, fingerprint: str) -> frozenset[object]:
    """All signatures and what they are over that a node has of a key; empty if it does not have the key."""
    address = f"http://{node.address}:{node.port}/pks/lookup?op=get&options=mr&search=0x{fingerprint}"
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            found = find_certificate(answer.read(), fingerprint)
    except urllib.error.HTTPError as error:
        error.close()
        return frozenset()
    return frozenset(statements(found)) if found is not None else frozenset()
