"""The gate behind the milter's socket: what it says, and that whatever breaks is 451 4.3.0 and never an accept."""

from __future__ import annotations

import os
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.milter_client import Outcome
from tests.unit.services.serving import ACCEPTED, BROKEN, Serving, know_peer, message, serving
from tests.unit.services.site import NOW, US, secret_key, site_in
from tests.unit.verifier.children import in_child
from tests.unit.verifier.letters import (
    MESSAGE_FIELDS,
    PEER,
    RELAY,
    altered,
    bound,
    certificate_of,
    key_of,
    signed_by,
)
from tests.unit.verifier.scripted import play
from trustgraph.errors import BadInput, ConfigurationError, ServiceUnavailable, StoreBusy
from trustgraph.headersig.message import Field
from trustgraph.milter.server import Limits
from trustgraph.milter.transaction import Accept, Client, Response, Transaction
from trustgraph.model import UnixSeconds
from trustgraph.openpgp import making
from trustgraph.openpgp.signer import MessageSigner, load_signer
from trustgraph.policy.decision import Decision, Verdict
from trustgraph.services.milter import Hook, _verdict
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store
from trustgraph.store.accepting import CachedCertificate, is_signing_host, write_certificate
from trustgraph.verifier import counters as counters_module
from trustgraph.verifier.spool import Drain

FP = key_of(PEER).fingerprint


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = site_in(tmp_path, milter={"mode": "verify", "early": True})
    know_peer(settings)
    return settings


@pytest.fixture
def site(settings: Settings) -> Iterator[Serving]:
    with serving(settings) as made:
        yield made


def reply(outcome: Outcome) -> bytes:
    return outcome.reply.rstrip(b"\0")


# What it says when all is well


def test_a_good_message_is_accepted_with_its_result_on_top(site: Serving) -> None:
    forged = [
        (b"Authentication-Results", b" mx.example.net; x-pgp-header=pass"),
        (b"authentication-results", b" mx2; none"),
    ]
    outcome = site.send(
        message([*forged, *signed_by(PEER), (b"Authentication-Results", b" MX.Example.net 1; dkim=pass")])
    )
    assert outcome.reply == ACCEPTED
    removed = [edit for edit in outcome.edits if edit[:1] == b"m"]
    assert removed == [b"m" + n.to_bytes(4) + b"Authentication-Results\0\0" for n in (3, 1)]
    (added,) = [edit for edit in outcome.edits if edit[:1] == b"i"]
    assert added[:5] == b"i\0\0\0\0"
    assert (
        b"Authentication-Results\0 mx.example.net;\n\tx-pgp-header=pass header.d=mx.peer.example\n\t header.fp="
        in added
    )
    assert outcome.edits[-1] is added  # what is removed is counted before anything is added
    (event,) = site.events
    assert (event["event"], event["verdict"], event["identity"]) == ("message_judged", "accept", f"openpgp:{FP}")


def test_it_is_on_disk_before_the_peer_is_answered(site: Serving) -> None:
    site.send()
    (path,) = (site.settings.milter.state / "spool").glob("*.jsonl")
    (line,) = path.read_bytes().splitlines()
    assert f'"identity":"openpgp:{FP}"'.encode() in line
    assert b'"verdict":"accept"' in line


def test_refusals_say_the_rule_and_whom_to_ask_and_nothing_of_the_inside(site: Serving) -> None:
    outcome = site.send(message(altered(signed_by(PEER))))
    assert reply(outcome) == (
        b"y550 5.7.7 the header signature does not match this message; help: postmaster@mx.example.net"
    )
    assert outcome.answered_to == b"N"  # at the end of the header, whatever the body
    assert outcome.edits == []


def test_unless_told_to_it_gives_no_verdict_before_the_end(tmp_path: Path) -> None:
    settings = site_in(tmp_path)
    know_peer(settings)
    with serving(settings) as site:
        outcome = site.send(message(altered(signed_by(PEER))))
    assert outcome.answered_to == b"E"
    assert outcome.reply.startswith(b"y550 5.7.7")


