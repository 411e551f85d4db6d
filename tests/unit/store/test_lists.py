"""Mailing lists in the store, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from trustgraph.errors import BadInput
from trustgraph.mailinglist.model import Action, MailingList, Rules
from trustgraph.model import UnixSeconds
from trustgraph.store import Store, schema
from trustgraph.store.lists import all_lists, change_list, count_contents, create_list, delete_list, read_list

NOW = UnixSeconds(1_788_220_800)
BIRDS = MailingList(
    0,
    "birds@lists.example",
    "birds.lists.example",
    Rules(on_unsigned=Action.HOLD, on_unbound=Action.TAG, window_seconds=3_600, open=True),
    "lmtp://127.0.0.1:8024",
    ("owner@lists.example", "ölaf@lists.example"),
    NOW,
    "/etc/trustgraph/lists/birds.pgp",
    b"\x00sealed\xff",
)


def test_a_list_comes_back_as_it_was(store: Store) -> None:
    made = create_list(store, BIRDS)
    assert made == replace(BIRDS, number=made.number)
    assert read_list(store, BIRDS.address) == made
    assert read_list(store, "bees@lists.example") is None


def test_an_address_is_one_lists(store: Store) -> None:
    create_list(store, BIRDS)
    with pytest.raises(BadInput, match="there is a list with this address"):
        create_list(store, replace(BIRDS, list_id="other.lists.example"))
    assert len(all_lists(store)) == 1


def test_all_of_them_by_address(store: Store) -> None:
    for name in ("owls", "bees"):
        create_list(store, replace(BIRDS, address=f"{name}@lists.example"))
    assert [one.address for one in all_lists(store)] == ["bees@lists.example", "owls@lists.example"]


def test_a_change_is_kept_and_one_that_fails_is_not(store: Store) -> None:
    made = create_list(store, BIRDS)
    changed = change_list(store, BIRDS.address, lambda known: replace(known, deliver="", rules=Rules()))
    assert changed == replace(made, deliver="", rules=Rules()) == read_list(store, BIRDS.address)

    def fails(known: MailingList) -> MailingList:
        raise BadInput("no")

    with pytest.raises(BadInput, match="no"):
        change_list(store, BIRDS.address, fails)
    with pytest.raises(BadInput, match="there is no such list"):
        change_list(store, "bees@lists.example", lambda known: known)
    assert read_list(store, BIRDS.address) == changed


def test_a_rule_that_an_older_version_did_not_know_has_its_default(store: Store) -> None:
    made = create_list(store, BIRDS)
    with store.writing() as connection:
        connection.execute(sa.update(schema.mailing_list).values(rules='{"on_unsigned":"tag","unheard_of":1}'))
    found = read_list(store, made.address)
    assert found is not None
    assert found.rules == Rules(on_unsigned=Action.TAG)


def test_deleting_one_leaves_the_others(store: Store) -> None:
    gone, kept = create_list(store, BIRDS), create_list(store, replace(BIRDS, address="bees@lists.example"))
    delete_list(store, gone.number)
    assert all_lists(store) == (kept,)
    assert count_contents(store, kept.number) == {"subscribers": 0, "keys": 0, "held": 0}
