"""The verifying milter beside OpenDKIM's, straight and through Postfix; signing and verifying alone.

All that is compared is measured in one run, by the same client: ratios hold where figures drift.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np

from tests.benchmarks.measure import print_table
from tests.conftest import find_program
from tests.interpreters import distribution_trustgraph, this_trustgraph
from tests.milter_client import EDITS, Message, MilterClient
from tests.system.dkim_signer import Signer
from tests.system.loopback_dns import LoopbackDns
from tests.system.mail_stack import Postfix, wait_for
from trustgraph.headersig.canonical import BodyHash
from trustgraph.headersig.message import Field, split_message
from trustgraph.headersig.signing import Envelope
from trustgraph.model import Identity, UnixSeconds
from trustgraph.scoring.algorithms import Scores
from trustgraph.services.hostkeys import open_signer
from trustgraph.services.keymaking import create_key
from trustgraph.services.messages import BodyShape, sign_fields, sign_message
from trustgraph.settings import Settings, load_settings
from trustgraph.store import open_store
from trustgraph.store.accepting import CachedCertificate, write_certificate
from trustgraph.store.generations import Generation, write_generation
from trustgraph.store.identities import number_identities

SECONDS = 4.0

#: More than are verified in that time.
LETTERS = 20_000
HOST, SENDER, RECIPIENT = "mx.peer.example", b"anna@peer.example", b"boris@example.net"
SESSIONS, POSTFIX_MESSAGES, ROUNDS = 10, 3_000, 5
_DNS = "127.0.3.53"

LETTER = (
    b"Received: from inside.peer.example (inside.peer.example [198.51.100.7])\r\n"
    b"\tby mx.peer.example (Postfix) with ESMTPS id 4XyZ12345\r\n"
    b"\tfor <boris@example.net>; Mon, 23 Nov 2026 10:00:00 +0000 (UTC)\r\n"
    b"From: Anna Example <anna@peer.example>\r\nTo: Boris Example <boris@example.net>\r\n"
    b"Cc: clara@example.net\r\nSubject: The minutes of Monday's meeting, with the figures\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <20261123100000.4XyZ@peer.example>\r\n"
    b"In-Reply-To: <20261122@example.net>\r\nReferences: <20261121@example.net> <20261122@example.net>\r\n"
    b"User-Agent: Example Mail 1.0\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
    b"Content-Transfer-Encoding: 7bit\r\n\r\n" + b"A line of a message of four kilobytes, as most are small.\r\n" * 70
)


@dataclass(frozen=True)
class Load:
    """What a run came to: messages a second, and the milliseconds that half and 99 % of them took at most."""

    per_second: float
    p50: float
    p99: float


def drive(address: str, messages: Sequence[Message], connections: int, expected: bytes) -> Load:
    """Send the messages, over and over if need be, on so many connections, one at a time on each."""
    with ExitStack() as stack:
        clients = [stack.enter_context(MilterClient(address)) for _ in range(connections)]
        prepared = cycle([clients[0].prepare(message) for message in messages])
        outcome = clients[0].transact(next(prepared))
        assert outcome.reply[:1] == expected, outcome
        states = {client.socket.fileno(): [client.socket, 0, 0.0, b"", next(prepared)] for client in clients}
        poll = select.poll()
        times: list[float] = []
        began = time.perf_counter()
        for state in states.values():
            poll.register(state[0], select.POLLIN)
            state[2] = time.perf_counter()
            state[0].sendall(state[4][0].data)
        while (now := time.perf_counter()) < began + SECONDS:
            for number, _event in poll.poll(1000):
                state = states[number]
                final = _final(state)
                if final is None:
                    continue
                if final == b"c" and state[1] + 1 < len(state[4]):
                    state[1] += 1
                else:
                    now = time.perf_counter()
                    times.append(now - state[2])
                    state[1], state[2], state[4] = 0, now, next(prepared)
                state[0].sendall(state[4][state[1]].data)
        seconds = time.perf_counter() - began
    p50, p99 = np.percentile(np.array(times) * 1000, [50, 99])
    return Load(len(times) / seconds, float(p50), float(p99))


def _final(state: list) -> bytes | None:  # type: ignore[type-arg]  # socket, part, began, held, parts
    """The letter of the answer that ends a part, once it is there whole; ``s`` counts as continue."""
    state[3] += state[0].recv(65536)
    held = state[3]
    while len(held) >= 5:
        size = int.from_bytes(held[:4])
        if len(held) < 4 + size:
            break
        letter, held = held[4:5], held[4 + size :]
        if letter[0] not in EDITS and letter != b"p":
            state[3] = held
            return b"c" if letter == b"s" else letter
    state[3] = held
    return None


def settings_in(home: Path, **milter: object) -> Settings:
    """A site that knows one peer, rates it and need ask nobody."""
    home.mkdir(parents=True)
    (home / "trustgraph.toml").write_text(
        f'[site]\nhostname = "{HOST}"\n[database]\nurl = "sqlite:///{home}/t.db"\n[hostkey]\npath = "{home}/key.pgp"\n'
        f'[milter]\nlisten = "unix:{home}/milter.sock"\nstate = "{home}/state"\ninternal_hosts = []\n'
        f'socket_mode = "666"\nmode = "{milter.get("mode", "verify")}"\nworkers = 2\n'
    )
    settings = load_settings(home / "trustgraph.toml")
    now = UnixSeconds(int(time.time()))
    create_key(settings, UnixSeconds(now - 1000))
    certificate = open_signer(settings, now).certificate
    store = open_store(settings.database.url, create=True)
    write_certificate(store, CachedCertificate(certificate.fingerprint, certificate.octets, now))
    identity = Identity.openpgp(certificate.fingerprint)
    with store.writing() as connection:
        number = number_identities(connection, {identity: HOST})[identity]
    scores = Scores(np.array([0.9]), np.array([0.9]), np.array([100]), np.array([4]), 1)
    generation = Generation("trustgraph", now, now, UnixSeconds(now + 86_400), 1, 1, 1, 0.1, {})
    write_generation(store, generation, np.array([number]), scores, keep=3)
    store.close()
    return settings


@contextmanager
def trustgraph_milter(home: Path, trustgraph: Sequence[str]) -> Iterator[str]:
    """`trustgraph milter` on a UNIX socket; its log goes to a file."""
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([*trustgraph, "--config", str(home / "trustgraph.toml"), "milter"], stderr=log)
    try:
        wait_for(lambda: b"milter_serving" in (home / "log").read_bytes(), "the milter should serve")
        yield f"unix:{home}/milter.sock"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def opendkim_milter(home: Path, signer: Signer, *, dns: bool) -> Iterator[str]:
    """OpenDKIM verifying on a UNIX socket. With ``dns`` it asks a name server, without it has the key in a file."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "keys").write_text(signer.record)
    source = f"Nameservers {_DNS}\n" if dns else f"TestPublicKeys {home}/keys\n"
    path = home / ("dns.sock" if dns else "file.sock")
    config = home / "opendkim.conf"
    config.write_text(f"Mode v\nSyslog no\nBackground no\nAutoRestart no\nUMask 000\nSocket local:{path}\n{source}")
    with ExitStack() as stack:
        if dns:
            name, _, value = signer.record.strip().partition(" ")
            stack.enter_context(LoopbackDns({(name.lower(), "TXT"): value}, _DNS, 53))
        process = subprocess.Popen([str(find_program("opendkim")), "-f", "-x", str(config)])
        try:
            wait_for(lambda: path.exists() or process.poll() is not None, "OpenDKIM should listen")
            yield f"unix:{path}"
        finally:
            process.terminate()
            process.wait(60)


