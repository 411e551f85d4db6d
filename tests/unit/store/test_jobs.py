"""What is kept of scheduled jobs, and whose keys are to be asked for again."""

from __future__ import annotations

from tests.unit.services.site import NOW
from trustgraph.model import HostKey, UnixSeconds, UserId, UserIdScope
from trustgraph.store import Store
from trustgraph.store.accepting import CachedCertificate, write_certificate
from trustgraph.store.certificates import CertificateStore
from trustgraph.store.jobs import known_host_keys, last_successes, record_success
from trustgraph.store.observations import prune


def key(letter: str, scope: UserIdScope = UserIdScope.SMTP, **more: bool | int) -> HostKey:
    fingerprint = letter * 40
    text = f"smtp://{letter}.example" if scope is UserIdScope.SMTP else f"somebody@{letter}.example"
    user_id = UserId(text, scope, f"{letter}.example" if scope is UserIdScope.SMTP else "")
    return HostKey(fingerprint, letter * 16, b"key", UnixSeconds(1), user_ids=(user_id,), **more)  # type: ignore[arg-type]


def test_the_last_success_of_each_job_is_kept(store: Store) -> None:
    assert last_successes(store) == {}
    prune(store, 3)  # type: ignore[arg-type]  # a fact that is no job's
    record_success(store, "score", UnixSeconds(5))
    record_success(store, "report", UnixSeconds(6))
    record_success(store, "score", UnixSeconds(7))
    assert last_successes(store) == {"score": 7, "report": 6}


def test_hosts_keys_are_those_seen_in_mail_and_those_that_name_a_host(store: Store) -> None:
    CertificateStore(store, "ring", NOW).add_certificates(
        [(key("a"), []), (key("b", UserIdScope.OTHER), []), (key("c", revoked_at=3), []), (key("d"), [])]
    )
    for letter in "be":
        write_certificate(store, CachedCertificate(letter * 40, b"octets", UnixSeconds(9)))
    found = {fingerprint[0]: at for fingerprint, at in known_host_keys(store).items()}
    assert found == {"a": 0, "b": 9, "c": 0, "d": 0, "e": 9}


def test_nobody_asks_again_for_a_key_that_is_revoked_for_good(store: Store) -> None:
    ring = CertificateStore(store, "ring", NOW)
    ring.add_certificates([(key("a", revoked_at=3, hard_revoked=True), []), (key("b"), [])])
    write_certificate(store, CachedCertificate("a" * 40, b"octets", UnixSeconds(9)))
    assert list(known_host_keys(store)) == ["b" * 40]
