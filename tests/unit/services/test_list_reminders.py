"""Reminders of keys that end, and letters on their way through a real program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.signed_posts import make_key
from tests.unit.openpgp import openpgp_maker as maker
from tests.unit.services.site import site_in
from tests.unit.services.stashes import ANNA, BERT, LIST, NOW, OWNER, stash_in, with_key
from trustgraph.errors import ServiceUnavailable
from trustgraph.mailinglist.letter import compose
from trustgraph.model import UnixSeconds
from trustgraph.services.list_deposits import deposit, revoke
from trustgraph.services.list_letters import new_message_id, send
from trustgraph.services.list_making import new_list
from trustgraph.services.list_reminders import Reminded, remind
from trustgraph.services.list_stash import Stash
from trustgraph.services.schedule_jobs import jobs_of
from trustgraph.settings import Settings

DAY = 86_400
ENDS = NOW + 30 * DAY
HERS = make_key(ANNA, lives_seconds=ENDS - maker.BORN).signing(at=NOW)
HIS = make_key(BERT).signing(at=NOW)


class Post:
    """Takes letters; refuses those to ``broken``."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.broken = ""

    def __call__(self, letter: EmailMessage) -> None:
        if letter["To"] == self.broken:
            raise ServiceUnavailable("the mail system is down")
        self.letters.append(letter)


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    made = stash_in(tmp_path)
    with_key(made, HERS)
    with_key(made, HIS)
    yield made
    made.store.close()


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def at(stash: Stash, post: Post) -> Callable[..., Reminded]:
    """``at(day)``: the reminders of that many days from now."""

    def run(days: float, **options: object) -> Reminded:
        moment = UnixSeconds(int(NOW + days * DAY))
        return remind(stash.store, stash.settings, moment, post, **options)  # type: ignore[arg-type]

    return run


def test_once_a_fortnight_ahead_and_once_when_it_is_over(at: Callable[..., Reminded], post: Post) -> None:
    sent = {day: [(one.address, one.over) for one in at(day).sent] for day in (0, 15.9, 16, 17, 29.9, 30, 31, 60)}
    assert {day for day, some in sent.items() if some} == {16, 30}
    assert (sent[16], sent[30]) == ([(ANNA, False)], [(ANNA, True)])
    assert [letter["To"] for letter in post.letters] == [ANNA, ANNA]
    assert "expires soon" in post.letters[0]["Subject"]
    assert "has expired" in post.letters[1]["Subject"]
    assert HERS.fingerprint in post.letters[0].get_content()


def test_who_was_never_reminded_is_told_that_it_is_over(at: Callable[..., Reminded]) -> None:
    assert [one.over for one in at(40).sent] == [True]
    assert at(41).sent == ()


def test_a_prolonged_key_is_reminded_of_anew(stash: Stash, at: Callable[..., Reminded]) -> None:
    assert len(at(16).sent) == 1
    said = maker.key_flags(3) + maker.subpacket(9, (ENDS + 5 * DAY - maker.BORN).to_bytes(4))
    longer = maker.certify(HERS.primary, HERS.primary, f"Somebody <{ANNA}>", type=0x13, at=NOW + 5, extra=said)
    deposit(stash, ANNA, HERS.public + longer, UnixSeconds(NOW + 17 * DAY))
    assert [(one.expires_at - ENDS, one.over) for one in at(22).sent] == [(5 * DAY, False)]
    assert at(23).sent == ()
    assert [one.over for one in at(35).sent] == [True]


def test_only_keys_that_count_are_reminded_of(stash: Stash, at: Callable[..., Reminded]) -> None:
    following = make_key(ANNA, "next").signing(at=NOW)
    with_key(stash, following, also=[HERS])
    assert at(16).sent == ()
    deposit(stash, BERT, make_key(BERT, "waits", lives_seconds=ENDS - maker.BORN).public, UnixSeconds(NOW + 16 * DAY))
    assert at(16).sent == ()


def test_a_revoked_key_is_not_reminded_of(stash: Stash, at: Callable[..., Reminded]) -> None:
    revoke(stash, ANNA, HERS.fingerprint)
    assert at(16).sent == ()


