"""From a store to the three files: certificates' times, User IDs and tables all reach the detectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.reports.small_world import NOW, TODAY, moment
from trustgraph.errors import NoInput
from trustgraph.model import (
    Certification,
    DailyCount,
    Day,
    Endorsement,
    HostKey,
    Identity,
    UserId,
    UserIdScope,
)
from trustgraph.services.relay_report import RelayReport, relay_report
from trustgraph.services.scoring import score
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.store.certificates import CertificateStore
from trustgraph.store.sources import record_source
from trustgraph.store.tables import add_endorsements, add_history

ANCHORS = {Identity.dkim(f"a{i}.example"): 1.0 for i in range(3)}
CROWD = [Identity.dkim(f"c{i}.example") for i in range(8)]
GOOD, RELAY = Identity.dkim("good.example"), Identity.dkim("relay.example")
KNOWN, SECOND = "a" * 40, "b" * 40


def host_key(fingerprint: str, *hosts: str) -> HostKey:
    user_ids = tuple(UserId(f"smtp://{host}", UserIdScope.SMTP, host) for host in hosts)
    return HostKey(fingerprint, fingerprint[-16:], b"\x04", moment(900), user_ids=user_ids)


def fill(store: Store) -> None:
    """A relay that its crowd endorsed in one night, a good host, and a second key for a host of good standing."""
    with store.writing() as connection:
        source = record_source(connection, "endorsements", "test", NOW)
    rows = [
        Endorsement(anchor, subject, moment(100)) for anchor in ANCHORS for subject in (GOOD, Identity.openpgp(KNOWN))
    ]
    rows += [Endorsement(crowd, RELAY, moment(5, hour)) for hour, crowd in enumerate(CROWD)]
    # A renewal is no new endorsement: it must not move the night of the burst.
    rows += [Endorsement(CROWD[0], RELAY, moment(1))]
    add_endorsements(store, rows, source)
    observer = next(iter(ANCHORS))
    days = [Day(TODAY - ago) for ago in range(1, 31)]
    add_history(store, [DailyCount(observer, GOOD, day, good=6) for day in days], source)
    add_history(store, [DailyCount(observer, Identity.openpgp(KNOWN), day, good=6) for day in days], source)
    add_history(store, [DailyCount(observer, RELAY, day, spam=9) for day in days[:5]], source)
    certificates = CertificateStore(store, "keyring", NOW)
    by_stranger = Certification(SECOND, KNOWN, "smtp://mx.victim.example", moment(3))
    # The impostor's first User ID hides behind another one.
    impostor = host_key(SECOND, "aaa.example", "mx.victim.example")
    certificates.add_certificates([(host_key(KNOWN, "mx.victim.example"), [by_stranger]), (impostor, [])])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(f"sqlite:///{tmp_path / 'trustgraph.db'}", create=True)
    fill(store)
    return store


def report(store: Store, out: Path, algorithm: str) -> RelayReport:
    score(store, Settings(), anchors=ANCHORS, algorithm=algorithm, reference_time=NOW, now=NOW)
    try:
        return relay_report(store, Settings(), out, NOW)
    finally:
        store.close()


@pytest.mark.parametrize("algorithm", ["trustgraph", "endorsement-count"])
def test_from_the_store_to_the_files(store: Store, tmp_path: Path, algorithm: str) -> None:
    made = report(store, tmp_path / "out", algorithm)
    assert {(f.kind.value, str(f.identity)) for f in made.findings} == {
        ("endorsed-with-bad-mail", str(RELAY)),
        ("endorsement-burst", str(RELAY)),
        ("several-keys", "openpgp:" + SECOND),
    }
    written = json.loads(made.json.read_text(encoding="utf-8"))
    assert written["findings"] == made.as_rows()
    assert written["generated_at"] == "2026-11-01T00:00:00Z"
    assert made.csv.read_text(encoding="utf-8").count("\n") == 1 + len(made.findings)
    assert "relay.example" in made.html.read_text(encoding="utf-8")


def test_a_burst_is_dated_by_first_endorsements(store: Store, tmp_path: Path) -> None:
    made = report(store, tmp_path / "out", "trustgraph")
    (burst,) = [f for f in made.findings if f.kind == "endorsement-burst"]
    assert (burst.facts["operators"], burst.facts["started_at"]) == (8, moment(5))


def test_without_a_generation_it_says_what_to_do(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="trustgraph score"):
        relay_report(store, Settings(), tmp_path, NOW)
    store.close()
