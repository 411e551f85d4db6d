"""A list of a real Mailman 3 whose posts are compared with the stash: by the plugin alone, and behind a gate."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
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
from tests.signing_programs import GnuPG, Sequoia
from tests.system.mailman_server import BIN, REQUEST, MailmanServer
from trustgraph.mailinglist.token import CONSENT

READER, STRANGER = "reader@example.net", "eve@stranger.example"
OWNER = LIST.replace("@", "-owner@")
EVE = make_key(STRANGER)


@pytest.fixture(scope="module", autouse=True)
def _mailman(request: pytest.FixtureRequest) -> None:
    if not (BIN / "master").exists():
        need(request.node.nodeid, "mailman (PyPI; tests/make-mailman puts it into .venv/mailman)")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailmanServer]:
    made = MailmanServer(tmp_path_factory.mktemp("lists") / "mailman")
    try:
        made.start()
        made.join(READER)
        assert "1 members" in made.mailman("trustgraph", "--chain", "posting", LIST)
        made.wait_for_mail(READER, 1)
        yield made
    finally:
        made.stop()


def now(key: PostKey) -> PostKey:
    """Signs with the clock of this machine, as people's programs do."""
    return key.signing(at=int(time.time()))


def member(server: MailmanServer, name: str) -> PostKey:
    """Somebody who has joined and whose key the owner has vouched for."""
    key = make_key(f"{name}@example.org")
    server.join(key.address)
    path = server.home / f"{name}.asc"
    path.write_bytes(public_block(key))
    server.trustgraph("list", "subscribe", LIST, key.address, "--key", str(path), "--vouch", key.fingerprint)
    return key


def delivered(server: MailmanServer, subject: str) -> list[EmailMessage]:
    """What READER has of a subject, once Mailman has nothing in hand."""
    server.settled()
    return with_subject(server, subject)


def with_subject(server: MailmanServer, subject: str) -> list[EmailMessage]:
    return [one for one in server.mailbox(READER) if subject in str(one["Subject"])]


def wait_for_post(server: MailmanServer, subject: str) -> EmailMessage:
    server.wait(lambda: with_subject(server, subject), f"{subject!r} at the reader's")
    return with_subject(server, subject)[0]


def deposit_letter(key: PostKey, **fields: str) -> bytes:
    attached = part(public_block(key).decode(), "application/pgp-keys")
    usual = usual_fields(key.address, int(time.time()), **{"To": REQUEST, "Subject": "key", **fields})
    return message(usual, multipart(part("Here is my key.\n"), attached))


def reply(letter: EmailMessage, *signers: PostKey) -> bytes:
    """To the letter with the token, quoted whole as mail programs do."""
    quoted = "".join(f"> {line}\n" for line in letter.get_content().splitlines())
    first, *others = (now(one) for one in signers)
    fields = {"To": str(letter["From"]), "Subject": f"Re: {letter['Subject']}"}
    return pgp_mime(first, f"It is mine.\n{CONSENT}\n\n{quoted}", also=others, **fields)


def with_key(server: MailmanServer, key: PostKey, *also: PostKey) -> EmailMessage:
    """Deposit a key and prove it, by mail to LIST-request; the last letter."""
    before = len(server.mailbox(key.address))
    server.post(deposit_letter(key), key.address, REQUEST)
    token = server.wait_for_mail(key.address, before + 1)[-1]
    assert key.fingerprint in token.get_content()
    server.post(reply(token, key, *also), key.address, REQUEST)
    return server.wait_for_mail(key.address, before + 2)[-1]


