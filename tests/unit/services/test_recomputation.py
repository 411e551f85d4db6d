"""Scoring again from what changed gives what scoring from everything gives, bit for bit, whatever happened between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import checked
from trustgraph.model import (
    SECONDS_PER_DAY,
    Certification,
    DailyCount,
    Day,
    Endorsement,
    HostKey,
    Identity,
    Observation,
    Outcome,
    Result,
    UnixSeconds,
    UserId,
    UserIdScope,
)
from trustgraph.services.recomputation import Recomputation
from trustgraph.services.scoring import ScoreRun, score
from trustgraph.settings import Policy, Settings
from trustgraph.store import Store, changes, open_store, schema
from trustgraph.store.certificates import CertificateStore
from trustgraph.store.observations import ObservationWriter, prune
from trustgraph.store.tables import add_endorsements, add_history

START = 1_790_000_000
DAY = SECONDS_PER_DAY
HOSTS = 9
SETTINGS = Settings(policy=Policy(quorum=1))
ANCHORS = {Identity.openpgp(f"{0:040x}"): 1.0, Identity.helo("mx0.op0.example"): 1.0}


def fingerprint(host: int) -> str:
    # Not in the order of the hosts' numbers: a new identity may come before all that are known.
    return f"{(host * 7) % HOSTS:040x}"


def name_of(host: int) -> str:
    return f"mx{host}.op{host // 2}.example"


@dataclass
class Site:
    """A store in use, its clock, and two ways to score it."""

    store: Store
    recomputation: Recomputation
    now: int = START

    def same(self, algorithm: str = "trustgraph") -> ScoreRun:
        """Score in both ways, require the same, and give what the recomputation said."""
        moment = UnixSeconds(self.now)
        again = self.recomputation.run(anchors=ANCHORS, algorithm=algorithm, reference_time=moment, now=moment)
        whole = score(*(self.store, SETTINGS), anchors=ANCHORS, algorithm=algorithm, reference_time=moment, now=moment)
        assert self.rows(again) == self.rows(whole)
        assert again.generation.endorsements == whole.generation.endorsements
        assert again.generation.parameters == whole.generation.parameters
        assert [note for note in again.notes if "was read" not in note] == list(whole.notes)
        return again

    def rows(self, run: ScoreRun) -> list[tuple[float, ...]]:
        query = "SELECT identity_id, rating, confidence, sample_size, endorsers FROM rating WHERE generation_id = :n"
        with self.store.reading() as connection:
            found = connection.execute(sa.text(query + " ORDER BY identity_id"), {"n": run.generation.number})
            return [tuple(row) for row in found]

    # What happens to a site; times are offsets in days from now.

    def certificate(self, host: int, by: int, made: int, ends: int | None, kind: str) -> None:
        """A key met with a certification on it."""
        end = None if ends is None else UnixSeconds(self.now + ends * DAY)
        made_at = UnixSeconds(self.now + made * DAY)
        user_id = UserId(
            *(f"smtp://{name_of(host)}", UserIdScope.SMTP, name_of(host)),
            revoked_at=end if kind == "user-id-revoked" else None,
            approvals_at=made_at if kind in ("approves", "approves-of-none") else None,
        )
        key = HostKey(
            *(fingerprint(host), fingerprint(host)[-16:], b"packet", UnixSeconds(START - 500 * DAY)),
            expires_at=end if kind == "key-expires" else None,
            revoked_at=end if kind in ("key-revoked", "key-hard-revoked") else None,
            hard_revoked=kind == "key-hard-revoked",
            self_signed_at=UnixSeconds(self.now),
            user_ids=(user_id,),
        )
        vouching = Certification(
            *(fingerprint(by), key.fingerprint, user_id.text, made_at),
            expires_at=end if kind == "expires" else None,
            revoked_at=end if kind == "revoked" else None,
            weak=kind == "weak",
            approved_at=made_at if kind == "approves" else None,
        )
        CertificateStore(self.store, "test", self.now).add_certificates([(key, [vouching] if host != by else [])])

    def endorsement(self, host: int, by: int, made: int, ends: int | None) -> None:
        """A row of an operator's table."""
        end = None if ends is None else UnixSeconds(self.now + ends * DAY)
        row = Endorsement(
            *(Identity.openpgp(fingerprint(by)), Identity.openpgp(fingerprint(host))),
            *(UnixSeconds(self.now + made * DAY), end),
        )
        add_endorsements(self.store, [row], 1)

    def history(self, host: int, by: int, age: int, good: int, bad: int) -> None:
        """A day of an operator's table."""
        subject, observer = Identity.openpgp(fingerprint(host)), Identity.openpgp(fingerprint(by))
        day = Day(self.now // DAY - age)
        add_history(self.store, [DailyCount(observer, subject, day, good, bad)], 1)

    def mail(self, host: int, by: int, bad: bool, count: int) -> None:
        """Mail observed today, by name; the identities may be new."""
        outcome = Outcome.SPAM if bad else Outcome.GOOD
        kinds = (Identity.openpgp(fingerprint(host)), Identity.dkim(f"op{host // 2}.example"))
        ObservationWriter(self.store).add(
            [
                Observation(
                    *(UnixSeconds(self.now - i), name_of(by), identity, Result.PASS, outcome, f"{self.now} {i}"),
                    name_of(host),
                )
                for i in range(count)
                for identity in kinds
            ]
        )

    def prune(self) -> None:
        prune(self.store, Day(self.now // DAY - 2))

    def wait(self, days: int, seconds: int) -> None:
        self.now += days * DAY + seconds


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'test.db'}", create=True)
    sa.event.listen(opened.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    yield opened
    opened.close()


def empty(store: Store) -> Site:
    """A site that begins with one host and has never been scored."""
    with store.writing() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table is not schema.change:
                connection.execute(sa.delete(table))
    site = Site(store, Recomputation(store, SETTINGS))
    site.certificate(0, 0, 0, None, "")
    return site


hosts = st.integers(0, HOSTS - 1)
ends = st.sampled_from([None, None, -20, 0, 1, 2, 30])
kinds = st.sampled_from(
    [
        *([""] * 6),
        *("expires", "revoked", "user-id-revoked", "key-expires", "key-revoked", "key-hard-revoked", "weak"),
        *("approves", "approves-of-none"),
    ]
)
happenings = st.one_of(
    st.tuples(st.just("certificate"), hosts, hosts, st.sampled_from([-30, -1, 0, 0, 2]), ends, kinds),
    st.tuples(st.just("certificate"), hosts, st.just(0), st.just(0), st.none(), st.just("")),
    st.tuples(st.just("endorsement"), hosts, hosts, st.sampled_from([-30, 0, 2]), ends),
    st.tuples(st.just("history"), hosts, hosts, st.sampled_from([-1, 0, 1, 40]), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("mail"), hosts, hosts, st.booleans(), st.integers(1, 5)),
    st.tuples(st.just("prune")),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 3, 29]), st.sampled_from([0, 1])),
)


