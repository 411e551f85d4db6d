"""Mail hosts on loopback addresses of their own: each a real Postfix behind its own `trustgraph milter`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from tests.system.mail_stack import master_cf
from tests.system.mail_stack import wait_for as poll
from tests.system.postfix_home import PostfixHome

DEADLINE = 60.0

_MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
myhostname = {name}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/24
smtp_bind_address = {address}
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_timeout = 60
default_process_limit = 120
in_flow_delay = 0
minimal_backoff_time = 3600
maximal_backoff_time = 3600
virtual_mailbox_domains = {name}
virtual_mailbox_base = {home}/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
relayhost = {relay}
smtp_header_checks = regexp:{home}/config/outgoing
milter_protocol = 6
milter_default_action = tempfail
smtpd_milters = unix:{home}/milter.sock
"""

_TRUSTGRAPH = """\
[site]
hostname = "{name}"
[database]
url = "sqlite:///{home}/trustgraph.db"
[hostkey]
path = "{home}/hostkey.pgp"
[keyservers]
urls = {keyservers}
timeout = "2s"
negative_ttl = "1s"
[policy]
profile = "{profile}"
{extra_policy}
[milter]
listen = "unix:{home}/milter.sock"
socket_mode = "666"
state = "{home}/state"
internal_hosts = {internal}
{more}
"""


