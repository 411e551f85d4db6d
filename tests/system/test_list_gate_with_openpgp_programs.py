"""The gate of a list and real signed posts: each form that GnuPG, Sequoia and PGPy make is let in once, as it came, on
its own list, under its author's name, while its key is good; and never otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.signed_posts import AT, BORN, DAY, LIST, NOW, PostKey, Signs, joined, make_key, pgp_mime, revoked
from tests.signing_programs import GnuPG, PGPy, Program, Sequoia
from tests.system.test_posts_with_openpgp_programs import FORMS, NOT_BY_PGPY, AsIfOver
from tests.unit.services.list_site import LONG_AGO, OTHER_LIST, add_list, list_settings
from trustgraph.mailinglist.model import Action
from trustgraph.model import UnixSeconds
from trustgraph.services.list_deposits import deposit, revoke, take_revocations
from trustgraph.services.list_gate import PostGate
from trustgraph.services.list_stash import Stash, open_stash
from trustgraph.services.list_subscribers import subscribe, unsubscribe
from trustgraph.store import open_store

ANNA, BORIS = "anna@example.org", "boris@example.net"
NAMES = ["gpg", "sq", "pgpy"]
CASES = [(name, kind, form) for name in NAMES for kind, forms in FORMS.items() for form in forms]
CASES = [one for one in CASES if one[:2] != ("pgpy", "inline") or one[2] not in NOT_BY_PGPY]


@pytest.fixture(scope="module")
def gnupg(require_for_module: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    started = GnuPG(require_for_module("gpg"), tmp_path_factory.mktemp("gate") / "gnupg")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def makers(
    gnupg: GnuPG, require_for_module: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, GnuPG | Sequoia | PGPy]:
    return {"gpg": gnupg, "sq": Sequoia(require_for_module("sq"), tmp_path_factory.mktemp("sequoia")), "pgpy": PGPy()}


@pytest.fixture(scope="module")
def annas(makers: dict[str, GnuPG | Sequoia | PGPy]) -> dict[str, Program]:
    return {name: maker.new(ANNA) for name, maker in makers.items()}


@pytest.fixture(scope="module")
def boriss(makers: dict[str, GnuPG | Sequoia | PGPy]) -> dict[str, Program]:
    return {name: maker.new(BORIS) for name, maker in makers.items()}


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[tuple[Stash, Stash]]:
    settings = list_settings(tmp_path)
    store = open_store(settings.database.url)
    for address in (LIST, OTHER_LIST):
        add_list(store, address, on_expired=Action.REJECT)
    yield open_stash(store, LIST, settings), open_stash(store, OTHER_LIST, settings)
    store.close()


def has(lists: Sequence[Stash], address: str, *keys: Signs) -> None:
    for stash in lists:
        subscribe(stash, address, LONG_AGO)
        for key in keys:
            deposit(stash, address, key.public, LONG_AGO, fingerprint_vouched=key.fingerprint, additional=True)


def said(stash: Stash, octets: bytes, *, trace: str = "1", now: int = NOW) -> str:
    """As a mail host hands it in, with the trace of this delivery on top."""
    traced = f"Received: from client by mx.lists.example id {trace}; Tue, 1 Sep 2026\r\n".encode() + octets
    checked = PostGate(stash, lambda: UnixSeconds(now)).check(traced)
    assert checked.trouble == ""
    return f"{checked.decision.verdict} {checked.decision.reason}"


@pytest.mark.parametrize(("name", "kind", "form"), CASES)
def test_each_form(
    annas: dict[str, Program],
    boriss: dict[str, Program],
    lists: tuple[Stash, Stash],
    name: str,
    kind: str,
    form: str,
) -> None:
    anna, (birds, mice) = annas[name], lists
    has(lists, ANNA, anna)
    has(lists, BORIS, boriss[name])
    octets = FORMS[kind][form](anna)
    exchanged = octets.replace(b"From: Somebody <" + ANNA.encode(), b"From: Somebody <" + BORIS.encode(), 1)
    if exchanged == octets:
        exchanged = octets.replace(ANNA.encode(), BORIS.encode(), 1)
    assert said(birds, exchanged) == "reject another-subscribers-key"
    assert said(birds, octets) == "accept accepted"
    assert said(birds, octets) == "accept accepted", "the same delivery again"
    assert said(birds, octets, trace="2") == "reject replayed"
    bound = form == "protected"
    assert said(mice, octets) == ("reject for-another-list" if bound else "reject replayed-from-another-list")
    assert said(mice, octets.replace(LIST.encode(), OTHER_LIST.encode(), 1)).startswith("reject ")
    assert said(birds, octets, trace="3", now=NOW + 8 * DAY) == "reject replayed"
    revoke(birds, ANNA, anna.fingerprint)
    assert said(birds, FORMS[kind][form](anna.signing_at(AT + 60)), trace="4") == "reject key-revoked"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", FORMS)
def test_a_signature_moved_to_another_post(
    annas: dict[str, Program], lists: tuple[Stash, Stash], name: str, kind: str
) -> None:
    has(lists, ANNA, annas[name])
    original, another = FORMS[kind]["7bit"](annas[name]), FORMS[kind]["dashes"](annas[name].signing_at(AT + 1))
    mark = b"-----BEGIN PGP SIGNATURE-----\r\n"
    moved = original[: original.rindex(mark)] + another[another.rindex(mark) :]
    assert said(lists[0], moved) == "reject signature-does-not-verify"
    assert said(lists[0], original.replace(b"swifts", b"swifter")) == "reject signature-does-not-verify"
    assert said(lists[0], original) == "accept accepted", "what was tried before burns nothing"


@pytest.mark.parametrize(("name", "kind", "form"), CASES)
def test_what_a_key_says_of_itself(
    makers: dict[str, GnuPG | Sequoia | PGPy], lists: tuple[Stash, Stash], name: str, kind: str, form: str
) -> None:
    """One key, made of octets and signed with by each program, deposited as its owner says that it is."""
    stash = lists[0]

    def key(**options: int) -> PostKey:
        return make_key("frieda@example.org", flags=1, **{"subkey_flags": 2, **options})

    program = makers[name].take("frieda@example.org", key().fingerprint, key().secret)
    octets = [FORMS[kind][form](program.signing_at(AT + number)) for number in range(3)]

    def told(public: Signs, number: int) -> str:
        subscribe(stash, program.address, LONG_AGO)
        deposit(stash, program.address, public.public, LONG_AGO, fingerprint_vouched=public.fingerprint)
        answer = said(stash, octets[number])
        unsubscribe(stash, program.address, lambda *_, **__: None)
        return answer

    assert told(key(), 0) == "accept accepted"
    assert told(key(lives_seconds=AT - BORN), 1) == "reject key-expired"
    assert told(key(subkey_lives_seconds=AT - BORN), 1) == "reject key-expired"
    assert told(key(lives_seconds=AT - BORN + 10), 1) == "accept accepted", "expired since"
    # A subkey that may only encrypt is not looked up as one that signs; the key itself may.
    other = make_key("frieda@example.org", flags=3, subkey_flags=12)
    assert told(other, 2) == "reject unknown-key"
    assert told(key(), 2) == "accept accepted"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", FORMS)
def test_a_key_that_its_owner_revokes(
    makers: dict[str, GnuPG | Sequoia | PGPy], lists: tuple[Stash, Stash], name: str, kind: str
) -> None:
    key = make_key("frieda@example.org", flags=1, subkey_flags=2)
    program = makers[name].take(key.address, key.fingerprint, key.secret)
    has(lists[:1], key.address, program)
    before, after = (FORMS[kind]["7bit"](program.signing_at(AT + number)) for number in range(2))
    assert said(lists[0], before) == "accept accepted"
    assert take_revocations(lists[0], revoked(key, AT + 300, 2), UnixSeconds(NOW))
    assert said(lists[0], after) == "reject key-revoked"


@dataclass(frozen=True)
class Both:
    """Two who sign in one block."""

    first: Signs
    second: Signs

    @property
    def address(self) -> str:
        return self.first.address

    @property
    def fingerprint(self) -> str:
        return self.first.fingerprint

    @property
    def public(self) -> bytes:
        return self.first.public

    def detached(self, text: bytes) -> bytes:
        return joined([self.first.detached(text), self.second.detached(text)])

    def clear(self, text: bytes) -> bytes:
        shown, one = cut(self.first.clear(text))
        return shown + joined([one, cut(self.second.clear(text))[1]])


def cut(clear: bytes) -> tuple[bytes, bytes]:
    at = clear.rindex(b"-----BEGIN PGP SIGNATURE-----")
    return clear[:at], clear[at:]


@pytest.mark.parametrize(("name", "kind", "form"), CASES)
def test_one_bad_signature_beside_a_good_one_is_too_many(
    annas: dict[str, Program], lists: tuple[Stash, Stash], name: str, kind: str, form: str
) -> None:
    has(lists, ANNA, annas[name])
    good, other = annas[name], annas[name].signing_at(AT + 1)
    bad = AsIfOver(other, b"Something else.\n")
    assert said(lists[0], FORMS[kind][form](Both(good, bad))) == "reject signature-does-not-verify"
    assert said(lists[0], FORMS[kind][form](Both(good, other))) == "accept accepted"


@pytest.mark.parametrize("name", NAMES)
def test_two_signatures_of_which_one_is_bad(
    annas: dict[str, Program], boriss: dict[str, Program], lists: tuple[Stash, Stash], name: str
) -> None:
    anna, boris, birds = annas[name], boriss[name], lists[0]
    has(lists, ANNA, anna)
    has(lists, BORIS, boris)
    bad = AsIfOver(anna.signing_at(AT + 1), b"something else")
    assert said(birds, pgp_mime(anna, also=[bad])) == "reject signature-does-not-verify"
    assert said(birds, pgp_mime(bad, also=[anna], author=ANNA)) == "reject signature-does-not-verify"
    assert said(birds, pgp_mime(anna, also=[boris])) == "reject another-subscribers-key"
    assert said(birds, pgp_mime(anna, also=[make_key("eve@stranger.example")])) == "reject unknown-key"
    assert said(birds, pgp_mime(anna, also=[anna.signing_at(AT + 2)])) == "accept accepted"
