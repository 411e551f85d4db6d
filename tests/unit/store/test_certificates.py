"""Certificates are merged: nothing that a later copy leaves out undoes what an earlier one showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from trustgraph.model import Certification, HostKey, Identity, UnixSeconds, UserId, UserIdScope
from trustgraph.scoring.snapshot import NEVER
from trustgraph.store import Store
from trustgraph.store.arrays import read_snapshot
from trustgraph.store.certificates import CertificateStore, certifications_on, scopes_in_use
from trustgraph.store.generations import identities_of_host
from trustgraph.store.identities import operator_of

NOW = UnixSeconds(1_000_000)


def key(letter: str, host: str, **changes: object) -> HostKey:
    user_id = UserId(f"smtp://{host}", UserIdScope.SMTP, host)
    made = HostKey(letter * 40, letter * 16, b"packet-" + letter.encode(), UnixSeconds(100), user_ids=(user_id,))
    return replace(made, **changes)  # type: ignore[arg-type]


A, B = key("a", "mx.acorn.example"), key("b", "mx.birch.example")
VOUCH = Certification(A.fingerprint, B.fingerprint, "smtp://mx.birch.example", UnixSeconds(500))


def add(store: Store, *batch: tuple[HostKey, Sequence[Certification]]) -> None:
    CertificateStore(store, "test", NOW).add_certificates(batch)


def key_times(store: Store, letter: str) -> tuple[int, int]:
    s = read_snapshot(store, NOW, {0, 1})
    i = list(s.identity_name).index("openpgp:" + letter * 40)
    j = list(s.key_identity).index(i)
    return int(s.key_expires_at[j]), int(s.key_revoked_at[j])


def live(store: Store, scopes: frozenset[int] = frozenset({0, 1}), at: int = NOW) -> list[int]:
    return [int(x) for x in read_snapshot(store, UnixSeconds(at), scopes).certification_live]


def test_what_was_put_in_comes_out(store: Store) -> None:
    add(store, (A, []), (B, [VOUCH]))
    s = read_snapshot(store, NOW, {1})
    assert list(s.identity_name) == [A.identity, B.identity]
    assert list(s.identity_host) == ["mx.acorn.example", "mx.birch.example"]
    assert list(s.identity_operator) == ["acorn.example", "birch.example"]
    assert (s.certification_endorser[0], s.certification_subject[0]) == (0, 1)
    assert set(CertificateStore(store, "x", NOW).known_keys()) == {
        (k.fingerprint, k.key_id, k.key_packet) for k in (A, B)
    }


def test_adding_twice_changes_nothing(store: Store) -> None:
    add(store, (A, []), (B, [VOUCH]))
    add(store, (A, []), (B, [VOUCH]))
    assert live(store) == [1]


def test_a_revocation_stays_when_a_later_copy_hides_it(store: Store) -> None:
    add(store, (key("a", "mx.acorn.example", revoked_at=UnixSeconds(900)), []))
    add(store, (A, []))
    assert key_times(store, "a") == (NEVER, 900)


def test_of_two_revocations_the_earlier_stands_and_hard_stays_hard(store: Store) -> None:
    add(store, (key("a", "mx.acorn.example", revoked_at=UnixSeconds(900)), []))
    add(store, (key("a", "mx.acorn.example", revoked_at=UnixSeconds(700)), []))
    assert key_times(store, "a") == (NEVER, 700)
    add(store, (key("a", "mx.acorn.example", revoked_at=UnixSeconds(950), hard_revoked=True), []))
    add(store, (A, []))
    assert key_times(store, "a") == (NEVER, 0)


@pytest.mark.parametrize(("first", "second"), [((10, 2_000), (20, 3_000)), ((20, 3_000), (10, 2_000))])
def test_the_newest_self_signature_says_when_a_key_expires(
    store: Store, first: tuple[int, int], second: tuple[int, int]
) -> None:
    for signed, expires in (first, second):
        changes = {"self_signed_at": UnixSeconds(signed), "expires_at": UnixSeconds(expires)}
        add(store, (key("a", "mx.acorn.example", **changes), []))
    assert key_times(store, "a") == (3_000, NEVER)


def test_a_user_id_revocation_stays_when_a_later_copy_leaves_it_out(store: Store) -> None:
    gone = replace(B.user_ids[0], revoked_at=UnixSeconds(700))
    for user_id in (B.user_ids[0], gone, B.user_ids[0]):
        add(store, (A, []), (replace(B, user_ids=(user_id,)), [VOUCH]))
    assert live(store) == [0]


def test_a_certification_revocation_stays_too(store: Store) -> None:
    add(store, (A, []), (B, [replace(VOUCH, revoked_at=UnixSeconds(800))]))
    add(store, (B, [VOUCH]))
    assert live(store) == [0]


def test_what_is_not_in_force_at_the_reference_time_is_not_live(store: Store) -> None:
    add(store, (A, []), (B, [replace(VOUCH, expires_at=UnixSeconds(600))]))
    assert live(store, at=400) == []
    assert live(store, at=599) == [1]
    assert live(store, at=600) == [0]


def test_weak_certifications_and_other_user_ids_are_not_read(store: Store) -> None:
    mailbox = UserId("Postmaster <p@birch.example>", UserIdScope.OTHER)
    subject = replace(B, user_ids=(*B.user_ids, mailbox))
    add(store, (A, []), (subject, [replace(VOUCH, weak=True), replace(VOUCH, user_id=mailbox.text)]))
    assert live(store) == []
    assert live(store, frozenset({1, 3})) == [1]
    found = certifications_on(store, B.identity, NOW)
    assert sorted((c.user_id, c.weak) for c in found) == [(mailbox.text, False), ("smtp://mx.birch.example", True)]


def test_a_certification_over_a_revoked_user_id_is_not_live(store: Store) -> None:
    gone = replace(B.user_ids[0], revoked_at=UnixSeconds(700))
    add(store, (A, []), (replace(B, user_ids=(gone,)), [VOUCH]))
    assert live(store, at=699) == [1]
    assert live(store, at=700) == [0]


def test_superseded_is_what_has_a_newer_one_by_the_same_endorser(store: Store) -> None:
    add(store, (A, []), (B, [VOUCH, replace(VOUCH, made_at=UnixSeconds(600))]))
    found = {c.made_at: c.superseded for c in certifications_on(store, B.identity, NOW)}
    assert found == {600: False, 500: True}


def test_a_key_claims_its_host_over_what_a_log_called_it(store: Store) -> None:
    add(store, (A, []))
    assert identities_of_host(store, "mx.acorn.example") == [Identity("openpgp:" + "a" * 40)]


def test_any_user_id_counts_only_while_there_is_no_host_key(store: Store) -> None:
    person = replace(A, user_ids=(UserId("Ada <ada@acorn.example>", UserIdScope.OTHER),))
    add(store, (person, []))
    assert scopes_in_use(store, "auto")[0] == {0, 1, 2, 3, 5, 6, 7}
    assert scopes_in_use(store, "smtp")[0] == {0, 1, 5}
    assert scopes_in_use(store, "auto", require_approval=True)[0] == {0, 5, 6, 7}
    assert scopes_in_use(store, "smtp", require_approval=True)[0] == {0, 5}
    add(store, (B, []))
    assert scopes_in_use(store, "auto") == ({0, 1, 5}, "")


@pytest.mark.parametrize(
    ("host", "operator"),
    [("mx1.mail.example.co.uk", "example.co.uk"), ("example.org", "example.org"), ("co.uk", "co.uk"), ("", "")],
)
def test_operator_is_the_registrable_domain(host: str, operator: str) -> None:
    assert operator_of(host) == operator
