"""Letters about posts: who gets one, how often, and that nothing of a forger's goes out with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.signed_posts import AT, DAY, LIST, NOW, make_key, pgp_mime, unsigned
from tests.unit.services.list_site import (
    ANNA,
    ANNAS_ALIAS,
    BORIS,
    OWNER,
    add_key,
    at,
    letters_in,
    list_site,
)
from trustgraph.errors import ServiceUnavailable
from trustgraph.mailinglist.model import Action
from trustgraph.model import UnixSeconds
from trustgraph.services import list_answers
from trustgraph.services.list_answers import follow_up
from trustgraph.services.list_gate import Checked, PostGate
from trustgraph.services.list_stash import Stash


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    with list_site(tmp_path) as opened:
        yield opened


def judged(stash: Stash, octets: bytes, **more: Any) -> Checked:
    return PostGate(stash, at()).check(octets, **more)


def written(stash: Stash, octets: bytes, **more: Any) -> int:
    return follow_up(stash, judged(stash, octets, **more), NOW)


def holding(stash: Stash) -> Stash:
    rules = replace(stash.list.rules, on_unsigned=Action.HOLD, on_unknown=Action.HOLD)
    return replace(stash, list=replace(stash.list, rules=rules))


def test_what_is_let_in_is_not_answered(stash: Stash, tmp_path: Path) -> None:
    assert written(stash, pgp_mime(ANNA)) == 0
    tagging = replace(stash, list=replace(stash.list, rules=replace(stash.list.rules, on_unsigned=Action.TAG)))
    assert written(tagging, unsigned(ANNA.address)) == 0
    assert letters_in(tmp_path) == []


def test_a_subscriber_is_told_why_and_what_to_do(stash: Stash, tmp_path: Path) -> None:
    stranger = make_key("carl@example.com")
    post = pgp_mime(stranger, author=f"Anna <{ANNA.address}>", Subject="Buy swifts", Message_ID="<7@example.org>")
    assert written(stash, post) == 1
    (letter,) = letters_in(tmp_path)
    assert letter["To"] == ANNA.address
    assert letter["From"] == "birds-keys@lists.example"
    assert letter["Auto-Submitted"] == "auto-replied"
    assert letter["In-Reply-To"] == "<7@example.org>"
    text = letter.get_content()
    for part in ("unknown-key", "on_unknown = reject", stranger.fingerprint, ANNA.fingerprint, "<7@example.org>"):
        assert part in text
    assert "birds-keys@lists.example" in text
    assert "swifts" not in letter.as_string(), "nothing that a forger wrote is delivered for him"


def test_under_an_alias_the_answer_goes_there(stash: Stash, tmp_path: Path) -> None:
    assert written(stash, unsigned(ANNAS_ALIAS)) == 1
    assert [letter["To"] for letter in letters_in(tmp_path)] == [ANNAS_ALIAS]


@pytest.mark.parametrize(
    "post",
    [
        unsigned("carl@example.com"),
        pgp_mime(make_key("carl@example.com")),
        unsigned(ANNA.address, Auto_Submitted="auto-generated"),
        unsigned(ANNA.address, Precedence="bulk"),
        b"garbage",
        b"From: anna@example.org, boris@example.net\r\n\r\nHello\r\n",
    ],
    ids=["stranger", "stranger who signs", "automatic", "bulk", "garbage", "two authors"],
)
def test_nobody_else_is_answered(stash: Stash, tmp_path: Path, post: bytes) -> None:
    assert written(stash, post) == 0
    assert letters_in(tmp_path) == []


def test_what_could_not_be_judged_is_not_answered(
    stash: Stash, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = judged(stash, unsigned(ANNA.address))
    tempfail = replace(checked.decision, verdict="tempfail", reason="broken")
    assert follow_up(stash, replace(checked, decision=tempfail), NOW) == 0
    assert letters_in(tmp_path) == []


def test_once_a_day_about_one_reason(stash: Stash, tmp_path: Path) -> None:
    assert [written(stash, unsigned(ANNA.address)) for _ in range(3)] == [1, 0, 0]
    assert written(stash, pgp_mime(BORIS, author=ANNA.address)) == 1
    assert written(stash, unsigned(BORIS.address)) == 1
    assert written(stash, unsigned(ANNAS_ALIAS)) == 0, "an alias is the same person"
    checked = judged(stash, unsigned(ANNA.address))
    assert follow_up(stash, checked, UnixSeconds(NOW + DAY)) == 1


def test_few_a_day_to_one_author(stash: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = judged(stash, unsigned(ANNA.address))
    reasons = ["unsigned", "replayed", "unknown-key", "partly-signed", "encrypted", "key-expired", "weak-hash"]
    sent = [
        follow_up(stash, replace(checked, decision=replace(checked.decision, reason=reason)), NOW) for reason in reasons
    ]
    assert sum(sent) == list_answers.TO_ONE_AUTHOR == 5


def test_a_list_has_an_end_too(stash: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_answers, "OF_ONE_LIST", 1)
    assert written(stash, unsigned(ANNA.address)) == 1
    assert written(stash, unsigned(BORIS.address)) == 0


def test_a_held_post_is_told_to_moderators_and_its_author(stash: Stash, tmp_path: Path) -> None:
    waiting = holding(stash)
    checked = judged(waiting, unsigned(ANNA.address, Subject="Swifts \x1b[2J\x85Bcc: all@example.org"))
    assert follow_up(waiting, checked, NOW) == 2
    letters = {letter["To"]: letter for letter in letters_in(tmp_path)}
    assert set(letters) == {OWNER, ANNA.address}
    to_owner = letters[OWNER]
    assert to_owner["Auto-Submitted"] == "auto-generated"
    assert to_owner["Bcc"] is None
    text = to_owner.get_content()
    assert f"trustgraph list approve {LIST} {checked.held_name}" in text
    assert ANNA.address in text
    assert "\x1b" not in text
    assert "waits for a moderator" in letters[ANNA.address].get_content()


def test_a_strangers_held_post_is_told_to_moderators_alone(stash: Stash, tmp_path: Path) -> None:
    assert written(holding(stash), unsigned("carl@example.com")) == 1
    assert [letter["To"] for letter in letters_in(tmp_path)] == [OWNER]


def test_a_retry_of_a_held_post_tells_nobody_again(stash: Stash) -> None:
    waiting, post = holding(stash), unsigned("carl@example.com")
    assert written(waiting, post) == 1
    assert written(waiting, post) == 0


def test_moderators_get_so_many_letters_a_day(stash: Stash, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_answers, "TO_MODERATORS", 2)
    waiting = holding(stash)
    assert [written(waiting, unsigned("carl@example.com")) for _ in range(4)] == [1, 1, 0, 0]


def test_a_letter_that_could_not_be_sent_does_not_count(stash: Stash, tmp_path: Path) -> None:
    program = tmp_path / "sendmail"
    works = program.read_text()
    program.write_text("#!/bin/sh\ncat > /dev/null\nexit 75\n")
    with pytest.raises(ServiceUnavailable):
        written(stash, unsigned(ANNA.address))
    program.write_text(works)
    assert written(stash, unsigned(ANNA.address)) == 1


def test_a_moderator_nobody_can_write_to_keeps_no_other_waiting(stash: Stash, tmp_path: Path) -> None:
    waiting = holding(stash)
    waiting = replace(waiting, list=replace(waiting.list, moderators=("no address", OWNER)))
    assert written(waiting, unsigned("carl@example.com")) == 1


def test_expected_are_all_keys_that_would_do(stash: Stash, tmp_path: Path) -> None:
    second = make_key(ANNA.address, "anna's second key")
    add_key(stash, second, at=UnixSeconds(AT - DAY))
    written(stash, unsigned(ANNA.address))
    (letter,) = letters_in(tmp_path)
    assert ANNA.fingerprint in letter.get_content()
    assert second.fingerprint in letter.get_content()
