"""Letters about keys: what each leads to, and who is written to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.signed_posts import (
    AT,
    DAY,
    LIST,
    NOW,
    PostKey,
    armor,
    make_key,
    message,
    multipart,
    part,
    pgp_mime,
    public_block,
    revocation,
    unsigned,
    usual_fields,
)
from tests.unit.services.list_site import ANNA, ANNAS_ALIAS, BORIS, OTHER_LIST, list_site
from trustgraph.errors import ServiceUnavailable
from trustgraph.mailinglist.model import KeyState
from trustgraph.model import UnixSeconds
from trustgraph.services.list_robot import OF_ONE_LIST, TO_ONE_ADDRESS, Handled, handle
from trustgraph.services.list_stash import Stash
from trustgraph.services.list_subscribers import subscribe

CLARA, CLARAS_OTHER = make_key("clara@example.org"), make_key("clara@example.org", "another")
STRANGER = make_key("eve@stranger.example")
KEYS = LIST.replace("@", "-keys@")


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    with list_site(tmp_path) as made:
        subscribe(made, CLARA.address, NOW)
        yield made


class Post:
    """Takes letters, or refuses to."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.broken = False

    def __call__(self, letter: EmailMessage) -> None:
        if self.broken:
            raise ServiceUnavailable("sendmail is away")
        self.letters.append(letter)

    def to(self) -> list[str]:
        return [str(one["To"]) for one in self.letters]


@pytest.fixture
def post() -> Post:
    return Post()


def told(stash: Stash, octets: bytes, post: Post, now: int = NOW, **more: Any) -> Handled:
    return handle(stash, octets, UnixSeconds(now), post, **more)


def deposit(key: PostKey, **fields: str | None) -> bytes:
    attached = part(public_block(key).decode(), "application/pgp-keys")
    usual = usual_fields(key.address, **{"To": KEYS, "Subject": "key", **fields})
    return message(usual, multipart(part("Here.\n"), attached))


def reply(letter: EmailMessage, key: PostKey, *also: PostKey, enclosed: PostKey | None = None, **more: Any) -> bytes:
    quoted = "".join(f"> {line}\n" for line in letter.get_content().splitlines())
    entity = part(f"Yes.\n\n{quoted}")
    if enclosed:
        entity = multipart(entity, part(public_block(enclosed).decode(), "application/pgp-keys"))
    signers = [one.signing(at=NOW + 30) for one in (key, *also)]
    return pgp_mime(signers[0], entity=entity, also=signers[1:], To=KEYS, **more)


def state(stash: Stash, key: PostKey) -> KeyState | None:
    found = stash.subscriber(key.address)
    return next((one.state for one in found.keys if one.fingerprint == key.fingerprint), None) if found else None


def test_a_deposit_and_its_proof(stash: Stash, post: Post) -> None:
    assert told(stash, deposit(CLARA), post) == Handled("deposited", "", CLARA.address, CLARA.fingerprint, 1)
    assert state(stash, CLARA) is KeyState.PENDING
    assert told(stash, reply(post.letters[0], CLARA, enclosed=CLARA), post, NOW + 60).action == "confirmed"
    assert state(stash, CLARA) is KeyState.ACTIVE
    assert post.to() == [CLARA.address, CLARA.address]


def test_an_answer_with_a_key_in_it_is_no_deposit(stash: Stash, post: Post) -> None:
    """Mail programs put their key on every letter; a token that is refused must not lead to a new one."""
    told(stash, deposit(CLARA), post)
    late = told(stash, reply(post.letters[0], CLARA, enclosed=CLARA), post, NOW + 2 * DAY)
    assert late.action == "refused"
    assert "nothing was changed" in post.letters[-1]["Subject"]
    assert state(stash, CLARA) is KeyState.PENDING


def test_a_successor_waits_for_the_old_key(stash: Stash, post: Post) -> None:
    told(stash, deposit(CLARA), post)
    told(stash, reply(post.letters[0], CLARA), post, NOW + 60)
    told(stash, deposit(CLARAS_OTHER), post, NOW + 120)
    letter = post.letters[-1]
    waiting = told(stash, reply(letter, CLARAS_OTHER.signing(at=NOW + 130)), post, NOW + 180)
    assert waiting.action == "waiting"
    assert state(stash, CLARAS_OTHER) is KeyState.PENDING