def test_help_is_at_the_host_whatever_the_results_are_called(tmp_path: Path) -> None:
    settings = site_in(tmp_path, site={"hostname": US, "authserv_id": "filter-7"})
    know_peer(settings)
    with serving(settings) as site:
        assert reply(site.send(message(altered(signed_by(PEER))))).endswith(b"postmaster@mx.example.net")
        assert b" filter-7;" in site.send().edits[-1]


@pytest.mark.parametrize("name", ["two words", "a;b", 'quo"te', "gr\u00fcn", "a(b)"])
def test_a_name_for_results_that_nobody_could_read_is_refused_at_the_start(settings: Settings, name: str) -> None:
    odd = settings.model_copy(update={"site": settings.site.model_copy(update={"authserv_id": name})})
    with pytest.raises(ConfigurationError, match=r"site\.authserv_id"):
        Hook(odd, None, None, lambda *_, **__: None, lambda: NOW)


def test_a_body_is_compared(site: Serving) -> None:
    assert site.send(message(body=b"another\r\n")).reply.startswith(b"y550 5.7.7")


def test_a_held_message_is_quarantined(tmp_path: Path) -> None:
    settings = site_in(tmp_path, policy={"on_unreachable": "quarantine"})
    with serving(settings) as site:
        outcome = site.send()
    assert outcome.reply == ACCEPTED
    assert b"qtrustgraph: keyservers-unreachable\0" in outcome.edits


def test_a_discarded_one_is_discarded(tmp_path: Path) -> None:
    settings = site_in(tmp_path, policy={"on_forged": "discard"})
    know_peer(settings)
    with serving(settings) as site:
        assert site.send(message(altered(signed_by(PEER)))).reply == b"d"


def test_without_a_keyserver_an_unknown_key_waits(site: Serving) -> None:
    outcome = site.send(message(signed_by(RELAY)), host=RELAY.encode())
    assert reply(outcome).startswith(b"y451 4.7.5 no keyserver could be asked")


def test_what_the_client_says_reaches_neither_reply_nor_log_raw(site: Serving) -> None:
    evil = b"evil\r\n250 ok\x1b[31m\xff"
    outcome = site.send(
        message([(b"Message-ID", b" <" + evil + b">"), *altered(signed_by(PEER))], mail_macros=(b"i", evil)), helo=evil
    )
    assert b"evil" not in outcome.reply
    assert b"\r" not in outcome.reply
    line = site.gate.settings.milter.state / "spool"
    (path,) = line.glob("*.jsonl")
    assert path.read_bytes().count(b"\n") == 1
    assert b"\x1b" not in path.read_bytes()


# Broken in every way


class Broken(Exception):
    """Something that nobody foresaw; its text must not reach the peer."""

    def __init__(self) -> None:
        super().__init__("secret of the inside")


async def fail_later(*_: object, **__: object) -> Any:
    raise Broken


def fail(*_: object, **__: object) -> Any:
    raise Broken


def needs(method: str) -> list[Field]:
    """A message for which the method is called."""
    if method == "is_expected_to_sign":
        return MESSAGE_FIELDS
    return signed_by(PEER, envelope=bound(recipient=None)) if method == "delivered" else signed_by(PEER)


PARTS = [
    "verifier.examine later",
    "verifier.conclude_early later",
    "verifier.conclude later",
    "verifier._clock",
    "keys.get later",
    "keys.at_hand",
    "keys._load later",
    "standings.rated later",
    "standings.is_expected_to_sign later",
    "_counters.delivered",
    "_counters.admit",
    "_spool.append",
    "record",
    "_clock",
]


