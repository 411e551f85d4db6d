"""kill -9 at every single line of recording an endorsement: record and network always say the same."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.steps import Steps
from tests.unit.store.test_own_endorsements import ACORN, NOW, OURS, certify, said
from tests.unit.verifier.children import in_child
from trustgraph.model import UnixSeconds
from trustgraph.store import Store, open_store, schema
from trustgraph.store.own_endorsements import add_revocation, statements_of

#: Where transactions begin and end, and what is done in them.
STEPS = ("store/own_", "store/engine", "store/changes")


def both(store: Store) -> tuple[list[tuple[int, int]], list[tuple[int, int | None]]]:
    """(type, made_at) on record; (made_at, revoked_at) in the network."""
    c, i = schema.certification.c, schema.identity.c
    query = sa.select(c.made_at, c.revoked_at).join_from(schema.certification, schema.identity, i.id == c.endorser_id)
    with store.reading() as connection:
        network = connection.execute(query.where(i.name == f"openpgp:{OURS}").order_by(c.made_at)).all()
    return [(s.type, s.made_at) for s in statements_of(store, ACORN)], [(made, revoked) for made, revoked in network]


def network_of(record: list[tuple[int, int]]) -> list[tuple[int, int | None]]:
    revoked = next((at for type_, at in record if type_ == 0x30), None)
    return [(at, revoked) for type_, at in record if type_ == 0x10]


@pytest.mark.parametrize(
    ("before", "work"),
    [
        (0, lambda store: certify(store, said())),
        (1, lambda store: add_revocation(store, said(1, type=0x30, made_at=UnixSeconds(NOW + 9)))),
    ],
    ids=["certification", "revocation"],
)
def test_the_record_and_the_network_agree_wherever_it_ends(
    tmp_path: Path, before: int, work: Callable[[Store], object]
) -> None:
    whole = tmp_path / "whole.db"
    store = open_store(f"sqlite:///{whole}", create=True)
    if before:
        certify(store, said())
    store.close()
    ends = set()
    kill_at, how = 0, -signal.SIGKILL
    while how == -signal.SIGKILL:
        kill_at += 1
        database = tmp_path / f"{kill_at}.db"
        shutil.copy(whole, database)
        store = open_store(f"sqlite:///{database}")  # connects when it is first used, so the child can have it
        how = in_child(lambda opened=store, at=kill_at: Steps(STEPS, at).during(lambda: work(opened)))  # type: ignore[misc]
        record, network = both(store)
        assert network == network_of(record)
        ends.add(len(record))
        store.close()
    assert how == 0
    assert ends == {before, before + 1}
    assert kill_at > 20
