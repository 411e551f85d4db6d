"""``policy check`` and ``policy show`` as an operator runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.services.serving import PEER_KEY, know_peer, rate
from tests.unit.services.site import NOW, site_in
from tests.unit.verifier.letters import PEER
from trustgraph.cli import policy_show, run
from trustgraph.model import Identity, day_of, to_rfc3339
from trustgraph.policy.allowance import Draw
from trustgraph.services.gate import COUNTERS, state_of
from trustgraph.settings import Settings
from trustgraph.store import open_store
from trustgraph.store.accepting import record_signing_hosts
from trustgraph.store.identities import number_identities
from trustgraph.verifier.counters import Counters

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trustgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(policy_show, "now", lambda: NOW)
    for name in ("TRUSTGRAPH_CONFIG", "TRUSTGRAPH_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["policy", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def site(home: Path, overrides: str = "", **sections: Any) -> Settings:
    settings = site_in(home, **({"keyservers": {"urls": ["hkp://keys.example"]}} | sections))
    with (home / "trustgraph.toml").open("a") as file:
        file.write(overrides)
    return settings


def override(match: str, action: str, **more: str) -> str:
    lines = {"match": match, "action": action, "note": "as agreed"} | more
    return "[[policy.override]]\n" + "".join(f'{key} = "{value}"\n' for key, value in lines.items())


def shown(trustgraph: Run, *arguments: str) -> Any:
    code, out, err = trustgraph("show", *arguments, "--json")
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    return lines if len(lines) > 1 else lines[0]


def draw(settings: Settings, account: str, recipients: int, pool: str = "all signed") -> None:
    state_of(settings, "").mkdir(exist_ok=True)
    counters = Counters(state_of(settings, COUNTERS))
    assert counters.admit(Draw(day_of(NOW), recipients, {account: 10_000, pool: 10_000}))
    counters.close()


# check


def test_rules_that_are_whole(trustgraph: Run, tmp_path: Path) -> None:
    settings = site(tmp_path, override("mx.peer.example", "allow"))
    know_peer(settings)
    assert trustgraph("check") == (0, "nothing is wrong with these rules\n", "")
    code, out, _ = trustgraph("check", "--json")
    assert (code, json.loads(out)) == (0, {"findings": []})


@pytest.mark.parametrize(
    ("text", "sections", "said"),
    [
        (
            override("peer.example", "deny", expires="2020-01-01"),
            {},
            "policy.override[0] (deny peer.example): it ended",
        ),
        (
            override("peer.example", "allow") + override("mx.peer.example", "allow"),
            {},
            "policy.override[1] (allow mx.peer.example): it has no effect: "
            "policy.override[0] (allow peer.example) decides before it",
        ),
        ("", {"site": {"hostname": ""}}, "without an anchor nobody can be rated"),
        ("", {"scoring": {"algorithm": "guess"}}, "scoring.algorithm: "),
        ("", {"policy": {"accept": 0.1, "refuse": 0.5}}, "refuse = 0.5 must lie below accept = 0.1"),
        ("", {"policy": {"profil": "strict"}}, "policy.profil: no such setting"),
        (override("192.0.2", "allow").replace("192.0.2", "ip:192.0.2"), {}, "expected ip: and an address or network"),
    ],
)
def test_what_is_wrong_exits_78(trustgraph: Run, tmp_path: Path, text: str, sections: Any, said: str) -> None:
    site_in(tmp_path)
    (tmp_path / "sub").mkdir()
    try:
        site(tmp_path / "sub", text, **sections)
    except Exception:  # noqa: BLE001 - the file is there, and that is what is checked
        with (tmp_path / "sub" / "trustgraph.toml").open("a") as file:
            file.write(text)
    for arguments in (("check", "sub/trustgraph.toml"), ("check", "sub/trustgraph.toml", "--json")):
        code, out, err = trustgraph(*arguments)
        assert (code, said in err) == (78, True), err
        assert "nothing is wrong" not in out


def test_what_may_be_meant_so_is_said_and_no_more(trustgraph: Run, tmp_path: Path) -> None:
    text = override("nobody.example", "deny") + override("ip:192.0.2.0/24", "deny") + override("ip:192.0.2.7", "allow")
    site(tmp_path, text, keyservers={"urls": []}, policy={"newcomer_messages": 1_500})
    code, out, err = trustgraph("check")
    assert code == 78  # the last one
    assert "(allow ip:192.0.2.7/32): it has no effect" in err
    assert "policy.override[0] (deny nobody.example): nothing that the store knows matches it" in err
    assert "policy.override[1]" not in err.replace("policy.override[1] (deny ip:192.0.2.0/24) decides", "")
    assert "policy.override[2] (allow ip:192.0.2.7/32): nothing that the store knows" in err
    assert "keyservers.urls: none given" in err
    assert "1500 is more than half of newcomer_messages_in_all = 2000" in err
    assert out == ""


@pytest.mark.parametrize("name", ["newcomer_messages", "newcomer_messages_in_all"])
def test_nobody_new_can_begin(trustgraph: Run, tmp_path: Path, name: str) -> None:
    site(tmp_path, policy={name: 0})
    code, _, err = trustgraph("check")
    assert code == 0
    assert f"policy.{name}: 0: no new host can show that its mail is good" in err
    site(tmp_path, policy={name: 0, "profile": "strict"})
    assert trustgraph("check")[2] == ""


def test_a_store_that_cannot_be_asked_is_said(trustgraph: Run, tmp_path: Path) -> None:
    site(tmp_path, override("peer.example", "deny"), database={"url": f"sqlite:///{tmp_path}/absent.db"})
    code, _, err = trustgraph("check")
    assert code == 0
    assert "database.url: not asked whom the overrides speak of" in err
    assert not (tmp_path / "absent.db").exists()


def test_a_file_that_is_not_there_is_no_input(trustgraph: Run, tmp_path: Path) -> None:
    site(tmp_path)
    assert trustgraph("check", "other.toml")[0] == 66


# show


def test_the_rules_and_who_is_on_probation(trustgraph: Run, tmp_path: Path) -> None:
    ended = override("peer.example", "deny", expires="2020-01-01")
    settings = site(tmp_path, ended, policy={"newcomer_messages": 7})
    draw(settings, "new.example", 3)
    draw(settings, "newer.example", 5, "all unsigned")
    told = shown(trustgraph)
    assert (told["profile"], told["newcomer_messages"], told["accept"]) == ("transition", 7, 0.5)
    assert told["overrides"] == [
        {
            **{"match": "peer.example", "action": "deny", "note": "as agreed"},
            **{"expires": "2020-01-01T00:00:00Z", "in_force": False},
        }
    ]
    assert told["newcomers"] == [
        {"account": "newer.example", "messages": 5},
        {"account": "new.example", "messages": 3},
    ]
    assert told["newcomers_today"] == {"all signed": 3, "all unsigned": 5}
    code, out, err = trustgraph("show", "--limit", "1")
    assert code == 0
    assert "has ended" in out
    assert "newer.example" in out
    assert "new.example" not in out.replace("newer.example", "")
    assert "1 more" in err


def test_a_newcomer_and_what_is_left_for_it(trustgraph: Run, tmp_path: Path) -> None:
    settings = site(tmp_path)
    draw(settings, "new.example", 48)
    told = shown(trustgraph, "mx.new.example")
    assert (told["identity"], told["standing"], told["signed_by"]) == (
        "helo:mx.new.example",
        "unrated",
        "an unknown key",
    )
    signed = told["signed"]
    assert (signed["verdict"], signed["reason"], signed["tagged"]) == ("accept", "newcomer", True)
    assert (signed["allowance"]["each"], signed["allowance"]["left"]) == (50, 2)
    assert signed["allowance"]["payers"] == ["new.example"]
    draw(settings, "new.example", 2)
    told = shown(trustgraph, "mx.new.example")
    assert (told["signed"]["verdict"], told["signed"]["reason"]) == ("tempfail", "newcomer-allowance-used")
    assert told["signed"]["reply"].startswith("451 4.7.1 too much mail from a host without standing today; help: ")
    assert told["unsigned"]["reason"] == "unsigned-unrated"


def test_what_all_strangers_have_used_is_nobodys_any_more(trustgraph: Run, tmp_path: Path) -> None:
    settings = site(tmp_path)
    draw(settings, "flood.example", 1_000, "all signed strangers")
    assert shown(trustgraph, "mx.new.example")["signed"]["allowance"]["left"] == 0
    know_peer(settings, 0.3)
    allowance = shown(trustgraph, PEER_KEY)["signed"]["allowance"]
    assert (allowance["each"], allowance["left"]) == (275, 275)


def test_a_host_that_stands_and_its_override(trustgraph: Run, tmp_path: Path) -> None:
    know_peer(site(tmp_path, override("peer.example", "strict")))
    told = shown(trustgraph, PEER_KEY)
    assert (told["standing"], told["rating"], told["expires_at"]) == ("accepted", 0.9, to_rfc3339(NOW + 86_400))
    assert (told["signed"]["verdict"], told["signed"]["reason"]) == ("accept", "accepted")
    assert (told["host"], told["profile"], told["overrides"][0]["action"]) == (PEER, "strict", "strict")
    assert (told["unsigned"]["verdict"], told["unsigned"]["reason"]) == ("reject", "unsigned")


def test_a_host_that_was_seen_to_sign(trustgraph: Run, tmp_path: Path) -> None:
    settings = site(tmp_path)
    know_peer(settings)
    store = open_store(settings.database.url)
    record_signing_hosts(store, {PEER: (PEER_KEY, NOW)})
    store.close()
    told = shown(trustgraph, PEER_KEY)
    assert (told["seen_to_sign"], told["unsigned"]["reason"]) == (True, "signature-expected")
    assert told["signed"]["reason"] == "accepted"
    assert "its host was seen to sign" in trustgraph("show", PEER_KEY)[1]


def test_what_else_its_mail_shows_counts(trustgraph: Run, tmp_path: Path) -> None:
    settings = site(tmp_path)
    know_peer(settings)
    store = open_store(settings.database.url)
    with store.writing() as connection:
        number_identities(connection, {Identity.helo("mx2.peer.example"): "mx2.peer.example"})
    rate(store, Identity.dkim("peer.example"), 0.05)  # a generation in which the key has no rating
    store.close()
    key, domain = shown(trustgraph, PEER)
    assert [one["identity"] for one in key["others"]] == ["dkim:peer.example"]
    assert (key["signed"]["reason"], key["unsigned"]["reason"]) == ("refused", "unsigned-refused")
    assert (domain["standing"], domain["signed"]["reason"]) == ("refused", "refused")


def test_as_text(trustgraph: Run, tmp_path: Path) -> None:
    know_peer(site(tmp_path, override("peer.example", "monitor", expires="2100-01-01")))
    code, out, _ = trustgraph("show", PEER_KEY)
    assert code == 0
    assert out.startswith(f"{PEER_KEY} (mx.peer.example): ")
    assert "judged by monitor" in out
    assert "override: monitor peer.example, as agreed 2100-01-01T00:00:00Z" in out


def test_no_name_at_all_is_bad_input(trustgraph: Run, tmp_path: Path) -> None:
    site(tmp_path)
    assert trustgraph("show", "no name!")[0] == 65


def test_counters_that_cannot_be_read_are_said_to_be_unknown(trustgraph: Run, tmp_path: Path) -> None:
    settings = site(tmp_path)
    state_of(settings, "").mkdir()
    state_of(settings, COUNTERS).write_bytes(b"no database" * 1000)
    code, out, err = trustgraph("show", "mx.new.example")
    assert code == 0
    assert "what newcomers used up today is not known" in err
    assert "newcomer" in out
