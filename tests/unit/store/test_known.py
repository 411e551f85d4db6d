"""What the store has heard of, by what an override may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from trustgraph.model import Identity
from trustgraph.policy.overrides import parse_match
from trustgraph.store import open_store
from trustgraph.store.identities import number_identities
from trustgraph.store.known import host_of, is_known

KEY = Identity.openpgp("ab" * 20)
HOSTS = {
    KEY: "mx.peer.example",
    Identity.dkim("sender.example"): "out.provider.example",
    Identity.spf("news.paper.example"): "",
    Identity.ip("192.0.2.7"): "",
}


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (KEY, True),
        (Identity.openpgp("cd" * 20), False),
        ("mx.peer.example", True),
        ("peer.example", True),
        ("eer.example", False),
        ("sender.example", True),
        ("ender.example", False),
        ("provider.example", True),
        ("paper.example", True),
        ("p_per.example", False),  # no wildcard
        ("dkim:sender.example", True),
        ("dkim:example", False),
        ("ip:192.0.2.7", True),
        ("ip:192.0.2.8", False),
        ("ip:192.0.2.0/24", None),
    ],
)
def test_what_is_known(tmp_path: Path, match: str, expected: bool | None) -> None:
    store = open_store(f"sqlite:///{tmp_path}/trustgraph.db", create=True)
    with store.writing() as connection:
        number_identities(connection, HOSTS)
    assert is_known(store, parse_match(match)) is expected
    assert host_of(store, KEY) == "mx.peer.example"
    assert host_of(store, Identity.dkim("nobody.example")) == ""
    store.close()
