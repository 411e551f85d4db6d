"""A mailing list on a real Postfix, by pipe(8) and by milter: keys come in by mail, posts pass or they do not."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

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
from tests.system.gate_lab import wait_for
from tests.system.list_host import KEYS, ListHost
from trustgraph.mailinglist.token import CONSENT

ANNA, BORIS = make_key("anna@example.org"), make_key("boris@example.net")
ANNAS_NEXT = make_key("anna@example.org", "anna's next")
MEMBERS = ("anna@example.org", "boris@example.net")
STRANGER = make_key("eve@stranger.example")


@pytest.fixture
def host(require: Callable[[str], str], tmp_path: Path) -> Iterator[ListHost]:
    made = ListHost(tmp_path / "host", require("postfix"))
    try:
        made.prepare()
        made.subscribe(*MEMBERS)
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def signing_host(require: Callable[[str], str], tmp_path: Path) -> Iterator[ListHost]:
    made = ListHost(tmp_path / "host", require("postfix"))
    try:
        made.prepare(signing=True)
        made.subscribe(*MEMBERS)
        made.start_signing()
        made.start()
        yield made
    finally:
        made.stop()


def now(key: PostKey) -> PostKey:
    """Signs with the clock of this machine, as people's programs do."""
    return key.signing(at=int(time.time()))


def deposit_letter(key: PostKey) -> bytes:
    fields = usual_fields(key.address, int(time.time()), To=KEYS, Subject="my key")
    attached = part(public_block(key).decode(), "application/pgp-keys")
    return message(fields, multipart(part("Here is my key.\n"), attached))


def reply(letter: EmailMessage, *signers: PostKey) -> bytes:
    """To the letter with the token, quoted whole as mail programs do."""
    text = letter.get_content()
    quoted = "".join(f"> {line}\n" for line in text.splitlines())
    first, *others = (now(one) for one in signers)
    return pgp_mime(
        *(first, f"It is mine.\n{CONSENT}\n\n{quoted}"),
        also=others,
        To=KEYS,
        Subject=f"Re: {letter['Subject']}",
        In_Reply_To=str(letter["Message-ID"]),
    )


def with_key(host: ListHost, key: PostKey, *also: PostKey) -> EmailMessage:
    """Have a key deposited and confirmed by mail; the last letter."""
    before = len(host.mailbox(key.address))
    host.post(deposit_letter(key), key.address, KEYS)
    token = host.wait_for_mail(key.address, before + 1)[-1]
    assert key.fingerprint in token.get_content()
    host.post(reply(token, key, *also), key.address, KEYS)
    return host.wait_for_mail(key.address, before + 2)[-1]


def test_from_deposit_to_post_by_mail(host: ListHost) -> None:
    confirmed = with_key(host, ANNA)
    assert "active" in confirmed["Subject"]
    assert confirmed["Return-Path"] in (None, "<>")
    assert confirmed["Auto-Submitted"] == "auto-replied"
    host.post(pgp_mime(now(ANNA), "The swifts are back.\n"), ANNA.address)
    got = host.wait_for_mail("boris@example.net", 1)[0]
    assert "x-pgp-post=pass" in got["Authentication-Results"]
    assert ANNA.fingerprint in got["Authentication-Results"]
    assert "The swifts are back." in got.get_body().get_content()  # type: ignore[union-attr]
    host.post(inline(now(ANNA), "So they are.\n"), ANNA.address)
    host.post(header(now(ANNA), "Since Monday.\n"), ANNA.address)
    host.wait_for_mail("boris@example.net", 3)
    host.settled()
    assert len(host.mailbox(ANNA.address)) == 2 + 3


def test_nothing_forged_gets_through_and_no_stranger_is_written_to(host: ListHost) -> None:
    with_key(host, ANNA)
    with_key(host, BORIS)
    host.settled()
    before = {member: len(host.mailbox(member)) for member in MEMBERS}
    good = pgp_mime(now(ANNA), "Only once.\n")
    host.post(good, ANNA.address)
    host.wait_for_mail("boris@example.net", before["boris@example.net"] + 1)
    forged = [
        unsigned("anna@example.org"),
        pgp_mime(now(BORIS), "I am Anna.\n", author="anna@example.org"),
        good,  # over SMTP once more, it has another trace
        good.replace(b"Only once", b"Only twice"),
        pgp_mime(now(STRANGER), "Buy now.\n"),
        unsigned("eve@stranger.example"),
    ]
    for octets in forged:
        host.post(octets, "eve@stranger.example")
    host.settled()
    assert host.mailbox("eve@stranger.example") == []
    assert len(host.mailbox("boris@example.net")) == before["boris@example.net"] + 1
    answers = host.mailbox(ANNA.address)[before[ANNA.address] + 1 :]
    reasons = {found[0] for one in answers if (found := re.findall(r"reason:? *([a-z-]+)", one.get_content()))}
    assert len(answers) == 4, [one.get_content() for one in answers]
    assert all("was refused" in one["Subject"] for one in answers), reasons
    assert any(BORIS.fingerprint in one.get_content() for one in answers)


def test_a_moderator_lets_in_what_is_held_or_does_not(host: ListHost) -> None:
    host.trustgraph("list", "set", LIST, "--rule", "on_unsigned=hold")
    for subject in ("first", "second"):
        host.post(unsigned("anna@example.org", f"{subject} text\n", Subject=subject), ANNA.address)
    host.settled()
    letters = host.wait_for_mail("owner@example.net", 2)
    held = {one["subject"]: one["id"] for one in host.held()}
    assert set(held) == {"first", "second"}
    assert any(held["first"] in one.get_content() for one in letters)
    assert host.mailbox("boris@example.net") == []
    host.trustgraph("list", "approve", LIST, held["first"])
    assert "first text" in host.wait_for_mail("boris@example.net", 1)[0].get_content()
    host.trustgraph("list", "reject", LIST, held["second"])
    host.settled()
    assert host.held() == []
    assert len(host.mailbox("boris@example.net")) == 1
    assert "refused by a moderator" in host.mailbox(ANNA.address)[-1]["Subject"]


