"""``policy replay`` as a person or a script runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from trustgraph.cli import run

KEY = "openpgp:" + "a" * 40
Run = Callable[..., tuple[int, str, str]]


def line(day: int, hour: int, outcome: str = "good") -> str:
    seen = {
        "at": f"2026-10-{day:02d}T{hour:02d}:00:00Z",
        "observer": "mx1.example.org",
        "identity": KEY,
        "result": "pass",
        "outcome": outcome,
        "message_id": f"<{day}.{hour}@sender.example>",
        "host": "mx.sender.example",
    }
    return json.dumps(seen)


@pytest.fixture
def trustgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """In a directory with settings and a store that saw one host's good mail for twenty days, and then spam."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRUSTGRAPH_CONFIG", "TRUSTGRAPH_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    Path("trustgraph.toml").write_text('[site]\nhostname = "mx1.example.org"\n')
    good = [line(day, hour) for day in range(1, 21) for hour in range(8, 13)]
    Path("mail.jsonl").write_text("\n".join([*good, *(line(22, hour, "spam") for hour in range(24))]) + "\n")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    assert run(["ingest", "logs", "mail.jsonl"]) == 0
    capsys.readouterr()
    return call


def test_a_changed_threshold_shows_message_by_message(trustgraph: Run) -> None:
    code, out, _ = trustgraph("policy", "replay", "--set", "policy.accept=0.4", "--every", "1h", "--json")
    said = json.loads(out)
    assert code == 0
    assert (said["messages"], said["from"], said["until"]) == (124, "2026-10-01T08:00:00Z", "2026-10-23T00:00:00Z")
    assert sum(fate["messages"] for fate in said["fates"]) == 124
    earlier = [one for one in said["differences"] if one["after"]["reason"] == "accepted"]
    assert earlier
    assert {one["before"]["reason"] for one in earlier} == {"newcomer"}
    for one in earlier:
        assert (one["identity"], one["host"]) == (KEY, "mx.sender.example")
        assert 0.4 <= one["after"]["rating"] == one["before"]["rating"] < 0.5


def test_the_digest_is_that_of_the_message_id(trustgraph: Run) -> None:
    from trustgraph.store.observations import message_digest  # noqa: PLC0415 - beside its only use

    _, out, _ = trustgraph("policy", "replay", "--set", "policy.profile=strict", "--json")
    first = json.loads(out)["differences"][0]
    assert first["message"] == f"{message_digest('<1.8@sender.example>') & (1 << 64) - 1:016x}"
    assert (first["before"]["fate"], first["after"]["fate"]) == ("delivered", "refused")


def test_a_settings_file_can_be_the_change(trustgraph: Run) -> None:
    Path("other.toml").write_text('[site]\nhostname = "mx1.example.org"\n[policy]\nprofile = "strict"\n')
    code, out, _ = trustgraph("policy", "replay", "--changed", "other.toml", "--limit", "2")
    assert code == 0
    assert "124 messages from 2026-10-01T08:00:00Z" in out
    assert "refused (no-standing)" in out


def test_nothing_changed_in_effect_is_said(trustgraph: Run) -> None:
    code, out, _ = trustgraph("policy", "replay", "--set", "policy.quorum=4")
    assert code == 0
    assert "no message would have been treated otherwise" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 64, "nothing is changed"),
        (("--set", "policy.quorum"), 65, "expected SECTION.KEY=VALUE"),
        (("--set", "policy.quorun=3"), 65, "policy.quorum"),
        (("--set", "nowhere.at=3"), 65, "sections"),
        (("--set", "policy.quorum=none"), 78, "policy.quorum"),
        (("--set", "policy.quorum=2", "--every", "soon"), 65, "--every"),
        (("--set", "policy.quorum=2", "--every", "1s"), 65, "a minute or more"),
        (("--set", "policy.quorum=2", "--from", "2026-11-01"), 65, "before it begins"),
        (("--set", "policy.quorum=2", "--from", "2026-10-21", "--until", "2026-10-21"), 65, "before it begins"),
        (("--set", "policy.quorum=2", "--from", "2026-10-21", "--until", "2026-10-21T12:00:00Z"), 66, "no message"),
    ],
)
def test_what_is_wrong_is_named(trustgraph: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    got, _, err = trustgraph("policy", "replay", *arguments)
    assert (got, said in err) == (code, True), err


def test_a_site_without_a_name_has_no_past(trustgraph: Run) -> None:
    Path("trustgraph.toml").write_text("")
    code, _, err = trustgraph("policy", "replay", "--set", "policy.quorum=2")
    assert code == 78
    assert "site.hostname" in err
