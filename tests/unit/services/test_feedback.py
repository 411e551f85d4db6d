"""Feedback as a whole: mail through the gate, copies and reports read back, and what becomes of the counts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.unit.feedback.copies_of_mail import AT, PEER, REPORTER, US, letter, report, stored
from tests.unit.services import site
from tests.unit.services.serving import know_peer
from tests.unit.verifier.letters import MESSAGE_BODY, MESSAGE_FIELDS, SENDER, bound, key_of, signed_by
from tests.unit.verifier.letters import PEER as PEER_HOST
from trustgraph.headersig.message import Field, join_message
from trustgraph.headersig.signing import Envelope
from trustgraph.model import Day, Identity, Observation, Outcome, Result, UnixSeconds
from trustgraph.services import feedback as service
from trustgraph.services.feedback import Fate, FeedbackCounts, ingest_feedback, report_message
from trustgraph.services.gate import open_gate, state_of
from trustgraph.services.messages import judge_message
from trustgraph.settings import Feedback, Ingest, Settings, Site
from trustgraph.store import Store, open_store
from trustgraph.store.observations import ObservationWriter, prune
from trustgraph.verifier.examine import Client
from trustgraph.verifier.results import render_results
from trustgraph.verifier.spool import Drain

NOW = UnixSeconds(AT + 3_600)
GOOD, SPAM, MALWARE = Outcome.GOOD, Outcome.SPAM, Outcome.MALWARE
SETTINGS = Settings(
    site=Site(hostname=US),
    ingest=Ingest(authserv_ids=(US,)),  # type: ignore[call-arg]  # defaults behind aliases
    feedback=Feedback(reporters=(REPORTER,), traps=("trap@example.org",)),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'test.db'}", create=True)
    batch = [Observation(AT, US, PEER, Result.PASS, GOOD, f"<{number}@peer.example>") for number in range(1, 6)]
    ObservationWriter(opened).add(batch)
    yield opened
    opened.close()


def daily(store: Store) -> tuple[int, ...]:
    """good, spam, malware, unknown of everything."""
    query = "SELECT sum(good), sum(spam), sum(malware), sum(unknown) FROM daily_count"
    with store.reading() as connection:
        return tuple(connection.execute(sa.text(query)).one())


def maildir(path: Path, *messages: bytes) -> Path:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(messages, start=1):
        (path / "new" / f"{number}.M1.host").write_bytes(octets)
    return path


def ingest(store: Store, *paths: Path, **more: object) -> dict[str, int]:
    """What was counted, without what was not."""
    counts = asdict(ingest_feedback(store, SETTINGS, paths, NOW, **more))  # type: ignore[arg-type]
    return {name: number for name, number in counts.items() if number and name != "problems"}


def numbered(number: int) -> str:
    return letter(f"<{number}@peer.example>")


# Maildirs, mbox files, tables.


def test_a_genuine_report_moves_one_count(store: Store, tmp_path: Path) -> None:
    box = maildir(tmp_path / "box", report(stored(numbered(1))))
    assert ingest(store, box) == {"pieces": 1, "moved": 1}
    assert daily(store) == (4, 1, 0, 0)


def test_every_fate(store: Store, tmp_path: Path) -> None:
    box = maildir(
        tmp_path / "box",
        report(stored(numbered(1))),
        report(stored(numbered(1))),
        report(stored(numbered(2)), results=None),
        report(stored(numbered(99))),
        report(letter("<3@peer.example>").encode()),
        report(stored(numbered(4)), kind="auth-failure"),
        report(stored(numbered(4))).replace(b"Version: 1", b"Version: 9"),
        stored(numbered(5)),
        stored(numbered(5), above=("X-Spam-Flag: YES",)),
        b"\0\n\n",
    )
    assert ingest(store, box) == {
        "pieces": 10,
        "moved": 2,
        "same": 1,
        "unauthenticated": 1,
        "unknown": 1,
        "ambiguous": 1,
        "no_verdict": 2,
        "malformed": 2,
    }
    assert daily(store) == (3, 2, 0, 0)


def test_the_same_again_is_not_read_and_read_it_changes_nothing(store: Store, tmp_path: Path) -> None:
    box = maildir(tmp_path / "box", report(stored(numbered(1))), report(stored(numbered(99))))
    ingest(store, box)
    assert ingest(store, box) == {"pieces": 1, "unknown": 1}  # it may only not have been seen yet
    (box / "new" / "1.M1.host").rename(box / "cur" / "1.M1.host:2,S")
    assert ingest(store, box) == {"pieces": 1, "unknown": 1}
    assert ingest(store, box, again=True) == {"pieces": 2, "same": 1, "unknown": 1}
    assert daily(store) == (4, 1, 0, 0)


def test_what_was_reported_before_it_was_ingested_counts_the_next_time(store: Store, tmp_path: Path) -> None:
    box = maildir(tmp_path / "box", report(stored(numbered(99))))
    ingest(store, box)
    ObservationWriter(store).add([Observation(AT, US, PEER, Result.PASS, GOOD, "<99@peer.example>")])
    assert ingest(store, box) == {"pieces": 1, "moved": 1}
    assert ingest(store, box) == {}


def test_mail_that_was_unknown_for_long_is_not_looked_for_again(store: Store, tmp_path: Path) -> None:
    box = maildir(tmp_path / "box", report(stored(numbered(99))))
    late = UnixSeconds(int(os.stat(box / "new" / "1.M1.host").st_ctime) + service.RETRY_SECONDS + 9)
    for pieces in (1, 0):
        assert ingest_feedback(store, SETTINGS, [box], late).pieces == pieces


def test_a_junk_folder_is_its_owners_word(store: Store, tmp_path: Path) -> None:
    box = maildir(tmp_path / "Junk", stored(numbered(1)), stored(numbered(2), to="bert@example.org"))
    assert ingest(store, box, outcome=SPAM) == {"pieces": 2, "moved": 2}
    assert ingest(store, box, outcome=SPAM) == {}
    later = UnixSeconds(NOW + 1)
    assert ingest_feedback(store, SETTINGS, [box], later, outcome=Outcome.UNKNOWN).moved == 2
    assert daily(store) == (5, 0, 0, 0)


def test_one_recipient_votes_once_however_he_is_written(store: Store, tmp_path: Path) -> None:
    """Two others found it good; the same one calls it spam five times over."""
    spellings = ["anna", "Anna", "anna+x", '"anna"', "ANNA+y"]
    rows = [
        f'<1@peer.example>,"{one.replace(chr(34), chr(34) * 2)}@Example.org",spam,2026-11-02T09:30:00Z'
        for one in spellings
    ]
    rows += [f"<1@peer.example>,{one}@example.org,good,2026-11-02T09:30:00Z" for one in ("bert", "carl")]
    table = tmp_path / "feedback.csv"
    table.write_text("message_id,recipient,outcome,at\n" + "\n".join(rows) + "\n")
    assert ingest(store, table)["pieces"] == 7
    assert daily(store) == (5, 0, 0, 0)


def test_mbox_messages_and_json_lines(store: Store, tmp_path: Path) -> None:
    mbox = tmp_path / "box"
    messages = [report(stored(numbered(1))), stored(numbered(2), above=("X-Spam-Status: Yes",))]
    mbox.write_bytes(b"".join(b"From x@y Mon Nov  2 09:00:00 2026\n" + octets + b"\n\n" for octets in messages))
    lines = tmp_path / "lines.jsonl"
    line = '{"message_id":"%s","recipient":"anna@example.org","outcome":"%s","at":"2026-11-02T09:30:00Z"}\n'
    lines.write_text(line % ("<3@peer.example>", "malware") + "{}\n" + line % ("<98@peer.example>", "spam"))
    single = tmp_path / "one.eml"
    single.write_bytes(report(stored(numbered(4))).replace(b"\n", b"\r\n"))
    assert ingest(store, mbox, lines, single) == {"pieces": 6, "moved": 4, "malformed": 1, "unknown": 1}
    assert daily(store) == (1, 3, 1, 0)
    assert ingest(store, mbox, lines, single) == {"pieces": 3, "same": 1, "malformed": 1, "unknown": 1}
    mbox.write_bytes(mbox.read_bytes() + b"From x@y Mon Nov  2 09:00:00 2026\n" + stored(numbered(5)))
    assert ingest(store, mbox) == {"pieces": 3, "same": 2, "no_verdict": 1}


def test_a_path_that_cannot_be_read_stops_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    box = maildir(tmp_path / "box", report(stored(numbered(1))))
    counts = ingest_feedback(store, SETTINGS, [tmp_path / "absent", tmp_path / "folder", box], NOW)
    assert (counts.unread, counts.moved) == (2, 1)
    assert "absent" in counts.problems[0]
    assert "no Maildir" in counts.problems[1]


def test_what_is_malformed_is_named_and_bounded(store: Store, tmp_path: Path) -> None:
    box = maildir(tmp_path / "box", *[b"no header at all\n\n"] * 9, report(stored(numbered(1))))
    counts = ingest_feedback(store, SETTINGS, [box], NOW)
    assert (counts.malformed, counts.moved, len(counts.problems)) == (9, 1, 5)
    assert "1.M1.host" in counts.problems[0]


def test_a_huge_message_is_read_as_far_as_it_matters(store: Store, tmp_path: Path) -> None:
    copy = stored(numbered(1)) + b"x" * 99 + b"\n" * 3_000_000
    assert ingest(store, maildir(tmp_path / "box", report(copy))) == {"pieces": 1, "moved": 1}


def test_too_old_is_said(store: Store, tmp_path: Path) -> None:
    prune(store, Day(AT // 86_400 + 1))
    table = tmp_path / "feedback.csv"
    table.write_text("message_id,recipient,outcome,at\n<1@peer.example>,anna@example.org,spam,2026-11-02T09:30:00Z\n")
    box = maildir(tmp_path / "box", report(stored(numbered(1))))
    assert ingest(store, box, table) == {"pieces": 2, "too_old": 2}
    assert daily(store) == (5, 0, 0, 0)


def test_many_batches(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    box = maildir(tmp_path / "box", *(report(stored(numbered(number))) for number in range(1, 6)))
    assert ingest(store, box) == {"pieces": 5, "moved": 5}
    assert ingest(store, box) == {}


def test_a_name_of_more_messages_than_are_looked_at_is_ambiguous(store: Store, tmp_path: Path) -> None:
    observers = ("mx1.example.org", "mx2.example.org", "mx3.example.org")
    batch = [
        Observation(UnixSeconds(AT + second), observer, PEER, Result.PASS, GOOD, "<same@peer.example>")
        for second in range(1_800)
        for observer in observers
    ]
    ObservationWriter(store).add(batch)
    box = maildir(tmp_path / "box", report(stored(letter("<same@peer.example>"))))
    assert ingest(store, box) == {"pieces": 1, "ambiguous": 1}


# One message.


def test_out_of_junk_again(store: Store) -> None:
    def say(outcome: Outcome, at: int) -> Fate:
        octets = stored(numbered(1))
        return report_message(store, SETTINGS, octets, UnixSeconds(at), outcome=outcome, recipients=["a@example.org"])

    assert [say(SPAM, NOW), say(SPAM, NOW + 1), say(GOOD, NOW + 2), say(SPAM, NOW + 1)] == [
        Fate.MOVED,
        Fate.SAME,
        Fate.MOVED,
        Fate.SAME,
    ]
    assert daily(store) == (5, 0, 0, 0)


def test_a_message_without_an_outcome_is_a_report(store: Store) -> None:
    assert report_message(store, SETTINGS, report(stored(numbered(1))), NOW, outcome=None) is Fate.MOVED
    forged = report(stored(numbered(2)), results=None)
    assert report_message(store, SETTINGS, forged, NOW, outcome=None) is Fate.UNAUTHENTICATED


def test_mail_of_another_identity_under_the_same_message_id_moves_its_own(store: Store) -> None:
    spammer = Identity.dkim("spam.example")
    seen = Observation(UnixSeconds(AT + 5), US, spammer, Result.PASS, GOOD, "<1@peer.example>")
    ObservationWriter(store).add([seen])
    copy = stored(numbered(1), results="dkim=pass header.d=spam.example")
    assert report_message(store, SETTINGS, copy, NOW, outcome=SPAM, recipients=["a@example.org"]) is Fate.MOVED
    query = "SELECT i.name, d.spam FROM daily_count d JOIN identity i ON i.id = d.identity_id ORDER BY i.name"
    with store.reading() as connection:
        assert connection.execute(sa.text(query)).all() == [("dkim:peer.example", 0), ("dkim:spam.example", 1)]


# Through the gate.

RECIPIENTS = (b"Anna+news@example.net", b"bert@example.net")
DATE = "Tue, 1 Sep 2026 00:10:00 +0000"
PEER_KEY = f"openpgp:{key_of(PEER_HOST).fingerprint}"


class Gated:
    """A site whose gate let in a message; ``copy`` is what lies in Anna's mailbox."""

    def __init__(self, home: Path) -> None:
        self.settings = site.site_in(home, feedback={"traps": ["trap@example.net"]})
        know_peer(self.settings)
        self.store = open_store(self.settings.database.url)
        self.now = UnixSeconds(site.NOW + 60)

    def arrives(
        self, fields: list[Field], recipients: tuple[bytes, ...] = RECIPIENTS, *, at: int = site.NOW, to: str = ""
    ) -> bytes:
        octets = join_message(fields, MESSAGE_BODY)

        async def judged() -> bytes:
            async with open_gate(self.settings, recording=True, clock=lambda: UnixSeconds(at)) as gate:
                envelope, client = Envelope(SENDER, recipients), Client(host=PEER_HOST, ip="192.0.2.1")
                found = await judge_message(gate, octets, envelope, client, "4QueueId")
                return render_results(site.US, found.checked, found.evidence, found.decision)

        results = asyncio.run(judged()).decode().partition(";")[2].replace("\r\n", "\n")
        Drain(state_of(self.settings, "spool"), self.store).run_once()
        sent = octets.replace(b"\r\n", b"\n").decode()
        copy = stored(sent, results=results, to=to or "anna@example.net", date=DATE).decode()
        return copy.replace(US, site.US).encode()

    def says(self, copy: bytes, recipient: str = "anna@example.net", outcome: Outcome = SPAM) -> Fate:
        return report_message(self.store, self.settings, copy, self.now, outcome=outcome, recipients=[recipient])


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    made = Gated(tmp_path)
    yield made
    made.store.close()


