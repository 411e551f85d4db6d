"""`ingest feedback` and `feedback` as a mail system calls them: what they say, and exit codes that it can act on."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.feedback.copies_of_mail import AT, PEER, REPORTER, US, letter, report, stored
from trustgraph.cli import run
from trustgraph.model import Observation, Outcome, Result
from trustgraph.store import open_store
from trustgraph.store.observations import ObservationWriter

Run = Callable[..., tuple[int, str, str]]
VOTER = ("--recipient", "anna@example.org")


@pytest.fixture
def trustgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``trustgraph("feedback", …, stdin=b"…")`` at a site that saw one message."""
    monkeypatch.chdir(tmp_path)
    Path("trustgraph.toml").write_text(
        f'[site]\nhostname = "{US}"\n[ingest]\nauthserv_ids = ["{US}"]\n[feedback]\nreporters = ["{REPORTER}"]\n'
    )
    store = open_store("sqlite:///trustgraph.db", create=True)
    ObservationWriter(store).add([Observation(AT, US, PEER, Result.PASS, Outcome.GOOD, "<1@peer.example>")])
    store.close()

    def call(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_a_pipe_says_what_a_message_is(trustgraph: Run) -> None:
    assert trustgraph("feedback", "--outcome", "spam", *VOTER, stdin=stored()) == (
        *(0, "counted: the message is taken for something else now\n"),
        "",
    )
    again = trustgraph("feedback", "--outcome", "spam", *VOTER, "--json", "-", stdin=stored())
    assert again == (0, '{"fate": "same"}\n', "")


def test_a_message_with_crlf_or_a_mailbox_line_is_the_same(trustgraph: Run) -> None:
    crlf = b"From anna@example.org Mon Nov  2 09:00:00 2026\n" + stored().replace(b"\n", b"\r\n")
    assert json.loads(trustgraph("feedback", "--outcome", "spam", *VOTER, "--json", stdin=crlf)[1])["fate"] == "moved"


@pytest.mark.parametrize(
    ("stdin", "fate"),
    [
        (stored(letter("<9@peer.example>")), "unknown"),
        (report(results=None), "unauthenticated"),
        (report(), "moved"),
        (report(kind="auth-failure"), "no_verdict"),
        (report(letter().encode()), "ambiguous"),
    ],
)
def test_nothing_more_to_be_done_is_0(trustgraph: Run, stdin: bytes, fate: str) -> None:
    """A report as it comes to the feedback address, by a pipe without --outcome."""
    arguments = ("--outcome", "spam", *VOTER) if fate == "unknown" else ()
    code, out, _ = trustgraph("feedback", *arguments, "--json", stdin=stdin)
    assert (code, json.loads(out)) == (0, {"fate": fate})


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("--outcome", "spam"), letter().encode()),
        (("--outcome", "spam", "--recipient", "anna"), stored()),
        (("--outcome", "spam", *VOTER), b"no header\n\n"),
        (("--outcome", "spam", *VOTER), b""),
        ((), report().replace(b"Version: 1", b"Version: 7")),
    ],
    ids=["no voter", "no address", "no message", "nothing", "a malformed report"],
)
def test_what_can_never_count_is_65(trustgraph: Run, arguments: tuple[str, ...], stdin: bytes) -> None:
    code, _, err = trustgraph("feedback", *arguments, stdin=stdin)
    assert code == 65
    assert "error" in err


def test_what_has_to_be_mended_here_first_is_75(trustgraph: Run) -> None:
    given = ("feedback", "--outcome", "spam", *VOTER)
    assert trustgraph("--database", "sqlite:///absent.db", *given, stdin=stored())[0] == 75
    assert trustgraph("--config", "absent.toml", *given, stdin=stored())[0] == 75
    assert trustgraph(*given, "absent.eml")[0] == 75
    Path("trustgraph.toml").write_text("[feedback]\nreporter = []\n")
    code, _, err = trustgraph(*given, stdin=stored())
    assert code == 75
    assert "feedback.reporter" in err


def test_an_outcome_that_there_is_not_is_64(trustgraph: Run) -> None:
    assert trustgraph("feedback", "--outcome", "bad", *VOTER, stdin=stored())[0] == 64


def test_ingest_feedback_says_what_became_of_it(trustgraph: Run, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(report())
    (tmp_path / "b.eml").write_bytes(report(results=None))
    code, out, _ = trustgraph("ingest", "feedback", "a.eml", "b.eml")
    assert code == 0
    assert out.startswith("2 pieces of feedback: 1 moved a count, 0 changed nothing")
    assert "1 unauthenticated" in out
    counts = json.loads(trustgraph("ingest", "feedback", "a.eml", "b.eml", "--json")[1])
    assert (counts["same"], counts["unauthenticated"], counts["problems"]) == (1, 1, [])
    taken_back = trustgraph("ingest", "feedback", "--outcome", "good", *VOTER, "-", "--json", stdin=stored())[1]
    assert json.loads(taken_back)["moved"] == 1


def test_paths_that_cannot_be_read_and_files_that_are_none(trustgraph: Run, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(report())
    code, out, err = trustgraph("ingest", "feedback", "absent.eml", "a.eml")
    assert (code, "1 moved" in out, "absent.eml" in err) == (66, True, True)
    (tmp_path / "c.eml").write_bytes(b"nonsense\n")
    code, _, err = trustgraph("ingest", "feedback", "c.eml")
    assert (code, "c.eml:1" in err) == (65, True)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('traps = ["nobody"]', "feedback.traps"),
        ('reporters = ["fbl.example.net"]', "feedback.reporters"),
        ('trusted_fields = ["Subject"]', "feedback.trusted_fields"),
    ],
)
def test_a_wrong_setting_is_named(trustgraph: Run, line: str, key: str) -> None:
    Path("trustgraph.toml").write_text(f"[feedback]\n{line}\n")
    code, _, err = trustgraph("ingest", "feedback", "x")
    assert (code, key in err) == (78, True)