def test_a_key_that_takes_over_needs_the_old_one(host: ListHost) -> None:
    with_key(host, ANNA)
    waiting = with_key(host, ANNAS_NEXT)
    assert "missing" in waiting["Subject"]
    confirmed = with_key(host, ANNAS_NEXT, ANNA)
    assert ANNA.fingerprint in confirmed.get_content()
    host.post(pgp_mime(now(ANNAS_NEXT), "With the new key.\n"), ANNA.address)
    host.post(pgp_mime(now(ANNA), "And still with the old one.\n"), ANNA.address)
    host.wait_for_mail("boris@example.net", 2)
    host.trustgraph("list", "revoke", LIST, ANNA.address, ANNA.fingerprint, "--no-letter")
    host.post(pgp_mime(now(ANNA), "Not any more.\n"), ANNA.address)
    host.settled()
    assert len(host.mailbox("boris@example.net")) == 2


def test_a_post_that_cannot_be_judged_waits(host: ListHost) -> None:
    with_key(host, ANNA)
    host.settled()
    database = host.home / "site/trustgraph.db"
    away = database.with_suffix(".away")
    database.rename(away)
    host.post(pgp_mime(now(ANNA), "Patience.\n"), ANNA.address)
    assert "status=deferred" in waited_for(host, "status=deferred")
    assert [one["queue_name"] for one in host.queue()] == ["deferred"]
    assert host.mailbox("boris@example.net") == []
    away.rename(database)
    host.flush()
    host.wait_for_mail("boris@example.net", 1)


def test_a_python_that_does_not_start_loses_no_post(host: ListHost) -> None:
    with_key(host, ANNA)
    host.settled()
    before = len(host.mailbox(ANNA.address))
    program = host.home / "trustgraph"
    whole = program.read_text()
    program.write_text(whole.replace("exec ", "exec /usr/bin/env PYTHONHOME=/nonexistent "))
    host.post(pgp_mime(now(ANNA), "Patience.\n"), ANNA.address)
    assert "status=deferred" in waited_for(host, "status=deferred")
    assert len(host.mailbox(ANNA.address)) == before, "nothing bounces"
    program.write_text(whole)
    host.flush()
    host.wait_for_mail("boris@example.net", 1)


def test_afterwards_the_host_signs_like_any_host(signing_host: ListHost) -> None:
    host = signing_host
    with_key(host, ANNA)
    host.post(header(now(ANNA), "Signed by Anna, then by the host.\n"), ANNA.address)
    got = host.wait_for_mail("boris@example.net", 1)[0]
    signatures = [str(one) for one in got.get_all("PGP-Header-Signature", [])]
    assert [re.findall(r"d=([^;]+);", one) for one in signatures] == [["lists.example"], ["laptop.example.org"]]
    assert "x-pgp-post=pass" in got["Authentication-Results"]


def waited_for(host: ListHost, text: str) -> str:
    wait_for(lambda: text in host.log(), text)
    return host.log()


def test_the_milter_gates_lists_and_nothing_else(host: ListHost) -> None:
    with_key(host, ANNA)
    host.settled()
    host.start_milter()
    host.post(
        unsigned("eve@stranger.example", To="boris@example.net"),
        "eve@stranger.example",
        "boris@example.net",
        gated=True,
    )
    assert "Authentication-Results" not in host.wait_for_mail("boris@example.net", 1)[0]
    host.post(pgp_mime(now(ANNA), "Through the milter.\n"), ANNA.address, gated=True)
    got = host.wait_for_mail("boris@example.net", 2)[-1]
    assert "x-pgp-post=pass" in got["Authentication-Results"]
    with pytest.raises(smtplib.SMTPDataError) as refused:
        host.post(unsigned("anna@example.org"), "eve@stranger.example", gated=True)
    assert refused.value.smtp_code == 550
    assert b"5.7.1" in refused.value.smtp_error
    assert b"unsigned" in refused.value.smtp_error
    host.settled()
    assert len(host.mailbox(ANNA.address)) == 3  # two letters about the key and a post: who was refused has it still

    host.trustgraph("list", "set", LIST, "--rule", "on_unsigned=hold")
    wait_until_noticed(host)
    host.post_to([LIST, "anna@example.org"], unsigned("anna@example.org", Subject="held"), ANNA.address, gated=True)
    host.wait_for_mail(ANNA.address, 4)
    held = host.held()
    assert [one["subject"] for one in held] == ["held"]
    assert len(host.mailbox("boris@example.net")) == 2
    host.trustgraph("list", "approve", LIST, held[0]["id"])
    host.wait_for_mail("boris@example.net", 3)


def wait_until_noticed(host: ListHost) -> None:
    """A dry question to the milter until it knows the list's new rules: a stranger's unsigned post is held, too."""

    def held() -> bool:
        try:
            host.post(unsigned("eve@stranger.example", Subject="asks"), "eve@stranger.example", gated=True)
        except smtplib.SMTPDataError:
            return False
        return True

    wait_for(held, "the new rules")
    for one in host.held():
        host.trustgraph("list", "reject", LIST, one["id"], "--silent")
