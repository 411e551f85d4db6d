"""The stash in the store, in the plain and under seal, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event, Thread

import pytest
import sqlalchemy as sa

from trustgraph.errors import BadInput
from trustgraph.mailinglist.box import Box
from trustgraph.mailinglist.model import KeyState, MailingList, Rules, StashKey, Subscriber
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.box import PlainBox, SealedBox
from trustgraph.store import Store, schema
from trustgraph.store.list_keys import (
    add_subscriber,
    change_subscriber,
    count_provisional,
    holders,
    keys_named,
    read_subscriber,
    remove_subscriber,
    subscribers,
)
from trustgraph.store.list_records import Keep
from trustgraph.store.lists import create_list, delete_list

NOW = UnixSeconds(1_788_220_800)
ONE, TWO, SUB = "11" * 20, "22" * 20, "33" * 20
ANNA = Subscriber(0, "anna@example.org", ("anna@work.example", "änna@example.org"), (), NOW)
BERT = Subscriber(0, "bert@example.net", (), (), NOW)


def new_list(store: Store, name: str) -> int:
    return create_list(store, MailingList(0, f"{name}@lists.example", f"{name}.x", Rules(), "", (), NOW)).number


@pytest.fixture(params=["plain", "sealed"])
def keep(request: pytest.FixtureRequest, store: Store) -> Keep:
    box: Box = PlainBox() if request.param == "plain" else SealedBox(bytes(32))
    return Keep(store, box, new_list(store, "birds"))


def key(fingerprint: str = ONE, **changes: object) -> StashKey:
    made = StashKey(
        number=0,
        fingerprint=fingerprint,
        certificate=b"\x00certificate of " + fingerprint.encode(),
        state=KeyState.RETIRING,
        deposited_at=NOW,
        good_from=UnixSeconds(NOW + 1),
        good_until=UnixSeconds(NOW + 2),
        token_nonce="ab" * 32,
        token_until=UnixSeconds(NOW + 3),
        approved=True,
        note="lost with the laptop",
        reminded_of=UnixSeconds(NOW + 4),
        proved=True,
        additional=True,
        names=(fingerprint, fingerprint[-16:], SUB, SUB[-16:]),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def with_keys(*keys: StashKey) -> Callable[[Subscriber], Subscriber]:
    return lambda known: replace(known, keys=keys)


def test_a_subscriber_comes_back_as_he_was_by_each_address(keep: Keep) -> None:
    added = add_subscriber(keep, replace(ANNA, keys=(key(), key(TWO, good_until=None, token_until=None))))
    assert all(one.number for one in added.keys)
    assert replace(added, number=0, keys=()) == ANNA
    for address in (ANNA.address, *ANNA.aliases):
        assert read_subscriber(keep, address) == added
    assert read_subscriber(keep, BERT.address) is None
    assert subscribers(keep) == [added]


@pytest.mark.parametrize("state", list(KeyState))
def test_every_state_is_told_from_the_others(keep: Keep, state: KeyState) -> None:
    added = add_subscriber(keep, replace(ANNA, keys=(key(state=state),)))
    assert subscribers(keep) == [added]
    assert added.keys[0].state is state


@pytest.mark.parametrize("address", [ANNA.address, ANNA.aliases[0]])
def test_an_address_is_one_subscribers(keep: Keep, address: str) -> None:
    added = add_subscriber(keep, ANNA)
    with pytest.raises(BadInput, match="already"):
        add_subscriber(keep, replace(BERT, address=address))
    with pytest.raises(BadInput, match="already"):
        add_subscriber(keep, replace(BERT, aliases=(address,)))
    add_subscriber(keep, BERT)
    with pytest.raises(BadInput, match="another subscriber's"):
        change_subscriber(keep, BERT.address, lambda known: replace(known, aliases=(address,)))
    assert read_subscriber(keep, address) == added


def test_lists_know_nothing_of_each_other(keep: Keep) -> None:
    other = keep._replace(list_number=new_list(keep.store, "bees"))
    added = add_subscriber(keep, replace(ANNA, keys=(key(),)))
    assert (subscribers(other), holders(other, ONE), keys_named(other, ONE)) == ([], [], [])
    there = add_subscriber(other, replace(ANNA, keys=(key(),)))
    remove_subscriber(other, ANNA.address)
    assert subscribers(keep) == [added]
    assert there.number != added.number


def test_what_is_changed_is_kept_and_nothing_else(keep: Keep) -> None:
    add_subscriber(keep, BERT)
    anna = add_subscriber(keep, replace(ANNA, keys=(key(), key(TWO))))
    one, two = anna.keys
    revoked = replace(one, state=KeyState.REVOKED, note="stolen", names=(ONE,))
    changed = change_subscriber(keep, ANNA.aliases[0], with_keys(revoked, two, key("44" * 20, names=())))
    assert changed.keys[:2] == (revoked, two)
    assert read_subscriber(keep, ANNA.address) == changed
    without = change_subscriber(keep, ANNA.address, lambda known: replace(known, keys=(two,), aliases=()))
    assert without.keys == (two,)
    assert read_subscriber(keep, ANNA.address) == without
    assert read_subscriber(keep, ANNA.aliases[0]) is None


def test_what_fails_changes_nothing(keep: Keep) -> None:
    added = add_subscriber(keep, ANNA)

    def fails(known: Subscriber) -> Subscriber:
        raise BadInput("no")

    with pytest.raises(BadInput, match="no"):
        change_subscriber(keep, ANNA.address, fails)
    with pytest.raises(BadInput, match="no subscriber's address"):
        change_subscriber(keep, BERT.address, lambda known: known)
    assert subscribers(keep) == [added]


def test_a_key_is_found_by_all_that_a_signature_may_name_it_by(keep: Keep) -> None:
    (kept,) = add_subscriber(keep, replace(ANNA, keys=(key(),))).keys
    for name in (ONE, ONE[-16:], SUB, SUB[-16:]):
        assert keys_named(keep, name) == [kept]
    assert keys_named(keep, TWO) == keys_named(keep, "") == []
    change_subscriber(keep, ANNA.address, with_keys(replace(kept, names=(ONE,))))
    assert keys_named(keep, SUB) == []


def test_who_holds_a_key_by_its_primary_fingerprint(keep: Keep) -> None:
    anna, bert = add_subscriber(keep, replace(ANNA, keys=(key(),))), add_subscriber(keep, replace(BERT, keys=(key(),)))
    assert holders(keep, ONE) == [anna, bert]
    assert holders(keep, SUB) == []
    assert [one.fingerprint for one in keys_named(keep, ONE)] == [ONE, ONE]


def test_a_provisional_subscriber_is_hidden_from_who_does_not_ask(keep: Keep) -> None:
    added = add_subscriber(keep, replace(ANNA, keys=(key(),), provisional=True))
    assert (holders(keep, ONE), keys_named(keep, ONE), count_provisional(keep)) == ([], [], 1)
    assert holders(keep, ONE, provisional=True) == [added]
    assert keys_named(keep, ONE, provisional=True) == list(added.keys)
    change_subscriber(keep, ANNA.address, lambda known: replace(known, provisional=False))
    assert (len(holders(keep, ONE)), count_provisional(keep)) == (1, 0)
    with pytest.raises(BadInput, match="is a subscriber's"):
        remove_subscriber(keep, ANNA.address, only_provisional=True)
    assert len(subscribers(keep)) == 1


def test_removing_leaves_no_row_behind(keep: Keep, count: Callable[[str], int]) -> None:
    anna = add_subscriber(keep, replace(ANNA, keys=(key(), key(TWO))))
    assert remove_subscriber(keep, ANNA.aliases[1]) == anna
    for table in ("list_subscriber", "list_address", "list_key", "list_key_name"):
        assert count(table) == 0


def test_deleting_the_list_takes_all_along(keep: Keep, count: Callable[[str], int]) -> None:
    add_subscriber(keep, replace(ANNA, keys=(key(), key(TWO))))
    delete_list(keep.store, keep.list_number)
    for table in ("mailing_list", "list_subscriber", "list_address", "list_key", "list_key_name"):
        assert count(table) == 0


def test_changes_of_one_subscriber_take_turns(keep: Keep) -> None:
    """Two that read the same state and write it back would lose one of the keys."""
    add_subscriber(keep, ANNA)
    other_decides = Event()
    others: list[Thread] = []

    def add_second(known: Subscriber) -> Subscriber:
        other_decides.set()
        return replace(known, keys=(*known.keys, key(TWO)))

    def add_first(known: Subscriber) -> Subscriber:
        others.append(Thread(target=change_subscriber, args=(keep, ANNA.address, add_second)))
        others[0].start()
        assert not other_decides.wait(1)  # it must not before this one is done, however long that takes
        return replace(known, keys=(*known.keys, key(ONE)))

    change_subscriber(keep, ANNA.address, add_first)
    others[0].join(60)
    found = read_subscriber(keep, ANNA.address)
    assert found is not None
    assert [one.fingerprint for one in found.keys] == [ONE, TWO]


def test_a_record_put_in_the_place_of_another_does_not_open(store: Store) -> None:
    keep = Keep(store, SealedBox(bytes(32)), new_list(store, "birds"))
    anna, bert = add_subscriber(keep, replace(ANNA, keys=(key(),))), add_subscriber(keep, replace(BERT, keys=(key(),)))
    c = schema.list_key.c
    with store.writing() as connection:
        theirs = sa.select(c.sealed).where(c.subscriber_id == bert.number).scalar_subquery()
        connection.execute(sa.update(schema.list_key).where(c.subscriber_id == anna.number).values(sealed=theirs))
    with pytest.raises(BadInput, match="does not open"):
        read_subscriber(keep, ANNA.address)
    assert read_subscriber(keep, BERT.address) == bert


def test_with_another_key_nothing_is_found_or_opened(store: Store) -> None:
    keep = Keep(store, SealedBox(bytes(32)), new_list(store, "birds"))
    add_subscriber(keep, replace(ANNA, keys=(key(),)))
    other = keep._replace(box=SealedBox(b"\x01" * 32))
    assert (read_subscriber(other, ANNA.address), keys_named(other, ONE)) == (None, [])
    with pytest.raises(BadInput, match="does not open"):
        subscribers(other)


def test_under_seal_no_column_tells_what_is_in_it(store: Store) -> None:
    keep = Keep(store, SealedBox(bytes(32)), new_list(store, "birds"))
    add_subscriber(keep, replace(ANNA, keys=(key(),)))
    dump = b""
    with store.reading() as connection:
        for table in (schema.list_subscriber, schema.list_address, schema.list_key, schema.list_key_name):
            for row in connection.execute(sa.select(table)):
                dump += b"|".join(one if isinstance(one, bytes) else str(one).encode() for one in map(_octets, row))
    secrets = [ANNA.address, *ANNA.aliases, ONE, ONE[-16:], SUB, "certificate of", "laptop", "example"]
    secrets_octets = [one.encode() for one in secrets] + [bytes.fromhex(ONE), bytes.fromhex(SUB)]
    assert [one for one in secrets_octets if one.lower() in dump.lower()] == []
    assert len(dump) > 500


def _octets(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value