@pytest.mark.parametrize("error", [Broken, BadInput, MemoryError])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_fails_is_a_temporary_failure(
    site: Serving, monkeypatch: pytest.MonkeyPatch, part: str, error: type[Exception]
) -> None:
    path, _, later = part.partition(" ")
    *owners, method = path.split(".")
    owner: Any = site.gate
    for name in owners:
        owner = getattr(owner, name)

    async def fail_in_time(*_: object, **__: object) -> None:
        raise error() if error is Broken else error("secret of the inside")

    def fail_at_once(*_: object, **__: object) -> None:
        raise error() if error is Broken else error("secret of the inside")

    if method == "admit":
        site.gate.verifier._standings = NobodyKnown()
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, fail_in_time if later else fail_at_once)
        client = {"host": RELAY.encode()} if method == "delivered" else {}
        outcome = site.send(message(needs(method)), **client)
    assert outcome.reply.startswith(BROKEN)
    assert b"secret" not in outcome.reply
    assert outcome.edits == []
    assert [type(one) for one in site.errors] == [error]
    if method != "admit":
        assert site.send().reply == ACCEPTED  # the next one is judged again


class NobodyKnown:
    """Nobody has a rating."""

    async def rated(self, identities: Any) -> Any:
        from trustgraph.policy.evidence import Rated  # noqa: PLC0415 - only here

        return tuple(Rated(one) for one in identities)

    async def is_expected_to_sign(self, _host: str, _now: UnixSeconds) -> bool:
        return False


