"""`trustgraph list pipe` and `list mail`: what the mail system is told, whatever happens."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.signed_posts import DAY, LIST, make_key, message, part, pgp_mime, public_block, unsigned, usual_fields
from tests.unit.services.list_site import ANNA, BORIS, add_key, add_list, letters_in, list_settings
from trustgraph.cli import run
from trustgraph.errors import ServiceUnavailable
from trustgraph.model import UnixSeconds
from trustgraph.services import list_gate
from trustgraph.services.list_stash import open_stash
from trustgraph.store import open_store

Run = Callable[..., tuple[int, str, list[dict[str, Any]]]]
NOW = int(time.time())


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The list program: takes a post, or ends with what stands in the file ``code``."""
    made = tmp_path / "list-program"
    made.write_text(
        f'#!/bin/sh\ncat > "{tmp_path}/passed"; echo "$@" > "{tmp_path}/arguments"; exit $(cat "{tmp_path}/code")\n'
    )
    made.chmod(0o755)
    (tmp_path / "code").write_text("0")
    return made


@pytest.fixture
def trustgraph(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Runs a command with something on standard input; exit code, output, and the events on standard error."""
    settings = list_settings(tmp_path)
    store = open_store(settings.database.url)
    add_list(store, deliver=f"{program} {{sender}} {{recipient}}")
    stash = open_stash(store, LIST, settings)
    for key in (ANNA, BORIS):
        add_key(stash, key, UnixSeconds(NOW - 30 * DAY))
    store.close()
    monkeypatch.chdir(tmp_path)
    for name in ("TRUSTGRAPH_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, octets: bytes = b"") -> tuple[int, str, list[dict[str, Any]]]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
        code = run(["list", *arguments])
        sys.stdout.flush()
        said = capfdbinary.readouterr()
        events = [json.loads(line) for line in said.err.splitlines() if line.startswith(b"{")]
        return code, said.out.decode(), events

    return call


def good(text: str = "Hello.\n") -> bytes:
    return pgp_mime(ANNA.signing(at=NOW - 60), text)


def test_an_accepted_post_goes_on(trustgraph: Run, tmp_path: Path) -> None:
    post = good()
    code, _, events = trustgraph("pipe", LIST, "--sender", "anna@example.org", "--delivery", "4X", octets=post)
    assert code == 0
    passed = (tmp_path / "passed").read_bytes()
    assert passed.endswith(post.replace(b"\r\n", b"\n"))
    assert passed.startswith(b"Authentication-Results: ")
    assert (tmp_path / "arguments").read_text() == f"anna@example.org {LIST}\n"
    assert [(one["event"], one["fate"], one["reason"]) for one in events] == [("list_post_taken", "passed", "accepted")]


def test_a_program_on_the_command_line(trustgraph: Run, tmp_path: Path, program: Path) -> None:
    words = ["pipe", LIST, "--sender", "anna@example.org", "--", str(program), "a b", "{sender}"]
    assert trustgraph(*words, octets=good())[0] == 0
    assert (tmp_path / "arguments").read_text() == "a b anna@example.org\n"


def test_a_refused_post_goes_nowhere_and_makes_no_bounce(trustgraph: Run, tmp_path: Path) -> None:
    code, _, events = trustgraph("pipe", LIST, "--sender", "eve@stranger.example", octets=unsigned(ANNA.address))
    assert (code, events[0]["fate"]) == (0, "refused")
    assert not (tmp_path / "passed").exists()
    assert [str(one["To"]) for one in letters_in(tmp_path)] == [ANNA.address]
    trustgraph("pipe", LIST, octets=unsigned("eve@stranger.example"))
    assert len(letters_in(tmp_path)) == 1
    assert trustgraph("pipe", LIST, "--bounce", octets=unsigned("eve@stranger.example"))[0] == 77


@pytest.mark.parametrize(("code", "told"), [("75", 75), ("1", 75), ("77", 77), ("67", 77)])
def test_what_the_list_program_says_is_passed_back(trustgraph: Run, tmp_path: Path, code: str, told: int) -> None:
    (tmp_path / "code").write_text(code)
    post = good()
    assert trustgraph("pipe", LIST, "--delivery", "4X", octets=post)[0] == told
    (tmp_path / "code").write_text("0")
    assert trustgraph("pipe", LIST, "--delivery", "4X", octets=post)[0] == 0, "the same delivery again"
    assert trustgraph("pipe", LIST, "--delivery", "5Y", octets=post)[2][0]["reason"] == "replayed"


def test_a_post_that_waits_for_the_list_program_is_not_its_own_replay(trustgraph: Run, tmp_path: Path) -> None:
    """Requeued by hand, it is another delivery, with another trace; it waits until the first must be given up."""
    (tmp_path / "code").write_text("75")
    post = good()
    assert trustgraph("pipe", LIST, "--delivery", "4X", octets=post)[0] == 75
    (tmp_path / "code").write_text("0")
    requeued = b"Received: from here by here id 5Y\r\n" + post
    code, _, events = trustgraph("pipe", LIST, "--delivery", "5Y", octets=requeued)
    assert (code, events[0]["reason"]) == (75, "on-its-way")
    with sqlite3.connect(tmp_path / "trustgraph.db") as hour_later:
        hour_later.execute("UPDATE list_seen SET seen_at = seen_at - 3601")
    assert trustgraph("pipe", LIST, "--delivery", "5Y", octets=requeued)[2][0]["fate"] == "passed"
    assert trustgraph("pipe", LIST, "--delivery", "6Z", octets=requeued)[2][0]["reason"] == "replayed"


def _no_database(home: Path, _: pytest.MonkeyPatch) -> None:
    (home / "trustgraph.db").rename(home / "away")


def _garbage(home: Path, _: pytest.MonkeyPatch) -> None:
    (home / "trustgraph.db").write_bytes(b"no database" * 100)


def _wrong_settings(home: Path, _: pytest.MonkeyPatch) -> None:
    (home / "trustgraph.toml").write_text("[lists]\nno_such = 1\n")


def _exception(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(list_gate, "decide", broken)


def _unavailable(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ServiceUnavailable("gone")

    monkeypatch.setattr(list_gate, "remember", broken)


@pytest.mark.parametrize("break_it", [_no_database, _garbage, _wrong_settings, _exception, _unavailable])
def test_whatever_breaks_the_post_comes_again(
    trustgraph: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, break_it: Callable[..., None]
) -> None:
    break_it(tmp_path, monkeypatch)
    assert trustgraph("pipe", LIST, octets=good())[0] == 75
    assert not (tmp_path / "passed").exists()


def test_a_list_that_there_is_not(trustgraph: Run) -> None:
    code, _, events = trustgraph("pipe", "mice@lists.example", octets=good())
    assert code == 75, "somebody has still to make it"
    assert "no such list" in events[0]["why"]


def test_no_place_to_pass_posts_on_to(trustgraph: Run) -> None:
    assert trustgraph("set", LIST, "--deliver", "")[0] == 0
    code, _, events = trustgraph("pipe", LIST, octets=good())
    assert code == 75
    assert "--deliver" in events[0]["why"]


def test_a_letter_that_cannot_be_sent_undoes_nothing(trustgraph: Run, tmp_path: Path) -> None:
    (tmp_path / "sendmail").write_text("#!/bin/sh\nexit 75\n")
    code, _, events = trustgraph("pipe", LIST, octets=unsigned(ANNA.address))
    assert code == 0
    assert "could not be sent" in events[0]["trouble"]


def test_letters_about_keys(trustgraph: Run, tmp_path: Path) -> None:
    new = make_key(ANNA.address, "another")
    fields = usual_fields(ANNA.address, NOW, To="birds-keys@lists.example", Subject="key")
    letter = message(fields, part(public_block(new).decode(), "application/pgp-keys"))
    code, out, _ = trustgraph("mail", LIST, "--json", octets=letter)
    assert code == 0
    assert json.loads(out) == {
        "action": "deposited",
        "why": "",
        "address": ANNA.address,
        "fingerprint": new.fingerprint,
        "letters": 1,
    }
    assert [str(one["To"]) for one in letters_in(tmp_path)] == [ANNA.address]
    code, out, _ = trustgraph("mail", LIST, "--sender", "", octets=letter)
    assert (code, out) == (0, "ignored: made by a program\n")
    code, out, _ = trustgraph("mail", LIST, "--print-letters", octets=letter)
    assert (code, new.fingerprint in out) == (0, True)
    assert len(letters_in(tmp_path)) == 1
    (tmp_path / "sendmail").write_text("#!/bin/sh\nexit 1\n")
    assert trustgraph("mail", LIST, octets=letter)[0] == 75
    _no_database(tmp_path, pytest.MonkeyPatch())
    assert trustgraph("mail", LIST, octets=letter)[0] == 75