@checked(40)
@given(st.lists(st.lists(happenings, min_size=1, max_size=4), min_size=2, max_size=6))
def test_scoring_from_what_changed_is_scoring_from_everything(store: Store, story: list[list[tuple[str, ...]]]) -> None:
    site = empty(store)
    assert "everything was read: this is the first run" in site.same().notes
    for chapter in story:
        for what, *details in chapter:
            getattr(site, what)(*details)
        assert not whole(site.same())


@pytest.fixture
def site(store: Store) -> Site:
    begun = empty(store)
    begun.certificate(2, 0, -1, 5, "expires")
    begun.certificate(4, 2, -1, None, "")
    begun.same()
    return begun


def whole(run: ScoreRun) -> list[str]:
    return [note for note in run.notes if "was read" in note]


def test_an_expiry_counts_without_anything_written(site: Site) -> None:
    before = site.same().generation.endorsements
    site.wait(5, 0)
    run = site.same()
    assert run.generation.endorsements == before - 1
    assert not whole(run)
    site.wait(-5, 0)
    assert site.same().generation.endorsements == before


def test_an_endorser_whose_key_comes_later_may_turn_out_to_be_the_same_operator(site: Site) -> None:
    site.certificate(7, 6, -1, None, "")
    before = site.same().generation.endorsements
    site.certificate(6, 6, 0, None, "")
    run = site.same()
    assert run.generation.endorsements == before - 1
    assert not whole(run)