def test_who_writes_under_an_alias_is_answered_at_the_first_address(stash: Stash, post: Post) -> None:
    new = make_key("anna@example.org", "anna's second")
    done = told(stash, deposit(new, From=f"Anna <{ANNAS_ALIAS}>"), post)
    assert (done.action, done.address, post.to()) == ("deposited", ANNA.address, [ANNA.address])


def test_a_key_that_revokes_itself(stash: Stash, post: Post) -> None:
    block = armor(revocation(ANNA, AT + 60), b"PUBLIC KEY BLOCK").decode()
    done = told(stash, message(usual_fields(ANNA.address, To=KEYS), part(block)), post)
    assert (done.action, done.address) == ("revoked", ANNA.address)
    assert state(stash, ANNA) is KeyState.REVOKED
    assert post.to() == [ANNA.address]


def test_a_revocation_that_could_not_be_told_comes_again(stash: Stash, post: Post) -> None:
    block = armor(revocation(ANNA, AT + 60), b"PUBLIC KEY BLOCK").decode()
    revoking = message(usual_fields(ANNA.address, To=KEYS), part(block))
    post.broken = True
    with pytest.raises(ServiceUnavailable):
        told(stash, revoking, post)
    assert state(stash, ANNA) is KeyState.REVOKED
    post.broken = False
    assert told(stash, revoking, post).action == "revoked"
    assert post.to() == [ANNA.address]
    new = make_key("anna@example.org", "anna's second")
    both = multipart(part(block), part(public_block(new).decode(), "application/pgp-keys"))
    assert told(stash, message(usual_fields(ANNA.address, To=KEYS), both), post).fingerprint == new.fingerprint
    secret = multipart(part(block), part(armor(new.secret, b"PRIVATE KEY BLOCK").decode()))
    leaked = told(stash, message(usual_fields(ANNA.address, To=KEYS), secret), post)
    assert leaked.action == "refused", "the revoked key beside it hides nothing"
    assert "secret key" in post.letters[-1].get_content()
    forwarded = message(usual_fields(BORIS.address, To=KEYS), part(block))
    assert told(stash, forwarded, post).action == "refused", "it is no key of his"


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (deposit(STRANGER), "not from a subscriber"),
        (deposit(CLARA, Auto_Submitted="auto-replied"), "made by a program"),
        (deposit(CLARA, Precedence="bulk"), "made by a program"),
        (deposit(CLARA, List_Id="<x.example>"), "made by a program"),
        (deposit(CLARA, From=LIST), "from the list itself"),
        (deposit(CLARA, From="clara@example.org, eve@stranger.example"), "several-authors"),
        (deposit(CLARA, From=None), "no-author"),
        (b"no message at all", "line 1"),
    ],
)
def test_who_is_not_answered(stash: Stash, post: Post, letter: bytes, why: str) -> None:
    done = told(stash, letter, post)
    assert done.action == "ignored"
    assert why in done.why
    assert post.letters == []
    assert state(stash, CLARA) is None


@pytest.mark.parametrize("sender", ["", "<>"])
def test_bounces_are_not_answered(stash: Stash, post: Post, sender: str) -> None:
    assert told(stash, deposit(CLARA), post, sender=sender).action == "ignored"
    assert post.letters == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: unsigned(CLARA.address, To=KEYS),
        lambda: message(usual_fields(CLARA.address, To=KEYS), part("not a key", "application/pgp-keys")),
        lambda: message(usual_fields(CLARA.address, To=KEYS), part(armor(CLARA.secret, b"PRIVATE KEY BLOCK").decode())),
        lambda: message(usual_fields(CLARA.address), part(armor(CLARA.secret).decode(), "application/pgp-keys")),
    ],
)
def test_what_is_no_deposit_changes_nothing_and_says_so(stash: Stash, post: Post, make: Callable[[], bytes]) -> None:
    assert told(stash, make(), post).action == "refused"
    assert post.to() == [CLARA.address]
    assert state(stash, CLARA) is None


def test_a_forger_cannot_have_somebody_flooded(stash: Stash, post: Post) -> None:
    actions = [told(stash, deposit(CLARA), post, NOW + number).action for number in range(TO_ONE_ADDRESS + 3)]
    assert actions == ["deposited"] * TO_ONE_ADDRESS + ["ignored"] * 3
    assert len(post.letters) == TO_ONE_ADDRESS
    assert told(stash, deposit(CLARA), post, NOW + DAY).action == "deposited"
    assert OF_ONE_LIST < 10_000


