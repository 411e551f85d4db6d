"""Where to listen, ``unix:PATH``, ``inet:HOST:PORT``, ``inet:[::1]:PORT`` or ``inet:PORT@HOST``, and its sockets."""

from __future__ import annotations

import os
import re
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trustgraph.errors import ConfigurationError

#: Group may connect: the MTA's user is put into ours.
SOCKET_MODE = 0o660

#: Connections that wait to be taken while all workers are busy.
BACKLOG = 511

#: Linux takes 108 bytes, its NUL included.
_MAX_PATH_BYTES = 107

_FORMS = "unix:PATH, inet:HOST:PORT, inet:[::1]:PORT or inet:PORT@HOST"
_INET = re.compile(
    r"inet:(?:(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:@\[\]\s]+)):(?P<port>\d{1,5})"
    r"|(?P<port_first>\d{1,5})@(?:\[(?P<at_six>[0-9A-Fa-f:.%\w]+)\]|(?P<at_host>[^@\[\]\s]+)))"
)


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class InetAddress:
    """A TCP port of a host name or an IP address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"inet:[{self.host}]:{self.port}" if ":" in self.host else f"inet:{self.host}:{self.port}"


ListenAddress = UnixAddress | InetAddress


def parse_listen(text: str) -> ListenAddress:
    """Raises :class:`ConfigurationError` with the value and what was expected."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or "\0" in path or path.endswith("/"):
            raise ConfigurationError(
                f"{text!r}: an absolute path of a socket expected, as in unix:/run/name/milter.sock"
            )
        if len(os.fsencode(path)) > _MAX_PATH_BYTES:
            raise ConfigurationError(f"{text!r}: a path of at most {_MAX_PATH_BYTES} bytes expected")
        return UnixAddress(Path(path))
    found = _INET.fullmatch(text)
    if not found:
        raise ConfigurationError(f"{text!r}: {_FORMS} expected")
    host = found["six"] or found["host"] or found["at_six"] or found["at_host"]
    port = int(found["port"] or found["port_first"])
    if not 0 < port < 65536:
        raise ConfigurationError(f"{text!r}: a port from 1 to 65535 expected")
    return InetAddress(host, port)


class Listener:
    """Bound sockets, and the path to remove when they are closed for good."""

    def __init__(self, address: ListenAddress, mode: int = SOCKET_MODE) -> None:
        """Bind and listen. Raises :class:`ConfigurationError` where that cannot be."""
        self.address = address
        self._identity: tuple[int, int] | None = None
        try:
            if isinstance(address, UnixAddress):
                self.sockets = [_bind_unix(address, mode)]
                found = address.path.stat()
                self._identity = found.st_dev, found.st_ino
            else:
                self.sockets = _bind_inet(address)
        except OSError as error:
            raise ConfigurationError(f"{address}: {error.strerror or error}") from None

    def close(self, unlink: bool = True) -> None:
        """Close this process's sockets; ``unlink`` the path if it is still ours."""
        for one in self.sockets:
            one.close()
        if unlink and self._identity and isinstance(self.address, UnixAddress):
            with suppress(FileNotFoundError):
                found = self.address.path.lstat()
                if (found.st_dev, found.st_ino) == self._identity:
                    self.address.path.unlink()
            self._identity = None


def _bind_unix(address: UnixAddress, mode: int) -> socket.socket:
    _remove_stale(address)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o777 & ~mode)  # there is no moment in which others could connect
    try:
        listener.bind(str(address.path))
        address.path.chmod(mode)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(previous)
    return listener


def _remove_stale(address: UnixAddress) -> None:
    """Remove a socket that a killed server left behind. Raises ConfigurationError for anything else that is there."""
    try:
        if not stat.S_ISSOCK(address.path.lstat().st_mode):
            raise ConfigurationError(f"{address}: there is something that is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog is an answer too
        try:
            probe.connect(str(address.path))
        except ConnectionRefusedError:
            address.path.unlink()
            return
        except BlockingIOError:
            pass
    raise ConfigurationError(f"{address}: another server answers there")


def _bind_inet(address: InetAddress) -> list[socket.socket]:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, number, _, where in dict.fromkeys(found):
            one = socket.socket(family, kind, number)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(where)
            one.listen(BACKLOG)
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets
