"""The gate as a whole: real Postfix instances, real keyservers, `trustgraph milter` on both sides."""

from __future__ import annotations

import json
import os
import secrets
import signal
import smtplib
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sks import SksNode, gossiping_nodes
from tests.system.gate_lab import DEADLINE, MailHost, hosts, letter, wait_for
from trustgraph.model import Result
from trustgraph.store.observations import RESULT_CODES, message_digest

_ROUND = "receiver.example"
WAITING = 200
FLOOD_CONNECTIONS = 50
FLOOD_MESSAGES = 5_000
KILLS = 20
KILL_MESSAGES = 400
FLOOD_MEMORY_BYTES = 300 * 1024 * 1024


@dataclass
class Lab:
    receiver: MailHost
    known: MailHost
    uncached: MailHost
    nodes: list[SksNode]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, require_for_module: Callable[[str], str]) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("gate")
    postfix, sks = require_for_module("postfix"), require_for_module("sks")
    with gossiping_nodes(sks, home / "sks") as nodes:
        urls = [node.url for node in nodes]
        known_clients = '[milter.known_clients]\n"127.0.1.2" = "known.example"\n"127.0.1.3" = "uncached.example"\n'
        receiver = MailHost(_ROUND, "127.0.1.1", home / "receiver", postfix, urls, more=known_clients)
        known = MailHost("known.example", "127.0.1.2", home / "known", postfix, urls, relay=receiver)
        uncached = MailHost("uncached.example", "127.0.1.3", home / "uncached", postfix, urls, relay=receiver)
        with hosts(receiver, known, uncached):
            for host in (known, uncached):
                host.trustgraph("key", "publish")
            let_stand(receiver, known, uncached)
            for host in (receiver, known, uncached):
                host.start()
            yield Lab(receiver, known, uncached, nodes)


def let_stand(receiver: MailHost, *senders: MailHost) -> None:
    """A history and three endorsers each, so that the receiver rates the senders as accepted."""
    anchors = [f"openpgp:{number:040x}" for number in (1, 2, 3)]
    endorsements = ["endorser,subject,made_at"]
    history = ["observer,subject,day,good,spam"]
    for host in senders:
        identity = f"openpgp:{host.fingerprint}"
        endorsements += [f"{anchor},{identity},2026-10-01T00:00:00Z" for anchor in anchors]
        history += [f"helo:{receiver.name},{identity},2026-11-{day:02d},40,0" for day in range(1, 21)]
    for kind, rows in (("endorsements", endorsements), ("history", history)):
        (receiver.home / f"{kind}.csv").write_text("\n".join(rows) + "\n")
        receiver.trustgraph("ingest", "table", kind, str(receiver.home / f"{kind}.csv"))
    given = [word for anchor in anchors for word in ("--anchor", anchor)]
    receiver.trustgraph("score", *given)
    for host in senders:
        rating = json.loads(receiver.trustgraph("rating", f"openpgp:{host.fingerprint}", "--json"))
        assert rating["standing"] == "accepted", rating


def test_signed_mail_is_accepted_and_says_so(lab: Lab) -> None:
    before = lab.receiver.delivered_count()
    lab.known.submit(1, f"box@{_ROUND}", "signed")
    wait_for(lambda: lab.receiver.delivered_count() > before, "a signed message should arrive")
    (message,) = [one for one in lab.receiver.delivered() if one["Subject"] == "signed"]
    (results,) = message.get_all("Authentication-Results") or []
    words = " ".join(results.split())
    assert words.startswith(f"{_ROUND}; x-pgp-header=pass header.d=known.example header.fp={lab.known.fingerprint};")
    assert 'x-trustgraph=accepted reason="accepted" policy.rating=0.' in words
    assert message.keys().index("Authentication-Results") < message.keys().index("Received")
    assert message.get_all("PGP-Header-Signature")


def test_a_forged_result_is_taken_out(lab: Lab) -> None:
    before = lab.receiver.delivered_count()
    forged = f"Authentication-Results: {_ROUND}; x-pgp-header=pass\r\nAuthentication-Results: other.example; none\r\n"
    with smtplib.SMTP(lab.known.address, lab.known.port, timeout=DEADLINE) as session:
        text = forged.encode() + letter("known.example", f"box@{_ROUND}", "forged-result", 1)
        session.sendmail("sender@known.example", [f"box@{_ROUND}"], text)
    wait_for(lambda: lab.receiver.delivered_count() > before, "the message should arrive")
    (message,) = [one for one in lab.receiver.delivered() if one["Subject"] == "forged-result"]
    found = message.get_all("Authentication-Results") or []
    assert [one.split(";")[0] for one in found] == [_ROUND, "other.example"]
    assert "policy.rating" in found[0]


