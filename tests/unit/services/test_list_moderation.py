"""The hold queue: what moderators see, what approving does and in which order, whose key may be added and when."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.signed_posts import (
    AT,
    DAY,
    NOW,
    PostKey,
    header,
    inline,
    make_key,
    multipart,
    part,
    pgp_mime,
    public_block,
    revoked,
    unsigned,
)
from tests.unit.services.list_site import ANNA, ANNAS_ALIAS, BORIS, another, at, letters_in, list_site
from trustgraph.errors import BadInput, ConfigurationError, ServiceUnavailable, StoreBusy
from trustgraph.mailinglist.model import Action, KeyState, Subscriber
from trustgraph.model import UnixSeconds
from trustgraph.services.list_deposits import deposit, revoke, rotate
from trustgraph.services.list_gate import Checked, PostGate
from trustgraph.services.list_moderation import approve, held, reject, show
from trustgraph.services.list_stash import Stash
from trustgraph.store.list_held import CLAIM_SECONDS, claim, release

NEW = make_key(ANNA.address, "anna's new key")

_PROGRAM = """#!/bin/sh
test -e "{home}/refusing" && exit 75
echo "$1 $2" >> "{home}/envelopes"
cat >> "{home}/passed"
"""


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    program = tmp_path / "next-hop"
    program.write_text(_PROGRAM.format(home=tmp_path))
    program.chmod(0o755)
    hold = Action.HOLD
    rules = {"on_unsigned": hold, "on_invalid": hold, "on_expired": hold, "on_unknown": hold}
    with list_site(tmp_path, deliver=f"{program} {{sender}} {{recipient}}", **rules) as opened:
        yield opened


def check(stash: Stash, octets: bytes, delivery: bytes = b"first", sender: str = "") -> Checked:
    return PostGate(stash, at()).check(octets, delivery=delivery, sender=sender)


def hold(stash: Stash, octets: bytes, delivery: bytes = b"first", sender: str = "") -> str:
    checked = check(stash, octets, delivery, sender)
    assert checked.held_name, checked
    return checked.held_name


def passed(home: Path) -> bytes:
    path = home / "passed"
    return path.read_bytes() if path.exists() else b""


def anna(stash: Stash) -> Subscriber:
    found = stash.subscriber(ANNA.address)
    assert found
    return found


def states(stash: Stash) -> dict[str, KeyState]:
    return {key.fingerprint: key.state for key in anna(stash).keys}


def enclosing(key: PostKey, text: str = "My new key.\n", author: str = "") -> bytes:
    """A PGP/MIME post with the key attached, under the signature."""
    block = part(public_block(key).decode(), kind="application/pgp-keys")
    return pgp_mime(key, author=author, entity=multipart(part(text), block))


def test_what_waits_is_shown_with_all_that_is_known(stash: Stash) -> None:
    post = pgp_mime(NEW, Subject="My new key")
    name = hold(stash, post)
    (waiting,) = held(stash)
    assert (waiting.name, waiting.author, waiting.subject) == (name, ANNA.address, "My new key")
    assert (waiting.reason, waiting.seen_fingerprint, waiting.expected) == (
        "unknown-key",
        NEW.fingerprint,
        (ANNA.fingerprint,),
    )
    assert (waiting.held_at, waiting.size) == (NOW, len(post))
    assert show(stash, name) == (waiting, post)
    assert held(another(stash)) == []


def test_approving_passes_the_post_on_as_it_came(stash: Stash, tmp_path: Path) -> None:
    post = unsigned(ANNA.address)
    name = hold(stash, post, sender="bounces@example.org")
    approve(stash, name, NOW)
    mark = (
        b'Authentication-Results: mx.example.net;\n\tx-pgp-post=none reason="unsigned" header.from=anna@example.org\n'
    )
    assert passed(tmp_path).replace(b"\r\n", b"\n") == mark + post.replace(b"\r\n", b"\n")
    assert (tmp_path / "envelopes").read_text() == "bounces@example.org birds@lists.example\n"
    assert held(stash) == []
    with pytest.raises(BadInput, match="no post of that name"):
        approve(stash, name, NOW)


def test_an_approved_post_does_not_say_more_than_the_gate_found(stash: Stash, tmp_path: Path) -> None:
    claim = b"Authentication-Results: mx.example.net; x-pgp-post=pass header.from=anna@example.org\r\n"
    approve(stash, hold(stash, claim + pgp_mime(NEW)), NOW)
    assert passed(tmp_path).count(b"x-pgp-post=") == 1
    assert b'x-pgp-post=fail reason="unknown-key"' in passed(tmp_path)


def test_an_approved_post_counts_as_let_in(stash: Stash) -> None:
    post = pgp_mime(NEW)
    name = hold(stash, post)
    assert check(stash, post, b"second").decision.reason == "unknown-key", "held, it was not let in yet"
    approve(stash, name, NOW)
    deposit(stash, ANNA.address, NEW.public, UnixSeconds(AT - 60), fingerprint_vouched=NEW.fingerprint)
    assert check(stash, post, b"third").decision.reason == "replayed"
    elsewhere = check(another(stash), pgp_mime(ANNA), b"fourth")
    assert elsewhere.decision.reason == "accepted"


def test_a_next_hop_that_does_not_take_it_leaves_it_held(stash: Stash, tmp_path: Path) -> None:
    name = hold(stash, unsigned(ANNA.address))
    (tmp_path / "refusing").touch()
    with pytest.raises(ServiceUnavailable):
        approve(stash, name, NOW)
    assert [one.name for one in held(stash)] == [name]
    (tmp_path / "refusing").unlink()
    approve(stash, name, NOW)
    assert passed(tmp_path)


def test_cut_off_after_passing_on_nothing_is_lost(
    stash: Stash, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trustgraph.services import list_moderation  # noqa: PLC0415

    name = hold(stash, unsigned(ANNA.address))

    def locked(*_arguments: object) -> bool:
        raise StoreBusy("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(list_moderation, "remove_held", locked)
        with pytest.raises(ServiceUnavailable, match=r"is passed on, and still held.*--silent in 30 minutes"):
            approve(stash, name, NOW)
    assert passed(tmp_path)
    assert [one.name for one in held(stash)] == [name]
    with pytest.raises(BadInput, match="in hand"):
        approve(stash, name, NOW)


def test_two_moderators_at_once_post_it_once(stash: Stash, tmp_path: Path) -> None:
    name = hold(stash, unsigned(ANNA.address))

    def try_it(_: int) -> str:
        try:
            return approve(stash, name, NOW).post.name
        except BadInput as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(try_it, range(4)))
    assert said.count(name) == 1
    assert all("somebody has it in hand" in one or "no post of that name" in one for one in said if one != name)
    assert (tmp_path / "envelopes").read_text().count("\n") == 1


def test_a_moderator_who_was_cut_off_keeps_it_from_the_others_for_a_while_only(stash: Stash, tmp_path: Path) -> None:
    name = hold(stash, unsigned(ANNA.address))
    assert claim(stash.keep, name, NOW)
    for decide in (approve, partial(reject, silent=True)):
        with pytest.raises(BadInput, match="in 30 minutes"):
            decide(stash, name, UnixSeconds(NOW + CLAIM_SECONDS - 1))
    assert not passed(tmp_path)
    approve(stash, name, UnixSeconds(NOW + CLAIM_SECONDS))
    assert passed(tmp_path)


def test_who_is_late_does_not_let_go_of_what_another_has_in_hand(stash: Stash) -> None:
    name = hold(stash, unsigned(ANNA.address))
    later = UnixSeconds(NOW + CLAIM_SECONDS)
    assert claim(stash.keep, name, NOW)
    assert claim(stash.keep, name, later)
    release(stash.keep, name, NOW)
    assert not claim(stash.keep, name, later)
    release(stash.keep, name, later)
    assert claim(stash.keep, name, later)


def test_a_list_that_delivers_nowhere_says_what_to_do(stash: Stash) -> None:
    name = hold(stash, unsigned(ANNA.address))
    nowhere = replace(stash, list=replace(stash.list, deliver=""))
    with pytest.raises(ConfigurationError, match=f"held birds@lists.example {name} --raw"):
        approve(nowhere, name, NOW)
    assert held(stash)


@pytest.mark.parametrize("make", [enclosing, inline, header], ids=["enclosed", "inline", "header"])
def test_the_key_that_signed_it_becomes_its_authors(stash: Stash, make: object) -> None:
    if make is header:  # a header signature by a key that nobody here has is none of the list's
        rotate(stash, ANNA.address, NEW.public, UnixSeconds(AT - 60))
    name = hold(stash, make(NEW))  # type: ignore[operator]
    done = approve(stash, name, NOW, add_key=True if make is not inline else public_block(NEW))
    assert done.fingerprint == NEW.fingerprint
    assert states(stash) == {ANNA.fingerprint: KeyState.ACTIVE, NEW.fingerprint: KeyState.ACTIVE}
    assert check(stash, pgp_mime(NEW, "More.\n"), b"second").decision.reason == "accepted"
    assert check(stash, pgp_mime(ANNA, "More.\n"), b"third").decision.reason == "accepted"


def test_under_an_alias_it_is_the_same_persons(stash: Stash) -> None:
    approve(stash, hold(stash, enclosing(NEW, author=ANNAS_ALIAS)), NOW, add_key=True)
    assert states(stash)[NEW.fingerprint] is KeyState.ACTIVE


def test_a_key_deposited_and_not_proved_needs_no_enclosing(stash: Stash) -> None:
    rotate(stash, ANNA.address, NEW.public, UnixSeconds(AT - 60))
    name = hold(stash, pgp_mime(NEW))
    assert approve(stash, name, NOW, add_key=True).fingerprint == NEW.fingerprint
    assert states(stash)[NEW.fingerprint] is KeyState.ACTIVE


def refused(stash: Stash, name: str, tmp_path: Path, match: str, key: bytes | bool = True) -> None:
    """The key is not added, the post neither passed on nor dropped."""
    before = states(stash)
    with pytest.raises(BadInput, match=match):
        approve(stash, name, NOW, add_key=key)
    assert states(stash) == before
    assert passed(tmp_path) == b""
    assert name in [one.name for one in held(stash)]


def test_where_no_key_is_enclosed_the_way_out_is_an_option_that_exists(stash: Stash) -> None:
    name = hold(stash, pgp_mime(NEW))
    with pytest.raises(BadInput, match=r"did not sign this post; .* with --key FILE"):
        approve(stash, name, NOW, add_key=True)


def test_a_key_that_did_not_sign_the_post_is_not_added(stash: Stash, tmp_path: Path) -> None:
    other = make_key(ANNA.address, "yet another")
    refused(stash, hold(stash, pgp_mime(NEW)), tmp_path, "did not sign this post", public_block(other))
    refused(stash, hold(stash, unsigned(ANNA.address), b"second"), tmp_path, "did not sign", public_block(NEW))
    refused(stash, hold(stash, pgp_mime(NEW, "None enclosed.\n"), b"third"), tmp_path, "did not sign")
    altered = enclosing(NEW).replace(b"My new key.", b"My now key.")
    refused(stash, hold(stash, altered, b"fourth"), tmp_path, "signature-does-not-verify")


def test_a_post_moved_under_another_name_adds_no_key(stash: Stash, tmp_path: Path) -> None:
    """Carl wrote it as himself, and said so under his signature; somebody has put Anna's name above it."""
    carl = make_key("carl@example.com")
    block = part(public_block(carl).decode(), kind="application/pgp-keys")
    fields = ["From: carl@example.com", "To: birds@lists.example"]
    post = pgp_mime(carl, entity=multipart(part("I am Carl.\n"), block), bound=fields)
    moved = post.replace(b"From: carl@example.com", b"From: anna@example.org", 1)
    refused(stash, hold(stash, moved), tmp_path, "it signed another post")