def test_a_member_is_asked_for_a_key_and_posts_with_it_until_he_leaves(server: MailmanServer) -> None:
    anna, next_one = make_key("anna@example.org"), make_key("anna@example.org", "anna's next")
    server.join("max@example.net", "moderator")
    server.join(anna.address)
    asked = server.wait_for_mail(anna.address, 1)[0]
    assert (asked["From"], asked["X-MailFrom"]) == (REQUEST, "<>")
    assert str(asked["Subject"]).startswith("Key for")
    server.post(pgp_mime(now(anna), Subject="too early"), anna.address)
    assert "not known on this list" in text_of(server.wait_for_mail(anna.address, 2)[1])

    assert "active" in with_key(server, anna)["Subject"]
    server.post(pgp_mime(now(anna), "The swifts are back.\n", Subject="first of anna"), anna.address)
    got = wait_for_post(server, "first of anna")
    assert got["List-Id"]
    assert "The swifts are back." in text_of(got)
    assert server.mailbox("max@example.net") == []

    assert "missing" in with_key(server, next_one)["Subject"]
    assert "active" in with_key(server, next_one, anna)["Subject"]
    server.post(header(now(next_one), Subject="second of anna", X_Long="swifts " * 40), anna.address)
    wait_for_post(server, "second of anna")
    assert delivered(server, "too early") == []

    server.leave(anna.address)
    server.wait(lambda: all(one["address"] != anna.address for one in server.stash()), "a stash without anna")
    server.post(pgp_mime(now(next_one), Subject="third of anna"), anna.address)
    assert delivered(server, "third of anna") == []


def test_nothing_forged_gets_through_and_no_stranger_is_written_to(server: MailmanServer) -> None:
    boris, clara = member(server, "boris"), member(server, "clara")
    good = inline(now(boris), "Only once: schön \n- -\n", encoding="8bit", Subject="of boris")
    server.post(good, boris.address)
    wait_for_post(server, "of boris")
    before = len(server.mailbox(boris.address))
    forged = [
        unsigned(boris.address, Subject="of boris"),
        pgp_mime(now(clara), "I am Boris.\n", author=boris.address, Subject="of boris"),
        good,  # with a trace of its own
        good.replace(b"Only once", b"Only twice"),
        pgp_mime(now(EVE), "Buy now.\n", Subject="of boris"),
        unsigned(STRANGER, Subject="of boris"),
        unsigned(boris.address, Subject="of boris", Approved="secret", Reply_To=STRANGER, Sender=STRANGER),
    ]
    for octets in forged:
        server.post(octets, STRANGER)
    answers = server.wait_for_mail(boris.address, before + 4)[before:]
    assert len(delivered(server, "of boris")) == 1
    assert server.mailbox(STRANGER) == []
    assert server.held() == []
    assert {str(one["From"]) for one in answers} == {REQUEST}
    assert any(clara.fingerprint in text_of(one) for one in answers)
    assert not any("Buy now" in one.as_string() or "I am Boris" in one.as_string() for one in answers)


def test_what_is_held_waits_for_mailmans_moderators(server: MailmanServer) -> None:
    dora = member(server, "dora")
    server.settled()
    before = {one: len(server.mailbox(one)) for one in (OWNER, dora.address)}
    server.trustgraph("list", "set", LIST, "--rule", "on_unsigned=hold")
    try:
        server.post(unsigned(dora.address, "Let me in.\n", Subject="held one"), dora.address)
        server.post(unsigned(STRANGER, "$mlist {0}\n", Subject="held two"), STRANGER)
        server.wait(lambda: len(server.held()) == 2, "two held posts")
    finally:
        server.trustgraph("list", "set", LIST, "--rule", "on_unsigned=reject")
    held = {str(one["subject"]): one for one in server.held()}
    assert "unsigned: it is not signed" in str(held["held one"]["reason"])
    assert "on_unsigned = hold" in str(held["held one"]["reason"])
    assert dora.fingerprint in str(held["held one"]["reason"])
    assert server.trustgraph("list", "held", LIST, "--json") == ""
    notices = server.wait_for_mail(OWNER, before[OWNER] + 2)[before[OWNER] :]
    assert all("requires approval" in str(one["Subject"]) for one in notices)
    assert "awaits moderator" in str(server.wait_for_mail(dora.address, before[dora.address] + 1)[-1]["Subject"])
    server.moderate(held["held one"], "accept")
    assert "Let me in." in text_of(wait_for_post(server, "held one"))
    server.moderate(held["held two"], "discard")
    assert (server.held(), delivered(server, "held two"), server.mailbox(STRANGER)) == ([], [], [])


