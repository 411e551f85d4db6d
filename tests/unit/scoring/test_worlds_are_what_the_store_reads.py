"""The snapshots of these tests are those of the store: the same world, written to a database and read back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import NOW, Cert, World, checked, key, member, snapshot_of, worlds
from trustgraph.store import Store, schema
from trustgraph.store.arrays import read_snapshot
from trustgraph.store.engine import open_store

_TABLES = (schema.certification, schema.daily_count, schema.host_key, schema.identity)
_SMTP = 1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'trustgraph.db'}", create=True)
    yield opened
    opened.close()


def write(store: Store, world: World) -> None:
    """Rows as ingesting makes them; future mail is none of ingesting's."""
    numbers = world.numbers or range(1, len(world.members) + 1)
    number = {m.name: n for n, m in zip(numbers, world.members, strict=True)}
    rows: list[tuple[sa.Table, dict[str, object]]] = [
        (schema.identity, {"id": number[m.name], "name": str(m.name), "host": m.host, "operator": m.operator})
        for m in world.members
    ]
    for m in world.members:
        if m.key:
            hard = m.key.revoked_at == 0
            times: dict[str, object] = {
                "created_at": m.key.created_at,
                "expires_at": m.key.expires_at,
                "self_signed_at": 0,
            }
            revoked: dict[str, object] = {"revoked_at": NOW - 1 if hard else m.key.revoked_at, "hard_revoked": hard}
            row: dict[str, object] = {"identity_id": number[m.name], "key_id": "0" * 16, "key_packet": b""}
            rows.append((schema.host_key, row | times | revoked))
    for c in world.certs:
        who: dict[str, object] = {
            "subject_id": number[c.subject],
            "endorser_id": number[c.endorser],
            "user_id_id": c.user_id,
        }
        when: dict[str, object] = {
            "made_at": c.made_at,
            "expires_at": c.expires_at,
            "revoked_at": c.revoked_at,
            "weak": c.weak,
        }
        kind: dict[str, object] = {"scope": _SMTP, "type": 0x10, "depth": 0, "amount": 120, "source_id": 1}
        rows.append((schema.certification, who | when | kind))
    for k in world.counts:
        cell: dict[str, object] = {"identity_id": number[k.subject], "observer_id": number[k.observer], "day": k.day}
        # Bad is spam and malware together.
        amounts = {"good": k.good, "spam": k.bad - k.bad // 2, "malware": k.bad // 2, "unknown": k.unknown}
        rows.append((schema.daily_count, cell | amounts | {"unauthenticated": 9}))
    with store.writing() as connection:
        for table in _TABLES:
            connection.execute(sa.delete(table))
        for table, row in rows:
            connection.execute(sa.insert(table), row)


@checked(25)
@given(world=worlds(), data=st.data())
def test_the_store_reads_the_same_snapshot(store: Store, world: World, data: st.DataObject) -> None:
    numbers = data.draw(st.permutations(range(5, 5 + len(world.members))))
    met_in_any_order = World(world.members, world.certs, world.counts, world.anchors, tuple(numbers))
    write(store, met_in_any_order)
    read, made = read_snapshot(store, NOW, [_SMTP]), snapshot_of(met_in_any_order)
    for column in fields(read):
        np.testing.assert_array_equal(getattr(read, column.name), getattr(made, column.name), err_msg=column.name)


def test_only_the_scopes_asked_for_are_read(store: Store) -> None:
    write(store, World((member(0), member(1)), (Cert(key(0), key(1)),)))
    assert read_snapshot(store, NOW, [0, 2]).endorsement_count == 0
    assert read_snapshot(store, NOW, [0, 1]).endorsement_count == 1
