"""What was let in stays known, and of two at once one is told of the other; what is held, is held once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from trustgraph.errors import BadInput
from trustgraph.mailinglist.box import Box
from trustgraph.mailinglist.model import MailingList, Rules, Seen
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.box import PlainBox, SealedBox
from trustgraph.store import Store, list_held
from trustgraph.store.list_held import HeldPost, held, hold, read_held, remove_held
from trustgraph.store.list_posts import forget, remember, settle, where_seen
from trustgraph.store.list_records import Keep
from trustgraph.store.list_told import may_say, take_back
from trustgraph.store.lists import create_list

NOW, DAY = UnixSeconds(1_788_220_800), 86_400
ONE, TWO = b"1" * 16, b"2" * 16
MINE, ANOTHER = b"m" * 16, b"n" * 16
LATER = UnixSeconds(NOW + DAY)
POST = HeldPost(
    *("", NOW, 0, "unknown-key", "anna@example.org", "Swifts \x1b[2J", "<1@example.org>", "a" * 40, ("b" * 40,)),
    *("anna@example.org", False),
)

Seens = Mapping[bytes, Sequence[Seen]]


def yes(_seen: Seens) -> bool:
    return True


def unless_seen(seen: Seens) -> bool:
    return not seen


def seen_in(store: Store, *digests: bytes) -> dict[bytes, list[Seen]]:
    with store.reading() as connection:
        return where_seen(connection, digests)


@pytest.fixture
def made(store: Store) -> MailingList:
    return create_list(store, MailingList(0, "birds@lists.example", "birds.lists.example", Rules(), "", (), NOW))


@pytest.fixture(params=[PlainBox(), SealedBox(os.urandom(32))], ids=["plain", "sealed"])
def keep(store: Store, made: MailingList, request: pytest.FixtureRequest) -> Keep:
    box: Box = request.param
    return Keep(store, box, made.number)


def test_what_was_let_in_is_known_on_every_list(store: Store) -> None:
    assert remember(store, 1, [(ONE, LATER), (TWO, LATER)], MINE, NOW, yes)
    assert remember(store, 2, [(ONE, LATER)], ANOTHER, NOW, yes)
    assert seen_in(store, ONE, b"3" * 16) == {ONE: [Seen(1, MINE, NOW), Seen(2, ANOTHER, NOW)]}
    assert seen_in(store) == {}


def test_a_retry_is_known_by_when_it_came_first(store: Store) -> None:
    remember(store, 1, [(ONE, LATER)], MINE, NOW, yes)
    remember(store, 1, [(ONE, LATER)], MINE, UnixSeconds(NOW + 60), yes)
    assert seen_in(store, ONE) == {ONE: [Seen(1, MINE, NOW)]}


def test_what_may_not_be_let_in_leaves_nothing(store: Store) -> None:
    told: list[Seens] = []
    remember(store, 1, [(ONE, LATER)], MINE, NOW, yes)
    assert not remember(store, 1, [(ONE, LATER), (TWO, LATER)], ANOTHER, NOW, lambda seen: bool(told.append(seen)))
    assert told == [{ONE: [Seen(1, MINE, NOW)]}]
    assert seen_in(store, TWO) == {}


def test_an_error_while_deciding_leaves_nothing(store: Store) -> None:
    def broken(_seen: Seens) -> bool:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        remember(store, 1, [(ONE, LATER)], MINE, NOW, broken)
    assert seen_in(store, ONE) == {}


@pytest.mark.parametrize("lists", [(1, 1), (1, 2)], ids=["one list", "two lists"])
def test_of_many_at_once_one_is_first(store: Store, lists: tuple[int, int]) -> None:
    """Everybody has looked before anybody writes; still only one is let in."""
    start = threading.Barrier(8)

    def deliver(number: int) -> bool:
        seen_in(store, ONE)
        start.wait()
        return remember(store, lists[number % 2], [(ONE, LATER)], number.to_bytes(16), NOW, unless_seen)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(deliver, range(8))) == 1


def test_what_is_over_is_forgotten_along_the_way(store: Store, count: Callable[[str], int]) -> None:
    for number in range(25):
        remember(store, 1, [(number.to_bytes(16), LATER)], MINE, NOW, yes)
    after = UnixSeconds(LATER + 1)
    assert remember(store, 1, [(ONE, UnixSeconds(after + DAY))], MINE, LATER, yes)
    assert count("list_seen") == 26
    for _ in range(3):
        remember(store, 1, [(ONE, UnixSeconds(after + DAY))], MINE, after, yes)
    assert count("list_seen") == 1
    assert seen_in(store, ONE)


def test_a_held_post_comes_back_as_it_was(keep: Keep) -> None:
    name, is_new = hold(keep, POST, b"From: anna\r\n\r\n\0\xff", MINE, 10)
    assert is_new
    whole = replace(POST, name=name, size=16)
    assert held(keep) == [whole]
    assert read_held(keep, name) == (whole, b"From: anna\r\n\r\n\0\xff")


def test_one_delivery_is_held_once(keep: Keep) -> None:
    first = hold(keep, POST, b"post", MINE, 10)
    assert hold(keep, POST, b"post", MINE, 10) == (first[0], False)
    assert hold(keep, POST, b"post", ANOTHER, 10)[0] != first[0]
    assert len(held(keep)) == 2


def test_no_more_are_held_than_the_list_allows(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _ = hold(keep, POST, b"post", MINE, 1)
    assert hold(keep, POST, b"post", ANOTHER, 1) == ("", False)
    assert hold(keep, POST, b"post", MINE, 1) == (name, False)
    monkeypatch.setattr(list_held, "MAX_HELD_OCTETS", 8)
    assert hold(keep, POST, b"posts", ANOTHER, 10) == ("", False)
    assert hold(keep, POST, b"post", ANOTHER, 10)[1]


def test_the_post_of_another_list_is_not_to_be_had(store: Store, keep: Keep) -> None:
    name, _ = hold(keep, POST, b"post", MINE, 10)
    other = create_list(store, MailingList(0, "mice@lists.example", "mice.lists.example", Rules(), "", (), NOW))
    theirs = keep._replace(list_number=other.number)
    assert held(theirs) == []
    assert not remove_held(theirs, name)
    with pytest.raises(BadInput, match="no post of that name"):
        read_held(theirs, name)
    assert remove_held(keep, name)
    assert not remove_held(keep, name)
    assert held(keep) == []


def test_a_damaged_record_hides_no_other(store: Store, made: MailingList) -> None:
    keep = Keep(store, SealedBox(os.urandom(32)), made.number)
    first, _ = hold(keep, POST, b"post", MINE, 10)
    second, _ = hold(keep, POST, b"post", ANOTHER, 10)
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE list_held SET sealed = :no WHERE name = :name"), {"no": b"?", "name": first})
    assert [(one.name, one.damaged) for one in held(keep)] == [(first, True), (second, False)]
    with pytest.raises(BadInput, match="does not open"):
        read_held(keep, first)
    assert remove_held(keep, first)


def test_a_sealed_record_shows_nothing_and_cannot_be_put_elsewhere(store: Store, made: MailingList) -> None:
    keep = Keep(store, SealedBox(os.urandom(32)), made.number)
    first, _ = hold(keep, POST, b"The post itself", MINE, 10)
    second, _ = hold(keep, POST, b"Another one", ANOTHER, 10)
    with store.reading() as connection:
        rows: list[Any] = list(connection.execute(sa.text("SELECT * FROM list_held")).all())
    assert b"anna" not in b"".join(value for row in rows for value in row if isinstance(value, bytes))
    assert b"post itself" not in b"".join(value for row in rows for value in row if isinstance(value, bytes))
    with store.writing() as connection:
        connection.execute(
            sa.text("UPDATE list_held SET post = (SELECT post FROM list_held WHERE name = :a) WHERE name = :b"),
            {"a": first, "b": second},
        )
    with pytest.raises(BadInput, match="does not open"):
        read_held(keep, second)


def test_nothing_is_said_more_often_than_it_may(keep: Keep, count: Callable[[str], int]) -> None:
    assert [may_say(keep, [("a", 2), ("b", 9)], NOW) for _ in range(3)] == [True, True, False]
    assert may_say(keep, [("b", 3)], NOW), "what was refused counted for nothing"
    assert not may_say(keep, [("b", 3)], NOW)
    take_back(keep, ["b"], NOW)
    assert may_say(keep, [("b", 3)], NOW)
    assert may_say(keep._replace(list_number=99), [("a", 2)], NOW), "every list counts for itself"
    assert may_say(keep, [("a", 2)], LATER), "and every day"
    assert count("list_told") == 1
    assert not may_say(keep, [("c", 0)], NOW)


def test_what_has_not_got_on_is_taken_over_and_what_has_is_not(store: Store) -> None:
    other = b"o" * 16
    remember(store, 1, [(ONE, LATER)], MINE, NOW, yes, passed=False)
    assert seen_in(store, ONE) == {ONE: [Seen(1, MINE, NOW, passed=False)]}
    remember(store, 1, [(ONE, LATER)], MINE, UnixSeconds(NOW + 5), yes)
    assert seen_in(store, ONE) == {ONE: [Seen(1, MINE, NOW, passed=False)]}, "a retry says nothing new"
    remember(store, 1, [(ONE, LATER)], other, UnixSeconds(NOW + 9), yes, passed=False)
    assert seen_in(store, ONE) == {ONE: [Seen(1, other, UnixSeconds(NOW + 9), passed=False)]}
    settle(store, 1, [ONE], MINE)
    assert seen_in(store, ONE)[ONE][0].passed is False, "it is no longer this delivery's"
    settle(store, 1, [ONE], other)
    assert seen_in(store, ONE) == {ONE: [Seen(1, other, UnixSeconds(NOW + 9))]}
    forget(store, 1, [ONE], MINE)
    assert seen_in(store, ONE) != {}
    forget(store, 1, [ONE], other)
    assert seen_in(store, ONE) == {}