def test_posts_and_letters_wait_while_nobody_can_judge_them(server: MailmanServer) -> None:
    emil = member(server, "emil")
    server.wait(lambda: not server.queued("trustgraph"), "emil in the stash")
    emils_next = make_key(emil.address, "emil's next")
    before = len(server.mailbox(emil.address))
    database = server.home / "trustgraph.db"
    away = database.with_suffix(".away")
    database.rename(away)
    try:
        server.post(pgp_mime(now(emil), Subject="patience"), emil.address)
        server.post(deposit_letter(emils_next), emil.address, REQUEST)
        server.join("fritz@example.org")
        server.join("short@example.org")
        server.leave("short@example.org")
        server.wait(lambda: len(server.queued("trustgraph")) >= 5, "five that wait")
        server.wait(lambda: server.log("plugins").count("will be tried again") >= 3, "the first attempts")
        assert not database.exists()
        assert with_subject(server, "patience") == []
    finally:
        away.rename(database)
    wait_for_post(server, "patience")
    letters = server.wait_for_mail(emil.address, before + 2)  # his own post, and the letter about the key
    assert any(emils_next.fingerprint in text_of(one) for one in letters[before:])
    server.wait(lambda: any("please deposit" in str(one["Subject"]) for one in server.mailbox("fritz@example.org")), "")
    server.wait(lambda: not server.queued("trustgraph"), "nothing that waits")
    assert (server.held(), server.queued("shunt"), server.mailbox("short@example.org")) == ([], [], [])


def test_a_runner_that_is_stopped_or_killed_loses_nothing_and_posts_nothing_twice(server: MailmanServer) -> None:
    gerda = member(server, "gerda")
    for number, kill in enumerate((signal.SIGUSR1, signal.SIGKILL)):
        with server.answers_kept_back() as answers:
            server.post(pgp_mime(now(gerda), Subject=f"interrupted {number}"), gerda.address)
            server.wait(answers, "an answer that was given")
            os.kill(server.runner("in"), kill)
            server.wait(lambda: answers() >= 2, "the same answer once more")
        wait_for_post(server, f"interrupted {number}")
        assert len(delivered(server, f"interrupted {number}")) == 1
        assert server.queued("shunt") == []
    gerdas_next, before = make_key(gerda.address, "gerda's next"), len(server.mailbox(gerda.address))
    with server.answers_kept_back() as answers:
        server.post(deposit_letter(gerdas_next), gerda.address, REQUEST)
        server.wait(answers, "a letter that was taken")
        os.kill(server.runner("command"), signal.SIGUSR1)
        server.wait(lambda: answers() >= 2, "the same letter once more")
    assert gerdas_next.fingerprint in text_of(server.wait_for_mail(gerda.address, before + 1)[-1])
    assert server.queued("shunt") == []


def odd_parts() -> dict[str, bytes]:
    """What Mailman's parser drops something of that a signature may be over."""
    return {
        "no space behind a colon": b"Content-Type:text/plain\r\n\r\nHi\r\n",
        "two spaces behind a colon": b"Content-Type:  text/plain\r\n\r\nHi\r\n",
        "a space behind a boundary": multipart(part("Hi\n")).replace(b"--\r\n", b"-- \r\n"),
        "no line end behind a nested multipart": multipart(part("Hi\n")).removesuffix(b"\r\n"),
    }