def pythons() -> dict[str, list[str]]:
    """What runs the milter: this Python, and the distribution's where that is another."""
    system = distribution_trustgraph()
    found = {"this Python": this_trustgraph()}
    return found if system in (None, found["this Python"]) else {**found, "the distribution's": system}


def milter_message(octets: bytes) -> Message:
    fields, body = split_message(octets)
    values = [(name, value.replace(b"\r\n", b"\n")) for name, value in fields]
    return Message(b"<" + SENDER + b">", (b"<" + RECIPIENT + b">",), values, body)


def signed_letter(settings: Settings) -> bytes:
    return next(signed_letters(settings))


def signed_letters(settings: Settings) -> Iterator[bytes]:
    """The letter signed again and again: Sequoia does not verify a signature twice that it has seen to be good."""
    now = UnixSeconds(int(time.time()))
    envelope, signer = Envelope(SENDER, (RECIPIENT,)), open_signer(settings, now)
    while True:
        yield sign_message(LETTER, envelope, settings, signer, now, headers=False)[0]


def compare_milters(directory: Path) -> None:
    """Messages a second and latency on 1 and 8 connections."""
    settings = settings_in(directory / "verify")
    signer = Signer("peer.example")
    dkim = milter_message(signer.sign(LETTER))
    signed = [milter_message(letter) for letter in islice(signed_letters(settings), LETTERS)]
    rows: list[tuple[object, ...]] = []
    for connections in (1, 8):
        with opendkim_milter(directory / "opendkim", signer, dns=connections > 1) as address:
            theirs = drive(address, [dkim], connections, b"a")
        loads = [("OpenDKIM, RSA-2048", theirs)]
        for name, command in pythons().items():
            with trustgraph_milter(directory / "verify", command) as address:
                loads.append((f"trustgraph, Ed25519, 2 workers, {name}", drive(address, signed, connections, b"a")))
        for name, load in loads:
            ratio = load.per_second / theirs.per_second
            figures = (f"{load.per_second:,.0f}", f"{ratio:.1f}", f"{load.p50:.2f}", f"{load.p99:.2f}")
            rows.append((name, connections, *figures))
    head = ("verifying milter, UNIX socket", "connections", "messages/s", "ratio", "p50 ms", "p99 ms")
    print_table("the milter alone, 4 kB messages (wanted: ratio 5, p99 below 5 ms)", head, rows)


