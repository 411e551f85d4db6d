"""What notebooks open and look at: the sample world with its truth, its suspects, and what the gate did to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from trustgraph.errors import NoInput
from trustgraph.model import Outcome
from trustgraph.reports.courses import Course, course_reading, courses_reading
from trustgraph.services.demo import BAD_KINDS
from trustgraph.services.notebook import Site, open_site
from trustgraph.services.relay_report import Investigation, investigate
from trustgraph.services.replay import Past, message_table, play, read_past, rules_of
from trustgraph.services.suspects import (
    course_table,
    endorsed_suspects,
    findings_of,
    gate_courses,
    most_endorsed,
    neighbourhood,
    suspects,
    worst_course,
)
from trustgraph.store import open_store


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as site:
        yield site


@pytest.fixture(scope="module")
def past(site: Site) -> Past:
    return read_past(site.store, site.settings)


@pytest.fixture(scope="module")
def found(site: Site) -> Investigation:
    return investigate(site.store, site.settings)


def test_the_truth_of_the_sample_world_is_not_quite_what_filters_took_it_for(site: Site, past: Past) -> None:
    spam = site.spam(past)
    assert spam is not None
    taken = [message.outcome in (Outcome.SPAM, Outcome.MALWARE) for message in past.messages]
    assert 0.8 < np.mean([a == b for a, b in zip(spam, taken, strict=True)]) < 1.0


def test_what_is_temporary_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_site() as one:
        assert one.temporary is not None
        assert Path(one.temporary.name).is_dir()
    assert list(tmp_path.iterdir()) == []


def test_ones_own_database_is_opened_by_its_settings_and_has_no_truth(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    open_store(url, create=True).close()
    (tmp_path / "trustgraph.toml").write_text(f'[database]\nurl = "{url}"\n')
    with open_site(tmp_path / "trustgraph.toml") as own:
        assert (own.settings.database.url, own.world, own.kinds()) == (url, None, None)
        assert own.spam(Past(None, [], 0, 1)) is None  # type: ignore[arg-type]


def test_suspects_are_bad_hosts_and_worst_first(site: Site, found: Investigation) -> None:
    table = suspects(found)
    assert table["severity"].is_monotonic_decreasing
    kinds = site.kinds()
    assert kinds is not None
    bad = [
        kinds.get(str(finding.identity)) in BAD_KINDS for finding in found.findings if str(finding.identity) in kinds
    ]
    assert np.mean(bad) > 0.95
    (ring,) = findings_of(found, "ring").itertuples()
    assert ring.members == 8
    with pytest.raises(ValueError, match="cartel"):
        findings_of(found, "cartel")


def test_the_gates_course_is_that_of_the_replay(site: Site, past: Past, found: Investigation) -> None:
    courses = gate_courses(past, site.settings, found)
    table = message_table(past, play(past, rules_of(site.settings)))
    (traitor,) = [course for course in courses if course.name == "mail.turncoat1.example"]
    rows = table[table["host"] == traitor.name]
    own = rows[rows["identity"].str.startswith("openpgp:")]
    assert len(traitor.at) == len(rows) >= len(own) > 0
    assert traitor.spam_let_in == int((rows["outcome"].isin(["spam", "malware"]) & (rows["fate"] != "refused")).sum())
    assert 0 < traitor.spam_untagged <= traitor.spam_let_in <= worst_course(courses).spam_let_in
    assert traitor.rating[0] > site.settings.policy.accept > traitor.rating[-1]
    assert course_table(courses)["messages"].sum() == sum(len(course.at) for course in courses)


def test_bought_endorsements_came_in_one_night(found: Investigation) -> None:
    first, *_ = endorsed_suspects(found)
    number, _ = first.fullest_day()
    assert (number, len(first.made_at)) == (12, 13)


def test_the_neighbourhood_says_how_the_suspect_stands(site: Site, found: Investigation) -> None:
    picture = neighbourhood(site.store, site.settings, most_endorsed(found))
    assert picture.png.startswith(b"\x89PNG")
    assert re.search(r"^out13\.freegift\.example rates 0\.[01]\d and is (refused|probation); ", picture.caption)
    with pytest.raises(NoInput, match="no host is suspected"):
        most_endorsed(Investigation(found.generation, found.evidence, found.times, ()))


def course(*messages: tuple[int, str]) -> Course:
    """Messages at these moments: s spam, g good; a capital was kept out, and t is spam let in with a tag."""
    at = np.array([moment for moment, _ in messages], dtype=np.int64)
    spam = np.array([letter in "sStT" for _, letter in messages], dtype=np.bool_)
    let_in = np.array([letter.islower() for _, letter in messages], dtype=np.bool_)
    tagged = np.array([letter in "tT" for _, letter in messages], dtype=np.bool_)
    return Course("mx.example", at, spam, let_in, tagged, at, at / 1e9)


@pytest.mark.parametrize(
    ("messages", "first_spam", "since", "got_in", "untagged"),
    [
        ("", None, None, 0, 0),
        ("ggg", None, None, 0, 0),
        ("gstSGS", 1, 3, 2, 1),
        ("SSgSs", 0, None, 1, 1),
        ("SG", 0, 0, 0, 0),
    ],
)
def test_since_when_a_suspect_is_kept_out(
    messages: str, first_spam: int | None, since: int | None, got_in: int, untagged: int
) -> None:
    one = course(*enumerate(messages))
    assert (one.first_spam, one.kept_out_since, one.spam_let_in, one.spam_untagged) == (
        *(first_spam, since),
        *(got_in, untagged),
    )


def test_readings_are_sentences_of_the_numbers() -> None:
    assert courses_reading([]) == "None of them sent this site anything."
    assert courses_reading([course(*enumerate("gstSGS"))]) == (
        "Of 6 messages from 1 suspect 3 (50%) were kept out. Most spam got in from mx.example: 2 of 4, 1 of them "
        "untagged; all since 1970-01-01T00:00:03Z is kept out."
    )
    assert course_reading(course((0, "s"))) == (
        "First spam 1970-01-01T00:00:00Z; still let in at the end; 1 of 1 spam messages got in, 1 of them untagged, "
        "and 0 others were kept out."
    )
    assert course_reading(course((0, "G"))) == "No spam of mx.example is known; 1 of its messages were kept out."
    with pytest.raises(NoInput, match="no suspect"):
        worst_course([])