def test_another_subscribers_key_is_not_added(stash: Stash, tmp_path: Path) -> None:
    refused(stash, hold(stash, enclosing(BORIS, author=ANNA.address)), tmp_path, "a key of boris@example.net")


def test_a_key_that_is_no_good_is_not_added(stash: Stash, tmp_path: Path) -> None:
    name = hold(stash, pgp_mime(NEW))
    refused(stash, name, tmp_path, "is revoked", revoked(NEW, AT - DAY))
    refused(stash, name, tmp_path, "secret key", NEW.secret)
    refused(stash, name, tmp_path, "expected a public key", b"nonsense")
    deposit(stash, ANNA.address, NEW.public, UnixSeconds(AT - DAY), fingerprint_vouched=NEW.fingerprint)
    revoke(stash, ANNA.address, NEW.fingerprint)
    refused(stash, name, tmp_path, "revoked on this list", NEW.public)


def test_a_strangers_key_is_nobodys_to_add(stash: Stash, tmp_path: Path) -> None:
    refused(stash, hold(stash, enclosing(make_key("carl@example.com"))), tmp_path, "no subscriber")


def test_rejecting_tells_the_author_and_drops_it(stash: Stash, tmp_path: Path) -> None:
    name = hold(stash, unsigned(ANNA.address))
    assert reject(stash, name, NOW, silent=False).letters == 1
    assert held(stash) == []
    assert passed(tmp_path) == b""
    (letter,) = letters_in(tmp_path)
    assert letter["To"] == ANNA.address
    assert "refused by a moderator" in letter.get_content()
    with pytest.raises(BadInput, match="no post of that name"):
        reject(stash, name, NOW, silent=False)


