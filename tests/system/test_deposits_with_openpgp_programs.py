"""Keys deposited and proved with what people have: the commands that the letters name, by real programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.signed_posts import AT, DAY, NOW, pgp_mime
from tests.signing_programs import GnuPG, PGPy, Program, Sequoia
from tests.unit.services.stashes import ANNA, answer, stash_in
from trustgraph.errors import BadInput
from trustgraph.mailinglist.model import KeyState
from trustgraph.mailinglist.token import CONSENT
from trustgraph.services.list_deposits import confirm, deposit, take_revocations
from trustgraph.services.list_stash import Stash
from trustgraph.services.list_subscribers import key_facts, subscribe


@pytest.fixture
def gnupg(require: Callable[[str], str], tmp_path: Path) -> Iterator[GnuPG]:
    started = GnuPG(require("gpg"), tmp_path / "gnupg")
    yield started
    started.stop()


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    made = stash_in(tmp_path / "site")
    subscribe(made, ANNA, AT)
    yield made
    made.store.close()


def proved(stash: Stash, key: Program, *, as_mail: bool) -> KeyState:
    made = deposit(stash, ANNA, key.public, NOW)
    at = key.signing_at(NOW)
    reply = answer(made.token_text, at) if as_mail else at.clear((made.token_text or "").encode())
    return confirm(stash, reply, NOW).key.state


@pytest.mark.parametrize("as_mail", [True, False])
@pytest.mark.parametrize(
    ("algorithm", "subkey"),
    [("ed25519", True), ("ed25519", False), ("rsa2048", True), ("rsa2048", False), ("nistp256", False)],
)
def test_gnupg(stash: Stash, gnupg: GnuPG, algorithm: str, subkey: bool, as_mail: bool) -> None:
    assert proved(stash, gnupg.new(ANNA, algorithm, subkey=subkey), as_mail=as_mail) is KeyState.ACTIVE


@pytest.mark.parametrize("as_mail", [True, False])
def test_sequoia(stash: Stash, require: Callable[[str], str], tmp_path: Path, as_mail: bool) -> None:
    assert proved(stash, Sequoia(require("sq"), tmp_path).new(ANNA), as_mail=as_mail) is KeyState.ACTIVE


@pytest.mark.parametrize("as_mail", [True, False])
def test_pgpy(stash: Stash, as_mail: bool) -> None:
    assert proved(stash, PGPy().new(ANNA), as_mail=as_mail) is KeyState.ACTIVE


def test_rotation_by_one_text_that_both_keys_sign(stash: Stash, gnupg: GnuPG) -> None:
    old, new = gnupg.new(ANNA), gnupg.new("anna@work.example", subkey=True)
    assert proved(stash, old, as_mail=True) is KeyState.ACTIVE
    made = deposit(stash, ANNA, new.public, NOW)
    users = [word for key in (new, old) for word in ("--local-user", key.fingerprint)]
    token = f"{CONSENT}\n\n{made.token_text}".encode()
    done = confirm(stash, gnupg.run(*users, "--clearsign", at=NOW, given=token), NOW)
    assert (done.key.state, done.missing) == (KeyState.ACTIVE, "")
    assert [key.fingerprint for key in done.retired] == [old.fingerprint]


def test_a_prolonged_key_and_the_revocation_made_with_it(stash: Stash, gnupg: GnuPG) -> None:
    key = gnupg.new(ANNA, expires="2026-09-10")
    assert proved(stash, key, as_mail=True) is KeyState.ACTIVE
    gnupg.run("--quick-set-expire", key.fingerprint, "2027-09-10", at=NOW)
    longer = gnupg.run("--armor", "--export", key.fingerprint)
    made = deposit(stash, ANNA, longer, NOW)
    (facts,) = key_facts(made.subscriber, NOW)
    assert (made.token_text, facts.expires_at is not None and facts.expires_at > NOW + 300 * DAY) == (None, True)
    ((_, ended),) = take_revocations(stash, gnupg.prepared_revocation(key.fingerprint), NOW)
    assert ended.state is KeyState.REVOKED
    with pytest.raises(BadInput, match="revoked"):
        deposit(stash, ANNA, longer, NOW)


def test_sequoias_revocation_ends_a_key(stash: Stash, require: Callable[[str], str], tmp_path: Path) -> None:
    sq = Sequoia(require("sq"), tmp_path)
    key = sq.new(ANNA)
    assert proved(stash, key, as_mail=False) is KeyState.ACTIVE
    ((_, ended),) = take_revocations(stash, sq.revocation(key, "superseded", NOW), NOW)
    assert (ended.state, ended.good_until) == (KeyState.RETIRING, NOW)


def test_a_secret_key_that_gnupg_exports_is_refused(stash: Stash, gnupg: GnuPG) -> None:
    key = gnupg.new(ANNA)
    for blob in (key.secret, gnupg.run("--armor", "--export-secret-keys", key.fingerprint)):
        with pytest.raises(BadInput, match="revoke it, make a new key"):
            deposit(stash, ANNA, blob, NOW)


def test_a_post_is_no_proof(stash: Stash, gnupg: GnuPG) -> None:
    key = gnupg.new(ANNA)
    deposit(stash, ANNA, key.public, NOW)
    with pytest.raises(BadInput, match="are not in what is signed"):
        confirm(stash, pgp_mime(key.signing_at(NOW)), NOW)
