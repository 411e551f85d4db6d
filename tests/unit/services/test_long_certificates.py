"""Keys that anybody made long, from the keyserver through the gate into the network: nothing real is lost."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.flood import bogus_certifications, with_certifications
from tests.unit.keyserver.fault_server import FaultServer, respond
from tests.unit.services.site import site_in
from trustgraph.errors import ServiceUnavailable
from trustgraph.lab.quick_keys import QuickKey
from trustgraph.model import Identity, UnixSeconds
from trustgraph.openpgp.finding import LongCertificate
from trustgraph.openpgp.framing import Packet, Tag
from trustgraph.openpgp.transferable import enarmor
from trustgraph.services import daemon, gate
from trustgraph.services.fetched_keys import ingest_from_keyservers
from trustgraph.services.gate import open_gate, state_of
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.store.certificates import certifications_on
from trustgraph.verifier.keys import NoKey

BORN = UnixSeconds(1_750_000_000)
NOW = UnixSeconds(1_760_000_000)
EXPIRES = UnixSeconds(1_765_000_000)


def host(name: str) -> QuickKey:
    return QuickKey(name, BORN, name.encode().ljust(32, b"."))


ENDORSERS = [host(f"mx{number}.example") for number in range(3)]
NAMES = [key.fingerprint for key in ENDORSERS]


def flooded(bogus: int = 9_000, forged: int = 1_500) -> tuple[QuickKey, bytes]:
    """A key with three real endorsements, the oldest, among many by nobody known and forged ones by the three."""
    subject = host("mx.flooded.example")
    for endorser in ENDORSERS:
        endorser.certify(subject, UnixSeconds(BORN + 10), EXPIRES, ())
    noise = bogus_certifications(bogus, BORN + 20)
    return subject, with_certifications(subject, noise + bogus_certifications(forged, BORN + 20, NAMES, seed=1))


SUBJECT, FLOODED = flooded()


def endorsers_of(store: Store, key: QuickKey) -> list[str]:
    return sorted(one.endorser.value for one in certifications_on(store, Identity.openpgp(key.fingerprint), NOW))


def know_endorsers(store: Store, settings: Settings, folder: Path) -> None:
    (folder / "endorsers.pgp").write_bytes(b"".join(key.certificate() for key in ENDORSERS))
    ingest_keyrings(store, settings, [folder / "endorsers.pgp"], NOW)


def asking(answer: bytes, settings: Settings, work: Any) -> Any:
    """``work`` on a site whose keyserver gives this."""

    async def run() -> Any:
        async with FaultServer(respond(200, answer)) as server:
            urls = settings.keyservers.model_copy(update={"urls": (server.url,), "timeout_seconds": 20.0})
            return await work(settings.model_copy(update={"keyservers": urls}))

    return asyncio.run(asyncio.wait_for(run(), 60))


def quiet(_event: str, /, **_fields: object) -> None:
    """No log."""


def test_through_the_gate_into_the_network(tmp_path: Path) -> None:
    settings = site_in(tmp_path)

    async def fetch(settings: Settings) -> None:
        async with open_gate(settings, recording=False, clock=lambda: NOW) as opened:
            key = (await opened.keys.refetch(SUBJECT.fingerprint)).key
            assert not isinstance(key, NoKey)
            assert (set(key.hosts), len(key.octets) < 1_000) == ({"mx.flooded.example"}, True)

    asking(enarmor(FLOODED), settings, fetch)
    (left,) = state_of(settings, "keys").iterdir()
    assert left.stat().st_size > 1_000_000
    store = open_store(settings.database.url)
    know_endorsers(store, settings, tmp_path)
    daemon._ingest_keys(settings, store, quiet)
    assert endorsers_of(store, SUBJECT) == sorted(NAMES)
    assert list(state_of(settings, "keys").iterdir()) == []
    store.close()


def test_the_cut_to_the_newest_comes_after_verifying(tmp_path: Path) -> None:
    """Five hundred newer claims of each endorser, and sixteen are kept of each."""
    settings = site_in(tmp_path)
    store = open_store(settings.database.url)
    know_endorsers(store, settings, tmp_path)
    (tmp_path / "subject.pgp").write_bytes(FLOODED)
    counts = ingest_keyrings(store, settings, [tmp_path / "subject.pgp"], NOW)
    assert (counts.good, counts.bad, counts.unverifiable) == (3, 1_500, 9_000)
    assert endorsers_of(store, SUBJECT) == sorted(NAMES)
    store.close()


def test_asked_of_keyservers_together_keys_verify_each_other(tmp_path: Path) -> None:
    settings = site_in(tmp_path)
    store = open_store(settings.database.url)
    answer = enarmor(b"".join([FLOODED, *(key.certificate() for key in ENDORSERS)]))

    async def fetch(settings: Settings) -> Any:
        asked = [SUBJECT.fingerprint, *NAMES, "f" * 40]
        return await asyncio.to_thread(ingest_from_keyservers, store, settings, settings.keyservers.urls, asked, NOW)

    done = asking(answer, settings, fetch)
    assert done.counts.certificates == 4
    assert (done.absent, done.unreachable) == ((), (("f" * 40, "wrong-key"),))
    assert endorsers_of(store, SUBJECT) == sorted(NAMES)
    store.close()


def long_certificate(size: int) -> LongCertificate:
    made = LongCertificate(tempfile.TemporaryFile())  # noqa: SIM115 - it closes it
    for _ in range(size // 1_000):
        made.write(Packet(Tag.SIGNATURE, b"\x04" * 1_000))
    return made


def test_so_much_waits_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = site_in(tmp_path)
    monkeypatch.setattr(gate, "MAX_WAITING_BYTES", 30_000)

    async def leave() -> None:
        async with open_gate(settings, recording=False, clock=lambda: NOW) as opened:
            opened._keep_long("a" * 40, long_certificate(40_000))
            with pytest.raises(ServiceUnavailable, match="wait to be ingested"):
                opened._keep_long("b" * 40, long_certificate(1_000))
            opened._keep_for_scoring("c" * 40, b"short")

    asyncio.run(leave())
    assert sorted(path.name[0] for path in state_of(settings, "keys").iterdir()) == ["a", "c"]


def test_few_long_ones_are_ingested_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = site_in(tmp_path)
    monkeypatch.setattr(daemon, "INGESTED_AT_ONCE_BYTES", 10_000)
    taken: list[list[str]] = []

    def ingest(_store: object, _settings: object, paths: list[Path], _now: object) -> Any:
        taken.append([path.name[0] for path in paths])
        return ingest_keyrings(store, settings, paths, NOW)

    monkeypatch.setattr(daemon, "ingest_keyrings", ingest)
    keys = state_of(settings, "keys")
    keys.mkdir(parents=True)
    for number, (name, size) in enumerate({"a": 4_000, "b": 4_000, "c": 90_000, "d": 10, "e": 10}.items()):
        path = keys / f"{name}.pgp"
        path.write_bytes(b"\x00" * size)
        os.utime(path, (number, number))
    store = open_store(settings.database.url)
    for _ in range(4):
        daemon._ingest_keys(settings, store, quiet)
    assert taken == [["a", "b"], ["c"], ["d", "e"]]
    store.close()
