"""A list of a real Mailman 3 whose posts are compared with the stash: by the plugin alone, and behind a gate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.conftest import need
from tests.signed_posts import (
    LIST,
    PostKey,
    header,
    inline,
    make_key,
    message,
    multipart,
    part,
    pgp_mime,
    public_block,
    unsigned,
    usual_fields,
)
from tests.system.mailman_server import LIST_ID, MAILMAN, REQUEST, MailmanServer, reasons_of

ANNA, BORIS = make_key("anna@example.org"), make_key("boris@example.net")
ANNAS_NEXT = make_key("anna@example.org", "anna's next")
STRANGER = make_key("eve@stranger.example")


@pytest.fixture
def mailman(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MailmanServer]:
    if not (MAILMAN / "master").exists():
        need(request.node.nodeid, "mailman (`make packages` puts it into .venv/mailman)")
    server = MailmanServer(tmp_path / "mailman")
    try:
        yield server
    finally:
        server.stop()


def now(key: PostKey) -> PostKey:
    """Signs with the clock of this machine."""
    return key.signing(at=int(time.time()))


def deposit_letter(key: PostKey) -> bytes:
    attached = part(public_block(key).decode(), "application/pgp-keys")
    fields = usual_fields(key.address, int(time.time()), To=REQUEST, Subject="key")
    return message(fields, multipart(part("Here is my key.\n"), attached))


def reply(letter: EmailMessage, *signers: PostKey) -> bytes:
    quoted = "".join(f"> {line}\n" for line in letter.get_content().splitlines())
    first, *others = (now(one) for one in signers)
    fields = {"To": str(letter["From"]), "Subject": f"Re: {letter['Subject']}"}
    return pgp_mime(first, f"It is mine.\n\n{quoted}", also=others, **fields)


def with_key(mailman: MailmanServer, key: PostKey, *also: PostKey) -> EmailMessage:
    """Deposit a key and confirm it, by mail to LIST-request; the last letter."""
    before = len(mailman.letters(key.address))
    mailman.hand_in(deposit_letter(key), key.address, REQUEST)
    token = mailman.wait_for_letters(key.address, before + 1)[-1]
    assert key.fingerprint in token.get_content()
    mailman.hand_in(reply(token, key, *also), key.address, REQUEST)
    return mailman.wait_for_letters(key.address, before + 2)[-1]


def test_from_subscription_to_moderation(mailman: MailmanServer) -> None:
    mailman.start()
    for key in (ANNA, BORIS):
        mailman.subscribe(key.address)
        assert "please deposit" in mailman.wait_for_letters(key.address, 1)[0]["Subject"]
    mailman.hand_in(unsigned(ANNA.address), ANNA.address)
    refused = mailman.wait_for_letters(ANNA.address, 2)[-1]
    assert "unsigned" in refused.as_string()
    for key in (ANNA, BORIS):
        assert "active" in with_key(mailman, key)["Subject"]

    # What Anna signs goes out, however she signs it; its octets are what her key signed.
    posts = [pgp_mime(now(ANNA), "One.\n"), inline(now(ANNA), "Two.\n"), header(now(ANNA), "Three.\n")]
    posts.append(pgp_mime(now(ANNA), entity=part("Vögel  \n", encoding="8bit"), Subject="=?utf-8?q?V=C3=B6gel?= " * 6))
    for octets in posts:
        mailman.hand_in(octets, ANNA.address)
    before = 3
    got = mailman.wait_for_letters(BORIS.address, before + len(posts))[before:]
    assert all(one["List-Id"] for one in got)

    # What she did not sign goes nowhere, and no stranger hears of it.
    mailman.settled()
    annas = len(mailman.letters(ANNA.address))
    for octets in (
        posts[0].replace(b"One.", b"0ne."),
        b"Received: from elsewhere\r\n" + posts[1],
        pgp_mime(now(BORIS), "I am Anna.\n", author=ANNA.address),
        pgp_mime(now(STRANGER), "Buy now.\n"),
        unsigned(STRANGER.address),
    ):
        mailman.hand_in(octets, STRANGER.address)
    answers = mailman.wait_for_letters(ANNA.address, annas + 3)[annas:]
    mailman.settled()
    assert len(mailman.letters(BORIS.address)) == before + len(posts)
    assert mailman.letters(STRANGER.address) == []
    assert any(BORIS.fingerprint in one.as_string().replace("=\n", "").replace("\n", "") for one in answers)
    assert mailman.held() == []

    # Rotation takes the old key's word.
    assert "missing" in with_key(mailman, ANNAS_NEXT)["Subject"]
    assert "active" in with_key(mailman, ANNAS_NEXT, ANNA)["Subject"]
    mailman.hand_in(pgp_mime(now(ANNAS_NEXT), "With the new key.\n"), ANNA.address)
    mailman.wait_for_letters(BORIS.address, before + len(posts) + 1)

    # What is held waits for Mailman's own moderators.
    mailman.trustgraph("list", "set", LIST, "--rule", "on_unsigned=hold")
    mailman.hand_in(unsigned(ANNA.address, "Held.\n", Subject="held"), ANNA.address)
    mailman.settled()
    held = mailman.held()
    assert [one["subject"] for one in held] == ["held"]
    assert "unsigned" in reasons_of(held[0])
    mailman.rest("POST", f"/lists/{LIST_ID}/held/{held[0]['request_id']}", action="accept")
    last = mailman.wait_for_letters(BORIS.address, before + len(posts) + 2)[-1]
    assert last["Subject"].endswith("held")

    # Without an answer nothing passes.
    away = mailman.home / "trustgraph.toml"
    away.rename(mailman.home / "away")
    mailman.hand_in(pgp_mime(now(ANNA), "Is anybody there?\n", Subject="unjudged"), ANNA.address)
    mailman.settled()
    assert "could not be checked" in reasons_of(mailman.held()[-1])
    (mailman.home / "away").rename(away)

    # Who leaves is forgotten.
    member = next(one for one in mailman.rest("GET", "/members")["entries"] if one["email"] == BORIS.address)
    mailman.rest("DELETE", f"/members/{member['member_id']}")
    assert BORIS.address not in mailman.trustgraph("list", "keys", LIST, "--json")


def test_behind_a_gate(mailman: MailmanServer) -> None:
    mailman.chain = "trustgraph-gated-chain"
    mailman.start("--deliver", "lmtp://127.0.0.1:1")
    mailman.trustgraph("list", "set", LIST, "--deliver", f"lmtp://127.0.0.1:{mailman.lmtp}")
    mailman.subscribe(BORIS.address)
    mailman.subscribe(ANNA.address)
    with_key(mailman, ANNA)
    mailman.pipe(pgp_mime(now(ANNA), "Through the pipe.\n"), ANNA.address)
    assert "x-pgp-post=pass" in mailman.wait_for_letters(BORIS.address, 2)[-1].as_string()
    mailman.hand_in(pgp_mime(now(ANNA), "Past the gate.\n", Subject="past"), ANNA.address)
    mailman.settled()
    assert [one["subject"] for one in mailman.held()] == ["past"]
    assert len(mailman.letters(BORIS.address)) == 2