@pytest.mark.parametrize("program", ["gpg", "sq"])
def test_what_came_is_what_is_asked_about(
    server: MailmanServer, program: str, require: Callable[[str], str], tmp_path: Path
) -> None:
    """Octets that no parser keeps, signed by real programs, when the LMTP runner does."""
    address = f"{program}@example.org"
    gpg = GnuPG(require("gpg"), tmp_path / "gpg")
    try:
        made = gpg.new(address) if program == "gpg" else Sequoia(require("sq"), tmp_path).new(address)
        server.join(address)
        (tmp_path / "key").write_bytes(made.public)
        vouched = ["--key", str(tmp_path / "key"), "--vouch", made.fingerprint]
        server.trustgraph("list", "subscribe", LIST, address, *vouched)
        signer = made.signing_at(int(time.time()))
        entities = odd_parts()
        if program == "sq":
            entities = {"nested": entities["no line end behind a nested multipart"]}
        for name, entity in entities.items():
            server.post(pgp_mime(signer, entity=entity, Subject=f"{program}: {name}"), address)
        for name in entities:
            wait_for_post(server, f"{program}: {name}")
    finally:
        gpg.stop()


def test_what_comes_another_way_is_asked_about_as_mailman_has_parsed_it(server: MailmanServer) -> None:
    hanna = member(server, "hanna")
    path = server.home / "post"
    both = multipart(part("Zurück: \n", encoding="8bit"), part("a \tb \n\n", more=f"X-Long: {'swifts ' * 40}\r\n"))
    path.write_bytes(pgp_mime(now(hanna), entity=both, Subject="injected"))
    server.mailman("inject", "--filename", str(path), LIST)
    wait_for_post(server, "injected")
    path.write_bytes(path.read_bytes().replace(b"a \tb", b"a  b").replace(b"injected", b"altered"))
    server.mailman("inject", "--filename", str(path), LIST)
    assert delivered(server, "altered") == []


def test_patience_ends_with_a_moderator_and_never_in_a_post(server: MailmanServer) -> None:
    ida = member(server, "ida")
    server.be_patient_for("1s")
    settings = server.home / "trustgraph.toml"
    away = settings.rename(settings.with_suffix(".away"))
    try:
        server.post(pgp_mime(now(ida), Subject="nobody there"), ida.address)
        server.wait(server.held, "a held post")
    finally:
        away.rename(settings)
    (held,) = server.held()
    assert held["subject"] == "nobody there"
    assert "could not be checked" in str(held["reason"])
    assert delivered(server, "nobody there") == []
    server.moderate(held, "discard")
    server.be_patient_for("1h")


def test_behind_a_gate_its_field_is_what_counts(server: MailmanServer) -> None:
    kurt = member(server, "kurt")
    server.mailman("trustgraph", "--chain", "gated", LIST)
    server.trustgraph("list", "set", LIST, "--deliver", f"lmtp://127.0.0.1:{server.lmtp_port}")
    try:
        claims = "lists.example; x-pgp-post=pass"
        fields = {"Subject": "through the gate", "Authentication_Results": f'{claims} reason="accepted"'}
        post = pgp_mime(now(kurt), **fields)
        server.trustgraph("list", "pipe", "--sender", kurt.address, LIST, stdin=post)
        got = wait_for_post(server, "through the gate")
        assert kurt.fingerprint in got["Authentication-Results"]
        results = str(got["Authentication-Results"])
        past = [None, claims, f"other.example; {results.partition(';')[2]}", "lists.example; x-pgp-header=pass"]
        for value in past:
            field = {} if value is None else {"Authentication_Results": value}
            server.post(pgp_mime(now(kurt), Subject="past the gate", **field), kurt.address)
        twice = f"Authentication-Results: {results}\r\n".encode() * 2
        server.post(twice + unsigned(kurt.address, Subject="past the gate"), kurt.address)
        server.wait(lambda: len(server.held()) == len(past) + 1, "held posts")
        assert delivered(server, "past the gate") == []
        assert all("did not come through the gate" in str(one["reason"]) for one in server.held())
    finally:
        for one in server.held():
            server.moderate(one, "discard")
        server.mailman("trustgraph", "--chain", "posting", LIST)


