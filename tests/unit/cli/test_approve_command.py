"""`trustgraph key approve` against a keyserver: what is offered, what is approved, and what receivers make of it."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.hkp_server import HkpServer, hkp_server
from tests.unit.services.site import US, site_in
from trustgraph.cli import run
from trustgraph.model import UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.framing import Packet, Tag, read_packets, serialise
from trustgraph.openpgp.making import SecretHostKey
from trustgraph.openpgp.transferable import enarmor, find_certificate
from trustgraph.services import approving
from trustgraph.settings import load_settings
from trustgraph.store import open_store

Run = Callable[..., tuple[int, str, str]]

BORN = UnixSeconds(1_700_000_000)
SMTP = f"smtp://{US}"


@pytest.fixture
def trustgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("TRUSTGRAPH_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)

    began, commands = time.time(), itertools.count(1)

    def call(*arguments: str) -> tuple[int, str, str]:
        moment = began + next(commands)  # of what is said in one second neither replaces the other
        monkeypatch.setattr(time, "time", lambda: moment)
        code = run(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


class Merging(HkpServer):
    """Adds what is new to what it has, and verifies nothing, as SKS does."""

    def add(self, armored: bytes) -> None:
        fingerprint = making.read_certificate(armored).fingerprint
        parts: dict[Packet, dict[Packet, None]] = {}
        for blob in (self.keys.get(fingerprint, b""), armored):
            on: dict[Packet, None] = {}
            for packet in read_packets(io.BytesIO(find_certificate(blob, fingerprint) or b""), lambda _problem: None):
                if packet.tag is Tag.SIGNATURE:
                    on[packet] = None
                else:
                    on = parts.setdefault(packet, {})
        packets = (packet for part, signatures in parts.items() for packet in (part, *signatures))
        self.keys[fingerprint] = enarmor(b"".join(map(serialise, packets)))


@pytest.fixture
def keyserver(tmp_path: Path) -> Iterator[HkpServer]:
    with hkp_server(Merging()) as made:
        site_in(tmp_path, keyservers={"urls": [made.url], "timeout": "20s"})
        yield made


def endorser(name: str) -> SecretHostKey:
    return making.new_host_key(f"mx.{name}.example", BORN, seed=name.encode().ljust(32, b"."))


ANNA, BERT, CLEO = endorser("anna"), endorser("bert"), endorser("cleo")


@pytest.fixture
def endorsed(trustgraph: Run, keyserver: HkpServer, tmp_path: Path) -> SecretHostKey:
    """Our key, published, with endorsements by Anna and Bert, whom we know, and Cleo, whom we do not."""
    assert trustgraph("key", "new", "--publish")[0] == 0
    ours = making.load_host_key((tmp_path / "hostkey.pgp").read_bytes())
    certificate = making.read_certificate(keyserver.keys[ours.fingerprint])
    for one in (ANNA, BERT, CLEO):
        making.certify(one, certificate, SMTP, ours.created_at)
    keyserver.keys[ours.fingerprint] = making.export_public(certificate, armored=True)
    for one in (ANNA, BERT):
        keyserver.keys[one.fingerprint] = making.export_public(one.certificate(), armored=True)
    code, _, err = trustgraph("ingest", "keys", "--keyserver", keyserver.url, ANNA.fingerprint, BERT.fingerprint)
    assert (code, err) == (0, "")
    return ours


def offered(out: str) -> dict[str, bool]:
    return {line["issuer"]: line["approved"] for line in map(json.loads, out.splitlines()) if "issuer" in line}


def test_without_arguments_it_shows_and_changes_nothing(
    trustgraph: Run, endorsed: SecretHostKey, keyserver: HkpServer
) -> None:
    before = keyserver.keys[endorsed.fingerprint]
    code, out, err = trustgraph("key", "approve")
    assert (code, err) == (0, "")
    assert [line.split()[:3] for line in sorted(out.splitlines())] == sorted(
        [["not", "approved", one.fingerprint] for one in (ANNA, BERT)]
    )
    assert "mx.anna.example" in out
    code, out, _ = trustgraph("key", "approve", "--json")
    assert (code, offered(out)) == (0, {ANNA.fingerprint: False, BERT.fingerprint: False})
    assert keyserver.keys[endorsed.fingerprint] == before


def endorsers(trustgraph: Run, ours: SecretHostKey, keyserver: HkpServer) -> tuple[int, dict[str, str]]:
    """How many count at this site after fetching our key, and why others do not."""
    assert trustgraph("ingest", "keys", "--keyserver", keyserver.url, ours.fingerprint)[0] == 0
    anchors = [part for one in (ANNA, BERT) for part in ("--anchor", f"openpgp:{one.fingerprint}")]
    assert trustgraph("score", *anchors)[0] == 0
    code, out, _ = trustgraph("explain", ours.fingerprint, "--json")
    assert code == 0
    told: Any = json.loads(out)
    discarded = {one["endorser"].removeprefix("openpgp:"): one["reason"] for one in told["discarded"]}
    code, out, _ = trustgraph("rating", ours.fingerprint, "--json")
    return json.loads(out)["endorsers"], discarded


def test_what_is_approved_and_published_is_all_that_counts(
    trustgraph: Run, endorsed: SecretHostKey, keyserver: HkpServer
) -> None:
    assert endorsers(trustgraph, endorsed, keyserver) == (2, {})
    for names, left in ((["mx.anna.example"], BERT), ([BERT.fingerprint.upper()], ANNA)):
        code, out, err = trustgraph("key", "approve", *names, "--publish", "--json")
        assert (code, err) == (0, "")
        assert offered(out) == {one.fingerprint: one is not left for one in (ANNA, BERT)}
        assert json.loads(out.splitlines()[-1])["ok"] is True
        count, discarded = endorsers(trustgraph, endorsed, keyserver)
        assert (count, discarded) == (1, {left.fingerprint: "the owner has not approved it"})
    assert trustgraph("key", "approve", "--all", "--publish")[0] == 0
    assert endorsers(trustgraph, endorsed, keyserver) == (2, {})
    code, out, _ = trustgraph("key", "approve", "--json")
    assert offered(out) == {ANNA.fingerprint: True, BERT.fingerprint: True}


def test_requiring_approval(
    trustgraph: Run, endorsed: SecretHostKey, keyserver: HkpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUSTGRAPH_POLICY_REQUIRE_APPROVAL", "true")
    count, discarded = endorsers(trustgraph, endorsed, keyserver)
    assert (count, set(discarded.values())) == (0, {"the owner has not approved it"})
    assert trustgraph("key", "approve", "mx.anna.example", "--publish")[0] == 0
    assert endorsers(trustgraph, endorsed, keyserver)[0] == 1


def test_what_is_said_twice_in_a_second_is_what_was_said_last(
    endorsed: SecretHostKey, keyserver: HkpServer, tmp_path: Path
) -> None:
    settings = load_settings(tmp_path / "trustgraph.toml", {})
    store = open_store(settings.database.url)
    moment = UnixSeconds(int(time.time()) + 10)
    for name in ("mx.anna.example", "mx.bert.example"):
        made = approving.approve(store, settings, moment, [name]).certificate
        assert made is not None
        keyserver.add(enarmor(made))
    found = approving.offered(store, settings, UnixSeconds(moment + 10)).offered
    assert {one.label: one.approved for one in found} == {"mx.anna.example": False, "mx.bert.example": True}
    store.close()


def test_what_is_over_is_not_offered(trustgraph: Run, endorsed: SecretHostKey, keyserver: HkpServer) -> None:
    certificate = making.read_certificate(keyserver.keys[endorsed.fingerprint])
    since = endorsed.created_at
    making.revoke_certification(ANNA, certificate, SMTP, since)
    making.certify(BERT, certificate, SMTP, since, expires_at=UnixSeconds(since + 1))
    keyserver.keys[endorsed.fingerprint] = making.export_public(certificate, armored=True)
    code, out, _ = trustgraph("key", "approve", "--all", "--json")
    assert (code, set(offered(out))) == (0, {BERT.fingerprint})
    assert len([line for line in out.splitlines() if "issuer" in json.loads(line)]) == 1


def test_without_publishing_it_prints_what_has_to_be(
    trustgraph: Run, endorsed: SecretHostKey, keyserver: HkpServer
) -> None:
    code, out, err = trustgraph("key", "approve", "--all")
    assert code == 0
    assert "publish the certificate above" in err
    keyserver.add(out[out.index("-----BEGIN") :].encode())
    _, shown, _ = trustgraph("key", "approve", "--json")
    assert offered(shown) == {ANNA.fingerprint: True, BERT.fingerprint: True}
    code, out, _ = trustgraph("key", "approve", "--all", "--json")
    assert json.loads(out.splitlines()[-1])["fingerprint"] == endorsed.fingerprint


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--all", "mx.anna.example"], 64, "--all leaves nothing to name"),
        (["mx.nobody.example"], 66, "neither an identity"),
        ([CLEO.fingerprint], 65, "no certification of it on our key"),
    ],
)
def test_mistakes_are_named(
    trustgraph: Run, endorsed: SecretHostKey, arguments: list[str], code: int, said: str
) -> None:
    found, _, err = trustgraph("key", "approve", *arguments)
    assert (found, said in err) == (code, True), err


def test_keyservers_that_cannot_say(trustgraph: Run, endorsed: SecretHostKey, keyserver: HkpServer) -> None:
    keyserver.status = 503
    assert trustgraph("key", "approve", "--all")[0] == 69
    keyserver.status = 200
    keyserver.keys.clear()
    code, _, err = trustgraph("key", "approve", "--all")
    assert (code, "key publish" in err) == (66, True)


def test_fetching_keys_says_what_is_absent_and_what_nobody_could_say(
    trustgraph: Run, endorsed: SecretHostKey, keyserver: HkpServer
) -> None:
    fetch = ("ingest", "keys", "--keyserver", keyserver.url)
    code, out, err = trustgraph(*fetch, ANNA.fingerprint, "e" * 40, "--json")
    assert (code, json.loads(out)["certificates"]) == (66, 1)
    assert f"{'e' * 40}: no keyserver has it" in err
    assert trustgraph(*fetch, "nonsense")[0] == 65
    keyserver.status = 503
    code, out, err = trustgraph(*fetch, ANNA.fingerprint)
    assert (code, out) == (75, "")
    assert "no keyserver could say (http-503)" in err