UNBOUND = bound(recipient=None)


def test_a_copy_of_signed_mail_is_joined_by_signature_and_recipient(gated: Gated) -> None:
    copy = gated.arrives(signed_by(PEER_HOST, envelope=UNBOUND))
    assert daily(gated.store) == (0, 0, 0, 1)
    assert gated.says(copy, "mallory@example.net") is Fate.UNKNOWN
    assert gated.says(copy) is Fate.MOVED
    assert gated.says(copy, "ANNA+x@example.net") is Fate.SAME
    assert gated.says(copy, "bert@example.net", GOOD) is Fate.SAME  # a tie is spam
    assert daily(gated.store) == (0, 1, 0, 0)


def test_two_signed_messages_of_one_name_are_told_apart(gated: Gated) -> None:
    first = gated.arrives(signed_by(PEER_HOST, envelope=UNBOUND))
    second = gated.arrives(signed_by(PEER_HOST, envelope=UNBOUND, n="ffffffffffffffff"), at=site.NOW + 1)
    assert gated.says(first) is Fate.MOVED
    assert gated.says(first) is Fate.SAME
    assert daily(gated.store) == (0, 1, 0, 1)
    assert gated.says(second) is Fate.MOVED
    assert daily(gated.store) == (0, 2, 0, 0)
    row = f'{{"message_id":"<minutes.1@example.org>","recipient":"bert@example.net","outcome":"good","at":"{DATE}"}}'
    lines = Path(gated.settings.milter.state) / "rows.jsonl"
    lines.write_text(row.replace(DATE, "2026-09-01T00:10:30Z"))
    counts = ingest_feedback(gated.store, gated.settings, [lines], gated.now)
    assert counts == FeedbackCounts(pieces=1, ambiguous=1)