def test_header_matches_of_mailmans_own_do_as_well(server: MailmanServer) -> None:
    """As docs/lists.md has it: everything is held but what the gate's field is on."""
    lotte = member(server, "lotte")
    server.mailman("trustgraph", "--chain", "off", LIST)
    server.trustgraph("list", "set", LIST, "--deliver", f"lmtp://127.0.0.1:{server.lmtp_port}")
    config = f"lists/{LIST}/config"
    server.rest(config, {"default_member_action": "hold", "default_nonmember_action": "hold"}, method="PATCH")
    pattern = re.search(r"`(\^lists.*reason=)`", (Path(__file__).parents[2] / "docs/lists.md").read_text())
    assert pattern
    match = {"header": "Authentication-Results", "pattern": pattern[1], "action": "accept"}
    server.rest(f"lists/{LIST}/header-matches", match)
    try:
        through = pgp_mime(now(lotte), Subject="with the field")
        server.trustgraph("list", "pipe", "--sender", lotte.address, LIST, stdin=through)
        wait_for_post(server, "with the field")
        server.post(pgp_mime(now(lotte), Subject="without the field"), lotte.address)
        server.wait(server.held, "a held post")
        assert delivered(server, "without the field") == []
    finally:
        for one in server.held():
            server.moderate(one, "discard")
        server.rest(f"lists/{LIST}/header-matches", method="DELETE")
        server.rest(config, {"default_member_action": "defer", "default_nonmember_action": "hold"}, method="PATCH")
        server.mailman("trustgraph", "--chain", "posting", LIST)


def test_a_list_that_has_no_stash_does_not_take_part(server: MailmanServer) -> None:
    mice = "mice@lists.example"
    server.rest("lists", {"fqdn_listname": mice})
    assert "there is no such list" in server.mailman("trustgraph", "--chain", "posting", mice, code=2)
    assert "default-posting-chain" in server.mailman("trustgraph", mice)
    zoe, request = make_key("zoe@example.net"), mice.replace("@", "-request@")
    server.post(deposit_letter(zoe, To=request), zoe.address, request)
    assert "takes no keys" in text_of(server.wait_for_mail(zoe.address, 1)[0])


def in_mailmans_python(code: str) -> str:
    root = str(Path(__file__).parents[2])
    command = [str(BIN / "python"), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": root}, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plugin_needs_nothing_but_mailman() -> None:
    """Its Python knows none of what trustgraph itself is made of."""
    names = ["asking", "calling", "lmtp", "octets", "plugin", "results", "waiting"]
    names += ["chains.trustgraph", "commands.key", "commands.trustgraph", "rules.trustgraph"]
    code = "import importlib, sys\n" + "".join(
        f"importlib.import_module('trustgraph.mailman.{one}')\n" for one in names
    )
    loaded = in_mailmans_python(code + "print(*(one for one in sys.modules if one.startswith('trustgraph')))").split()
    assert all(one == "trustgraph" or one.startswith("trustgraph.mailman") for one in loaded), loaded


@pytest.mark.parametrize("rule", ["NotVerified", "NotThroughGate"])
def test_a_rule_that_fails_lets_nothing_through(rule: str) -> None:
    """Without a configuration of Mailman's there is nothing that either could ask."""
    code = f"""
from email.message import Message
from types import SimpleNamespace
from trustgraph.mailman.rules.trustgraph import VERDICT, {rule}
data = {{}}
mlist = SimpleNamespace(posting_address="{LIST}", request_address="{REQUEST}", list_id="x")
print({rule}().check(mlist, Message(), data), data[VERDICT])
"""
    assert in_mailmans_python(code).split() in (["True", "unknown"], ["True", "hold"])


def text_of(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
