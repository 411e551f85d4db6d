"""A private mail server on loopback for the tests: Postfix with OpenDKIM and OpenDMARC as milters, and what they log.

There need not be a syslog daemon: both filters run in a root directory of their own whose ``/dev/log`` is a datagram
socket of the test (so the tests run as root, as Postfix wants it anyway), and Postfix logs to a file.
"""

from __future__ import annotations

import os
import shutil
import smtplib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE = 20.0  # seconds until a server must be up or a line must have been logged

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
myhostname = mx.example.net
mydestination = example.net
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
smtpd_relay_restrictions = permit_auth_destination, reject
smtpd_recipient_restrictions =
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.1
local_recipient_maps =
alias_maps =
local_transport = discard:
default_transport = discard:
milter_protocol = 6
milter_default_action = tempfail
smtpd_milters = {milters}
"""


def wait_for(ready: Callable[[], object], what: str, seconds: float = DEADLINE) -> None:
    """Poll until ``ready``; a server that never comes up fails the test by name."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} seconds")
        time.sleep(0.02)


def master_cf(listen: str) -> str:
    """Debian's services without a chroot, SMTP at this address and port."""
    lines = []
    for line in Path("/usr/share/postfix/master.cf.dist").read_text().splitlines():
        fields = line.split()
        if len(fields) < 8 or line.startswith(("#", " ")):
            continue  # comments, and options of services that do not run here
        fields[4] = "n"  # chroot
        if fields[:2] == ["smtp", "inet"]:
            fields[0] = listen
        lines.append("\t".join(fields))
    if not any(line.startswith("postlog") for line in lines):
        lines.append("postlog\tunix-dgram\tn\t-\tn\t-\t1\tpostlogd")
    return "\n".join(lines) + "\n"


class DevLog:
    """The ``/dev/log`` of a root directory: collects datagrams as the lines that a syslog daemon would write."""

    def __init__(self, root: Path) -> None:
        self.lines: list[bytes] = []
        (root / "dev").mkdir(parents=True)
        path = root / "dev" / "log"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o666)
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        # "<22>Nov  3 04:05:06 opendkim[7]: text", to which the daemon adds the host and which it frees from control
        # characters; an empty datagram is the test's own and means the end.
        while datagram := self._socket.recv(65536):
            text = datagram.partition(b">")[2].rstrip(b"\0\n").replace(b"\n", b"#012").replace(b"\t", b"#011")
            self.lines.append(text[:15] + b" mx" + text[15:])

    def close(self) -> None:
        """Stop collecting."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


@dataclass(frozen=True)
class FilterSetup:
    """What a filter is started with; ``files`` are written into its root directory."""

    program: str
    options: str
    files: Mapping[str, str] = field(default_factory=dict)


class Filter:
    """An OpenDKIM or OpenDMARC process in its own root directory, listening on a loopback port as a milter."""

    def __init__(self, setup: FilterSetup, home: Path) -> None:
        program = setup.program
        self.root = home
        for name, text in setup.files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text)
        self.log = DevLog(home)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = home / "filter.conf"
        config.write_text(
            f"Socket inet:{self.port}@127.0.0.1\nSyslog yes\nBackground no\nAutoRestart no\n"
            f"ChangeRootDirectory {home}\n{setup.options}"
        )
        flag = "-x" if program.endswith("opendkim") else "-c"
        self._process = subprocess.Popen([program, "-f", flag, str(config)])
        self.milter = f"inet:127.0.0.1:{self.port}"
        wait_for(self._listens, f"{program} should listen")

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"filter exited with status {self._process.returncode}: {self.log.lines}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End the process and its log."""
        self._process.terminate()
        self._process.wait(DEADLINE)
        self.log.close()


class Postfix:
    """A Postfix instance with its own configuration, queue and log; ``send`` speaks to it as a client elsewhere."""

    def __init__(self, program: str, home: Path, milters: str) -> None:
        self._program = program
        self._config = home / "config"
        self._log = home / "postfix.log"
        for name in ("config", "queue", "data"):
            (home / name).mkdir(parents=True)
        shutil.chown(home / "data", "postfix")
        for folder in (home, *home.parents[:-1]):  # daemons that run as user postfix must get through
            folder.chmod(folder.stat().st_mode | 0o011)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self._config / "main.cf").write_text(MAIN_CF.format(home=home, milters=milters))
        (self._config / "master.cf").write_text(master_cf(f"127.0.0.1:{self.port}"))
        self._command("start")
        wait_for(self._listens, "Postfix should listen")

    def _command(self, command: str) -> None:
        subprocess.run([self._program, "-c", str(self._config), command], check=True, capture_output=True)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, message: bytes, client: str, host: str = "[UNAVAILABLE]", sender: str = "a@example.org") -> bytes:
        """Deliver one message as if from ``client`` (Postfix XCLIENT); returns the server's last reply."""
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="relay.example.org", timeout=DEADLINE) as session:
            session.ehlo()
            session.docmd("XCLIENT", f"ADDR={client} NAME={host}")
            session.ehlo()
            session.mail(sender)
            session.rcpt("someone@example.net")
            return session.data(message)[1]

    def lines(self) -> list[bytes]:
        """What Postfix has logged so far."""
        return self._log.read_bytes().splitlines() if self._log.exists() else []

    def wait_for_line(self, ending: bytes, count: int) -> None:
        """Wait until ``count`` lines end so."""
        wait_for(lambda: sum(line.endswith(ending) for line in self.lines()) >= count, f"{count} lines with {ending!r}")

    def stop(self) -> None:
        """End all its daemons."""
        self._command("stop")


@contextmanager
def running(home: Path, postfix: str, *setups: FilterSetup, milter: str = "") -> Iterator[tuple[Postfix, list[Filter]]]:
    """Postfix behind its filters in this order, and behind one more ``milter``; everything is stopped at the end."""
    assert os.geteuid() == 0, "Postfix and the filters' own root directories need root"
    with ExitStack() as stack:
        filters = []
        for setup in setups:
            filters.append(Filter(setup, home / Path(setup.program).name))
            stack.callback(filters[-1].stop)
        server = Postfix(postfix, home / "postfix", " ".join([*(part.milter for part in filters), milter]))
        stack.callback(server.stop)
        yield server, filters


def mixed_log(server: Postfix, filters: list[Filter]) -> list[bytes]:
    """One log of what all wrote, in the order in which one syslog daemon could have received it."""
    lines = [(line[:15], 0, line) for part in filters for line in part.log.lines]
    lines += [(line[:15], 1, line) for line in server.lines()]
    return [line for _, _, line in sorted(lines, key=lambda entry: entry[:2])]
