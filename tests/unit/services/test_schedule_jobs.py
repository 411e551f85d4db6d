"""What each scheduled job does on a site, with real keyservers, and what it raises when it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.endorsing_site import NOW, EndorsingSite, endorsing_site, host_key
from tests.unit.cli.hkp_server import HkpServer, hkp_server
from tests.unit.services.site import site_in
from trustgraph.errors import NoAnchors, NoInput, ServiceUnavailable, StoreBusy
from trustgraph.keyserver.pool import PoolPolicy
from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.making import SecretHostKey, export_public
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.services import endorsement_keys, schedule_keys
from trustgraph.services.endorsing import endorse
from trustgraph.services.schedule_jobs import jobs_of
from trustgraph.services.schedule_keys import KeyRefresh
from trustgraph.services.schedule_run import Facts, Job
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.store.accepting import read_certificate
from trustgraph.store.generations import latest_generation
from trustgraph.store.observations import ObservationWriter

DAY = 86_400
ACORN, BIRCH, CEDAR = "mail.acorn.example", "mail.birch.example", "mail.cedar.example"


def quiet(_event: str, /, **_fields: object) -> None:
    """No log."""


def jobs(store: Store, settings: Settings) -> dict[str, Job]:
    return {job.name: job for job in jobs_of(store, settings, quiet)}


@pytest.fixture
def servers() -> Iterator[list[HkpServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(hkp_server()) for _ in range(2)]


@pytest.fixture
def site(tmp_path: Path, servers: list[HkpServer], monkeypatch: pytest.MonkeyPatch) -> Iterator[EndorsingSite]:
    one_look = partial(PoolPolicy, publish_pauses=(0.0,))  # these servers show at once what they have
    monkeypatch.setattr(endorsement_keys, "PoolPolicy", one_look)
    over = {"endorse": "24h", "report_directory": str(tmp_path / "report")}
    made = endorsing_site(tmp_path, [server.url for server in servers], schedule=over)
    yield made
    made.store.close()


def upload(servers: list[HkpServer], key: SecretHostKey) -> None:
    for server in servers:
        server.add(export_public(key.certificate(), armored=True))


def test_the_jobs_are_those_that_have_something_to_do(tmp_path: Path) -> None:
    plain = site_in(tmp_path)
    store = open_store(plain.database.url)
    assert list(jobs(store, plain)) == ["score", "report", "prune", "remind"]  # endorsing has to be chosen
    full = site_in(
        tmp_path,
        keyservers={"urls": ["http://127.0.0.1:1"]},
        feedback={"sources": [str(tmp_path)]},
        schedule={"endorse": "24h"},
    )
    found = jobs(store, full)
    assert list(found) == ["keys", "feedback", "score", "endorse", "report", "prune", "remind"]
    assert [job.name for job in found.values() if job.asks_keyservers] == ["keys", "endorse"]
    assert found["score"].period_seconds == 900
    off = site_in(tmp_path, schedule={"score": "0", "report": "0", "remind": "0"}, ingest={"retention": "0"})
    assert list(jobs(store, off)) == []
    store.close()


def test_scoring_reads_everything_once(site: EndorsingSite) -> None:
    site.mail(host_key(ACORN), [3])  # ours is an anchor as soon as it has seen mail
    score = jobs(site.store, site.settings)["score"].work
    first, second = score(NOW), score(UnixSeconds(NOW + 900))
    assert "everything was read" in str(first["notes"])
    assert second["notes"] is None
    newest = latest_generation(site.store)
    assert newest is not None
    assert (newest.number, newest.generated_at) == (second["generation"], NOW + 900)


def test_scoring_that_fails_leaves_the_last_ratings_in_force(site: EndorsingSite) -> None:
    site.mail(host_key(ACORN), [3])
    jobs(site.store, site.settings)["score"].work(NOW)
    nobody = site.settings.model_copy(update={"site": site.settings.site.model_copy(update={"hostname": ""})})
    with pytest.raises(NoAnchors):
        jobs(site.store, nobody)["score"].work(UnixSeconds(NOW + 900))
    newest = latest_generation(site.store)
    assert newest is not None
    assert newest.generated_at == NOW


def test_a_report_needs_ratings(site: EndorsingSite) -> None:
    site.mail(host_key(ACORN), [3])
    work = jobs(site.store, site.settings)
    with pytest.raises(NoInput, match="score"):
        work["report"].work(NOW)
    made = work["score"].work(NOW)
    told = work["report"].work(NOW)
    assert told["generation"] == made["generation"]
    assert Path(str(told["file"])).is_file()


def test_feedback_is_read_and_a_source_that_cannot_be_is_no_success(tmp_path: Path) -> None:
    rows, gone = tmp_path / "rows.jsonl", tmp_path / "gone"
    settings = site_in(tmp_path, feedback={"sources": [str(gone), str(rows)]})
    store = open_store(settings.database.url)
    peer = Identity.dkim("peer.example")
    ObservationWriter(store).add(
        [Observation(UnixSeconds(NOW - 60), "mx.example.net", peer, Result.PASS, Outcome.GOOD, "<1@peer.example>")]
    )
    row = {"message_id": "<1@peer.example>", "recipient": "a@example.net", "outcome": "spam"}
    rows.write_text(json.dumps(row | {"at": "2026-09-21T14:13:20Z"}) + "\n")
    work = jobs(store, settings)["feedback"].work
    with pytest.raises(NoInput, match="gone"):
        work(NOW)
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT good, spam FROM daily_count").one() == (0, 1)
    gone.write_text("")
    assert work(NOW)["moved"] == 0
    store.close()


class TestKeys:
    """Certificates of hosts we know, asked for again."""

    def refresh(self, site: EndorsingSite, after: int) -> Facts:
        return KeyRefresh(site.store, site.settings).run(UnixSeconds(NOW + after))

    def test_only_those_are_asked_for_whose_answers_have_run_out(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        for host in (ACORN, BIRCH):
            site.know(host_key(host))
            upload(servers, host_key(host))
        site.know(host_key(BIRCH), now=NOW + 3_600)
        assert self.refresh(site, DAY - 1)["due"] == 0
        found = self.refresh(site, DAY)
        assert (found["due"], found["found"], found["left"]) == (1, 1, 0)
        row = read_certificate(site.store, host_key(ACORN).fingerprint)
        assert row is not None
        assert row.found_at == NOW + DAY

    def test_a_revocation_is_learnt(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        key = host_key(ACORN)
        site.know(key)
        certificate = key.certificate()
        making.revoke_key(key, certificate, NOW, reason=making.Reason.COMPROMISED)
        for server in servers:
            server.add(export_public(certificate, armored=True))
        self.refresh(site, DAY)
        row = read_certificate(site.store, key.fingerprint)
        assert row is not None
        assert read_host_certificate([row.octets], key.fingerprint, UnixSeconds(NOW + DAY)).revoked
        assert self.refresh(site, 3 * DAY)["due"] == 0

    def test_what_the_cache_has_is_no_answer(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        site.know(host_key(ACORN))
        for server in servers:
            server.status = 500
        with pytest.raises(ServiceUnavailable, match="1 keys"):
            self.refresh(site, DAY)
        for server in servers:
            server.status = 200
        upload(servers, host_key(ACORN))
        assert self.refresh(site, DAY + 60)["found"] == 1

    def test_after_a_piece_without_any_answer_no_more_are_asked_for(
        self, site: EndorsingSite, servers: list[HkpServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schedule_keys, "_AT_ONCE", 1)
        for host in (ACORN, BIRCH, CEDAR):
            site.know(host_key(host))
        for server in servers:
            server.status = 500
        asked: list[object] = []
        monkeypatch.setattr(
            schedule_keys, "fetch", lambda *given: asked.append(given[2]) or endorsement_keys.fetch(*given)
        )
        with pytest.raises(ServiceUnavailable):
            self.refresh(site, DAY)
        assert len(asked) == 1

    def test_keys_that_nobody_has_do_not_crowd_out_the_others(
        self, site: EndorsingSite, servers: list[HkpServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schedule_keys, "MAX_KEYS", 2)
        for host in (ACORN, BIRCH, CEDAR):
            site.know(host_key(host))
        *dropped, kept = sorted(map(host_key, (ACORN, BIRCH, CEDAR)), key=lambda key: key.fingerprint)
        upload(servers, kept)
        refresh = KeyRefresh(site.store, site.settings)
        first, second = (refresh.run(UnixSeconds(NOW + DAY + turn)) for turn in range(2))
        assert (first["absent"], first["found"], first["left"]) == (len(dropped), 0, 1)
        assert (second["due"], second["found"]) == (1, 1)

    def test_one_that_nothing_can_be_made_of_keeps_no_other_back(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        for host in (ACORN, BIRCH):
            site.know(host_key(host))
            upload(servers, host_key(host))
        with site.store.writing() as connection:
            connection.exec_driver_sql(
                "UPDATE cached_certificate SET octets = x'00' WHERE fingerprint = ?", (host_key(ACORN).fingerprint,)
            )
        found = self.refresh(site, DAY)
        assert (found["due"], found["found"], found["unusable"]) == (2, 1, 1)

    def test_a_store_that_is_busy_is_the_trouble_of_all(
        self, site: EndorsingSite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def busy(*_: Any) -> Any:
            raise StoreBusy("held")

        for host in (ACORN, BIRCH):
            site.know(host_key(host))
        monkeypatch.setattr(schedule_keys, "fetch", busy)
        with pytest.raises(StoreBusy):
            self.refresh(site, DAY)


class TestEndorsing:
    """In the operator's name."""

    def earned(self, site: EndorsingSite, servers: list[HkpServer]) -> SecretHostKey:
        key = host_key(ACORN)
        upload(servers, key)
        site.confirm(key, ACORN)
        site.mail(key, good=[5] * 4)
        return key

    def test_what_was_earned_is_endorsed_once(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        self.earned(site, servers)
        work = jobs(site.store, site.settings)["endorse"].work
        assert [work(NOW)["spoken_of"], work(UnixSeconds(NOW + DAY))["spoken_of"]] == [1, 0]

    def test_what_a_keyserver_lacks_is_no_success_and_is_brought_there_later(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        self.earned(site, servers)
        servers[0].forgets = True
        work = jobs(site.store, site.settings)["endorse"].work
        with pytest.raises(ServiceUnavailable, match="1 endorsed keys"):
            work(NOW)
        servers[0].forgets = False
        assert work(UnixSeconds(NOW + 60))["spoken_of"] == 0
        assert endorse(site.store, site.settings, UnixSeconds(NOW + 120), publish=False).unpublished == 0


def test_what_is_older_than_the_retention_goes(site: EndorsingSite) -> None:
    site.mail("ab" * 20, good=[1, *[0] * 99, 1])
    assert jobs(site.store, site.settings)["prune"].work(NOW) == {"dropped": 1, "kept_days": 90}
