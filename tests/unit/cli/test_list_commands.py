"""`trustgraph list`: lists, subscribers and keys, as an owner or a script does it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.signed_posts import PostKey, armor, make_key, public_block, revocation
from tests.unit.services.site import site_in
from tests.unit.services.stashes import ANNA, BERT, LIST, clear
from trustgraph.cli import run
from trustgraph.cli.context import now
from trustgraph.mailinglist.token import CONSENT
from trustgraph.openpgp.stashed import merge_copies

Run = Callable[..., tuple[int, str, str]]
HERS, NEXT = make_key(ANNA), make_key(ANNA, "next")

SENDMAIL = """#!/bin/sh
for one in "$@"; do to="$one"; done
cat > "{home}/letter-to-$to"
"""


@pytest.fixture
def trustgraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """``trustgraph("show", …)`` is `trustgraph list show …` at a site: (exit code, standard output, standard error)."""
    program = tmp_path / "sendmail"
    program.write_text(SENDMAIL.format(home=tmp_path))
    program.chmod(0o755)
    site_in(tmp_path, lists={"sendmail": str(program)})
    monkeypatch.chdir(tmp_path)
    for name in ("TRUSTGRAPH_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for key, name in ((HERS, "hers"), (NEXT, "next")):
        (tmp_path / f"{name}.asc").write_bytes(public_block(key))

    def call(*arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(["list", *arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def birds(trustgraph: Run) -> Run:
    assert trustgraph("create", LIST, "--moderator", "owner@lists.example")[0] == 0
    return trustgraph


def only_json(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def one_json(text: str) -> Any:
    (found,) = only_json(text)
    return found


def signed(token: str, *keys: PostKey) -> list[bytes]:
    return [clear(token, key.signing(at=now())) for key in keys]


def letter_to(home: Path, address: str) -> str:
    path = home / f"letter-to-{address}"
    text = path.read_text()
    path.unlink()
    return text


def test_a_list_from_its_making_to_its_end(trustgraph: Run) -> None:
    code, out, err = trustgraph("create", "Birds@lists.example", "--rule", "window=3d", "--deliver", "lmtp://[::1]:24")
    assert (code, err) == (0, "")
    assert "birds-keys@lists.example" in out
    assert f"trustgraph list subscribe {LIST} ADDRESS" in out
    code, out, _ = trustgraph("show", LIST, "--json")
    shown = one_json(out)
    assert (shown["list"], shown["list_id"], shown["deliver"]) == (LIST, "birds.lists.example", "lmtp://[::1]:24")
    assert (shown["rules"]["window"], shown["encrypted"], shown["subscribers"]) == ("3d", False, 0)
    code, out, _ = trustgraph("set", LIST, "--rule", "on_unsigned=hold", "--moderator", "owner@x.example", "--json")
    shown = one_json(out)
    assert (shown["rules"]["on_unsigned"], shown["rules"]["window"]) == ("hold", "3d")
    assert (shown["moderators"], shown["deliver"]) == (["owner@x.example"], "lmtp://[::1]:24")
    assert one_json(trustgraph("set", LIST, "--no-moderators", "--json")[1])["moderators"] == []
    code, out, _ = trustgraph("show")
    assert (code, "rule on_unsigned" in out, "hold" in out) == (0, True, True)
    code, _, err = trustgraph("delete", LIST)
    assert (code, "`--yes` deletes them all" in err) == (64, True)
    assert one_json(trustgraph("delete", LIST, "--yes", "--json")[1])["deleted"] is True
    code, out, err = trustgraph("show")
    assert (code, out, "`trustgraph list create` makes one" in err) == (0, "", True)


def test_an_encrypted_list_says_what_to_keep(trustgraph: Run, tmp_path: Path) -> None:
    code, out, _ = trustgraph("create", LIST, "--key", "birds.pgp")
    assert code == 0
    assert f"{tmp_path}/birds.pgp: without a copy of that file it is lost" in out
    shown = one_json(trustgraph("show", "--json")[1])
    assert (shown["encrypted"], shown["key_path"]) == (True, f"{tmp_path}/birds.pgp")
    assert trustgraph("subscribe", LIST, ANNA, "--no-letter")[0] == 0
    (tmp_path / "birds.pgp").unlink()
    code, out, err = trustgraph("keys", LIST)
    assert (code, out, "birds.pgp: there is no such file" in err) == (66, "", True)


def test_subscribing_deposit_proof_and_what_is_shown(birds: Run, tmp_path: Path) -> None:
    code, out, err = birds("subscribe", LIST, "Anna@example.org", "--alias", "anna@work.example")
    assert (code, f"{ANNA} is subscribed, also as anna@work.example" in out) == (0, True)
    assert f"a letter is on its way to {ANNA}" in err
    assert "birds-keys@lists.example" in letter_to(tmp_path, ANNA)
    code, out, _ = birds("subscribe", LIST, ANNA, "--key", "hers.asc", "--json")
    made = one_json(out)
    assert (made["state"], made["fingerprint"], made["address"]) == ("pending", HERS.fingerprint, ANNA)
    assert made["token"].splitlines()[1] == f"list: {LIST}"
    assert HERS.fingerprint in letter_to(tmp_path, ANNA)
    (reply,) = signed(made["token"], HERS)
    code, out, _ = birds("confirm", LIST, "--json", stdin=reply)
    assert one_json(out) == {
        "address": ANNA,
        "fingerprint": HERS.fingerprint,
        "state": "active",
        "missing": "",
        "retired": [],
    }
    assert "is active" in letter_to(tmp_path, ANNA)
    code, out, err = birds("confirm", LIST, "-", stdin=reply)
    assert (code, out, "no proof is awaited" in err) == (65, "", True)
    row = one_json(birds("keys", LIST, "anna@work.example", "--json")[1])
    assert (row["address"], row["aliases"], row["state"]) == (ANNA, ["anna@work.example"], "active")
    assert (row["until"], row["expires"], row["note"]) == (None, None, "")
    code, out, _ = birds("keys", LIST)
    assert (code, HERS.fingerprint in out, "anna@work.example" in out) == (0, True, True)


def test_the_text_that_people_see(birds: Run) -> None:
    birds("subscribe", LIST, ANNA, "--no-letter")
    assert f"{ANNA}  none" in birds("keys", LIST)[1]
    code, out, err = birds("subscribe", LIST, ANNA, "--key", "-", "--no-letter", stdin=HERS.public)
    assert code == 0
    assert f"{ANNA}: {HERS.fingerprint} is pending\nstill missing: the signature of the new key" in out
    assert "nobody else may get" in err
    token = out[out.index("I hold this key") :]
    code, out, err = birds("confirm", LIST, "-", "--no-letter", stdin=signed(token, HERS)[0])
    assert (code, out, err) == (0, f"{ANNA}: {HERS.fingerprint} is active\n", "")


def test_a_letter_to_print(birds: Run, tmp_path: Path) -> None:
    code, out, _ = birds("subscribe", LIST, ANNA, "--print-letter")
    assert (code, f"\nTo: {ANNA}\n" in out) == (0, True)
    assert not (tmp_path / f"letter-to-{ANNA}").exists()
    code, _, err = birds("subscribe", LIST, BERT, "--print-letter", "--json")
    assert (code, "--print-letter" in err) == (64, True)
    assert len(only_json(birds("keys", LIST, "--json")[1])) == 0


def test_vouching_and_rotation(birds: Run, tmp_path: Path) -> None:
    code, _, err = birds("subscribe", LIST, ANNA, "--vouch", HERS.fingerprint)
    assert (code, "go with --key" in err) == (64, True)
    code, out, _ = birds("subscribe", LIST, ANNA, "--key", "hers.asc", "--vouch", HERS.fingerprint, "--json")
    made = one_json(out)
    assert (made["state"], made["token"]) == ("active", None)
    code, out, _ = birds("rotate", LIST, ANNA, "--key", "next.asc", "--json")
    token = one_json(out)["token"]
    assert "another key on this list" in letter_to(tmp_path, ANNA)
    (new,), (old,) = signed(token, NEXT), signed(f"{CONSENT}\n{token}", HERS)
    code, out, _ = birds("confirm", LIST, "-", stdin=new)
    assert (code, f"still missing: the signature of your key {HERS.fingerprint}" in out) == (0, True)
    assert "one signature is missing" in letter_to(tmp_path, ANNA)
    code, out, _ = birds("confirm", LIST, "-", stdin=old)
    assert (code, f"it takes over from {HERS.fingerprint}, which is good until" in out) == (0, True)
    states = {row["fingerprint"]: row["state"] for row in only_json(birds("keys", LIST, "--json")[1])}
    assert states == {HERS.fingerprint: "retiring", NEXT.fingerprint: "active"}


def test_a_rotation_that_the_owner_approves(birds: Run, tmp_path: Path) -> None:
    birds("subscribe", LIST, ANNA, "--key", "hers.asc", "--vouch", HERS.fingerprint, "--no-letter")
    made = one_json(birds("rotate", LIST, ANNA, "--key", "next.asc", "--approve", "--json")[1])
    assert (made["state"], made["missing"]) == ("pending", f"the signature of the new key {NEXT.fingerprint}")
    assert "another key on this list" not in letter_to(tmp_path, ANNA)
    _, out, _ = birds("confirm", LIST, "-", "--json", stdin=signed(made["token"], NEXT)[0])
    assert one_json(out)["retired"][0]["fingerprint"] == HERS.fingerprint


def test_revoking_and_unsubscribing(birds: Run, tmp_path: Path) -> None:
    for name, key in (("hers", HERS), ("next", NEXT)):
        arguments = ["--key", f"{name}.asc", "--vouch", key.fingerprint, "--additional", "--no-letter"]
        assert birds("subscribe", LIST, ANNA, *arguments)[0] == 0
    code, out, _ = birds("revoke", LIST, ANNA, HERS.fingerprint, "--reason", "laptop", "--json")
    assert one_json(out) == {"address": ANNA, "fingerprint": HERS.fingerprint, "state": "revoked"}
    assert "is revoked" in letter_to(tmp_path, ANNA)
    (tmp_path / "revocation.asc").write_bytes(armor(revocation(NEXT, now(), 3), b"PUBLIC KEY BLOCK"))
    code, out, _ = birds("revoke", LIST, "--certificate", "revocation.asc")
    assert out == f"{ANNA}: {NEXT.fingerprint} is retiring\n"
    assert "unless signed before" in letter_to(tmp_path, ANNA)
    assert {row["note"] for row in only_json(birds("keys", LIST, "--json")[1])} == {"laptop", ""}
    code, out, err = birds("unsubscribe", LIST, ANNA)
    assert (code, "0 aliases and 2 keys are forgotten" in out) == (0, True)
    event = json.loads(err)
    assert (event["event"], event["list"], ANNA in err) == ("list-unsubscribed", LIST, False)


def test_reminding(birds: Run, tmp_path: Path) -> None:
    key = make_key(ANNA, "ends", lives_seconds=now() + 5 * 86_400 - merged_birth())
    (tmp_path / "ends.asc").write_bytes(public_block(key))
    birds("subscribe", LIST, ANNA, "--key", "ends.asc", "--vouch", key.fingerprint, "--no-letter")
    code, out, err = birds("remind", "--dry-run", "--json")
    assert (code, one_json(out)["sent"], one_json(out)["expired"]) == (0, False, False)
    assert "nobody was written to" in err
    code, out, _ = birds("remind", LIST)
    assert (code, f"{LIST}: {ANNA}: {key.fingerprint} expires" in out) == (0, True)
    assert "expires soon" in letter_to(tmp_path, ANNA)
    assert birds("remind") == (0, "", "")


def merged_birth() -> int:
    """When the test keys were made: the start of their lives."""
    key = make_key("born@example.org", lives_seconds=1)
    ends = merge_copies([key.public], key.fingerprint, now()).expires_at
    assert ends is not None
    return ends - 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["keys", "bees@lists.example"], 65, f"there are: {LIST}"),
        (["keys", LIST, BERT], 65, "is no subscriber's address"),
        (["show", "bees@lists.example"], 65, "there is no such list"),
        (["remind", "bees@lists.example"], 65, "there is no such list"),
        (["create", LIST], 65, "already"),
        (["create", "no address"], 65, "is not an address"),
        (["set", LIST, "--rule", "window"], 65, "NAME=VALUE"),
        (["set", LIST, "--moderator", "a@b.example", "--no-moderators"], 64, "--no-moderators"),
        (["subscribe", LIST, ANNA, "--key", "absent.asc"], 66, "absent.asc: cannot be read"),
        (["subscribe", LIST, "anna"], 65, "is not an address"),
        (["rotate", LIST, BERT, "--key", "hers.asc"], 65, "is no subscriber's address"),
        (["rotate", LIST, BERT], 64, "--key"),
        (["confirm", LIST, "hers.asc"], 65, "expected a signed message or clear-signed text"),
        (["revoke", LIST, ANNA], 64, "expected ADDRESS and FINGERPRINT"),
        (["revoke", LIST, BERT, HERS.fingerprint], 65, "is no subscriber's address"),
        (["revoke", LIST, "--certificate", "hers.asc"], 66, "revokes no key"),
        (["unsubscribe", LIST, BERT], 65, "is no subscriber's address"),
    ],
)
def test_what_goes_wrong_is_said(birds: Run, arguments: list[str], code: int, said: str) -> None:
    done, out, err = birds(*arguments)
    assert (done, out) == (code, "")
    assert said in err
    assert "bug" not in err


def test_a_letter_that_cannot_be_sent_says_what_was_done(birds: Run, tmp_path: Path) -> None:
    (tmp_path / "sendmail").unlink()
    code, out, err = birds("subscribe", LIST, ANNA)
    assert (code, f"{ANNA} is subscribed" in out) == (69, True)
    assert f"what you asked for is done, but {ANNA} was not told" in err


def test_a_secret_key_is_refused(birds: Run, tmp_path: Path) -> None:
    (tmp_path / "secret.pgp").write_bytes(HERS.secret)
    code, _, err = birds("subscribe", LIST, ANNA, "--key", "secret.pgp")
    assert (code, "revoke it, make a new key" in err) == (65, True)