@pytest.mark.parametrize(("kind", "ends"), [("user-id-revoked", 0), ("key-revoked", 0), ("key-hard-revoked", 30)])
def test_what_a_key_says_of_itself_later_counts(site: Site, kind: str, ends: int) -> None:
    site.certificate(8, 0, -1, None, "")
    before = site.same().generation.endorsements
    site.certificate(8, 8, 0, ends, kind)
    run = site.same()
    assert run.generation.endorsements == before - 1
    assert not whole(run)


def test_mail_of_tomorrow_counts_tomorrow(site: Site) -> None:
    rows = site.rows(site.same())
    site.history(4, 0, -1, 0, 9)
    assert site.rows(site.same()) == rows
    site.wait(1, 0)
    assert site.rows(site.same()) != rows


def test_any_algorithm_may_follow_any_other(site: Site) -> None:
    for algorithm in ("pagerank", "trustgraph", "history", "endorsement-count"):
        assert not whole(site.same(algorithm))


def test_an_algorithm_that_needs_more_reads_everything(site: Site) -> None:
    assert whole(site.same("authentication")) == ["everything was read: authentication needs more than is kept"]
    assert not whole(site.same())


def test_forgotten_changes_make_it_read_everything(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEPT", 2)
    for host in range(3, 8):
        site.certificate(host, 0, 0, None, "")
    with site.store.writing() as connection:
        changes.forget_changes(connection)
    assert whole(site.same()) == ["everything was read: what changed since the last run is not on record"]
    assert not whole(site.same())


def test_another_database_in_the_same_place_is_read_whole(site: Site) -> None:
    with site.store.writing() as connection:  # as if restored from a copy, and then changed otherwise
        connection.execute(sa.text("UPDATE change SET mark = mark + 1"))
    assert whole(site.same()) == ["everything was read: what changed since the last run is not on record"]


def test_other_scopes_are_read_whole(store: Store) -> None:
    site = empty(store)
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE user_id SET scope = 3"))
    site.same()
    site.certificate(1, 0, 0, None, "")
    assert whole(site.same()) == ["everything was read: other User IDs make endorsements now"]


def test_requiring_approval_reads_everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    site = empty(store)
    site.certificate(2, 0, -1, None, "")
    site.certificate(4, 0, -1, None, "approves")
    assert site.same().generation.endorsements == 2
    strict = SETTINGS.model_copy(update={"policy": Policy(quorum=1, require_approval=True)})
    site.recomputation._settings = strict
    monkeypatch.setattr("tests.unit.services.test_recomputation.SETTINGS", strict)
    run = site.same()
    assert whole(run) == ["everything was read: other User IDs make endorsements now"]
    assert run.generation.endorsements == 1
    site.certificate(4, 4, 0, None, "approves-of-none")
    assert site.same().generation.endorsements == 0


def test_a_row_that_nobody_spoke_of_is_never_misread(site: Site) -> None:
    with site.store.writing() as connection:
        connection.execute(sa.text("INSERT INTO identity (id, name) VALUES (900, 'dkim:a.example')"))
        connection.execute(
            sa.text("INSERT INTO daily_count VALUES (900, 1, :day, 5, 0, 0, 0, 0)"), {"day": site.now // DAY}
        )
        changes.record_changes(connection, changes.Change.MAIL, [900])
    [note] = whole(site.same())
    assert note.startswith("everything was read: what changed does not fit what was known")


def test_after_an_error_everything_is_read(site: Site) -> None:
    with pytest.raises(Exception, match="anchor"):
        site.recomputation.run(
            anchors={}, algorithm="trustgraph", reference_time=UnixSeconds(site.now), now=UnixSeconds(site.now)
        )
    assert whole(site.same()) == ["everything was read: this is the first run"]