def wait_for(ready: Callable[[], object], what: str, seconds: float = DEADLINE) -> None:
    """Poll until ``ready``, for longer than a single server needs."""
    poll(ready, what, seconds)


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class MailHost(PostfixHome):
    """One host. ``relay`` is the host it sends everything to, if it is a sender.

    ``environment`` is what its trustgraph processes have besides our own.
    """

    name: str
    address: str
    home: Path
    postfix: str
    keyservers: Sequence[str]
    profile: str = "strict"
    relay: MailHost | None = None
    more: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    fingerprint: str = ""
    _milter: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def prepare(self) -> None:
        """Directories, configuration, database and host key."""
        for name in ("config", "queue", "data", "mail", "state"):
            (self.home / name).mkdir(parents=True)
        shutil.chown(self.home / "data", "postfix")
        shutil.chown(self.home / "mail", 65534, 65534)
        for folder in (self.home, *list(self.home.parents)[:-1]):  # daemons that run as user postfix must get through
            folder.chmod(folder.stat().st_mode | 0o011)
        self.port = free_port(self.address)
        (self.home / "config/main.cf").write_text(self.main_cf())
        (self.home / "config/master.cf").write_text(master_cf(f"{self.address}:{self.port}"))
        (self.home / "config/outgoing").write_text("/^Subject: tamper/ REPLACE Subject: changed on the way\n")
        self.configure()
        self.fingerprint = json.loads(self.trustgraph("key", "new", "--json"))["fingerprint"]

    def main_cf(self) -> str:
        """Postfix's configuration."""
        relay = f"[{self.relay.address}]:{self.relay.port}" if self.relay else ""
        return _MAIN_CF.format(home=self.home, name=self.name, address=self.address, relay=relay)

    def configure(self, **over: str) -> None:
        """Write trustgraph.toml."""
        internal = '["127.0.0.0/24"]' if self.relay else "[]"
        values = {"home": self.home, "name": self.name, "profile": self.profile, "internal": internal}
        values |= {"keyservers": json.dumps(list(self.keyservers)), "more": self.more, "extra_policy": ""} | over
        (self.home / "trustgraph.toml").write_text(_TRUSTGRAPH.format(**values))

    def trustgraph(self, *arguments: str, code: int = 0, stdin: bytes = b"") -> str:
        """Run one command as this host."""
        done = subprocess.run(
            [*self._command(), *arguments],
            input=stdin,
            capture_output=True,
            timeout=DEADLINE,
            check=False,
            env=os.environ | dict(self.environment),
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout.decode()

    def start_milter(self) -> None:
        """Start the milter and wait until it serves."""
        (self.home / "milter.sock").unlink(missing_ok=True)
        with (self.home / "milter.log").open("ab") as log:
            served = self.events("milter_serving")
            environment = os.environ | dict(self.environment)
            self._milter = subprocess.Popen(
                [*self._command(), "milter"], stderr=log, start_new_session=True, env=environment
            )
        wait_for(lambda: len(self.events("milter_serving")) > len(served) or self._ended(), f"{self.name}: milter")
        assert not self._ended(), (self.home / "milter.log").read_text()

    def start(self) -> None:
        """Start milter and Postfix."""
        self.start_milter()
        self.postfix_command("start")
        wait_for(self._listens, f"{self.name}: Postfix")

    def stop(self) -> None:
        """Stop both, whatever state they are in."""
        if (self.home / "queue/pid/master.pid").exists():
            self.postfix_command("stop", check=False)
        if self._milter and self._milter.poll() is None:
            self._milter.terminate()
            self._milter.wait(DEADLINE)

    def signal_milter(self, number: signal.Signals) -> None:
        """A signal to the supervisor."""
        assert self._milter is not None
        self._milter.send_signal(number)

    def reload_milter(self) -> None:
        """SIGHUP, and wait until workers with the new settings serve."""
        served = len(self.events("milter_serving"))
        self.signal_milter(signal.SIGHUP)
        wait_for(lambda: len(self.events("milter_serving")) > served, f"{self.name}: new workers")

    def kill_milter(self) -> None:
        """kill -9 of everything that belongs to the milter."""
        assert self._milter is not None
        os.killpg(self._milter.pid, signal.SIGKILL)
        self._milter.wait(DEADLINE)

    def milter_processes(self) -> list[int]:
        """Process ids of the supervisor and its children."""
        assert self._milter is not None
        children = Path(f"/proc/{self._milter.pid}/task/{self._milter.pid}/children").read_text().split()
        return [self._milter.pid, *map(int, children)]

    def milter_memory_bytes(self) -> int:
        """Resident memory of the largest of them."""
        sizes = []
        for pid in self.milter_processes():
            status = Path(f"/proc/{pid}/status").read_text()
            sizes += [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS")]
        return max(sizes)

    def delivered(self) -> list[Message]:
        """Messages in the mailbox."""
        return [message_from_bytes(path.read_bytes()) for path in sorted((self.home / "mail/box/new").glob("*"))]

    def delivered_count(self) -> int:
        """How many there are."""
        return sum(1 for _ in (self.home / "mail/box/new").glob("*"))

    def postfix_command(self, command: str, *, check: bool = True) -> None:
        """``postfix start`` and its like."""
        subprocess.run([self.postfix, "-c", str(self.home / "config"), command], check=check, capture_output=True)

    def submit(self, count: int, recipient: str, subject: str = "hello", start: int = 0) -> None:
        """Give it so many messages to send, as a client on its own network."""
        with smtplib.SMTP(self.address, self.port, "client.example", DEADLINE, ("127.0.0.1", 0)) as session:
            for number in range(start, start + count):
                session.sendmail(f"sender@{self.name}", [recipient], letter(self.name, recipient, subject, number))

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "trustgraph", "--config", str(self.home / "trustgraph.toml")]

    def _ended(self) -> bool:
        return self._milter is not None and self._milter.poll() is not None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0


def letter(host: str, recipient: str, subject: str, number: int) -> bytes:
    """A small message with a Message-ID of its own."""
    return (
        f"From: Sender <sender@{host}>\r\nTo: {recipient}\r\nSubject: {subject}\r\n"
        f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}-{number}@{host}>\r\n\r\n"
        f"Message {number}.\r\n"
    ).encode()


@contextmanager
def hosts(*wanted: MailHost) -> Iterator[tuple[MailHost, ...]]:
    """Prepared in this order, so that a relay comes before who sends to it; stopped at the end."""
    try:
        for host in wanted:
            host.prepare()
        yield wanted
    finally:
        for host in wanted:
            host.stop()
