"""Votes move the counts of their observation's day and nothing else; taken back or repeated they leave no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st

from trustgraph import store as store_module
from trustgraph.feedback.joining import Key
from trustgraph.feedback.votes import Source, Vote
from trustgraph.model import Day, Identity, Observation, Outcome, Result, UnixSeconds
from trustgraph.store import Store, open_store, upgrade
from trustgraph.store.changes import Change
from trustgraph.store.feedback import (
    MOST_ROWS,
    Delivery,
    cast_votes,
    piece_digest,
    pieces_read,
    record_deliveries,
    record_pieces,
    rows_of,
)
from trustgraph.store.observations import ObservationWriter, message_digest, prune

DAY = 20_000
NOON = UnixSeconds(DAY * 86_400 + 43_200)
OBSERVER = "mx1.example.org"
PEER = Identity.dkim("example.com")
SEEN = Observation(NOON, OBSERVER, PEER, Result.PASS, Outcome.GOOD, "<a@example.com>")
FOREVER = 1 << 62

Rows = Callable[[str], int]


def spam(voter: int = 1, at: int = NOON, outcome: Outcome = Outcome.SPAM) -> Vote:
    return Vote(Source.USER, voter, outcome, UnixSeconds(at))


def cast(store: Store, keys: list[Key], *votes: Vote) -> bool:
    with store.writing() as connection:
        return cast_votes(connection, keys, votes)


def keys_of(store: Store, *names: str) -> list[Key]:
    with store.reading() as connection:
        return [one.key for one in rows_of(connection, names, 0, FOREVER).seen]


def daily(store: Store) -> list[tuple[int, ...]]:
    query = "SELECT day, good, spam, malware, unknown, unauthenticated FROM daily_count ORDER BY identity_id, day"
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def outcomes(store: Store) -> list[int]:
    with store.reading() as connection:
        return list(connection.execute(sa.text("SELECT outcome FROM observation ORDER BY observed_at")).scalars())


def mail_changes(store: Store) -> int:
    with store.reading() as connection:
        query = sa.text(f"SELECT count(*) FROM change WHERE kind = {int(Change.MAIL)}")
        return int(connection.execute(query).scalar_one())


@pytest.fixture
def seen(store: Store) -> Store:
    ObservationWriter(store).add([SEEN, SEEN._replace(message="<b@example.com>")])
    return store


def test_a_vote_moves_one_count_of_its_day_and_says_so(seen: Store) -> None:
    before = mail_changes(seen)
    assert cast(seen, keys_of(seen, "<a@example.com>"), spam())
    assert daily(seen) == [(DAY, 1, 1, 0, 0, 0)]
    assert sorted(outcomes(seen)) == [0, 1]
    assert mail_changes(seen) == before + 1


def test_the_same_vote_again_changes_nothing(seen: Store, count: Rows) -> None:
    keys = keys_of(seen, "<a@example.com>")
    cast(seen, keys, spam())
    before = mail_changes(seen), daily(seen), count("vote")
    assert not cast(seen, keys, spam())
    assert not cast(seen, keys, spam(at=NOON + 9))
    assert (mail_changes(seen), daily(seen), count("vote")) == before


def test_a_vote_taken_back_restores_what_was_ingested(seen: Store) -> None:
    keys = keys_of(seen, "<a@example.com>")
    cast(seen, keys, spam())
    cast(seen, keys, spam(2, outcome=Outcome.MALWARE))
    assert cast(seen, keys, *(spam(voter, NOON + 1, Outcome.UNKNOWN) for voter in (1, 2)))
    assert daily(seen) == [(DAY, 2, 0, 0, 0, 0)]
    assert not cast(seen, keys, spam())  # an older word of a voter who took it back


def test_a_later_day_is_not_touched(seen: Store) -> None:
    ObservationWriter(seen).add([SEEN._replace(observed_at=UnixSeconds(NOON + 86_400), message="<c@example.com>")])
    cast(seen, keys_of(seen, "<a@example.com>"), spam(at=NOON + 86_400))
    assert daily(seen) == [(DAY, 1, 1, 0, 0, 0), (DAY + 1, 1, 0, 0, 0, 0)]


def test_what_did_not_pass_is_not_moved(store: Store, count: Rows) -> None:
    ObservationWriter(store).add([SEEN._replace(result=result, message="<x>") for result in Result if result != "pass"])
    assert not cast(store, keys_of(store, "<x>"), spam())
    assert daily(store) == [(DAY, 0, 0, 0, 0, 1)]
    assert count("vote") == 0


def test_what_is_not_there_is_passed_over(seen: Store, count: Rows) -> None:
    ((at, message, observer, identity), *_) = keys_of(seen, "<a@example.com>")
    assert not cast(seen, [(at + 1, message, observer, identity)], spam())
    assert count("vote") == 0


def test_the_log_again_does_not_undo_a_vote(seen: Store) -> None:
    cast(seen, keys_of(seen, "<a@example.com>"), spam())
    assert ObservationWriter(seen).add([SEEN]).known == 1
    assert daily(seen) == [(DAY, 1, 1, 0, 0, 0)]


def test_several_identities_of_one_message_move_together(store: Store) -> None:
    ObservationWriter(store).add([SEEN, SEEN._replace(identity=Identity.spf("example.com"))])
    assert cast(store, keys_of(store, "<a@example.com>"), spam())
    assert daily(store) == [(DAY, 0, 1, 0, 0, 0)] * 2


def test_pruned_with_the_observation_the_count_stays_moved(seen: Store, count: Rows) -> None:
    cast(seen, keys_of(seen, "<a@example.com>"), spam())
    record_deliveries(seen, [Delivery(NOON, "<a@example.com>", OBSERVER, PEER, 5, (7,))], [])
    with seen.writing() as connection:
        record_pieces(connection, [1], NOON)
        record_pieces(connection, [2], UnixSeconds(NOON + 86_400))
    tables = ("vote", "delivery", "observation", "message_seen")
    assert [count(table) for table in tables] == [2, 1, 2, 2]
    prune(seen, Day(DAY + 1))
    assert [count(table) for table in tables] == [0, 0, 0, 0]
    assert daily(seen) == [(DAY, 1, 1, 0, 0, 0)]
    assert pieces_read(seen, [1, 2, 3]) == {2}


def test_deliveries_are_kept_once_and_only_of_observations_that_are_kept(seen: Store, count: Rows) -> None:
    delivery = Delivery(NOON, "<a@example.com>", OBSERVER, PEER, 5, (7, -8))
    gone = delivery._replace(observed_at=UnixSeconds(NOON - 1))
    for _ in range(2):
        record_deliveries(seen, [delivery, delivery, gone], [])
    assert count("delivery") == 2
    with seen.reading() as connection:
        rows = rows_of(connection, ["<a@example.com>"], NOON, NOON).delivered
        assert {(one.identity, one.signature, one.recipient) for one in rows} == {(PEER, 5, 7), (PEER, 5, -8)}
        assert rows_of(connection, ["<a@example.com>"], NOON + 1, FOREVER) == ([], [], False)


def test_a_trap_votes_when_its_mail_arrives(seen: Store) -> None:
    delivery = Delivery(NOON, "<a@example.com>", OBSERVER, PEER, 5, ())
    for _ in range(2):
        record_deliveries(seen, [], [(delivery, Vote(Source.TRAP, 3, Outcome.SPAM, NOON))])
    assert daily(seen) == [(DAY, 1, 1, 0, 0, 0)]


def test_more_of_one_name_than_is_read_is_said(store: Store) -> None:
    batch = [SEEN._replace(observed_at=UnixSeconds(NOON + second)) for second in range(MOST_ROWS + 1)]
    ObservationWriter(store).add(batch)
    with store.reading() as connection:
        assert rows_of(connection, ["<a@example.com>"], 0, FOREVER).too_many
        assert not rows_of(connection, ["<a@example.com>"], NOON, NOON + 60).too_many


def test_a_vote_that_fails_leaves_nothing_behind(seen: Store, count: Rows) -> None:
    keys = keys_of(seen, "<a@example.com>")

    def fail() -> None:
        with seen.writing() as connection:
            cast_votes(connection, keys, [spam()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert daily(seen) == [(DAY, 2, 0, 0, 0, 0)]
    assert count("vote") == 0


def test_observations_from_before_are_found(url: str) -> None:
    """A database of the version before gets the places of its messages."""
    config = Config()
    config.set_main_option("script_location", str(Path(store_module.__file__).parent / "migrations"))
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.execute(
            sa.text("INSERT INTO identity (id, name) VALUES (1, 'dkim:a.example'), (2, 'helo:mx.example')")
        )
        digest = message_digest("<a@example.com>")
        for identity in (1, 2):
            connection.execute(sa.text(f"INSERT INTO observation VALUES ({NOON}, {digest}, 2, {identity}, 1, 0)"))
    engine.dispose()
    upgrade(url)
    store = open_store(url)
    assert len(keys_of(store, "<a@example.com>")) == 2
    store.close()


def test_pieces_are_told_apart_by_all_their_parts() -> None:
    assert piece_digest("a", "bc") != piece_digest("ab", "c")
    assert piece_digest("a\udcff") != piece_digest("a")


VOTES = st.lists(
    st.tuples(
        st.sampled_from(["<a@example.com>", "<b@example.com>"]),
        st.builds(
            Vote,
            st.sampled_from([Source.CLASSIFIER, Source.USER, Source.TRAP]),
            st.integers(0, 2),
            st.sampled_from(Outcome),
            st.integers(0, 3).map(UnixSeconds),
        ),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('votes') / 'v.db'}", create=True)
    yield opened
    opened.close()


@given(votes=VOTES, chance=st.randoms(use_true_random=False))
def test_order_and_repetition_change_no_count_and_no_mail_is_lost(
    plain: Store, votes: list[tuple[str, Vote]], chance: object
) -> None:
    def counts_after(given_votes: list[tuple[str, Vote]]) -> list[tuple[int, ...]]:
        with plain.writing() as connection:
            for table in ("vote", "observation", "daily_count", "message_seen"):
                connection.execute(sa.text(f"DELETE FROM {table}"))
        ObservationWriter(plain).add([SEEN, SEEN._replace(message="<b@example.com>", outcome=Outcome.UNKNOWN)])
        for name, vote in given_votes:
            cast(plain, keys_of(plain, name), vote)
        return daily(plain)

    again = [*votes, *votes[: len(votes) // 2]]
    chance.shuffle(again)  # type: ignore[attr-defined]
    (row,) = counts_after(votes)
    assert counts_after(again) == [row]
    assert sum(row[1:]) == 2
    assert min(row) >= 0


def test_two_at_once_lose_no_vote(url: str, seen: Store) -> None:
    """Each voter in a transaction of his own, begun before the other's is over."""
    keys = keys_of(seen, "<a@example.com>")

    def vote(voter: int) -> None:
        own = open_store(url)
        cast(own, keys, spam(voter, outcome=Outcome.GOOD if voter % 2 else Outcome.SPAM))
        own.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(vote, range(12)))
    assert daily(seen) == [(DAY, 1, 1, 0, 0, 0)]
    with seen.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM vote")).scalar_one() == 13
