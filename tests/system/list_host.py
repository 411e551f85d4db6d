"""A host of mailing lists on loopback: a real Postfix that gates posts by pipe(8) or by milter, and expands lists.

Posts to birds@lists.example and letters to birds-keys@ come in over SMTP at ``port``; with the milter, at
``gated_port``. Accepted posts come back at ``inner_port`` for birds-members@, an alias that expands to the
subscribers, whose mailboxes are Maildirs of this host too.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import shlex
import shutil
import signal
import smtplib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

from tests.interpreters import distribution_trustgraph, this_trustgraph
from tests.signed_posts import LIST
from tests.system.gate_lab import DEADLINE, free_port, wait_for
from tests.system.mail_stack import master_cf
from tests.system.postfix_home import PostfixHome

ADDRESS = "127.0.0.1"
MODERATOR = "owner@example.net"
MAILBOXES = ("anna@example.org", "boris@example.net", MODERATOR, "eve@stranger.example")
KEYS = LIST.replace("@", "-keys@")

_MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
myhostname = lists.example
mydestination = lists.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_message_rate_limit = 0
minimal_backoff_time = 3600
maximal_backoff_time = 3600
local_recipient_maps =
alias_database =
alias_maps = hash:{home}/config/aliases
recipient_delimiter =
transport_maps = inline:{{ {{ {list} = list: }} {{ {keys} = listkeys: }} }}
list_destination_recipient_limit = 1
listkeys_destination_recipient_limit = 1
virtual_mailbox_domains = example.org, example.net, stranger.example
virtual_mailbox_base = {home}/mail
virtual_mailbox_maps = inline:{{ {mailboxes} }}
virtual_minimum_uid = 1
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
milter_protocol = 6
milter_default_action = tempfail
"""

_SERVICES = """\
{address}:{gated} inet n - n - - smtpd
    -o smtpd_milters=unix:{home}/lists.sock
    -o cleanup_service_name=gated
gated unix n - n - 0 cleanup
    -o virtual_alias_maps=inline:{{{list}=birds-members@lists.example}}
{address}:{inner} inet n - n - - smtpd
    -o smtpd_milters={signer}
list unix - n n - 4 pipe
    user=nobody null_sender= flags=q
    argv={or_later} {home}/trustgraph list pipe --sender ${{sender}} --delivery ${{queue_id}} {list}
listkeys unix - n n - 4 pipe
    user=nobody null_sender= flags=q
    argv={or_later} {home}/trustgraph list mail --sender ${{sender}} {list}
"""

#: As docs/lists.md has it.
_OR_LATER = '/bin/sh -c {"$$@"; code=$$?; case $$code in 0|77) exit $$code;; esac; exit 75} trustgraph'

_TRUSTGRAPH = """\
[site]
hostname = "lists.example"
[database]
url = "sqlite:///{home}/site/trustgraph.db"
[lists]
sendmail = "{home}/sendmail"
[hostkey]
path = "{home}/hostkey.pgp"
[milter]
listen = "unix:{home}/sign.sock"
mode = "sign"
state = "{home}/site"
socket_mode = "666"
# Each worker notices changed rules for itself: whoever has asked one knows of one.
workers = 1
"""

#: What Debian calls msmtp: takes a letter as sendmail does, and says it over SMTP. Postfix's own sendmail serves a
#: second instance only where the first one's configuration names it.
_SENDMAIL = """\
#!/usr/bin/python3
import smtplib, sys
with smtplib.SMTP("{address}", {inner}) as session:
    session.sendmail(sys.argv[sys.argv.index("-f") + 1], sys.argv[sys.argv.index("--") + 1:], sys.stdin.buffer.read())
"""


def command_for_anybody() -> list[str]:
    """`trustgraph` as a program that user nobody can run: this Python, or Debian's of the same version."""
    real = Path(os.path.realpath(sys.executable))
    if all(folder.stat().st_mode & 0o001 for folder in real.parents):
        return this_trustgraph()
    command = distribution_trustgraph()
    assert command, "user nobody needs a Python that it may run"
    return command