def test_a_dry_run_sends_and_marks_nothing(at: Callable[..., Reminded], post: Post) -> None:
    assert len(at(16, dry_run=True).sent) == 1
    assert post.letters == []
    assert len(at(16).sent) == 1


def test_what_could_not_be_sent_is_due_again(at: Callable[..., Reminded], post: Post) -> None:
    post.broken = ANNA
    failed = at(16)
    assert (failed.sent, failed.problems) == ((), (f"{LIST}: {ANNA}: the mail system is down",))
    post.broken = ""
    assert len(at(16.1).sent) == 1


def test_a_stash_that_does_not_open_is_in_no_others_way(stash: Stash, at: Callable[..., Reminded]) -> None:
    closed = new_list(stash.store, stash.settings, "bees@lists.example", NOW, encrypt=True)
    Path(closed.key_path).unlink()
    done = at(16)
    assert [one.address for one in done.sent] == [ANNA]
    assert len(done.problems) == 1
    assert done.problems[0].startswith("bees@lists.example: ")


def test_only_the_lists_named_and_only_so_far_ahead(at: Callable[..., Reminded]) -> None:
    assert at(16, addresses=["bees@lists.example"]).sent == ()
    assert at(16, ahead_seconds=DAY).sent == ()
    assert len(at(1, ahead_seconds=29 * DAY, addresses=[LIST]).sent) == 1


# --- through the host's mail system ---

SENDMAIL = """#!/bin/sh
for one in "$@"; do printf '%s\\n' "$one"; done > "{home}/arguments"
cat > "{home}/letter"
"""


def site_with_sendmail(home: Path, script: str = SENDMAIL) -> Settings:
    program = home / "sendmail"
    program.write_text(script.format(home=home))
    program.chmod(0o755)
    return site_in(home, lists={"sendmail": str(program)})


def test_a_letter_goes_out_with_the_null_return_path(tmp_path: Path, stash: Stash) -> None:
    settings = site_with_sendmail(tmp_path)
    letter = compose(stash.list, "-f@example.org", "Grüße", "ä\n.\n", NOW, new_message_id(stash.list))
    send(settings, letter)
    assert (tmp_path / "arguments").read_text() == "-i\n-f\n\n--\n-f@example.org\n"
    assert (tmp_path / "letter").read_bytes() == letter.as_bytes()


@pytest.mark.parametrize(
    ("script", "said"),
    [("#!/bin/sh\necho 'queue is full' >&2\nexit 75\n", "ended with 75: queue is full"), ("", "cannot be run")],
)
def test_a_mail_system_that_says_no_is_unavailable(tmp_path: Path, stash: Stash, script: str, said: str) -> None:
    settings = site_with_sendmail(tmp_path, script)
    with pytest.raises(ServiceUnavailable, match=said):
        send(settings, compose(stash.list, ANNA, "About", "Text", NOW, "<1@x.example>"))


def test_no_mail_system(tmp_path: Path, stash: Stash) -> None:
    settings = site_in(tmp_path, lists={"sendmail": str(tmp_path / "none")})
    with pytest.raises(ServiceUnavailable, match=r"lists\.sendmail"):
        send(settings, compose(stash.list, OWNER, "About", "Text", NOW, "<1@x.example>"))


def test_message_ids_are_at_the_lists_domain_and_never_the_same(stash: Stash) -> None:
    made = {new_message_id(stash.list) for _ in range(50)}
    assert len(made) == 50
    assert all(one.endswith("@lists.example>") for one in made)


def test_the_schedule_reminds(tmp_path: Path, stash: Stash) -> None:
    settings = site_with_sendmail(tmp_path)
    (job,) = (job for job in jobs_of(stash.store, settings, lambda event, /, **fields: None) if job.name == "remind")
    assert job.period_seconds == DAY
    assert job.work(UnixSeconds(NOW + 16 * DAY)) == {"letters": 1}
    assert (tmp_path / "arguments").read_text().endswith(f"--\n{ANNA}\n")
    assert job.work(UnixSeconds(NOW + 17 * DAY)) == {"letters": 0}
    (tmp_path / "sendmail").unlink()
    with pytest.raises(ServiceUnavailable, match=ANNA):
        job.work(UnixSeconds(NOW + 31 * DAY))
