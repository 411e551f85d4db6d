"""Listen addresses, and sockets that are there already."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from tests.unit.milter.running import socket_path
from trustgraph.errors import ConfigurationError
from trustgraph.milter.listen import InetAddress, Listener, UnixAddress, parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/trustgraph/milter.sock", UnixAddress(Path("/run/trustgraph/milter.sock"))),
        ("inet:127.0.0.1:8891", InetAddress("127.0.0.1", 8891)),
        ("inet:localhost:1", InetAddress("localhost", 1)),
        ("inet:[::1]:65535", InetAddress("::1", 65535)),
        ("inet:8891@127.0.0.1", InetAddress("127.0.0.1", 8891)),
        ("inet:8891@[::1]", InetAddress("::1", 8891)),
        ("inet:8891@::1", InetAddress("::1", 8891)),
        ("inet:8891@mx.example.org", InetAddress("mx.example.org", 8891)),
    ],
)
def test_addresses(text: str, address: UnixAddress | InetAddress) -> None:
    assert parse_listen(text) == address
    assert parse_listen(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/run/x",
        "unix:",
        "unix:relative",
        "unix:/run/",
        "unix:/" + "x" * 107,
        "inet:",
        "inet:8891",
        "inet::8891",
        "inet:host",
        "inet:host:0",
        "inet:host:65536",
        "inet:host:port",
        "inet:::1:8891",
        "inet:[::1]",
        "inet:@host",
        "inet:0@host",
        "inet:1@",
        "inet:a b:1",
        "tcp:host:1",
    ],
)
def test_what_is_no_address_is_named_with_what_was_expected(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_listen(text)
    assert repr(text) in str(caught.value)
    assert "expected" in str(caught.value)


def test_a_unix_socket_has_its_mode_from_the_start_and_goes_with_its_listener() -> None:
    with socket_path() as path:
        before = os.umask(0)
        try:
            listener = Listener(UnixAddress(path), 0o600)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        finally:
            assert os.umask(before) == 0
        listener.close()
        assert not path.exists()
        Listener(UnixAddress(path)).close(unlink=False)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_stale_socket_is_replaced_and_nothing_else_is() -> None:
    with socket_path() as path:
        Listener(UnixAddress(path)).close(unlink=False)
        listener = Listener(UnixAddress(path))
        with pytest.raises(ConfigurationError, match="another server answers"):
            Listener(UnixAddress(path))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        listener.close()
        path.write_text("precious")
        with pytest.raises(ConfigurationError, match="not a socket"):
            Listener(UnixAddress(path))
        assert path.read_text() == "precious"
        with pytest.raises(ConfigurationError, match="No such file"):
            Listener(UnixAddress(path.parent / "not" / "there"))


def test_a_listener_leaves_the_socket_of_its_successor() -> None:
    with socket_path() as path:
        first = Listener(UnixAddress(path))
        path.unlink()
        second = Listener(UnixAddress(path))
        first.close()
        assert path.exists()
        second.close()


def test_a_busy_port_is_an_error_of_the_configuration() -> None:
    listener = Listener(InetAddress("127.0.0.1", 0))
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: Address already in use"):
        Listener(InetAddress("127.0.0.1", port))
    listener.close()
    with pytest.raises(ConfigurationError, match=r"no\.such\.host\.invalid"):
        Listener(InetAddress("no.such.host.invalid", 1))