def test_spam_under_an_honest_messages_name_and_signature_moves_nothing(gated: Gated) -> None:
    honest = signed_by(PEER_HOST, envelope=UNBOUND)
    gated.arrives(honest)
    altered = [(name, b" Buy" if name == b"Subject" else value) for name, value in honest]
    spam = gated.arrives(altered, at=site.NOW + 1)
    assert gated.says(spam) is Fate.UNKNOWN
    unsigned = gated.arrives(list(MESSAGE_FIELDS), at=site.NOW + 2)
    assert gated.says(unsigned) is Fate.UNKNOWN
    assert daily(gated.store) == (0, 0, 0, 1)


def test_mail_to_a_trap_is_spam_from_the_moment_it_arrives(gated: Gated) -> None:
    gated.arrives(signed_by(PEER_HOST, envelope=UNBOUND), (b"TRAP+x@example.net",))
    assert daily(gated.store) == (0, 1, 0, 0)


def test_a_mailbox_of_a_trap_read_later_is_the_same_vote(gated: Gated, tmp_path: Path) -> None:
    copy = gated.arrives(signed_by(PEER_HOST, envelope=UNBOUND), (b"trap@example.net",), to="trap@example.net")
    counts = ingest_feedback(gated.store, gated.settings, [maildir(tmp_path / "trap", copy)], gated.now)
    assert counts == FeedbackCounts(pieces=1, same=1)
    assert daily(gated.store) == (0, 1, 0, 0)
