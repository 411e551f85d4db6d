"""Endorsing on a site: what is recorded, published and believed, and what a run does when something is amiss."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.endorsing_site import DAY, EASY, NOW, US, EndorsingSite, endorsing_site, host_key, signatures_by
from tests.unit.cli.hkp_server import HkpServer, hkp_server
from trustgraph.endorsement.plan import Action, Entry
from trustgraph.endorsement.subject import Cause
from trustgraph.errors import ConfigurationError, NoInput, StoreBusy, TrustgraphError, UsageError
from trustgraph.keyserver.pool import PoolPolicy
from trustgraph.model import Identity, UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.making import SecretHostKey, export_public, read_certificate
from trustgraph.openpgp.transferable import find_certificate
from trustgraph.services import endorsement_keys
from trustgraph.services.endorsing import EndorseRun, endorse, plan_endorsements
from trustgraph.services.keymaking import create_key, finish_rotation, revoke
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.services.pinning import pin, unpin
from trustgraph.store import schema
from trustgraph.store.certificates import certifications_on
from trustgraph.store.changes import newest_change
from trustgraph.store.facts import read_changes
from trustgraph.store.own_endorsements import Statement, add_revocation, statements_of

ACORN, BIRCH = "mail.acorn.example", "mail.birch.example"
CERTIFICATION, REVOCATION = 0x10, 0x30
EARNED = [5] * 4


class Merging(HkpServer):
    """A keyserver that adds what is new to what it has, as all do."""

    def add(self, armored: bytes) -> None:
        if self.forgets:
            return
        added = read_certificate(armored)
        known = self.keys.get(added.fingerprint)
        if known is not None:
            kept = read_certificate(known)
            for user_id in kept._key.userids:
                here = {bytes(signature) for signature in user_id._signatures}
                for other in added._key.userids:
                    if other.userid == user_id.userid:
                        for signature in other._signatures:
                            if bytes(signature) not in here:
                                user_id._signatures.insort(signature)
            added = kept
        self.keys[added.fingerprint] = export_public(added, armored=True)


@pytest.fixture
def servers() -> Iterator[list[HkpServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(hkp_server(Merging())) for _ in range(2)]


@pytest.fixture
def site(tmp_path: Path, servers: list[HkpServer], monkeypatch: pytest.MonkeyPatch) -> Iterator[EndorsingSite]:
    one_look = partial(PoolPolicy, publish_pauses=(0.0,))  # these servers show at once what they have
    monkeypatch.setattr(endorsement_keys, "PoolPolicy", one_look)
    made = endorsing_site(tmp_path, [server.url for server in servers])
    yield made
    made.store.close()


def upload(servers: list[HkpServer], key: SecretHostKey) -> None:
    for server in servers:
        server.add(export_public(key.certificate(), armored=True))


def ready(site: EndorsingSite, servers: list[HkpServer], host: str = ACORN, **mail: Any) -> SecretHostKey:
    """A host that has earned it."""
    key = host_key(host)
    upload(servers, key)
    site.confirm(key, host)
    site.mail(key, **(mail or {"good": EARNED}))
    return key


def run(site: EndorsingSite, now: int = NOW, *, publish: bool = True) -> EndorseRun:
    return endorse(site.store, site.settings, UnixSeconds(now), publish=publish)


def actions(done: EndorseRun) -> list[tuple[Action, str]]:
    return [(entry.action, entry.subject.host) for entry in done.done]


def entry_of(site: EndorsingSite, key: SecretHostKey | str, now: int = NOW) -> Entry:
    fingerprint = key if isinstance(key, str) else key.fingerprint
    entries = plan_endorsements(site.store, site.settings, UnixSeconds(now)).entries
    return next(entry for entry in entries if entry.subject.fingerprint == fingerprint)


def record(site: EndorsingSite, key: SecretHostKey) -> list[Statement]:
    return statements_of(site.store, key.fingerprint)


def ours(server: HkpServer, site: EndorsingSite, key: SecretHostKey) -> list[tuple[int, int]]:
    certificate = find_certificate(server.keys[key.fingerprint], key.fingerprint)
    assert certificate is not None
    return sorted((type_, at) for _, type_, at, _ in signatures_by(certificate, site.key.fingerprint))


def test_a_run_issues_records_publishes_and_the_next_does_nothing(
    site: EndorsingSite, servers: list[HkpServer]
) -> None:
    acorn = ready(site, servers)
    said: list[tuple[str, dict[str, object]]] = []
    done = endorse(
        site.store, site.settings, NOW, publish=True, log=lambda event, **fields: said.append((event, fields))
    )
    assert actions(done) == [(Action.ISSUE, ACORN)]
    assert [(p.subject, p.ok) for p in done.published] == [(acorn.fingerprint, True)] * 2
    assert [event for event, _ in said] == ["endorsement_issued", "endorsement_published", "endorsement_published"]
    (statement,) = record(site, acorn)
    assert (statement.user_id, statement.made_at, statement.expires_at) == (f"smtp://{ACORN}", NOW, NOW + 90 * DAY)
    assert [ours(server, site, acorn) for server in servers] == [[(CERTIFICATION, NOW)]] * 2
    again = run(site, NOW + 60)
    assert (again.done, again.published) == ((), ())
    assert record(site, acorn) == [statement]


def test_scoring_learns_of_it_in_the_same_moment(site: EndorsingSite, servers: list[HkpServer]) -> None:
    acorn = ready(site, servers)
    with site.store.reading() as connection:
        before = newest_change(connection)
    run(site, publish=False)
    known = certifications_on(site.store, Identity.openpgp(acorn.fingerprint), NOW)
    assert [(c.endorser, c.made_at, c.expires_at, c.revoked_at) for c in known] == [
        (f"openpgp:{site.key.fingerprint}", NOW, NOW + 90 * DAY, None)
    ]
    found = read_changes(site.store, {0, 1}, before)
    assert found is not None
    assert len(found[0].certifications[0]) == 1
    with site.store.reading() as connection:
        before = newest_change(connection)
    revoked = replace(record(site, acorn)[0], serial=1, type=REVOCATION, made_at=UnixSeconds(NOW + DAY), packet=b"x")
    assert add_revocation(site.store, revoked)
    found = read_changes(site.store, {0, 1}, before)
    assert found is not None
    assert int(found[0].certifications[-1].min()) == NOW + DAY


def test_what_was_not_published_is_published_later_as_it_was_made(
    site: EndorsingSite, servers: list[HkpServer]
) -> None:
    acorn = ready(site, servers)
    assert run(site, publish=False).unpublished == 1
    (made,) = record(site, acorn)
    servers[1].status = 503
    done = run(site, NOW + DAY)
    assert [(p.ok, p.reason) for p in done.published] == [(True, ""), (False, "http-503")]
    assert (done.done, done.unpublished) == ((), 1)
    servers[1].status = 200
    assert run(site, NOW + 2 * DAY).unpublished == 0
    assert run(site, NOW + 3 * DAY).published == ()
    assert record(site, acorn) == [made]
    assert [ours(server, site, acorn) for server in servers] == [[(CERTIFICATION, NOW)]] * 2


def test_a_keyserver_that_says_yes_and_forgets_is_no_publication(site: EndorsingSite, servers: list[HkpServer]) -> None:
    ready(site, servers)
    servers[0].forgets = True
    done = run(site)
    assert [(p.ok, p.reason) for p in done.published] == [(False, "incomplete"), (True, "")]
    assert done.unpublished == 1


def test_what_has_expired_is_published_no_more(site: EndorsingSite, servers: list[HkpServer]) -> None:
    acorn = ready(site, servers)
    run(site, publish=False)
    done = run(site, NOW + 200 * DAY)
    assert (done.done, done.published, done.unpublished) == ((), (), 0)
    assert ours(servers[0], site, acorn) == []


def test_fewer_than_two_keyservers_are_worth_a_word(tmp_path: Path, servers: list[HkpServer]) -> None:
    site = endorsing_site(tmp_path, [servers[0].url])
    assert run(site).notes == ("keyservers.urls: 1 configured; an endorsement should be on at least two",)
    site.store.close()


class TestKeysThatAreNotAsTheyWere:
    def test_a_revocation_that_only_a_keyserver_knows_is_seen_before_signing(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        acorn = ready(site, servers)
        site.know(acorn)
        certificate = acorn.certificate()
        making.revoke_key(acorn, certificate, UnixSeconds(NOW - 60))
        servers[0].keys[acorn.fingerprint] = servers[1].keys[acorn.fingerprint] = export_public(
            certificate, armored=True
        )
        assert actions(run(site)) == []
        assert entry_of(site, acorn).why == "its key is revoked"
        assert record(site, acorn) == []

    def test_a_revocation_that_only_the_cache_knows_cannot_be_hidden_by_keyservers(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        acorn = ready(site, servers)
        certificate = acorn.certificate()
        making.revoke_key(acorn, certificate, UnixSeconds(NOW - 60))
        revoked = making.load_host_key(making.export_secret(acorn))
        making.attach_revocation(revoked, bytes(next(iter(certificate._key.revocation_signatures))))
        site.know(revoked)
        assert actions(run(site)) == []
        assert entry_of(site, acorn).why == "its key is revoked"

    def test_without_an_answer_the_cache_serves_and_without_that_nothing_is_signed(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        acorn, birch = ready(site, servers), ready(site, servers, BIRCH)
        run(site, publish=False)
        for server in servers:
            server.status = 503
        assert len(record(site, birch)) == 1
        due = NOW + 62 * DAY
        for key in (acorn, birch):
            site.mail(key, EARNED, now=due)
        site.know(birch, BIRCH, now=due - 2 * DAY)
        site.confirm(acorn, ACORN, now=due)
        done = run(site, due)
        assert actions(done) == [(Action.RENEW, BIRCH)]
        assert done.notes == (f"{ACORN}: not done (renew): no keyserver could say whether its key still lives",)

    def test_a_key_that_no_keyserver_has(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        acorn = ready(site, servers)
        run(site, publish=False)
        site.mail(acorn, EARNED, now=NOW + 61 * DAY)
        with site.store.writing() as connection:
            connection.execute(sa.delete(schema.cached_certificate))
        for server in servers:
            server.keys.clear()
        assert run(site, NOW + 61 * DAY).notes == (f"{ACORN}: not done (renew): no keyserver has its key",)

    def test_a_key_of_which_nothing_is_known_is_asked_for(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        acorn = ready(site, servers)
        ready(site, servers, BIRCH, good=[1])
        assert entry_of(site, acorn).unknown
        run(site)
        with site.store.reading() as connection:
            cached = set(connection.execute(sa.select(schema.cached_certificate.c.fingerprint)).scalars())
        assert cached == {acorn.fingerprint}, "a key whose mail has not earned anything is not worth a question"

    def test_a_key_too_weak_for_mail_is_too_weak_for_an_endorsement(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        weak = making.new_host_key(ACORN, UnixSeconds(NOW - 9 * DAY), rsa_bits=1024)
        upload(servers, weak)
        site.confirm(weak, ACORN)
        site.mail(weak, EARNED)
        done = run(site)
        assert done.done == ()
        assert done.notes == (
            f"{ACORN}: not done (issue): by the rules that mail is judged by, smtp://{ACORN} is not its key's",
        )

    def test_version_6_keys_wait_for_a_maker(self, site: EndorsingSite) -> None:
        site.mail("ab" * 32, EARNED)
        run(site)
        assert "not of version 4" in entry_of(site, "ab" * 32).why


class TestOurselves:
    def test_our_own_operators_hosts_get_nothing(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        other = ready(site, servers, "mx2.example.net")
        site.mail(site.key, EARNED)
        assert actions(run(site)) == []
        assert "our own operator's host" in entry_of(site, other).why
        assert "our own operator's host" in entry_of(site, site.key).why

    def test_there_has_to_be_a_key_and_a_name(self, tmp_path: Path, site: EndorsingSite) -> None:
        nameless = site.settings.model_copy(update={"site": site.settings.site.model_copy(update={"hostname": ""})})
        for call in (plan_endorsements, lambda *given: endorse(*given, publish=False)):
            with pytest.raises(ConfigurationError, match=r"site\.hostname"):
                call(site.store, nameless, NOW)
        elsewhere = site.settings.site.model_copy(update={"hostname": "mx.example.com"})
        with pytest.raises(ConfigurationError, match="is the key of"):
            endorse(site.store, site.settings.model_copy(update={"site": elsewhere}), NOW, publish=False)
        site.settings.hostkey.path.unlink()
        assert plan_endorsements(site.store, site.settings, NOW).issuer == ""
        with pytest.raises(NoInput, match="`trustgraph key new` makes a host key"):
            run(site)

    def test_a_revoked_or_expired_key_vouches_for_nobody(self, tmp_path: Path, site: EndorsingSite) -> None:
        revoke(site.settings, site.settings.hostkey.path, UnixSeconds(NOW - 5), making.Reason.RETIRED, "")
        with pytest.raises(ConfigurationError, match="is revoked"):
            run(site)
        ended = making.new_host_key(US, UnixSeconds(NOW - 9), expires_at=NOW)
        brief = endorsing_site(tmp_path / "brief", key=ended)
        with pytest.raises(ConfigurationError, match="has expired"):
            run(brief)
        brief.store.close()

    def test_two_runs_at_once(self, site: EndorsingSite) -> None:
        run(site)
        with (site.settings.milter.state / "endorse.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            with pytest.raises(StoreBusy, match="another run of endorse"):
                run(site)
        run(site)

    def test_two_who_decided_from_the_same_state(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        """As on two machines with one database, where no file keeps them apart."""
        acorn = ready(site, servers)
        run(site)
        (made,) = record(site, acorn)
        rival = replace(made, serial=1, type=REVOCATION, cause="revoked", packet=b"x")
        assert add_revocation(site.store, rival)
        before = certifications_on(site.store, Identity.openpgp(acorn.fingerprint), NOW)
        assert not add_revocation(site.store, replace(rival, made_at=UnixSeconds(NOW + 1), packet=b"y"))
        assert [statement.packet for statement in record(site, acorn)] == [made.packet, b"x"]
        assert certifications_on(site.store, Identity.openpgp(acorn.fingerprint), NOW) == before

    def test_a_new_key_of_ours_renews_and_the_old_one_takes_back_what_it_said(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        acorn, birch = ready(site, servers), ready(site, servers, BIRCH)
        run(site)
        create_key(site.settings, UnixSeconds(NOW + DAY), rotate=True)
        finish_rotation(site.settings)
        later = NOW + 2 * DAY
        site.mail(birch, bad=[20] * 3, now=later)
        done = run(site, later)
        assert sorted(actions(done)) == [(Action.RENEW, ACORN), (Action.REVOKE, BIRCH)]
        assert done.plan.issuer != site.key.fingerprint
        assert [(s.issuer == site.key.fingerprint, s.type) for s in record(site, acorn)] == [
            (True, CERTIFICATION),
            (False, CERTIFICATION),
        ]
        assert [(s.issuer == site.key.fingerprint, s.type) for s in record(site, birch)] == [
            (True, CERTIFICATION),
            (True, REVOCATION),
        ]
        assert ours(servers[0], site, birch) == [(CERTIFICATION, NOW), (REVOCATION, later)]
        assert run(site, later + 60).done == ()

    def test_without_the_old_key_what_it_said_stays_and_that_is_said(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        acorn = ready(site, servers)
        run(site)
        create_key(site.settings, UnixSeconds(NOW + DAY), rotate=True)
        old, _ = finish_rotation(site.settings)
        old.unlink()
        site.mail(acorn, bad=[20] * 3, now=NOW + 2 * DAY)
        done = run(site, NOW + 2 * DAY)
        assert done.done == ()
        assert f"{old}: there is no such file" in done.notes[0]

    def test_a_lost_database_does_not_make_a_second_endorsement(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        acorn = ready(site, servers)
        run(site)
        with site.store.writing() as connection:
            for table in (schema.own_publication, schema.own_endorsement, schema.certification):
                connection.execute(sa.delete(table))
        again = run(site, NOW + 60)
        assert again.done == ()
        (given,) = entry_of(site, acorn, NOW + 60).subject.given
        assert (given.made_at, given.cause) == (NOW, Cause.ELSEWHERE)
        site.mail(acorn, bad=[20] * 3, now=NOW + DAY)
        assert actions(run(site, NOW + DAY)) == [(Action.REVOKE, ACORN)]
        assert ours(servers[0], site, acorn) == [(CERTIFICATION, NOW), (REVOCATION, NOW + DAY)]

    @pytest.mark.parametrize("fault", ["another User ID", "another time", "no end"])
    def test_a_packet_that_is_not_what_was_asked_for_is_not_recorded(
        self, site: EndorsingSite, servers: list[HkpServer], monkeypatch: pytest.MonkeyPatch, fault: str
    ) -> None:
        acorn = ready(site, servers)
        good = making.certify

        def wrong(issuer: Any, subject: Any, user_id: str, made_at: UnixSeconds, **options: Any) -> bytes:
            if fault == "another User ID":
                user_id = f"<postmaster@{ACORN}>"
            elif fault == "another time":
                made_at = UnixSeconds(made_at - 1)
            else:
                options["expires_at"] = None
            return good(issuer, subject, user_id, made_at, **options)

        monkeypatch.setattr(making, "certify", wrong)
        with pytest.raises(TrustgraphError, match="does not verify"):
            run(site)
        assert record(site, acorn) == []


class TestRevoking:
    def test_what_was_taken_back_is_earned_anew_by_new_mail_only(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        acorn = ready(site, servers)
        run(site)
        site.mail(acorn, bad=[9] * 2, now=NOW + DAY)
        assert actions(run(site, NOW + DAY)) == [(Action.REVOKE, ACORN)]
        statement = record(site, acorn)[-1]
        assert (statement.type, statement.cause, statement.expires_at) == (REVOCATION, "revoked", NOW + 90 * DAY)
        much = [200] * 2
        site.mail(acorn, much, now=NOW + DAY)
        late = NOW + 40 * DAY
        assert entry_of(site, acorn, late).mail.good == 0, "mail of before and of the day itself counts no more"
        site.mail(acorn, [50] * 4, now=late)
        assert actions(run(site, late)) == [(Action.ISSUE, ACORN)]
        assert [s.type for s in record(site, acorn)] == [CERTIFICATION, REVOCATION, CERTIFICATION]
        known = certifications_on(site.store, Identity.openpgp(acorn.fingerprint), UnixSeconds(late))
        assert [(c.made_at, c.revoked_at) for c in known] == [(late, None), (NOW, NOW + DAY)]
        notations = dict(_notations(site))
        assert notations == {"good-mail@trustgraph": "128", "since@trustgraph": "2026-10"}

    def test_a_clock_that_went_back_makes_a_revocation_that_counts(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        acorn = ready(site, servers)
        run(site)
        site.mail(acorn, bad=[9] * 2, now=NOW - DAY)
        run(site, NOW - 3_600)
        assert [s.made_at for s in record(site, acorn)] == [NOW, NOW]
        assert ours(servers[0], site, acorn) == [(CERTIFICATION, NOW), (REVOCATION, NOW)]

    def test_it_needs_no_keyserver(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        acorn = ready(site, servers)
        run(site)
        late = NOW + 50 * DAY
        site.mail(acorn, bad=[30] * 2, now=late)
        for server in servers:
            server.status = 503
        done = run(site, late)
        assert actions(done) == [(Action.REVOKE, ACORN)]
        assert (done.unpublished, {p.ok for p in done.published}) == (1, {False})


def _notations(site: EndorsingSite) -> list[tuple[str, str]]:
    c = schema.certification.c
    with site.store.reading() as connection:
        row = connection.execute(sa.select(c.notations).order_by(c.made_at.desc()).limit(1)).scalar_one()
    return [(name, value) for name, value in json.loads(row)]


class TestPins:
    def test_a_pin_endorses_whatever_the_mail_and_without_it_that_is_taken_back(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        acorn = ready(site, servers, bad=[3])
        assert pin(site.store, site.settings, acorn.fingerprint, " met in person ", NOW) == acorn.fingerprint
        assert actions(run(site)) == [(Action.ISSUE, ACORN)]
        (statement,) = record(site, acorn)
        assert (statement.cause, statement.why.split(";")[0]) == ("pinned", "pinned: met in person")
        assert unpin(site.store, ACORN) == acorn.fingerprint
        assert actions(run(site, NOW + 60)) == [(Action.REVOKE, ACORN)]

    def test_by_host_if_just_one_key_claims_it(
        self, site: EndorsingSite, servers: list[HkpServer], tmp_path: Path
    ) -> None:
        acorn, impostor = ready(site, servers), host_key(ACORN, NOW - 9 * DAY)
        with pytest.raises(NoInput, match="no key of this host is known here"):
            pin(site.store, site.settings, ACORN, "x", NOW)
        ring = tmp_path / "ring.pgp"
        ring.write_bytes(export_public(acorn.certificate()))
        ingest_keyrings(site.store, site.settings, [ring], NOW)
        assert pin(site.store, site.settings, ACORN.upper(), "x", NOW) == acorn.fingerprint
        ring.write_bytes(export_public(impostor.certificate()))
        ingest_keyrings(site.store, site.settings, [ring], NOW)
        with pytest.raises(UsageError, match="several keys claim this host") as caught:
            pin(site.store, site.settings, ACORN, "x", NOW)
        assert acorn.fingerprint in str(caught.value)
        assert impostor.fingerprint in str(caught.value)

    def test_what_cannot_be_pinned(self, site: EndorsingSite, servers: list[HkpServer], tmp_path: Path) -> None:
        sibling = host_key("mx2.example.net")
        ring = tmp_path / "ring.pgp"
        ring.write_bytes(export_public(sibling.certificate()))
        ingest_keyrings(site.store, site.settings, [ring], NOW)
        for name in ("mx2.example.net", sibling.fingerprint, f"openpgp:{site.key.fingerprint}"):
            with pytest.raises(UsageError, match="nobody vouches for himself"):
                pin(site.store, site.settings, name, "x", NOW)
        with pytest.raises(UsageError, match="only OpenPGP keys"):
            pin(site.store, site.settings, "dkim:example.org", "x", NOW)
        with pytest.raises(UsageError, match="--note"):
            pin(site.store, site.settings, "ab" * 20, "  ", NOW)
        with pytest.raises(NoInput, match="is not pinned"):
            unpin(site.store, "ab" * 20)

    def test_pinning_again_changes_the_note(self, site: EndorsingSite) -> None:
        for text in ("one", "two"):
            pin(site.store, site.settings, "ab" * 20, text, NOW)
        assert entry_of(site, "ab" * 20).subject.pin == "two"

    def test_a_pinned_key_that_turns_out_to_be_our_own_operators_gets_nothing(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        sibling = host_key("mx2.example.net")
        upload(servers, sibling)
        pin(site.store, site.settings, sibling.fingerprint, "not known yet whose it is", NOW)
        assert actions(run(site)) == []
        assert "our own operator's host" in entry_of(site, sibling).why


class TestSuccession:
    """Mail of an old key speaks for a new one of the same host, and for nobody else."""

    def handed_over(
        self, site: EndorsingSite, servers: list[HkpServer], old: SecretHostKey, new: SecretHostKey, host: str = ACORN
    ) -> None:
        making.certify_successor(old, new, f"smtp://{host}", UnixSeconds(NOW + DAY))
        path = site.settings.hostkey.path.parent / "successor.pgp"
        path.write_bytes(export_public(new.certificate()))
        ingest_keyrings(site.store, site.settings, [path], UnixSeconds(NOW + DAY))
        upload(servers, new)

    def test_it_is_carried_over(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        old, new = ready(site, servers), host_key(ACORN, NOW)
        run(site)
        self.handed_over(site, servers, old, new)
        site.confirm(new, ACORN, now=NOW + DAY)
        site.mail(new, [2], now=NOW + DAY)
        entry = entry_of(site, new, NOW + DAY)
        assert (entry.action, entry.cause, entry.mail.good, entry.mail.days) == (Action.ISSUE, Cause.RENEWED, 22, 5)
        assert old.fingerprint in entry.why

    def test_bad_mail_is_too(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        old, new = ready(site, servers), host_key(ACORN, NOW)
        run(site)
        self.handed_over(site, servers, old, new)
        site.confirm(new, ACORN, now=NOW + DAY)
        site.mail(old, bad=[20], now=NOW + DAY)
        assert entry_of(site, new, NOW + DAY).action is Action.NOT_YET

    def test_not_before_the_new_key_was_seen_at_the_hosts_own_address(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        old, new = ready(site, servers), host_key(ACORN, NOW)
        run(site)
        self.handed_over(site, servers, old, new)
        site.mail(new, [2], now=NOW + DAY)
        assert entry_of(site, new, NOW + DAY).mail.good == 2

    def test_not_from_a_key_that_we_did_not_endorse_as_that_host(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        """A stranger's key claims the host, sends spam, and certifies the honest one as its successor."""
        acorn, stranger = ready(site, servers), host_key(ACORN, NOW - 9 * DAY)
        upload(servers, stranger)
        site.mail(stranger, bad=[60] * 3)
        self.handed_over(site, servers, stranger, acorn)
        assert entry_of(site, acorn, NOW + DAY).mail.bad == 0
        assert actions(run(site, NOW + DAY)) == [(Action.ISSUE, ACORN)]

    def test_not_for_a_host_that_the_endorsed_key_merely_claims(
        self, site: EndorsingSite, servers: list[HkpServer]
    ) -> None:
        """An endorsed host claims another's name as well, turns bad, and makes the other's key its successor."""
        acorn, birch = ready(site, servers), ready(site, servers, BIRCH)
        making.add_host(acorn, BIRCH, UnixSeconds(NOW - DAY))
        for server in servers:
            del server.keys[acorn.fingerprint]
        upload(servers, acorn)
        run(site)
        assert [s.user_id for s in record(site, acorn)] == [f"smtp://{ACORN}"]
        self.handed_over(site, servers, acorn, birch, BIRCH)
        site.mail(acorn, bad=[60] * 3, now=NOW + DAY)
        assert entry_of(site, birch, NOW + DAY).mail.bad == 0
        assert actions(run(site, NOW + DAY)) == [(Action.REVOKE, ACORN)]

    def test_not_to_a_key_of_another_host(self, site: EndorsingSite, servers: list[HkpServer]) -> None:
        acorn, birch = ready(site, servers), host_key(BIRCH, NOW)
        run(site)
        self.handed_over(site, servers, acorn, birch, BIRCH)
        site.confirm(birch, BIRCH, now=NOW + DAY)
        site.mail(birch, [2], now=NOW + DAY)
        assert entry_of(site, birch, NOW + DAY).mail.good == 2

    @pytest.mark.parametrize(
        ("reason", "carried"), [(making.Reason.SUPERSEDED, True), (making.Reason.COMPROMISED, False)]
    )
    def test_a_stolen_key_names_no_successor(
        self, site: EndorsingSite, servers: list[HkpServer], reason: making.Reason, carried: bool
    ) -> None:
        old, new = ready(site, servers), host_key(ACORN, NOW)
        run(site)
        self.handed_over(site, servers, old, new)
        site.confirm(new, ACORN, now=NOW + DAY)
        certificate = old.certificate()
        making.revoke_key(old, certificate, UnixSeconds(NOW + 2 * DAY), reason=reason)
        path = site.settings.hostkey.path.parent / "revoked.pgp"
        path.write_bytes(export_public(certificate))
        ingest_keyrings(site.store, site.settings, [path], UnixSeconds(NOW + 2 * DAY))
        entries = plan_endorsements(site.store, site.settings, UnixSeconds(NOW + 2 * DAY)).entries
        issued = [e.subject.fingerprint for e in entries if e.action is Action.ISSUE]
        assert issued == ([new.fingerprint] if carried else [])


def test_the_budget_is_of_a_week(tmp_path: Path, servers: list[HkpServer]) -> None:
    site = endorsing_site(tmp_path, [server.url for server in servers], endorsement={**EASY, "budget_per_week": 1})
    ready(site, servers, good=[9] * 4)
    ready(site, servers, BIRCH)
    assert actions(run(site, publish=False)) == [(Action.ISSUE, ACORN)]
    assert actions(run(site, NOW + DAY, publish=False)) == []
    assert actions(run(site, NOW + 7 * DAY, publish=False)) == [(Action.ISSUE, BIRCH)]
    site.store.close()