def test_a_header_changed_on_the_way_is_refused(lab: Lab) -> None:
    lab.known.submit(1, f"box@{_ROUND}", "tamper")
    wait_for(lambda: "550 5.7.7" in lab.known.log(), "the changed message should be refused")
    assert [one for one in lab.receiver.delivered() if "changed" in one["Subject"]] == []
    refused = [event for event in lab.receiver.events("message_judged") if event["reason"] == "forged"]
    assert [(event["verdict"], event["client_host"]) for event in refused] == [("reject", "known.example")]


def test_an_unknown_key_is_refused(lab: Lab, tmp_path: Path) -> None:
    stranger = MailHost("stranger.example", "127.0.1.4", tmp_path / "stranger", "", [], relay=lab.receiver)
    stranger.prepare()
    text = letter("stranger.example", f"box@{_ROUND}", "unknown", 1)
    signed = sign_as(stranger, text)
    assert send(lab.receiver, "127.0.1.4", signed, sender="sender@stranger.example")[0].startswith("550 5.7.0")
    assert send(lab.receiver, "127.0.1.4", text)[0].startswith("550 5.7.0")


def test_while_no_keyserver_answers_mail_waits_and_none_is_lost(lab: Lab) -> None:
    receiver, known, uncached = lab.receiver, lab.known, lab.uncached
    for node in lab.nodes:
        node.kill()
    before = receiver.delivered_count()
    uncached.submit(WAITING, f"box@{_ROUND}", "waiting")
    wait_for(lambda: deferred(uncached) == WAITING, f"{WAITING} messages should be deferred")
    known.submit(5, f"box@{_ROUND}", "meanwhile")
    wait_for(lambda: subjects(receiver)["meanwhile"] == 5, "a cached host should be accepted meanwhile")

    replies = flood(receiver)
    assert len(replies) == FLOOD_MESSAGES
    assert {reply[:9] for reply in replies} == {"451 4.7.5"}
    assert receiver.milter_memory_bytes() < FLOOD_MEMORY_BYTES
    known.submit(5, f"box@{_ROUND}", "afterwards")
    wait_for(lambda: subjects(receiver)["afterwards"] == 5, "a cached host should be accepted after the flood")
    assert receiver.delivered_count() == before + 10
    assert deferred(uncached) == WAITING

    lab.nodes[0].start()
    wait_for(lambda: retried(uncached) == 0, "the queue should run empty once a keyserver is back", 120)
    wait_for(lambda: subjects(receiver)["waiting"] == WAITING, f"all {WAITING} should be delivered")
    ids = [str(one["Message-ID"]) for one in receiver.delivered() if one["Subject"] == "waiting"]
    assert sorted(ids) == sorted(f"<waiting-{number}@uncached.example>" for number in range(WAITING))
    waited = [e for e in receiver.events("message_judged") if e["reason"] == "keyservers-unreachable"]
    assert {event["verdict"] for event in waited} == {"tempfail"}


def test_mail_may_wait_on_hold_instead_and_is_judged_again(lab: Lab) -> None:
    """policy.on_unreachable = quarantine: held here, released once a keyserver answers, removed if it proves bad."""
    receiver = lab.receiver
    for node in lab.nodes:
        node.kill()
    stranger = MailHost("stranger2.example", "127.0.1.5", receiver.home.parent / "stranger2", "", receiver.keyservers)
    stranger.prepare()
    receiver.configure(extra_policy='on_unreachable = "quarantine"')
    receiver.reload_milter()
    text = sign_as(stranger, letter("stranger2.example", f"box@{_ROUND}", "held", 1))
    before = receiver.delivered_count()
    assert send(receiver, "127.0.1.5", text, sender="sender@stranger2.example")[0].startswith("250 ")
    assert [one["queue_name"] for one in receiver.queue()] == ["hold"]
    postfix = ("--postfix", str(receiver.home / "config"))
    (held,) = [json.loads(line) for line in receiver.trustgraph("queue", "list", *postfix, "--json").splitlines()]
    assert held["sender"] == "sender@stranger2.example"
    assert "kept" in receiver.trustgraph("queue", "release", *postfix, code=75)

    for node in lab.nodes:
        node.start()
    assert "removed: key-absent" in receiver.trustgraph("queue", "release", *postfix, "--dry-run")
    assert len(receiver.queue()) == 1
    stranger.trustgraph("key", "publish")
    let_stand(receiver, stranger)
    assert "released: accepted" in receiver.trustgraph("queue", "release", *postfix)
    wait_for(lambda: receiver.delivered_count() == before + 1, "the held message should be delivered")
    assert receiver.queue() == []
    receiver.configure()
    receiver.reload_milter()


