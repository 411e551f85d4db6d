"""`trustgraph key` and its exit codes, as a person or a script runs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.hkp_server import HkpServer, hkp_server
from tests.unit.services.site import US, secret_key, site_in
from trustgraph.cli import run
from trustgraph.keyserver import pool
from trustgraph.openpgp import making
from trustgraph.openpgp.making import read_certificate

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trustgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``trustgraph("key", …)`` at a site: (exit code, standard output, standard error)."""
    site_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("TRUSTGRAPH_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def keyserver(trustgraph: Run, tmp_path: Path) -> Iterator[HkpServer]:
    with hkp_server() as made:
        site_in(tmp_path, keyservers={"urls": [made.url], "timeout": "20s"})
        yield made


def one_json(text: str) -> Any:
    (line,) = text.splitlines()
    return json.loads(line)


def made(trustgraph: Run, *arguments: str) -> str:
    code, out, _ = trustgraph("key", "new", "--json", *arguments)
    assert code == 0
    return str(one_json(out)["fingerprint"])


def test_new_says_what_to_keep_and_what_comes_next(trustgraph: Run, tmp_path: Path) -> None:
    code, out, err = trustgraph("key", "new")
    assert (code, err) == (0, "")
    assert f"smtp://{US}" in out
    assert f"{tmp_path}/hostkey.pgp.revocation.asc: keep a copy of both elsewhere" in out
    assert "`trustgraph key publish`" in out
    code, out, err = trustgraph("key", "new")
    assert (code, out) == (64, "")
    assert "`trustgraph key rotate` replaces a host key" in err


def test_new_as_json(trustgraph: Run, tmp_path: Path) -> None:
    code, out, _ = trustgraph("key", "new", "--json", "--rsa", "2048", "--expires", "2099-01-01")
    shown = one_json(out)
    assert code == 0
    assert (shown["path"], shown["user_ids"][0]) == (f"{tmp_path}/hostkey.pgp", f"smtp://{US}")
    shown = one_json(trustgraph("key", "show", "--json")[1])
    assert shown["expires_at"] == "2099-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["new", "--rsa", "1024"], 64, "'--rsa'"),
        (["new", "--expires", "2001-01-01"], 64, "lies in the past"),
        (["new", "--expires", "soon"], 65, "RFC 3339"),
        (["new", "--import", "absent.pgp"], 66, "absent.pgp: there is no such file"),
        (["new", "--import", "absent.pgp", "--rsa", "2048"], 64, "--rsa and --expires are for a new one"),
        (["new", "--import", "absent.pgp", "--expires", "2099-01-01"], 64, "--import"),
        (["show"], 66, "`trustgraph key new` makes a host key"),
        (["show", "abc"], 65, "key IDs are not enough"),
        (["show", "ab" * 20], 66, "`trustgraph key fetch`"),
        (["publish"], 66, "`trustgraph key new`"),
        (["fetch", "0x12345678"], 65, "key IDs are not enough"),
        (["fetch", "ab" * 20], 75, "no keyserver could say; configured are: none (keyservers.urls)"),
        (["rotate"], 64, "no host key to replace"),
        (["rotate", "--finish"], 64, "no rotation is under way"),
        (["revoke"], 64, "--reason"),
        (["revoke", "--reason", "bored"], 64, "superseded"),
        (["revoke", "--reason", "retired"], 66, "hostkey.pgp"),
        (["revoke", "--reason", "retired", "--file", "nowhere"], 66, "nowhere"),
    ],
)
def test_errors_name_the_way_out(trustgraph: Run, arguments: list[str], code: int, said: str) -> None:
    got, out, err = trustgraph("key", *arguments)
    assert (got, out) == (code, "")
    assert said in err
    assert "bug:" not in err


def test_a_site_without_a_name_makes_no_key(trustgraph: Run, tmp_path: Path) -> None:
    site_in(tmp_path, site={"hostname": ""})
    code, _, err = trustgraph("key", "new")
    assert code == 78
    assert "site.hostname" in err


def test_a_key_that_others_may_read(trustgraph: Run, tmp_path: Path) -> None:
    made(trustgraph)
    (tmp_path / "hostkey.pgp").chmod(0o640)
    for command in (["show"], ["publish"], ["revoke", "--reason", "retired"]):
        code, out, err = trustgraph("key", *command)
        assert (code, out) == (78, "")
        assert "chmod 600" in err


def test_import_takes_a_private_file_only(trustgraph: Run, tmp_path: Path) -> None:
    blob = tmp_path / "export.asc"
    blob.write_bytes(making.export_secret(secret_key(), armored=True))
    blob.chmod(0o644)
    assert trustgraph("key", "new", "--import", str(blob))[0] == 78
    blob.chmod(0o600)
    assert made(trustgraph, "--import", str(blob)) == secret_key().fingerprint


def test_show(trustgraph: Run) -> None:
    fingerprint = made(trustgraph)
    code, out, _ = trustgraph("key", "show")
    assert code == 0
    for expected in (fingerprint, f"host of   {US}", "expires   never", "revoked   no", "signs by"):
        assert expected in out
    shown = one_json(trustgraph("key", "show", "--json")[1])
    assert shown == {
        "fingerprint": fingerprint,
        "hosts": [US],
        "expires_at": None,
        "revoked": False,
        "signing_keys": [fingerprint],
    }
    armor = trustgraph("key", "show", "--armor")[1]
    assert read_certificate(armor.encode()).fingerprint == fingerprint
    assert "PRIVATE" not in armor