def test_rejecting_in_silence_or_a_strangers_post_tells_nobody(stash: Stash, tmp_path: Path) -> None:
    assert reject(stash, hold(stash, unsigned(ANNA.address)), NOW, silent=True).letters == 0
    assert reject(stash, hold(stash, unsigned("carl@example.com")), NOW, silent=False).letters == 0
    automatic = unsigned(ANNA.address, Auto_Submitted="auto-replied")
    assert reject(stash, hold(stash, automatic), NOW, silent=False).letters == 0
    assert letters_in(tmp_path) == []


def test_rejected_without_a_mail_system_is_rejected(stash: Stash, tmp_path: Path) -> None:
    name = hold(stash, unsigned(ANNA.address))
    (tmp_path / "sendmail").unlink()
    done = reject(stash, name, NOW, silent=False)
    assert (done.letters, "cannot be run" in done.trouble) == (0, True)
    assert held(stash) == []


def test_a_damaged_post_can_be_dropped_but_not_approved(stash: Stash) -> None:
    name = hold(stash, unsigned(ANNA.address))
    with stash.store.writing() as connection:
        connection.execute(sa.text("UPDATE list_held SET sealed = x'ff'"))
    with pytest.raises(BadInput, match="does not open"):
        approve(stash, name, NOW)
    assert reject(stash, name, NOW, silent=False).letters == 0
    assert held(stash) == []
