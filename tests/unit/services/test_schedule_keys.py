"""Keys asked for again when it is time, and what the answers do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.hkp_server import HkpServer, hkp_server
from tests.unit.services.site import AT, site_in
from trustgraph.errors import ServiceUnavailable
from trustgraph.model import UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.making import Reason, SecretHostKey, export_public
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.services.schedule_keys import KeyRefresh
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.store.accepting import CachedCertificate, read_certificate, write_certificate
from trustgraph.store.jobs import known_host_keys

TTL, HOUR = 86_400, 3_600
START = AT + HOUR
NONE = {"found": 0, "absent": 0, "unreachable": 0, "unusable": 0}


class _Recorded(dict[str, bytes]):
    """Keys, and which were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


class Recording(HkpServer):
    def __init__(self) -> None:
        super().__init__()
        self.keys: _Recorded = _Recorded()

    def asked(self) -> set[str]:
        """Since the last time."""
        found, self.keys.asked = self.keys.asked, set()
        return found


@pytest.fixture
def server() -> Iterator[Recording]:
    made = Recording()
    with hkp_server(made):
        yield made


@pytest.fixture
def settings(tmp_path: Path, server: Recording) -> Settings:
    return site_in(tmp_path, keyservers={"urls": [server.url], "timeout": "20s", "positive_ttl": "1d"})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    made = open_store(settings.database.url)
    yield made
    made.close()


def known(store: Store, settings: Settings, folder: Path, name: str) -> SecretHostKey:
    """A host's key that a keyring told of."""
    host = f"mx.{name}.example"
    key = making.new_host_key(host, UnixSeconds(AT - TTL), seed=host.encode().ljust(32, b"."))
    (folder / f"{name}.pgp").write_bytes(export_public(key.certificate()))
    ingest_keyrings(store, settings, [folder / f"{name}.pgp"], UnixSeconds(AT))
    return key


def upload(server: HkpServer, *keys: SecretHostKey) -> None:
    for key in keys:
        server.add(export_public(key.certificate(), armored=True))


def at(seconds: int) -> UnixSeconds:
    return UnixSeconds(START + seconds)


def test_only_keys_whose_time_is_up_are_asked_for(
    store: Store, settings: Settings, server: Recording, tmp_path: Path
) -> None:
    job = KeyRefresh(store, settings)
    assert job.run(at(0)) == {"due": 0, **NONE, "left": 0}
    acorn = known(store, settings, tmp_path, "acorn")
    upload(server, acorn)
    assert job.run(at(0)) == {"due": 1, **NONE, "found": 1, "left": 0}
    assert server.asked() == {acorn.fingerprint}
    birch = known(store, settings, tmp_path, "birch")
    upload(server, birch)
    assert job.run(at(HOUR)) == {"due": 1, **NONE, "found": 1, "left": 0}
    assert server.asked() == {birch.fingerprint}
    for again in (job, KeyRefresh(store, settings)):  # a new process knows it from the store
        assert again.run(at(TTL - 1)) == {"due": 0, **NONE, "left": 0}
        assert server.asked() == set()
    assert job.run(at(TTL))["found"] == 1
    assert server.asked() == {acorn.fingerprint}
    assert known_host_keys(store) == {acorn.fingerprint: at(TTL), birch.fingerprint: at(HOUR)}


def test_an_answer_from_the_future_does_not_hold(
    store: Store, settings: Settings, server: Recording, tmp_path: Path
) -> None:
    acorn = known(store, settings, tmp_path, "acorn")
    upload(server, acorn)
    KeyRefresh(store, settings).run(at(HOUR))  # by a clock that was ahead
    assert server.asked() == {acorn.fingerprint}
    KeyRefresh(store, settings).run(at(0))
    assert server.asked() == {acorn.fingerprint}


