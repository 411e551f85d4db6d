"""Owner approval in the store: the newest word counts, no copy undoes it by leaving it out, and scoring follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest

from tests.unit.store.test_certificates import NOW, VOUCH, A, B, add, key
from trustgraph.model import Certification, Endorsement, HostKey, UnixSeconds
from trustgraph.scoring.explanation import reason_discarded
from trustgraph.store import Store
from trustgraph.store.arrays import read_snapshot
from trustgraph.store.certificates import certifications_on, scopes_in_use
from trustgraph.store.facts import read_facts
from trustgraph.store.record import read_record
from trustgraph.store.tables import add_endorsements, read_endorsements

C = key("c", "mx.cedar.example")
OTHER = Certification(C.fingerprint, B.fingerprint, "smtp://mx.birch.example", UnixSeconds(500))


def said(at: int | None) -> HostKey:
    """B, whose owner says at this time of which certifications he approves."""
    [user_id] = B.user_ids
    return replace(B, user_ids=(replace(user_id, approvals_at=None if at is None else UnixSeconds(at)),))


def copy(at: int | None, *approved: Certification, others: Sequence[Certification] = ()) -> object:
    since = None if at is None else UnixSeconds(at)
    return said(at), [*(replace(one, approved_at=since) for one in approved), *others]


def counting(store: Store, *, require_approval: bool = False) -> set[str]:
    """Who endorses, by each way of reading, which have to agree."""
    scopes, _ = scopes_in_use(store, "smtp", require_approval=require_approval)
    snapshot = read_snapshot(store, NOW, scopes, delegation=True)
    names = {str(snapshot.identity_name[one])[8:9] for one in snapshot.certification_endorser}
    facts, _ = read_facts(store, scopes)
    again = facts.snapshot_at(NOW)
    assert {str(again.identity_name[one])[8:9] for one in again.certification_endorser} == names
    record = read_record(store, scopes, NOW, NOW)
    assert len(record.snapshot_at(NOW).certification_endorser) == len(snapshot.certification_endorser)
    assert {endorser[8:9] for endorser, *_ in read_endorsements(store, scopes)} == names
    return names


@pytest.fixture
def known(store: Store) -> Store:
    add(store, (A, []), (C, []))
    return store


def test_where_the_owner_speaks_only_what_he_approves_of_counts(known: Store) -> None:
    add(known, (B, [VOUCH, OTHER]))
    assert (counting(known), counting(known, require_approval=True)) == ({"a", "c"}, set())
    add(known, copy(600, VOUCH, others=[OTHER]))  # type: ignore[arg-type]
    assert (counting(known), counting(known, require_approval=True)) == ({"a"}, {"a"})


def test_any_order_of_copies_comes_to_the_newest_word(known: Store) -> None:
    copies = [copy(None, others=[VOUCH, OTHER]), copy(600, VOUCH, OTHER), copy(700, OTHER, others=[VOUCH])]
    for order in permutations(copies):
        with known.writing() as connection:
            connection.exec_driver_sql("DELETE FROM certification")
            connection.exec_driver_sql("DELETE FROM user_id")
        for one in order:
            add(known, one)  # type: ignore[arg-type]
        assert counting(known) == {"c"}


def test_a_copy_without_the_owners_word_undoes_nothing(known: Store) -> None:
    add(known, copy(600, VOUCH))  # type: ignore[arg-type]
    add(known, (B, [VOUCH, OTHER]))
    assert counting(known) == {"a"}
    add(known, copy(700))  # type: ignore[arg-type]
    assert counting(known) == set()


def test_the_operators_word_needs_no_approval(known: Store) -> None:
    add(known, copy(600))  # type: ignore[arg-type]
    add_endorsements(known, [Endorsement(A.identity, B.identity, UnixSeconds(500))], 1)
    assert counting(known, require_approval=True) == {"a"}
    assert [one.approved for one in certifications_on(known, B.identity, NOW)] == [True]


def test_an_unapproved_renewal_does_not_supersede(known: Store) -> None:
    renewal = replace(VOUCH, made_at=UnixSeconds(800))
    add(known, copy(600, VOUCH, others=[renewal]))  # type: ignore[arg-type]
    found = {one.made_at: (one.superseded, one.approved) for one in certifications_on(known, B.identity, NOW)}
    assert found == {800: (False, False), 500: (False, True)}
    assert counting(known) == {"a"}
    add(known, copy(900, VOUCH, renewal))  # type: ignore[arg-type]
    found = {one.made_at: (one.superseded, one.approved) for one in certifications_on(known, B.identity, NOW)}
    assert found == {800: (False, True), 500: (True, True)}


def test_where_the_owner_says_nothing_it_is_said(known: Store) -> None:
    add(known, (B, [VOUCH]))
    assert [one.approved for one in certifications_on(known, B.identity, NOW)] == [None]


def test_the_reason_is_named() -> None:
    given = {"made_at": 5, "expires_at": None, "revoked_at": None, "weak": False, "superseded": False}
    assert reason_discarded(**given, now=NOW, approved=False) == "the owner has not approved it"  # type: ignore[arg-type]
    assert reason_discarded(**given, now=NOW) == ""  # type: ignore[arg-type]


def test_delegation_follows(known: Store) -> None:
    """A trust signature counts in the algorithm that delegates only if the owner approves of it."""
    deep = replace(VOUCH, depth=2)
    add(known, (B, [deep]))
    told = read_snapshot(known, NOW, scopes_in_use(known, "smtp")[0], delegation=True).delegation
    assert told is not None
    assert len(told.subject) == 1
    add(known, copy(600, others=[deep]))  # type: ignore[arg-type]
    told = read_snapshot(known, NOW, scopes_in_use(known, "smtp")[0], delegation=True).delegation
    assert told is not None
    assert len(told.subject) == 0
    renewal = replace(deep, made_at=UnixSeconds(650))
    add(known, copy(700, deep, others=[renewal]))  # type: ignore[arg-type]
    scopes = scopes_in_use(known, "smtp", require_approval=True)[0]
    told = read_snapshot(known, NOW, scopes, delegation=True).delegation
    assert told is not None
    assert (len(told.subject), len(told.user_id_text)) == (1, 3)
