"""Passing a post on: to a real LMTP or SMTP conversation, or into a program, and what becomes of each answer."""

from __future__ import annotations

import socketserver
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from trustgraph.errors import BadInput, ConfigurationError, ServiceUnavailable, TrustgraphError, Undeliverable
from trustgraph.services.list_passing import pass_on

POST = b"From: anna@example.org\r\nSubject: Hi\r\n\r\n.one dot\r\n..two\r\nGr\xc3\xbc\xc3\x9fe\r\n"


class _Peer(socketserver.StreamRequestHandler):
    """Says 250 to everything but what ``answers`` of the server has another line for."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        self.wfile.write(server.answers.get("GREETING", b"220 list program\r\n"))
        while line := self.rfile.readline():
            server.said.append(line)
            verb = line.split()[0].upper().decode()
            if verb == "QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            answer = server.answers.get(verb, b"250 fine\r\n")
            if not answer:
                return
            self.wfile.write(answer)
            if verb == "DATA" and answer.startswith(b"354"):
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    data += self.rfile.readline()
                server.data = data
                end = server.answers.get("END", b"250 taken\r\n")
                self.wfile.write(end)
                if not end.endswith(b"\n"):
                    return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Peer)
        hello = b"250-list program\r\n250 8BITMIME\r\n"
        self.answers = {"DATA": b"354 go on\r\n", "EHLO": hello, "LHLO": hello} | dict(answers)
        self.said: list[bytes] = []
        self.data = b""


@contextmanager
def peer(**answers: bytes) -> Iterator[Server]:
    with Server(answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.mark.parametrize("scheme", ["lmtp", "smtp"])
def test_every_octet_arrives(scheme: str) -> None:
    with peer() as server:
        pass_on(f"{scheme}://127.0.0.1:{server.server_address[1]}", POST, "anna@example.org", "birds@lists.example")
    assert server.data == POST.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    assert server.said[0].startswith(b"lhlo" if scheme == "lmtp" else b"ehlo")
    assert server.said[1].startswith(b"mail FROM:<anna@example.org>")
    assert b"BODY=8BITMIME" in server.said[1]
    assert server.said[2] == b"rcpt TO:<birds@lists.example>\r\n"


def test_a_post_with_bare_lf_gets_network_line_ends() -> None:
    with peer() as server:
        target = f"lmtp://127.0.0.1:{server.server_address[1]}"
        pass_on(target, POST.replace(b"\r\n", b"\n"), "", "birds@lists.example")
    assert server.data == POST.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    assert server.said[1].startswith(b"mail FROM:<>")


def test_another_recipient_behind_the_gate() -> None:
    with peer() as server:
        target = f"smtp://127.0.0.1:{server.server_address[1]}/birds-members@lists.example"
        pass_on(target, POST, "anna@example.org", "birds@lists.example")
    assert server.said[2] == b"rcpt TO:<birds-members@lists.example>\r\n"


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"MAIL": b"450 later\r\n"}, ServiceUnavailable),
        ({"MAIL": b"550 never\r\n"}, Undeliverable),
        ({"RCPT": b"451 later\r\n"}, ServiceUnavailable),
        ({"RCPT": b"550 no such list\r\n"}, Undeliverable),
        ({"DATA": b"451 later\r\n"}, ServiceUnavailable),
        ({"DATA": b"554 never\r\n"}, Undeliverable),
        ({"END": b"452 full\r\n"}, ServiceUnavailable),
        ({"END": b"550 no\r\n"}, Undeliverable),
        ({"END": b""}, ServiceUnavailable),  # gone without an answer
        ({"GREETING": b"421 busy\r\n"}, ServiceUnavailable),
        ({"GREETING": b"nonsense\r\n"}, ServiceUnavailable),
        ({"RCPT": b""}, ServiceUnavailable),
    ],
)
def test_answers(answers: dict[str, bytes], error: type[TrustgraphError]) -> None:
    with peer(**answers) as server, pytest.raises(error):
        pass_on(f"lmtp://127.0.0.1:{server.server_address[1]}", POST, "anna@example.org", "birds@lists.example")


def test_nobody_there() -> None:
    with peer() as server:
        port = server.server_address[1]
    with pytest.raises(ServiceUnavailable):
        pass_on(f"lmtp://127.0.0.1:{port}", POST, "anna@example.org", "birds@lists.example")


@pytest.mark.parametrize("address", ["-oQ/tmp", "a b@example.org", "a@example.org\nRCPT TO:<b@example.org>", "<a@b.c>"])
def test_addresses_that_could_mean_something_else(address: str) -> None:
    for target in ("/bin/true {sender} {recipient}", "lmtp://127.0.0.1:1"):
        with pytest.raises(BadInput):
            pass_on(target, POST, "anna@example.org", address)


@pytest.mark.parametrize("sender", ["-oQ/tmp", "a b@example.org", "a@example.org\nRCPT TO:<b@example.org>", "<>", ""])
def test_a_sender_that_could_mean_something_else_becomes_the_null_one(tmp_path: Path, sender: str) -> None:
    program = script(tmp_path, 'printf "%s|" "$@" > "$0.args"')
    pass_on(f"{program} -f {{sender}} -- {{recipient}}", POST, sender, "birds@lists.example")
    assert program.with_name("program.args").read_text() == "-f||--|birds@lists.example|"


def test_a_program_gets_the_post_with_local_line_ends(tmp_path: Path) -> None:
    program = script(tmp_path, 'printf "%s|" "$@" > "$0.args"; cat > "$0.in"')
    pass_on(
        f"{program} -f {{sender}} -- {{recipient}} '{{sender}} x'", POST, "$(id)@example.org", "birds@lists.example"
    )
    assert program.with_name("program.in").read_bytes() == POST.replace(b"\r\n", b"\n")
    assert program.with_name("program.args").read_text() == "-f|$(id)@example.org|--|birds@lists.example|{sender} x|"


@pytest.mark.parametrize(
    ("code", "error"), [(75, ServiceUnavailable), (1, ServiceUnavailable), (77, Undeliverable), (67, Undeliverable)]
)
def test_how_a_program_ends(tmp_path: Path, code: int, error: type[TrustgraphError]) -> None:
    program = script(tmp_path, f"cat >/dev/null; echo because >&2; exit {code}")
    with pytest.raises(error, match="because"):
        pass_on(str(program), POST, "anna@example.org", "birds@lists.example")


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/no/such/program", ServiceUnavailable),
        ("'unbalanced", ConfigurationError),
        ("", ConfigurationError),
        ("lmtp://", ConfigurationError),
        ("smtp://host:99999", ConfigurationError),
    ],
)
def test_targets_that_are_none(target: str, error: type[TrustgraphError]) -> None:
    with pytest.raises(error):
        pass_on(target, POST, "anna@example.org", "birds@lists.example")


def script(home: Path, text: str) -> Path:
    program = home / "program"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program