def compare_through_postfix(directory: Path) -> None:
    """smtp-source through a real Postfix: without a milter, with ours, with OpenDKIM."""
    postfix, source = find_program("postfix"), find_program("smtp-source")
    if postfix is None or source is None or os.geteuid() != 0:
        print("\nno Postfix, or not root: nothing measured through it")
        return
    settings_in(directory / "postfix-verify")

    def rate(milter: str, name: str) -> float:
        server = Postfix(postfix, directory / f"postfix-{name}", milter)
        try:
            _source(source, server.port, 200)
            began = time.perf_counter()
            _source(source, server.port, POSTFIX_MESSAGES)
            return POSTFIX_MESSAGES / (time.perf_counter() - began)
        finally:
            server.stop()

    directory.chmod(0o711)
    rates: dict[str, list[float]] = {"no milter": [], "trustgraph": [], "OpenDKIM": []}
    for number in range(ROUNDS):
        rates["no milter"].append(rate("", f"bare{number}"))
        with trustgraph_milter(directory / "postfix-verify", list(pythons().values())[-1]) as address:
            rates["trustgraph"].append(rate(address, f"ours{number}"))
        with opendkim_milter(directory / "opendkim", Signer("peer.example"), dns=False) as address:
            rates["OpenDKIM"].append(rate(address, f"theirs{number}"))
    rows: list[tuple[object, ...]] = []
    for name, found in rates.items():
        shares = [value / bare for value, bare in zip(found, rates["no milter"], strict=True)]
        rows.append((name, f"{median(found):,.0f}", f"{median(shares):.0%}", f"{min(shares):.0%} to {max(shares):.0%}"))
    print_table(
        f"through Postfix, smtp-source, {SESSIONS} sessions, 4 kB, median of {ROUNDS} rounds (wanted: 75 %)",
        ("", "messages/s", "share", "range"),
        rows,
    )


def _source(program: str, port: int, messages: int) -> None:
    command = [program, "-s", str(SESSIONS), "-m", str(messages), "-l", "4000", "-f", "a@example.org"]
    subprocess.run([*command, "-t", "b@example.net", f"inet:127.0.0.1:{port}"], check=True)


def sign_and_verify(directory: Path) -> None:
    """Signing on one core, library calls alone."""
    settings = settings_in(directory / "sign")
    now = UnixSeconds(int(time.time()))
    signer = open_signer(settings, now)
    fields, body = split_message(LETTER)
    envelope = Envelope(SENDER, (RECIPIENT,))

    def once() -> Sequence[Field]:
        fed = BodyHash(), BodyShape()
        for each in fed:
            each.update(body)
        return sign_fields(fields, fed, envelope, settings, signer, now).fields

    rows: list[tuple[object, ...]] = [("sign a header and body of 4 kB, Ed25519", f"{_per_second(once):,.0f}", "3,000")]
    print_table("one core", ("", "a second", "wanted"), rows)


def _per_second(call: Callable[[], object]) -> float:
    for _ in range(200):
        call()
    count, began = 0, time.perf_counter()
    while time.perf_counter() < began + 2.0:
        call()
        count += 1
    return count / (time.perf_counter() - began)


def run(directory: Path) -> None:
    """Print the tables."""
    sign_and_verify(directory)
    if find_program("opendkim") is None:
        print("\nno OpenDKIM: install the Debian package opendkim")
        return
    compare_milters(directory)
    compare_through_postfix(directory)
    shutil.rmtree(directory / "verify", ignore_errors=True)