def test_a_copied_answer_under_other_names_floods_nobody(stash: Stash, post: Post) -> None:
    told(stash, deposit(CLARA), post)
    answer = reply(post.letters[0], CLARA)
    post.letters.clear()
    for number, name in enumerate([CLARA.address, BORIS.address, ANNA.address] * (TO_ONE_ADDRESS + 2)):
        told(stash, answer.replace(b"From: " + CLARA.address.encode(), b"From: " + name.encode()), post, NOW + number)
    assert 0 < post.to().count(CLARA.address) < TO_ONE_ADDRESS


def test_what_a_signature_proves_needs_no_letter(stash: Stash, post: Post) -> None:
    """Who forges so many letters that no more are written today keeps nobody from confirming or revoking."""
    told(stash, deposit(CLARA), post)
    for number in range(TO_ONE_ADDRESS):
        told(stash, unsigned(CLARA.address, To=KEYS), post, NOW + number)
    assert len(post.letters) == TO_ONE_ADDRESS
    done = told(stash, reply(post.letters[0], CLARA), post, NOW + 60)
    assert (done.action, done.letters) == ("confirmed", 0)
    assert state(stash, CLARA) is KeyState.ACTIVE
    block = armor(revocation(CLARA, AT + 60), b"PUBLIC KEY BLOCK").decode()
    assert told(stash, message(usual_fields(CLARA.address, To=KEYS), part(block)), post, NOW + 90).action == "revoked"
    assert state(stash, CLARA) is KeyState.REVOKED
    assert len(post.letters) == TO_ONE_ADDRESS


def test_a_confirmation_that_could_not_be_told_comes_again(stash: Stash, post: Post) -> None:
    told(stash, deposit(CLARA), post)
    answer = reply(post.letters[0], CLARA)
    post.broken = True
    with pytest.raises(ServiceUnavailable):
        told(stash, answer, post, NOW + 60)
    post.broken = False
    assert told(stash, answer, post, NOW + 120).action == "confirmed"


def test_a_letter_that_cannot_be_answered_comes_again(stash: Stash, post: Post) -> None:
    post.broken = True
    for _ in range(TO_ONE_ADDRESS + 3):
        with pytest.raises(ServiceUnavailable):
            told(stash, deposit(CLARA), post)
    post.broken = False
    assert told(stash, deposit(CLARA), post).action == "deposited"


def test_a_token_of_another_list(stash: Stash, post: Post) -> None:
    told(stash, deposit(CLARA), post)
    letter = post.letters[0]
    text = letter.get_content().replace(LIST, OTHER_LIST)
    letter.set_content(text)
    assert told(stash, reply(letter, CLARA), post, NOW + 60).action == "refused"
    assert state(stash, CLARA) is KeyState.PENDING


def test_a_token_signed_by_somebody_else(stash: Stash, post: Post) -> None:
    told(stash, deposit(CLARA), post)
    forged = reply(post.letters[0], ANNA, author=CLARA.address)
    assert told(stash, forged, post, NOW + 60).action in ("refused", "waiting")
    assert state(stash, CLARA) is KeyState.PENDING


def test_an_open_list_answers_who_wants_to_subscribe(tmp_path: Path, post: Post) -> None:
    with list_site(tmp_path, open=True) as stash:
        assert told(stash, deposit(STRANGER), post).action == "deposited"
        assert stash.subscriber(STRANGER.address) is None
        assert told(stash, reply(post.letters[0], STRANGER), post, NOW + 60).action == "confirmed"
        assert stash.subscriber(STRANGER.address) is not None
        assert set(post.to()) == {STRANGER.address}
        other = make_key("zoe@stranger.example")
        assert told(stash, unsigned(other.address, To=KEYS), post).action == "ignored"
        assert set(post.to()) == {STRANGER.address}, "whoever encloses no key is a stranger"


def test_a_letter_that_is_too_large(stash: Stash, post: Post) -> None:
    assert told(stash, deposit(CLARA) + b"x" * (5 * 1024 * 1024), post).action == "ignored"
