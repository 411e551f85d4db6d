"""`trustgraph list check`, `held`, `approve`, `reject`: what they print, and that no error ever exits 0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.signed_posts import DAY, LIST, make_key, pgp_mime, public_block, unsigned
from tests.unit.services.list_site import ANNA, BORIS, OWNER, add_key, add_list, letters_in, list_settings
from trustgraph.cli import run
from trustgraph.errors import ServiceUnavailable
from trustgraph.model import UnixSeconds
from trustgraph.services.list_stash import open_stash
from trustgraph.store import open_store

Run = Callable[..., tuple[int, str, str]]

NOW = int(time.time())
_PROGRAM = """#!/bin/sh
cat > "{home}/passed"
"""


@pytest.fixture
def trustgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """``trustgraph("list", "check", …)`` at a host with a list that holds what it does not like."""
    settings = list_settings(tmp_path)
    program = tmp_path / "next-hop"
    program.write_text(_PROGRAM.format(home=tmp_path))
    program.chmod(0o755)
    store = open_store(settings.database.url)
    add_list(store, deliver=str(program), on_unknown="hold", on_unsigned="hold")
    stash = open_stash(store, LIST, settings)
    for key in (ANNA, BORIS):
        add_key(stash, key, UnixSeconds(NOW - 30 * DAY))
    store.close()
    monkeypatch.chdir(tmp_path)
    for name in ("TRUSTGRAPH_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        sys.stdout.flush()
        said = capfdbinary.readouterr()
        return code, said.out.decode(), said.err.decode()

    return call


def written(octets: bytes, name: str = "post") -> str:
    Path(name).write_bytes(octets)
    return name


def good(text: str = "Hello.\n") -> bytes:
    return pgp_mime(ANNA.signing(at=NOW - 60), text)


def hold(trustgraph: Run, octets: bytes) -> str:
    code, out, _ = trustgraph("list", "check", LIST, written(octets), "--json", "--no-answer")
    assert code == 77
    return str(json.loads(out)["held"])


def test_a_good_post_exits_0(trustgraph: Run) -> None:
    code, out, err = trustgraph("list", "check", LIST, written(good()))
    assert (code, err) == (0, "")
    assert out == f"accept: accepted\n  signature: pgp-mime pass  {ANNA.fingerprint}\n"
    code, out, _ = trustgraph("list", "check", LIST, "post")
    assert (code, out.splitlines()[0]) == (0, "accept: accepted"), "the same delivery"
    code, out, _ = trustgraph("list", "check", LIST, "post", "--delivery", "4XyZ")
    assert (code, out.splitlines()[0]) == (77, "reject: replayed")
    assert trustgraph("list", "check", LIST, "post", "--client", "192.0.2.1")[0] == 77


def test_from_standard_input_and_tagged(trustgraph: Run, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/trustgraph.db")
    with store.writing() as connection:
        connection.execute(
            sa.text("UPDATE mailing_list SET rules = replace(rules, :hold, :tag)"),
            {"hold": '"on_unsigned":"hold"', "tag": '"on_unsigned":"tag"'},
        )
    store.close()
    done = subprocess.run(
        [sys.executable, "-m", "trustgraph", "list", "check", LIST],
        input=unsigned(ANNA.address),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert (done.returncode, done.stdout) == (0, b"tag: unsigned\n  expected: " + ANNA.fingerprint.encode() + b"\n")


def test_a_refused_post_exits_77_and_says_why(trustgraph: Run, tmp_path: Path) -> None:
    forged = pgp_mime(BORIS.signing(at=NOW - 60), author=ANNA.address)
    code, out, _ = trustgraph("list", "check", LIST, written(forged), "--json")
    said = json.loads(out)
    assert code == 77
    assert {key: said[key] for key in ("verdict", "reason", "flaw", "author", "fingerprint", "expected", "held")} == {
        "verdict": "reject",
        "reason": "another-subscribers-key",
        "flaw": "forged",
        "author": ANNA.address,
        "fingerprint": BORIS.fingerprint,
        "expected": [ANNA.fingerprint],
        "held": None,
    }
    assert said["rule"] == "no forgeries, on all lists"
    assert [one["result"] for one in said["signatures"]] == ["pass"]
    assert [letter["To"] for letter in letters_in(tmp_path)] == [ANNA.address]


def test_a_dry_run_and_no_answer_leave_nothing(trustgraph: Run, tmp_path: Path) -> None:
    post = written(unsigned(ANNA.address))
    code, out, _ = trustgraph("list", "check", LIST, post, "--dry-run", "--json")
    assert (code, json.loads(out)["verdict"], json.loads(out)["held"]) == (77, "hold", None)
    assert trustgraph("list", "held", LIST, "--json")[1] == ""
    forged = written(pgp_mime(BORIS.signing(at=NOW - 60), author=ANNA.address), "forged")
    assert trustgraph("list", "check", LIST, forged, "--dry-run")[0] == 77
    assert trustgraph("list", "check", LIST, post, "--no-answer")[0] == 77
    assert letters_in(tmp_path) == []
    assert len(trustgraph("list", "held", LIST, "--json")[1].splitlines()) == 1


def test_a_letter_that_cannot_be_sent_changes_nothing(trustgraph: Run, tmp_path: Path) -> None:
    (tmp_path / "sendmail").unlink()
    code, out, err = trustgraph("list", "check", LIST, written(unsigned(ANNA.address)))
    assert code == 77
    assert out.startswith("hold: unsigned (held as ")
    assert "a letter could not be sent" in err


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["nobody@lists.example", "post"], 65),
        ([LIST, "no-such-file"], 66),
        ([LIST, "."], 66),
        ([LIST, "post", "--bogus"], 64),
        (["no address", "post"], 65),
    ],
)
def test_what_goes_wrong_before_is_no_accept(trustgraph: Run, arguments: list[str], wanted: int) -> None:
    written(good())
    assert trustgraph("list", "check", *arguments)[0] == wanted


def test_what_goes_wrong_inside_is_a_tempfail(trustgraph: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trustgraph.services import list_gate  # noqa: PLC0415

    def fails(*_arguments: Any, **_named: Any) -> Any:
        raise ServiceUnavailable("the disk is full")

    monkeypatch.setattr(list_gate, "remember", fails)
    code, out, err = trustgraph("list", "check", LIST, written(good()))
    assert (code, out.splitlines()[0]) == (75, "tempfail: broken")
    assert "the disk is full" in err
    assert letters_in(tmp_path) == []


def test_a_database_that_is_gone(trustgraph: Run, tmp_path: Path) -> None:
    post = written(good())
    (tmp_path / "trustgraph.db").unlink()
    assert trustgraph("list", "check", LIST, post)[0] == 78


def test_who_reads_no_further_still_gets_the_exit_code(trustgraph: Run) -> None:
    """An exit code of 0 would let the post in."""
    post = written(pgp_mime(BORIS.signing(at=NOW - 60), author=ANNA.address))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "trustgraph", "list", "check", LIST, post, "--no-answer"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    os.close(writer)
    assert done.returncode == 77


def test_held_posts_are_listed_and_shown_without_their_tricks(trustgraph: Run) -> None:
    post = unsigned(ANNA.address, "Look\x1b[2J here\u202e.\n", Subject="Evil \x1b]0;title\x07")
    name = hold(trustgraph, post)
    code, table, _ = trustgraph("list", "held", LIST)
    assert code == 0
    for part in (name, ANNA.address, "unsigned", ANNA.fingerprint, "Evil"):
        assert part in table
    code, shown, _ = trustgraph("list", "held", LIST, name)
    assert code == 0
    assert "because it is not signed" in shown
    assert "Look\\x1b[2J here\\u202e." in shown
    for text in (table, shown):
        assert "\x1b" not in text
        assert "\u202e" not in text
    said = json.loads(trustgraph("list", "held", LIST, name, "--json")[1])
    assert (said["id"], said["author"], said["reason"]) == (name, ANNA.address, "unsigned")
    assert "Look" in said["message"]


def test_raw_is_the_post_as_it_came(trustgraph: Run) -> None:
    post = unsigned(ANNA.address)
    name = hold(trustgraph, post)
    assert trustgraph("list", "held", LIST, name, "--raw")[1].encode() == post
    assert trustgraph("list", "held", LIST, "--raw")[0] == 64
    assert trustgraph("list", "held", LIST, "0123456789")[0] == 65


def test_approve_with_a_key(trustgraph: Run, tmp_path: Path) -> None:
    new = make_key(ANNA.address, "anna's new key").signing(at=NOW - 60)
    name = hold(trustgraph, pgp_mime(new))
    Path("key").write_bytes(public_block(new))
    code, out, _ = trustgraph("list", "approve", LIST, name, "--key", "key")
    assert (code, out) == (0, f"{name}: approved; key {new.fingerprint} is {ANNA.address}'s\n")
    assert (tmp_path / "passed").exists()
    assert trustgraph("list", "check", LIST, written(pgp_mime(new, "More.\n")))[0] == 0


def test_one_that_fails_keeps_no_other_waiting(trustgraph: Run, tmp_path: Path) -> None:
    name = hold(trustgraph, unsigned(ANNA.address))
    code, out, err = trustgraph("list", "approve", LIST, "nonesuch", name, "--json")
    assert code == 65
    assert json.loads(out) == {"id": name, "action": "approved", "author": ANNA.address, "key": ""}
    assert "no post of that name" in err
    assert (tmp_path / "passed").exists()


def test_reject(trustgraph: Run, tmp_path: Path) -> None:
    first, second = hold(trustgraph, unsigned(ANNA.address)), hold(trustgraph, unsigned(ANNA.address, "Two.\n"))
    code, out, _ = trustgraph("list", "reject", LIST, first)
    assert (code, out) == (0, f"{first}: rejected; its author was told\n")
    code, out, _ = trustgraph("list", "reject", LIST, second, "--silent", "--json")
    assert json.loads(out) == {"id": second, "action": "rejected", "letters": 0}
    assert len(letters_in(tmp_path)) == 1
    assert trustgraph("list", "held", LIST, "--json")[1] == ""


def test_moderators_hear_of_it(trustgraph: Run, tmp_path: Path) -> None:
    trustgraph("list", "check", LIST, written(unsigned("carl@example.com")))
    assert [letter["To"] for letter in letters_in(tmp_path)] == [OWNER]
