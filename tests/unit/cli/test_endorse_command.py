"""`trustgraph endorse` and its exit codes, as a person or a script runs it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.endorsing_site import EndorsingSite, endorsing_site, host_key
from tests.unit.cli.hkp_server import HkpServer, hkp_server
from trustgraph.cli import endorse, run
from trustgraph.keyserver.pool import PoolPolicy
from trustgraph.openpgp.making import export_public
from trustgraph.openpgp.transferable import find_certificate
from trustgraph.services import endorsement_keys
from trustgraph.store.own_endorsements import statements_of

ACORN = "mail.acorn.example"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def servers() -> Iterator[list[HkpServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(hkp_server()) for _ in range(2)]


@pytest.fixture
def site(tmp_path: Path, servers: list[HkpServer], monkeypatch: pytest.MonkeyPatch) -> Iterator[EndorsingSite]:
    one_look = partial(PoolPolicy, publish_pauses=(0.0,))  # these servers show at once what they have
    monkeypatch.setattr(endorsement_keys, "PoolPolicy", one_look)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRUSTGRAPH_CONFIG", raising=False)
    made = endorsing_site(tmp_path, [server.url for server in servers])
    acorn = host_key(ACORN)
    for server in servers:
        server.add(export_public(acorn.certificate(), armored=True))
    made.mail(acorn, [5] * 4, unknown=[2], now=int(time.time()))
    made.know(acorn, ACORN, now=int(time.time()))
    yield made
    made.store.close()


@pytest.fixture
def trustgraph(site: EndorsingSite, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["endorse", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def terminal(monkeypatch: pytest.MonkeyPatch, *, yes: bool) -> None:
    monkeypatch.setattr(endorse.sys.stdout, "isatty", lambda: yes)


def test_on_a_terminal_it_only_says_what_it_would_do(
    trustgraph: Run, site: EndorsingSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in ([], ["--publish"]):
        terminal(monkeypatch, yes=True)
        code, _, err = trustgraph(*arguments)
        assert code == 0
        assert "dry run: nothing was signed or published; --no-dry-run does it" in err
    assert trustgraph("--dry-run")[0] == 0
    assert not signed(site)
    terminal(monkeypatch, yes=False)
    assert trustgraph()[0] == 0
    assert signed(site)


def signed(site: EndorsingSite) -> int:
    return len(statements_of(site.store, host_key(ACORN).fingerprint))


def test_a_table_for_people(trustgraph: Run) -> None:
    code, out, _ = trustgraph("--no-dry-run", "--publish")
    assert code == 0
    header, row = next((a, b) for a, b in zip(out.splitlines(), out.splitlines()[1:], strict=False) if ACORN in b)
    assert header.split("  ")[0] == "host"
    for expected in (host_key(ACORN).fingerprint, " 20 ", " 4 ", "0.1611", "issue", "20 good mails on 4 days"):
        assert expected in row
    assert out.count("has it") == 2
    assert "1 keys spoken of; 0 not on every keyserver yet" in out


def test_without_any_mail_it_says_where_mail_comes_from(trustgraph: Run, site: EndorsingSite) -> None:
    with site.store.writing() as connection:
        connection.exec_driver_sql("DELETE FROM daily_count")
    code, _, err = trustgraph("--dry-run")
    assert code == 0
    assert "no signed mail from any host yet" in err


def test_one_object_for_programs(trustgraph: Run, servers: list[HkpServer], site: EndorsingSite) -> None:
    code, out, _ = trustgraph("--dry-run", "--json")
    (line,) = out.splitlines()
    shown = json.loads(line)
    assert (code, shown["dry_run"], shown["issuer"], shown["budget_left"]) == (0, True, site.key.fingerprint, 20)
    (entry,) = shown["entries"]
    assert (
        entry.pop("why")
        == "20 good mails on 4 days, a bad share of at most 16.1 %; its key is not known yet: a run asks"
    )
    assert entry == {
        "host": "",
        "identity": f"openpgp:{host_key(ACORN).fingerprint}",
        "good": 20,
        "bad": 0,
        "unknown": 2,
        "days": 4,
        "bad_share_at_most": pytest.approx(0.1611, abs=1e-4),
        "action": "not-yet",
        "user_id": "",
        "pinned": None,
    }
    shown = json.loads(trustgraph("--no-dry-run", "--publish", "--json")[1])
    assert (shown["dry_run"], shown["done"], shown["unpublished"]) == (False, [host_key(ACORN).fingerprint], 0)
    assert [(one["server"], one["ok"]) for one in shown["published"]] == [(server.url, True) for server in servers]
    (entry,) = shown["entries"]
    assert (entry["action"], entry["host"], entry["user_id"]) == ("issue", ACORN, f"smtp://{ACORN}")


def test_what_is_not_on_every_keyserver_is_69_and_comes_with_the_next_run(
    trustgraph: Run, servers: list[HkpServer]
) -> None:
    servers[1].status = 503
    code, out, err = trustgraph("--no-dry-run", "--publish")
    assert code == 69
    assert f"{servers[1].url} does not have it: http-503" in out
    assert "error: 1 endorsed keys are not on every keyserver; run this again" in err
    assert trustgraph("--no-dry-run")[0] == 0, "nobody asked to publish"
    servers[1].status = 200
    assert trustgraph("--no-dry-run", "--publish")[0] == 0
    certificate = find_certificate(servers[1].keys[host_key(ACORN).fingerprint], host_key(ACORN).fingerprint)
    assert certificate is not None


def test_pin_and_unpin(trustgraph: Run, site: EndorsingSite) -> None:
    fingerprint = host_key(ACORN).fingerprint
    code, _, err = trustgraph("--pin", fingerprint, "--note", "met in person", "--no-dry-run", "--json")
    assert code == 0
    assert f"pinned {fingerprint}" in err
    assert signed(site) == 1
    code, out, err = trustgraph("--unpin", ACORN, "--json")
    assert f"no longer pinned: {fingerprint}" in err
    (entry,) = json.loads(out)["entries"]
    assert (entry["action"], entry["pinned"]) == ("keep", None)


def test_a_pin_on_a_terminal_is_kept_and_signs_nothing_yet(
    trustgraph: Run, site: EndorsingSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(monkeypatch, yes=True)
    code, _, err = trustgraph("--pin", host_key(ACORN).fingerprint, "--note", "x")
    assert code == 0
    assert "dry run" in err
    assert signed(site) == 0
    code, out, _ = trustgraph("--json")
    assert json.loads(out)["entries"][0]["pinned"] == "x"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--pin", ACORN], 64, "--note"),
        (["--pin", ACORN, "--note", "x"], 66, "give its full fingerprint instead"),
        (["--note", "x"], 64, "--note: goes with --pin"),
        (["--pin", ACORN, "--unpin", ACORN, "--note", "x"], 64, "one at a time"),
        (["--pin", ACORN, "--note", "x", "--dry-run"], 64, "--dry-run"),
        (["--unpin", "ab" * 20], 66, "is not pinned"),
        (["--pin", "two words", "--note", "x"], 65, "not a domain name"),
        (["--pin", "mx.example.net", "--note", "x"], 66, "no key of this host"),
    ],
)
def test_errors_name_the_way_out(
    trustgraph: Run, site: EndorsingSite, arguments: list[str], code: int, said: str
) -> None:
    got, out, err = trustgraph(*arguments)
    assert (got, out) == (code, "")
    assert said in err
    assert "bug:" not in err
    assert signed(site) == 0


def test_our_own_key_is_never_pinned(trustgraph: Run, site: EndorsingSite) -> None:
    code, _, err = trustgraph("--pin", site.key.fingerprint, "--note", "x")
    assert code == 64
    assert "nobody vouches for himself" in err


def test_without_a_host_key_a_dry_run_still_shows_the_figures(trustgraph: Run, site: EndorsingSite) -> None:
    site.settings.hostkey.path.unlink()
    code, out, err = trustgraph("--dry-run")
    assert code == 0
    assert host_key(ACORN).fingerprint in out
    assert "there is no host key yet: `trustgraph key new` makes one" in err
    assert trustgraph("--no-dry-run")[0] == 66