def test_killed_under_load_it_loses_no_message_and_no_observation(lab: Lab) -> None:
    """kill -9 of a worker or of the whole milter, again and again, while mail comes in."""
    receiver, known = lab.receiver, lab.known
    ids = {f"<killed-{number}@known.example>" for number in range(KILL_MESSAGES)}
    sending = threading.Thread(target=known.submit, args=(KILL_MESSAGES, f"box@{_ROUND}", "killed"))
    sending.start()
    for number in range(KILLS):
        arrived = receiver.delivered_count()
        wait_for(lambda seen=arrived: moved(known, receiver, seen), "mail should come in")
        if number % 2:
            receiver.kill_milter()
            receiver.start_milter()
        else:
            os.kill(receiver.milter_processes()[-1], signal.SIGKILL)
    sending.join()
    wait_for(lambda: retried(known) == 0, "the queue should run empty", 120)
    messages = [one for one in receiver.delivered() if one["Subject"] == "killed"]
    assert {str(one["Message-ID"]) for one in messages} == ids
    for one in messages:
        (results,) = one.get_all("Authentication-Results") or []
        assert "x-pgp-header=pass" in results
        assert 'reason="accepted"' in results
    wait_for(lambda: not unobserved(receiver, known, ids), "every delivered message should have been observed")


def unobserved(receiver: MailHost, sender: MailHost, ids: set[str]) -> set[str]:
    """Which of these messages the receiver's store has no passing observation of."""
    database = sqlite3.connect(f"file:{receiver.home}/trustgraph.db?mode=ro", uri=True)
    query = "SELECT message FROM observation JOIN identity ON id = identity_id WHERE name = ? AND result = ?"
    rows = database.execute(query, (f"openpgp:{sender.fingerprint}", RESULT_CODES[Result.PASS]))
    known = {message for (message,) in rows}
    database.close()
    return {one for one in ids if message_digest(one) not in known}


def moved(sender: MailHost, receiver: MailHost, before: int) -> bool:
    """Whether something has come in since, or all of it has; what was deferred is tried again."""
    sender.flush()
    return receiver.delivered_count() > before or not sender.queue()


def deferred(host: MailHost) -> int:
    return sum(1 for one in host.queue() if one["queue_name"] == "deferred")


def retried(host: MailHost) -> int:
    host.flush()
    return len(host.queue())


def subjects(host: MailHost) -> Counter[str]:
    return Counter(str(one["Subject"]) for one in host.delivered())


def sign_as(host: MailHost, text: bytes) -> bytes:
    command = [*host._command(), "sign", "--mail-from", f"sender@{host.name}", "--rcpt", f"box@{_ROUND}"]
    return subprocess.run(command, input=text, capture_output=True, check=True, timeout=DEADLINE).stdout


def send(receiver: MailHost, source: str, *texts: bytes, sender: str = "sender@flood.example") -> list[str]:
    """Each message over one connection; the replies to their data."""
    replies = []
    with smtplib.SMTP(receiver.address, receiver.port, "flood.example", DEADLINE, (source, 0)) as session:
        session.ehlo()
        for text in texts:
            session.mail(sender)
            session.rcpt(f"box@{_ROUND}")
            code, reply = session.data(text)
            replies.append(f"{code} {reply.decode()}")
    return replies


def flood(receiver: MailHost) -> list[str]:
    """Messages with well-formed signatures by keys that nobody has."""
    replies: list[str] = []
    each = FLOOD_MESSAGES // FLOOD_CONNECTIONS

    def one_connection(number: int) -> None:
        texts = [bogus(number * each + count) for count in range(each)]
        replies.extend(send(receiver, f"127.0.2.{number + 1}", *texts))

    threads = [threading.Thread(target=one_connection, args=(number,)) for number in range(FLOOD_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def bogus(number: int) -> bytes:
    names = b"From:From:To:Cc:Subject:Date:Message-ID:Reply-To:Sender:In-Reply-To:References:MIME-Version"
    now = int(time.time())
    field = (
        f"PGP-Header-Signature: v=1; d=flood.example; t={now}; x={now + 3600}; n={number:016x};\r\n"
        f"\tfp={secrets.token_hex(20)};\r\n\th={names.decode()}:\r\n\tContent-Type:Content-Transfer-Encoding;\r\n"
        "\tb=wsDzBAABCgAdFiEE\r\n"
    )
    return field.encode() + letter("flood.example", f"box@{_ROUND}", "flood", number)


def test_the_receiver_has_counted_what_it_accepted(lab: Lab) -> None:
    """Decisions reach the store through the spool; nothing of what was delivered is missing."""
    accepted = [event for event in lab.receiver.events("message_judged") if event["verdict"] == "accept"]
    assert accepted

    def spooled() -> bool:
        taken = sum(int(str(event["new"])) for event in lab.receiver.events("spool_drained"))
        return taken >= len(accepted)

    wait_for(spooled, "observations should reach the store")