def test_an_unreachable_key_is_not_absent_and_stays_due(
    store: Store, settings: Settings, server: Recording, tmp_path: Path
) -> None:
    acorn = known(store, settings, tmp_path, "acorn")
    upload(server, acorn)
    job = KeyRefresh(store, settings)
    server.status = 503
    with pytest.raises(ServiceUnavailable, match="no keyserver could say anything of 1 keys"):
        job.run(at(0))
    server.status = 200
    server.asked()
    assert KeyRefresh(store, settings).run(at(60))["found"] == 1


def test_an_absent_key_is_counted_and_rests_for_its_time(
    store: Store, settings: Settings, server: Recording, tmp_path: Path
) -> None:
    acorn, birch = (known(store, settings, tmp_path, name) for name in ("acorn", "birch"))
    upload(server, birch)
    job = KeyRefresh(store, settings)
    assert job.run(at(0)) == {"due": 2, **NONE, "found": 1, "absent": 1, "left": 0}
    assert job.run(at(TTL - 1))["due"] == 0
    upload(server, acorn)
    assert job.run(at(TTL))["found"] == 2


def test_a_copy_at_hand_is_not_taken_for_an_answer(
    store: Store, settings: Settings, server: Recording, tmp_path: Path
) -> None:
    acorn = known(store, settings, tmp_path, "acorn")
    upload(server, acorn)
    job = KeyRefresh(store, settings)
    job.run(at(0))
    server.status = 503
    with pytest.raises(ServiceUnavailable):
        job.run(at(TTL))
    assert known_host_keys(store) == {acorn.fingerprint: at(0)}
    assert read_certificate(store, acorn.fingerprint) is not None


def test_a_key_that_cannot_be_used_does_not_stop_the_others(
    store: Store, settings: Settings, server: Recording, tmp_path: Path
) -> None:
    acorn, birch = (known(store, settings, tmp_path, name) for name in ("acorn", "birch"))
    upload(server, birch)
    server.keys[acorn.fingerprint] = server.keys[birch.fingerprint]  # another's key in its place
    done = KeyRefresh(store, settings).run(at(0))
    assert (done["due"], done["found"]) == (2, 1)
    assert set(known_host_keys(store)) == {acorn.fingerprint, birch.fingerprint}


def test_a_damaged_copy_is_the_trouble_of_that_key_alone(
    store: Store, settings: Settings, server: Recording, tmp_path: Path
) -> None:
    acorn, birch = (known(store, settings, tmp_path, name) for name in ("acorn", "birch"))
    upload(server, acorn, birch)
    damaged = CachedCertificate(acorn.fingerprint, b"no certificate", UnixSeconds(AT - TTL))
    assert write_certificate(store, damaged, None, UnixSeconds(AT))
    job = KeyRefresh(store, settings)
    assert job.run(at(0)) == {"due": 2, **NONE, "found": 1, "unusable": 1, "left": 0}
    assert job.run(at(HOUR))["due"] == 0
    assert known_host_keys(store)[birch.fingerprint] == at(0)


def test_a_revocation_takes_effect_with_the_refresh_and_is_the_last_word(
    store: Store, settings: Settings, server: Recording, tmp_path: Path
) -> None:
    acorn = known(store, settings, tmp_path, "acorn")
    upload(server, acorn)
    job = KeyRefresh(store, settings)
    job.run(at(0))
    fresh = export_public(acorn.certificate(), armored=True)
    certificate = acorn.certificate()
    making.revoke_key(acorn, certificate, at(HOUR), reason=Reason.COMPROMISED, comment="")
    server.add(export_public(certificate, armored=True))
    assert job.run(at(HOUR))["due"] == 0
    assert acorn.fingerprint in known_host_keys(store)
    assert job.run(at(TTL))["found"] == 1
    assert known_host_keys(store) == {}  # as it is of a key that is hard revoked
    revoked = read_certificate(store, acorn.fingerprint)
    assert revoked is not None
    server.keys[acorn.fingerprint] = fresh  # a server that hides it changes nothing any more
    assert KeyRefresh(store, settings).run(at(3 * TTL))["due"] == 0
    assert known_host_keys(store) == {}
