"""What the plugin for Mailman makes of the command's answers: only a clear yes is a yes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.mailman.asking import Configuration, Done, answer_of, ask, read_configuration, shown

ACCEPT = {"verdict": "accept", "reason": "accepted", "author": "anna@example.org", "automatic": False}


def said(code: int | None, facts: object) -> Done:
    return Done(code, json.dumps(facts).encode())


@pytest.mark.parametrize(("code", "verdict"), [(0, "accept"), (0, "tag"), (77, "reject"), (77, "hold")], ids=str)
def test_code_and_verdict_that_agree(code: int, verdict: str) -> None:
    answer = answer_of(said(code, ACCEPT | {"verdict": verdict}))
    assert (answer.verdict, answer.lets_in) == (verdict, code == 0)
    assert (answer.reason, answer.author, answer.automatic) == ("accepted", "anna@example.org", False)


@pytest.mark.parametrize(
    "done",
    [
        said(0, ACCEPT | {"verdict": "reject"}),
        said(0, ACCEPT | {"verdict": "hold"}),
        said(0, ACCEPT | {"verdict": "tempfail"}),
        said(0, ACCEPT | {"verdict": "ACCEPT"}),
        said(0, ACCEPT | {"verdict": ["accept"]}),
        said(0, {}),
        said(0, [ACCEPT]),
        said(0, "accept"),
        said(0, None),
        said(77, ACCEPT),
        said(75, ACCEPT),
        said(1, ACCEPT),
        said(-9, ACCEPT),
        said(None, ACCEPT),
        Done(0),
        Done(0, b"accept"),
        Done(0, b"\xff\xfe"),
        Done(0, b'{"verdict": "accept"'),
        Done(0, b"[" * 100_000),
        Done(0, json.dumps(ACCEPT | {"more": "x" * 1024 * 1024}).encode()),
    ],
)
def test_all_else_is_not_known(done: Done) -> None:
    answer = answer_of(done)
    assert answer.verdict == "unknown"
    assert answer.reason
    assert not answer.lets_in


@given(st.integers(-20, 130), st.one_of(st.binary(max_size=60), st.from_regex(rb'\{"verdict": "[a-z]{1,9}"\}')))
def test_nothing_but_code_0_and_a_verdict_that_accepts_lets_in(code: int, output: bytes) -> None:
    answer = answer_of(Done(code, output))
    assert not answer.lets_in or (code == 0 and json.loads(output)["verdict"] in ("accept", "tag"))


def test_automatic_unless_the_command_says_that_it_is_not() -> None:
    for value in (None, 0, "false", True):
        assert answer_of(said(77, ACCEPT | {"verdict": "hold", "automatic": value})).automatic
    assert answer_of(said(77, {"verdict": "hold"})).automatic


def script(path: Path, body: str) -> Configuration:
    file = path / "command"
    file.write_text(f"#!{sys.executable}\nimport sys, os, time\n{body}\n")
    file.chmod(0o755)
    return Configuration((str(file), "--config", "a b"), timeout_seconds=30)


def test_arguments_and_octets_arrive_as_they_are_and_mailmans_python_path_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    body = "print(sys.argv[1:], sys.stdin.buffer.read(), sorted(k for k in os.environ if k.startswith('PYTHON')))"
    done = ask(script(tmp_path, body), ["list", "check", "--", "$(id)@x; ls", "-"], b"\x00\xff\r\n")
    assert done.code == 0
    words = ["--config", "a b", "list", "check", "--", "$(id)@x; ls", "-"]
    octets = b"\x00\xff\r\n"
    assert done.output.decode().strip() == f"{words} {octets!r} []"


def test_a_command_that_does_not_end_is_not_waited_for(tmp_path: Path) -> None:
    configuration = script(tmp_path, 'print(\'{"verdict": "accept"}\', flush=True)\ntime.sleep(60)')
    done = ask(Configuration(configuration.command, timeout_seconds=1), [])
    assert done.code is None
    assert not answer_of(done).lets_in
    assert "TimeoutExpired" in done.said


def test_a_command_that_is_not_there() -> None:
    done = ask(Configuration(("/nowhere/trustgraph",)), ["list"], b"octets")
    assert (done.code, answer_of(done).verdict) == (None, "unknown")
    assert "No such file" in answer_of(done).reason


def test_a_complaint_is_its_last_line(tmp_path: Path) -> None:
    done = ask(script(tmp_path, "print('first\\nlast\\x1b[1m', file=sys.stderr); sys.exit(75)"), [])
    assert (done.code, done.said) == (75, "last [1m")
    assert "75: last" in answer_of(done).reason


def test_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "trustgraph.cfg"
    path.write_text(
        "[trustgraph]\ncommand = /opt/tg/bin/trustgraph --config '/etc/my site.toml'\n"
        "timeout = 2m\npatience = 1d\nauthserv_id = MX.example.org\n"
    )
    assert read_configuration(str(path)) == Configuration(
        ("/opt/tg/bin/trustgraph", "--config", "/etc/my site.toml"), 120, 86_400, "mx.example.org"
    )
    path.write_text("[trustgraph]\n")
    assert read_configuration(str(path)) == read_configuration("") == Configuration()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a section"),
        ("[other]\n", "expected a section"),
        ("command = x\n", "no section headers"),
        ("[trustgraph]\ncommand =\n", "command: expected"),
        ("[trustgraph]\ncommand = 'x\n", "No closing quotation"),
        ("[trustgraph]\ntimeout = 60\n", "timeout: expected a time"),
        ("[trustgraph]\ntimeout = 0s\n", "timeout: expected a time"),
        ("[trustgraph]\ntimeout = 11m\n", "at most 600 s"),
        ("[trustgraph]\npatience = 31d\n", "patience: expected a time"),
        ("[trustgraph]\nlists = x\n", "lists: no such setting"),
    ],
)
def test_a_configuration_that_is_wrong_says_what_and_where(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "trustgraph.cfg"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as error:
        read_configuration(str(path))
    assert str(path) in str(error.value)


def test_what_is_shown_is_one_short_line() -> None:
    assert shown("a\r\nb\x1b[2J\u202ec") == "a  b [2J c"
    assert len(shown("x" * 9999)) == 300
