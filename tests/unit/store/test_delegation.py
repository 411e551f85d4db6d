"""Depth, amount and scope come out of the store as they stood in the keyring, and only where somebody asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.openpgp.openpgp_maker import BORN, Key, certify, eddsa_key, key_flags, subpacket, user_id
from tests.unit.store.test_certificates import NOW, VOUCH, A, B, add, key
from trustgraph.ingest.keys import ingest_keys
from trustgraph.model import Certification, Endorsement, Identity, UnixSeconds
from trustgraph.openpgp.selfsigned import KeyPolicy
from trustgraph.scoring.algorithms import Parameters, pose
from trustgraph.scoring.authenticator import Authentication
from trustgraph.scoring.snapshot import Delegation
from trustgraph.store import Store
from trustgraph.store.arrays import read_snapshot
from trustgraph.store.certificates import CertificateStore
from trustgraph.store.tables import add_endorsements

C = key("c", "mx.cedar.example")
DEEP = replace(VOUCH, depth=2, amount=60, regex="<[^>]+[@.]example\\.org>$\nmx")


def delegation(store: Store, at: int = NOW) -> Delegation:
    told = read_snapshot(store, UnixSeconds(at), {0, 1}, delegation=True).delegation
    assert told is not None
    return told


def terms(store: Store, at: int = NOW) -> list[tuple[int, int, int, int, str]]:
    """Subject, endorser, depth, amount and scope of each."""
    told = delegation(store, at)
    columns = (told.subject, told.endorser, told.depth, told.amount, told.regexes)
    return [(int(s), int(e), int(d), int(a), r) for s, e, d, a, r in zip(*columns, strict=True)]


def test_nobody_gets_it_who_does_not_ask(store: Store) -> None:
    add(store, (A, []), (B, [DEEP]))
    assert read_snapshot(store, NOW, {0, 1}).delegation is None


def test_what_was_put_in_comes_out(store: Store) -> None:
    add(store, (A, []), (B, [DEEP]), (C, [replace(VOUCH, subject=C.fingerprint, user_id="smtp://mx.cedar.example")]))
    snapshot, told = read_snapshot(store, NOW, {1}), delegation(store)
    assert terms(store) == [(1, 0, 2, 60, DEEP.regex)]
    assert told.user_id[0] == snapshot.certification_user_id[0]
    names = dict(zip(told.user_id_number.tolist(), told.user_id_text, strict=True))
    assert names[told.user_id[0]] == "smtp://mx.birch.example"
    assert np.array_equal(
        snapshot.identity_host[told.user_id_identity], [t.removeprefix("smtp://") for t in names.values()]
    )


@pytest.mark.parametrize("plain", [VOUCH, replace(VOUCH, expires_at=NOW + 9)])
def test_where_everything_is_plain_there_is_nothing_to_read(store: Store, plain: Certification) -> None:
    add(store, (A, []), (B, [plain]))
    assert terms(store) == []
    assert len(delegation(store).user_id_text) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at": NOW},
        {"revoked_at": NOW},
        {"made_at": NOW + 1},
        {"weak": True},
        {"depth": 0, "amount": 120, "regex": ""},
    ],
)
def test_what_does_not_count_does_not_delegate(store: Store, change: dict[str, object]) -> None:
    add(store, (A, []), (B, [replace(DEEP, **change)]))  # type: ignore[arg-type]
    assert terms(store) == []


def test_a_scope_alone_is_not_plain(store: Store) -> None:
    add(store, (A, []), (B, [replace(DEEP, depth=0, amount=120)]))
    assert terms(store) == [(1, 0, 0, 120, DEEP.regex)]


def test_a_weak_one_hides_nothing(store: Store) -> None:
    add(store, (A, []), (B, [DEEP, replace(VOUCH, made_at=UnixSeconds(600), weak=True)]))
    assert terms(store) == [(1, 0, 2, 60, DEEP.regex)]


def test_the_newest_decides(store: Store) -> None:
    add(store, (A, []), (B, [DEEP, replace(VOUCH, made_at=UnixSeconds(600))]))
    assert (terms(store), terms(store, at=599)) == ([], [(1, 0, 2, 60, DEEP.regex)])
    add(store, (B, [replace(DEEP, made_at=UnixSeconds(700), depth=1, weak=True)]))
    assert terms(store) == []
    add(store, (B, [replace(DEEP, made_at=UnixSeconds(800), depth=1)]))
    assert terms(store) == [(1, 0, 1, 60, DEEP.regex)]


def test_a_revoked_name_delegates_nothing(store: Store) -> None:
    (name,) = B.user_ids
    add(store, (A, []), (replace(B, user_ids=(replace(name, revoked_at=UnixSeconds(600)),)), [DEEP]))
    assert (terms(store), len(terms(store, at=599))) == ([], 1)
    assert "smtp://mx.birch.example" not in delegation(store).user_id_text


@pytest.mark.parametrize(
    "other",
    [{"depth": 3}, {"amount": 120}, {"regex": ""}, {"regex": "z"}, {"expires_at": NOW + 9}, {"depth": 3, "amount": 1}],
)
def test_of_two_of_the_same_second_that_which_says_less_stands(store: Store, other: dict[str, object]) -> None:
    less, more = replace(DEEP, expires_at=UnixSeconds(NOW + 5)), replace(DEEP, **other)  # type: ignore[arg-type]
    for i, pair in enumerate(([less, more], [more, less])):
        subject = key(str(i), "mx.birch.example")
        add(store, (A, []), (subject, [replace(one, subject=subject.fingerprint) for one in pair]))
    assert [rest for _, *rest in terms(store)] == [[2, 2, 60, DEEP.regex]] * 2
    assert terms(store, at=NOW + 5) == []


def test_a_table_delegates_too(store: Store) -> None:
    a, b = Identity.dkim("acorn.example"), Identity.dkim("birch.example")
    add_endorsements(store, [Endorsement(a, b, UnixSeconds(500), amount=40, depth=1)], 1)
    assert terms(store) == [(1, 0, 1, 40, "")]
    assert delegation(store).user_id[0] == 0


def test_from_the_octets_of_a_keyring_to_a_rating(store: Store, tmp_path: Path) -> None:
    #  root --1/90, example.org--> bob --> tom (example.org), ann (example.com)
    hosts = ("mx.root.example", "mx.bob.example", "mx.tom.example.org", "mx.ann.example.com")
    root, bob, tom, ann = keys = [eddsa_key(host) for host in hosts]
    trusting = subpacket(5, b"\1\x5a") + subpacket(6, rb"[/.]example\.org$" + b"\0") + subpacket(6, b"bob\0")
    said = {bob: certify(root, bob, f"smtp://{hosts[1]}", extra=trusting)}
    said |= {one: certify(bob, one, f"smtp://{host}") for one, host in zip(keys[2:], hosts[2:], strict=True)}
    ring = tmp_path / "ring.pgp"
    ring.write_bytes(
        b"".join(self_signed(one, host) + said.get(one, b"") for one, host in zip(keys, hosts, strict=True))
    )
    now = UnixSeconds(BORN + 100_000)
    ingest_keys([ring], CertificateStore(store, "ring", now), KeyPolicy(at=now))
    snapshot = read_snapshot(store, now, {0, 1}, delegation=True)
    problem = pose(snapshot, {Identity.openpgp(root.fingerprint): 1.0}, Parameters())
    rating = dict(zip(snapshot.identity_name, Authentication(problem).scores().rating, strict=True))
    assert [rating["openpgp:" + one.fingerprint] for one in (root, bob, tom, ann)] == [0.5, 0.375, 0.375, 0.0]


def self_signed(one: Key, host: str) -> bytes:
    name = f"smtp://{host}"
    return one.packet + user_id(name) + certify(one, one, name, type=0x13, at=BORN, extra=key_flags(1))