@dataclass
class ListHost(PostfixHome):
    """See above. ``prepare`` makes the list; subscribers come by :meth:`trustgraph`."""

    home: Path
    postfix: str
    port: int = 0
    gated_port: int = 0
    inner_port: int = 0
    _milters: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    def prepare(self, *options: str, signing: bool = False) -> None:
        """Directories, configuration, the list with ``options`` of `list create`.

        With ``signing`` accepted posts pass `trustgraph milter` of the host on their way out, as all its mail does.
        """
        for name in ("config", "queue", "data", "mail", "site"):
            (self.home / name).mkdir(parents=True)
        shutil.chown(self.home / "data", "postfix")
        for name in ("mail", "site"):
            shutil.chown(self.home / name, 65534, 65534)
        for folder in (self.home, *list(self.home.parents)[:-1]):
            folder.chmod(folder.stat().st_mode | 0o011)
        self.port, self.gated_port, self.inner_port = (free_port(ADDRESS) for _ in range(3))
        values = {"home": self.home, "list": LIST, "keys": KEYS, "address": ADDRESS, "inner": self.inner_port}
        values["mailboxes"] = " ".join(f"{{ {one} = {one}/ }}" for one in MAILBOXES)
        values |= {"signer": f"unix:{self.home}/sign.sock" if signing else ""}
        values |= {"gated": self.gated_port, "or_later": _OR_LATER}
        config = self.home / "config"
        (config / "main.cf").write_text(_MAIN_CF.format(**values))
        (config / "master.cf").write_text(master_cf(f"{ADDRESS}:{self.port}") + _SERVICES.format(**values))
        (config / "aliases").write_text(
            f"birds-members: :include:{config}/members\nowner-birds-members: owner\nowner: {MODERATOR}\n"
        )
        (config / "members").write_text("")
        subprocess.run(["/usr/sbin/postalias", "-c", config, f"hash:{config}/aliases"], check=True)
        (self.home / "trustgraph.toml").write_text(_TRUSTGRAPH.format(**values))
        (self.home / "sendmail").write_text(_SENDMAIL.format(**values))
        (self.home / "sendmail").chmod(0o755)
        (self.home / "trustgraph").write_text(f'#!/bin/sh\nexec {shlex.join(self._command())} "$@"\n')
        (self.home / "trustgraph").chmod(0o755)
        deliver = f"smtp://{ADDRESS}:{self.inner_port}/birds-members@lists.example"
        self.trustgraph("list", "create", LIST, "--deliver", deliver, "--moderator", MODERATOR, *options)

    def start(self) -> None:
        """Start Postfix."""
        subprocess.run([self.postfix, "-c", self.home / "config", "start"], check=True, capture_output=True)
        wait_for(self._answers, "Postfix of the list host")

    def start_milter(self) -> None:
        """Start `trustgraph list milter`."""
        self._start_milter("list", "milter", "--listen", f"unix:{self.home}/lists.sock")

    def start_signing(self) -> None:
        """Make the host key, and start `trustgraph milter`."""
        self.trustgraph("key", "new")
        self._start_milter("milter")

    def _start_milter(self, *arguments: str) -> None:
        served = len(self.events("milter_serving"))
        with (self.home / "milter.log").open("ab") as log:
            command = [*self._command(), *arguments]
            self._milters.append(subprocess.Popen(command, stderr=log, start_new_session=True))
        wait_for(lambda: len(self.events("milter_serving")) > served, " ".join(arguments))

    def stop(self) -> None:
        """Stop all of it."""
        if (self.home / "queue/pid/master.pid").exists():
            subprocess.run([self.postfix, "-c", self.home / "config", "stop"], check=False, capture_output=True)
        for milter in self._milters:
            milter.send_signal(signal.SIGTERM)
            milter.wait(DEADLINE)

    def trustgraph(self, *arguments: str, code: int = 0, stdin: bytes = b"") -> str:
        """Run one command as the list's owner; the database stays the mail system's."""
        done = subprocess.run(
            [*self._command(), *arguments], input=stdin, capture_output=True, timeout=DEADLINE, check=False
        )
        for path in (self.home / "site").rglob("*"):
            shutil.chown(path, 65534, 65534)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout.decode()

    def subscribe(self, *addresses: str) -> None:
        """Members of the list, in Postfix's alias and in the stash."""
        members = self.home / "config/members"
        members.write_text(members.read_text() + "".join(f"{one}\n" for one in addresses))
        for one in addresses:
            self.trustgraph("list", "subscribe", LIST, one, "--no-letter")

    def post(self, octets: bytes, sender: str, recipient: str = LIST, *, gated: bool = False) -> None:
        """Hand in a message over SMTP. Raises what smtplib raises for a refusal."""
        self.post_to([recipient], octets, sender, gated=gated)

    def post_to(self, recipients: list[str], octets: bytes, sender: str, *, gated: bool = False) -> None:
        """The same with several recipients."""
        with smtplib.SMTP(ADDRESS, self.gated_port if gated else self.port, timeout=DEADLINE) as session:
            session.sendmail(sender, recipients, octets, ["BODY=8BITMIME"])

    def mailbox(self, address: str) -> list[EmailMessage]:
        """What has been delivered to somebody, in turn."""
        folder = self.home / "mail" / address / "new"
        paths = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime_ns) if folder.exists() else []
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]  # type: ignore[misc]

    def wait_for_mail(self, address: str, count: int) -> list[EmailMessage]:
        """Until so many are there."""
        try:
            wait_for(lambda: len(self.mailbox(address)) >= count, f"letter {count} to {address}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None
        return self.mailbox(address)

    def settled(self) -> None:
        """Until Postfix has nothing in hand."""
        wait_for(lambda: not self.queue(), "an empty queue")

    def held(self) -> list[dict[str, str]]:
        """What waits for a moderator."""
        return [json.loads(line) for line in self.trustgraph("list", "held", LIST, "--json").splitlines()]

    @contextmanager
    def locked_database(self) -> Iterator[None]:
        """While somebody else writes to it and does not come to an end."""
        connection = sqlite3.connect(self.home / "site/trustgraph.db", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()

    def _command(self) -> list[str]:
        return [*command_for_anybody(), "--config", str(self.home / "trustgraph.toml")]

    def _answers(self) -> bool:
        try:
            with smtplib.SMTP(ADDRESS, self.port, timeout=DEADLINE):
                return True
        except OSError:
            return False
