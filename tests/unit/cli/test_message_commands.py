"""`trustgraph sign`, `verify` and `milter`: what they print, and that no error ever exits 0."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.services.site import US, site_in
from trustgraph.cli import run
from trustgraph.errors import StoreBusy
from trustgraph.openpgp.making import export_public, load_host_key
from trustgraph.openpgp.ownparts import read_host_certificate
from trustgraph.store import open_store
from trustgraph.store.accepting import CachedCertificate, write_certificate

Run = Callable[..., tuple[int, str, str]]

PLAIN = "From: anna@example.net\nTo: bert@example.org\nSubject: hello\n\nDear Bert\n"
CLIENT = ["--client-ip", "192.0.2.1", "--client-name", US]


@pytest.fixture
def trustgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """``trustgraph("verify", …)`` at a site with a key: (exit code, standard output, standard error)."""
    site_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("TRUSTGRAPH_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        sys.stdout.flush()
        said = capfdbinary.readouterr()
        return code, said.out.decode(), said.err.decode()

    assert call("key", "new")[0] == 0
    Path("plain").write_text(PLAIN)
    return call


def know_ourselves(tmp_path: Path) -> str:
    """Our own key in the cache, as if fetched."""
    from trustgraph.cli.context import now  # noqa: PLC0415 - only here

    key = load_host_key((tmp_path / "hostkey.pgp").read_bytes())
    certificate = read_host_certificate([export_public(key.certificate())], key.fingerprint, now())
    store = open_store(f"sqlite:///{tmp_path}/trustgraph.db")
    write_certificate(store, CachedCertificate(key.fingerprint, certificate.octets, now()))
    store.close()
    return key.fingerprint


@pytest.fixture
def signed(trustgraph: Run, tmp_path: Path) -> Path:
    know_ourselves(tmp_path)
    code, out, err = trustgraph("sign", "plain", "--mail-from", "<anna@example.net>", "--rcpt", "bert@example.org")
    assert (code, err) == (0, "")
    assert out.startswith("PGP-Header-Signature: v=1; ")
    assert out.endswith(PLAIN)
    path = tmp_path / "signed"
    path.write_text(out)
    return path


def test_a_newcomer_is_accepted_and_a_changed_message_is_refused(trustgraph: Run, signed: Path) -> None:
    code, out, _ = trustgraph("verify", "signed", *CLIENT)
    assert code == 0
    assert out.startswith("accept: newcomer\n")
    assert "answers for it: mx.example.net (openpgp:" in out
    signed.write_text(signed.read_text().replace("Dear Bert", "Dear Carl"))
    code, out, _ = trustgraph("verify", "signed", *CLIENT)
    assert (code, out.splitlines()[0]) == (77, "reject: forged")
    signed.write_text(signed.read_text().replace("Subject: hello", "Subject: other"))
    assert trustgraph("verify", "signed", *CLIENT)[0] == 77


def test_through_another_host_the_envelope_has_to_hold(trustgraph: Run, signed: Path) -> None:
    def verdict(*arguments: str) -> str:
        return str(trustgraph("verify", "signed", "--json", "--client-ip", "192.0.2.1", *arguments)[1])

    holds = json.loads(verdict("--mail-from", "anna@example.net", "--rcpt", "<bert@example.org>"))
    assert (holds["result"], holds["responsible"]["by_client"]) == ("pass", False)
    for other in (["--mail-from", "eve@example.net", "--rcpt", "bert@example.org"], [], ["--mail-from", ""]):
        assert json.loads(verdict(*other))["result"] == "policy"


def test_json_has_what_scripts_read(trustgraph: Run, signed: Path) -> None:
    code, out, _ = trustgraph("verify", "--json", "signed", *CLIENT)
    (line,) = out.splitlines()
    shown = json.loads(line)
    assert code == 0
    assert {"verdict", "reason", "result", "responsible", "signatures"} <= shown.keys()
    assert shown["responsible"].keys() >= {"identity", "host", "rating", "confidence"}
    assert (shown["verdict"], shown["reason"], shown["result"]) == ("accept", "newcomer", "pass")


def test_results_for_the_message(trustgraph: Run, signed: Path) -> None:
    code, out, _ = trustgraph("verify", "signed", "--results", *CLIENT)
    assert code == 0
    assert out.startswith(f"Authentication-Results: {US};\n\tx-pgp-header=pass header.d={US}\n")


def test_nobody_to_ask_is_try_later(trustgraph: Run, signed: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "trustgraph.db") as other:
        other.execute("DELETE FROM cached_certificate")
    code, out, _ = trustgraph("verify", "signed", "--json", *CLIENT)
    assert code == 75
    assert json.loads(out)["reply"].startswith("451 4.7.5 ")


def test_held_and_discarded_are_not_accepted(trustgraph: Run, signed: Path, tmp_path: Path) -> None:
    site_in(tmp_path, policy={"on_newcomer": "quarantine", "on_forged": "discard"})
    assert trustgraph("verify", "signed", *CLIENT)[0] == 77
    signed.write_text(signed.read_text().replace("Dear Bert", "Dear Carl"))
    code, out, _ = trustgraph("verify", "signed", *CLIENT)
    assert (code, out.splitlines()[0]) == (77, "discard: forged")


def test_recording_needs_a_name_and_leaves_a_line(trustgraph: Run, signed: Path, tmp_path: Path) -> None:
    assert trustgraph("verify", "signed", "--record", "--queue-id", "4XyZ", *CLIENT)[0] == 0
    (path,) = (tmp_path / "state" / "spool").glob("*.jsonl")
    assert b'"queue_id":"4XyZ"' in path.read_bytes()
    site_in(tmp_path, site={"hostname": ""})
    code, _, err = trustgraph("verify", "signed", "--record", *CLIENT)
    assert code == 78
    assert "site.hostname" in err


def test_text_of_the_message_reaches_the_terminal_escaped(trustgraph: Run, tmp_path: Path) -> None:
    (tmp_path / "evil").write_bytes(b"PGP-Header-Signature: v=1; \x1b[31m\xe2\x80\xae=x\nFrom: a@x\n\nhello\n")
    code, out, _ = trustgraph("verify", "evil", *CLIENT, "--helo", "\x1b[2J")
    assert code == 0
    assert "signature: permerror malformed-signature" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    (tmp_path / "evil").write_bytes(b"no \x1b[31m field\n\nhello\n")
    code, out, err = trustgraph("verify", "evil", *CLIENT)
    assert (code, out) == (65, "")
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["verify", "absent"], 66, "absent: cannot be read"),
        (["verify", "."], 66, "Is a directory"),
        (["verify", "plain", "--client-ip", "999"], 65, "client: '999' is not an IP address"),
        (["verify", "plain", "--client-name", "a b"], 65, "is not a domain name"),
        (["verify", "plain", "--helo-confirmed"], 65, "is not a domain name"),
        (["sign", "absent"], 66, "absent"),
        (["sign", "nofrom"], 65, "no From field"),
        (["milter", "--mode", "both ways"], 64, "expected sign, verify or both"),
        (["milter", "--workers", "0"], 64, "'--workers'"),
        (["milter", "--workers", "65"], 64, "'--workers'"),
        (["milter", "--listen", "unix:relative"], 78, "absolute path"),
        (["milter", "--listen", "8891"], 78, "inet:HOST:PORT"),
        (["milter", "--listen", "inet:127.0.0.1:99999"], 78, "port from 1 to 65535"),
    ],
)
def test_errors_name_the_way_out(trustgraph: Run, arguments: list[str], code: int, said: str) -> None:
    Path("nofrom").write_text("Subject: x\n\nhello\n")
    got, out, err = trustgraph(*arguments)
    assert (got, out) == (code, "")
    assert said in err
    assert "bug:" not in err


def test_a_milter_without_a_host_name_or_a_key(trustgraph: Run, tmp_path: Path) -> None:
    site_in(tmp_path, site={"hostname": ""})
    code, _, err = trustgraph("milter")
    assert code == 78
    assert "site.hostname" in err


def test_a_message_that_is_too_long(trustgraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trustgraph.cli.message.MAX_MESSAGE_BYTES", len(PLAIN) - 1)
    for command in ("verify", "sign"):
        code, out, err = trustgraph(command, "plain")
        assert (code, out) == (65, "")
        assert "plain: longer than" in err


def broken_database(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def damaged_key(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("UPDATE cached_certificate SET octets = x'00'")


def missing_table(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE rating")


def old_schema(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("UPDATE alembic_version SET version_num = 'older'")


def broken_counters(path: Path) -> None:
    (path.parent / "state").mkdir(exist_ok=True)
    (path.parent / "state" / "counters.db").write_bytes(b"no database " * 1000)


def state_is_a_file(path: Path) -> None:
    (path.parent / "state").write_bytes(b"")


BREAKS = [broken_database, damaged_key, missing_table, old_schema, broken_counters, state_is_a_file]


@pytest.mark.parametrize("wreck", BREAKS)
def test_what_is_broken_never_exits_0(
    trustgraph: Run, signed: Path, tmp_path: Path, wreck: Callable[[Path], None]
) -> None:
    wreck(tmp_path / "trustgraph.db")
    code, out, err = trustgraph("verify", "signed", "--json", *CLIENT)
    assert code in (66, 69, 75, 78)
    assert out == ""
    assert "bug:" not in err
    assert err.startswith("trustgraph: error: ")


class Unforeseen(Exception):
    """A bug."""


@pytest.mark.parametrize(
    ("error", "code"),
    [(Unforeseen(), 70), (StoreBusy("held"), 75)],
)
@pytest.mark.parametrize(
    "where",
    [
        "trustgraph.verifier.examine.Verifier.examine",
        "trustgraph.verifier.examine.Verifier.conclude",
        "trustgraph.services.gate.Gate.record",
        "trustgraph.services.messages.judged_json",
        "trustgraph.verifier.counters.Counters.admit",
        "trustgraph.verifier.standing.StandingSource.rated",
        "trustgraph.services.gate.Gate.aclose",
    ],
)
def test_whatever_is_raised_never_exits_0(
    trustgraph: Run, signed: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception, code: int
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise error

    monkeypatch.setattr(where, fail)
    got, out, _ = trustgraph("verify", "signed", "--json", *CLIENT)
    assert (got, out) == (code, "")


@pytest.mark.parametrize("how", [[], ["--json"], ["--results"]])
def test_who_does_not_read_the_verdict_gets_the_exit_code_all_the_same(
    trustgraph: Run, signed: Path, tmp_path: Path, how: list[str]
) -> None:
    signed.write_text(signed.read_text().replace("Dear Bert", "Dear Carl"))
    reader, writer = os.pipe()
    os.close(reader)
    done = apart(tmp_path, writer, "verify", "signed", *CLIENT, *how)
    os.close(writer)
    assert done.returncode == 77, done.stderr


@pytest.mark.parametrize(
    "command", [["verify", "signed", *CLIENT], ["verify", "signed", "--json", *CLIENT], ["sign", "plain"]]
)
def test_what_cannot_be_written_is_no_success(
    trustgraph: Run, signed: Path, tmp_path: Path, command: list[str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = apart(tmp_path, full.fileno(), *command)
    assert done.returncode == 66, done.stderr
    assert done.stderr == b"trustgraph: error: standard output: cannot be written: No space left on device\n"


def test_a_signed_message_that_nobody_reads_is_no_success(trustgraph: Run, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = apart(tmp_path, writer, "sign", "plain")
    os.close(writer)
    assert done.returncode == 66, done.stderr


def apart(folder: Path, stdout: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """In a process of its own, with a standard output that is written when it is full or flushed."""
    command = [sys.executable, "-m", "trustgraph", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, cwd=folder, env=environment, check=False, timeout=60
    )


def test_sign_reads_standard_input_and_says_when_the_body_is_left_out(trustgraph: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trustgraph", "sign"]
    message = PLAIN.encode().replace(b"\n", b"\r\n") + b"gr\xc3\xbc\xc3\x9fe\r\n"
    done = subprocess.run(command, input=message, capture_output=True, cwd=tmp_path, check=False, timeout=60)
    assert done.returncode == 0
    assert done.stdout.endswith(message)
    assert b"bh=" not in done.stdout
    assert done.stderr == b"trustgraph: signed without the body: 8bit-body\n"
    assert b"bh=" not in trustgraph("sign", "plain", "--headers")[1].encode()
