"""The record of own endorsements and what plans are made from, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from trustgraph.endorsement.subject import Cause, Given, KeyFacts
from trustgraph.model import (
    Certification,
    Day,
    HostKey,
    Identity,
    Observation,
    Outcome,
    Result,
    UnixSeconds,
    UserId,
    UserIdScope,
)
from trustgraph.store import Store, schema
from trustgraph.store.accepting import record_signing_hosts
from trustgraph.store.certificates import CertificateStore
from trustgraph.store.endorsement_facts import (
    Succession,
    first_good_days,
    given_by,
    key_facts,
    keys_of_host,
    own_counts,
    successions,
)
from trustgraph.store.observations import ObservationWriter
from trustgraph.store.own_endorsements import (
    Statement,
    add_certification,
    add_revocation,
    made_since,
    mark_published,
    own_issuers,
    pin_key,
    pins,
    serials,
    statements_of,
    unpin_key,
    unpublished,
)

DAY = 86_400
NOW = UnixSeconds(20_000 * DAY)
OURS, FORMER, ACORN, BIRCH = "aa" * 20, "bb" * 20, "cc" * 20, "dd" * 20
USER_ID = "smtp://mail.acorn.example"
HOST = "mail.acorn.example"
SERVERS = ("http://one.example", "http://two.example")


def host_key(fingerprint: str = ACORN, *hosts: str, **changes: object) -> HostKey:
    claimed = [UserId(f"smtp://{host}", UserIdScope.SMTP, host) for host in hosts or (HOST,)]
    claimed.append(UserId(f"<postmaster@{HOST}>", UserIdScope.POSTMASTER, HOST))
    key = HostKey(fingerprint, fingerprint[-16:], b"key", UnixSeconds(5), user_ids=tuple(claimed))
    return replace(key, **changes)  # type: ignore[arg-type]


def said(serial: int = 0, **changes: object) -> Statement:
    made_at = UnixSeconds(NOW + serial)
    ends = UnixSeconds(NOW + 90 * DAY)
    made = Statement(ACORN, USER_ID, serial, OURS, 0x10, made_at, ends, f"{serial}".encode(), "earned", "why")
    return replace(made, **changes)  # type: ignore[arg-type]


def certify(store: Store, statement: Statement) -> bool:
    certification = Certification(
        statement.issuer, statement.subject, statement.user_id, statement.made_at, statement.expires_at
    )
    return add_certification(store, statement, host_key(statement.subject), certification)


def certify_by(store: Store, key: HostKey, *certifications: Certification) -> None:
    CertificateStore(store, "ring", 0).add_certificates([(key, certifications)])


def given(store: Store, *issuers: str) -> dict[str, list[Given]]:
    with store.reading() as connection:
        return given_by(connection, issuers or (OURS,))


def test_a_certification_is_recorded_together_with_what_it_changes(store: Store) -> None:
    assert certify(store, said())
    assert statements_of(store, ACORN) == [said()]
    assert given(store) == {ACORN: [Given(OURS, USER_ID, HOST, NOW, said().expires_at, None, Cause.EARNED)]}
    with store.reading() as connection:
        assert serials(connection) == {(ACORN, USER_ID): 1}
        assert own_issuers(connection) == {OURS}
        assert made_since(connection, UnixSeconds(NOW - 1), Cause.EARNED) == 1
        assert made_since(connection, NOW, Cause.EARNED) == 0
        assert made_since(connection, UnixSeconds(NOW - 1), Cause.RENEWED) == 0


def test_a_turn_that_was_taken_changes_nothing(store: Store) -> None:
    certify(store, said())
    assert not certify(store, said(0, made_at=UnixSeconds(NOW + 9), packet=b"other"))
    assert not add_revocation(store, said(0, type=0x30, made_at=UnixSeconds(NOW + 9), packet=b"other"))
    assert statements_of(store, ACORN) == [said()]
    assert [one.revoked_at for one in given(store)[ACORN]] == [None]
    assert certify(store, said(0, user_id=f"<postmaster@{HOST}>")), "turns are taken of each User ID"
    assert given(store)[ACORN][0].made_at == NOW


def test_a_failure_in_the_network_leaves_no_record(store: Store) -> None:
    wrong = Certification(OURS, ACORN, "smtp://not.on.the.key", NOW)
    with pytest.raises(KeyError):
        add_certification(store, said(), host_key(), wrong)
    assert statements_of(store, ACORN) == []


def test_a_revocation_ends_what_its_issuer_said_before_of_that_user_id(store: Store) -> None:
    both = host_key(ACORN, HOST, "mail2.acorn.example")
    later, other = UnixSeconds(NOW + 100), "smtp://mail2.acorn.example"
    certify_by(
        store,
        both,
        Certification(OURS, ACORN, USER_ID, NOW),
        Certification(OURS, ACORN, USER_ID, later),
        Certification(OURS, ACORN, other, NOW),
        Certification(FORMER, ACORN, USER_ID, NOW),
    )
    assert add_revocation(store, said(0, type=0x30, made_at=UnixSeconds(NOW + 50)))
    c = schema.certification.c
    with store.reading() as connection:
        ended = connection.execute(sa.select(c.made_at, c.revoked_at).where(c.revoked_at.is_not(None))).all()
    assert [tuple(row) for row in ended] == [(NOW, NOW + 50)]


class TestPublishing:
    def test_what_a_server_lacks_is_waiting_for_it(self, store: Store) -> None:
        certify(store, said())
        (waiting,) = unpublished(store, SERVERS, NOW)
        assert (waiting.subject, [s for _, s in waiting.statements], waiting.lacking) == (ACORN, [said()], SERVERS)
        numbers = [number for number, _ in waiting.statements]
        mark_published(store, numbers, SERVERS[:1], NOW)
        mark_published(store, numbers, SERVERS[:1], NOW)
        (waiting,) = unpublished(store, SERVERS, NOW)
        assert waiting.lacking == SERVERS[1:]
        mark_published(store, numbers, SERVERS[1:], NOW)
        assert unpublished(store, SERVERS, NOW) == []
        assert [w.lacking for w in unpublished(store, (*SERVERS, "http://new.example"), NOW)] == [
            ("http://new.example",)
        ]
        assert unpublished(store, (), NOW) == []

    def test_only_the_newest_of_each_kind_and_nothing_that_is_over(self, store: Store) -> None:
        certify(store, said())
        certify(store, said(1))
        add_revocation(store, said(2, type=0x30))
        certify(store, said(3, issuer=FORMER))
        certify(store, said(0, subject=BIRCH, expires_at=UnixSeconds(NOW + 10)))
        found = {
            w.subject: [s.serial for _, s in w.statements] for w in unpublished(store, SERVERS, UnixSeconds(NOW + 9))
        }
        assert found == {ACORN: [1, 2, 3], BIRCH: [0]}
        assert [w.subject for w in unpublished(store, SERVERS, UnixSeconds(NOW + 10))] == [ACORN]
        assert unpublished(store, SERVERS, UnixSeconds(NOW + 90 * DAY)) == []


def test_pins(store: Store) -> None:
    pin_key(store, ACORN, "one", NOW)
    pin_key(store, ACORN, "two", NOW)
    with store.reading() as connection:
        assert pins(connection) == {ACORN: "two"}
    assert unpin_key(store, ACORN)
    assert not unpin_key(store, ACORN)


def observe(store: Store, day: int, outcome: Outcome, identity: Identity, observer: str = "mx.example.net") -> None:
    name = f"<{day}-{outcome}-{identity}-{observer}@example.net>"
    made = Observation(UnixSeconds(day * DAY), observer, identity, Result.PASS, outcome, name, HOST)
    ObservationWriter(store).add([made])


def test_own_mail_of_keys_and_nothing_else_counts(store: Store) -> None:
    key = Identity.openpgp(ACORN)
    for day, outcome in ((90, Outcome.GOOD), (100, Outcome.SPAM), (100, Outcome.MALWARE), (101, Outcome.GOOD)):
        observe(store, day, outcome, key)
    observe(store, 101, Outcome.UNKNOWN, key)
    observe(store, 101, Outcome.GOOD, key, "mx.example.com")
    observe(store, 101, Outcome.GOOD, Identity.dkim("acorn.example"))
    observer = Identity.helo("mx.example.net")
    with store.reading() as connection:
        ((fingerprint, host, counts),) = own_counts(connection, observer, Day(100))
        firsts = first_good_days(connection, observer, [ACORN, BIRCH])
        assert list(own_counts(connection, Identity.helo("mx.example.org"), Day(0))) == []
    assert (fingerprint, host) == (ACORN, HOST)
    assert [(c.day, c.good, c.spam, c.unknown) for c in counts] == [(100, 0, 2, 0), (101, 1, 0, 1)]
    assert firsts == {ACORN: 90}


def test_keys_as_they_say_of_themselves_and_as_they_were_seen(store: Store) -> None:
    key = host_key(ACORN, HOST, "mail.birch.example", expires_at=NOW, revoked_at=UnixSeconds(NOW - 1))
    revoked = UserId("smtp://gone.example", UserIdScope.SMTP, "gone.example", revoked_at=UnixSeconds(9))
    certify_by(store, replace(key, user_ids=(*key.user_ids, revoked)))
    record_signing_hosts(store, {HOST: (key.identity, NOW), "gone.example": (Identity.openpgp(BIRCH), NOW)})
    with store.reading() as connection:
        assert key_facts(connection, [ACORN, BIRCH]) == {
            ACORN: KeyFacts(
                expires_at=NOW,
                revoked_at=UnixSeconds(NOW - 1),
                user_ids=(("smtp://mail.acorn.example", HOST), ("smtp://mail.birch.example", "mail.birch.example")),
                operators=frozenset({"acorn.example", "birch.example"}),
                confirmed=frozenset({HOST}),
            )
        }
        assert keys_of_host(connection, HOST) == [ACORN]
        assert keys_of_host(connection, "gone.example") == []


def test_what_was_certified_is_told_by_issuer_and_live_smtp_user_id(store: Store) -> None:
    key = host_key(ACORN, HOST, "mail2.acorn.example")
    second = "smtp://mail2.acorn.example"
    certify_by(
        store,
        replace(
            key, user_ids=(*key.user_ids[:1], replace(key.user_ids[1], revoked_at=UnixSeconds(7)), key.user_ids[2])
        ),
        Certification(OURS, ACORN, USER_ID, UnixSeconds(NOW - 5)),
        Certification(OURS, ACORN, USER_ID, NOW, revoked_at=UnixSeconds(NOW + 1)),
        Certification(OURS, ACORN, USER_ID, UnixSeconds(NOW + 9), weak=True),
        Certification(OURS, ACORN, second, NOW),
        Certification(OURS, ACORN, f"<postmaster@{HOST}>", NOW),
        Certification(FORMER, ACORN, USER_ID, NOW),
        Certification(BIRCH, ACORN, USER_ID, NOW),
    )
    assert given(store, OURS, FORMER) == {
        ACORN: [
            Given(OURS, USER_ID, HOST, NOW, None, UnixSeconds(NOW + 1), Cause.ELSEWHERE),
            Given(FORMER, USER_ID, HOST, NOW, None, None, Cause.ELSEWHERE),
        ]
    }


@pytest.mark.parametrize(
    ("old", "certification", "found"),
    [
        ({}, {}, True),
        ({"revoked_at": UnixSeconds(NOW + 5)}, {}, True),
        ({"revoked_at": UnixSeconds(NOW - 5)}, {}, False),
        ({"revoked_at": UnixSeconds(NOW + 5), "hard_revoked": True}, {}, False),
        ({}, {"revoked_at": UnixSeconds(NOW + 5)}, False),
        ({}, {"expires_at": UnixSeconds(NOW + 10)}, False),
        ({}, {"expires_at": UnixSeconds(NOW + 11)}, True),
        ({}, {"made_at": UnixSeconds(NOW + 11)}, False),
        ({}, {"weak": True}, False),
        ({}, {"user_id": f"<postmaster@{HOST}>"}, False),
        ({"user_ids": (UserId("smtp://b.example", UserIdScope.SMTP, "b.example"),)}, {}, False),
    ],
)
def test_successors(store: Store, old: dict[str, object], certification: dict[str, object], found: bool) -> None:
    certify_by(store, host_key(ACORN, **old))
    made = Certification(ACORN, BIRCH, USER_ID, NOW)
    certify_by(store, host_key(BIRCH), replace(made, **certification))  # type: ignore[arg-type]
    with store.reading() as connection:
        heirs = successions(connection, [ACORN], UnixSeconds(NOW + 10))
        assert successions(connection, [BIRCH], UnixSeconds(NOW + 10)) == []
    assert heirs == ([Succession(ACORN, BIRCH, HOST)] if found else [])