def test_a_log_that_fails_and_a_body_that_cannot_be_hashed(site: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(site.hook, "_log", fail)
        assert site.send().reply.startswith(BROKEN)
    with monkeypatch.context() as patch:
        patch.setattr("trustgraph.headersig.canonical.BodyHash.update", fail)
        assert site.send().reply.startswith(BROKEN)
    with monkeypatch.context() as patch:
        patch.setattr("trustgraph.headersig.canonical.BodyHash.digest", fail)
        assert site.send().reply.startswith(BROKEN)
    with monkeypatch.context() as patch:
        patch.setattr("trustgraph.services.milter.render_results", fail)
        assert site.send().reply.startswith(BROKEN)
    assert site.send().reply == ACCEPTED


def test_a_verdict_that_takes_too_long_is_a_temporary_failure(settings: Settings) -> None:
    import asyncio  # noqa: PLC0415 - only here

    with serving(settings, limits=Limits(message_seconds=0.05)) as site:
        never = asyncio.Event()

        async def wait(*_: object, **__: object) -> None:
            await never.wait()

        examine = site.gate.verifier.examine
        site.gate.verifier.examine = wait  # type: ignore[assignment]
        assert site.send().reply.startswith(BROKEN)
        site.gate.verifier.examine = examine  # type: ignore[method-assign]
        assert [type(one).__name__ for one in site.errors] == ["MessageTimeout"]


def forgotten(site: Serving) -> None:
    """Have everything looked up again."""

    def forget() -> None:
        site.gate.keys._held.clear()
        site.gate.standings._rated.clear()
        site.gate.keys._store.close()

    site.run(forget)


def database(site: Serving) -> Path:
    return Path(site.settings.database.url.removeprefix("sqlite:///"))


def wreck_garbage(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def wreck_gone(path: Path) -> None:
    path.unlink()


def wreck_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def wreck_middle(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[100:] = b"\xa5" * (len(octets) - 100)
    path.write_bytes(octets)


def wreck_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def wreck_tables(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE rating")
        other.execute("DROP TABLE cached_certificate")


@pytest.mark.parametrize("wreck", [wreck_garbage, wreck_gone, wreck_folder, wreck_middle, wreck_short, wreck_tables])
def test_a_database_that_is_no_more_is_a_temporary_failure(site: Serving, wreck: Callable[[Path], None]) -> None:
    assert site.send().reply == ACCEPTED
    forgotten(site)
    for side in ("-wal", "-shm"):
        database(site).with_name(database(site).name + side).unlink(missing_ok=True)
    wreck(database(site))
    for _ in range(2):
        assert site.send().reply.startswith(BROKEN)
        # Mail without a signature needs the ratings all the same.
        assert site.send(message(MESSAGE_FIELDS)).reply.startswith(BROKEN)
    with pytest.raises(Exception, match=r"."):
        play(site.gate.refresh)


def test_a_worker_does_not_make_a_database_anew(settings: Settings) -> None:
    """It would be one without ratings, under which a refused host is a newcomer."""
    from trustgraph.errors import SchemaMismatch  # noqa: PLC0415 - only here
    from trustgraph.services import daemon  # noqa: PLC0415 - only here

    path = Path(settings.database.url.removeprefix("sqlite:///"))
    path.unlink()

    async def run() -> None:
        async with daemon._worker(settings, daemon._milter, lambda *_, **__: None):
            pass

    with pytest.raises(SchemaMismatch, match="there is no database"):
        play(run)
    assert not path.exists()


def test_a_database_that_another_holds_is_a_temporary_failure(settings: Settings) -> None:
    with serving(settings, limits=Limits(message_seconds=0.1)) as site:
        forgotten(site)
        path = database(site)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        try:
            assert site.send().reply.startswith(BROKEN)
            assert [type(one).__name__ for one in site.errors] == ["MessageTimeout"]
        finally:
            other.execute("ROLLBACK")
            other.close()


def test_a_store_that_says_it_is_busy_is_a_temporary_failure(site: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten(site)

    def busy(*_: object) -> None:
        raise StoreBusy("sqlite:////var/lib/secret is held")

    monkeypatch.setattr("trustgraph.verifier.keys.read_certificate", busy)
    outcome = site.send()
    assert outcome.reply.startswith(BROKEN)
    assert b"secret" not in outcome.reply


@pytest.mark.parametrize("octets", [b"", b"rubbish", b"\x99" * 100, b"\xc6\xff\xff\xff\xff\xff"])
def test_a_damaged_copy_of_a_key_is_a_temporary_failure(site: Serving, octets: bytes) -> None:
    forgotten(site)
    with sqlite3.connect(database(site)) as other:
        other.execute("UPDATE cached_certificate SET octets = ?", (octets,))
    assert site.send().reply.startswith(BROKEN)
    assert f"cached_certificate {FP} is damaged" in str(site.errors[0])


def test_counters_that_another_holds_or_that_are_gone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    know_peer(settings, 0.3)  # a newcomer
    monkeypatch.setattr(counters_module, "_WAIT_SECONDS", 0.0)
    with serving(settings) as site:
        other = sqlite3.connect(site.settings.milter.state / "counters.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert site.send().reply.startswith(BROKEN)
        replay = message(signed_by(PEER, envelope=bound(recipient=None)))
        assert site.send(replay, host=RELAY.encode()).reply.startswith(BROKEN)
        other.execute("ROLLBACK")
        assert site.send().reply == ACCEPTED
        other.execute("DROP TABLE newcomer")
        other.close()
        assert site.send().reply.startswith(BROKEN)
        site.run(site.gate._counters.close)
        assert site.send().reply.startswith(BROKEN)


def test_a_full_disk_is_a_temporary_failure(settings: Settings) -> None:
    """The limit on the size of files stands in for the disk."""

    def work() -> None:
        with serving(settings) as site:
            assert site.send().reply == ACCEPTED
            (path,) = (settings.milter.state / "spool").glob("*.jsonl")
            size = path.stat().st_size
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, hard))
            assert site.send().reply.startswith(BROKEN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
            for _ in range(2):
                assert site.send().reply.startswith(BROKEN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert site.send().reply == ACCEPTED

    assert in_child(work) == 0
    store = open_store(settings.database.url)
    done = Drain(settings.milter.state / "spool", store).run_once()
    store.close()
    assert (
        done.lines - done.rejected == 2
    )  # those that were acknowledged, which are the same message in the same second
    assert done.new == 1


def test_without_file_descriptors_it_is_a_temporary_failure(settings: Settings) -> None:
    def work() -> None:
        with serving(settings) as site:
            client = site.client()
            assert client.send(message()).reply == ACCEPTED
            forgotten(site)
            site.run(site.gate._spool.close)  # type: ignore[union-attr]
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            lowest_free = os.dup(0)
            os.close(lowest_free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
            for _ in range(3):
                assert client.send(message()).reply.startswith(BROKEN)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert client.send(message()).reply == ACCEPTED
            client.close()

    assert in_child(work) == 0


def test_a_decision_that_is_none_is_no_accept() -> None:
    for verdict in (Verdict.REJECT, Verdict.TEMPFAIL):
        with pytest.raises(BadInput, match="without a reply"):
            _verdict(Decision(verdict, "broken"), US)
    with pytest.raises(BadInput):
        _verdict(Decision("nonsense", "broken"), US)  # type: ignore[arg-type]


# What goes out, and what comes in


def transaction(client: Client, fields: list[Field] | None = None, **more: Any) -> Transaction:
    given = {"helo": PEER, "mail_from": b"anna@example.net", "mail_arguments": (), "leading_space": True, "macros": {}}
    made = Transaction(client, **given | more)
    made.recipients.append(b"bert@example.org")
    made.fields.extend(MESSAGE_FIELDS if fields is None else fields)
    return made


@pytest.fixture(scope="module")
def signer() -> MessageSigner:
    return load_signer(making.export_secret(secret_key()), "", UnixSeconds(int(time.time())))


def hook_of(settings: Settings, signer: MessageSigner | None, events: list[Any] | None = None) -> Hook:
    def log(event: str, /, **fields: object) -> None:
        if events is not None:
            events.append((event, fields))

    return Hook(settings, None, signer, log, lambda: UnixSeconds(int(time.time())))


def through(hook: Hook, one: Transaction, body: bytes = b"hello\r\n") -> Response:
    async def run() -> Response:
        assert await hook.end_of_header(one) is None
        if one.body_wanted:
            hook.body(one, body[:3])
            hook.body(one, body[3:])
        return await hook.end_of_message(one)

    return play(run)


OUTWARD = [
    ("internal", Client("", "127.0.0.1"), {}),
    ("internal by IPv4 in IPv6", Client("", "::ffff:127.0.0.9"), {}),
    ("authenticated", Client("", "198.51.100.7"), {"macros": {b"{auth_authen}": b"anna"}}),
    ("on the machine itself", Client("localhost", ""), {}),
    ("by a user on the machine", Client("root@localhost", ""), {}),
]


@pytest.mark.parametrize(("name", "client", "more"), OUTWARD, ids=[row[0] for row in OUTWARD])
def test_what_goes_out_is_signed(
    settings: Settings, signer: MessageSigner, name: str, client: Client, more: Any
) -> None:
    response = through(hook_of(settings, signer), transaction(client, **more))
    assert isinstance(response.verdict, Accept)
    assert [edit.name for edit in response.edits] == [b"PGP-Header-Signature"]  # type: ignore[union-attr]


def test_the_signature_is_above_what_was_added(settings: Settings, signer: MessageSigner) -> None:
    response = through(hook_of(settings, signer), transaction(Client("localhost"), [(b"From", b" a@x")]))
    names = [(edit.index, edit.name) for edit in response.edits]  # type: ignore[union-attr]
    assert names == [(0, b"Message-ID"), (0, b"Date"), (0, b"PGP-Header-Signature")]


INWARD = [
    ("from outside", Client(PEER, "198.51.100.7"), {}),
    ("nobody knows from where", Client("", ""), {}),
    ("a name without an address", Client(PEER, ""), {}),
    ("nobody authenticated", Client("localhost", "198.51.100.7"), {"macros": {b"{auth_authen}": b""}}),
    ("no address at all", Client("", "rubbish"), {}),
]


@pytest.mark.parametrize(("name", "client", "more"), INWARD, ids=[row[0] for row in INWARD])
def test_what_comes_in_is_never_signed_and_never_passed_unjudged(
    site: Serving, signer: MessageSigner, name: str, client: Client, more: Any
) -> None:
    site.hook.sign_with(signer)
    one = transaction(client, altered(signed_by(PEER)), **more)
    if name in ("from outside", "nobody authenticated"):
        assert not site.hook._goes_out(one)
        return
    with pytest.raises(BadInput):
        play(lambda: site.hook.end_of_header(one))
    with pytest.raises(BadInput, match="had not begun"):
        play(lambda: site.hook.end_of_message(one))


def test_a_key_that_is_lost_makes_outgoing_mail_wait(settings: Settings, signer: MessageSigner) -> None:
    hook = hook_of(settings, signer)
    hook.sign_with(None, "host key is revoked")
    with pytest.raises(ServiceUnavailable, match="host key is revoked"):
        through(hook, transaction(Client("localhost")))
    hook.sign_with(signer)
    assert through(hook, transaction(Client("localhost"))).edits


def test_what_cannot_be_signed_goes_out_unsigned_and_the_log_says_why(
    settings: Settings, signer: MessageSigner
) -> None:
    events: list[Any] = []
    response = through(hook_of(settings, signer, events), transaction(Client("localhost"), [(b"Subject", b" x")]))
    assert response == Response(Accept())
    assert events == [("message_not_signed", {"queue_id": "", "why": "the message has no From field"})]


@pytest.mark.parametrize(
    ("body", "said"), [(b"plain\r\n", None), (b"\xff\r\n", "8bit-body"), (b"a\nb\r\n", "bare-line-end")]
)
def test_a_body_that_transit_changes_is_left_out(
    settings: Settings, signer: MessageSigner, body: bytes, said: str | None
) -> None:
    events: list[Any] = []
    response = through(hook_of(settings, signer, events), transaction(Client("localhost")), body)
    assert (b"bh=" in response.edits[-1].value) is (said is None)  # type: ignore[union-attr]
    assert events[0][1]["without_body"] == said


def test_in_headers_mode_no_body_is_asked_for(tmp_path: Path, signer: MessageSigner) -> None:
    settings = site_in(tmp_path, milter={"signature_mode": "headers"})
    one = transaction(Client("localhost"))
    response = through(hook_of(settings, signer), one)
    assert one.body_wanted is False
    assert b"bh=" not in response.edits[-1].value  # type: ignore[union-attr]


def test_without_a_signer_and_told_to_sign_only(settings: Settings, signer: MessageSigner) -> None:
    assert through(hook_of(settings, None), transaction(Client("localhost"))) == Response(Accept())
    assert through(hook_of(settings, signer), transaction(Client(PEER, "198.51.100.7"))) == Response(Accept())


def test_known_clients_have_the_name_that_the_operator_gives_them(tmp_path: Path) -> None:
    settings = site_in(tmp_path, **{"milter.known_clients": {'"198.51.100.7"': PEER}})
    hook = hook_of(settings, None)
    assert hook._client(transaction(Client("", "198.51.100.7"))).host == PEER
    assert hook._client(transaction(Client("", "::ffff:198.51.100.7"))).host == PEER
    assert hook._client(transaction(Client("b.example", "198.51.100.8"))).host == "b.example"
    assert hook._client(transaction(Client("no name", "198.51.100.8"), helo="[198.51.100.8]")).helo == ""


def test_a_space_that_the_mta_took_away_is_put_back(settings: Settings, signer: MessageSigner) -> None:
    stripped = [(name, value.removeprefix(b" ")) for name, value in MESSAGE_FIELDS]
    hook = hook_of(settings, signer)
    one = transaction(Client("localhost"), stripped, leading_space=False)
    play(lambda: hook.end_of_header(one))
    assert one.notes.fields == MESSAGE_FIELDS


def test_only_a_passing_signature_of_its_own_makes_a_host_expected_to_sign(site: Serving) -> None:
    own = "mx.hello.example"

    async def confirmed(helo: str, _address: str) -> bool:
        return helo == own

    site.gate.verifier._confirm_helo = confirmed
    site.send()  # its own
    site.send(host=RELAY.encode())  # another's, forwarded
    site.send(message(altered(signed_by(PEER))), host=b"mx.forged.example")
    store = open_store(site.settings.database.url)
    certificate = certificate_of(own)
    write_certificate(store, CachedCertificate(certificate.fingerprint, certificate.octets, NOW))
    site.send(message(signed_by(own)), host=b"shared.provider.example", helo=own.encode())
    assert site.events[-1]["result"] == "pass"
    Drain(site.settings.milter.state / "spool", store).run_once()
    assert seen_to_sign(store, PEER, RELAY, "mx.forged.example", own, "shared.provider.example") == {PEER, own}
    store.close()


def seen_to_sign(store: Store, *hosts: str) -> set[str]:
    return {host for host in hosts if is_signing_host(store, host, UnixSeconds(0))}