def test_publish_and_fetch_again(trustgraph: Run, keyserver: HkpServer) -> None:
    fingerprint = made(trustgraph)
    code, out, _ = trustgraph("key", "publish")
    assert (code, out) == (0, f"{keyserver.url}: has it\n")
    assert list(keyserver.keys) == [fingerprint]
    assert b"PRIVATE" not in keyserver.keys[fingerprint]
    assert one_json(trustgraph("key", "publish", "--json")[1]) == {
        "fingerprint": fingerprint,
        "server": keyserver.url,
        "ok": True,
        "reason": "",
    }
    assert one_json(trustgraph("key", "fetch", f"0x{fingerprint.upper()}", "--json")[1])["hosts"] == [US]
    assert one_json(trustgraph("key", "show", fingerprint, "--json")[1])["fingerprint"] == fingerprint
    code, _, err = trustgraph("key", "fetch", "ab" * 20)
    assert code == 66
    assert f"no keyserver has it ({keyserver.url})" in err


def test_a_keyserver_that_does_not_keep_it(
    trustgraph: Run, keyserver: HkpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PoolPolicy", partial(pool.PoolPolicy, publish_pauses=(0.0,)))
    keyserver.forgets = True
    code, out, err = trustgraph("key", "new", "--publish")
    assert code == 69
    assert f"{keyserver.url}: does not have it: absent" in out
    assert "run `trustgraph key publish` again" in err
    keyserver.status = 500
    assert trustgraph("key", "publish")[0] == 69
    code, _, err = trustgraph("key", "revoke", "--reason", "retired", "--publish")
    assert code == 69
    assert "revoke it again with --publish" in err
    keyserver.status = 503
    assert trustgraph("key", "fetch", "ab" * 20)[0] == 75


def test_one_keyserver_of_two_is_not_enough(trustgraph: Run, keyserver: HkpServer, tmp_path: Path) -> None:
    with hkp_server() as other:
        site_in(tmp_path, keyservers={"urls": [keyserver.url, other.url], "timeout": "20s"})
        other.status = 503
        code, out, err = trustgraph("key", "new", "--publish")
    assert code == 69
    assert out.splitlines()[-2:] == [f"{keyserver.url}: has it", f"{other.url}: does not have it: http-503"]
    assert "not on every keyserver" in err


def test_a_key_that_cannot_be_kept_is_no_success(
    trustgraph: Run, keyserver: HkpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trustgraph.errors import ServiceUnavailable  # noqa: PLC0415 - only here

    def full(*_: object) -> bool:
        raise ServiceUnavailable("trustgraph.db does not answer: disk full")

    fingerprint = made(trustgraph, "--publish")
    monkeypatch.setattr("trustgraph.verifier.keys.write_certificate", full)
    code, out, err = trustgraph("key", "fetch", fingerprint)
    assert (code, out) == (69, "")
    assert "disk full" in err


def test_rotate_publishes_both_and_finishes(trustgraph: Run, keyserver: HkpServer, tmp_path: Path) -> None:
    old = made(trustgraph)
    code, out, _ = trustgraph("key", "rotate", "--publish", "--json")
    assert code == 0
    new = one_json(out)["fingerprint"]
    assert list(keyserver.keys) == [new]
    assert trustgraph("key", "publish")[0] == 0
    assert set(keyserver.keys) == {old, new}
    shown = one_json(trustgraph("key", "rotate", "--finish", "--json")[1])
    assert shown == {"current": f"{tmp_path}/hostkey.pgp", "old": f"{tmp_path}/hostkey.pgp.{old[:16]}.old"}
    assert one_json(trustgraph("key", "show", "--json")[1])["fingerprint"] == new
    code, out, err = trustgraph("key", "revoke", "--reason", "superseded", "--file", shown["old"])
    assert code == 0
    assert out.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    assert f"{old} is revoked here; publish the certificate above" in err
    assert one_json(trustgraph("key", "show", "--json")[1])["revoked"] is False


def test_revoke_publishes_and_the_key_is_dead(trustgraph: Run, keyserver: HkpServer) -> None:
    fingerprint = made(trustgraph, "--publish")
    code, out, _ = trustgraph("key", "revoke", "--reason", "compromised", "--comment", "stolen", "--publish", "--json")
    assert (code, one_json(out)["ok"]) == (0, True)
    assert one_json(trustgraph("key", "fetch", fingerprint, "--json")[1])["revoked"] is True
    assert one_json(trustgraph("key", "show", "--json")[1])["revoked"] is True
    Path("m").write_text("From: a@x\n\nhello\n")
    code, out, err = trustgraph("sign", "m")
    assert (code, out) == (78, "")
    assert "is revoked" in err


def test_revoke_as_json_gives_the_certificate(trustgraph: Run) -> None:
    fingerprint = made(trustgraph)
    shown = one_json(trustgraph("key", "revoke", "--reason", "retired", "--json")[1])
    assert shown["fingerprint"] == fingerprint
    assert shown["certificate"].startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
